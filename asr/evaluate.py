"""Measure a model on a manifest: word and character error rates per corpus, with intervals, and the speed.

Recordings that cannot be recognised are named on stderr, left out of the figures, and make the exit status 1.
"""

import argparse
import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path

from asr.cli import add_model_arguments, configure_logging, run_verb
from asr.data.manifest import Utterance, read_manifest
from asr.report import build_report, render_text, require_references
from asr.writers import write_atomically

_log = logging.getLogger("asr.evaluate")


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line.

    Returns:
        The parser behind `python -m asr.evaluate`.
    """
    parser = argparse.ArgumentParser(prog="asr evaluate", description=__doc__)
    parser.add_argument(
        "--manifest", type=Path, required=True, metavar="FILE", help="JSONL manifest of recordings and what they say."
    )
    parser.add_argument("--json", action="store_true", help="Print the figures as JSON, with rates as fractions.")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="JSONL file to write, with the reference, hypothesis and error counts of each utterance.",
    )
    add_model_arguments(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate a model and print the figures.

    Args:
        argv: The flags; those of the process if None.

    Returns:
        The exit status (see `asr.cli`).
    """
    arguments = build_parser().parse_args(argv)
    configure_logging(quiet=arguments.quiet)
    return run_verb(lambda: _evaluate(arguments))


def _evaluate(arguments: argparse.Namespace) -> int:
    """Recognise every recording of the manifest and report."""
    utterances = read_manifest(arguments.manifest)
    require_references(utterances)
    if arguments.output:  # a folder that cannot be made is better known before the work than after it
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
    hypotheses, seconds_taken = _recognise(utterances, arguments)
    report = build_report(utterances, hypotheses, seconds_taken)
    if arguments.output:
        lines = [json.dumps(score.to_dict(), ensure_ascii=False) for score in report.scores]
        write_atomically(arguments.output, "".join(f"{line}\n" for line in lines))
    print(json.dumps(report.to_dict(), indent=2) if arguments.json else render_text(report))
    return 1 if report.failed else 0


def _recognise(utterances: Sequence[Utterance], arguments: argparse.Namespace) -> tuple[list[str | None], float]:
    """Return the recognised texts, None for each failure, and the seconds they took once the model was loaded."""
    import torch

    from asr.recognizer import Recognizer

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    recognizer = Recognizer.from_bundle(arguments.model, device=arguments.device)
    _log.info("recognising %d recordings", len(utterances))
    started = time.perf_counter()
    sources = [utterance.audio_filepath for utterance in utterances]
    results = list(recognizer.transcribe_many(sources, batch_duration=arguments.batch_duration))
    seconds_taken = time.perf_counter() - started
    for result in results:
        if result.error is not None:
            _log.error("%s", result.error)
    return [result.transcript.text if result.transcript else None for result in results], seconds_taken


if __name__ == "__main__":
    raise SystemExit(main())
