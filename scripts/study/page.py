"""The page of the study: the words of `page.md`, and every figure from the measurements."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from asr.evaluation.modes import markdown_table
from asr.units import Seconds
from scripts.study.designs import BASE_LAYERS, CELL_NAMES, CELLS, CLIP_NORM, DEPTHS, Design, describe_design
from scripts.study.runs import CHUNK_DURATION, NUM_CHUNKS, Corpus
from scripts.study.summary import Rate, Summary, Unit, choose_unit, get_rate, lie_apart

_HEADER = (
    "design", "units", "weights", "WER %", "over seeds", "over utterances", "CER %", "over seeds", "s an epoch", "reach"
)  # fmt: skip


@dataclass(frozen=True)
class Chapter:
    """The part of the page about one corpus.

    Attributes:
        corpus: The corpus.
        step: Seconds from one step of the recurrence to the next.
        train_duration: Seconds of the training utterances.
        num_utterances: Utterances that the error rates are of.
        summaries: The designs that were run, at least one, in the order of the table.
    """

    corpus: Corpus
    step: Seconds
    train_duration: Seconds
    num_utterances: int
    summaries: tuple[Summary, ...]


def render_page(
    radii: Mapping[tuple[str, float], Sequence[float]], chapters: Sequence[Chapter], machine: Mapping[str, object]
) -> str:
    """Write the page.

    Args:
        radii: By cell and spectral radius, the gradient of an untrained layer at each lag.
        chapters: One for each corpus.
        machine: What it was measured on, by name.

    Returns:
        Markdown; it shows `radii.png`, and `rates-`, `gradients-` and `norms-` with the name of each corpus.
    """
    words = Path(__file__).with_suffix(".md").read_text(encoding="utf-8")
    return words.format(
        machine=", ".join(f"{name} {value}" for name, value in machine.items()),
        table=_tabulate_radii(radii),
        base_layers=BASE_LAYERS,
        clip_norm=CLIP_NORM,
        num_chunks=NUM_CHUNKS,
        chunk_duration=CHUNK_DURATION,
        chapters="\n\n".join(map(_render_chapter, chapters)),
    )


def fit_step_factor(gradient: Sequence[float]) -> float:
    """Measure by what a gradient is multiplied at each step back, once the first sixth of the lags is past.

    Args:
        gradient: At each lag, at least eight of them.

    Returns:
        The factor; 0 if nothing arrives.
    """
    first, last = len(gradient) // 6, len(gradient) - 1
    return (gradient[last] / gradient[first]) ** (1 / (last - first)) if gradient[first] else 0.0


def _tabulate_radii(radii: Mapping[tuple[str, float], Sequence[float]]) -> str:
    """Compare the effect of each radius with the rule of thumb."""
    last = len(next(iter(radii.values()))) - 1
    rows = [
        (
            CELL_NAMES[cell],
            f"{radius:g}",
            f"{radius if cell == 'rnn_tanh' else radius / 2**0.5:.2f}",
            f"{fit_step_factor(gradient):.2f}",
            f"{gradient[last]:.0e}",
        )
        for (cell, radius), gradient in radii.items()
    ]
    return markdown_table(("cell", "radius r", "rule of thumb", "measured a step", f"left after {last} steps"), rows)


def _render_chapter(chapter: Chapter) -> str:
    """Tell what one corpus showed."""
    corpus, summaries = chapter.corpus, chapter.summaries
    unit = choose_unit(summaries)
    lines = [
        f"### {corpus.name.capitalize()}\n",
        f"{chapter.train_duration / 60:.1f} minutes of training speech, {corpus.epochs} epochs, learning rate "
        f"{corpus.learning_rate:g}; {chapter.num_utterances} other utterances to measure on. A step is "
        f"{1000 * chapter.step:.0f} ms.\n",
        markdown_table(_HEADER, [_tabulate(summary) for summary in summaries]) + "\n",
        f"![Error rates](rates-{corpus.name}.png)\n",
    ]
    if unit == "characters":
        lines.append("Every design has most words wrong, so they are compared by characters.\n")
    lines += [f"- {sentence}" for sentence in _compare_all(summaries, unit)]
    lines += [
        "",
        "How far back the networks in one direction remember; the dotted line is a hundredth:\n",
        f"![Gradients by lag](gradients-{corpus.name}.png)\n",
        "The norm of the gradient of all weights in each update, before clipping, of the networks of "
        f"{BASE_LAYERS} layers in both directions, seed 0:\n",
        f"![Norms in training](norms-{corpus.name}.png)",
    ]
    return "\n".join(lines)


def _tabulate(summary: Summary) -> tuple[str, ...]:
    """Lay out one row of the table."""
    reaches = (
        str(reach) if reach is not None else f"> {len(summary.gradient_before) - 1}" for reach in summary.reaches
    )
    words, characters = summary.words, summary.characters
    unfinished = summary.num_runs - summary.num_finished
    name = describe_design(summary.design) + (f" ({unfinished} of {summary.num_runs} failed)" if unfinished else "")
    return (
        name,
        str(summary.hidden_size),
        f"{summary.num_parameters:,}",
        *_show_rate(words),
        _show_interval(words.utterance_interval if words else None),
        *_show_rate(characters),
        f"{summary.epoch_duration:.1f}",
        " → ".join(reaches) if summary.gradient_after else next(reaches),
    )


def _show_rate(rate: Rate | None) -> tuple[str, str]:
    """Write a rate and its interval over seeds in percent."""
    return (f"{100 * rate.mean:.1f}" if rate else "-", _show_interval(rate.seed_interval if rate else None))


def _show_interval(interval: tuple[float, float] | None) -> str:
    """Write an interval in percent, not below zero."""
    return f"{100 * max(0.0, interval[0]):.1f} to {100 * interval[1]:.1f}" if interval else "-"


def _compare_all(summaries: Sequence[Summary], unit: Unit) -> Iterator[str]:
    """Compare every two designs that a question of the study is about."""
    rates = {summary.design: rate for summary in summaries if (rate := get_rate(summary, unit)) is not None}
    both = [Design(cell) for cell in CELLS]
    pairs = [*combinations(both, 2)]
    pairs += [(design, replace(design, bidirectional=False)) for design in both]
    pairs += [(design, replace(design, clipped=False)) for design in both]
    pairs += [
        (design, replace(design, num_layers=depth)) for design in both for depth in DEPTHS if depth != BASE_LAYERS
    ]
    found = [pair for pair in pairs if all(design in rates for design in pair)]
    apart = [pair for pair in found if lie_apart(rates[pair[0]], rates[pair[1]])]
    for pair in apart:
        better, worse = sorted(pair, key=lambda design: rates[design].mean)
        yield (
            f"{describe_design(better)} has fewer {unit} wrong than {describe_design(worse)}: "
            f"{100 * rates[better].mean:.1f} % against {100 * rates[worse].mean:.1f} %."
        )
    if found:
        yield (
            f"Of {len(found)} pairs compared, these seeds and utterances do not tell {len(found) - len(apart)} apart."
        )
