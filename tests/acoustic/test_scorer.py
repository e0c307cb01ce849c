"""The only caller of the network: batches, windows of long recordings, threads and what is refused."""

import math
import threading
import tracemalloc
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from asr.acoustic.config import ModelConfig
from asr.acoustic.network import Network
from asr.acoustic.onnx_runtime import OnnxRuntime
from asr.acoustic.posteriors import Posteriors
from asr.acoustic.runtime import open_runtime
from asr.acoustic.scorer import AcousticScorer
from asr.errors import BundleError
from tests.acoustic.networks import noise

CONFIG = ModelConfig()
RATE = CONFIG.sample_rate
SAMPLES_PER_FRAME = 480


class FirstSample:
    """Gives the first sample of each frame in place of log-probabilities, so that its output is known."""

    max_padding = math.inf

    def __init__(self, *, phones: bool = False) -> None:
        self.phones = phones
        self.batches: list[list[int]] = []

    def run(self, waveforms: Sequence[NDArray[np.float32]]) -> list[Posteriors]:
        self.batches.append([len(waveform) for waveform in waveforms])
        return [self._run_one(waveform) for waveform in waveforms]

    def _run_one(self, waveform: NDArray[np.float32]) -> Posteriors:
        firsts = waveform[::SAMPLES_PER_FRAME, None][: CONFIG.num_frames(len(waveform))]
        return Posteriors(firsts.repeat(3, axis=1), -firsts.repeat(2, axis=1) if self.phones else None)


class Fixed:
    """Gives the same posteriors for everything."""

    max_padding = math.inf

    def __init__(self, posteriors: Posteriors) -> None:
        self.posteriors = posteriors

    def run(self, waveforms: Sequence[NDArray[np.float32]]) -> list[Posteriors]:
        return [self.posteriors for _ in waveforms]


@given(
    st.integers(0, 100 * RATE), st.integers(1, 9), st.sampled_from([1.0, 50.0, 160.0]), st.integers(1, 3), st.booleans()
)
def test_windows_give_the_frames_of_the_whole_however_it_is_cut(
    num_samples: int, num_blocks: int, batch_duration: float, threads: int, phones: bool
) -> None:
    runtime = FirstSample(phones=phones)
    first = 100 * RATE  # counted from 0, the beginning would be silent beside the end
    waveform = np.arange(first, first + num_samples, dtype=np.float32)  # single precision counts to 16 million
    scorer = AcousticScorer(runtime, CONFIG, threads=threads)
    posteriors = scorer.score_blocks(np.array_split(waveform, num_blocks), batch_duration=batch_duration)
    expected = [first + SAMPLES_PER_FRAME * frame for frame in range(CONFIG.num_frames(num_samples))]
    assert posteriors.log_probs.shape == (len(expected), 3)
    assert posteriors.log_probs[:, 2].tolist() == expected
    if posteriors.phone_log_probs is None:
        assert not phones
    else:
        assert posteriors.phone_log_probs.shape == (len(expected), 2)
        assert posteriors.phone_log_probs[:, 0].tolist() == [-each for each in expected]
    longest = max(length for batch in runtime.batches for length in batch)
    assert longest <= 36.1 * RATE  # memory is bounded
    assert all(len(batch) == 1 or sum(batch) <= batch_duration * RATE for batch in runtime.batches)


def test_recording_is_scored_while_it_is_read_so_that_little_of_it_is_held() -> None:
    read: list[int] = []
    ahead: list[int] = []

    class Watching(FirstSample):
        """Notes how much was read and not scored yet."""

        def run(self, waveforms: Sequence[NDArray[np.float32]]) -> list[Posteriors]:
            scored = super().run(waveforms)
            ahead.append(sum(read) - 30 * RATE * sum(map(len, self.batches)))
            return scored

    def blocks() -> Iterator[NDArray[np.float32]]:
        for _ in range(100):
            read.append(7 * RATE)
            yield np.zeros(read[-1], np.float32)

    AcousticScorer(Watching(), CONFIG).score_blocks(blocks(), batch_duration=80.0)
    assert max(ahead) < 20 * RATE  # 3 s of context, and a block


