import gzip
import math
from pathlib import Path

import numpy as np
import pytest

from asr.errors import LanguageModelError
from asr.lm.arpa import open_model, read_arpa, write_arpa
from asr.lm.corpus import encode_corpus
from asr.lm.counts import count_ngrams
from asr.lm.kneser_ney import estimate
from asr.lm.ngram import BEGIN, END, UNKNOWN, NGramLM

# Unsorted, without <unk>, with back-off weights where they are needed, as SRILM writes; base ten.
ARPA = """\
Anything may stand here.

\\data\\
ngram 1=4
ngram 2=4
ngram 3=1

\\1-grams:
-99\t<s>\t-0.5
-0.5\tb\t-0.25
-1\ta\t-0.125
-0.75\t</s>

\\2-grams:
-0.3\tb </s>
-0.1\t<s> a -0.0625
-0.2 a b
-0.4\t<s> b

\\3-grams:
-0.05\t<s> a b

\\end\\
"""


def write(path: Path, text: str = ARPA) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def make_model(order: int) -> NGramLM:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 9, 300)
    corpus = encode_corpus([[f"é{index}" for index in np.minimum(rng.zipf(1.7, length), 400)] for length in lengths])
    return estimate(corpus.words, count_ngrams(corpus, order))


def log10(model: NGramLM, words: str) -> float:
    return model.score([words.split()])[0] / math.log(10)


@pytest.mark.parametrize("name", ["lm.arpa", "lm.arpa.gz", "model"])
def test_sentences_are_scored_as_the_file_says(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(ARPA.encode()) if path.suffix == ".gz" else ARPA.encode())
    model = open_model(path)
    assert model.words == ("<unk>", "<s>", "</s>", "a", "b")
    assert model.counts == (5, 4, 1)
    assert log10(model, "a b") == pytest.approx(-0.1 - 0.05 - 0.3)
    assert log10(model, "b a") == pytest.approx(-0.4 + (-0.25 - 1) + (-0.125 - 0.75))
    assert log10(model, "a a b") == pytest.approx(-0.1 + (-0.0625 - 0.125 - 1) - 0.2 - 0.3)
    assert log10(model, "zebra") == pytest.approx(-0.5 - 100 - 0.75)


def test_unigrams_alone_are_a_model(tmp_path: Path) -> None:
    text = "\\data\\\nngram 1=2\n\n\\1-grams:\n-0.5\t</s>\n-0.25\tw\n\n\\end\\\n"
    model = read_arpa(write(tmp_path / "lm.arpa", text))
    assert model.order == 1
    assert log10(model, "w w") == pytest.approx(-1)


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("name", ["lm.arpa", "lm.arpa.gz"])
def test_model_that_is_written_and_read_is_the_same_to_the_last_bit(tmp_path: Path, order: int, name: str) -> None:
    model = make_model(order)
    write_arpa(tmp_path / name, model)
    loaded = read_arpa(tmp_path / name)
    assert (loaded.words, loaded.counts) == (model.words, model.counts)
    for field in ("word_ids", "log_probs", "backoffs", "children"):
        np.testing.assert_array_equal(getattr(loaded, field), getattr(model, field), err_msg=field)
    assert list(tmp_path.iterdir()) == [tmp_path / name]


def test_written_file_holds_the_printed_digits_of_the_one_read(tmp_path: Path) -> None:
    write_arpa(tmp_path / "again.arpa", read_arpa(write(tmp_path / "lm.arpa")))

    def entries(text: str) -> dict[str, tuple[float, float]]:
        """The numbers of each n-gram, rounded to the seven digits that tools print."""
        found = {}
        for fields in (line.split() for line in text.splitlines() if line[:1] == "-"):
            weight = fields.pop() if fields[-1][:1] == "-" or fields[-1] == "0" else "0"
            found[" ".join(fields[1:])] = (float(f"{float(fields[0]):.7g}"), float(f"{float(weight):.7g}"))
        return found

    written = entries((tmp_path / "again.arpa").read_text(encoding="utf-8"))
    assert written == entries(ARPA) | {"<unk>": (-100.0, 0.0)}


def test_model_in_the_binary_form_is_opened_whatever_its_name(tmp_path: Path) -> None:
    make_model(2).save(tmp_path / "lm.arpa")
    assert open_model(tmp_path / "lm.arpa").counts == make_model(2).counts


