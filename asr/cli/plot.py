"""Draw a recording and what a model makes of it, or the curves of a training run."""

import argparse
import logging
from pathlib import Path

from asr.cli.options import (
    add_channel_argument,
    add_decoding_arguments,
    add_model_arguments,
    open_recognizer,
)
from asr.cli.overwriting import add_overwrite_argument, replacing
from asr.errors import ASRError
from asr.plots import PICTURE_SUFFIXES, plot_curves, plot_recording, read_curves, require_picture, save_figure

_log = logging.getLogger("asr.plot")

_WINDOW = 30.0  # seconds that are drawn if no end is given
_LONGEST = 60.0


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line, one sub-command for recordings and one for runs."""
    parser = argparse.ArgumentParser(prog="asr plot", description=__doc__)
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
    add_channel_argument(audio)
    add_model_arguments(audio)
    add_decoding_arguments(audio)
    run_parser = commands.add_parser(
        "run",
        help="the curves of a training run",
        description="Draw the losses, error rates, learning rate, gradient norm and speed of a training run.",
    )
    run_parser.add_argument("folder", type=Path, metavar="FOLDER", help="The run's --trainer.default_root_dir.")
    run_parser.add_argument("--quiet", action="store_true", help="Show errors alone on stderr.")
    for command, default in ((audio, "picture.png"), (run_parser, "curves.png")):
        command.add_argument(
            "-o",
            "--output",
            type=Path,
            default=Path(default),
            metavar="FILE",
            help=f"Picture to write, as {', '.join(PICTURE_SUFFIXES)}. Default: {default}.",
        )
        add_overwrite_argument(command)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Draw a recording or a training run."""
    require_picture(arguments.output)
    reads = [arguments.file] if arguments.command == "audio" else []
    with replacing([arguments.output], reads, overwrite=arguments.overwrite):
        if arguments.command == "audio":
            _draw_recording(arguments)
        else:
            title = f"training run {arguments.folder.resolve().name}"
            save_figure(plot_curves(read_curves(arguments.folder), title), arguments.output)
    _log.info("%s: written", arguments.output)
    return 0


def _draw_recording(arguments: argparse.Namespace) -> None:
    """Draw a stretch of a recording; say if there is more that nobody chose to leave out."""
    start, end = arguments.start, arguments.start + _WINDOW if arguments.end is None else arguments.end
    if not 0 <= start < end <= start + _LONGEST:
        raise ASRError(
            f"--start {start:g} and --end {end:g} s are no part of a recording; give seconds in order, at most "
            f"{_LONGEST:g} apart"
        )
    from asr.plots.analysis import analyze_recording, find_words, read_window

    recognizer = open_recognizer(arguments)
    config = recognizer.bundle.config
    waveform, goes_on = read_window(
        arguments.file, config, start, end, channel=arguments.channel, track=arguments.track
    )
    if goes_on and arguments.end is None:
        part = f"{start:g} s to {end:g} s"
        _log.info("%s: drawn from %s; --start and --end choose another part", arguments.file, part)
    words = find_words(recognizer, waveform, arguments.text, batch_duration=arguments.batch_duration)
    source = "as recognised" if arguments.text is None else "given text, aligned"
    analysis = analyze_recording(
        recognizer,
        waveform,
        words,
        title=f"{arguments.file.name}: {source}",
        start=start,
        batch_duration=arguments.batch_duration,
    )
    save_figure(plot_recording(analysis), arguments.output)