def test_posteriors_of_a_long_recording_keep_neither_their_context_nor_phones_that_nobody_asked_for() -> None:
    class Wide(FirstSample):
        """Gives a hundred tokens of each kind."""

        def _run_one(self, waveform: NDArray[np.float32]) -> Posteriors:
            shape = (CONFIG.num_frames(len(waveform)), 100)
            return Posteriors(np.zeros(shape, np.float32), np.zeros(shape, np.float32))

    scorer = AcousticScorer(Wide(), CONFIG)
    tracemalloc.start()
    posteriors = scorer.score_blocks((np.zeros(30 * RATE, np.float32) for _ in range(60)), phones=False)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert posteriors.phone_log_probs is None
    batch = 5 * 36 * (RATE * 4 + 2 * 100 * 4 * RATE / SAMPLES_PER_FRAME)  # bytes of windows, and of what they give
    assert peak < 2.1 * posteriors.log_probs.nbytes + 2 * batch  # the parts, and the whole


@given(st.lists(st.integers(0, 5 * RATE), max_size=20), st.sampled_from([0.1, 3.0, 160.0]), st.integers(1, 3))
def test_waveforms_are_scored_in_batches_of_like_length_and_given_in_their_order(
    lengths: list[int], batch_duration: float, threads: int
) -> None:
    runtime = FirstSample()
    waveforms = [np.full(length, index, np.float32) for index, length in enumerate(lengths)]
    scored = AcousticScorer(runtime, CONFIG, threads=threads).score(waveforms, batch_duration=batch_duration)
    for index, (length, posteriors) in enumerate(zip(lengths, scored, strict=True)):
        if length < CONFIG.min_num_samples:
            assert posteriors is None
        else:
            assert posteriors is not None
            assert posteriors.log_probs[:, 0].tolist() == [index] * CONFIG.num_frames(length)
    for batch in runtime.batches:
        assert len(batch) == 1 or len(batch) * max(batch) <= batch_duration * RATE


def test_batches_run_on_as_many_threads_as_there_are() -> None:
    together = threading.Barrier(3, timeout=20)

    class Waiting(FirstSample):
        """Goes on once three batches are running."""

        def run(self, waveforms: Sequence[NDArray[np.float32]]) -> list[Posteriors]:
            together.wait()
            return super().run(waveforms)

    waveforms = [np.zeros(RATE, np.float32)] * 3
    assert len(AcousticScorer(Waiting(), CONFIG, threads=3).score(waveforms, batch_duration=0.1)) == 3


@pytest.fixture
def tiny_scorer(tiny_network: Network) -> AcousticScorer:
    return AcousticScorer(open_runtime(tiny_network, "cpu"), tiny_network.config)


def test_recording_within_a_window_is_scored_as_a_whole(tiny_network: Network, tiny_scorer: AcousticScorer) -> None:
    waveform = noise(29 * RATE)
    [expected] = OnnxRuntime(tiny_network, tiny_network.graph or b"").run([waveform])
    assert np.array_equal(tiny_scorer.score_recording(waveform).log_probs, expected.log_probs)


def test_recording_of_several_windows_is_scored_much_as_the_whole(
    tiny_network: Network, tiny_scorer: AcousticScorer
) -> None:
    waveform = noise(75 * RATE)
    [expected] = OnnxRuntime(tiny_network, tiny_network.graph or b"").run([waveform])
    found = tiny_scorer.score_recording(waveform).log_probs
    assert found.shape == expected.log_probs.shape
    # The mean of the features is that of a window, not of the recording, so the numbers differ a little.
    assert np.abs(found - expected.log_probs).mean() < 0.1
    assert (found.argmax(axis=1) == expected.log_probs.argmax(axis=1)).mean() > 0.95


@pytest.mark.parametrize("part", ["characters", "phones"])
def test_posteriors_that_are_not_a_number_are_refused(part: str) -> None:
    numbers, broken = np.zeros((9, 3), np.float32), np.zeros((9, 3), np.float32)
    broken[4, 2] = np.nan
    posteriors = Posteriors(broken) if part == "characters" else Posteriors(numbers, broken)
    scorer = AcousticScorer(Fixed(posteriors), CONFIG)
    waveform = np.zeros(RATE, np.float32)
    for score in (lambda: scorer.score([waveform]), lambda: scorer.score_recording(waveform)):
        with pytest.raises(BundleError, match=r"^the network gave NaN; its weights are damaged, so restore or train"):
            score()


def test_weights_that_are_not_a_number_are_noticed(tiny_network: Network) -> None:
    weights = {name: array.copy() for name, array in tiny_network.weights.items()}
    weights["output.bias"][3] = np.nan
    damaged = Network(tiny_network.config, weights, None, tiny_network.graph)
    for device in ("cpu", "torch-cpu"):
        with pytest.raises(BundleError, match="the network gave NaN"):
            AcousticScorer(open_runtime(damaged, device), damaged.config).score([noise(RATE)])
