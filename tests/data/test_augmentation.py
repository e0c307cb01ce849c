"""Augmentation is measured from outside: by spectra, energies and counts of what changed."""

import math
import re
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from asr.data.augmentation import AugmentConfig, ChangeGain, Compose, build_augment
from asr.data.changes import Change
from asr.data.device_changes import apply_changes, collect_changes, is_for_device
from asr.errors import AudioError

RATE = 16_000
CHANGES = [
    AugmentConfig(pitch_probability=1),
    AugmentConfig(stretch_probability=1),
    AugmentConfig(speed_probability=1),
    AugmentConfig(reverb_probability=1),
    AugmentConfig(band_limit_probability=1),
    AugmentConfig(gain_probability=1),
]


@pytest.fixture
def noise_dir(tmp_path: Path) -> Path:
    """Two recordings of noise: fold 1 is a low tone, fold 5 a high one."""
    folder = tmp_path / "noise"
    (folder / "deeper").mkdir(parents=True)
    write(folder / "deeper" / "low_1-a.wav", tone(500, 0.5))
    write(folder / "high_5-a.wav", tone(3000, 0.5))
    (folder / "README.md").write_text("not a recording", encoding="utf-8")
    return folder


def everything(noise_dir: Path) -> AugmentConfig:
    return AugmentConfig(
        pitch_probability=1,
        stretch_probability=1,
        speed_probability=1,
        reverb_probability=1,
        noise_probability=1,
        noise_dir=str(noise_dir),
        band_limit_probability=1,
        gain_probability=1,
    )


def write(path: Path, waveform: Tensor) -> None:
    soundfile.write(path, waveform.numpy(), RATE, subtype="FLOAT")


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tone(frequency: float, duration: float) -> Tensor:
    times = torch.arange(round(duration * RATE), dtype=torch.float64) / RATE
    return (0.3 * torch.sin(2 * math.pi * frequency * times)).float()


