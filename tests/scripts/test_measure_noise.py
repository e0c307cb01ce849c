"""The measurement of noise that gives a text."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from asr.cli.terminal import run_command
from asr.errors import AudioError
from asr.recognition.recognizer import Recognizer
from asr.recognition.results import Result
from asr.transcript import Segment, Transcript, Word
from scripts.measure_noise import Counts, count

main = partial(run_command, "scripts.measure_noise")


class Parrot:
    """Hears the name of a file, nothing in silence, and fails at what is broken."""

    def transcribe_many(self, sources: Iterable[Path]) -> Iterator[Result]:
        for source in sources:
            words = () if source.stem == "silence" else (Word(source.stem, 0.0, 1.0, 0.9),)
            error = AudioError("damaged") if source.stem == "broken" else None
            yield Result(source, None if error else Transcript((Segment(0.0, 1.0, words),), 1.0), error)


def test_noises_with_a_text_and_utterances_that_are_right_are_counted() -> None:
    noises = [Path("bark"), Path("silence"), Path("broken"), Path("rain")]
    speech = [(Path("yes"), "yes"), (Path("no"), "now"), (Path("broken"), "broken"), (Path("four"), "four")]
    assert count(cast(Recognizer, Parrot()), noises, speech) == Counts(2, frozenset({0, 3}))


def test_missing_manifest_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main([str(tmp_path / "none.jsonl"), "noise.wav"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
