"""Lines, pairs and columns of text files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from asr.data.tables import read_columns, read_lines, read_pairs
from asr.errors import ManifestError


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    def write_bytes(content: bytes) -> Path:
        path = tmp_path / "table"
        path.write_bytes(content)
        return path

    return write_bytes


def test_lines_keep_their_numbers_when_blank_ones_go(write: Callable[[bytes], Path]) -> None:
    path = write("\ufeffone\r\n\n  \ntwo \u2028 three".encode())
    assert list(read_lines(path)) == [(1, "one"), (4, "two \u2028 three")]


def test_pairs_are_cut_at_the_first_white_space(write: Callable[[bytes], Path]) -> None:
    assert read_pairs(write(b"a\tone two \nb  three\nc\n")) == {"a": "one two", "b": "three", "c": ""}


def test_a_name_listed_twice_is_an_error_that_names_the_line(write: Callable[[bytes], Path]) -> None:
    path = write(b"a one\nb two\na three\n")
    with pytest.raises(ManifestError, match=f"{path}:3: a is listed twice"):
        read_pairs(path)


def test_commas_and_semicolons_come_with_quotes(write: Callable[[bytes], Path]) -> None:
    for delimiter in (",", ";"):
        content = f'path{delimiter}text\na.wav{delimiter}"one{delimiter} ""two"""\n'
        rows = list(read_columns(write(content.encode()), ["text"], ["path"]))
        assert rows == [(2, [f'one{delimiter} "two"', "a.wav"])]


def test_a_quote_between_tabs_is_a_character_like_any_other(write: Callable[[bytes], Path]) -> None:
    path = write(b'path\ttext\na.wav\t"one" two\nb.wav\t"three\n')
    assert list(read_columns(path, ["text"])) == [(2, ['"one" two']), (3, ['"three'])]


def test_a_quote_that_is_never_closed_is_an_error_and_swallows_nothing(write: Callable[[bytes], Path]) -> None:
    path = write(b'path,text\na.wav,"one\nb.wav,two\n')
    with pytest.raises(ManifestError, match=r"unexpected end of data.*quote that is not closed"):
        list(read_columns(path, ["text"]))


def test_the_first_name_that_the_header_has_is_taken(write: Callable[[bytes], Path]) -> None:
    path = write(b"file,path\nx,y\n")
    assert list(read_columns(path, ["wav", "path", "file"], ["speaker", ""])) == [(2, ["y", ""])]


def test_a_row_of_another_length_has_no_values(write: Callable[[bytes], Path]) -> None:
    path = write(b"path,text\na.wav,one, two\n\nb.wav\nc.wav,three\n")
    assert list(read_columns(path, ["text"])) == [(2, None), (4, None), (5, ["three"])]


def test_a_missing_column_is_an_error_that_shows_the_header(write: Callable[[bytes], Path]) -> None:
    with pytest.raises(ManifestError, match="no column text or sentence; its header names path, words"):
        list(read_columns(write(b"path,words\n"), ["text", "sentence"]))


def test_an_empty_table_has_no_columns(write: Callable[[bytes], Path]) -> None:
    with pytest.raises(ManifestError, match="names nothing"):
        list(read_columns(write(b""), ["text"]))


def test_a_list_that_is_missing_or_not_utf8_is_an_error_that_names_it(write: Callable[[bytes], Path]) -> None:
    path = write("übung".encode("latin-1"))
    for read in (lambda: list(read_lines(path)), lambda: read_pairs(path), lambda: list(read_columns(path, ["a"]))):
        with pytest.raises(ManifestError, match=f"^{path}: cannot be read .*UTF-8"):
            read()
    path.unlink()
    with pytest.raises(ManifestError, match="no such file"):
        list(read_lines(path))
