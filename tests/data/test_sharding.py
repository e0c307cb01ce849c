"""Manifests to shards and back: nothing is lost, changed or written over, and a stopped run goes on."""

import json
import logging
import tarfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from asr.audio import load_audio, save_audio
from asr.cli.terminal import run_command
from asr.data import sharding
from asr.data.manifest import Utterance, read_manifest, write_manifest
from asr.data.shard_index import find_index, read_index
from asr.data.sharding import ShardConfig, write_shards
from asr.data.shards import ShardSource
from asr.data.sources import open_source
from asr.errors import ManifestError
from asr.tokenizer import CharTokenizer

WriteTone = Callable[[str, float, float], Path]
main = partial(run_command, "asr.cli.shard")
SMALL = ShardConfig(shard_size=40_000, jobs=1)


@pytest.fixture
def manifest(tmp_path: Path, write_tone: WriteTone) -> Path:
    """Twelve tones, the last a part of a longer one."""
    utterances = [
        Utterance(
            write_tone(f"{number}.wav", 200.0 + 40 * number, 0.3), 0.3, f"word {number % 3}", f"id{number}", "ann"
        )
        for number in range(11)
    ]
    long = write_tone("long.wav", 900.0, 2.0)
    utterances.append(Utterance(long, 0.5, "part", "part", corpus="talks", offset=1.0))
    write_manifest(tmp_path / "train.jsonl", utterances)
    return tmp_path / "train.jsonl"


def read_all(folder: str, chunk_duration: float = 1.0) -> dict[str, tuple[Utterance, np.ndarray]]:
    source = ShardSource(read_index(folder), chunk_duration, max_chunks=3)
    read = [source.read([index])[0] for index in range(len(source.durations))]
    return {utterance.utterance_id: (utterance, load_audio(audio, 16_000)) for utterance, audio in read}


def test_shards_hold_the_texts_and_the_sound_of_the_manifest(manifest: Path, tmp_path: Path) -> None:
    index, num_rejected = write_shards([manifest], tmp_path / "shards", SMALL)
    assert (len(index), num_rejected, len(index.files) > 2) == (12, 0, True)
    read = read_all(str(tmp_path / "shards"))
    for utterance in read_manifest(manifest):
        found, waveform = read[utterance.utterance_id]
        assert (found.text, found.duration) == (utterance.text, utterance.duration)
        assert (found.speaker, found.corpus) == (utterance.speaker, utterance.corpus)
        np.testing.assert_array_equal(waveform, load_audio(utterance.source, 16_000))


def test_shards_are_tar_files_as_webdataset_lays_them_out(manifest: Path, tmp_path: Path) -> None:
    index, _ = write_shards([manifest], tmp_path / "shards", SMALL)
    with tarfile.open(tmp_path / "shards" / index.files[0].name) as tar:
        names = tar.getnames()
        first = json.load(tar.extractfile(names[0]))  # type: ignore[arg-type]  # a file
    assert [name.partition(".")[0] for name in names[::2]] == [name.partition(".")[0] for name in names[1::2]]
    assert {"text", "duration", "utterance_id"} <= set(first)
    assert names[0] == "000000000.json"
    assert names[1] in {"000000000.wav", "000000000.flac"}


def test_index_knows_what_training_asks_before_it_starts(manifest: Path, tmp_path: Path) -> None:
    write_shards([manifest], tmp_path / "shards", SMALL)
    source = open_source(str(tmp_path / "shards"), normalize=True, chunk_duration=1.0, max_chunks=9)
    every = np.arange(12)
    assert float(source.durations.sum()) == pytest.approx(11 * 0.3 + 0.5)
    assert sorted(source.texts(every)) == sorted(utterance.text for utterance in read_manifest(manifest))
    assert set(source.characters(every)) == set("word 012part")
    assert source.hours(every) == {"": pytest.approx(3.3 / 3600), "talks": pytest.approx(0.5 / 3600)}
    with pytest.raises(ManifestError, match=r"lacks characters of the texts \('2' in 3 utterances of .*shards\)"):
        source.check_alphabet(CharTokenizer(tuple("word 01pat")), every)


def test_index_json_and_its_folder_are_recognised_and_a_manifest_is_not(manifest: Path, tmp_path: Path) -> None:
    write_shards([manifest], tmp_path / "shards", SMALL)
    folder = str(tmp_path / "shards")
    assert find_index(folder) == find_index(f"{folder}/index.json") == folder
    assert find_index("s3://bucket/shards/index.json") == find_index("s3://bucket/shards/") == "s3://bucket/shards"
    listed = tmp_path / "index.json"
    listed.write_text("[]", encoding="utf-8")
    assert find_index(str(listed)) is None
    assert find_index(str(manifest)) is None
    with pytest.raises(ManifestError, match=r"index\.json: damaged, or not of asr shard"):
        read_index(str(tmp_path))
    listed.unlink()
    with pytest.raises(ManifestError, match=r"a folder without index\.json"):
        find_index(str(tmp_path))


