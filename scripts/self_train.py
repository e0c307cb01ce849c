"""Untranscribed speech to training data: `python scripts/self_train.py --manifest FILE --model DIR --output JSONL`.

The model transcribes each recording twice, by beam search with its language model and greedily. The text of the beam
search is kept where its words are confident, where both agree, and where it has as many words a second as speech has.
What was found of every recording, and why it was left out, is written to `JSONL.judged.jsonl`.

A manifest with texts serves to choose the bounds: the error rate of what would be kept is shown for several values of
the two that matter most.

Source: Kahn, Lee and Hannun (2020), "Self-training for end-to-end speech recognition".
"""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # started as a script, its own folder stands there

from asr.cli.options import add_decoding_arguments, add_model_arguments, open_bundle, open_recognizer
from asr.cli.terminal import configure_logging, run_verb, show_progress
from asr.data.manifest import Utterance, read_manifest, write_manifest
from asr.errors import ManifestError
from asr.files import write_atomically
from asr.metrics import character_errors, word_error_rate

if TYPE_CHECKING:
    from asr.recognition.recognizer import Recognizer
    from asr.transcript import Transcript

_log = logging.getLogger("asr.self_train")

# Values of the bounds that are shown beside those asked for.
_SHOWN = {
    "min_confidence": (0.0, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95),
    "max_disagreement": (0.02, 0.05, 0.1, 0.2, 0.3),
}


@dataclass(frozen=True)
class Bounds:
    """What a transcript must be like to be kept.

    Attributes:
        min_confidence: Least mean confidence of its words, in [0, 1].
        max_disagreement: Most character errors of the greedy text against that of the beam search, a rate from 0.
        min_word_rate: Fewest words a second.
        max_word_rate: Most words a second.
    """

    min_confidence: float = 0.8
    max_disagreement: float = 0.1
    min_word_rate: float = 0.5
    max_word_rate: float = 5.0


@dataclass(frozen=True)
class Judgement:
    """What was found of one recording.

    Attributes:
        utterance: The recording, with its own text where it has one.
        text: What the beam search read.
        confidence: Mean confidence of its words, in [0, 1]; 0 where there are none.
        disagreement: Character error rate of the greedy text against `text`; 1 where that is empty.
    """

    utterance: Utterance
    text: str
    confidence: float
    disagreement: float

    @property
    def word_rate(self) -> float:
        """Words a second."""
        return len(self.text.split()) / self.utterance.duration

    def find_fault(self, bounds: Bounds) -> str:
        """Say why the transcript is left out.

        Args:
            bounds: What it must be like.

        Returns:
            The first reason; empty if it is kept.
        """
        if not self.text:
            return "no words"
        if self.confidence < bounds.min_confidence:
            return "low confidence"
        if self.disagreement > bounds.max_disagreement:
            return "greedy and beam search disagree"
        if not bounds.min_word_rate <= self.word_rate <= bounds.max_word_rate:
            return "words a second"
        return ""


def judge(utterance: Utterance, best: "Transcript", greedy: "Transcript") -> Judgement:
    """Compare two readings of a recording.

    Args:
        utterance: The recording.
        best: What the beam search read.
        greedy: What the greedy decoder read.

    Returns:
        What is to be known to keep it or not.
    """
    disagreement = character_errors(best.text, greedy.text).rate if best.text else 1.0
    return Judgement(utterance, best.text, best.confidence or 0.0, disagreement)


def select(judgements: Sequence[Judgement], bounds: Bounds) -> list[Judgement]:
    """Choose what to train on.

    Args:
        judgements: What was found.
        bounds: What a transcript must be like.

    Returns:
        Those without fault, in their order.
    """
    return [judgement for judgement in judgements if not judgement.find_fault(bounds)]


