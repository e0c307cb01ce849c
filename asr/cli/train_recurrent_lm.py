"""Train a recurrent language model on text, and measure it.

TEXT holds one sentence a line, plain or compressed (.gz, .xz, .bz2). The model goes to the file that OUTPUT names, with
the ending .safetensors. A run that was stopped goes on with the same command.
"""

import argparse
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from asr.cli.terminal import positive_count, positive_number
from asr.errors import LanguageModelError

_SUFFIX = ".safetensors"


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line.

    Returns:
        The parser behind `python -m asr train-recurrent-lm`.
    """
    parser = argparse.ArgumentParser(prog="asr train-recurrent-lm", description=__doc__)
    parser.add_argument("text", type=Path, nargs="+", metavar="TEXT", help="Files of sentences.")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="File to write the model to.")
    sizes = {
        "vocabulary-size": (65533, "Keep the N most frequent words."),
        "min-count": (2, "Keep words that occur at least N times."),
        "embedding-size": (256, "Values in the vector of a frequent word."),
        "hidden-size": (512, "Values in the state of the LSTM."),
        "batch-words": (2048, "Words in an update."),
    }
    for name, (default, text) in sizes.items():
        text = f"{text} Default: %(default)s."
        parser.add_argument(f"--{name}", type=positive_count, default=default, metavar="N", help=text)
    parser.add_argument(
        "--epochs", type=positive_number, default=1.0, metavar="X", help="How often to read the text. Default: 1."
    )
    parser.add_argument(
        "--learning-rate", type=positive_number, default=2e-3, metavar="X", help="Of Adam. Default: %(default)s."
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="Of all that is random. Default: 0.")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="Where. Default: %(default)s."
    )
    parser.add_argument("--threads", type=positive_count, metavar="N", help="Processor threads to compute with.")
    parser.add_argument("--held-out", type=Path, metavar="FILE", help="Text to measure the perplexity on.")
    parser.add_argument("--raw", action="store_true", help="Take the words as they are, and normalise no text.")
    parser.add_argument("--quiet", action="store_true", help="Show errors alone on stderr.")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Train the model, write it, and report on what was written."""
    import torch
    from tqdm import tqdm

    from asr.acoustic.device import choose_device
    from asr.lm.corpus import encode_corpus, read_held_out, read_sentences
    from asr.lm.recurrent import RecurrentLMConfig
    from asr.training.recurrent_lm import RecurrentLMTraining, sort_by_frequency, train_recurrent_lm

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    output = arguments.output
    output = output if output.suffix == _SUFFIX else output.with_name(output.name + _SUFFIX)
    output.parent.mkdir(parents=True, exist_ok=True)
    checkpoint = output.with_suffix(".checkpoint")
    try:
        shape = RecurrentLMConfig(arguments.embedding_size, arguments.hidden_size)
    except ValueError as error:
        raise LanguageModelError(f"the sizes do not fit each other: {error}") from error
    device = choose_device(arguments.device)
    held_out = read_held_out(arguments.held_out, normalize=not arguments.raw) if arguments.held_out else []
    settings = RecurrentLMTraining(**{
        field.name: getattr(arguments, field.name) for field in fields(RecurrentLMTraining) if field.name in arguments
    })
    sentences = read_sentences(arguments.text, normalize=not arguments.raw)
    corpus = encode_corpus(sentences, vocabulary_size=arguments.vocabulary_size, min_count=arguments.min_count)
    with tqdm(desc="training", unit=" updates", disable=True if arguments.quiet else None, leave=False) as bar:

        def show(update: int, updates: int) -> None:
            bar.total = updates
            bar.update(update - bar.n)

        model = train_recurrent_lm(
            sort_by_frequency(corpus),
            shape,
            settings,
            checkpoint=checkpoint,
            device=device,
            on_progress=show,
        )
    model.save(output)
    checkpoint.unlink(missing_ok=True)  # not before: an hour of work may be in it
    _report(output, held_out)
    return 0


def _report(output: Path, held_out: Sequence[Sequence[str]]) -> None:
    """Say how large a model is and how well it predicts text."""
    from asr.lm.recurrent import RecurrentLM
    from asr.training.recurrent_lm import measure_recurrent_perplexity

    model = RecurrentLM.load(output)  # what others will open, not what was in memory
    print(f"{output}: {output.stat().st_size / 1e6:.2f} MB, {len(model.words):,} words")
    if held_out:
        print(f"held out: {measure_recurrent_perplexity(model, held_out)}")