def hiss(duration: float, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(round(duration * RATE), generator=seeded(seed))


def impulse(position: int, num_samples: int) -> Tensor:
    waveform = torch.zeros(num_samples)
    waveform[position] = 0.5
    return waveform


@pytest.fixture(autouse=True, params=["one by one", "in a batch"])
def in_batch(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test see both ways to make changes."""
    monkeypatch.setattr(f"{__name__}.make_changes", {"one by one": one_by_one, "in a batch": in_a_batch}[request.param])


def one_by_one(waveform: Tensor, changes: list[Change]) -> Tensor:
    for change in changes:
        waveform = change.apply(waveform, RATE)
    return waveform


def in_a_batch(waveform: Tensor, changes: list[Change]) -> Tensor:
    """Make the changes beside those of a longer waveform, which has them too, and of one that has none."""
    waveform = one_by_one(waveform, [change for change in changes if not is_for_device(change)])
    left = [change for change in changes if is_for_device(change)]
    waveforms = [hiss(0.02), waveform, hiss(0.1 + len(waveform) / RATE)]
    lengths = [len(each) for each in waveforms]
    collected = collect_changes([[], left, left], lengths)
    changed = apply_changes(torch.nn.utils.rnn.pad_sequence(waveforms, batch_first=True), collected)
    assert torch.equal(changed[0, : lengths[0]], waveforms[0])
    assert all(not row[length:].any() for row, length in zip(changed, collected.lengths, strict=True))
    return changed[1, : collected.lengths[1]]


make_changes = one_by_one


def augment(config: AugmentConfig, waveform: Tensor, seed: int = 0) -> Tensor:
    return make_changes(waveform, build_augment(config).draw(RATE, seeded(seed)))


def energy(waveform: Tensor) -> float:
    return float(np.square(waveform.numpy().astype(np.float64)).sum())


def band_energy(waveform: Tensor, low: float, high: float) -> float:
    spectrum = np.abs(np.fft.rfft(waveform.numpy().astype(np.float64))) ** 2
    frequencies = np.fft.rfftfreq(len(waveform), 1 / RATE)
    return float(spectrum[(frequencies >= low) & (frequencies < high)].sum())


def main_frequency(waveform: Tensor) -> float:
    windowed = waveform.numpy() * np.hanning(len(waveform))
    return float(np.abs(np.fft.rfft(windowed)).argmax() * RATE / len(waveform))


def decibels(ratio: float) -> float:
    return 10 * math.log10(ratio)


def test_the_default_configuration_changes_nothing() -> None:
    waveform = hiss(0.5)
    assert torch.equal(augment(AugmentConfig(), waveform), waveform)


def test_the_same_seed_gives_the_same_waveform_whatever_the_global_seed(noise_dir: Path) -> None:
    config = everything(noise_dir)
    torch.manual_seed(1)
    first = augment(config, hiss(0.5), seed=7)
    torch.manual_seed(2)
    assert torch.equal(augment(config, hiss(0.5), seed=7), first)


@pytest.mark.parametrize("config", CHANGES)
def test_another_seed_gives_another_waveform(config: AugmentConfig) -> None:
    outputs = {tuple(augment(config, hiss(0.1), seed=seed).tolist()) for seed in range(8)}
    assert len(outputs) > 1


def test_the_global_generator_and_the_input_stay_as_they_are(noise_dir: Path) -> None:
    waveform, before = hiss(0.5), torch.get_rng_state()
    augment(everything(noise_dir), waveform)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(waveform, hiss(0.5))


@pytest.mark.parametrize("num_samples", [1, 2, 100, 16_001])
def test_silence_stays_finite_and_not_empty(num_samples: int, noise_dir: Path) -> None:
    config = everything(noise_dir)
    for seed in range(5):
        output = augment(config, torch.zeros(num_samples), seed=seed)
        assert output.dtype == torch.float32
        assert len(output) > 0
        assert not output.any()


def test_a_change_is_applied_as_often_as_its_probability_says() -> None:
    compose, generator = Compose(((0.3, ChangeGain((-6.0, -6.0))),)), seeded(0)
    changed = sum(len(compose.draw(RATE, generator)) for _ in range(2000))
    assert abs(changed - 600) < 4 * math.sqrt(2000 * 0.3 * 0.7)  # four standard deviations of the binomial


@settings(max_examples=5)
@given(st.integers(0, 2**31))
def test_pitch_shift_keeps_the_duration_and_moves_the_pitch_within_its_bounds(seed: int) -> None:
    output = augment(AugmentConfig(pitch_probability=1, pitch_max_semitones=4), tone(1000, 1.0), seed)
    semitones = 12 * math.log2(main_frequency(output) / 1000)
    assert output.dtype == torch.float32
    assert len(output) == RATE
    assert 0.05 < abs(semitones) < 4.02  # bins are 1 Hz, 0.02 semitones, apart


@settings(max_examples=5)
@given(st.floats(0.8, 1.25))
def test_time_stretch_keeps_the_pitch_and_divides_the_duration(rate: float) -> None:
    output = augment(AugmentConfig(stretch_probability=1, stretch_min=rate, stretch_max=rate), tone(1000, 1.0))
    assert output.dtype == torch.float32
    assert abs(len(output) - RATE / rate) <= 1
    assert main_frequency(output) == pytest.approx(1000, abs=2)  # bins are about 1 Hz apart


def test_a_waveform_shorter_than_the_window_of_the_vocoder_stays_as_it_is() -> None:
    config = AugmentConfig(pitch_probability=1, stretch_probability=1)
    assert torch.equal(augment(config, hiss(0.05)), hiss(0.05))


def test_pitch_shift_and_time_stretch_that_are_off_leave_the_other_draws_alone(noise_dir: Path) -> None:
    config = AugmentConfig(gain_probability=1)
    stages = build_augment(config).stages
    assert len(stages) == len(build_augment(everything(noise_dir)).stages) - 2


@settings(max_examples=10)
@given(st.floats(0.9, 1.1))
def test_speed_multiplies_the_frequency_and_divides_the_duration(factor: float) -> None:
    config = AugmentConfig(speed_probability=1, speed_min=factor, speed_max=factor)
    output = augment(config, tone(1000, 2.0))
    assert abs(len(output) - 2 * RATE / factor) <= 1 + 1 / factor**2  # rates are whole numbers of hertz
    assert main_frequency(output) == pytest.approx(1000 * factor, abs=1)  # bins are 0.5 Hz apart


def test_speed_stays_in_its_range_and_varies() -> None:
    config = AugmentConfig(speed_probability=1, speed_min=0.95, speed_max=1.05)
    lengths = {len(augment(config, torch.zeros(10_000), seed=seed)) for seed in range(60)}
    assert min(lengths) >= 10_000 / 1.05
    assert max(lengths) <= 10_000 / 0.95 + 1
    assert len(lengths) > 5


def test_speeding_up_does_not_fold_high_frequencies_down() -> None:
    config = AugmentConfig(speed_probability=1, speed_min=1.1, speed_max=1.1)
    output = augment(config, tone(7900, 1.0) * torch.hann_window(RATE))  # would become 8,690 Hz
    assert energy(output) < 1e-3 * energy(tone(7900, 1.0))


def test_reverberation_keeps_length_and_energy() -> None:
    output = augment(AugmentConfig(reverb_probability=1), hiss(1.0))
    assert len(output) == RATE
    assert energy(output) == pytest.approx(energy(hiss(1.0)), rel=1e-4)


def test_reverberation_is_the_same_convolution_for_a_long_waveform_and_an_impulse() -> None:
    config = AugmentConfig(reverb_probability=1)
    response = augment(config, impulse(0, RATE)).numpy().astype(np.float64)
    expected = np.convolve(hiss(1.0).numpy().astype(np.float64), response)[:RATE]
    expected *= math.sqrt(energy(hiss(1.0)) / np.square(expected).sum())
    np.testing.assert_allclose(augment(config, hiss(1.0)).numpy(), expected, atol=1e-5)  # a float32 transform


def test_reverberation_starts_with_the_direct_sound() -> None:
    output = augment(AugmentConfig(reverb_probability=1), impulse(1000, RATE))
    assert output.abs().argmax() == 1000
    assert output[:1000].abs().max() < 1e-6  # the rounding of a float32 transform
    assert output[1001:].abs().max() > 1e-3


@pytest.mark.parametrize("decay", [0.2, 0.6])
def test_the_echo_falls_by_60_db_in_the_time_asked_for(decay: float) -> None:
    config = AugmentConfig(reverb_probability=1, reverb_decay_min=decay, reverb_decay_max=decay)
    echo = augment(config, impulse(0, RATE))[1:].numpy().astype(np.float64)
    remaining = 10 * np.log10(np.cumsum((echo**2)[::-1])[::-1][: round(decay * RATE) // 2])  # Schroeder (1965)
    slope = np.polyfit(np.arange(len(remaining)) / RATE, remaining, 1)[0]
    assert -60 / slope == pytest.approx(decay, rel=0.1)  # one draw of noise


@pytest.mark.parametrize("snr", [-5.0, 0.0, 20.0])
def test_noise_has_the_signal_to_noise_ratio_asked_for(snr: float, noise_dir: Path) -> None:
    config = AugmentConfig(noise_probability=1, noise_dir=str(noise_dir), noise_snr_min_db=snr, noise_snr_max_db=snr)
    added = augment(config, hiss(1.3)) - hiss(1.3)
    assert decibels(energy(hiss(1.3)) / energy(added)) == pytest.approx(snr, abs=0.1)


def test_excluded_noise_is_never_added(noise_dir: Path) -> None:
    config = AugmentConfig(noise_probability=1, noise_dir=str(noise_dir))
    kept = replace(config, noise_exclude="*_5-*")
    added = {round(main_frequency(augment(config, hiss(0.5), seed) - hiss(0.5)), -1) for seed in range(20)}
    added_without_fold_5 = {round(main_frequency(augment(kept, hiss(0.5), seed) - hiss(0.5)), -1) for seed in range(20)}
    assert added == {500, 3000}
    assert added_without_fold_5 == {500}


def test_short_noise_is_repeated_from_a_random_position(tmp_path: Path) -> None:
    write(tmp_path / "short.wav", hiss(0.01, seed=1))
    config = AugmentConfig(noise_probability=1, noise_dir=str(tmp_path))
    added = [augment(config, hiss(0.1), seed) - hiss(0.1) for seed in range(5)]
    for noise in added:
        torch.testing.assert_close(noise[160:], noise[:-160], atol=1e-6, rtol=0)  # the rounding of the sum
    starts = {int(noise[:160].argmax()) for noise in added}
    assert len(starts) > 1


def test_silent_noise_adds_nothing(tmp_path: Path) -> None:
    write(tmp_path / "silence.wav", torch.zeros(RATE))
    config = AugmentConfig(noise_probability=1, noise_dir=str(tmp_path))
    assert torch.equal(augment(config, hiss(0.5)), hiss(0.5))


def test_a_noise_recording_is_read_once(noise_dir: Path) -> None:
    build = build_augment(AugmentConfig(noise_probability=1, noise_dir=str(noise_dir), noise_exclude="high*"))
    first = make_changes(hiss(0.5), build.draw(RATE, seeded(0)))
    (noise_dir / "deeper" / "low_1-a.wav").unlink()
    assert torch.equal(make_changes(hiss(0.5), build.draw(RATE, seeded(0))), first)


def test_a_missing_noise_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="nowhere: no such folder"):
        build_augment(AugmentConfig(noise_probability=0.5, noise_dir=str(tmp_path / "nowhere")))


@pytest.mark.parametrize(("exclude", "found"), [("*.wav", "2 noise recordings"), ("*", "2 noise recordings")])
def test_a_noise_folder_with_nothing_left_is_refused(exclude: str, found: str, noise_dir: Path) -> None:
    with pytest.raises(AudioError, match=found):
        build_augment(AugmentConfig(noise_probability=0.5, noise_dir=str(noise_dir), noise_exclude=exclude))


def test_a_noise_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"0 noise recordings.* \.wav"):
        build_augment(AugmentConfig(noise_probability=0.5, noise_dir=str(tmp_path)))


def test_an_unused_noise_folder_is_not_opened(tmp_path: Path) -> None:
    config = AugmentConfig(noise_dir=str(tmp_path / "nowhere"))
    assert torch.equal(augment(config, hiss(0.1)), hiss(0.1))


def test_band_limiting_removes_what_an_8_khz_line_cannot_carry() -> None:
    before, after = hiss(2.0), augment(AugmentConfig(band_limit_probability=1), hiss(2.0))
    assert len(after) == len(before)
    # The cut to the old length leaks a little at both ends.
    assert band_energy(after, 4000, 8001) < 1e-4 * band_energy(before, 4000, 8001)
    assert band_energy(after, 300, 3400) == pytest.approx(band_energy(before, 300, 3400), rel=0.01)


def test_band_limiting_removes_the_lows_half_of_the_time() -> None:
    config, before = AugmentConfig(band_limit_probability=1), band_energy(hiss(1.0), 0, 200)
    kept = [band_energy(augment(config, hiss(1.0), seed), 0, 200) / before for seed in range(40)]
    assert all(fraction < 0.01 or fraction > 0.99 for fraction in kept)
    assert 8 <= sum(fraction < 0.01 for fraction in kept) <= 32  # four standard deviations of the binomial


def test_band_limiting_does_not_delay() -> None:
    for seed in range(4):
        output = augment(AugmentConfig(band_limit_probability=1), impulse(4000, RATE), seed)
        assert output.abs().argmax() == 4000


@given(st.floats(-20.0, 6.0))
def test_gain_is_what_the_setting_says_in_db(gain: float) -> None:
    config = AugmentConfig(gain_probability=1, gain_min_db=gain, gain_max_db=gain)
    output = augment(config, tone(440, 0.5))
    assert decibels(energy(output) / energy(tone(440, 0.5))) == pytest.approx(gain, abs=1e-3)


@given(st.floats(0.6, 2.0))
def test_gain_never_clips(peak: float) -> None:
    config = AugmentConfig(gain_probability=1, gain_min_db=6, gain_max_db=6)
    waveform = tone(440, 0.5) * peak / 0.3
    output = augment(config, waveform)
    assert output.abs().max() == pytest.approx(1, abs=1e-6)
    torch.testing.assert_close(output / output.abs().max(), waveform / waveform.abs().max())


PROBABILITIES = [field.name for field in fields(AugmentConfig) if field.name.endswith("_probability")]


@given(st.sampled_from(PROBABILITIES), st.floats().filter(lambda value: not 0 <= value <= 1))
def test_a_probability_outside_0_to_1_is_named_in_one_line(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"^{name} is {re.escape(str(value))}; expected .*$"):
        AugmentConfig(**{name: value})  # type: ignore[arg-type]  # the name is that of a number


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"speed_min": 0.4}, "speed_min 0.4"),
        ({"speed_min": 1.2}, "speed_min 1.2 and speed_max 1.1 are not in order"),
        ({"stretch_max": 2.5}, "stretch_max 2.5"),
        ({"pitch_max_semitones": 13}, "pitch_max_semitones is 13"),
        ({"noise_snr_max_db": math.inf}, "noise_snr_max_db inf"),
        ({"reverb_decay_min": 0}, "reverb_decay_min 0"),
        ({"gain_min_db": math.nan}, "gain_min_db nan"),
        ({"noise_probability": 0.5}, "noise_dir is not set"),
    ],
)
def test_a_setting_out_of_range_is_named_in_one_line(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        AugmentConfig(**settings)  # type: ignore[arg-type]  # a mixed dictionary of settings
    assert "\n" not in str(caught.value)


def test_the_largest_speed_is_that_of_the_changes_that_are_on_and_never_below_1() -> None:
    assert AugmentConfig().max_speed == 1
    assert AugmentConfig(speed_probability=0.5, speed_max=1.2).max_speed == pytest.approx(1.2)
    assert AugmentConfig(stretch_probability=0.5, stretch_min=0.8, stretch_max=0.9).max_speed == 1
    both = AugmentConfig(speed_probability=0.5, speed_max=1.2, stretch_probability=0.5, stretch_max=1.1)
    assert both.max_speed == pytest.approx(1.32)