def render_selection(judgements: Sequence[Judgement], bounds: Bounds) -> str:
    """Say how much is kept, within the bounds asked for and with one of them changed.

    Args:
        judgements: What was found of each recording.
        bounds: What a transcript must be like.

    Returns:
        Lines of text; a star marks the bounds asked for. Where every recording has a text of its own, they show the
        word error rate of what is kept.
    """
    known = all(judgement.utterance.text for judgement in judgements)
    lines = [f"{'':<24}{'kept':>8}{'hours':>8}{'of all':>9}" + f"{'WER':>9}" * known]
    lines.append(_render_row("everything", judgements, judgements, known=known))
    for bound, shown in _SHOWN.items():
        chosen = getattr(bounds, bound)
        for value in sorted({*shown, chosen}):
            kept = select(judgements, replace(bounds, **{bound: value}))
            name = f"{bound.replace('_', ' ')} {value:.2f}" + " *" * (value == chosen)
            lines.append(_render_row(name, kept, judgements, known=known))
    return "\n".join(lines)


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line.

    Returns:
        The parser.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0] + ".")
    parser.add_argument("--manifest", type=Path, required=True, metavar="FILE", help="JSONL manifest of recordings.")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="JSONL manifest to write.")
    helps = {
        "min_confidence": "Least mean confidence of the words of a recording, in [0, 1].",
        "max_disagreement": "Most character errors between greedy and beam search, as a fraction.",
        "min_word_rate": "Fewest words a second.",
        "max_word_rate": "Most words a second.",
    }
    for name, value in asdict(Bounds()).items():
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, type=float, default=value, metavar="X", help=f"{helps[name]} Default: %(default)s.")
    add_model_arguments(parser)
    add_decoding_arguments(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments; those of the process by default.

    Returns:
        The exit status (see `asr.cli.terminal`); 1 if a recording cannot be recognised.
    """
    arguments = build_parser().parse_args(argv)
    configure_logging(quiet=arguments.quiet)
    return run_verb(lambda: _self_train(arguments))


def _self_train(arguments: argparse.Namespace) -> int:
    """Transcribe, choose, write and report."""
    from asr.decoding import GreedyDecoder

    utterances = read_manifest(arguments.manifest)
    bounds = Bounds(**{name: getattr(arguments, name) for name in asdict(Bounds())})
    bundle = open_bundle(arguments)
    if bundle.lm is None:
        _log.warning("the model has no language model, which makes its texts better; give one with --lm")
    beam = replace(bundle, decoding=replace(bundle.decoding, decoder="beam"))
    recognizer = open_recognizer(arguments, beam)
    best = _transcribe(recognizer, utterances, arguments)
    recognizer.decoder = GreedyDecoder()
    greedy = _transcribe(recognizer, utterances, arguments)
    judgements = [
        judge(utterance, first, second)
        for utterance, first, second in zip(utterances, best, greedy, strict=True)
        if first is not None and second is not None
    ]
    if not judgements:
        raise ManifestError(f"{arguments.manifest}: no recording can be recognised; see the reasons above")
    _write_judgements(arguments.output, judgements, bounds)
    print(render_selection(judgements, bounds))
    kept = select(judgements, bounds)
    if not kept:
        raise ManifestError(
            f"{arguments.manifest}: nothing is within the bounds; lower --min-confidence or train longer"
        )
    write_manifest(arguments.output, [_relabel(judgement) for judgement in kept])
    print(f"{arguments.output}: {len(kept)} of {len(utterances)} recordings kept")
    return 0 if len(judgements) == len(utterances) else 1


def _transcribe(
    recognizer: "Recognizer", utterances: Sequence[Utterance], arguments: argparse.Namespace
) -> list["Transcript | None"]:
    """Recognise every recording; name those that cannot be read and return None for them."""
    _log.info("recognising %d recordings with %s", len(utterances), type(recognizer.decoder).__name__)
    sources = [utterance.audio_filepath for utterance in utterances]
    seconds = sum(utterance.duration for utterance in utterances)
    with show_progress(seconds, visible=not arguments.quiet and sys.stderr.isatty()) as advance:
        results = list(
            recognizer.transcribe_many(sources, batch_duration=arguments.batch_duration, on_progress=advance)
        )
    for result in results:
        if result.error is not None:
            _log.error("%s", result.error)
    return [result.transcript for result in results]


def _relabel(judgement: Judgement) -> Utterance:
    """Return the recording with the text that was recognised, and a corpus that says so."""
    utterance = judgement.utterance
    return replace(utterance, text=judgement.text, corpus=f"{utterance.corpus or 'unnamed'}-pseudo")


def _write_judgements(output: Path, judgements: Sequence[Judgement], bounds: Bounds) -> None:
    """Write what was found of each recording beside the manifest, whose format has no place for it."""
    lines = [
        json.dumps(
            {
                "utterance_id": judgement.utterance.utterance_id,
                "text": judgement.text,
                "confidence": judgement.confidence,
                "disagreement": judgement.disagreement,
                "word_rate": judgement.word_rate,
                "fault": judgement.find_fault(bounds),
            },
            ensure_ascii=False,
        )
        for judgement in judgements
    ]
    write_atomically(output.with_name(output.name + ".judged.jsonl"), "".join(f"{line}\n" for line in lines))


def _render_row(name: str, kept: Sequence[Judgement], judgements: Sequence[Judgement], *, known: bool) -> str:
    """Lay out one line of the table."""
    share = len(kept) / len(judgements)
    row = f"{name:<24}{len(kept):>8}{_hours(kept):>8.3f}{share:>9.1%}"
    if not known:
        return row
    if not kept:
        return row + f"{'-':>9}"
    error_rate = word_error_rate([each.utterance.text for each in kept], [each.text for each in kept])
    return row + f"{error_rate:>9.1%}"


def _hours(judgements: Sequence[Judgement]) -> float:
    """Add up the durations of recordings, in hours."""
    return sum(judgement.utterance.duration for judgement in judgements) / 3600


if __name__ == "__main__":
    raise SystemExit(main())
