"""Recognise speech while it is spoken: `asr listen`, or raw samples through a pipe: `... | asr listen -`.

On a terminal the words appear as they are recognised, those that may still change in grey; elsewhere each segment is a
line once it has ended. Ctrl-C ends the last segment, and then the command.
"""

import argparse
import shutil
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from asr.cli.flags import add_fields, build_config
from asr.cli.options import add_decoding_arguments, add_model_arguments, open_recognizer
from asr.cli.signals import first_interrupt
from asr.cli.values import positive_count
from asr.files import dump_line
from asr.recognition.streaming_config import StreamingConfig

if TYPE_CHECKING:
    from asr.recognition.streaming import StreamingResult

_CLEAR = "\r\x1b[K"
_GREY, _PLAIN = "\x1b[90m", "\x1b[0m"


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="asr listen", description="Recognise speech while it is spoken.")
    add = parser.add_argument
    add("source", nargs="?", choices=["-"], help="- reads raw 16-bit samples (s16le, mono) from standard input.")
    add("--rate", type=positive_count, metavar="HZ", help="Samples per second of -. Default: those of the model.")
    add("--microphone", metavar="NAME", help="Number or part of the name of the device. Default: the system's own.")
    add("--list-devices", action="store_true", help="List the microphones of this machine, and exit.")
    add(
        "--format",
        choices=["txt", "jsonl"],
        default="txt",
        help="txt: the text of each segment, and on a terminal the words as they come; jsonl: every partial and final "
        "result as a line of JSON. Default: %(default)s.",
    )
    add(
        "--accurate",
        action="store_true",
        help="Look further ahead: a right context of 1.6 s, for a few words more in partial results, committed later.",
    )
    streaming = parser.add_argument_group("streaming", "When words are shown, and where segments end.")
    add_fields(streaming, StreamingConfig)
    add_model_arguments(parser)
    add_decoding_arguments(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Recognise a stream until it ends or is interrupted."""
    from asr.audio.live import choose_microphone, list_microphones, read_pcm, record

    if arguments.list_devices:
        for each in list_microphones():
            print(f"{each.index}\t{each.name}\t{each.sample_rate} Hz{' (default)' if each.is_default else ''}")
        return 0
    microphone = None if arguments.source else choose_microphone(arguments.microphone)
    if arguments.accurate:
        vars(arguments).setdefault("right_context", StreamingConfig.accurate().right_context)
    config = build_config(arguments, StreamingConfig)
    recognizer = open_recognizer(arguments)
    from asr.recognition.streaming import StreamingRecognizer

    rate = microphone.sample_rate if microphone else arguments.rate
    streaming = StreamingRecognizer(recognizer, config, sample_rate=rate)
    show = _choose_output(arguments.format)
    with ExitStack() as stack:
        stop: threading.Event = stack.enter_context(first_interrupt())
        if microphone:
            blocks: Iterable[Any] = stack.enter_context(record(microphone, stop))
            if not arguments.quiet:
                sys.stderr.write(f"listening to {microphone.name}; Ctrl-C ends\n")
        else:
            blocks = read_pcm(sys.stdin.buffer, stop)
        try:
            for block in blocks:
                show(streaming.accept(block))
        finally:  # what was said before a microphone was unplugged is not lost
            show(streaming.finish())
    return 0


def _choose_output(form: str) -> Callable[[Iterable["StreamingResult"]], None]:
    """Return what writes results to stdout."""
    if form == "jsonl":
        return _write_lines
    return _show_live if sys.stdout.isatty() else _write_finals


def _write_lines(results: Iterable["StreamingResult"]) -> None:
    """Write every result as a line of JSON."""
    for result in results:
        print(dump_line(result.to_dict()), end="", flush=True)


def _write_finals(results: Iterable["StreamingResult"]) -> None:
    """Write the text of each segment."""
    for result in results:
        if result.is_final:
            print(result.text, flush=True)


def _show_live(results: Iterable["StreamingResult"]) -> None:
    """Write over the line of the segment that is under way: as much of its end as there is room for."""
    room = shutil.get_terminal_size().columns - 1
    for result in results:
        if result.is_final:
            print(f"{_CLEAR}{result.text}", flush=True)
            continue
        committed, tail = (str(result.to_dict()[part]) for part in ("committed", "tail"))
        tail = tail[-room:]
        committed = f"{committed} "[max(0, len(committed) + 1 + len(tail) - room) :] if committed else ""
        print(f"{_CLEAR}{committed}{_GREY}{tail}{_PLAIN}", end="", flush=True)
