"""Utterances of pieces of others: where they are cut, what stays out, and that nothing is used twice."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from asr.audio import load_audio
from asr.cli.terminal import run_command
from asr.data.manifest import read_manifest
from asr.transcript import Word
from scripts.splice_utterances import Piece, cut, join

main = partial(run_command, "scripts.splice_utterances")

RATE = 16_000
SAMPLES = Path(__file__).resolve().parents[2] / "data" / "samples" / "manifest.jsonl"


def speak(
    *times: tuple[float, float], confidence: float = 0.9
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float32]], list[Word]]:
    """Make a recording that is loud where words are, each word named by its number."""
    waveform = np.full(int(RATE * (times[-1][1] + 0.5)), 0.001, np.float32)
    for start, end in times:
        waveform[int(start * RATE) : int(end * RATE)] = 0.5
    return waveform, [Word(str(index), start, end, confidence) for index, (start, end) in enumerate(times)]


def test_utterances_are_cut_in_pauses_and_nowhere_else() -> None:
    waveform, words = speak((0.3, 0.6), (0.6, 0.9), (1.2, 1.5), (1.52, 1.9), (2.3, 2.6))
    groups = ["0 1", "2 3", "4"]
    for seed in range(20):
        pieces = cut(waveform, words, RATE, np.random.default_rng(seed))
        assert " ".join(piece.text for piece in pieces) == "0 1 2 3 4"
        assert all(any(piece.text.startswith(group) for group in groups) for piece in pieces)
        for piece in pieces:
            assert np.abs(piece.waveform[[0, -1]]).max() < 0.01
            loud = sum(words[int(name)].end - words[int(name)].start for name in piece.text.split())
            assert (piece.waveform > 0.1).sum() / RATE == pytest.approx(loud, abs=0.001)
            assert len(piece.waveform) / RATE <= words[int(piece.text[-1])].end - words[int(piece.text[0])].start + 0.36


def test_no_cut_is_beside_an_unsure_word_and_no_piece_is_long_or_unsure() -> None:
    waveform, words = speak((0.3, 0.6), (1.0, 1.3), (1.7, 2.0))
    words[1] = Word("1", 1.0, 1.3, 0.1)
    assert [each.text for each in cut(waveform, words, RATE, np.random.default_rng(0))] == ["0 1 2"]
    waveform, words = speak((0.3, 0.6), (1.0, 1.3), confidence=0.3)
    assert cut(waveform, words, RATE, np.random.default_rng(0)) == []
    waveform, words = speak(*((index / 4, index / 4 + 0.25) for index in range(13)))
    assert cut(waveform, words, RATE, np.random.default_rng(0)) == []
    assert cut(waveform, [], RATE, np.random.default_rng(0)) == []


def test_each_piece_is_used_once_and_joined_softly() -> None:
    pieces = [Piece(np.full(RATE, 0.5, np.float32), str(index)) for index in range(50)]
    joined = list(join(pieces, RATE, np.random.default_rng(0)))
    used = [name for each in joined for name in each.text.split()]
    assert 49 <= len(set(used)) == len(used)
    assert used != sorted(used, key=int)
    for each in joined:
        assert len(each.text.split()) == len(each.waveform) / RATE <= 11
        assert np.abs(np.diff(each.waveform)).max() < 0.01


def write_samples(path: Path, **fields: str) -> Path:
    """Write the manifest of the samples with other fields."""
    lines = [json.loads(line) for line in SAMPLES.read_text().splitlines()]
    audio = [{**line, "audio_filepath": str(SAMPLES.parent / line["audio_filepath"])} for line in lines]
    kept = [{name: value for name, value in line.items() if name != "speaker"} for line in audio]
    path.write_text("\n".join(json.dumps({**line, **fields}) for line in kept))
    return path


def test_the_same_seed_makes_the_same_utterances_of_a_speaker(tmp_path: Path) -> None:
    manifest = write_samples(tmp_path / "train.jsonl", speaker="everybody")
    for name in ("one", "two"):
        assert main([str(manifest), str(tmp_path / name), "--seed", "1"]) == 0
    first, second = (sorted((tmp_path / name).glob("*")) for name in ("one", "two"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    utterances = read_manifest(tmp_path / "one" / "spliced.jsonl")
    assert {(each.corpus, each.speaker) for each in utterances} == {("samples_spliced", "everybody")}
    spoken = {word for each in read_manifest(SAMPLES) for word in each.text.split()}
    for each in utterances:
        assert spoken >= set(each.text.split())
        assert len(load_audio(each.audio_filepath, RATE)) / RATE == pytest.approx(each.duration, abs=1e-3)


def test_more_rounds_use_the_pieces_again_in_other_orders(tmp_path: Path) -> None:
    manifest = write_samples(tmp_path / "train.jsonl", speaker="everybody")
    texts = {}
    for rounds in (1, 3):
        folder = tmp_path / str(rounds)
        assert main([str(manifest), str(folder), "--rounds", str(rounds)]) == 0
        texts[rounds] = [each.text for each in read_manifest(folder / "spliced.jsonl")]
    assert texts[3][: len(texts[1])] == texts[1]
    assert len(set(texts[3])) == len(texts[3]) >= 2 * len(texts[1])


def test_a_manifest_without_speakers_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(write_samples(tmp_path / "train.jsonl")), str(tmp_path / "spliced")]) != 0
    assert "no speaker has 3 pieces between pauses" in capsys.readouterr().err


def test_a_folder_that_holds_anything_is_left_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = write_samples(tmp_path / "train.jsonl", speaker="everybody")
    before = manifest.read_bytes()
    assert main([str(manifest), str(tmp_path)]) != 0
    assert f"{tmp_path}: exists and is no empty folder" in capsys.readouterr().err
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]


def test_what_is_left_out_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = write_samples(tmp_path / "train.jsonl", speaker="everybody")
    first, *others = manifest.read_text().splitlines()
    broken = json.dumps({**json.loads(first), "audio_filepath": str(tmp_path / "none.wav"), "utterance_id": "none"})
    unnamed = json.dumps({name: value for name, value in json.loads(first).items() if name != "speaker"})
    manifest.write_text("\n".join([unnamed, broken, *others]))
    assert main([str(manifest), str(tmp_path / "spliced"), "--seed", "1"]) == 1
    told = capsys.readouterr().out
    assert told.endswith(
        "; left out: utterances without a speaker: 1, utterances that could not be read or aligned: 1\n"
    )
