"""Compare our recogniser with PocketSphinx on the same recordings in the same run.

    python scripts/compare_pocketsphinx.py --manifest dev.jsonl

PocketSphinx runs with the US English model of its package and default settings, and is given each utterance whole, so
that it normalises over all of it. Time is that of the processor, summed over threads, from files to text once the
models are loaded: what one core would take, whatever else the machine does.
"""

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # started as a script, its own folder stands there

from asr.audio import load_audio
from asr.bundle import ENGLISH_MODEL, Bundle, load_bundle
from asr.cli.terminal import positive_count, run_command
from asr.data.manifest import Utterance, read_manifest
from asr.errors import ASRError, MissingExtraError
from asr.evaluation import EvaluationReport, build_report, require_references
from asr.evaluation.modes import decoding_modes, group_by_corpus, markdown_table
from asr.files import write_atomically
from asr.recognition.recognizer import Recognizer

System: TypeAlias = Callable[[Sequence[Path]], list[str]]  # from recordings to texts

YARDSTICK = "PocketSphinx"

_LOGGER = logging.getLogger("asr.compare_pocketsphinx")
_POCKETSPHINX_RATE = 16_000
_HEADER = ("system", "WER %", "95 % interval", "CER %", "real-time factor", "WER ratio", "time ratio")


@dataclass(frozen=True)
class Row:
    """How one system did on one corpus, beside the yardstick.

    Attributes:
        corpus: The name of the corpus.
        system: The name of the system.
        word_error_rate: As a fraction.
        interval_low: Lower bound of the 95 % interval of the word error rate.
        interval_high: Upper bound of it.
        character_error_rate: As a fraction.
        real_time_factor: Seconds of one core per second of audio.
        word_error_ratio: The word error rate over that of the yardstick; None where that is 0.
        time_ratio: The real-time factor over that of the yardstick; None where that is 0.
    """

    corpus: str
    system: str
    word_error_rate: float
    interval_low: float
    interval_high: float
    character_error_rate: float
    real_time_factor: float
    word_error_ratio: float | None
    time_ratio: float | None


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="compare_pocketsphinx.py", description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--manifest", type=Path, required=True, metavar="FILE", help="JSONL manifest of English speech.")
    add("--model", type=Path, default=ENGLISH_MODEL, metavar="DIR", help="Our model. Default: that of the package.")
    add("--limit", type=positive_count, metavar="N", help="Use the first N utterances of each corpus. Default: all.")
    add("--output", type=Path, metavar="FILE", help="JSON file to write, with rates as fractions.")
    return parser


def load_pocketsphinx() -> System:
    """Open PocketSphinx with the model of its package.

    Returns:
        What recognises with it.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        from pocketsphinx import Decoder
    except ImportError as error:
        raise MissingExtraError("the comparison needs PocketSphinx; run: pip install pocketsphinx") from error
    decoder = Decoder(samprate=_POCKETSPHINX_RATE, loglevel="FATAL")
    return lambda paths: [_hear_with_pocketsphinx(decoder, path) for path in paths]


def load_ours(bundle: Bundle) -> System:
    """Open our recogniser on the CPU.

    Args:
        bundle: Its model, and how it decodes.

    Returns:
        What recognises with it.
    """
    recognizer = Recognizer(bundle, device="cpu")

    def recognise(paths: Sequence[Path]) -> list[str]:
        texts = []
        for result in recognizer.transcribe_many(paths):
            if result.transcript is None:
                raise result.error or ASRError(f"{result.source}: nothing was recognised")
            texts.append(result.transcript.text)
        return texts

    return recognise


def evaluate(system: System, utterances: Sequence[Utterance]) -> EvaluationReport:
    """Let a system recognise utterances, and score and time it.

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


def compare(corpus: str, reports: Mapping[str, EvaluationReport]) -> list[Row]:
    """Set the figures of systems beside those of PocketSphinx.

    Args:
        corpus: What they were measured on.
        reports: The figures of each system, `YARDSTICK` among them.

    Returns:
        A row for each system, in the same order.
    """
    yardstick = reports[YARDSTICK]
    return [
        Row(
            corpus=corpus,
            system=system,
            word_error_rate=report.overall.word_error_rate,
            interval_low=report.overall.interval_low,
            interval_high=report.overall.interval_high,
            character_error_rate=report.overall.character_error_rate,
            real_time_factor=report.real_time_factor,
            word_error_ratio=_ratio(report.overall.word_error_rate, yardstick.overall.word_error_rate),
            time_ratio=_ratio(report.real_time_factor, yardstick.real_time_factor),
        )
        for system, report in reports.items()
    ]


def render_table(rows: Sequence[Row]) -> str:
    """Lay out the rows of one corpus.

    Args:
        rows: One for each system.

    Returns:
        A Markdown table, rates in percent.
    """
    return markdown_table(
        _HEADER,
        [
            (
                row.system,
                f"{100 * row.word_error_rate:.2f}",
                f"{100 * row.interval_low:.2f} to {100 * row.interval_high:.2f}",
                f"{100 * row.character_error_rate:.2f}",
                f"{row.real_time_factor:.4f}",
                *("" if ratio is None else f"{ratio:.3f}" for ratio in (row.word_error_ratio, row.time_ratio)),
            )
            for row in rows
        ],
    )


def run(arguments: argparse.Namespace) -> int:
    """Recognise corpus by corpus with one system after the other, and show the figures."""
    utterances = read_manifest(arguments.manifest)
    require_references(utterances)
    torch.set_num_threads(1)
    systems = {YARDSTICK: load_pocketsphinx()}
    systems |= {f"asr, {name}": load_ours(mode) for name, mode in decoding_modes(load_bundle(arguments.model)).items()}
    comparisons: list[list[Row]] = []
    for corpus, members in group_by_corpus(utterances).items():
        reports = {}
        for name, system in systems.items():
            _LOGGER.info("%s: recognising with %s", corpus, name)
            reports[name] = evaluate(system, members[: arguments.limit])
        comparisons.append(compare(corpus, reports))
        overall = reports[YARDSTICK].overall
        print(f"{corpus}: {overall.utterances} utterances, {overall.words} words, {60 * overall.hours:.1f} minutes\n")
        print(f"{render_table(comparisons[-1])}\n", flush=True)
    if arguments.output:
        fields = [asdict(row) for rows in comparisons for row in rows]
        write_atomically(arguments.output, json.dumps(fields, indent=2) + "\n")
    return 0


def _hear_with_pocketsphinx(decoder: Any, path: Path) -> str:  # Any: the package ships no types
    """Recognise one recording."""
    waveform = load_audio(path, _POCKETSPHINX_RATE)
    decoder.start_utt()
    integers = np.clip(np.rint(waveform * 32768), -32768, 32767).astype(np.int16)
    decoder.process_raw(integers.tobytes(), full_utt=True)
    decoder.end_utt()
    best = decoder.hyp()
    return best.hypstr if best else ""


def _ratio(value: float, yardstick: float) -> float | None:
    """Divide, where that can be done."""
    return value / yardstick if yardstick else None


if __name__ == "__main__":
    raise SystemExit(run_command(__name__))
