"""Find the weight of the language model and the score of a word that recognise held-out speech best.

    python scripts/tune_lm.py --manifest dev.jsonl --model runs/english/bundle --output grid.png

The acoustic model listens once; each pair of settings then costs a decoding. All pairs of a coarse grid come first.
Then the search goes from the best pair to the best of the eight around it for as long as that is better: one step of
the grid away (which leads beyond its edges), then half a step, then a quarter. What counts is the mean of the corpora's
word error rates, so that no corpus wins at another's cost.
"""

import argparse
import logging
import random
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, product
from pathlib import Path
from statistics import fmean
from typing import Any, TypeAlias

from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # started as a script, its own folder stands there

from asr.audio import load_audio
from asr.bundle import Bundle, load_bundle, update_language_models, update_settings
from asr.cli.terminal import configure_logging, positive_count, run_verb
from asr.data.manifest import Utterance, read_manifest
from asr.data.sampler import DurationBatchSampler
from asr.decoding import DecodingConfig
from asr.errors import LanguageModelError
from asr.evaluation import require_references
from asr.lm.arpa import open_model
from asr.lm.recurrent import RecurrentLM
from asr.metrics import ErrorCounts, error_rate, word_errors
from asr.plots import plot_error_grid, require_matplotlib
from asr.recognition.recognizer import Heard, Recognizer
from asr.text import normalize_text
from asr.units import Seconds
from scripts.comparison import corpus_name, decoding_modes, group_by_corpus, markdown_table

Pair: TypeAlias = tuple[float, float]  # lm_weight and word_score

_LOGGER = logging.getLogger("asr.tune_lm")
_EPILOG = """The manifest must hold speech that neither model was trained on. Figures measured on it afterwards are
optimistic, for the settings were chosen to suit it: report those of other speech."""
_LM_WEIGHTS = (0.25, 0.5, 0.75, 1.0, 1.25)
_WORD_SCORES = (-1.0, 0.0, 1.0, 2.0)
_SCALES = (1.0, 0.5, 0.25)  # of the grid's steps; the first leads beyond its edges
_BATCH_DURATION: Seconds = 160.0


@dataclass(frozen=True)
class HeldOutSpeech:
    """Speech to tune on.

    Attributes:
        utterances: What is said in it.
        heard: What the acoustic model says of each utterance.
    """

    utterances: tuple[Utterance, ...]
    heard: tuple[Heard, ...]


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line.

    Returns:
        The parser.
    """
    parser = argparse.ArgumentParser(prog="tune_lm.py", description=(__doc__ or "").partition("\n")[0], epilog=_EPILOG)
    add = parser.add_argument
    add("--manifest", type=Path, required=True, metavar="FILE", help="JSONL manifest of held-out speech (see below).")
    add("--model", type=Path, required=True, metavar="DIR", help="Bundle to tune; the best settings are written there.")
    add("--lm", type=Path, metavar="FILE", help="Language model to put into the bundle. Default: the bundle's own.")
    add("--recurrent-lm", type=Path, metavar="FILE", help="Recurrent one to put into it too. Default: as with --lm.")
    add("--output", type=Path, metavar="FILE", help="Picture of the error rates to write, such as grid.png.")
    for name, values, kind in (("lm_weight", _LM_WEIGHTS, "at least 0"), ("word_score", _WORD_SCORES, "a natural log")):
        add(
            f"--{name.replace('_', '-')}s",
            type=_setting(name),
            nargs="+",
            default=values,
            metavar="X",
            help=f"Coarse grid of {name}, {kind}; a single one stays fixed. Default: {' '.join(map(str, values))}.",
        )
    add(
        "--internal-lm-weight",
        type=_setting("internal_lm_weight"),
        metavar="X",
        help="Weight of the internal language model, fixed; other weights suit another. Default: the bundle's.",
    )
    add(
        "--max-duration",
        type=positive_count,
        metavar="SECONDS",
        help="Use no more than this much, an equal share of each corpus, drawn at random. Default: all.",
    )
    add("--dry-run", action="store_true", help="Leave the bundle as it is.")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments; those of the process if not given.

    Returns:
        The exit status.
    """
    arguments = build_parser().parse_args(argv)
    configure_logging(quiet=False)
    return run_verb(lambda: _tune(arguments))


