"""The files that the page writes are those that the command line writes, byte for byte."""

import json
import random
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest

from asr.transcript import Segment, Transcript, Word
from asr.writers import WRITERS, WriterOptions

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="needs node")


def babble(seed: int) -> Transcript:
    """Make a transcript of words, pauses and times of all kinds; many times lie halfway between two roundings."""
    draw = random.Random(seed)
    time, segments = 0.0, []
    for _ in range(draw.randint(0, 4)):
        words = []
        for _ in range(draw.randint(0, 60)):
            text = draw.choice(['"', "a", "it's", "żółw", "<b>", "&", "𝄞lef", "twelve", "w" * 50]) + "x" * draw.randint(
                0, 9
            )
            duration = draw.choice([0.0, 0.0625, 0.1875, draw.random(), 1e-5, 3.0])
            # Exact in binary, so that sums of confidence do not depend on the order of addition.
            words.append(Word(text, time, time + duration, draw.randint(0, 64) / 64))
            time += duration + draw.choice([0.0, 0.03125, draw.random(), 2.5])
        segments.append(Segment(words[0].start if words else time, time, tuple(words)))
    explanation = "" if any(segment.words for segment in segments) else "silence"
    return Transcript(tuple(segments), time + draw.choice([0.0, 0.0005, 3600.0]), explanation)


@needs_node
def test_page_writes_every_format_as_the_command_line_does() -> None:
    transcripts = [babble(seed) for seed in range(60)]
    names = ["a talk.part 1", "weather"]
    given = json.dumps([
        {"name": names[index % 2], "transcript": asdict(transcript)} for index, transcript in enumerate(transcripts)
    ])
    script = Path(__file__).with_name("write.mjs")
    run = subprocess.run([str(NODE), str(script)], input=given, capture_output=True, encoding="utf-8")
    assert run.returncode == 0, run.stderr
    for index, (transcript, written) in enumerate(zip(transcripts, json.loads(run.stdout), strict=True)):
        options = WriterOptions(name=names[index % 2])
        assert written == {format_: writer(transcript, options) for format_, writer in WRITERS.items()}


@needs_node
def test_modules_of_the_page_keep_what_their_own_tests_say() -> None:
    tests = sorted(map(str, Path(__file__).parent.glob("*.test.mjs")))
    run = subprocess.run([str(NODE), "--test", *tests], capture_output=True, encoding="utf-8")
    assert tests
    assert run.returncode == 0, run.stdout
