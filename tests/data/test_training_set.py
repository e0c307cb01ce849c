"""The utterances that a run trains on."""

from pathlib import Path

from asr.data.manifest import Utterance
from asr.data.sources import ManifestSource
from asr.data.training_set import TrainingSet


def test_sample_is_of_speech_alone() -> None:
    utterances = [Utterance(Path(f"{number}.wav"), 1.0, "" if number % 2 else "a", str(number)) for number in range(40)]
    sources = TrainingSet([ManifestSource(utterances)], 10.0).sample(20)
    assert len(sources) == 20
    assert all(int(Path(str(source)).stem) % 2 == 0 for source in sources)
