"""The verb `asr train-lm`: what it writes and prints, and how it fails."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from asr.cli.terminal import run_command
from asr.lm.arpa import read_arpa
from asr.lm.ngram import NGramLM
from asr.lm.perplexity import measure_perplexity

main = partial(run_command, "asr.cli.train_lm")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Sentences as people write them, of frequent and rare words."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 9, 500)
    lines = [" ".join(f"W{index}," for index in np.minimum(rng.zipf(1.7, length), 400)) for length in lengths]
    path = tmp_path / "text.txt"
    path.write_text("".join(f"{line}.\n" for line in lines), encoding="utf-8")
    return path


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def assert_same(one: NGramLM, other: NGramLM) -> None:
    assert (one.words, one.counts) == (other.words, other.counts)
    np.testing.assert_array_equal(one.children, other.children)
    np.testing.assert_allclose(one.log_probs, other.log_probs, atol=0.04)  # one of them is quantised


def test_model_is_written_in_both_forms_and_measured(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "new" / "lm"
    assert run(text, "--order", 2, "--output", output, "--arpa", tmp_path / "lm.arpa.gz", "--held-out", text) == 0
    binary = NGramLM.load(output.with_suffix(".safetensors"))
    assert_same(binary, read_arpa(tmp_path / "lm.arpa.gz"))
    assert binary.words[3] == "w1"  # normalised
    size, fit = capsys.readouterr().out.splitlines()
    unigrams, bigrams = binary.counts
    assert f"order 2, {unigrams:,} + {bigrams:,} n-grams" in size
    words = [line.lower().replace(",", "").replace(".", "").split() for line in text.read_text("utf-8").splitlines()]
    measured = measure_perplexity(binary, words)
    assert f"perplexity {measured.including_unknown:.2f}" in fit
    assert f"0.00% of {measured.num_words:,}" in fit


def test_several_texts_and_raw_words_make_one_model(text: Path, tmp_path: Path) -> None:
    more = tmp_path / "more.txt"
    more.write_text("Something, new\n", encoding="utf-8")
    assert run(text, more, "--raw", "--output", tmp_path / "lm.arpa", "--quiet") == 0
    words = read_arpa(tmp_path / "lm.arpa").words
    assert {"Something,", "new", "W1,"} <= set(words)


def test_vocabulary_and_ngrams_are_limited(text: Path, tmp_path: Path) -> None:
    run(text, "--output", tmp_path / "whole", "--quiet")
    run(text, "--vocabulary-size", 20, "--min-count", 3, "--cutoffs", "0,0,1", "--output", tmp_path / "lm", "--quiet")
    whole, limited = (NGramLM.load(tmp_path / f"{name}.safetensors") for name in ("whole", "lm"))
    assert limited.counts[0] == 3 + 20
    assert limited.counts[2] < whole.counts[2]


def test_model_is_pruned_to_a_size(text: Path, tmp_path: Path) -> None:
    run(text, "--output", tmp_path / "whole", "--quiet")
    whole = (tmp_path / "whole.safetensors").stat().st_size
    run(text, "--max-size", (whole - 1000) / 1e6, "--output", tmp_path / "small", "--quiet")
    assert whole - 2200 < (tmp_path / "small.safetensors").stat().st_size <= whole - 1000


def test_model_is_pruned_by_a_threshold(text: Path, tmp_path: Path) -> None:
    run(text, "--output", tmp_path / "whole.arpa", "--quiet")
    run("--convert", tmp_path / "whole.arpa", "--prune", "1e-4", "--output", tmp_path / "small.arpa", "--quiet")
    whole, small = (read_arpa(tmp_path / f"{name}.arpa") for name in ("whole", "small"))
    assert small.counts[0] == whole.counts[0]
    assert 0 < small.counts[1] < whole.counts[1]


def test_model_is_converted_from_arpa_to_binary_and_back(text: Path, tmp_path: Path) -> None:
    run(text, "--output", tmp_path / "a.arpa", "--quiet")
    assert run("--convert", tmp_path / "a.arpa", "--output", tmp_path / "b.safetensors", "--quiet") == 0
    assert run("--convert", tmp_path / "b.safetensors", "--output", tmp_path / "c.arpa.gz", "--quiet") == 0
    assert_same(read_arpa(tmp_path / "a.arpa"), read_arpa(tmp_path / "c.arpa.gz"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["TMP/none.txt"], "none.txt: no such file"),
        (["TMP/empty.txt"], "holds no words"),
        (["TEXT", "--held-out", "TMP/empty.txt"], "empty.txt: holds no words"),
        (["TEXT", "--held-out", "TMP/none.txt"], "none.txt: no such file"),
        (["TEXT", "--min-count", "100000"], "no word occurs 100000 times"),
        (["TEXT", "--cutoffs", "1"], "cut-offs 1 for a model of order 3"),
        (["TEXT", "--max-size", "0.0001"], "words alone take"),
        (["--convert", "TEXT", "--order", "2"], "--order is for a model of text, and --convert takes one as it is"),
        (["--convert", "TEXT"], "text.txt:500: the file ends here"),
    ],
)
def test_mistakes_are_told_in_one_line(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    (tmp_path / "empty.txt").write_text("...\n", encoding="utf-8")
    filled = [argument.replace("TMP", str(tmp_path)).replace("TEXT", str(text)) for argument in arguments]
    assert run(*filled, "--output", tmp_path / "lm", "--quiet") == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert message in told
    assert told.count("\n") == 1
    assert not list(tmp_path.glob("*lm*"))


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["a.txt", "--convert", "b.arpa"],
        ["a.txt", "--order", "0"],
        ["a.txt", "--cutoffs", "0,-1"],
        ["a.txt", "--prune", "-1"],
        ["a.txt", "--prune", "much"],
        ["a.txt", "--max-size", "nan"],
    ],
)
def test_flags_that_cannot_be_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*arguments, "--output", "lm")
    assert caught.value.code == 2
    assert "asr train-lm: error: " in capsys.readouterr().err
