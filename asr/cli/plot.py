"""Draw what the recogniser sees in a recording, or how a training run went: `python -m asr plot audio FILE`."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asr.cli.options import add_decoding_arguments, add_model_arguments, open_bundle, open_recognizer
from asr.cli.terminal import configure_logging, run_verb
from asr.errors import AudioError
from asr.plots import (
    PICTURE_SUFFIXES,
    plot_curves,
    plot_recording,
    read_curves,
    require_matplotlib,
    save_figure,
)
from asr.units import seconds_to_samples

if TYPE_CHECKING:
    from asr.audio import Waveform
    from asr.bundle import Bundle
    from asr.plots import HeardRecording
    from asr.recognition.recognizer import Recognizer
    from asr.transcript import Word

_log = logging.getLogger("asr.plot")

_WINDOW = 30.0  # seconds that are drawn if no end is given
_LONGEST = 60.0


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line.

    Returns:
        The parser.
    """
    parser = argparse.ArgumentParser(prog="asr plot", description="Draw a recording, or a training run.")
    commands = parser.add_subparsers(dest="command", required=True)
    audio = commands.add_parser(
        "audio",
        help="a recording and what a model makes of it",
        description="Draw the waveform, the MFCC, the posteriors of the network with the characters aligned to them, "
        "and the words with their confidence.",
    )
    audio.add_argument("file", type=Path, metavar="FILE", help="A recording.")
    audio.add_argument(
        "--text", metavar="WORDS", help="What is said in the part that is drawn. Default: what the model recognises."
    )
    audio.add_argument(
        "--start", type=float, default=0.0, metavar="SECONDS", help="Where the picture starts. Default: %(default)s."
    )
    audio.add_argument(
        "--end",
        type=float,
        metavar="SECONDS",
        help=f"Where it ends, at most {_LONGEST:g} s later. Default: {_WINDOW:g} s later, or the end of the recording.",
    )
    audio.add_argument(
        "--channel", type=int, metavar="N", help="The channel to use, from 0. Default: the mean of all channels."
    )
    add_model_arguments(audio)
    add_decoding_arguments(audio)
    run = commands.add_parser(
        "run",
        help="the curves of a training run",
        description="Draw the losses, error rates, learning rate, gradient norm and speed of a training run.",
    )
    run.add_argument("folder", type=Path, metavar="FOLDER", help="The run's --trainer.default_root_dir.")
    run.add_argument("--quiet", action="store_true", help="Show errors alone on stderr.")
    for command, default in ((audio, "picture.png"), (run, "curves.png")):
        command.add_argument(
            "-o",
            "--output",
            type=Path,
            default=Path(default),
            metavar="FILE",
            help=f"Picture to write, ending in {', '.join(PICTURE_SUFFIXES)}. Default: {default}.",
        )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments; those of the process if not given.

    Returns:
        The exit status (see `asr.cli.terminal`).
    """
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.output.suffix.lower() not in PICTURE_SUFFIXES:
        parser.error(f"{arguments.output}: the ending names no kind of picture; give {', '.join(PICTURE_SUFFIXES)}")
    configure_logging(quiet=arguments.quiet)
    if arguments.command == "run":
        return run_verb(lambda: _draw_run(arguments))
    arguments.end_is_default = arguments.end is None
    if arguments.end_is_default:
        arguments.end = arguments.start + _WINDOW
    if not 0 <= arguments.start < arguments.end <= arguments.start + _LONGEST:
        parser.error(
            f"--start {arguments.start:g} and --end {arguments.end:g} s name no part of a recording; "
            f"give seconds in order, at most {_LONGEST:g} apart"
        )
    return run_verb(lambda: _draw_audio(arguments))


def _draw_run(arguments: argparse.Namespace) -> int:
    """Draw a training run."""
    require_matplotlib()
    curves = read_curves(arguments.folder)
    save_figure(plot_curves(curves, f"training run {arguments.folder.resolve().name}"), arguments.output)
    _log.info("%s: written", arguments.output)
    return 0


def _draw_audio(arguments: argparse.Namespace) -> int:
    """Draw a recording."""
    require_matplotlib()
    bundle = open_bundle(arguments)
    waveform = _read_window(arguments, bundle.model.sample_rate)
    if len(waveform) < bundle.model.min_num_samples:
        raise AudioError(
            f"{arguments.file}: {len(waveform)} samples are left from {arguments.start:g} s on, and the model needs "
            f"{bundle.model.min_num_samples}; give a lower --start or a longer part"
        )
    save_figure(plot_recording(_hear(arguments, bundle, waveform)), arguments.output)
    _log.info("%s: written", arguments.output)
    return 0


def _read_window(arguments: argparse.Namespace, sample_rate: int) -> "Waveform":
    """Read the part of the recording that is drawn, and say if there is more that nobody chose to leave out."""
    import numpy as np

    from asr.audio import stream_audio

    first, last = (seconds_to_samples(time, sample_rate) for time in (arguments.start, arguments.end))
    blocks, position = [np.empty(0, np.float32)], 0
    for block in stream_audio(arguments.file, sample_rate, channel=arguments.channel):
        blocks.append(block[max(0, first - position) : max(0, last - position)])
        position += len(block)
        if position > last:
            if arguments.end_is_default:
                part = f"{arguments.start:g} s to {arguments.end:g} s"
                _log.info("%s: drawn from %s; --start and --end choose another part", arguments.file, part)
            break
    return np.concatenate(blocks)


def _hear(arguments: argparse.Namespace, bundle: "Bundle", waveform: "Waveform") -> "HeardRecording":
    """Collect what the picture shows."""
    from asr.plots.posteriors import hear_recording

    words = _find_words(arguments, bundle, open_recognizer(arguments, bundle), waveform)
    return hear_recording(
        bundle,
        waveform,
        words,
        title=f"{arguments.file.name}: {'as recognised' if arguments.text is None else 'given text, aligned'}",
        start=arguments.start,
        batch_duration=arguments.batch_duration,
    )


def _find_words(
    arguments: argparse.Namespace, bundle: "Bundle", recognizer: "Recognizer", waveform: "Waveform"
) -> "tuple[Word, ...]":
    """Place the words of the given text, or recognise some."""
    from asr.alignment.text import TextAligner

    if arguments.text is None:
        transcript = recognizer.transcribe(waveform, source_rate=recognizer.model.sample_rate)
        if transcript.explanation:
            _log.warning("%s: %s", arguments.file, transcript.explanation)
        return transcript.words
    aligner = TextAligner(recognizer.model, recognizer.tokenizer, bundle.timing)
    alignment = aligner.align(waveform, arguments.text, batch_duration=arguments.batch_duration)
    if not alignment.matches:
        _log.warning(
            "%s: the text was not said here (each character loses %.1f nats); check that the two belong together",
            arguments.file,
            alignment.loss,
        )
    return alignment.transcript.words
