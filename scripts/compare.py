"""Compare recognisers on the same recordings in the same run: error rates, and the time of one core.

    python scripts/compare.py --manifest dev.jsonl --whisper faster-whisper-tiny.en --vosk vosk-model-small-en-us

Ours decodes greedily, by beam search, and with its language models, in single precision and in int8. PocketSphinx has
the model of its package; faster-whisper (int8 weights, a beam of 5) and Vosk have the folders that are named. Each is
given every utterance whole and runs on one thread. Time is that of the processor, from files to text once the models
are loaded.

Texts are compared without case and punctuation; a number in digits counts as an error where the reference spells it.
"""

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from statistics import fmean
from typing import Any, TypeAlias

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # started as a script, its own folder stands there

from asr.acoustic.quantization import Precision
from asr.audio import load_audio
from asr.bundle import ENGLISH_MODEL, Bundle, load_bundle
from asr.cli.terminal import run_command
from asr.cli.values import positive_count
from asr.data.manifest import Utterance, read_manifest
from asr.errors import ASRError, MissingExtraError
from asr.evaluation import EvaluationReport, build_report, require_references
from asr.evaluation.modes import decoding_modes, group_by_corpus, markdown_table
from asr.files import write_atomically
from asr.recognition.recognizer import Recognizer

System: TypeAlias = Callable[[Sequence[Path]], list[str]]  # from recordings to texts

_RATE = 16_000  # what every other system takes
_HEADER = ("system", "WER %", "95 % interval", "CER %", "real-time factor")
_MEAN_HEADER = ("system", "WER %", "CER %", "real-time factor")

_log = logging.getLogger("asr.compare")


