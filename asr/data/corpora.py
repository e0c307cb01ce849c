"""Corpora on disk to entries: one for each utterance that the corpus lists.

A reader knows where its corpus keeps names, texts and speakers, and opens no recording. It yields an `Entry` for an
utterance and a `Rejection` for what cannot become one, so nothing that a corpus lists is lost silently. A folder that
is not that corpus at all is a `ManifestError` that names the file expected.
"""

import os.path
import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from asr.audio import find_recordings
from asr.data.tables import TO_THE_END, is_span, read_columns, read_lines, read_pairs
from asr.errors import ManifestError
from asr.units import Seconds

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_FSDD_STEM = re.compile(r"(\d)_(.+)_(\d+)")
# Takes 0 to 4 are the published test set; the next five are held out of the rest for validation.
_FSDD_SPLITS = ("test", "validation", "train")
_AN4_LINE = re.compile(r"(.*)\(([^()\s]+)\)")
_PART_NAMES = ("start", "offset", "end", "")  # columns that make a row the text of a part of its recording
_MARKUP = re.compile(r"<[^<>]*>")  # <s>, </s> and <sil>, which are no words


@dataclass(frozen=True)
class Entry:
    """One utterance as a corpus lists it, before its recording is opened.

    Attributes:
        audio_filepath: Where the recording should be.
        text: The transcript, as the corpus spells it.
        utterance_id: The corpus's name for the utterance.
        speaker: The speaker, where the corpus names one.
        start: Seconds into the recording where the utterance starts.
        end: Seconds into the recording where it ends; None at the recording's own end.
    """

    audio_filepath: Path
    text: str
    utterance_id: str
    speaker: str | None = None
    start: Seconds = 0.0
    end: Seconds | None = None


@dataclass(frozen=True)
class Rejection:
    """Something a corpus lists that cannot become an utterance.

    Attributes:
        audio_filepath: The recording, or the file that should have named it.
        reason: One of a few fixed phrases, to count by.
        detail: What was found.
    """

    audio_filepath: str
    reason: str
    detail: str


Record: TypeAlias = Entry | Rejection


def read_librispeech(source: Path) -> Iterator[Record]:
    """Read LibriSpeech: `SPEAKER/CHAPTER/*.trans.txt` beside FLAC files, at any depth.

    Args:
        source: A subset such as `train-clean-100`, or a folder that holds several.

    Yields:
        The utterances in the order of their names, then the recordings that no transcript lists.

    Raises:
        ManifestError: If there is no `*.trans.txt`, or one cannot be read.
    """
    transcripts = sorted(source.rglob("*.trans.txt"))
    if not transcripts:
        raise ManifestError(f"{source}: not LibriSpeech; expected SPEAKER/CHAPTER/*.trans.txt in it")
    listed = set()
    for transcript in transcripts:
        for _, line in read_lines(transcript):
            utterance_id, _, text = line.partition(" ")
            audio = transcript.parent / f"{utterance_id}.flac"
            listed.add(audio)
            yield Entry(audio, text, utterance_id, speaker=utterance_id.partition("-")[0])
    yield from _reject_unlisted(source.rglob("*.flac"), listed)


def read_ljspeech(source: Path) -> Iterator[Record]:
    """Read LJ Speech: `metadata.csv` with `id|text|text with numbers spelled out`, and `wavs/`.

    Args:
        source: The folder of `metadata.csv`.

    Yields:
        The utterances in the order of the lines, then the recordings that no line lists.

    Raises:
        ManifestError: If `metadata.csv` cannot be read.
    """
    metadata = source / "metadata.csv"
    listed = set()
    for number, line in read_lines(metadata):
        utterance_id, *texts = line.split("|")
        audio = source / "wavs" / f"{utterance_id}.wav"
        listed.add(audio)
        if texts:
            # Some lines lack the spelled-out text.
            yield Entry(audio, texts[-1] if texts[-1].strip() else texts[0], utterance_id, speaker="LJ")
        else:
            yield Rejection(str(audio), "malformed line", f"{metadata.name}:{number}: expected id|text, got {line!r}")
    yield from _reject_unlisted((source / "wavs").glob("*.wav"), listed)


def read_commonvoice(source: Path, *, split: str = "train") -> Iterator[Record]:
    """Read one split of one language of Common Voice: `SPLIT.tsv` and `clips/`.

    Args:
        source: The folder of a language.
        split: The table to read, such as train, dev, test or validated.

    Yields:
        The utterances in the order of the lines.

    Raises:
        ManifestError: If the table cannot be read or lacks a column.
    """
    yield from _read_table(source / f"{split}.tsv", source / "clips", ("path",), ("sentence",), ("client_id",))


