"""Files are whole or not there, and arrays come back from them as they were."""

import errno
import json
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray
from safetensors.torch import save_file

from asr.acoustic.pronunciation import PronunciationDictionary
from asr.data.manifest import read_manifest
from asr.data.tables import read_columns, read_pairs
from asr.decoding.hot_words import read_hot_words
from asr.errors import ASRError, TensorFileError
from asr.evaluation import read_report
from asr.files import (
    dump_json,
    load_tensors,
    read_text,
    replace_atomically,
    replace_folder,
    save_tensors,
    write_atomically,
    write_bytes_atomically,
)
from asr.lm.corpus import read_lines

TYPES = ["<f8", "<f4", "<f2", "<i8", "<i4", "<i2", "i1", "<u8", "<u4", "<u2", "u1", "?"]
ARRAYS = st.sampled_from(TYPES).flatmap(
    lambda dtype: npst.arrays(np.dtype(dtype), npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def test_text_is_utf8_in_a_folder_that_is_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "café.txt"
    write_atomically(path, "é\n")
    assert path.read_bytes() == b"\xc3\xa9\n"


def test_nothing_but_the_file_is_left_and_everybody_may_read_it(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a.txt", "old")
    write_bytes_atomically(tmp_path / "a.txt", b"new")
    assert contents(tmp_path) == {"a.txt": "new"}
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o644


def test_interrupted_writing_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_atomically(tmp_path / "a.txt", "old")

    def fail(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "a.txt", "new")
    assert contents(tmp_path) == {"a.txt": "old"}


def test_two_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with replace_atomically(path) as first, replace_atomically(path) as second:
        first.write_text("first", encoding="utf-8")
        second.write_text("se", encoding="utf-8")
        assert not path.exists()
    assert contents(tmp_path) == {"a.txt": "first"}


@pytest.mark.parametrize("name", ["x" * 255, "é\n\udcff" + "y" * 240])
def test_name_as_long_as_the_system_allows_or_not_in_utf8_is_written(tmp_path: Path, name: str) -> None:
    write_atomically(tmp_path / name, "a")
    assert contents(tmp_path) == {name: "a"}


def test_bytes_of_a_name_that_are_not_utf8_come_back_from_json(tmp_path: Path) -> None:
    name = os.fsdecode(b"bad\xff\xe9.wav")
    write_atomically(tmp_path / "a.json", json.dumps({"é": name}, ensure_ascii=False))
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"é": name}


def test_full_disk_names_the_file_and_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomically(tmp_path / "a.txt", "old")

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match=f"No space left on device: '{tmp_path}/a.txt'"):
        write_atomically(tmp_path / "a.txt", "new")
    assert contents(tmp_path) == {"a.txt": "old"}


def test_device_or_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_atomically(tmp_path / "pipe", "through")
    assert os.read(reader, 100) == b"through"
    assert list(tmp_path.iterdir()) == [tmp_path / "pipe"]


@pytest.mark.parametrize("can_exchange", [True, False])
def test_folder_is_replaced_whole_or_not_at_all(
    tmp_path: Path, can_exchange: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not can_exchange:
        monkeypatch.setattr("asr.files._exchange", lambda first, second: False)
    for content in ("old", "new"):
        with replace_folder(tmp_path / "a") as partial:
            (partial / content).write_text(content, encoding="utf-8")
        assert contents(tmp_path / "a") == {content: content}
    with pytest.raises(IsADirectoryError), replace_folder(tmp_path / "a") as partial:
        partial.write_text("half", encoding="utf-8")
    assert contents(tmp_path / "a") == {"new": "new"}
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_shapes_are_checked_before_anything_is_read(tmp_path: Path) -> None:
    def refuse(shapes: Mapping[str, tuple[int, ...]]) -> None:
        raise KeyError(shapes)

    save_tensors(tmp_path / "x.safetensors", {"a": np.zeros((2, 3)), "b": np.zeros(0)})
    with pytest.raises(KeyError) as caught:
        load_tensors(tmp_path / "x.safetensors", refuse)
    assert caught.value.args == ({"a": (2, 3), "b": (0,)},)


@settings(deadline=None)
@given(
    tensors=st.dictionaries(st.text("abc._é", min_size=1, max_size=5), ARRAYS, max_size=3),
    metadata=st.dictionaries(st.text("kv", min_size=1), st.text(max_size=9), max_size=2),
    transposed=st.booleans(),
)
def test_arrays_come_back_as_they_were_whatever_the_order_of_their_memory(
    tmp_path_factory: pytest.TempPathFactory,
    tensors: dict[str, NDArray[Any]],
    metadata: dict[str, str],
    transposed: bool,
) -> None:
    path = tmp_path_factory.mktemp("files") / "x.safetensors"
    given_tensors = {name: tensor.T if transposed else tensor for name, tensor in tensors.items()}
    save_tensors(path, given_tensors, metadata)
    loaded, header = load_tensors(path)
    assert (loaded.keys(), header) == (tensors.keys(), metadata)
    for name, tensor in given_tensors.items():
        assert (loaded[name].dtype, loaded[name].shape) == (tensor.dtype, tensor.shape)
        np.testing.assert_array_equal(loaded[name], tensor)


@pytest.mark.parametrize("content", [None, b"", b"not a tensor file", bytes(8) + b"{}"])
def test_file_that_holds_no_tensors_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TensorFileError) as caught:
        load_tensors(path)
    assert str(caught.value).startswith(f"{path}: cannot be read as safetensors (")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("dtype", "name"), [(torch.bfloat16, "BF16"), (torch.float8_e4m3fn, "F8_E4M3")])
