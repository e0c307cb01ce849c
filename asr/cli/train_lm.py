"""Estimate an n-gram language model from text, make it small, and measure it.

TEXT holds one sentence a line, plain or compressed (.gz, .xz, .bz2). The model goes to the file that OUTPUT names: one
with the extension .arpa or .arpa.gz is in ARPA form, which every toolkit reads; any other is the small binary form of
this package, and gets the extension .safetensors.
"""

import argparse
from pathlib import Path

from tqdm import tqdm

from asr.cli.flags import refuse_given
from asr.cli.overwriting import add_overwrite_argument, replacing
from asr.cli.values import count_up_to, positive_count, positive_number, whole_numbers
from asr.lm.corpus import TextConfig
from asr.lm.training import BYTES_PER_MEGABYTE, MAX_ORDER, NGramTraining, complete_path, train_ngram_lm

_OF_TEXT = ("order", "vocabulary_size", "min_count", "cutoffs", "mix", "raw")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser behind `asr train-lm`."""
    parser = argparse.ArgumentParser(prog="asr train-lm", description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("text", type=Path, nargs="*", default=[], metavar="TEXT", help="Sentences, or manifests.")
    source.add_argument(
        "--convert", type=Path, metavar="FILE", help="Model to convert in place of text: ARPA, or the binary form."
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
        help="Prune until the binary form has at most this many million bytes. Default: any size.",
    )
    parser.add_argument("--held-out", type=Path, metavar="FILE", help="Text to measure the perplexity on.")
    parser.add_argument(
        "--mix",
        action="store_true",
        help="Make a model of each TEXT, and interpolate them with the weights that suit the held-out text best, whose "
        "perplexity is then a little optimistic.",
    )
    parser.add_argument("--raw", action="store_true", help="Take the words as they are, without normalisation.")
    add_overwrite_argument(parser)
    parser.add_argument("--quiet", action="store_true", help="Show only errors on stderr.")
    return parser


def _add_estimation_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that matter where a model is estimated from text."""
    parser.add_argument(
        "--order", type=count_up_to(MAX_ORDER), default=3, metavar="N", help="Words in the longest n-grams. Default: 3."
    )
    parser.add_argument(
        "--vocabulary-size", type=positive_count, metavar="N", help="Keep the N most frequent words. Default: all."
    )
    parser.add_argument(
        "--min-count", type=positive_count, default=1, metavar="N", help="Keep words that occur N times. Default: 1."
    )
    parser.add_argument(
        "--cutoffs",
        type=whole_numbers,
        default=(0,),
        metavar="N,N,...",
        help="For each order, how often an n-gram may occur and yet be left out; the last holds for all higher orders. "
        "The first must be 0 (see --min-count). Default: 0.",
    )


def run(arguments: argparse.Namespace) -> int:
    """Make the model and report on it."""
    if arguments.convert:
        refuse_given(build_parser(), arguments, _OF_TEXT, "is for a model of text, and --convert takes one as it is")
    text = TextConfig(not arguments.raw, arguments.vocabulary_size, arguments.min_count)
    config = NGramTraining(arguments.order, arguments.cutoffs, text, arguments.prune, arguments.max_size, arguments.mix)
    outputs = (complete_path(arguments.output), arguments.arpa)
    reads = (*arguments.text, arguments.convert, arguments.held_out)
    with (
        replacing(outputs, reads, overwrite=arguments.overwrite),
        tqdm(leave=False, disable=True if arguments.quiet else None) as bar,
    ):
        shown = ""

        def show(stage: str, count: int) -> None:
            nonlocal shown
            if stage != shown:
                shown = stage
                bar.reset()
                bar.set_description(stage, refresh=False)
            bar.update(count)

        trained = train_ngram_lm(
            arguments.convert or arguments.text,
            arguments.output,
            config,
            arpa=arguments.arpa,
            held_out=arguments.held_out,
            on_progress=show,
        )
    size = trained.path.stat().st_size / BYTES_PER_MEGABYTE
    ngrams = " + ".join(f"{count:,}" for count in trained.lm.counts)
    print(f"{trained.path}: {size:.2f} MB, order {trained.lm.order}, {ngrams} n-grams")
    if trained.perplexity:
        print(f"held out: {trained.perplexity}")
    return 0
