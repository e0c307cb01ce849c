"""Features of sound that is still coming in: equal to those of the whole, but for the statistics."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.acoustic.config import MFCCConfig
from asr.acoustic.feature_stream import FeatureStatistics, FeatureStream, measure_statistics
from asr.acoustic.mfcc import compute_mfcc
from tests.acoustic.networks import FEATURES, noise


def neutral(config: MFCCConfig) -> FeatureStatistics:
    return FeatureStatistics((0.0,) * config.num_features, (1.0,) * (1 + config.delta_order))


def stream_of(samples: np.ndarray, config: MFCCConfig, prior: FeatureStatistics | None = None) -> FeatureStream:
    stream = FeatureStream(config, prior or neutral(config))
    stream.accept(samples)
    return stream


@pytest.mark.parametrize("delta_order", [0, 1, 2])
def test_long_stream_has_the_features_of_the_whole_utterance(delta_order: int) -> None:
    config = replace(FEATURES, delta_order=delta_order)
    samples = noise(60 * 16_000)
    # A prior that says what the utterance says changes nothing, so that all that differs are the edges of slopes.
    stream = stream_of(samples, config, measure_statistics([samples], config))
    whole = compute_mfcc(samples, config)
    assert stream.num_frames == len(whole) - 2 * delta_order
    inner = slice(4, stream.num_frames - 4) if delta_order else slice(0, stream.num_frames)
    np.testing.assert_allclose(stream.normalized(0, stream.num_frames)[inner], whole[inner], rtol=2e-3, atol=2e-3)


@given(st.lists(st.integers(0, 3_000), max_size=8))
def test_features_do_not_depend_on_how_the_samples_come(lengths: list[int]) -> None:
    config = replace(FEATURES, delta_order=1)
    samples = noise(9_000)
    parts = FeatureStream(config, neutral(config))
    cuts = np.minimum(np.cumsum([0, *lengths]), len(samples)).tolist()
    for begin, end in zip(cuts, [*cuts[1:], len(samples)], strict=True):
        parts.accept(samples[begin:end])
    whole = stream_of(samples, config)
    assert parts.num_frames == whole.num_frames
    np.testing.assert_allclose(parts.normalized(0, 40), whole.normalized(0, 40), atol=1e-4)


def test_prior_rules_at_first_and_the_sound_itself_later() -> None:
    loud = noise(60 * 16_000)
    expected = compute_mfcc(loud, FEATURES)
    own = measure_statistics([loud], FEATURES)
    misled = replace(own, mean=tuple(value + 2 for value in own.mean))
    differences = [
        np.abs(stream_of(loud[: seconds * 16_000], FEATURES, misled).normalized(0, 50) - expected[:50]).mean()
        for seconds in (1, 8, 60)
    ]
    assert differences[0] > differences[1] > 2 * differences[2]


def test_statistics_are_those_within_utterances() -> None:
    # Each utterance at another level: the mean differs from one to the other, the spread within them does not.
    quiet, loud = noise(16_000), 100 * noise(16_000)
    alone, together = measure_statistics([quiet], FEATURES), measure_statistics([quiet, loud], FEATURES)
    assert together.variance == pytest.approx(alone.variance, rel=0.01)
    assert together.mean[0] > alone.mean[0] + 10


def test_waveforms_shorter_than_a_frame_have_no_statistics() -> None:
    with pytest.raises(ValueError, match="no waveform is as long as a frame"):
        measure_statistics([noise(100)], FEATURES)


@pytest.mark.parametrize(
    ("mean", "variance", "message"),
    [((np.nan,), (1.0,), "mean holds NaN"), ((0.0,), (-1.0,), "variance -1.0 is negative")],
)
def test_statistics_out_of_range_are_refused(
    mean: tuple[float, ...], variance: tuple[float, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        FeatureStatistics(mean, variance)
