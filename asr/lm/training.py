"""Text files become a file with an n-gram language model: estimated, pruned, written and measured."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from asr.errors import LanguageModelError
from asr.lm.arpa import open_model, write_arpa
from asr.lm.corpus import Corpus, TextConfig, read_corpora, read_corpus, read_held_out
from asr.lm.counts import count_ngrams
from asr.lm.kneser_ney import estimate, measure_frequencies
from asr.lm.language_model import LanguageModel
from asr.lm.mixing import find_weights, interpolate
from asr.lm.ngram import NGramLM
from asr.lm.perplexity import Perplexity, measure_perplexity
from asr.lm.pruning import find_threshold, measure_costs, prune

BINARY_EXTENSION = ".safetensors"
BYTES_PER_MEGABYTE = 1_000_000
MAX_ORDER = 16  # words; longer n-grams hardly ever occur twice
_ARPA_EXTENSIONS = (".arpa", ".arpa.gz")

_log = logging.getLogger(__name__)
_LM = TypeVar("_LM", bound=LanguageModel)

Progress = Callable[[str, int], None]
"""Called with the name of a stage and how much more of it is done."""


@dataclass(frozen=True, slots=True)
class NGramTraining:
    """How an n-gram language model is made.

    Attributes:
        order: Words in the longest n-grams, from 1 to 16.
        cutoffs: For each order, how often an n-gram may occur and yet be left out; the last holds for all higher
            orders.
        text: How text is read, and which words are kept.
        prune: N-grams without which the perplexity grows by less than this fraction are left out; 0 keeps all.
        max_size: Megabytes that the binary form may have at most; any size if `None`.
        mix: Whether each file of text makes a model of its own, and these are interpolated with the weights that suit
            the held-out text best.
    """

    order: int = 3
    cutoffs: tuple[int, ...] = (0,)
    text: TextConfig = field(default_factory=TextConfig)
    prune: float = 0.0
    max_size: float | None = None
    mix: bool = False

    def __post_init__(self) -> None:
        """Check the order."""
        if not 1 <= self.order <= MAX_ORDER:
            raise LanguageModelError(f"order is {self.order}, but must be from 1 to {MAX_ORDER}")


@dataclass(frozen=True, slots=True)
class TrainedLM(Generic[_LM]):
    """A language model that was written.

    Attributes:
        path: The file.
        lm: The model as others will open it.
        perplexity: On the held-out text; `None` if there is none.
    """

    path: Path
    lm: _LM
    perplexity: Perplexity | None


def train_ngram_lm(
    source: Path | Sequence[Path],
    output: Path,
    config: NGramTraining,
    *,
    arpa: Path | None = None,
    held_out: Path | None = None,
    on_progress: Progress = lambda stage, count: None,
) -> TrainedLM[NGramLM]:
    """Make an n-gram language model and write it.

    Args:
        source: Files of text, one sentence a line, or one file with a model to convert.
        output: The file to write: ARPA where it ends in `.arpa` or `.arpa.gz`, otherwise the binary form, which gets
            the extension `.safetensors`.
        config: How the model is made.
        arpa: A file to write the model to in ARPA form too.
        held_out: Text to measure the perplexity on, and to find the weights of a mixture.
        on_progress: Called for each sentence that is read and each order that is counted.

    Returns:
        What was written.

    Raises:
        LanguageModelError: If a file cannot be read or the settings do not fit the text.
    """
    output = complete_path(output)
    for path in (output, arpa):
        if path:  # a folder that cannot be made is better known before the work than after it
            path.parent.mkdir(parents=True, exist_ok=True)
    sentences = read_held_out(held_out, normalize=config.text.normalize) if held_out else []
    if config.mix and (isinstance(source, Path) or len(set(source)) < 2 or not sentences):
        raise LanguageModelError("a mixture needs several files of text, and a held-out text to find their weights on")
    lm = _make(source, sentences, config, on_progress)
    if arpa:
        write_arpa(arpa, lm)
    if output.suffix == BINARY_EXTENSION:
        lm.save(output)
        lm = NGramLM.load(output)  # quantised: what is measured is what others will open
    else:
        write_arpa(output, lm)
    return TrainedLM(output, lm, measure_perplexity(lm, sentences) if sentences else None)


def complete_path(path: Path, known: Sequence[str] = (BINARY_EXTENSION, *_ARPA_EXTENSIONS)) -> Path:
    """Return the file to write for a name, with the extension of the binary form unless it has a known one.

    Args:
        path: What was named.
        known: The extensions that stay.

    Returns:
        The file.

    Raises:
        LanguageModelError: If the name is that of a folder alone, such as `.`.
    """
    if not path.name:
        raise LanguageModelError(f"{path}: is a folder; name the file to write")
    return path if path.name.endswith(tuple(known)) else path.with_name(path.name + BINARY_EXTENSION)


def _make(
    source: Path | Sequence[Path], held_out: Sequence[Sequence[str]], config: NGramTraining, on_progress: Progress
) -> NGramLM:
    """Open or estimate the model, and prune it as far as was asked for."""
    if isinstance(source, Path):
        return _shrink(open_model(source), None, config)
    if not config.mix:
        corpus = read_corpus(source, config.text, lambda: on_progress("reading", 1))
        return _shrink(*_estimate(corpus, config, on_progress), config)
    corpora = read_corpora(source, config.text, lambda: on_progress("reading", 1))
    estimated = [_estimate(corpus, config, on_progress) for corpus in corpora]
    models, frequencies = zip(*estimated, strict=True)
    weights = find_weights(models, held_out)
    for path, weight in zip(source, weights, strict=True):
        _log.info("%s: weight %.3f", path, weight)
    return _shrink(*interpolate(models, frequencies, weights.tolist()), config)


def _estimate(corpus: Corpus, config: NGramTraining, on_progress: Progress) -> tuple[NGramLM, NDArray[np.float64]]:
    """Estimate a model, and how often each of its n-grams occurs."""
    levels = count_ngrams(corpus, config.order, lambda orders: on_progress("counting", orders))
    return estimate(corpus.words, levels, config.cutoffs), measure_frequencies(levels, config.cutoffs)


def _shrink(lm: NGramLM, history_probs: NDArray[np.float64] | None, config: NGramTraining) -> NGramLM:
    """Prune a model by the threshold, and further until it has the size."""
    if not (config.prune or config.max_size):
        return lm
    _log.info("pruning %s n-grams", f"{len(lm.log_probs):,}")
    costs = measure_costs(lm, history_probs)
    threshold = config.prune
    if config.max_size:
        threshold = max(threshold, find_threshold(lm, costs, int(config.max_size * BYTES_PER_MEGABYTE)))
    return prune(lm, costs, threshold)
