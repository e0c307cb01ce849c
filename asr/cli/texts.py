"""Which recordings a command line pairs with which texts."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from asr.alignment.numbers import spell_numbers
from asr.batch.inputs import Input, find_inputs, identify, name_results, take_recordings
from asr.data.manifest import ManifestRecording, read_recordings
from asr.errors import AlignmentError, ASRError, AudioError, ManifestError
from asr.files import read_text
from asr.text import strip_cues

PairedInput: TypeAlias = tuple[Input, str]  # a recording and what is said in it


def find_texts(
    audio: str | None, text: str | None, text_file: Path | None, manifest: Path | None, *, numbers: str | None = None
) -> list[PairedInput]:
    """List recordings with the texts spoken in them.

    Args:
        audio: A recording, or `-`; `None` with a manifest.
        text: What is said in it.
        text_file: UTF-8 file with what is said in it, instead of `text`.
        manifest: Recordings and their texts, instead of one.
        numbers: The language to spell numbers in digits in; they stay if not given.

    Returns:
        Each recording and its text.

    Raises:
        ASRError: If not exactly one source of recordings and of texts is given, or it cannot be read.
        AudioError: If `audio` holds several recordings.
    """
    if (manifest is None) != (audio is not None):
        raise ASRError("give either AUDIO or --manifest")
    if (audio is not None) != ((text_file is None) != (text is None)):
        raise ASRError("give either TEXT or --text with AUDIO, and neither with --manifest")
    if manifest is not None:
        pairs = _read_pairs(manifest)
    else:
        inputs = find_inputs([audio or "-"])
        if len(inputs) > 1:
            raise AudioError(f"{audio}: holds {len(inputs)} recordings, expected one; give several with --manifest")
        pairs = [(inputs[0], _read_text(text_file) if text_file else text or "")]
    return [(item, spell_numbers(words, numbers)) for item, words in pairs] if numbers else pairs


def _read_text(path: Path) -> str:
    """Read a text file."""
    try:
        return strip_cues(read_text(path))
    except UnicodeDecodeError as error:
        raise AlignmentError(f"{path}: not a text in UTF-8 ({error.reason}); save it in that encoding") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise AlignmentError(f"{path}: cannot be read: {reason}; give a text file, or the text with --text") from error


def _read_pairs(manifest: Path) -> list[PairedInput]:
    """Read the recordings of a manifest and their texts; a recording may come with several texts."""
    recordings = read_recordings(manifest)
    inputs = list(take_recordings(recordings, manifest))
    different = {identify(item): item for item in inputs}
    named = dict(zip(different, name_results(list(different.values())), strict=True))
    counts: Counter[Path] = Counter()
    pairs = []
    for item, recording in zip((named[identify(each)] for each in inputs), recordings, strict=True):
        counts[item.stem] += 1
        if counts[item.stem] > 1:
            item = replace(item, stem=item.stem.with_name(f"{item.stem.name}-{counts[item.stem]}"))
        text = None if isinstance(recording, ManifestError) else recording.text
        if text is None and isinstance(recording, ManifestRecording):
            item = replace(item, error=ManifestError(f"{recording.location}: no text; write down what is said"))
        pairs.append((item, text or ""))
    return pairs
