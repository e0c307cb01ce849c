"""Sound that is still coming in gives in JavaScript what it gives in Python: features, endpoints, steps, results."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asr.acoustic.config import MFCCConfig
from asr.acoustic.export import export_streaming_graph
from asr.acoustic.feature_stream import FeatureStatistics, FeatureStream
from asr.acoustic.pronunciation import PronunciationDictionary
from asr.acoustic.runtime import find_streaming_graph
from asr.acoustic.streaming_runtime import StepRuntime, StreamScorer
from asr.bundle import Bundle, save_bundle
from asr.decoding import DecodingConfig, HotWord
from asr.lm.training import NGramTraining, train_ngram_lm
from asr.recognition.endpoint import Cut, Endpointer
from asr.recognition.recognizer import Recognizer
from asr.recognition.streaming import FinalResult, PartialResult, StreamingRecognizer
from asr.web.export import export_web
from tests.acoustic.networks import add_phone_head, export
from tests.models import tiny_recurrent_lm
from tests.web.driver import Run, make_noise

PHONES = PronunciationDictionary(("P", "Q"), {"abc": "P", "bed": "Q P", "de": "P Q"})
BEAM = DecodingConfig("beam", beam_size=300, min_certainty=0.0, recurrent_lm_weight=1.0, recurrent_lm_nbest=30)


@pytest.mark.parametrize("delta_order", [0, 2])
def test_features_of_a_stream_agree(run: Run, delta_order: int) -> None:
    config = MFCCConfig(n_mels=24, n_mfcc=13, delta_order=delta_order)
    generator = np.random.default_rng(0)
    prior = FeatureStatistics(
        tuple(generator.normal(size=config.num_features)), tuple(generator.uniform(1, 9, size=1 + delta_order))
    )
    waveform = make_noise(2.3)
    stream = FeatureStream(config, prior)
    stream.accept(waveform)
    found = run("streamFeatures", config=asdict(config), prior=asdict(prior), waveform=waveform, pieces=150)
    assert found["numFrames"] == stream.num_frames
    expected = stream.normalized(0, stream.num_frames)
    np.testing.assert_allclose(np.reshape(found["features"], expected.shape), expected, atol=1e-3)


def begins_even(cut: Cut) -> bool:
    return cut.begin % 2 == 0


@pytest.mark.parametrize("seed", range(4))
def test_endpoints_agree(run: Run, seed: int) -> None:
    generator = np.random.default_rng(seed)
    runs = generator.integers(1, 18, size=60)
    is_blank = np.repeat(np.arange(len(runs)) % 2 == seed % 2, runs)
    blocks = np.array_split(is_blank, generator.integers(12, 60))
    endpointer = Endpointer(14, 200)
    expected = [
        [
            cut and cut._asdict()
            for cut in (endpointer.look_ahead(block, begins_even), endpointer.find(block, begins_even))
        ]
        + [endpointer.has_speech]
        for block in blocks
    ]
    assert run("findEndpoints", pause=14, longest=200, blocks=[block.tolist() for block in blocks]) == expected
    assert any(cut for _, cut, _ in expected)


@pytest.mark.parametrize("settings", [BEAM, DecodingConfig("greedy", min_certainty=0.0)], ids=["beam", "greedy"])
def test_a_stream_gives_the_same_results(
    run: Run, tiny_bundle: Bundle, tmp_path: Path, settings: DecodingConfig
) -> None:
    is_beam = settings.decoder == "beam"
    (tmp_path / "texts.txt").write_text("abc de\nbed abc\ncab ace\n", encoding="utf-8")
    training = NGramTraining(order=2)
    lm = train_ngram_lm([tmp_path / "texts.txt"], tmp_path / "lm", training).lm if is_beam else None
    recurrent_lm = tiny_recurrent_lm("abc", "de", "bed", "cab", "ace") if is_beam else None  # loaded beside the steps
    bundle = replace(tiny_bundle, decoding=settings, lm=lm, recurrent_lm=recurrent_lm)
    if is_beam:
        network = export(add_phone_head(bundle.network, PHONES.vocabulary_size))
        streaming_graph = export_streaming_graph(network)
        bundle = replace(bundle, network=replace(network, streaming_graph=streaming_graph), pronunciations=PHONES)
    save_bundle(tmp_path / "model", bundle, "# Tiny\n")
    export_web(tmp_path / "page", tmp_path / "model")
    waveform = make_noise(24, seed=4)
    hot_words = [HotWord("bed", 2.0)] if is_beam else []
    recognizer = Recognizer.from_bundle(tmp_path / "model", device="cpu", threads=1, hot_words=hot_words)
    network = recognizer.bundle.network
    recognizer.step_runtime = StepRuntime(network, find_streaming_graph(network))  # in single precision everywhere
    found = run(
        "stream",
        folder=tmp_path / "page",
        waveform=waveform,
        pieces=61,
        chunk=20,
        context=10,
        hotWords=[f"{each.phrase}:{each.boost}" for each in hot_words],
    )
    stream = StreamingRecognizer(recognizer)
    size = -(-len(waveform) // 61)
    expected = [result for at in range(0, len(waveform), size) for result in stream.accept(waveform[at : at + size])]
    expected += stream.finish()
    finals = [result for result in expected if isinstance(result, FinalResult)]
    assert len(finals) > 1
    assert any(result.segment.words for result in finals)
    assert not is_beam or any(isinstance(result, PartialResult) and result.committed for result in expected)
    assert [show(result) for result in found["results"]] == [show(result.to_dict(), is_close) for result in expected]

    scorer = StreamScorer(recognizer.step_runtime, FeatureStatistics(**asdict(tiny_bundle)["feature_statistics"]))
    scorer.accept(waveform)
    for step in found["steps"]:
        np.testing.assert_allclose(step, scorer.advance(20, 10).log_probs.ravel(), atol=1e-3)
    np.testing.assert_allclose(found["preview"], scorer.preview().log_probs.ravel(), atol=1e-3)


def test_sessions_that_are_opened_at_once_do_not_take_each_others_weights(
    run: Run, tiny_bundle: Bundle, tmp_path: Path
) -> None:
    bundle = replace(tiny_bundle, decoding=BEAM, recurrent_lm=tiny_recurrent_lm("abc"))
    save_bundle(tmp_path / "model", bundle, "# Tiny\n")
    export_web(tmp_path / "page", tmp_path / "model")
    graphs = ["model.onnx", "affine.onnx", "streaming.onnx", "log_softmax.onnx"]
    found = run("openTogether", folder=tmp_path / "page", graphs=graphs)
    assert found == ["log_probs", "outputs", "log_probs", "log_probs"]


def is_close(number: float) -> Any:
    """What is equal to a number but for rounding."""
    return pytest.approx(number, abs=2e-3)


def show(result: dict[str, Any], number: Callable[[float], Any] = float) -> tuple[Any, ...]:
    """What of a result is to be the same."""
    words = [
        (each["text"], *(number(each[name]) for name in ("start", "end", "confidence"))) for each in result["words"]
    ]
    if "committed" in result:
        return result["committed"], result["tail"], words
    return number(result["start"]), number(result["end"]), words
