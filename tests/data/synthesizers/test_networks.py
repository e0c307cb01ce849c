"""Kokoro and Piper with networks that answer with their own inputs, and an espeak-ng that spells what it is given."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
from onnx import TensorProto, helper

from asr.cli.terminal import run_command
from asr.data.manifest import read_manifest
from asr.data.synthesizers import NETWORKS, open_synthesizers
from asr.data.synthesizers.kokoro import encode_phonemes
from asr.errors import AudioError, MissingExtraError

main = partial(run_command, "asr.cli.synthesize")


@pytest.fixture(autouse=True)
def espeak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An espeak-ng whose phonemes are the letters of the text; the accent goes to a file."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = f'#!/bin/sh\necho "$5" > {tmp_path}/accent\nfor last; do :; done\necho "$last"\n'
    (folder / "espeak-ng").write_text(script, encoding="utf-8")
    (folder / "espeak-ng").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def write_network(path: Path, inputs: dict[str, tuple[int, list[int | str]]], shown: list[str]) -> None:
    """Write a network that answers with some of its inputs divided by 1000, one behind the other."""
    nodes = []
    for name in shown:
        nodes += [
            helper.make_node("Cast", [name], [f"{name}_float"], to=TensorProto.FLOAT),
            helper.make_node("Reshape", [f"{name}_float", "flat"], [f"{name}_flat"]),
        ]
    nodes.append(helper.make_node("Concat", [f"{name}_flat" for name in shown], ["joined"], axis=0))
    nodes.append(helper.make_node("Div", ["joined", "thousand"], ["waveform"]))
    graph = helper.make_graph(
        nodes,
        "echo",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["samples"])],
        [
            helper.make_tensor("flat", TensorProto.INT64, [1], [-1]),
            helper.make_tensor("thousand", TensorProto.FLOAT, [], [1000.0]),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


@pytest.fixture
def kokoro(tmp_path: Path) -> Path:
    """A folder of two American voices, a British and a French one, whose styles are constants."""
    folder = tmp_path / "kokoro"
    (folder / "voices").mkdir(parents=True)
    for value, name in enumerate(["af_ann", "am_tom", "bf_eve", "ff_zoe"], start=1):
        styles = np.full((510, 1, 256), value, np.float32)
        styles[:, 0, 1] = np.arange(510)  # the row is seen in the second number
        (folder / "voices" / f"{name}.bin").write_bytes(styles.tobytes())
    inputs: dict[str, tuple[int, list[int | str]]] = {
        "input_ids": (TensorProto.INT64, [1, "tokens"]),
        "style": (TensorProto.FLOAT, [1, 256]),
        "speed": (TensorProto.FLOAT, [1]),
    }
    write_network(folder / "model.onnx", inputs, ["input_ids", "style", "speed"])
    return folder


@pytest.fixture
def piper(tmp_path: Path) -> Path:
    path = tmp_path / "joe.onnx"
    inputs: dict[str, tuple[int, list[int | str]]] = {
        "input": (TensorProto.INT64, [1, "tokens"]),
        "input_lengths": (TensorProto.INT64, [1]),
        "scales": (TensorProto.FLOAT, [3]),
    }
    write_network(path, inputs, ["input", "input_lengths", "scales"])
    settings = {
        "audio": {"sample_rate": 22050},
        "espeak": {"voice": "en-gb"},
        "phoneme_id_map": {"_": [0], "^": [1], "$": [2], "a": [10], "b": [11]},
        "inference": {"noise_scale": 0.5, "length_scale": 1.5, "noise_w": 0.25},
    }
    path.with_name("joe.onnx.json").write_text(json.dumps(settings), encoding="utf-8")
    return path


def spoken(path: Path) -> tuple[list[float], int]:
    """What a network was given, as it answers with it; its sample rate."""
    samples, rate = soundfile.read(path)
    return (samples * 1000).round(1).tolist(), rate


def test_kokoro_gets_tokens_the_style_of_their_number_and_the_speed(kokoro: Path, tmp_path: Path) -> None:
    NETWORKS["kokoro"](kokoro).speak("am_tom", "ab", tmp_path / "a.wav", rate=1.5)
    values, rate = spoken(tmp_path / "a.wav")
    assert rate == 24000
    assert values[:5] == [0, 43, 44, 4, 0]  # a, b, full stop between the ends
    assert values[5:8] == [2, 3, 2]  # the style of am_tom for three tokens
    assert values[-1] == pytest.approx(1.5)
    assert (tmp_path / "accent").read_text().strip() == "en-us"


def test_british_voices_of_kokoro_have_british_phonemes(kokoro: Path, tmp_path: Path) -> None:
    NETWORKS["kokoro"](kokoro).speak("bf_eve", "ab", tmp_path / "a.wav")
    assert (tmp_path / "accent").read_text().strip() == "en-gb"


@pytest.mark.parametrize(("voice", "value"), [("af_ann+am_tom", 1.5), ("af_ann+ff_zoe", 2.05)])
def test_two_voices_of_kokoro_blend(kokoro: Path, tmp_path: Path, voice: str, value: float) -> None:
    NETWORKS["kokoro"](kokoro).speak(voice, "ab", tmp_path / "a.wav")
    assert spoken(tmp_path / "a.wav")[0][5] == pytest.approx(value, abs=0.06)


def test_voices_of_kokoro_are_english_ones_their_pairs_and_accents(kokoro: Path) -> None:
    assert NETWORKS["kokoro"](kokoro).list_voices() == sorted([
        *("af_ann", "am_tom", "bf_eve", "af_ann+am_tom", "af_ann+bf_eve", "am_tom+bf_eve"),
        *("af_ann+ff_zoe", "am_tom+ff_zoe", "bf_eve+ff_zoe"),
    ])


def test_phonemes_are_respelled_for_kokoro() -> None:
    night, letter = "nˈa^ɪt", "lˈɛɾɚ"
    assert encode_phonemes(night, american=True) == [56, 156, 25, 62, 4]  # nˈIt.
    assert encode_phonemes(letter, american=True) == [54, 156, 86, 36, 83, 123, 4]  # lˈɛTəɹ.
    assert encode_phonemes("bˈɜːd", american=True) == [44, 156, 87, 123, 46, 4]  # bˈɜɹd.
    assert encode_phonemes("bˈɜːd", american=False) == [44, 156, 87, 158, 46, 4]  # bˈɜːd.


def test_texts_too_long_for_kokoro_are_refused_by_name(kokoro: Path, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="long: 601 phonemes"):
        NETWORKS["kokoro"](kokoro).speak("af_ann", "a" * 600, tmp_path / "long.wav")


def test_piper_gets_padded_tokens_and_the_scales_of_its_settings(piper: Path, tmp_path: Path) -> None:
    NETWORKS["piper"](piper).speak("joe", "a^b", tmp_path / "a.wav", rate=2.0)
    values, rate = spoken(tmp_path / "a.wav")
    assert rate == 22050
    assert values == [1, 0, 10, 0, 11, 0, 2, 7, 0.5, pytest.approx(0.75, abs=0.06), pytest.approx(0.25, abs=0.06)]
    assert (tmp_path / "accent").read_text().strip() == "en-gb"


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        ("voices/af_ann.bin", "af_ann.bin is no voice of Kokoro"),
        ("model.onnx", "model.onnx: cannot be opened"),
    ],
)
def test_damaged_files_of_kokoro_are_named(kokoro: Path, tmp_path: Path, damage: str, expected: str) -> None:
    (kokoro / damage).write_bytes(b"nothing")
    synthesizer = NETWORKS["kokoro"](kokoro)
    with pytest.raises(MissingExtraError, match=expected):
        synthesizer.speak("af_ann", "a", tmp_path / "a.wav")


def test_a_voice_of_piper_without_settings_is_named(piper: Path, tmp_path: Path) -> None:
    piper.with_name("joe.onnx.json").unlink()
    with pytest.raises(MissingExtraError, match=r"no joe.onnx.json beside it"):
        NETWORKS["piper"](piper).list_voices()


def test_a_network_without_files_is_refused_with_the_flag() -> None:
    with pytest.raises(MissingExtraError, match="--kokoro"):
        open_synthesizers(["flite", "kokoro"], {"kokoro": None})


def test_networks_that_are_given_speak_alone(kokoro: Path, tmp_path: Path) -> None:
    assert list(open_synthesizers(None, {"kokoro": kokoro, "piper": None})) == ["kokoro"]
    text = tmp_path / "text.txt"
    text.write_text("a bad cab has a bed\n", encoding="utf-8")
    assert main([str(text), "--output", str(tmp_path / "out"), "--kokoro", str(kokoro), "--format", "flac"]) == 0
    [utterance] = read_manifest(tmp_path / "out" / "manifest.jsonl")
    assert utterance.text == "a bad cab has a bed"
    assert str(utterance.speaker).startswith("kokoro-")
