"""What streaming costs in accuracy, delay, time and memory: `python scripts/measure_streaming.py --manifest FILE`.

Each recording, with two seconds of silence after it, is fed in blocks as a microphone gives them. Delays count in the
time of the sound, from the end of a word in the final result to the sample that had come when the word was first shown,
or committed; what recognition itself takes, some hundredths of a second, is not in them.
"""

import argparse
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # started as a script, its own folder stands there

from asr.audio import load_audio
from asr.cli.terminal import run_command
from asr.cli.values import positive_count
from asr.data.manifest import Utterance, read_manifest
from asr.metrics import count_errors
from asr.recognition.recognizer import Recognizer
from asr.recognition.streaming import FinalResult, PartialResult, StreamingRecognizer
from asr.recognition.streaming_config import StreamingConfig
from asr.transcript import Word
from asr.units import Seconds

_BLOCK: Seconds = 0.1
_SILENCE: Seconds = 2.0
_REPORTED_EVERY: Seconds = 600.0
_SAME_TIME: Seconds = 0.4  # between the middles of a word in a partial and in a final result


@dataclass
class Delays:
    """From the ends of words to when they were there: in a partial result, or only in the final one."""

    partial: list[Seconds] = field(default_factory=list)
    final: list[Seconds] = field(default_factory=list)

    def note(self, word: Word, times: Iterator[Seconds], final: Seconds) -> None:
        """Note the first of the times at which partial results had a word; the final result has it anyway."""
        at = next(times, None)
        (self.final if at is None else self.partial).append((final if at is None else at) - word.end)

    def describe(self) -> str:
        """Give the figures, of all words and of those that partial results had."""
        half, most = np.percentile(self.partial + self.final, [50, 90])
        missed = 100 * len(self.final) / (len(self.partial) + len(self.final))
        return (
            f"p50 {half:.2f} s, p90 {most:.2f} s; {missed:.1f} % only in the final result, "
            f"p90 of the others {np.percentile(self.partial, 90):.2f} s"
        )


