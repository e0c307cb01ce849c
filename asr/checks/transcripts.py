"""Texts that a trained model does not find in their recordings: likely transcripts of something else."""

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
        entries: The lines. What cannot be aligned at all is skipped, because other checks report it.
        aligner: Aligns with a trained model.
        advance: Called with the seconds of audio newly done.

    Yields:
        The findings, in the order of the lines.
    """
    for entry in entries:
        try:
            waveform = load_audio(entry.utterance.source, aligner.scorer.config.sample_rate)
            alignment = aligner.align(waveform, entry.utterance.text)
        except ASRError:
            continue
        finally:
            advance(entry.utterance.duration)
        if not alignment.matches:
            loss = (
                f"each character loses {alignment.loss:.1f} nats, {alignment.mismatched:.0%} are recognised as another"
            )
            yield Finding(WRONG_TEXT, entry, f"{loss}: {quote(entry)}")
