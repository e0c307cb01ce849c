"""Recognition of sound that is still coming in."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from asr.audio import load_audio
from asr.bundle import Bundle
from asr.errors import ASRError, AudioError, BundleError
from asr.recognition.endpoint import Cut
from asr.recognition.live_segment import LiveSegment
from asr.recognition.recognizer import Recognizer
from asr.recognition.streaming import FinalResult, PartialResult, StreamingRecognizer, StreamingResult
from asr.recognition.streaming_config import StreamingConfig
from asr.transcript import Segment, Word
from tests.conftest import RATE

SAMPLES = Path(__file__).parents[2] / "data/samples"
PAUSE = np.zeros(2 * RATE, np.float32)


def stream(
    recognizer: Recognizer,
    samples: NDArray[np.generic],
    config: StreamingConfig = StreamingConfig(),
    *,
    block: int = 1_600,
    sample_rate: int | None = None,
) -> list[StreamingResult]:
    """Feed samples in blocks."""
    streaming = StreamingRecognizer(recognizer, config, sample_rate=sample_rate)
    results = [
        result for start in range(0, len(samples), block) for result in streaming.accept(samples[start : start + block])
    ]
    return [*results, *streaming.finish()]


def finals(results: Sequence[StreamingResult]) -> list[FinalResult]:
    return [result for result in results if isinstance(result, FinalResult)]


def segments(results: Sequence[StreamingResult]) -> Iterator[tuple[list[PartialResult], FinalResult]]:
    """Group partial results with the final one that follows."""
    partial = []
    for result in results:
        if isinstance(result, PartialResult):
            partial.append(result)
        else:
            yield partial, result
            partial = []


@pytest.fixture(scope="module")
def english() -> Recognizer:
    return Recognizer.from_bundle(device="cpu", threads=1)


@pytest.fixture(scope="module")
def speech() -> NDArray[np.float32]:
    """Two sentences with a pause between and after them."""
    first, second = (load_audio(SAMPLES / name, RATE) for name in ("kitchen.flac", "weather.flac"))
    return np.concatenate([first, PAUSE, second, PAUSE])


@pytest.fixture(scope="module")
def recognized(english: Recognizer, speech: NDArray[np.float32]) -> list[StreamingResult]:
    return stream(english, speech)


def test_final_text_is_that_of_the_recogniser_for_the_samples_of_the_segment(
    english: Recognizer, speech: NDArray[np.float32], recognized: list[StreamingResult]
) -> None:
    found = finals(recognized)
    assert len(found) == 2
    for result in found:
        begin, end = (round(time * RATE) for time in (result.segment.start, result.segment.end))
        transcript = english.transcribe(speech[begin:end], source_rate=RATE)
        assert result.text == transcript.text
        assert result.segment.words == transcript.segments[0].shift(result.segment.start).words


def test_segments_are_cut_in_the_pause(recognized: list[StreamingResult], speech: NDArray[np.float32]) -> None:
    first, second = finals(recognized)
    length = len(load_audio(SAMPLES / "kitchen.flac", RATE)) / RATE
    assert 0 <= first.segment.start < first.segment.words[0].start
    assert first.segment.words[-1].end < first.segment.end < second.segment.start
    assert length < second.segment.start < second.segment.words[0].start
    assert second.segment.words[-1].end < len(speech) / RATE - 1.5


@pytest.mark.parametrize(("words", "num_segments"), [("it rained all", 1), ("it rained all night", 2)])
def test_a_pause_in_the_middle_of_a_sentence_has_to_be_longer(
    english: Recognizer, words: str, num_segments: int
) -> None:
    samples = load_audio(SAMPLES / "weather.flac", RATE)
    before = english.transcribe(samples, source_rate=RATE).words[: len(words.split())]
    assert [each.text for each in before] == words.split()
    end = round(before[-1].end * RATE)
    paused = np.concatenate([samples[:end], PAUSE[: round(RATE)], samples[end:], PAUSE])
    assert len(finals(stream(english, paused))) == num_segments


def test_last_word_before_silence_is_committed_too(english: Recognizer, speech: NDArray[np.float32]) -> None:
    results = stream(english, speech[-6 * RATE :], StreamingConfig(endpoint_silence=10.0))
    partial = [result for result in results if isinstance(result, PartialResult)][-1]
    assert partial.committed
    assert not partial.tail


def test_committed_words_never_change_before_the_final_result(recognized: list[StreamingResult]) -> None:
    num_committed = 0
    for partial, _ in segments(recognized):
        for before, after in pairwise(partial):
            assert after.committed[: len(before.committed)] == before.committed
        num_committed += len(partial[-1].committed)
    assert num_committed > 10


def test_words_are_shown_and_committed_and_segments_ended_soon_after_they_are_spoken(
    english: Recognizer, speech: NDArray[np.float32]
) -> None:
    streaming = StreamingRecognizer(english)
    shown: dict[str, float] = {}
    committed: dict[str, float] = {}
    ended = []
    for start in range(0, len(speech), 1_600):
        now = (start + 1_600) / RATE
        for result in streaming.accept(speech[start : start + 1_600]):
            if isinstance(result, FinalResult):
                ended.append((now, result.segment))
                continue
            for word in result.committed + result.tail:
                shown.setdefault(word.text, now)
            for word in result.committed:
                committed.setdefault(word.text, now)
    words = [word for _, segment in ended for word in segment.words]
    assert np.median([shown[word.text] - word.end for word in words if word.text in shown]) < 0.7
    assert np.median([committed[word.text] - word.end for word in words if word.text in committed]) < 2
    assert all(now - segment.words[-1].end < 1.7 for now, segment in ended)


def test_times_of_partial_words_are_those_of_the_final_ones(recognized: list[StreamingResult]) -> None:
    for partial, final in segments(recognized):
        counts = Counter(word.text for word in final.segment.words)
        starts = {word.text: word.start for word in final.segment.words if counts[word.text] == 1}
        shown = [*partial[-1].committed, *partial[-1].tail]
        assert all(before.end <= after.start for before, after in pairwise(shown))
        same = [abs(word.start - starts[word.text]) for word in shown if word.text in starts]
        assert len(same) > 4
        assert np.median(same) < 0.1
        assert all(0 <= word.confidence <= 1 for word in shown)


@pytest.mark.parametrize("block", [7_777, 10**6])
def test_final_results_do_not_depend_on_how_the_samples_come(
    english: Recognizer, speech: NDArray[np.float32], recognized: list[StreamingResult], block: int
) -> None:
    assert finals(stream(english, speech, block=block)) == finals(recognized)


def test_integers_and_other_rates_give_the_words_of_the_same_sound(
    english: Recognizer, recognized: list[StreamingResult], speech: NDArray[np.float32]
) -> None:
    doubled = np.repeat(np.round(speech * 32767).astype(np.int16), 2)  # 32 kHz
    found = finals(stream(english, doubled, sample_rate=2 * RATE, block=5_000))
    assert [result.text for result in found] == [result.text for result in finals(recognized)]
    assert found[1].segment.start == pytest.approx(finals(recognized)[1].segment.start, abs=0.1)


def test_stream_that_ends_in_speech_gives_its_last_words(english: Recognizer, speech: NDArray[np.float32]) -> None:
    [result] = finals(stream(english, speech[: 3 * RATE]))
    assert result.text == english.transcribe(speech[: 3 * RATE], source_rate=RATE).text != ""


def test_silence_gives_nothing(english: Recognizer) -> None:
    assert stream(english, np.zeros(10 * RATE, np.int16)) == []
    assert stream(english, np.zeros(0, np.float32)) == []


def test_words_that_were_shown_by_mistake_are_taken_back(english: Recognizer) -> None:
    sound = load_audio(SAMPLES / "melville.flac", RATE)
    silence = np.zeros(RATE, np.float32)
    for start in range(4_000, 16_000, 1_500):  # clicks of 60 ms that are cut out of words
        results = stream(english, np.concatenate([silence[:4_800], sound[start : start + 960], silence]))
        assert not results or isinstance(results[-1], FinalResult) or not results[-1].text
        assert all(result.segment.words for result in finals(results))


def test_committed_words_of_a_segment_that_has_none_are_taken_back(
    tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    word = Word("a", 0.1, 0.2, 0.5)

    def advance(segment: LiveSegment, *, is_late: bool) -> Cut | None:
        segment.committed = (word,)
        return Cut(segment.num_samples, segment.num_samples) if segment.num_samples > RATE else None

    monkeypatch.setattr(LiveSegment, "advance", advance)
    monkeypatch.setattr(LiveSegment, "finish", lambda *_: (Segment(0.0, 1.0, ()), np.empty(0, np.float32)))
    streaming = StreamingRecognizer(Recognizer(tiny_bundle, device="cpu"))
    assert streaming.accept(np.zeros(RATE, np.float32)) == [PartialResult((word,), ())]
    assert streaming.accept(np.zeros(RATE // 2, np.float32)) == [PartialResult((), ())]
    assert streaming.finish() == []


def test_endless_speech_is_cut_into_segments_of_bounded_length(
    english: Recognizer, speech: NDArray[np.float32]
) -> None:
    sentence = load_audio(SAMPLES / "weather.flac", RATE)[: 3 * RATE]
    config = StreamingConfig(max_segment_duration=5.0)
    found = finals(stream(english, np.tile(sentence, 6), config, block=10**6))
    assert len(found) >= 4
    assert all(result.segment.end - result.segment.start <= 5.0 for result in found)
    gaps = [after.segment.start - before.segment.end for before, after in pairwise(found)]
    assert all(-0.8 < gap < 0.5 for gap in gaps)  # they share pauses, and leave digital silence out


def test_other_threads_may_stream_with_the_same_recogniser(
    english: Recognizer, speech: NDArray[np.float32], recognized: list[StreamingResult]
) -> None:
    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(lambda _: stream(english, speech, block=10**6), range(2)):
            assert finals(found) == finals(recognized)


def test_greedy_decoder_commits_words_too(speech: NDArray[np.float32]) -> None:
    greedy = Recognizer.from_bundle(device="cpu", threads=1, decoding={"decoder": "greedy"})
    results = stream(greedy, speech)
    for partial, final in segments(results):
        assert final.text
        assert len(partial[-1].committed) > 3
        for before, after in pairwise(partial):
            assert after.committed[: len(before.committed)] == before.committed


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.array([0.0, np.nan]), "sample 1601 of the stream is nan; expected finite numbers"),
        (np.array([1e20, 0.0], np.float32), r"sample 1600 of the stream is 1e\+20; expected finite numbers"),
        (np.array([np.inf]), "sample 1600 of the stream is inf"),
        (np.zeros((2, 5)), r"the samples are float64 \(2, 5\); expected real numbers \(num_samples,\)"),
        (np.zeros(3, complex), "the samples are complex128"),
        (["a"], "the samples are <U1"),
    ],
)
def test_what_is_no_sound_is_refused_and_the_stream_goes_on(
    tiny_bundle: Bundle, samples: NDArray[np.float32], message: str
) -> None:
    streaming = StreamingRecognizer(Recognizer(tiny_bundle, device="cpu"))
    streaming.accept(np.zeros(1600))
    with pytest.raises(AudioError, match=f"^{message}"):
        streaming.accept(samples)
    streaming.accept(np.zeros(1600))
    streaming.finish()


def test_rate_out_of_range_is_refused(tiny_bundle: Bundle) -> None:
    with pytest.raises(AudioError, match=r"^the stream: the sample rate 10 Hz is out of range"):
        StreamingRecognizer(Recognizer(tiny_bundle, device="cpu"), sample_rate=10)


def test_bundle_without_statistics_says_what_to_run(tiny_bundle: Bundle) -> None:
    recognizer = Recognizer(replace(tiny_bundle, feature_statistics=None), device="cpu")
    with pytest.raises(BundleError, match=r"run `asr export FOLDER --feature-statistics MANIFEST` once"):
        StreamingRecognizer(recognizer)


def test_finished_stream_takes_no_more(tiny_bundle: Bundle) -> None:
    streaming = StreamingRecognizer(Recognizer(tiny_bundle, device="cpu"))
    streaming.finish()
    assert streaming.finish() == []
    with pytest.raises(ASRError, match="the stream is finished; begin a new StreamingRecognizer"):
        streaming.accept(np.zeros(10))


@pytest.mark.parametrize(
    ("name", "value"), [("chunk_duration", 0.0), ("right_context", float("nan")), ("max_segment_duration", 61.0)]
)
def test_settings_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"^{name} {value} s is not in \["):
        StreamingConfig(**{name: value})
