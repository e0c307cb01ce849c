"""Interpolated models against the mixture of the probabilities of their parts."""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from asr.cli.terminal import run_command
from asr.errors import LanguageModelError
from asr.lm.corpus import TextConfig, encode_corpus, read_corpora
from asr.lm.counts import count_ngrams
from asr.lm.kneser_ney import estimate, measure_frequencies
from asr.lm.mixing import find_weights, interpolate
from asr.lm.ngram import BEGIN, NGramLM
from asr.lm.perplexity import measure_perplexity
from tests.lm.test_pruning import distribution, words_of

main = partial(run_command, "asr.cli.train_lm")

PROSE = ["the cat sat on the mat", "a cat ran", "the mat lay on the floor", "on the mat the cat sat"] * 3
ORDERS = ["a cat please", "two cats please", "a mat for the cat please", "the cat please"] * 2


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [write(tmp_path / "prose.txt", PROSE), write(tmp_path / "orders.txt", ORDERS)]


def estimate_all(files: list[Path], orders: tuple[int, ...] = (3, 3)) -> tuple[list[NGramLM], list[np.ndarray]]:
    counted = [count_ngrams(each, n) for each, n in zip(read_corpora(files, TextConfig()), orders, strict=True)]
    words = read_corpora(files, TextConfig())[0].words
    return [estimate(words, levels) for levels in counted], [measure_frequencies(levels) for levels in counted]


def probability(model: NGramLM, words: Sequence[int]) -> float:
    """The probability that a model gives to words anywhere in a text, one after the other."""
    product = 1.0
    for end in range(1, len(words) + 1):
        state = tuple(words[max(0, end - model.order) : end - 1])
        product *= float(np.exp(model.score_id(state, words[end - 1])[0]))
    return product


@pytest.mark.parametrize("orders", [(3, 3), (3, 2)])
def test_each_ngram_weighs_the_models_by_how_likely_they_find_its_history(
    files: list[Path], orders: tuple[int, ...]
) -> None:
    models, frequencies = estimate_all(files, orders)
    mixed, _ = interpolate(models, frequencies, [0.7, 0.3])
    assert set(map(partial(words_of, mixed), range(len(mixed.word_ids)))) == {
        words_of(model, node) for model in models for node in range(len(model.word_ids))
    }
    for node in range(len(mixed.word_ids)):
        *history, word = words_of(mixed, node)
        if word != BEGIN:
            whole, before = (
                0.7 * probability(models[0], part) + 0.3 * probability(models[1], part)
                for part in ([*history, word], history)
            )
            assert np.exp(mixed.score_id(tuple(history), word)[0]) == pytest.approx(whole / before)


def test_little_text_rules_the_histories_that_it_alone_has(tmp_path: Path) -> None:
    spelled = ["f r e d", "f r a n", "f r e d"] * 4
    files = [write(tmp_path / "prose.txt", PROSE * 20), write(tmp_path / "names.txt", spelled)]
    models, frequencies = estimate_all(files)
    mixed, _ = interpolate(models, frequencies, [0.97, 0.03])
    letters = [mixed.ids[letter] for letter in "fre"]
    prose, names, together = (np.exp(model.score_id(tuple(letters[:2]), letters[2])[0]) for model in (*models, mixed))
    assert 0.5 * names < together < names
    assert 0.97 * prose + 0.03 * names < 0.1 * names


def test_probabilities_of_an_interpolation_sum_to_one_after_every_history(files: list[Path]) -> None:
    mixed, _ = interpolate(*estimate_all(files), [0.4, 0.6])
    for node in range(mixed.offsets[2]):
        assert distribution(mixed, words_of(mixed, node)).sum() == pytest.approx(1.0, abs=1e-5)


def test_weights_go_to_the_text_that_is_like_the_held_out_one(files: list[Path]) -> None:
    models, _ = estimate_all(files)
    weights = find_weights(models, [["a", "mat", "please"], ["two", "cats", "please"]])
    assert weights.sum() == pytest.approx(1.0)
    assert weights[1] > 0.9


def test_weights_are_those_of_the_lowest_perplexity(files: list[Path]) -> None:
    models, _ = estimate_all(files)
    sentences = [["the", "cat", "sat", "please"], ["a", "mat", "lay", "on", "the", "cat"]]
    best = find_weights(models, sentences)
    probs = np.exp([np.concatenate(model.score_words(sentences)) for model in models])
    grid = np.linspace(0.01, 0.99, 99)
    likeliest = grid[np.argmax([np.log(weight * probs[0] + (1 - weight) * probs[1]).sum() for weight in grid])]
    assert best[0] == pytest.approx(likeliest, abs=0.02)


def test_models_of_different_words_are_refused() -> None:
    corpora = [encode_corpus([[word]]) for word in ("cat", "mat")]
    counted = [count_ngrams(corpus, 2) for corpus in corpora]
    models = [estimate(corpus.words, levels) for corpus, levels in zip(corpora, counted, strict=True)]
    with pytest.raises(LanguageModelError, match="different words"):
        interpolate(models, [measure_frequencies(levels) for levels in counted], [0.5, 0.5])


def test_train_lm_mixes_texts_better_than_it_joins_them(
    files: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prose, orders = files
    words = ["the", "a", "cat", "mat", "floor", "on", "sat", "lay", "ran", "and"]
    write(prose, [" ".join(line) for line in np.random.default_rng(0).choice(words, (500, 8))])
    held_out = write(tmp_path / "held_out.txt", ["a mat please", "the cats please", "two cats please"])
    arguments = [str(prose), str(orders), "--held-out", str(held_out)]
    with caplog.at_level(logging.INFO, "asr"):
        assert main([*arguments, "--mix", "--output", str(tmp_path / "mixed")]) == 0
    assert f"{orders}: weight " in caplog.text
    assert main([*arguments, "--output", str(tmp_path / "joined")]) == 0
    sentences = [line.split() for line in held_out.read_text().splitlines()]
    mixed, joined = (
        measure_perplexity(NGramLM.load(tmp_path / f"{name}.safetensors"), sentences) for name in ("mixed", "joined")
    )
    assert mixed.including_unknown < joined.including_unknown


def test_a_mixture_without_held_out_text_is_refused(
    files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*map(str, files), "--mix", "--output", str(tmp_path / "lm")]) == 2
    assert "held-out text" in capsys.readouterr().err
