"""The recogniser in JavaScript gives what that in Python gives: features, chunks, hypotheses, words."""

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asr.acoustic.config import MFCCConfig, ModelConfig
from asr.acoustic.mfcc import compute_mfcc
from asr.acoustic.posteriors import Posteriors
from asr.acoustic.pronunciation import PronunciationDictionary
from asr.acoustic.silence import leave_out_silence, put_back_silence
from asr.alignment.confidence import ConfidenceCalibration, calibrate
from asr.alignment.ctc import WordTiming, align, group_words
from asr.audio import load_audio, resample, save_audio
from asr.audio.tonality import measure_tonality
from asr.bundle import Bundle, save_bundle
from asr.decoding import DecodingConfig, DecodingModels, HotWord, build_decoder
from asr.lm.internal import InternalLM
from asr.lm.ngram import NGramLM
from asr.lm.training import NGramTraining, train_ngram_lm
from asr.recognition.certainty import measure_certainty
from asr.recognition.inspection import inspect_recording
from asr.recognition.joining import join_segments
from asr.recognition.recognizer import Recognizer
from asr.segmentation import Segmenter, SegmenterConfig
from asr.text import normalize_text
from asr.tokenizer import CharTokenizer
from asr.transcript import Segment, Word
from asr.web.export import export_web
from tests.decoding.arrays import random_log_probs
from tests.models import tiny_recurrent_lm
from tests.web.driver import Run, make_noise

ALPHABET = CharTokenizer((" ", "'", "a", "b", "c", "d"))
TEXTS = ["a bad cab", "dad a cab", "bad bad dad", "a cab", "abba dad", "c d", "add a dab"]


def train(texts: Sequence[str], order: int, folder: Path) -> NGramLM:
    """A language model of some texts, as its file keeps it."""
    (folder / "texts.txt").write_text("\n".join(texts), encoding="utf-8")
    return train_ngram_lm([folder / "texts.txt"], folder / "lm.safetensors", NGramTraining(order=order)).lm


def test_texts_are_normalised_alike(run: Run) -> None:
    texts = [
        "Don't panic, it's 10,000 m!",
        "the U.S.A. at 5 p.m.",
        "\u2018quoted\u2019 \u2014 well-known",
        "Ça va? ﬁne CAFÉ",
        "rock 'n' roll",
    ]
    assert run("normalize", texts=texts) == [normalize_text(text) for text in texts]


def test_sequences_differ_where_difflib_says(run: Run) -> None:
    random = np.random.default_rng(0)
    words = ["".join(random.choice(list("abcd"), random.integers(0, 12))) for _ in range(600)]
    pairs = list(zip(words[::2], words[1::2], strict=True))
    for (one, other), found in zip(pairs, run("differences", pairs=pairs), strict=True):
        opcodes = SequenceMatcher(None, one, other, autojunk=False).get_opcodes()
        expected = [places for kind, *places in opcodes if kind != "equal"]
        assert [[each[name] for name in ("begin", "end", "first", "last")] for each in found] == expected


@pytest.mark.parametrize(
    "config",
    [MFCCConfig(), MFCCConfig(n_fft=400, win_length=320, hop_length=100, n_mels=24, n_mfcc=13, delta_order=2)],
    ids=["default", "with deltas, no power of two"],
)
def test_features_agree(run: Run, config: MFCCConfig) -> None:
    waveform = make_noise(1.5)
    expected = compute_mfcc(waveform, config)
    found = run("mfcc", config=asdict(config), waveform=waveform)
    assert (found["numFrames"], found["size"]) == expected.shape
    np.testing.assert_allclose(np.reshape(found["features"], expected.shape), expected, atol=1e-3)


@pytest.mark.parametrize("rate", [16_000, 11_025])
def test_recordings_are_cut_at_the_same_places(run: Run, rate: int) -> None:
    waveform = make_noise(100, rate)
    waveform[30 * rate : 65 * rate] = np.random.default_rng(1).standard_normal(35 * rate) * 0.2  # nowhere to cut
    chunks = list(Segmenter(SegmenterConfig(), rate).split([waveform]))
    assert len(chunks) > 6
    assert any(chunk.overlap for chunk in chunks)
    found = run("splitRecording", waveform=waveform, sampleRate=rate)
    assert [length for _, length, _ in found] == [len(chunk.waveform) for chunk in chunks]
    times = [[start, overlap] for start, _, overlap in found]
    np.testing.assert_allclose(times, [[chunk.start, chunk.overlap] for chunk in chunks], atol=1e-9)


@pytest.mark.parametrize(("rate", "blocks"), [(48_000, 7), (44_100, 1), (8_000, 3)])
def test_resampling_in_pieces_agrees_with_that_of_the_whole(run: Run, rate: int, blocks: int) -> None:
    times = np.arange(rate) / rate
    waveform = (0.5 * np.sin(2 * np.pi * 440 * times) + 0.2 * np.sin(2 * np.pi * 2_900 * times)).astype(np.float32)
    found = np.array(run("resample", waveform=waveform, to=16_000, **{"from": rate}, blocks=blocks))
    assert abs(len(found) - 16_000) <= 1
    np.testing.assert_allclose(found[500:15_500], resample(waveform, rate, 16_000)[500:15_500], atol=2e-3)


