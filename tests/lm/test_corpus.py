import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from asr.errors import LanguageModelError
from asr.lm.corpus import encode_corpus, read_lines

TEXT = "ein satz\nnoch ein größerer satz\n"


@pytest.mark.parametrize(
    ("name", "pack"), [("t.txt", bytes), ("t.gz", gzip.compress), ("t.xz", lzma.compress), ("t.bz2", bz2.compress)]
)
def test_text_is_unpacked_by_its_ending(tmp_path: Path, name: str, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / name
    path.write_bytes(pack(TEXT.encode()))
    assert list(read_lines(path)) == ["ein satz\n", "noch ein größerer satz\n"]


def test_of_a_manifest_the_texts_are_read(tmp_path: Path) -> None:
    lines = b'{"audio_filepath": "a.wav", "text": "ein satz"}\n{"text": "noch einer", "duration": 1}\n'
    (tmp_path / "train.jsonl").write_bytes(lines)
    (tmp_path / "train.jsonl.gz").write_bytes(gzip.compress(lines))
    for name in ("train.jsonl", "train.jsonl.gz"):
        assert list(read_lines(tmp_path / name)) == ["ein satz", "noch einer"]
    (tmp_path / "train.jsonl").write_bytes(lines + b"ein satz\n")
    with pytest.raises(LanguageModelError, match=r"train.jsonl:3: no utterance with a \"text\""):
        list(read_lines(tmp_path / "train.jsonl"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("missing.txt", None),
        ("half.gz", gzip.compress(TEXT.encode(), mtime=0)[:-9]),
        ("broken.gz", gzip.compress(TEXT.encode(), mtime=0)[:12] + b"\xff" * 30),
        ("half.xz", lzma.compress(TEXT.encode())[:-9]),
        ("half.bz2", bz2.compress(TEXT.encode())[:-9]),
        ("plain.xz", TEXT.encode()),
        ("latin1.txt", TEXT.encode("latin-1")),
    ],
)
def test_text_that_cannot_be_read_is_named_in_one_line(tmp_path: Path, name: str, content: bytes | None) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LanguageModelError) as caught:
        list(read_lines(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_sentences_become_sorted_numbers_between_begin_and_end() -> None:
    corpus = encode_corpus([["b", "a"], [], ["a", "é"]])
    assert corpus.words == ("<unk>", "<s>", "</s>", "a", "b", "é")
    assert corpus.word_ids.tolist() == [1, 4, 3, 2, 1, 3, 5, 2]


def test_the_most_frequent_words_are_kept_and_equals_by_code_points() -> None:
    sentences = [["d", "c", "b", "a"], ["d", "a"], ["d"], ["<unk>"]]
    assert encode_corpus(sentences, vocabulary_size=3).words[3:] == ("a", "b", "d")
    assert encode_corpus(sentences, min_count=2).words[3:] == ("a", "d")
    assert encode_corpus(sentences, min_count=2).word_ids.tolist() == [1, 4, 0, 0, 3, 2, 1, 4, 3, 2, 1, 4, 2, 1, 0, 2]


@pytest.mark.parametrize(
    ("sentences", "min_count", "message"),
    [
        ([], 1, "holds no words"),
        ([[], []], 1, "holds no words"),
        ([["a", "</s>"]], 1, "holds <s> or </s> as words"),
        ([["a", "b"]], 2, "no word occurs 2 times"),
    ],
)
def test_text_without_a_usable_word_is_refused(sentences: list[list[str]], min_count: int, message: str) -> None:
    with pytest.raises(LanguageModelError, match=message):
        encode_corpus(sentences, min_count=min_count)
