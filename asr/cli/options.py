"""The flags that verbs of recognition share, and the recogniser that they ask for."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr.cli.flags import add_deprecated_flag, add_fields, given_fields
from asr.cli.values import MAX_THREADS, count_up_to, positive_count, positive_number
from asr.errors import ASRError
from asr.writers import WRITERS, WriterOptions

if TYPE_CHECKING:
    from asr.recognition.recognizer import Recognizer
    from asr.segmentation import SegmenterConfig


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


def add_model_choice(parser: argparse.ArgumentParser) -> None:
    """Add the flags that choose a recogniser and where it runs.

    Args:
        parser: Gains `--model`, `--device`, `--precision` and `--quiet`.
    """
    parser.add_argument(
        "--model",
        type=Path,
        metavar="DIR",
        help="Folder of the model to use. Default: the English model that comes with the package.",
    )
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda", "torch-cpu"),
        default="auto",
        help="Where to compute: cpu (ONNX Runtime), cuda or torch-cpu (PyTorch); auto takes a CUDA device if there is "
        "one. Default: %(default)s.",
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "int8", "auto"),
        default="float32",
        help="What LSTMs are computed in on the processor: int8 takes half of the time and changes some tenths of a "
        "percent of the letters; auto takes it where the processor has instructions for it. Default: %(default)s.",
    )
    parser.add_argument("--quiet", action="store_true", help="Show errors alone on stderr.")


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that choose a recogniser and how it runs.

    Args:
        parser: Gains `--batch-duration`, `--threads` and those of `add_model_choice`.
    """
    add_model_choice(parser)
    parser.add_argument(
        "--batch-duration",
        type=positive_number,
        default=160.0,
        metavar="SECONDS",
        help="Most seconds of audio recognised at once, padding included; it bounds the memory. Default: %(default)s.",
    )
    parser.add_argument(
        "--threads",
        type=count_up_to(MAX_THREADS),
        metavar="N",
        help="Processor threads to compute with. Default: one for each core.",
    )


def add_channel_argument(parser: "argparse._ActionsContainer") -> None:
    """Add the flags that pick a channel and a track.

    Args:
        parser: Gains `--channel` and `--track`.
    """
    parser.add_argument(
        "--channel",
        type=int,
        metavar="N",
        help="The channel to use, from 0. Default: the mean of all channels, or one where they cancel each other.",
    )
    parser.add_argument(
        "--track",
        type=int,
        metavar="N",
        help="The audio track of a film or container to use, from 0. Default: the one that players take.",
    )


def add_reading_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say what is read of a recording.

    Args:
        parser: Gains `--channel`, `--track` and `--partial`.
    """
    add_channel_argument(parser)
    parser.add_argument(
        "--partial",
        action="store_true",
        help="Transcribe what can be read of recordings that are damaged or cut off, instead of failing them.",
    )


def reading_settings(arguments: argparse.Namespace) -> dict[str, Any]:  # keywords of several types
    """Return what `add_reading_arguments` added as the keyword arguments of `Recognizer.transcribe_many`."""
    return {name: getattr(arguments, name) for name in ("channel", "track", "partial")}


def add_decoding_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say how speech is found and how the posteriors are decoded.

    Args:
        parser: Gains a flag for each field of `DecodingConfig` and `SegmenterConfig`, `--lm`, `--no-lm`,
            `--recurrent-lm`, `--hot-words` and `--hot-words-file`.
    """
    from asr.decoding import DecodingConfig
    from asr.segmentation import SegmenterConfig

    group = parser.add_argument_group(
        "decoding",
        "The default of each setting is what the model says. Every flag of the beam search implies --decoder beam.",
    )
    decoding = add_fields(group, DecodingConfig, defaults=False)
    models = group.add_mutually_exclusive_group()
    models.add_argument(
        "--lm", type=Path, metavar="FILE", help="Language model, ARPA or binary, instead of the one in the model."
    )
    models.add_argument(
        "--no-lm", action="store_true", help="Use no language model, and a word score of 0 unless one is given."
    )
    group.add_argument(
        "--recurrent-lm",
        type=Path,
        metavar="FILE",
        help="Recurrent language model. Default: the one in the model, unless --lm or --no-lm is given.",
    )
    group.add_argument(
        "--hot-words", metavar="WORDS", help='Words and phrases to favour, such as "anna:5,ice cream:3" or "anna".'
    )
    group.add_argument("--hot-words-file", type=Path, metavar="FILE", help="The same from a file, one a line.")
    segmentation = add_fields(
        parser.add_argument_group("segmentation", "How long recordings are cut into chunks."), SegmenterConfig
    )
    add_deprecated_flag(parser, "--closed", decoding["unknown_score"], constant="none")
    add_deprecated_flag(parser, "--vad", segmentation["detector"])
    add_deprecated_flag(parser, "--max-segment", segmentation["max_speech_duration"])


def recognizer_settings(arguments: argparse.Namespace) -> dict[str, Any]:  # keywords of several types
    """Turn the flags of recognition into the keyword arguments that open a recogniser.

    Args:
        arguments: What `add_model_arguments` and `add_decoding_arguments` added.

    Returns:
        `device`; `precision`; `threads`, `None` for the default; `decoding`, the settings that were given; `lm`, a
        path, `None` for that of the bundle or `False` for none; `recurrent_lm`, a path or `None`; `hot_words`;
        `segmentation`.

    Raises:
        ASRError: If the hot words or the segmentation make no sense.
    """
    from asr.decoding import DecodingConfig, parse_hot_words, read_hot_words

    hot_words = [
        *(parse_hot_words(arguments.hot_words) if arguments.hot_words else ()),
        *(read_hot_words(arguments.hot_words_file) if arguments.hot_words_file else ()),
    ]
    return {
        "device": arguments.device,
        "precision": arguments.precision,
        "threads": arguments.threads,
        "decoding": given_fields(arguments, DecodingConfig),
        "lm": False if arguments.no_lm else arguments.lm,
        "recurrent_lm": arguments.recurrent_lm,
        "hot_words": hot_words,
        "segmentation": _choose_segmentation(arguments),
    }


def open_recognizer(arguments: argparse.Namespace) -> "Recognizer":
    """Open the recogniser that a command line asks for.

    Args:
        arguments: What `add_model_arguments` and `add_decoding_arguments` added.

    Returns:
        The recogniser.

    Raises:
        ASRError: If a file cannot be read, or settings do not fit each other.
    """
    from asr.recognition.recognizer import Recognizer

    return Recognizer.from_bundle(arguments.model, **recognizer_settings(arguments))


def _choose_segmentation(arguments: argparse.Namespace) -> "SegmenterConfig":
    """Read how speech is found; chunks overlap by no more than half of the longest."""
    from asr.segmentation import SegmenterConfig

    given = given_fields(arguments, SegmenterConfig)
    default = SegmenterConfig()
    longest = given.get("max_speech_duration", default.max_speech_duration)
    try:
        return SegmenterConfig(**{"overlap": min(default.overlap, longest / 2), **given})
    except ValueError as error:
        raise ASRError(f"the flags do not fit each other: {error}") from error