def choose_part(utterances: Iterable[Utterance], max_duration: Seconds, seed: int = 0) -> list[Utterance]:
    """Draw an equal share of each corpus at random.

    Args:
        utterances: What there is.
        max_duration: Seconds to draw at most, but one utterance of each corpus at least.
        seed: The same seed draws the same.

    Returns:
        The utterances drawn; of a corpus shorter than its share, all.
    """
    corpora = group_by_corpus(utterances)
    share = max_duration / len(corpora)
    chosen: list[Utterance] = []
    for members in corpora.values():
        shuffled = random.Random(seed).sample(members, len(members))
        ends = accumulate(utterance.duration for utterance in shuffled)
        count = sum(end <= share for end in ends)
        chosen += shuffled[: max(1, count)]
    return chosen


def listen(bundle: Bundle, utterances: Sequence[Utterance]) -> HeldOutSpeech:
    """Run the acoustic model over speech, utterances of like length together.

    Args:
        bundle: Whose model to run.
        utterances: What to run it over.

    Returns:
        The utterances and what the model says of them.

    Raises:
        AudioError: If a recording cannot be read.
    """
    recognizer = Recognizer(bundle)
    durations = [utterance.duration for utterance in utterances]
    batches = DurationBatchSampler(durations, max(_BATCH_DURATION, *durations))
    heard: dict[int, Heard] = {}
    for batch in tqdm(batches, desc="listening", unit="batch", disable=None):
        indices = [draw.index for draw in batch]
        waveforms = [load_audio(utterances[index].audio_filepath, recognizer.model.sample_rate) for index in indices]
        heard.update(zip(indices, recognizer.listen(waveforms), strict=True))
    return HeldOutSpeech(tuple(utterances), tuple(heard[index] for index in range(len(utterances))))


def measure(bundle: Bundle, speech: HeldOutSpeech) -> dict[str, float]:
    """Read speech as a bundle says and count the errors.

    Args:
        bundle: The settings, alphabet and language models.
        speech: What to read.

    Returns:
        The word error rate of each corpus, as a fraction.
    """
    errors: dict[str, list[ErrorCounts]] = {}
    for utterance, hypotheses in zip(speech.utterances, Recognizer(bundle).read(speech.heard), strict=True):
        text = bundle.tokenizer.join(hypotheses[0].tokens)
        counts = word_errors(normalize_text(utterance.text), normalize_text(text))
        errors.setdefault(corpus_name(utterance), []).append(counts)
    return {corpus: error_rate(counts) for corpus, counts in sorted(errors.items())}


def search(
    try_pair: Callable[[Pair], float], lm_weights: Sequence[float], word_scores: Sequence[float]
) -> dict[Pair, float]:
    """Look for the best pair on a coarse grid, then around the best of it, step by step.

    Args:
        try_pair: Measures the error rate of a pair; called once for each.
        lm_weights: Those of the coarse grid, at least 0.
        word_scores: Likewise, of any sign.

    Returns:
        The error rate of each pair that was tried, the grid first.
    """
    rates = {pair: try_pair(pair) for pair in product(lm_weights, word_scores)}
    for scale in _SCALES:
        steps = scale * _step(lm_weights), scale * _step(word_scores)
        while new := [pair for pair in _surround(best_pair(rates), steps) if pair not in rates]:
            rates.update((pair, try_pair(pair)) for pair in new)
    return rates


def best_pair(rates: Mapping[Pair, float]) -> Pair:
    """Choose the pair with the lowest error rate.

    Args:
        rates: Those of each pair, at least one.

    Returns:
        The pair; of several that are equal, the first.
    """
    return min(rates, key=rates.__getitem__)


def render_grid(rates: Mapping[Pair, float]) -> str:
    """Lay out the error rates of all pairs.

    Args:
        rates: The error rate of each pair, as a fraction.

    Returns:
        A Markdown table in percent, a row for each `lm_weight`; the best is bold, what was not tried is empty.
    """
    word_scores = sorted({word_score for _, word_score in rates})
    best = best_pair(rates)
    rows = []
    for lm_weight in sorted({lm_weight for lm_weight, _ in rates}):
        pairs = [(lm_weight, word_score) for word_score in word_scores]
        cells = [f"{100 * rates[pair]:.2f}" if pair in rates else "" for pair in pairs]
        marked = [f"**{cell}**" if pair == best else cell for pair, cell in zip(pairs, cells, strict=True)]
        rows.append((f"{lm_weight:g}", *marked))
    return markdown_table(("lm_weight, word_score", *(f"{word_score:g}" for word_score in word_scores)), rows)


