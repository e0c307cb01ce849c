"""An inspection shows what the recogniser did: the same text, a path that spells it, and probabilities."""

import json
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from asr.acoustic.mfcc import compute_mfcc
from asr.audio import load_audio, save_audio
from asr.bundle import Bundle
from asr.decoding import DecodingConfig
from asr.errors import AudioError
from asr.recognition.inspection import Inspection, inspect_recording
from asr.recognition.recognizer import Recognizer

WriteTone = Callable[[str, float, float], Path]


@pytest.fixture
def recognizer(tiny_bundle: Bundle) -> Recognizer:
    """One that searches with a beam."""
    return Recognizer(replace(tiny_bundle, decoding=DecodingConfig("beam", beam_size=20, nbest=5)), device="cpu")


@pytest.fixture
def inspected(recognizer: Recognizer, write_tone: WriteTone) -> tuple[Recognizer, Path, Inspection]:
    """A recording of two seconds, inspected."""
    path = write_tone("tone.wav", 300.0, 2.0)
    return recognizer, path, inspect_recording(recognizer, path)


def test_text_and_alternatives_are_those_of_recognition(inspected: tuple[Recognizer, Path, Inspection]) -> None:
    recognizer, path, inspection = inspected
    [segment] = recognizer.transcribe(path).segments
    assert inspection.text == segment.text
    # Recognition keeps hypotheses apart that differ in their spaces alone.
    assert [each.text for each in inspection.alternatives] == list(dict.fromkeys(a.text for a in segment.alternatives))


def test_path_spells_the_text_frame_by_frame(inspected: tuple[Recognizer, Path, Inspection]) -> None:
    recognizer, _, inspection = inspected
    assert len(inspection.path) == len(inspection.posteriors)
    spelled = recognizer.bundle.tokenizer.decode(inspection.path.tolist())
    assert " ".join(spelled.split()) == inspection.text != ""


def test_posteriors_are_probabilities_of_the_alphabet(inspected: tuple[Recognizer, Path, Inspection]) -> None:
    _, _, inspection = inspected
    assert inspection.posteriors.shape[1] == len(inspection.alphabet)
    assert inspection.alphabet[:3] == ("", " ", "a")
    np.testing.assert_allclose(inspection.posteriors.sum(axis=1), 1.0, atol=1e-5)


def test_greedy_text_is_spelled_by_the_likeliest_tokens(inspected: tuple[Recognizer, Path, Inspection]) -> None:
    recognizer, _, inspection = inspected
    spelled = recognizer.bundle.tokenizer.decode(inspection.posteriors.argmax(axis=1).tolist())
    assert inspection.greedy == " ".join(spelled.split())


def test_mfcc_are_the_input_of_the_network(inspected: tuple[Recognizer, Path, Inspection]) -> None:
    recognizer, path, inspection = inspected
    features = recognizer.bundle.config.features
    np.testing.assert_array_equal(inspection.mfcc, compute_mfcc(load_audio(path, 16_000), features))


def test_silence_is_marked_and_the_network_is_not_given_it(recognizer: Recognizer, tmp_path: Path) -> None:
    features = recognizer.bundle.config.features
    noise = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    pause = np.zeros(32_000, np.float32)
    save_audio(tmp_path / "pause.wav", np.concatenate([0.1 * noise, pause, 0.1 * noise, pause]), 16_000)
    inspection = inspect_recording(recognizer, tmp_path / "pause.wav")
    # But for what is kept beside the noise.
    np.testing.assert_allclose(inspection.silence, [(1.3, 2.7), (4.3, 6.0)], atol=0.05)
    assert len(inspection.mfcc) == (6 * 16_000 - features.n_fft) // features.hop_length + 1
    is_silent = np.all(inspection.mfcc == 0, axis=1)
    assert [is_silent[round(seconds * 100)] for seconds in (0.5, 2.0, 3.5, 5.0, 5.95)] == [0, 1, 0, 1, 1]
    np.testing.assert_allclose(inspection.mfcc[~is_silent].mean(axis=0), 0.0, atol=1e-4)


def test_json_keeps_all_to_four_decimals(inspected: tuple[Recognizer, Path, Inspection]) -> None:
    _, _, inspection = inspected
    fields = json.loads(json.dumps(inspection.to_dict()))
    assert list(fields) == [
        *("mfcc", "silence", "posteriors", "alphabet", "frame_shift", "path", "greedy", "text", "alternatives"),
    ]
    np.testing.assert_allclose(fields["posteriors"], inspection.posteriors, atol=5e-5)
    assert fields["alternatives"][0] == {"text": inspection.text, "score": inspection.alternatives[0].score}


def test_only_the_first_twenty_seconds_are_inspected(recognizer: Recognizer, write_tone: WriteTone) -> None:
    long = inspect_recording(recognizer, write_tone("long.wav", 200.0, 26.0))
    assert len(long.posteriors) * long.frame_shift == pytest.approx(20.0, abs=0.05)


def test_recording_shorter_than_a_frame_is_refused_by_name(recognizer: Recognizer, write_tone: WriteTone) -> None:
    file = BytesIO(write_tone("short.wav", 300.0, 0.02).read_bytes())
    file.name = "short.wav"  # as a server names an upload
    with pytest.raises(AudioError, match=r"^short\.wav: has 320 samples at 16000 Hz, and the model needs 512; "):
        inspect_recording(recognizer, file)