@dataclass
class Tally:
    """What is counted over all recordings."""

    words: int = 0
    bare_errors: int = 0
    offline_errors: int = 0
    final_errors: int = 0
    duration: Seconds = 0.0
    cpu: Seconds = 0.0
    offline_cpu: Seconds = 0.0
    num_committed: int = 0
    num_revised: int = 0
    commitments: Delays = field(default_factory=Delays)
    first_partials: Delays = field(default_factory=Delays)


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0] + ".")
    add = parser.add_argument
    add("--manifest", type=Path, required=True, metavar="FILE", help="Recordings with their texts.")
    add("--model", type=Path, metavar="DIR", help="The model. Default: that of the package.")
    add("--every", type=positive_count, default=1, metavar="N", help="Take every Nth recording. Default: %(default)s.")
    add("--accurate", action="store_true", help="Measure the accurate mode.")
    add("--long-duration", type=positive_count, metavar="SECONDS", help="Measure the memory of a stream this long.")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Measure, and print a line for each figure."""
    utterances = read_manifest(arguments.manifest)[:: arguments.every]
    recognizer = Recognizer.from_bundle(arguments.model, device="cpu", threads=1)
    config = StreamingConfig.accurate() if arguments.accurate else StreamingConfig()
    if arguments.long_duration:
        measure_memory(recognizer, config, utterances, arguments.long_duration)
        return 0
    tally = Tally()
    for utterance in utterances:
        measure_one(recognizer, config, utterance, tally)
    report(tally, len(utterances))
    return 0


def measure_one(recognizer: Recognizer, config: StreamingConfig, utterance: Utterance, tally: Tally) -> None:
    """Recognise one recording offline and as a stream."""
    sample_rate = recognizer.bundle.config.sample_rate
    waveform = load_audio(utterance.source, sample_rate)
    reference = utterance.text.split()
    begun = time.process_time()
    bare = recognizer.transcribe(waveform, source_rate=sample_rate).text.split()
    tally.offline_cpu += time.process_time() - begun
    streaming = StreamingRecognizer(recognizer, config)
    padded = np.concatenate([waveform, np.zeros(round(_SILENCE * sample_rate), np.float32)])
    offline = recognizer.transcribe(padded, source_rate=sample_rate).text.split()
    partials: list[tuple[Seconds, PartialResult]] = []
    texts: list[str] = []
    begun = time.process_time()
    for now, block in feed(padded, sample_rate):
        for result in streaming.accept(block) if len(block) else streaming.finish():
            if isinstance(result, PartialResult):
                if partials and partials[-1][1].committed and not result.committed:  # nothing was said after all
                    note_promises(partials, (), tally)
                    partials = []
                partials.append((now, result))
                continue
            texts += result.text.split()
            note_delays(partials, result, now, tally)
            partials = []
    tally.cpu += time.process_time() - begun
    tally.duration += len(padded) / sample_rate
    tally.words += len(reference)
    tally.bare_errors += count_errors(reference, bare).errors
    tally.offline_errors += count_errors(reference, offline).errors
    tally.final_errors += count_errors(reference, texts).errors


def feed(samples: NDArray[np.float32], sample_rate: int) -> Iterator[tuple[Seconds, NDArray[np.float32]]]:
    """Give blocks with the time at which each has come, and an empty one at the end."""
    size = round(_BLOCK * sample_rate)
    for start in range(0, len(samples), size):
        block = samples[start : start + size]
        yield (start + len(block)) / sample_rate, block
    yield len(samples) / sample_rate, samples[:0]


def note_delays(
    partials: Sequence[tuple[Seconds, PartialResult]], final: FinalResult, now: Seconds, tally: Tally
) -> None:
    """Find when each word of a final result was first shown, and when it was committed."""
    for word in final.segment.words:
        shown = (at for at, each in partials if any(is_same(word, other) for other in each.committed + each.tail))
        committed = (at for at, each in partials if any(is_same(word, other) for other in each.committed))
        tally.first_partials.note(word, shown, now)
        tally.commitments.note(word, committed, now)
    note_promises(partials, final.segment.words, tally)


def note_promises(partials: Sequence[tuple[Seconds, PartialResult]], words: Sequence[Word], tally: Tally) -> None:
    """Count the words that a segment had committed at its end, and those of them that are not among its words."""
    promised = partials[-1][1].committed if partials else ()
    tally.num_committed += len(promised)
    tally.num_revised += sum(not any(is_same(word, other) for other in words) for word in promised)


def is_same(word: Word, other: Word) -> bool:
    """Tell whether two words are the same one."""
    return word.text == other.text and abs(word.start + word.end - other.start - other.end) / 2 < _SAME_TIME


def report(tally: Tally, num_utterances: int) -> None:
    """Print the figures."""
    print(f"{num_utterances} recordings, {tally.duration:.0f} s with the silence after each, {tally.words} words")
    for name, errors in (
        ("offline, without the silence", tally.bare_errors),
        ("offline", tally.offline_errors),
        ("finals of the stream", tally.final_errors),
    ):
        print(f"WER, {name}: {100 * errors / tally.words:.2f} %")
    for name, delays in (("first partial", tally.first_partials), ("commitment", tally.commitments)):
        print(f"end of a word to its {name}: {delays.describe()}")
    revised = tally.num_revised / max(1, tally.num_committed)
    print(f"committed words that the final result has not: {100 * revised:.1f} % of {tally.num_committed}")
    share, offline = tally.cpu / tally.duration, tally.offline_cpu / tally.duration
    print(f"share of one core: {100 * share:.2f} % (the recordings offline: {100 * offline:.2f} %)")


def measure_memory(
    recognizer: Recognizer, config: StreamingConfig, utterances: Sequence[Utterance], duration: Seconds
) -> None:
    """Feed one stream, the recordings over and over, and print the memory every ten minutes of sound."""
    sample_rate = recognizer.bundle.config.sample_rate
    streaming = StreamingRecognizer(recognizer, config)
    fed, due, begun = 0.0, min(_REPORTED_EVERY, duration), time.process_time()
    for utterance in cycle(utterances):
        for _, block in feed(load_audio(utterance.source, sample_rate), sample_rate):
            streaming.accept(block)
            fed += len(block) / sample_rate
        if fed >= due:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            share = 100 * (time.process_time() - begun) / fed
            print(f"{fed:.0f} s: {_measure_rss():.0f} MB, peak {peak:.0f} MB, {share:.2f} % of one core", flush=True)
            due += _REPORTED_EVERY
        if fed >= duration:
            return


def _measure_rss() -> float:
    """Return how many megabytes this process holds, on Linux."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize() / 2**20


if __name__ == "__main__":
    raise SystemExit(run_command(__name__))
