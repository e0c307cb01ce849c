"""The flags that verbs of recognition share, and the recogniser that they ask for."""

import argparse
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from asr.cli.terminal import positive_count, positive_number
from asr.errors import ASRError
from asr.writers import WRITERS, WriterOptions

if TYPE_CHECKING:
    from asr.bundle import Bundle
    from asr.recognition.recognizer import Recognizer
    from asr.segmentation import SegmenterConfig

_DECODING_SETTINGS = (
    "decoder",
    "beam_size",
    "beam_threshold",
    "lm_weight",
    "internal_lm_weight",
    "phone_weight",
    "recurrent_lm_weight",
    "word_score",
    "unknown_score",
    "nbest",
)


def add_writer_arguments(parser: argparse.ArgumentParser, *, default: str = "txt") -> None:
    """Add the flags that say in which form transcripts are written.

    Args:
        parser: Gains `--format`, which is `None` if not given and else a list, `--max-line-width` and
            `--max-line-count`.
        default: The format that the verb takes if none is given, for the help.
    """
    shape = WriterOptions()
    parser.add_argument(
        "--format",
        action="append",
        choices=sorted(WRITERS),
        help=f"What to write; may be given several times with --output-dir. Default: {default}.",
    )
    parser.add_argument(
        "--max-line-width",
        type=positive_count,
        default=shape.max_line_width,
        metavar="N",
        help="Most characters in a line of srt and vtt. Default: %(default)s.",
    )
    parser.add_argument(
        "--max-line-count",
        type=positive_count,
        default=shape.max_line_count,
        metavar="N",
        help="Most lines in a subtitle of srt and vtt. Default: %(default)s.",
    )


def writer_options(arguments: argparse.Namespace) -> WriterOptions:
    """Read what `add_writer_arguments` added.

    Args:
        arguments: The command line.

    Returns:
        The shape of subtitles; the name of the recording is left at its default.
    """
    return WriterOptions(max_line_width=arguments.max_line_width, max_line_count=arguments.max_line_count)


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that choose a recogniser and how it runs.

    Args:
        parser: Gains `--model`, `--device`, `--batch-duration`, `--threads` and `--quiet`.
    """
    parser.add_argument(
        "--model",
        type=Path,
        metavar="DIR",
        help="Folder of the model to use. Default: the English model that comes with the package.",
    )
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="Where to compute; auto takes a CUDA device if there is one. Default: %(default)s.",
    )
    parser.add_argument(
        "--batch-duration",
        type=positive_number,
        default=160.0,
        metavar="SECONDS",
        help="Most seconds of audio recognised at once, padding among them; bounds the memory. Default: %(default)s.",
    )
    parser.add_argument(
        "--threads",
        type=positive_count,
        metavar="N",
        help="Processor threads to compute with. Default: as many as PyTorch chooses.",
    )
    parser.add_argument("--quiet", action="store_true", help="Show errors alone on stderr.")


def add_decoding_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say how speech is found and how the output of the model is read.

    Args:
        parser: Gains `--decoder`, `--beam-size`, `--beam-threshold`, `--nbest`, `--lm-weight`,
            `--internal-lm-weight`, `--phone-weight`, `--recurrent-lm-weight`, `--word-score`, `--unknown-score`,
            `--closed`, `--lm`, `--recurrent-lm`, `--no-lm`, `--hot-words`, `--hot-words-file`, `--vad` and
            `--max-segment`.
    """
    group = parser.add_argument_group(
        "decoding", "What is not given is as the model says. Every flag of the beam search implies --decoder beam."
    )
    group.add_argument("--decoder", choices=("greedy", "beam"), help="Greedy is fast, beam search is accurate.")
    group.add_argument("--beam-size", type=positive_count, metavar="N", help="Readings that the beam search keeps.")
    group.add_argument(
        "--beam-threshold", type=_number, metavar="X", help="A reading this far below the best is dropped."
    )
    group.add_argument("--nbest", type=positive_count, metavar="N", help="Readings of each segment to give in json.")
    _add_scoring_arguments(group)
    group.add_argument(
        "--hot-words", metavar="WORDS", help='Words and phrases to listen for, as in "anna:5,ice cream:3" or "anna".'
    )
    group.add_argument("--hot-words-file", type=Path, metavar="FILE", help="The same from a file, one a line.")
    group.add_argument("--vad", choices=("energy", "silero"), help="How speech is found in long recordings.")
    group.add_argument(
        "--max-segment", type=positive_number, metavar="SECONDS", help="Longest stretch to recognise at once."
    )