def test_kenlm_scores_the_written_file_as_this_package_does(tmp_path: Path) -> None:
    kenlm = pytest.importorskip("kenlm")
    model = make_model(4)
    write_arpa(tmp_path / "lm.arpa", model)
    other = kenlm.Model(str(tmp_path / "lm.arpa"))
    rng = np.random.default_rng(1)
    for length in (1, 2, 5, 9):
        for _ in range(30):
            sentence = " ".join(f"é{index}" for index in np.minimum(rng.zipf(1.7, length), 450))  # some unknown
            assert other.score(sentence) == pytest.approx(log10(model, sentence), abs=1e-4)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("\\data\\\n", "", 22, "ends here without a line .data."),
        ("-0.125", "1e300", 11, "not logarithms"),
        ("ngram 1=4", f"ngram 1={'9' * 5000}", 4, "stands where 'ngram 1=...'"),
        ("ngram 2=4", "ngram 3=4", 5, "'ngram 2=...'"),
        ("ngram 1=4", "ngram 1=5", 14, "2-grams:.* stands where the 1-gram 5 of 5"),
        ("ngram 1=4", "ngram 1=3", 12, "where .2-grams: is expected"),
        ("-1\ta\t-0.125", "-1\ta\t-0.125\t7", 11, "stands where the 1-gram 3 of 4"),
        ("-1\ta", "-one\ta", 11, "could not convert string to float"),
        ("-1\ta", "1\ta", 11, "not logarithms"),
        ("-1\ta", "nan\ta", 11, "not logarithms"),
        ("-0.125", "inf", 11, "not logarithms"),
        ("-1\ta", "-1\tb", 11, "twice"),
        ("-0.2 a b", "-0.2 b </s>", 17, "twice"),
        ("-0.2 a b", "-0.2 a zebra", 17, "'zebra' is not among the unigrams"),
        ("-0.05\t<s> a b", "-0.05\ta a b", 21, "without its last word"),
        ("\\end\\\n", "", 22, "ends here"),
        ("\\end\\", "\\4-grams:", 23, "where .end. is expected"),
    ],
)
def test_mistakes_are_named_with_their_line(tmp_path: Path, old: str, new: str, line: int, message: str) -> None:
    assert old in ARPA
    path = write(tmp_path / "lm.arpa", ARPA.replace(old, new, 1))
    with pytest.raises(LanguageModelError, match=message) as caught:
        read_arpa(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert "\n" not in str(caught.value)


def test_special_words_that_are_missing_get_next_to_no_probability(tmp_path: Path) -> None:
    text = "\\data\\\nngram 1=1\n\n\\1-grams:\n-inf\tw\n\n\\end\\\n"
    model = read_arpa(write(tmp_path / "lm.arpa", text))
    np.testing.assert_allclose(model.log_probs[[UNKNOWN, BEGIN, END, 3]] / math.log(10), -100, rtol=1e-6)


@pytest.mark.parametrize("name", ["<UNK>", "<Unk>"])
def test_the_unknown_word_in_capitals_is_the_unknown_word(tmp_path: Path, name: str) -> None:
    text = ARPA.replace("ngram 1=4", "ngram 1=5").replace("ngram 2=4", "ngram 2=5")
    text = text.replace("\\1-grams:\n", "\\1-grams:\n-2\t<unk>\t-0.5\n")
    text = text.replace("\\2-grams:\n", "\\2-grams:\n-0.75 <unk> a\n")
    expected = read_arpa(write(tmp_path / "lm.arpa", text))
    model = read_arpa(write(tmp_path / "LM.arpa", text.replace("<unk>", name)))
    assert model.words == expected.words
    for sentence in ("zebra a", "a zebra", "b zebra zebra"):
        assert log10(model, sentence) == log10(expected, sentence)
    assert log10(model, "zebra") > -10


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "lm.arpa").write_bytes(b"\xef\xbb\xbf" + ARPA.encode())
    assert read_arpa(tmp_path / "lm.arpa").counts == (5, 4, 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 141490017\n", "pointer of Git LFS"),
        ("", "no language model in ARPA form"),
        ("once upon a time\n" * 5000, "no language model in ARPA form"),
    ],
)
def test_a_file_that_is_no_arpa_is_called_that(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(LanguageModelError, match=message):
        open_model(write(tmp_path / "lm.arpa", content))


def test_empty_orders_at_the_end_are_none(tmp_path: Path) -> None:
    text = (
        "\\data\\\nngram 1=2\nngram 2=0\nngram 3=0\n\\1-grams:\n-0.5 </s>\n-0.25 w\n\\2-grams:\n\\3-grams:\n\\end\\\n"
    )
    model = read_arpa(write(tmp_path / "lm.arpa", text))
    assert model.counts == (4,)
    assert log10(model, "w w") == pytest.approx(-1)


def test_trigrams_without_any_bigram_are_refused(tmp_path: Path) -> None:
    head = "\\data\\\nngram 1=2\nngram 2=0\nngram 3=1\n"
    text = head + "\\1-grams:\n-0.5 </s>\n-0.25 w\n\\2-grams:\n\\3-grams:\n-1 w w w\n\\end\\\n"
    with pytest.raises(LanguageModelError, match=r"lm\.arpa:5: there are no 2-grams"):
        read_arpa(write(tmp_path / "lm.arpa", text))


def test_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(LanguageModelError, match="no such file; expected a language model"):
        open_model(tmp_path / "none.arpa")
