"""Texts that a model does not hear in their recordings: likely transcripts of something else."""

from collections.abc import Callable, Iterable, Iterator

from asr.alignment.text import TextAligner
from asr.audio import load_audio
from asr.checks.findings import WRONG_TEXT, Entry, Finding
from asr.checks.texts import quote
from asr.errors import ASRError
from asr.units import Seconds


def find_wrong_texts(
    entries: Iterable[Entry], aligner: TextAligner, advance: Callable[[Seconds], None]
) -> Iterator[Finding]:
    """Find texts that were not spoken in their recordings.

    Args:
        entries: The lines. What cannot be aligned at all is passed over, for other examinations name it.
        aligner: The model that listens.
        advance: Called with the seconds of audio newly done.

    Yields:
        The findings, in the order of the lines.
    """
    for entry in entries:
        try:
            waveform = load_audio(entry.utterance.audio_filepath, aligner.scorer.config.sample_rate)
            alignment = aligner.align(waveform, entry.utterance.text)
        except ASRError:
            continue
        finally:
            advance(entry.utterance.duration)
        if not alignment.matches:
            loss = f"each character loses {alignment.loss:.1f} nats, {alignment.mismatched:.0%} stand where another is"
            yield Finding(WRONG_TEXT, entry, f"{loss} heard: {quote(entry)}")