def _add_scoring_arguments(group: "argparse._ArgumentGroup") -> None:
    """Add the flags that say what a reading is worth."""
    group.add_argument("--lm-weight", type=_number, metavar="X", help="How much the language model counts.")
    group.add_argument(
        "--internal-lm-weight",
        type=_number,
        metavar="X",
        help="How much of what the network itself knows of spelling the language model replaces.",
    )
    group.add_argument("--phone-weight", type=_number, metavar="X", help="How much the phones count; 0 is off.")
    group.add_argument(
        "--recurrent-lm-weight", type=_number, metavar="X", help="How much the recurrent one counts besides; 0 is off."
    )
    group.add_argument("--word-score", type=_number, metavar="X", help="What each word adds to the score of a reading.")
    outside = group.add_mutually_exclusive_group()
    outside.add_argument(
        "--unknown-score",
        type=_number,
        metavar="X",
        help="What each word that the language model lacks adds, at most 0.",
    )
    outside.add_argument("--closed", action="store_true", help="Allow no word that the language model lacks.")
    models = group.add_mutually_exclusive_group()
    models.add_argument("--lm", type=Path, metavar="FILE", help="Another language model, ARPA or binary.")
    models.add_argument(
        "--no-lm", action="store_true", help="Use no language model, and a word score of 0 unless given."
    )
    group.add_argument(
        "--recurrent-lm",
        type=Path,
        metavar="FILE",
        help="A recurrent language model besides; with --lm, that of the model is not used.",
    )


def open_bundle(arguments: argparse.Namespace) -> "Bundle":
    """Open the model that a command line asks for, with its decoding as the flags say.

    Args:
        arguments: What `add_model_arguments` and `add_decoding_arguments` added.

    Returns:
        The bundle.

    Raises:
        ASRError: If a file cannot be read, or settings do not fit each other.
    """
    from asr.bundle import ENGLISH_MODEL, load_bundle
    from asr.lm.arpa import open_model
    from asr.lm.recurrent import RecurrentLM

    bundle = load_bundle(arguments.model or ENGLISH_MODEL)
    flags = {name: getattr(arguments, name) for name in _DECODING_SETTINGS}
    given = {name: value for name, value in flags.items() if value is not None}
    if arguments.closed:
        given["unknown_score"] = None
    if given or arguments.lm or arguments.recurrent_lm or arguments.hot_words or arguments.hot_words_file:
        given.setdefault("decoder", "beam")
    if arguments.no_lm:
        given.setdefault("word_score", 0.0)  # the model's own was tuned together with its language model
    lm = open_model(arguments.lm) if arguments.lm else None if arguments.no_lm else bundle.lm
    # That of the model goes with its own n-grams: another language model is of other texts.
    recurrent_lm = None if arguments.lm or arguments.no_lm else bundle.recurrent_lm
    if arguments.recurrent_lm:
        recurrent_lm = RecurrentLM.load(arguments.recurrent_lm)
    try:
        return replace(bundle, decoding=replace(bundle.decoding, **given), lm=lm, recurrent_lm=recurrent_lm)
    except ValueError as error:
        raise ASRError(f"the flags do not fit each other or the model: {error}") from error


def open_recognizer(arguments: argparse.Namespace, bundle: "Bundle | None" = None) -> "Recognizer":
    """Open the recogniser that a command line asks for.

    Args:
        arguments: What `add_model_arguments` and `add_decoding_arguments` added.
        bundle: The model; what `open_bundle` returns if not given.

    Returns:
        The recogniser.

    Raises:
        ASRError: If a file cannot be read, or settings do not fit each other.
    """
    import torch

    from asr.decoding import parse_hot_words, read_hot_words
    from asr.recognition.recognizer import Recognizer

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    hot_words = [
        *(parse_hot_words(arguments.hot_words) if arguments.hot_words else ()),
        *(read_hot_words(arguments.hot_words_file) if arguments.hot_words_file else ()),
    ]
    try:
        segmentation = _choose_segmentation(arguments)
    except ValueError as error:
        raise ASRError(f"the flags do not fit each other: {error}") from error
    bundle = open_bundle(arguments) if bundle is None else bundle
    return Recognizer(bundle, device=arguments.device, hot_words=hot_words, segmentation=segmentation)


def _choose_segmentation(arguments: argparse.Namespace) -> "SegmenterConfig":
    """Read how speech is found."""
    from asr.segmentation import SegmenterConfig

    config = SegmenterConfig()
    longest = arguments.max_segment or config.max_speech_duration
    return replace(
        config,
        detector=arguments.vad or config.detector,
        max_speech_duration=longest,
        overlap=min(config.overlap, longest / 2),
    )


def _number(text: str) -> float:
    """Read a finite number from the command line."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return number
