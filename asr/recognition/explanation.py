"""Why a recording gave no words: what its samples, its length and its posteriors say, as one line for its owner."""

from asr.audio.levels import MIN_SPEECH_CREST, SPEECH_LEVEL, SignalLevel
from asr.units import samples_to_seconds


def explain_no_words(
    level: SignalLevel, sample_rate: int, min_num_samples: int, blank_posterior: float, certainty: float | None = None
) -> str:
    """Say why nothing was recognised, the likeliest cause first.

    Args:
        level: How loud the recording is.
        sample_rate: Samples per second.
        min_num_samples: Samples that the model needs at least.
        blank_posterior: The mean probability that the model gave to the blank, in [0, 1].
        certainty: How sure the model was of the words that were taken for noise, in [0, 1]; `None` if there were none.

    Returns:
        One line, without a full stop.
    """
    if level.num_samples < min_num_samples:
        found, needed = (_milliseconds(samples, sample_rate) for samples in (level.num_samples, min_num_samples))
        return f"lasts {found}, shorter than the {needed} that the model needs"
    if not level.peak:
        return "digital silence: every sample is zero"
    if level.is_silent:
        return f"silence: its level is {level.decibels:.0f} dBFS, and speech lies near {SPEECH_LEVEL:.0f} dBFS"
    if level.is_clipped:
        return f"clipped: {level.clipped_fraction:.0%} of its samples are at full scale; record it quieter"
    if level.crest < MIN_SPEECH_CREST:
        crest = f"{level.crest:.1f} dB"
        return f"unlike speech: its peak is only {crest} above its mean level, as in a tone, noise or raw data"
    if certainty is not None:
        return f"unlike speech: a certainty of {certainty:.2f}, as in noise or music; --min-certainty 0 shows the words"
    return f"only blanks: the model gave them a mean posterior of {blank_posterior:.2f} and recognised no word"


def _milliseconds(num_samples: int, sample_rate: int) -> str:
    """Show a short duration."""
    return f"{samples_to_seconds(num_samples, sample_rate) * 1000:.1f} ms"
