"""Estimate an n-gram language model from text, make it small, and measure it.

TEXT holds one sentence a line, plain or compressed (.gz, .xz, .bz2). The model goes to the file that OUTPUT names: one
that ends in .arpa or .arpa.gz is in ARPA form, which every toolkit reads; any other is the small binary form of this
package, and gets the ending .safetensors.
"""

import argparse
import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from asr.cli.terminal import positive_count, positive_number
from asr.lm.arpa import open_model, write_arpa
from asr.lm.corpus import encode_corpus, read_held_out, read_sentences
from asr.lm.counts import count_ngrams
from asr.lm.kneser_ney import estimate, measure_frequencies
from asr.lm.ngram import NGramLM
from asr.lm.perplexity import measure_perplexity
from asr.lm.pruning import find_threshold, measure_costs, prune

_log = logging.getLogger("asr.train_lm")
_BINARY = ".safetensors"
_ARPA = (".arpa", ".arpa.gz")
_BYTES_PER_MEGABYTE = 1_000_000


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line.

    Returns:
        The parser behind `python -m asr train-lm`.
    """
    parser = argparse.ArgumentParser(prog="asr train-lm", description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("text", type=Path, nargs="*", default=[], metavar="TEXT", help="Files of sentences.")
    source.add_argument(
        "--convert", type=Path, metavar="FILE", help="Take this model instead of text: ARPA, or the binary form."
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="File to write the model to.")
    parser.add_argument("--arpa", type=Path, metavar="FILE", help="Write it in ARPA form too; .gz compresses it.")
    _add_estimation_arguments(parser)
    parser.add_argument(
        "--prune",
        type=positive_number,
        default=0.0,
        metavar="THRESHOLD",
        help="Leave out n-grams without which the perplexity grows by less than this fraction. Default: keep all.",
    )
    parser.add_argument(
        "--max-size",
        type=positive_number,
        metavar="MB",
        help="Prune until the binary form has at most so many million bytes. Default: any size.",
    )
    parser.add_argument("--held-out", type=Path, metavar="FILE", help="Text to measure the perplexity on.")
    parser.add_argument("--raw", action="store_true", help="Take the words as they are, and normalise no text.")
    parser.add_argument("--quiet", action="store_true", help="Show errors alone on stderr.")
    return parser


def _add_estimation_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that matter where a model is estimated from text."""
    parser.add_argument(
        "--order",
        type=positive_count,
        default=3,
        metavar="N",
        help="Words in the longest n-grams. Default: %(default)s.",
    )
    parser.add_argument(
        "--vocabulary-size", type=positive_count, metavar="N", help="Keep the N most frequent words. Default: all."
    )
    parser.add_argument(
        "--min-count",
        type=positive_count,
        default=1,
        metavar="N",
        help="Keep words that occur at least N times. Default: %(default)s.",
    )
    parser.add_argument(
        "--cutoffs",
        type=_whole_numbers,
        default=(0,),
        metavar="N,N,...",
        help="For each order, how often an n-gram may occur and yet be left out; the last holds for all higher orders. "
        "The first must be 0 (see --min-count). Default: 0.",
    )


def run(arguments: argparse.Namespace) -> int:
    """Make the model, write it, and report on what was written."""
    output = _complete_name(arguments.output)
    for path in (output, arguments.arpa):
        if path:  # a folder that cannot be made is better known before the work than after it
            path.parent.mkdir(parents=True, exist_ok=True)
    held_out = read_held_out(arguments.held_out, normalize=not arguments.raw) if arguments.held_out else []
    model, history_probs = (open_model(arguments.convert), None) if arguments.convert else _estimate(arguments)
    model = _shrink(model, history_probs, arguments)
    if arguments.arpa:
        write_arpa(arguments.arpa, model)
    if output.suffix == _BINARY:
        model.save(output)
        model = NGramLM.load(output)  # what is measured is what others will open
    else:
        write_arpa(output, model)
    ngrams = " + ".join(f"{count:,}" for count in model.counts)
    print(f"{output}: {output.stat().st_size / _BYTES_PER_MEGABYTE:.2f} MB, order {model.order}, {ngrams} n-grams")
    if held_out:
        print(f"held out: {measure_perplexity(model, held_out)}")
    return 0


def _estimate(arguments: argparse.Namespace) -> tuple[NGramLM, NDArray[np.float64]]:
    """Estimate the whole model from text, and how often each of its n-grams occurs."""
    corpus = encode_corpus(
        tqdm(
            read_sentences(arguments.text, normalize=not arguments.raw),
            "reading",
            unit=" sentences",
            **_bar(arguments),
        ),
        vocabulary_size=arguments.vocabulary_size,
        min_count=arguments.min_count,
    )
    with tqdm(desc="counting", total=arguments.order, unit=" orders", **_bar(arguments)) as bar:
        levels = count_ngrams(corpus, arguments.order, bar.update)
    return estimate(corpus.words, levels, arguments.cutoffs), measure_frequencies(levels, arguments.cutoffs)


def _shrink(model: NGramLM, history_probs: NDArray[np.float64] | None, arguments: argparse.Namespace) -> NGramLM:
    """Prune as much as was asked for."""
    if not (arguments.prune or arguments.max_size):
        return model
    _log.info("pruning %s n-grams", f"{len(model.log_probs):,}")
    costs = measure_costs(model, history_probs)
    threshold = arguments.prune
    if arguments.max_size:
        threshold = max(threshold, find_threshold(model, costs, int(arguments.max_size * _BYTES_PER_MEGABYTE)))
    return prune(model, costs, threshold)


def _bar(arguments: argparse.Namespace) -> dict[str, Any]:  # the keywords of tqdm are of many types
    """Choose how progress is shown: on a terminal, and gone when it is done."""
    return {"disable": True if arguments.quiet else None, "leave": False}


def _complete_name(path: Path) -> Path:
    """Return the file to write, with the ending of its form."""
    return path if path.name.endswith((_BINARY, *_ARPA)) else path.with_name(path.name + _BINARY)


def _whole_numbers(text: str) -> tuple[int, ...]:
    """Read whole numbers between commas from the command line."""
    numbers = text.split(",")
    if not all(number.isdecimal() for number in numbers):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of whole numbers, such as 0,0,1")
    return tuple(map(int, numbers))