@pytest.mark.parametrize("rate", [16_000, 11_025])
def test_tonality_is_the_same(run: Run, rate: int) -> None:
    times = np.arange(rate) / rate
    noise = np.random.default_rng(0).standard_normal(rate) * np.linspace(0, 1, rate)
    waveform = (0.3 * np.sin(2 * np.pi * 700 * times) + 0.2 * noise).astype(np.float32)
    for sound in (waveform, waveform[:300], np.zeros(rate, np.float32)):
        found = run("tonality", waveform=sound, sampleRate=rate)
        assert found == pytest.approx(measure_tonality(sound, rate), abs=1e-4)


def test_silence_is_left_out_as_in_python(run: Run) -> None:
    config = ModelConfig(subsampling=3)
    noise = np.random.default_rng(0).standard_normal(20_000)
    speech, room, nothing = 0.1 * noise[:16_000], 0.001 * noise, np.zeros(20_000)
    for parts in (
        [nothing, speech, nothing[:4_000], speech, nothing[:9_000]],
        [room[:9_000], speech, room, speech, room[:17_000]],
        [room, speech, nothing[:14_000], room, nothing],
        [speech],
        [nothing],
    ):
        waveform = np.concatenate(parts).astype(np.float32)
        found = run("silence", waveform=waveform, config=asdict(config))
        expected = leave_out_silence(waveform, config)
        assert [tuple(part) for part in found["leftOut"]] == list(expected.left_out)
        np.testing.assert_allclose(found["waveform"], expected.waveform, atol=1e-7)
        log_probs = np.full((config.num_frames(len(expected.waveform)), 2), -1.0, np.float32)
        whole = put_back_silence(Posteriors(log_probs), expected).log_probs
        assert found["logProbs"] == whole.ravel().tolist()


@pytest.mark.parametrize("text", ["bad cab", "", "a"])
def test_words_have_the_same_times_and_confidence(run: Run, text: str) -> None:
    log_probs = random_log_probs(60, ALPHABET.vocabulary_size, 3)
    timing, confidence = WordTiming(0.01, 0.05), ConfidenceCalibration(0.7, 0.5)
    spans = align(log_probs, ALPHABET.encode(text))
    placed = group_words(spans, ALPHABET, 0.03, timing, 1.7)
    words = calibrate(placed, confidence)
    found = run(
        "place",
        posteriors=Posteriors(log_probs),
        tokens=ALPHABET.encode(text),
        characters=ALPHABET.characters,
        frameShift=0.03,
        config={"timing": asdict(timing), "confidence": asdict(confidence)},
        duration=1.7,
    )
    assert [(span["start"], span["end"]) for span in found["spans"]] == [(span.start, span.end) for span in spans]
    assert [word["text"] for word in found["words"]] == [word.text for word in words]
    if placed:
        certainties = [measure_certainty(log_probs, placed, decoder=decoder) for decoder in ("beam", "greedy")]
        assert found["certainties"] == pytest.approx(certainties, abs=1e-6)
    for word, expected in zip(found["words"], words, strict=True):
        assert [word[name] for name in ("start", "end", "confidence")] == pytest.approx(
            [expected.start, expected.end, expected.confidence], abs=1e-6
        )