def render_modes(modes: Mapping[str, Mapping[str, float]]) -> str:
    """Lay out the error rates of several ways to decode beside each other.

    Args:
        modes: For each, the word error rate of each corpus, as a fraction; the corpora are the same.

    Returns:
        A Markdown table in percent, a row for each corpus and one for their mean.
    """
    corpora = list(next(iter(modes.values())))
    rows = [(corpus, *(f"{100 * rates[corpus]:.2f}" for rates in modes.values())) for corpus in corpora]
    means = ("mean", *(f"{100 * fmean(rates.values()):.2f}" for rates in modes.values()))
    return markdown_table(("WER %", *modes), [*rows, means])


def _tune(arguments: argparse.Namespace) -> int:
    """Search, show what was found, and write it into the bundle."""
    if arguments.output:  # what is missing is better known before the work than after it
        require_matplotlib()
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
    bundle = _open(arguments)
    speech = listen(bundle, _choose(arguments))

    def try_pair(pair: Pair) -> float:
        rate = fmean(measure(_with_pair(bundle, pair), speech).values())
        _LOGGER.info("lm_weight %g, word_score %g: mean WER %.2f %%", *pair, 100 * rate)
        return rate

    rates = search(try_pair, arguments.lm_weights, arguments.word_scores)
    best = _with_pair(bundle, best_pair(rates))
    modes = {name: measure(mode, speech) for name, mode in decoding_modes(best).items()}
    print(render_grid(rates), render_modes(modes), sep="\n\n")
    print(f"\nbest: lm_weight {best.decoding.lm_weight:g}, word_score {best.decoding.word_score:g}")
    if arguments.output:
        plot_error_grid(rates).savefig(arguments.output, format="png")
    if not arguments.dry_run:
        update_settings(arguments.model, decoding=best.decoding)
        if arguments.lm or arguments.recurrent_lm:
            update_language_models(arguments.model, best.lm, best.recurrent_lm)
        _LOGGER.info("%s: the best settings are written", arguments.model)
    return 0


def _choose(arguments: argparse.Namespace) -> list[Utterance]:
    """Read the manifest, and draw from it if the command line says so."""
    utterances = read_manifest(arguments.manifest)
    require_references(utterances)
    if arguments.max_duration:
        utterances = choose_part(utterances, arguments.max_duration)
    duration = sum(utterance.duration for utterance in utterances)
    _LOGGER.info("tuning on %d utterances, %.0f s", len(utterances), duration)
    return utterances


def _open(arguments: argparse.Namespace) -> Bundle:
    """Load the bundle, with the language models that the command line names if it names any."""
    bundle = load_bundle(arguments.model)
    if arguments.lm:
        bundle = replace(bundle, lm=open_model(arguments.lm), recurrent_lm=None)  # that of the bundle is of other texts
    if arguments.recurrent_lm:
        bundle = replace(bundle, recurrent_lm=RecurrentLM.load(arguments.recurrent_lm))
    if arguments.internal_lm_weight is not None:
        bundle = replace(bundle, decoding=replace(bundle.decoding, internal_lm_weight=arguments.internal_lm_weight))
    if bundle.lm is None:
        raise LanguageModelError(f"{arguments.model}: holds no language model to tune; name one with --lm FILE")
    return bundle


def _with_pair(bundle: Bundle, pair: Pair) -> Bundle:
    """Let a bundle search with a pair of settings."""
    lm_weight, word_score = pair
    return replace(
        bundle, decoding=replace(bundle.decoding, decoder="beam", lm_weight=lm_weight, word_score=word_score)
    )


def _step(values: Sequence[float]) -> float:
    """Measure the mean distance between neighbours of a grid; that of a single value is 0."""
    return (max(values) - min(values)) / max(1, len(set(values)) - 1)


def _surround(pair: Pair, steps: tuple[float, float]) -> list[Pair]:
    """List a pair and its neighbours one step away, without those below a weight of 0."""
    lm_weights, word_scores = (
        sorted({round(value + sign * step, 6) for sign in (-1, 0, 1)}) for value, step in zip(pair, steps, strict=True)
    )
    return [pair for pair in product(lm_weights, word_scores) if pair[0] >= 0]


def _setting(name: str) -> Callable[[str], float]:
    """Make a reader of numbers from the command line, which are checked as the decoder checks its settings."""

    def read(text: str) -> float:
        try:
            number = round(float(text), 6)
            settings: dict[str, Any] = {name: number}  # Any: the name decides of what type the field is
            DecodingConfig(**settings)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error
        return number

    return read


if __name__ == "__main__":
    raise SystemExit(main())