def test_finished_shards_and_strange_folders_are_never_written_over(manifest: Path, tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    write_shards([manifest], folder, SMALL)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ManifestError, match=r"holds finished shards; name a new folder"):
        write_shards([manifest], folder, SMALL)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").touch()
    with pytest.raises(ManifestError, match=r"mine: exists and is not empty"):
        write_shards([manifest], tmp_path / "mine", SMALL)


def test_a_stopped_run_goes_on_behind_its_last_whole_shard_and_ends_the_same(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shards([manifest], tmp_path / "whole", SMALL)
    read, calls = sharding._read_audio, list[str]()

    def stop(utterance: Utterance) -> tuple[bytes, str]:
        calls.append(utterance.utterance_id)
        if len(calls) == 9:
            raise KeyboardInterrupt
        return read(utterance)

    monkeypatch.setattr(sharding, "_AT_ONCE", 1)
    monkeypatch.setattr(sharding, "_read_audio", stop)
    with pytest.raises(KeyboardInterrupt):
        write_shards([manifest], tmp_path / "parts", SMALL)
    assert not list(tmp_path.rglob("*.partial"))
    with pytest.raises(ManifestError, match=r"unfinished shards of other manifests or settings"):
        write_shards([manifest], tmp_path / "parts", ShardConfig(shard_size=50_000))
    calls[:] = [""] * 9
    write_shards([manifest], tmp_path / "parts", SMALL)
    assert 0 < len(calls) - 9 < 12
    whole, parts = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("whole", "parts")
    )
    assert parts == whole