@pytest.mark.parametrize("texts", [("a b c", "b c d"), ("a b", "c d")], ids=["that agree", "that do not"])
def test_overlapping_segments_are_joined_alike(run: Run, texts: tuple[str, str]) -> None:
    def lay(text: str, start: float) -> Segment:
        words = text.split()
        return Segment(
            start, start + 4, tuple(Word(w, start + i + 0.2, start + i + 0.8, 0.5) for i, w in enumerate(words))
        )

    left, right = lay(texts[0], 0.0), lay(texts[1], 1.1)
    found = run("join", left=asdict(left), right=asdict(right), overlap=2.9)
    for segment, expected in zip(found, join_segments([(0.0, left), (2.9, right)]), strict=True):
        assert [word["text"] for word in segment["words"]] == expected.text.split()
        assert (segment["start"], segment["end"]) == pytest.approx((expected.start, expected.end))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"hot_words": [HotWord("cab", 8.0), HotWord("bád dad", -4.0), HotWord("cd", 3.0), HotWord("日本")]},
        {"lm": None},
        {"unknown_score": None, "beam_size": 12},
        {"unknown_score": -3.0, "unknown_letter_score": -0.8},
        {"phones": True},
        {"decoder": "greedy"},
    ],
    ids=[
        "language models",
        "hot words",
        "no language model",
        "narrow beam, no unknown words",
        "unknown words by the letter",
        "phones",
        "greedy",
    ],
)
def test_hypotheses_agree(run: Run, tmp_path: Path, changes: dict[str, Any]) -> None:
    settings = {"decoder": "beam", "beam_size": 60, "nbest": 12, "word_score": 0.3, "internal_lm_weight": 0.4}
    names = ("decoder", "beam_size", "unknown_score", "unknown_letter_score")
    config = DecodingConfig(**{**settings, **{name: changes[name] for name in names if name in changes}})
    lm = None if "lm" in changes else train(TEXTS, 3, tmp_path)
    internal_lm = InternalLM.from_texts(TEXTS, ALPHABET)
    assert internal_lm is not None
    dictionary = PronunciationDictionary(("P", "Q", "R"), {"a": "P", "bad": "Q P R", "cab": "R P Q", "dad": "R R"})
    pronunciations = dictionary if "phones" in changes else None
    phones = dictionary.vocabulary_size if pronunciations else 0
    posteriors = [
        Posteriors(
            random_log_probs(length, ALPHABET.vocabulary_size, seed, sharpness=1.5),
            random_log_probs(length, phones, seed + 50) if phones else None,
        )
        for seed, length in enumerate((1, 9, 30, 60))
    ]
    hot_words = changes.get("hot_words", [])
    decoder = build_decoder(config, ALPHABET, DecodingModels(lm, internal_lm, pronunciations), hot_words=hot_words)
    internal_lm.save(tmp_path / "internal")
    dictionary.save(tmp_path / "words")
    found = run(
        "decode",
        posteriors=posteriors,
        characters=ALPHABET.characters,
        config=asdict(config),
        hotWords=[f"{each.phrase}:{each.boost}" for each in hot_words],
        lm=lm and tmp_path / "lm.safetensors",
        internalLM=tmp_path / "internal",
        pronunciations=pronunciations and tmp_path / "words",
    )
    for hypotheses, expected in zip(found, decoder.decode(posteriors), strict=True):
        assert [tuple(each["tokens"]) for each in hypotheses] == [each.tokens for each in expected]
        np.testing.assert_allclose([each["score"] for each in hypotheses], [each.score for each in expected], atol=1e-6)


def test_an_exported_model_finds_the_same_words_and_shows_the_same_inside(
    run: Run, tiny_bundle: Bundle, tmp_path: Path
) -> None:
    texts = ["abc de", "bed abc", "cab ace"]
    config = DecodingConfig(
        "beam", beam_size=50, nbest=5, min_certainty=0.0, recurrent_lm_weight=2.0, recurrent_lm_nbest=10
    )
    bundle = replace(
        tiny_bundle,
        decoding=config,
        lm=train(texts, 2, tmp_path),
        recurrent_lm=tiny_recurrent_lm("abc", "de", "bed", "cab", "ace"),
    )
    save_bundle(tmp_path / "model", bundle, "# Tiny\n")
    export_web(tmp_path / "page", tmp_path / "model")
    waveforms = [make_noise(duration, seed=7) for duration in (1.3, 2.9, 0.01)]
    path = tmp_path / "pause.wav"
    save_audio(path, np.pad(waveforms[0], (0, 24_000)), 16_000)
    found = run("transcribe", folder=tmp_path / "page", waveforms=waveforms, inspected=load_audio(path, 16_000))
    assert found["numRounds"] == 2, "rounds of the warm-up before, which ends once there is something to do"
    recognizer = Recognizer.from_bundle(tmp_path / "model", device="cpu", threads=1)
    for transcript, waveform in zip(found["transcripts"], waveforms, strict=True):
        expected = recognizer.transcribe(waveform, source_rate=16_000)
        assert (transcript["text"], bool(transcript["explanation"])) == (expected.text, bool(expected.explanation))
        words = [word for segment in transcript["segments"] for word in segment["words"]]
        for name in ("start", "end", "confidence"):
            np.testing.assert_allclose(
                [word[name] for word in words], [getattr(word, name) for word in expected.words], atol=1e-3
            )
    assert found["transcripts"][0]["text"]
    inspection = found["inspection"]
    expected_inside = inspect_recording(recognizer, path)
    assert expected_inside.silence
    np.testing.assert_allclose(inspection["silence"], expected_inside.silence, atol=1e-6)
    np.testing.assert_allclose(inspection["mfcc"], expected_inside.mfcc, atol=1e-3)
    [posteriors] = recognizer.scorer.score([load_audio(path, 16_000)])
    assert posteriors is not None
    np.testing.assert_allclose(inspection["posteriors"], np.exp(posteriors.log_probs), atol=1e-3)
    [hypotheses] = recognizer.decoder.decode([posteriors])
    assert len(hypotheses) == 10
    np.testing.assert_allclose(
        [each["score"] for each in inspection["alternatives"]], [each.score for each in hypotheses], atol=2e-3
    )
    assert math.isclose(inspection["frameShift"], 0.03)
    path = inspection["path"]
    assert bundle.tokenizer.decode(path) == bundle.tokenizer.join(hypotheses[0].tokens)