@dataclass(frozen=True, slots=True)
class Row:
    """How one system did on one corpus.

    Attributes:
        corpus: The name of the corpus.
        system: The name of the system.
        word_error_rate: As a fraction.
        interval_low: Lower bound of the 95 % interval of the word error rate.
        interval_high: Upper bound of it.
        character_error_rate: As a fraction.
        real_time_factor: Seconds of one core per second of audio.
    """

    corpus: str
    system: str
    word_error_rate: float
    interval_low: float
    interval_high: float
    character_error_rate: float
    real_time_factor: float


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="compare.py", description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--manifest", type=Path, required=True, metavar="FILE", help="JSONL manifest of English speech.")
    add("--model", type=Path, default=ENGLISH_MODEL, metavar="DIR", help="Our model. Default: that of the package.")
    add(
        "--pocketsphinx",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="Whether to run PocketSphinx. Default: yes.",
    )
    for name, title in (("whisper", "faster-whisper"), ("vosk", "Vosk")):
        help_text = f"Model of {title} to run too; may be given several times. Default: none."
        add(f"--{name}", type=Path, action="append", default=[], metavar="FOLDER", help=help_text)
    add("--every", type=positive_count, default=1, metavar="N", help="Use every Nth utterance of each corpus.")
    add("--limit", type=positive_count, metavar="N", help="Use the first N utterances of each corpus. Default: all.")
    add("--output", type=Path, metavar="FILE", help="JSON file to write, with rates as fractions.")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Recognise corpus by corpus with one system after the other, and show the figures."""
    utterances = read_manifest(arguments.manifest)
    require_references(utterances)
    systems = open_systems(arguments)
    rows: list[Row] = []
    for corpus, members in group_by_corpus(utterances).items():
        of_corpus = []
        for name, system in systems.items():
            _log.info("%s: recognising with %s", corpus, name)
            report = evaluate(system, members[:: arguments.every][: arguments.limit])
            of_corpus.append(build_row(corpus, name, report))
        total = report.overall
        print(f"{corpus}: {total.utterances} utterances, {total.words} words, {60 * total.hours:.1f} minutes\n")
        print(f"{render_corpus(of_corpus)}\n", flush=True)
        rows += of_corpus
    print(f"mean of the corpora\n\n{render_means(rows)}")
    if arguments.output:
        write_atomically(arguments.output, json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    return 0


def open_systems(arguments: argparse.Namespace) -> Mapping[str, System]:
    """Open every system that was asked for, before any work begins.

    Args:
        arguments: The command line.

    Returns:
        The systems by name.

    Raises:
        MissingExtraError: If the library of one is not installed.
        FileNotFoundError: If a folder does not exist.
        ASRError: If our model cannot be opened.
    """
    systems = {"PocketSphinx": load_pocketsphinx()} if arguments.pocketsphinx else {}
    systems |= {f"faster-whisper {folder.name}": load_whisper(folder) for folder in arguments.whisper}
    systems |= {f"Vosk {folder.name}": load_vosk(folder) for folder in arguments.vosk}
    modes = decoding_modes(load_bundle(arguments.model))
    systems |= {f"asr, {name}": load_ours(mode, "float32") for name, mode in modes.items()}
    return systems | {f"asr, {name}, int8": load_ours(mode, "int8") for name, mode in modes.items()}


def load_ours(bundle: Bundle, precision: Precision) -> System:
    """Open our recogniser on one thread of the processor.

    Args:
        bundle: Its model, and how it decodes.
        precision: What its LSTMs are computed in.

    Returns:
        What recognises with it.
    """
    recognizer = Recognizer(bundle, device="cpu", precision=precision, threads=1)

    def recognize(paths: Sequence[Path]) -> list[str]:
        texts = []
        for result in recognizer.transcribe_many(paths):
            if result.transcript is None:
                raise result.error or ASRError(f"{result.source}: nothing was recognised")
            texts.append(result.transcript.text)
        return texts

    return recognize


def load_pocketsphinx() -> System:
    """Open PocketSphinx with the US English model of its package.

    Returns:
        What recognises with it; it normalises over the whole utterance.

    Raises:
        MissingExtraError: If it is not installed.
    """
    decoder = _import_library("pocketsphinx").Decoder(samprate=_RATE, loglevel="FATAL")

    def recognize(path: Path) -> str:
        decoder.start_utt()
        decoder.process_raw(_read_pcm(path), full_utt=True)
        decoder.end_utt()
        best = decoder.hyp()
        return best.hypstr if best else ""

    return lambda paths: [recognize(path) for path in paths]


def load_whisper(folder: Path) -> System:
    """Open a model of faster-whisper in int8.

    Args:
        folder: Its weights, as CTranslate2 keeps them.

    Returns:
        What recognises English with it.

    Raises:
        MissingExtraError: If faster-whisper is not installed.
        FileNotFoundError: If there is no such folder; the library would download the model of that name.
    """
    library = _import_library("faster_whisper")
    _require_folder(folder)
    model = library.WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1, num_workers=1)

    def recognize(path: Path) -> str:
        segments, _ = model.transcribe(load_audio(path, _RATE), language="en", beam_size=5)
        return " ".join(segment.text.strip() for segment in segments)

    return lambda paths: [recognize(path) for path in paths]


def load_vosk(folder: Path) -> System:
    """Open a model of Vosk.

    Args:
        folder: The model, unpacked.

    Returns:
        What recognises with it.

    Raises:
        MissingExtraError: If Vosk is not installed.
        FileNotFoundError: If there is no such folder.
    """
    library = _import_library("vosk")
    _require_folder(folder)
    library.SetLogLevel(-1)
    model = library.Model(str(folder))

    def recognize(path: Path) -> str:
        decoder = library.KaldiRecognizer(model, _RATE)
        # At a pause the decoder gives what it has and starts anew.
        results = [decoder.Result()] if decoder.AcceptWaveform(_read_pcm(path)) else []
        return " ".join(json.loads(result)["text"] for result in [*results, decoder.FinalResult()]).strip()

    return lambda paths: [recognize(path) for path in paths]


def evaluate(system: System, utterances: Sequence[Utterance]) -> EvaluationReport:
    """Recognise utterances with a system, and score and time it.

    Args:
        system: What recognises.
        utterances: What was said.

    Returns:
        The figures; their time is that of the processor.

    Raises:
        ASRError: If a recording cannot be read.
    """
    paths = [utterance.audio_filepath for utterance in utterances]
    system(paths[:1])  # what is compiled or cached at first use is no part of the speed
    started = time.process_time()
    texts = system(paths)
    return build_report(utterances, texts, time.process_time() - started)


def build_row(corpus: str, system: str, report: EvaluationReport) -> Row:
    """Take the figures of a table out of a report."""
    overall = report.overall
    return Row(
        corpus=corpus,
        system=system,
        word_error_rate=overall.word_error_rate,
        interval_low=overall.interval_low,
        interval_high=overall.interval_high,
        character_error_rate=overall.character_error_rate,
        real_time_factor=report.real_time_factor,
    )


def render_corpus(rows: Sequence[Row]) -> str:
    """Lay out the rows of one corpus as a Markdown table, rates in percent."""
    return markdown_table(
        _HEADER,
        [
            (
                row.system,
                f"{100 * row.word_error_rate:.2f}",
                f"{100 * row.interval_low:.2f} to {100 * row.interval_high:.2f}",
                f"{100 * row.character_error_rate:.2f}",
                f"{row.real_time_factor:.4f}",
            )
            for row in rows
        ],
    )


def render_means(rows: Sequence[Row]) -> str:
    """Lay out the macro-average of each system, in which every corpus counts the same, as a Markdown table."""
    by_system: dict[str, list[Row]] = {}
    for row in rows:
        by_system.setdefault(row.system, []).append(row)
    return markdown_table(
        _MEAN_HEADER,
        [
            (
                system,
                f"{100 * fmean(row.word_error_rate for row in own):.2f}",
                f"{100 * fmean(row.character_error_rate for row in own):.2f}",
                f"{fmean(row.real_time_factor for row in own):.4f}",
            )
            for system, own in by_system.items()
        ],
    )


def _import_library(name: str) -> Any:  # a module without types
    """Import the library of another system, none of which is required."""
    try:
        return import_module(name)
    except ImportError as error:
        package = name.replace("_", "-")
        raise MissingExtraError(f"{package} is not installed; run: pip install {package}") from error


def _require_folder(folder: Path) -> None:
    """Refuse the name of a model that is not on disk."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; expected that of a model on disk")


def _read_pcm(path: Path) -> bytes:
    """Read a recording as 16-bit samples."""
    waveform = load_audio(path, _RATE)
    return np.clip(np.rint(waveform * 32768), -32768, 32767).astype(np.int16).tobytes()


if __name__ == "__main__":
    raise SystemExit(run_command(__name__))