def test_manifests_in_another_order_or_of_the_same_name_are_not_those_of_a_stopped_run(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other" / "train.jsonl"
    write_manifest(other, read_manifest(manifest)[:5])
    write = sharding._write_shard
    monkeypatch.setattr(
        sharding, "_write_shard", lambda folder, number, *rest: write(folder, number // (1 - number), *rest)
    )
    with pytest.raises(ZeroDivisionError):  # as a kill would, behind the first shard
        write_shards([manifest, other], tmp_path / "shards", SMALL)
    monkeypatch.undo()
    for changed in ([other, manifest], [other]):
        with pytest.raises(ManifestError, match=r"unfinished shards of other manifests or settings"):
            write_shards(changed, tmp_path / "shards", SMALL)
    assert len(write_shards([manifest, other], tmp_path / "shards", SMALL)[0]) == 17


def test_a_second_process_in_the_same_folder_is_refused_and_disturbs_nothing(manifest: Path, tmp_path: Path) -> None:
    folder = tmp_path / "shards"

    def interfere(seconds: float) -> None:
        with pytest.raises(ManifestError, match=r"shards: another process writes shards there; wait until it ends"):
            write_shards([manifest], folder, SMALL)

    assert len(write_shards([manifest], folder, SMALL, interfere)[0]) == len(read_all(str(folder))) == 12


def test_kept_texts_may_hold_any_character_that_ends_a_line(manifest: Path, tmp_path: Path) -> None:
    texts = ["a\u2028b", "a\x85b", "a\x1eb", "a\nb", "a\r\nb", ""]
    utterances = [replace(each, text=text) for each, text in zip(read_manifest(manifest), texts, strict=False)]
    write_manifest(manifest, utterances)
    write_shards([manifest], tmp_path / "shards", ShardConfig(keep_text=True))
    assert sorted(read_index(str(tmp_path / "shards")).texts) == sorted(texts)


def test_what_cannot_be_read_is_listed_and_the_rest_is_written(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "3.wav").write_text("no sound", encoding="utf-8")
    (tmp_path / "4.wav").write_bytes((tmp_path / "4.wav").read_bytes()[:-2000])
    save_audio(tmp_path / "5.flac", load_audio(tmp_path / "5.wav", 16_000), 16_000)
    broken = bytearray((tmp_path / "5.flac").read_bytes())
    broken[-500:] = bytes(500)
    (tmp_path / "5.wav").write_bytes(broken)
    assert main([str(manifest), "--output", str(tmp_path / "shards"), "--shard-size", "40KB"]) == 1
    captured = capsys.readouterr()
    assert "9 utterances" in captured.out
    assert "3 utterances cannot be read; see" in captured.err
    rejected = (tmp_path / "shards" / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    assert sorted(json.loads(line)["utterance_id"] for line in rejected) == ["id3", "id4", "id5"]
    assert len(read_index(str(tmp_path / "shards"))) == 9


def test_a_recording_that_is_too_large_for_the_index_is_listed(manifest: Path, tmp_path: Path) -> None:
    with (tmp_path / "3.wav").open("r+b") as file:
        file.truncate(2**31)  # a hole, which takes no room
    assert main([str(manifest), "--output", str(tmp_path / "shards"), "--shard-size", "40KB"]) == 1
    [rejected] = (tmp_path / "shards" / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(rejected)["reason"].endswith("expected at most 2146435072; compress it, or cut it into parts")


@pytest.mark.parametrize("size", ["big", "999", "1001TB", "9" * 400])
def test_a_size_that_is_none_is_refused(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], size: str
) -> None:
    with pytest.raises(SystemExit):
        main([str(manifest), "--output", str(tmp_path / "shards"), "--shard-size", size])
    assert f"'{size}' is not a size from 1000 bytes to 1000TB, such as 500MB or 1GB" in capsys.readouterr().err


def test_a_missing_manifest_and_damaged_shards_are_one_clear_line(manifest: Path, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"none\.jsonl: cannot be read"):
        write_shards([tmp_path / "none.jsonl"], tmp_path / "shards", SMALL)
    assert not (tmp_path / "shards").exists()
    index, _ = write_shards([manifest], tmp_path / "shards", SMALL)
    shard = tmp_path / "shards" / index.files[0].name
    shard.write_bytes(bytes(shard.stat().st_size))
    with pytest.raises(ManifestError, match=r"does not hold what its index says"):
        ShardSource(index, 1.0, 9).read([0])
    shard.write_bytes(b"")
    with pytest.raises(ManifestError, match=r"0 bytes came for bytes 0 to \d+; the file is cut off"):
        ShardSource(index, 1.0, 9).read([0])
    texts = tmp_path / "shards" / "texts.jsonl.gz"
    packed = texts.read_bytes()
    for content in (packed[:12] + bytes(8) + packed[20:], packed[:-12], b"[" * 100_000):
        texts.write_bytes(content)
        with pytest.raises(ManifestError, match=r"index\.json: damaged, or not of asr shard"):
            read_index(str(tmp_path / "shards"))
    texts.write_bytes(packed)
    (tmp_path / "shards" / "index.safetensors").write_bytes(b"")
    with pytest.raises(ManifestError, match=r"index\.json: damaged, or not of asr shard"):
        read_index(str(tmp_path / "shards"))


def test_texts_are_normalised_when_they_are_packed_unless_they_are_to_be_kept(
    tmp_path: Path, write_tone: WriteTone, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    manifest = tmp_path / "train.jsonl"
    write_manifest(manifest, [Utterance(write_tone("a.wav", 300.0, 0.3), 0.3, "Good Morning!", "a")])
    write_shards([manifest], tmp_path / "plain")
    assert read_index(str(tmp_path / "plain")).texts == ("good morning",)
    assert "normalised 1 of 1 texts" in caplog.text
    write_shards([manifest], tmp_path / "kept", ShardConfig(keep_text=True))
    assert read_index(str(tmp_path / "kept")).texts == ("Good Morning!",)
    with pytest.raises(ManifestError, match=r"kept as they are; give --data\.normalize false"):
        open_source(str(tmp_path / "kept"), normalize=True, chunk_duration=1.0, max_chunks=9)


def test_chunks_that_are_not_kept_are_read_again(manifest: Path, tmp_path: Path) -> None:
    index, _ = write_shards([manifest], tmp_path / "shards", SMALL)
    source = ShardSource(index, 0.5, max_chunks=1)
    for indices in ([0, 11, 5], [5, 5], [11]):
        names = [utterance.utterance_id for utterance, _ in source.read(indices)]
        assert names == [source.read([index])[0][0].utterance_id for index in indices]


@contextmanager
def serve(folder: Path, *, ranges: bool = True) -> Generator[str]:
    """Serve a folder over HTTP, parts of files too."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = folder / self.path.lstrip("/")
            if not path.is_file():
                self.send_error(404)
                return
            content = path.read_bytes()
            asked = self.headers.get("Range")
            if asked and ranges:
                first, last = asked.removeprefix("bytes=").split("-")
                content = content[int(first) : int(last) + 1]
            self.send_response(206 if asked and ranges else 200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_shards_are_read_over_http(manifest: Path, tmp_path: Path) -> None:
    write_shards([manifest], tmp_path / "shards", SMALL)
    local = read_all(str(tmp_path / "shards"))
    with serve(tmp_path) as url:
        remote = read_all(f"{url}/shards")
        with pytest.raises(ManifestError, match=r"^http.*none/index\.json: cannot be read"):
            read_index(f"{url}/none")
    assert remote.keys() == local.keys()
    for name, (_, waveform) in local.items():
        np.testing.assert_array_equal(remote[name][1], waveform)


def test_a_server_that_serves_no_parts_of_files_is_named(manifest: Path, tmp_path: Path) -> None:
    write_shards([manifest], tmp_path / "shards", SMALL)
    with serve(tmp_path, ranges=False) as url, pytest.raises(ManifestError, match=r"does not serve parts of files"):
        read_all(f"{url}/shards")


def test_an_unknown_kind_of_url_is_one_clear_line() -> None:
    with pytest.raises(ManifestError, match=r"^nowhere://shards/index\.json: cannot be read \(.*nowhere"):
        read_index("nowhere://shards")
