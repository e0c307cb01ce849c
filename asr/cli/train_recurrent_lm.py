"""Train a recurrent language model on text, and measure it.

TEXT holds one sentence a line, plain or compressed (.gz, .xz, .bz2). The model goes to the file that OUTPUT names, with
the extension .safetensors. A run that was stopped goes on with the same command.
"""

import argparse
from dataclasses import fields
from pathlib import Path

from tqdm import tqdm

from asr.cli.overwriting import add_overwrite_argument, replacing
from asr.cli.values import MAX_THREADS, count_up_to, positive_number, seed_number
from asr.errors import LanguageModelError
from asr.lm.corpus import TextConfig
from asr.lm.recurrent import MAX_SIZE
from asr.lm.training import BINARY_EXTENSION, BYTES_PER_MEGABYTE, complete_path


def build_parser() -> argparse.ArgumentParser:
    """Return the parser behind `asr train-recurrent-lm`."""
    parser = argparse.ArgumentParser(prog="asr train-recurrent-lm", description=__doc__)
    parser.add_argument("text", type=Path, nargs="+", metavar="TEXT", help="Files of sentences, or manifests.")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="File to write the model to.")
    parser.add_argument(
        "--initial",
        type=Path,
        metavar="FILE",
        help="Trained model of the same sizes to begin with; its words are kept.",
    )
    sizes = {
        "vocabulary-size": (65533, 10_000_000, "Keep the N most frequent words."),
        "min-count": (2, 1_000_000_000, "Keep words that occur at least N times."),
        "embedding-size": (256, MAX_SIZE, "Values in the vector of a frequent word."),
        "hidden-size": (512, MAX_SIZE, "Values in the state of the LSTM."),
        "batch-words": (2048, 1_000_000, "Words in an update."),
    }
    for name, (default, largest, text) in sizes.items():
        text = f"{text} Default: %(default)s."
        parser.add_argument(f"--{name}", type=count_up_to(largest), default=default, metavar="N", help=text)
    parser.add_argument(
        "--epochs", type=positive_number, default=1.0, metavar="X", help="Passes over the text. Default: 1."
    )
    parser.add_argument(
        "--learning-rate",
        type=positive_number,
        default=2e-3,
        metavar="X",
        help="Highest learning rate of Adam. Default: %(default)s.",
    )
    parser.add_argument(
        "--seed", type=seed_number, default=0, metavar="N", help="Seed of all that is random. Default: 0."
    )
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="Device to compute on. Default: auto."
    )
    parser.add_argument(
        "--threads", type=count_up_to(MAX_THREADS), metavar="N", help="Processor threads to compute with."
    )
    parser.add_argument("--held-out", type=Path, metavar="FILE", help="Text to measure the perplexity on.")
    parser.add_argument("--raw", action="store_true", help="Take the words as they are, without normalisation.")
    add_overwrite_argument(parser)
    parser.add_argument("--quiet", action="store_true", help="Show only errors on stderr.")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Train the model and report on it."""
    # Not above: PyTorch takes seconds to load, and the help needs none of it.
    import torch

    from asr.lm.recurrent import RecurrentLMConfig
    from asr.training.recurrent_lm import RecurrentLMTraining, train_recurrent_lm_on_texts

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    try:
        config = RecurrentLMConfig(arguments.embedding_size, arguments.hidden_size)
    except ValueError as error:
        raise LanguageModelError(f"the sizes do not fit each other: {error}") from error
    settings = {
        field.name: getattr(arguments, field.name) for field in fields(RecurrentLMTraining) if field.name in arguments
    }
    outputs = [complete_path(arguments.output, [BINARY_EXTENSION])]
    reads = [*arguments.text, arguments.held_out, arguments.initial]
    with (
        replacing(outputs, reads, overwrite=arguments.overwrite),
        tqdm(desc="training", unit=" updates", disable=True if arguments.quiet else None, leave=False) as bar,
    ):

        def show(update: int, updates: int) -> None:
            bar.total = updates
            bar.update(update - bar.n)

        trained = train_recurrent_lm_on_texts(
            arguments.text,
            arguments.output,
            config,
            RecurrentLMTraining(**settings),
            text=TextConfig(not arguments.raw, arguments.vocabulary_size, arguments.min_count),
            initial=arguments.initial,
            held_out=arguments.held_out,
            device=arguments.device,
            on_progress=show,
        )
    size = trained.path.stat().st_size / BYTES_PER_MEGABYTE
    print(f"{trained.path}: {size:.2f} MB, {len(trained.lm.words):,} words")
    if trained.perplexity:
        print(f"held out: {trained.perplexity}")
    return 0
