"""Random changes of waveforms that keep the words: what is changed, how often and how much.

    probabilities and ranges → draws for one utterance → changes (`asr.data.changes`), made one utterance at a time
                                                         in the data-loader workers, or a batch at a time on the device

The changes come in the order of nature: how high and how fast somebody speaks, the room, the noise in it, the line, the
level at its end. Every draw comes from the generator passed in, so a seed fixes the result in whichever worker it is
made. Everything is off until its probability is set.

Sources: Ko et al. (2015), doi:10.21437/Interspeech.2015-711, for speed; Ko et al. (2017),
doi:10.1109/ICASSP.2017.7953152, for rooms and noise.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Protocol, final

import torch

from asr.audio import AUDIO_EXTENSIONS, find_recordings, load_audio
from asr.data.changes import Change, Echo, Gain, LineFilter, Noise, PitchShift, Speed, TimeStretch
from asr.data.draws import draw_index, draw_number
from asr.errors import AudioError
from asr.units import Seconds, seconds_to_samples

_load_noise = lru_cache(maxsize=512)(load_audio)  # 512 clips of 5 s at 16 kHz take 164 MB in each worker
_DIRECT_TO_ECHO_DB = (-6.0, 12.0)  # from twice the distance where the two are equally loud to a quarter of it


@dataclass(frozen=True)
class AugmentConfig:
    """Which random changes a training waveform undergoes; all are off by default.

    Attributes:
        pitch_probability: Fraction of utterances spoken higher or lower at the same speed, in [0, 1]; 0 is off.
        pitch_max_semitones: Largest shift either way, in semitones, in [0, 12].
        stretch_probability: Fraction of utterances spoken faster or slower at the same pitch, in [0, 1]; 0 is off.
        stretch_min: Slowest rate as a factor, in [0.5, 2].
        stretch_max: Fastest rate as a factor, in [0.5, 2], not below stretch_min.
        speed_probability: Fraction of utterances played faster or slower, in [0, 1]; pitch changes too. 0 is off.
        speed_min: Slowest speed as a factor, in [0.5, 2]; 0.9 makes an utterance 11 % longer.
        speed_max: Fastest speed as a factor, in [0.5, 2], not below speed_min; 1.1 makes an utterance 9 % shorter.
        reverb_probability: Fraction of utterances put into a simulated room, in [0, 1]; 0 is off.
        reverb_decay_min: Shortest time in which the echo falls by 60 dB, in seconds, in [0.01, 10].
        reverb_decay_max: Longest such time, in seconds, in [0.01, 10], not below reverb_decay_min.
        noise_probability: Fraction of utterances with noise added, in [0, 1]; needs noise_dir. 0 is off.
        noise_dir: Folder of noise recordings, searched with its subfolders; none by default.
        noise_exclude: Pattern of file names in noise_dir to leave out, such as *_5-*; none by default.
        noise_snr_min_db: Loudest noise as a signal-to-noise ratio in dB over the utterance, in [-100, 100].
        noise_snr_max_db: Faintest noise as such a ratio in dB, in [-100, 100], not below noise_snr_min_db.
        band_limit_probability: Fraction of utterances low-passed as by a line of 8 kHz, in [0, 1]; half of these also
            lose what is below 200 Hz, and part of what is below 300 Hz, as on the telephone. 0 is off.
        gain_probability: Fraction of utterances made louder or quieter, in [0, 1]; 0 is off.
        gain_min_db: Strongest attenuation in dB, in [-100, 100]; -10 divides the amplitude by 3.
        gain_max_db: Strongest gain in dB, in [-100, 100], not below gain_min_db; less where peaks would clip.
        on_device: Make all these changes but pitch and stretch on the device that trains, a batch at a time, instead of
            in the workers; for GPUs. The draws are the same.
    """

    pitch_probability: float = 0.0
    pitch_max_semitones: float = 2.0
    stretch_probability: float = 0.0
    stretch_min: float = 0.9
    stretch_max: float = 1.1
    speed_probability: float = 0.0
    speed_min: float = 0.9
    speed_max: float = 1.1
    reverb_probability: float = 0.0
    reverb_decay_min: Seconds = 0.1
    reverb_decay_max: Seconds = 0.6
    noise_probability: float = 0.0
    noise_dir: str | None = None
    noise_exclude: str | None = None
    noise_snr_min_db: float = 5.0
    noise_snr_max_db: float = 30.0
    band_limit_probability: float = 0.0
    gain_probability: float = 0.0
    gain_min_db: float = -10.0
    gain_max_db: float = 6.0
    on_device: bool = False

    def __post_init__(self) -> None:
        """Check every range."""
        for change in ("pitch", "stretch", "speed", "reverb", "noise", "band_limit", "gain"):
            name = f"{change}_probability"
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected a fraction in [0, 1]")
        if not 0 <= self.pitch_max_semitones <= 12:
            raise ValueError(f"pitch_max_semitones is {self.pitch_max_semitones}; expected a number in [0, 12]")
        for low_name, high_name, lowest, highest in (
            ("stretch_min", "stretch_max", 0.5, 2),
            ("speed_min", "speed_max", 0.5, 2),
            ("reverb_decay_min", "reverb_decay_max", 0.01, 10),
            ("noise_snr_min_db", "noise_snr_max_db", -100, 100),
            ("gain_min_db", "gain_max_db", -100, 100),
        ):
            low, high = getattr(self, low_name), getattr(self, high_name)
            if not lowest <= low <= high <= highest:
                raise ValueError(f"{low_name} {low} and {high_name} {high} are not in order in [{lowest}, {highest}]")
        if self.noise_probability > 0 and not self.noise_dir:
            raise ValueError("noise_probability is above 0 but noise_dir is not set; name a folder of noise recordings")

    @property
    def max_speed(self) -> float:
        """The largest factor, 1 at least, by which the changes that are on can shorten an utterance."""
        stretch = self.stretch_max if self.stretch_probability > 0 else 1.0
        speed = self.speed_max if self.speed_probability > 0 else 1.0
        return max(1.0, stretch) * max(1.0, speed)


class RandomChange(Protocol):
    """A random change of a waveform that keeps its words."""

    def draw(self, sample_rate: int, generator: torch.Generator) -> Change:
        """Decide what the change will be.

        Args:
            sample_rate: Samples per second of the waveform.
            generator: The source of every random draw, on the CPU.

        Returns:
            The change, to be made of any waveform of this rate.
        """


def build_augment(config: AugmentConfig) -> "Compose":
    """Put together the changes that a configuration asks for.

    Args:
        config: Which changes, how often and how strong.

    Returns:
        The changes; with every probability 0, the identity.

    Raises:
        AudioError: If noise is asked for and its folder is missing or holds no recording.
    """
    semitones = (-config.pitch_max_semitones, config.pitch_max_semitones)
    voice: tuple[tuple[float, RandomChange], ...] = (
        (config.pitch_probability, ShiftPitch(semitones)),
        (config.stretch_probability, StretchTime((config.stretch_min, config.stretch_max))),
    )
    noises: tuple[Path, ...] = ()
    if config.noise_probability > 0 and config.noise_dir:
        noises = _list_noises(Path(config.noise_dir), config.noise_exclude)
    return Compose((
        # Left out where they are off: a stage draws one number, and seeds from before them shall mean the same.
        *((probability, change) for probability, change in voice if probability > 0),
        (config.speed_probability, ChangeSpeed((config.speed_min, config.speed_max))),
        (config.reverb_probability, Reverberate((config.reverb_decay_min, config.reverb_decay_max))),
        (config.noise_probability, AddNoise(noises, (config.noise_snr_min_db, config.noise_snr_max_db))),
        (config.band_limit_probability, BandLimit()),
        (config.gain_probability, ChangeGain((config.gain_min_db, config.gain_max_db))),
    ))


@final
@dataclass(frozen=True)
class Compose:
    """Several changes one after the other, each with its own probability.

    Attributes:
        stages: Pairs of a probability in [0, 1] and a change, in the order of application.
    """

    stages: tuple[tuple[float, RandomChange], ...]

    def draw(self, sample_rate: int, generator: torch.Generator) -> list[Change]:
        """Choose the changes of one waveform.

        Args:
            sample_rate: Samples per second of the waveform.
            generator: The source of every random draw, on the CPU.

        Returns:
            The changes, in the order in which to make them.
        """
        return [
            change.draw(sample_rate, generator)
            for probability, change in self.stages
            if draw_number(0.0, 1.0, generator) < probability
        ]


@final
@dataclass(frozen=True)
class ShiftPitch:
    """Speak higher or lower at the same speed.

    Attributes:
        semitones: Lowest and highest shift, in semitones; below 0 is lower.
    """

    semitones: tuple[float, float]

    def draw(self, sample_rate: int, generator: torch.Generator) -> Change:
        """Draw the shift; see `RandomChange`."""
        return PitchShift(draw_number(*self.semitones, generator))


@final
@dataclass(frozen=True)
class StretchTime:
    """Speak faster or slower at the same pitch.

    Attributes:
        rates: Slowest and fastest, in [0.5, 2].
    """

    rates: tuple[float, float]

    def draw(self, sample_rate: int, generator: torch.Generator) -> Change:
        """Draw the rate; see `RandomChange`."""
        return TimeStretch(draw_number(*self.rates, generator))


@final
@dataclass(frozen=True)
class ChangeSpeed:
    """Play faster or slower, which changes the pitch too.

    Attributes:
        factors: Slowest and fastest, in [0.5, 2].
    """

    factors: tuple[float, float]

    def draw(self, sample_rate: int, generator: torch.Generator) -> Change:
        """Draw the speed; see `RandomChange`."""
        return Speed(round(sample_rate * draw_number(*self.factors, generator)), sample_rate)


@final
@dataclass(frozen=True)
class Reverberate:
    """Put the speaker into a room: the direct sound, at once, and noise that decays exponentially.

    Attributes:
        decays: Shortest and longest time in which the echo falls by 60 dB, in seconds.
    """

    decays: tuple[Seconds, Seconds]

    def draw(self, sample_rate: int, generator: torch.Generator) -> Change:
        """Draw a room and a distance; see `RandomChange`."""
        decay = seconds_to_samples(draw_number(*self.decays, generator), sample_rate)
        tail = torch.randn(decay, generator=generator) * 10 ** (-3 * torch.arange(decay) / decay)
        impulse_response = tail / tail.norm() * 10 ** (-draw_number(*_DIRECT_TO_ECHO_DB, generator) / 20)
        impulse_response[0] = 1.0
        return Echo(impulse_response)


@final
@dataclass(frozen=True)
class AddNoise:
    """Add a stretch of a noise recording.

    Attributes:
        files: Noise recordings; each is read once and kept.
        snrs_db: Lowest and highest signal-to-noise ratio in dB, over the whole utterance.
    """

    files: tuple[Path, ...]
    snrs_db: tuple[float, float]

    def draw(self, sample_rate: int, generator: torch.Generator) -> Change:
        """Draw a recording, where it begins and how loud it is; see `RandomChange`."""
        clip = torch.from_numpy(_load_noise(self.files[draw_index(len(self.files), generator)], sample_rate))
        offset = draw_index(len(clip), generator)
        return Noise(clip, offset, 10 ** (-draw_number(*self.snrs_db, generator) / 20))


@final
@dataclass(frozen=True)
class BandLimit:
    """Keep what a line of 8 kHz carries: nothing above 4 kHz and, half of the time, nothing below 200 Hz."""

    def draw(self, sample_rate: int, generator: torch.Generator) -> Change:
        """Draw the line: full level from 300 (or 0) to 3,400 Hz. See `RandomChange`."""
        # The gain falls in a straight line from 1 at 3,400 Hz to 0 at 4,000 Hz, and from 1 at 300 Hz to 0 at 200 Hz.
        delay = sample_rate // 20  # the filter rings for less than 0.05 s to either side
        frequencies = torch.fft.rfftfreq(2 * delay, 1 / sample_rate)
        response = ((4000 - frequencies) / 600).clamp(0, 1)
        if draw_number(0.0, 1.0, generator) < 0.5:
            response = response * ((frequencies - 200) / 100).clamp(0, 1)
        return LineFilter(torch.fft.irfft(response).roll(delay))


@final
@dataclass(frozen=True)
class ChangeGain:
    """Make the whole utterance louder or quieter.

    Attributes:
        gains_db: Lowest and highest gain in dB.
    """

    gains_db: tuple[float, float]

    def draw(self, sample_rate: int, generator: torch.Generator) -> Change:
        """Draw the gain; see `RandomChange`."""
        return Gain(10 ** (draw_number(*self.gains_db, generator) / 20))


def _list_noises(folder: Path, exclude: str | None) -> tuple[Path, ...]:
    """List the recordings below a folder, sorted, so that a seed chooses the same ones everywhere."""
    if not folder.is_dir():
        raise AudioError(f"{folder}: no such folder; set noise_dir to a folder of noise recordings")
    recordings = find_recordings(folder)
    kept = tuple(path for path in recordings if not fnmatchcase(path.name, exclude or ""))
    if not kept:
        found = f"{len(recordings)} noise recordings, and noise_exclude {exclude!r} keeps none"
        raise AudioError(f"{folder}: {found}; expected files with the extension {', '.join(sorted(AUDIO_EXTENSIONS))}")
    return kept