def read_an4(source: Path, *, split: str = "train") -> Iterator[Record]:
    """Read AN4: `etc/an4_SPLIT.transcription`, `etc/an4_SPLIT.fileids` and `wav/`.

    Args:
        source: The folder that holds `etc` and `wav`.
        split: train or test.

    Yields:
        The utterances in the order of the file ids. Headerless `.raw` recordings are rejected, because nothing in
        them tells their byte order.

    Raises:
        ManifestError: If one of the two lists cannot be read.
    """
    transcription = source / "etc" / f"an4_{split}.transcription"
    texts = {}
    for number, line in read_lines(transcription):
        match = _AN4_LINE.fullmatch(line.strip())
        if match:
            texts[match[2]] = _MARKUP.sub(" ", match[1])
        else:
            detail = f"{transcription.name}:{number}: expected TEXT (id), got {line!r}"
            yield Rejection(str(transcription), "malformed line", detail)
    for _, line in read_lines(source / "etc" / f"an4_{split}.fileids"):
        file_id = PurePosixPath(line.strip())
        audio = _find_an4_audio(source / "wav" / file_id)
        text = texts.pop(file_id.name, None)
        if text is None:
            yield Rejection(str(audio), "no transcript", f"{transcription.name} does not list {file_id.name}")
        elif audio.suffix == ".raw":
            detail = "its byte order is unknown; use AN4 in the sph form, or convert the file to .wav beside it"
            yield Rejection(str(audio), "headerless audio", detail)
        else:
            yield Entry(audio, text, file_id.name, speaker=file_id.parent.name)
    for utterance_id in texts:
        yield Rejection(utterance_id, "missing file", f"an4_{split}.fileids does not list it")


