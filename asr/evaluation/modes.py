"""What comparisons of decoders have in common: utterances by corpus, the ways to decode, and Markdown tables."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from asr.bundle import Bundle
from asr.data.manifest import Utterance


def group_by_corpus(utterances: Iterable[Utterance]) -> dict[str, list[Utterance]]:
    """Put utterances together that come from one corpus.

    Args:
        utterances: In any order.

    Returns:
        The utterances of each corpus in their order, the corpora sorted by name (see `corpus_name`).
    """
    corpora: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        corpora.setdefault(corpus_name(utterance), []).append(utterance)
    return dict(sorted(corpora.items()))


def corpus_name(utterance: Utterance) -> str:
    """Say which corpus an utterance is of.

    Args:
        utterance: Any.

    Returns:
        The name in the manifest, or `none`.
    """
    return utterance.corpus or "none"


def decoding_modes(bundle: Bundle) -> dict[str, Bundle]:
    """List the ways to decode the posteriors of a model, each as a bundle with these settings.

    Args:
        bundle: The recogniser, with the settings for its language model.

    Returns:
        By name: greedy, beam search alone, and beam search with the language models if there are any.
    """
    beam = replace(bundle.decoding, decoder="beam")
    modes = {
        "greedy": replace(bundle, decoding=replace(beam, decoder="greedy"), lm=None, recurrent_lm=None),
        "beam": replace(bundle, decoding=replace(beam, word_score=0.0), lm=None, recurrent_lm=None),
    }
    return modes if bundle.lm is None else {**modes, "beam with LM": replace(bundle, decoding=beam)}


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a table that reads well as plain text and as Markdown.

    Args:
        header: The names of the columns; the first holds names, the others figures.
        rows: The cells of each row, as many as there are columns.

    Returns:
        Lines of text.
    """
    lines = [tuple(header), *map(tuple, rows)]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    rule = ("-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:]))
    aligned = [
        " | ".join([cells[0].ljust(widths[0]), *map(str.rjust, cells[1:], widths[1:])])
        for cells in (lines[0], rule, *lines[1:])
    ]
    return "\n".join(f"| {line} |" for line in aligned)