def test_types_that_numpy_lacks_are_refused(tmp_path: Path, dtype: torch.dtype, name: str) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"w": torch.ones(2).to(dtype)}, path)
    with pytest.raises(TensorFileError, match=f"w is of type {name}, which numpy lacks; store it as F32 or F16"):
        load_tensors(path)


def test_json_holds_no_noise_of_floating_point() -> None:
    fields = {"a": 0.1 + 0.2, "b": [1e-9 / 3, 12345.678900000001], "c": {"d": (True, 2, None, "é")}}
    assert dump_json(fields) == '{"a": 0.3, "b": [3.33333e-10, 12345.6789], "c": {"d": [true, 2, null, "é"]}}'


def test_json_with_a_name_that_is_not_unicode_is_in_ascii() -> None:
    text = dump_json({"name": "caf\udce9", "é": 1})
    assert text.isascii()
    assert json.loads(text) == {"name": "caf\udce9", "é": 1}


def test_device_that_never_ends_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="is a device"):
        read_text(Path("/dev/zero"))
    assert read_text(Path("/dev/null")) == ""
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfcaf\xc3\xa9\r\n")
    assert read_text(tmp_path / "a.txt") == "caf\u00e9\n"


@pytest.mark.parametrize(
    "read",
    [
        read_manifest,
        read_hot_words,
        PronunciationDictionary.read,
        read_report,
        lambda path: list(read_columns(path, ["path"])),
        lambda path: list(read_pairs(path)),
        lambda path: list(read_lines(path)),
    ],
)
def test_whatever_reads_text_refuses_a_device_in_one_line(read: Callable[[Path], object]) -> None:
    with pytest.raises(ASRError, match="is a device") as caught:
        read(Path("/dev/zero"))
    assert "\n" not in str(caught.value)


def test_a_full_disk_in_a_folder_that_is_filled_names_the_folder(tmp_path: Path) -> None:
    with (
        pytest.raises(OSError, match=r"No space left on device: '.*/page'"),
        replace_folder(tmp_path / "page") as partial,
    ):
        raise OSError(errno.ENOSPC, "No space left on device", str(partial / "a"))
    with pytest.raises(FileNotFoundError, match="'/none'"), replace_folder(tmp_path / "page"):
        raise FileNotFoundError(errno.ENOENT, "No such file", "/none")
    assert not list(tmp_path.iterdir())