def read_fsdd(source: Path, *, split: str = "all") -> Iterator[Record]:
    """Read the Free Spoken Digit Dataset: `recordings/DIGIT_SPEAKER_TAKE.wav`.

    Args:
        source: The folder that holds `recordings`.
        split: all, test (takes 0 to 4, as published), validation (takes 5 to 9) or train (the takes from 10 on).

    Yields:
        The utterances in the order of their names.

    Raises:
        ManifestError: If there is no such recording.
    """
    recordings = sorted((source / "recordings").glob("*.wav"))
    if not recordings:
        raise ManifestError(f"{source}: not Free Spoken Digits; expected recordings/DIGIT_SPEAKER_TAKE.wav in it")
    for audio in recordings:
        match = _FSDD_STEM.fullmatch(audio.stem)
        if match is None:
            yield Rejection(str(audio), "unexpected name", "expected DIGIT_SPEAKER_TAKE.wav")
        elif split in {"all", _FSDD_SPLITS[min(2, int(match[3]) // 5)]}:
            yield Entry(audio, _DIGITS[int(match[1])], audio.stem, speaker=match[2])


def read_kaldi(source: Path) -> Iterator[Record]:
    """Read a Kaldi data folder: `wav.scp` and `text`, with `segments` and `utt2spk` where they exist.

    Args:
        source: The folder of these files. Paths in `wav.scp` are relative to it, or else to the working folder.

    Yields:
        The utterances in the order of `segments`, or else of `wav.scp`; then the texts without a recording. A recording
        that is the output of a command is rejected, because a manifest names files.

    Raises:
        ManifestError: If `wav.scp` or `text` cannot be read, or a file lists a name twice.
    """
    recordings = read_pairs(source / "wav.scp")
    texts = read_pairs(source / "text")
    speakers = read_pairs(source / "utt2spk") if (source / "utt2spk").exists() else {}
    segmented = (source / "segments").exists()
    spans = read_pairs(source / "segments") if segmented else {name: f"{name} 0 {TO_THE_END}" for name in recordings}
    for utterance_id, span in spans.items():
        recording_id, *times = span.split() or [""]
        location = recordings.get(recording_id, "")
        problem = _find_kaldi_problem(location, times, transcribed=utterance_id in texts)
        if problem:
            reason, detail = problem
            yield Rejection(location or recording_id, reason, f"{utterance_id}: {detail}")
        else:
            audio = source / location if os.path.isfile(source / location) else Path(location)
            start, end = map(float, times)
            speaker, end_or_none = speakers.get(utterance_id), None if end == TO_THE_END else end
            yield Entry(audio, texts[utterance_id], utterance_id, speaker, start, end_or_none)
    for utterance_id in texts:
        if utterance_id not in spans:
            detail = f"text lists it, {'segments' if segmented else 'wav.scp'} does not"
            yield Rejection(utterance_id, "missing file", detail)


def read_folder(source: Path) -> Iterator[Record]:
    """Read a folder of recordings, each with its text in a `.txt` of the same name beside it.

    Args:
        source: The folder; its sub-folders are read too.

    Yields:
        The utterances in the order of their paths, then the texts without a recording.

    Raises:
        ManifestError: If there is no recording at all.
    """
    recordings = find_recordings(source)
    if not recordings:
        raise ManifestError(f"{source}: no recording in it; expected audio files such as a.wav with a.txt beside it")
    stems = Counter(audio.with_suffix("") for audio in recordings)
    for audio in recordings:
        transcript = audio.with_suffix(".txt")
        try:
            text = transcript.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            yield Rejection(str(audio), "no transcript", f"expected {transcript.name} beside it")
        except (OSError, UnicodeDecodeError) as error:
            yield Rejection(str(audio), "unreadable transcript", f"{transcript.name}: {error}")
        else:
            named = audio.with_suffix("") if stems[audio.with_suffix("")] == 1 else audio
            yield Entry(audio, text, named.relative_to(source).as_posix())
    transcribed = {audio.with_suffix(".txt") for audio in recordings}
    for transcript in sorted(set(source.rglob("*.txt")) - transcribed):
        yield Rejection(str(transcript), "missing file", "a text without a recording beside it")


def read_csv(
    source: Path,
    *,
    audio_column: str | None = None,
    text_column: str | None = None,
    speaker_column: str | None = None,
) -> Iterator[Record]:
    """Read a table with a header line: comma or semicolon with quotes, or tabs without.

    Args:
        source: The table; paths in it are relative to its folder.
        audio_column: The column of paths; by default audio_filepath, path, file or wav.
        text_column: The column of texts; by default text, sentence or transcript.
        speaker_column: The column of speakers; by default speaker, where there is one.

    Yields:
        The utterances in the order of the lines.

    Raises:
        ManifestError: If the table cannot be read or lacks a column.
    """
    audio_columns = (audio_column,) if audio_column else ("audio_filepath", "path", "file", "wav")
    text_columns = (text_column,) if text_column else ("text", "sentence", "transcript")
    speaker_columns = (speaker_column,) if speaker_column else ("speaker", "")
    yield from _read_table(source, source.parent, audio_columns, text_columns, speaker_columns)


READERS: Mapping[str, Callable[..., Iterator[Record]]] = {
    "librispeech": read_librispeech,
    "ljspeech": read_ljspeech,
    "commonvoice": read_commonvoice,
    "an4": read_an4,
    "fsdd": read_fsdd,
    "kaldi": read_kaldi,
    "folder": read_folder,
    "csv": read_csv,
}


def _read_table(
    table: Path, folder: Path, audio_names: Sequence[str], text_names: Sequence[str], speaker_names: Sequence[str]
) -> Iterator[Record]:
    """Read a table whose paths are relative to a folder."""
    for number, values in read_columns(table, audio_names, text_names, speaker_names, _PART_NAMES):
        if values is None:
            detail = f"{table.name}:{number}: more or fewer fields than the header; check its delimiters and quotes"
            yield Rejection(str(table), "malformed line", detail)
            continue
        audio, text, speaker, part = values
        if part:
            detail = f"{table.name}:{number}: a start or end; cut the recordings, or list the parts in a Kaldi folder"
            yield Rejection(str(folder / audio), "part of a recording", detail)
        else:
            yield Entry(folder / audio, text, os.path.splitext(audio)[0], speaker=speaker or None)


def _find_an4_audio(stem: Path) -> Path:
    """Return the recording in the first form that exists, or where the sph form would be."""
    # Path.is_file fails on names that are too long, with_name on none such as `.`.
    candidates = [Path(f"{stem}{suffix}") for suffix in (".wav", ".sph", ".raw")]
    return next((audio for audio in candidates if os.path.isfile(audio)), candidates[1])


def _find_kaldi_problem(location: str, times: Sequence[str], *, transcribed: bool) -> tuple[str, str] | None:
    """Return why an utterance cannot be used, as a reason and a detail."""
    if not transcribed:
        return "no transcript", "text does not list it"
    if not is_span(times):
        return "malformed line", f"segments should give RECORDING START END in seconds, got {' '.join(times)!r}"
    if not location:
        return "missing file", "wav.scp does not list its recording"
    if location.endswith("|"):
        return "command", "wav.scp runs a command; run it, and list the file that it writes"
    return None


def _reject_unlisted(recordings: Iterable[Path], listed: Container[Path]) -> Iterator[Rejection]:
    """Reject the recordings that no transcript lists."""
    for audio in sorted(recordings):
        if audio not in listed:
            yield Rejection(str(audio), "no transcript", "no transcript lists it")
