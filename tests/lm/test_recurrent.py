"""The recurrent language model: its probabilities, its file, its training, and what it does to readings."""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from asr.bundle import Bundle, load_bundle, save_bundle
from asr.cli.terminal import run_command
from asr.decoding import DecodingConfig, Hypothesis
from asr.decoding.rescoring import RecurrentRescorer, build_rescoring
from asr.errors import LanguageModelError, TrainingError
from asr.lm.corpus import encode_corpus
from asr.lm.ngram import BEGIN, END, SPECIAL_WORDS, UNKNOWN
from asr.lm.recurrent import RecurrentLM, RecurrentLMConfig
from asr.tokenizer import CharTokenizer
from asr.training.recurrent_lm import (
    RecurrentLMTraining,
    SentenceBatches,
    measure_recurrent_perplexity,
    sort_by_frequency,
    train_recurrent_lm,
)

main = partial(run_command, "asr.cli.train_recurrent_lm")

WORDS = (*SPECIAL_WORDS, "a", "b", "ab", "ba", "bb", "aa")
SHAPE = RecurrentLMConfig(embedding_size=16, hidden_size=12, class_sizes=(4, 2))
# After "a" comes what stood before it: more than an n-gram of order 2 can know.
GRAMMAR = ["a ab a ab a", "b ba b ba b", "ab a ab a ab", "ba b ba b ba"]


@pytest.fixture
def lm() -> RecurrentLM:
    """A model that has learnt nothing."""
    torch.manual_seed(0)
    return RecurrentLM(SHAPE, WORDS).eval()


def score_by_hand(lm: RecurrentLM, words: list[str]) -> float:
    """Read one sentence from its beginning to its end."""
    ids = [BEGIN, *(lm.ids.get(word, UNKNOWN) for word in words), END]
    with torch.inference_mode():
        known, _ = lm(torch.tensor(ids[:-1]).unsqueeze(1))
        log_probs = lm.softmax.log_prob(known[:, 0])
    return sum(float(log_probs[place, word]) for place, word in enumerate(ids[1:]))


def test_probabilities_of_all_words_add_up_to_one(lm: RecurrentLM) -> None:
    with torch.inference_mode():
        known, _ = lm(torch.tensor([[BEGIN], [5], [8]]))
        for row in known[:, 0]:
            words = torch.arange(len(WORDS))
            assert float(lm.log_probs(row.expand(len(words), -1), words).exp().sum()) == pytest.approx(1.0, rel=1e-5)


def test_words_of_every_class_have_vectors_of_their_own(lm: RecurrentLM) -> None:
    vectors = lm.embedding(torch.arange(len(WORDS)).reshape(3, 3))
    assert vectors.shape == (3, 3, 16)
    for first, second in itertools.combinations(vectors.reshape(-1, 16), 2):
        assert not torch.allclose(first, second)


def test_sentences_that_begin_alike_have_the_scores_that_each_has_alone(lm: RecurrentLM) -> None:
    sentences = [["a", "b"], ["a", "b", "aa"], ["a", "zebra", "aa"], [], ["a", "b"], ["bb"]]
    assert lm.score(sentences) == pytest.approx([score_by_hand(lm, words) for words in sentences], rel=1e-5)
    assert lm.score([]) == []


def test_file_keeps_the_model_and_is_small(lm: RecurrentLM, tmp_path: Path) -> None:
    lm.save(tmp_path / "lm.safetensors")
    loaded = RecurrentLM.load(tmp_path / "lm.safetensors")
    assert (loaded.words, loaded.config, loaded.training) == (WORDS, SHAPE, False)
    for name, weight in lm.state_dict().items():
        step = weight.abs().max() / 127
        assert torch.allclose(loaded.state_dict()[name], weight, atol=float(step) / 2 + 1e-3)
    loaded.save(tmp_path / "again.safetensors")
    again = RecurrentLM.load(tmp_path / "again.safetensors")
    assert again.score([["a", "bb"]]) == pytest.approx(loaded.score([["a", "bb"]]), rel=1e-3)
    num_weights = sum(weight.numel() for weight in RecurrentLM(RecurrentLMConfig(), WORDS).parameters())
    RecurrentLM(RecurrentLMConfig(), WORDS).save(tmp_path / "large.safetensors")
    assert (tmp_path / "large.safetensors").stat().st_size < 1.1 * num_weights


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda path: path.write_bytes(b"nothing"), "cannot be read as a recurrent language model"),
        (lambda path: path.unlink(), "cannot be read as a recurrent language model"),
    ],
)
def test_file_that_is_none_is_refused(
    lm: RecurrentLM, tmp_path: Path, spoil: Callable[[Path], object], problem: str
) -> None:
    path = tmp_path / "lm.safetensors"
    lm.save(path)
    spoil(path)
    with pytest.raises(LanguageModelError, match=f"^{path}: {problem}"):
        RecurrentLM.load(path)


def test_file_of_another_kind_is_refused(tiny_bundle: Bundle, tmp_path: Path) -> None:
    save_bundle(tmp_path / "bundle", tiny_bundle, "card")
    with pytest.raises(LanguageModelError, match="is no recurrent language model of format_version 1"):
        RecurrentLM.load(tmp_path / "bundle" / "model.safetensors")


def test_frequent_words_come_first_and_the_text_stays() -> None:
    corpus = encode_corpus([["b", "a", "b"], ["c", "b", "c"]])
    ordered = sort_by_frequency(corpus)
    assert ordered.words == (*SPECIAL_WORDS, "b", "c", "a")
    assert [ordered.words[index] for index in ordered.word_ids] == [corpus.words[index] for index in corpus.word_ids]


def test_batches_hold_every_sentence_once_an_epoch_and_go_on_where_they_were() -> None:
    sentences = [["a"] * length for length in (1, 2, 3, 5, 5, 8, 40)]
    corpus = encode_corpus(sentences)
    batches = SentenceBatches(corpus, batch_words=20, seed=3)
    two_epochs = list(itertools.islice(batches.read(), 2 * len(batches)))
    assert all(batch.numel() <= 20 or batch.shape[1] == 1 for batch in two_epochs)
    for epoch in (two_epochs[: len(batches)], two_epochs[len(batches) :]):
        lengths = sorted(int(length) - 2 for batch in epoch for length in (batch >= 0).sum(dim=0))
        assert lengths == [1, 2, 3, 5, 5, 8, 40]
    first = len(batches) + 1
    rest = list(itertools.islice(batches.read(first), len(two_epochs) - first))
    assert all(torch.equal(one, other) for one, other in zip(rest, two_epochs[first:], strict=True))


def write_grammar(path: Path) -> Path:
    path.write_text("\n".join(GRAMMAR * 60) + "\n", encoding="utf-8")
    return path


def test_training_learns_what_stood_long_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = write_grammar(tmp_path / "text.txt")
    flags = ["--hidden-size=16", "--embedding-size=16", "--batch-words=80", "--epochs=6", "--learning-rate=0.02"]
    held_out = ["--held-out", str(text), "--quiet", "--threads=1", "--min-count=1"]
    assert main([str(text), "--output", str(tmp_path / "lm"), *flags, *held_out]) == 0
    lm = RecurrentLM.load(tmp_path / "lm.safetensors")
    right, wrong = lm.score([["a", "ab", "a"], ["a", "ab", "b"]])
    assert right > wrong + 2
    size, perplexity = capsys.readouterr().out.splitlines()
    assert size.startswith(f"{tmp_path / 'lm.safetensors'}: ")
    assert perplexity == f"held out: {measure_recurrent_perplexity(lm, [line.split() for line in GRAMMAR * 60])}"
    assert measure_recurrent_perplexity(lm, [line.split() for line in GRAMMAR]).including_unknown < 1.6  # 4 sentences
    assert not (tmp_path / "lm.checkpoint").exists()


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--embedding-size=8"], "error: the sizes do not fit each other: embedding_size 8 is below 16"),
        (["--min-count=1000"], "error: no word occurs 1000 times"),
        (["--held-out=missing.txt"], "error: missing.txt: no such file"),
        (["--device=cuda"], "error: device cuda was asked for, but PyTorch finds no CUDA device"),
    ],
)
def test_mistakes_are_told_before_the_work(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
    problem: str,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    text = write_grammar(tmp_path / "text.txt")
    assert main([str(text), "--output", str(tmp_path / "lm"), *flags]) == 2
    assert capsys.readouterr().err.startswith(problem)
    assert list(tmp_path.iterdir()) == [text]


@pytest.mark.parametrize("flags", [["--epochs=0"], ["--learning-rate=nan"], ["--hidden-size=-3"]])
def test_numbers_that_make_no_sense_are_refused(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["text.txt", "--output", "lm", *flags])
    assert f"argument {flags[0].split('=')[0]}: " in capsys.readouterr().err


def test_perplexity_is_that_of_the_sentences_one_by_one(lm: RecurrentLM) -> None:
    sentences = [["a", "b", "zebra"], [], ["ab"]]
    fit = measure_recurrent_perplexity(lm, sentences)
    log_prob = sum(score_by_hand(lm, words) for words in sentences if words)
    assert (fit.num_sentences, fit.num_words, fit.num_unknown) == (2, 4, 1)
    assert fit.log_prob == pytest.approx(log_prob, rel=1e-5)
    assert fit.including_unknown == pytest.approx(math.exp(-log_prob / 6), rel=1e-5)
    assert fit.unknown_log_prob < 0


def test_stopped_run_goes_on_as_if_it_had_not_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = sort_by_frequency(encode_corpus([line.split() for line in GRAMMAR * 10]))
    settings = RecurrentLMTraining(epochs=2, batch_words=40, warmup_steps=2)
    whole = train_recurrent_lm(corpus, SHAPE, settings, checkpoint=tmp_path / "whole")
    monkeypatch.setattr("asr.training.recurrent_lm._CHECKPOINT_SECONDS", 0.0)

    class StoppedError(Exception):
        pass

    def stop(update: int, updates: int) -> None:
        assert updates == 2 * len(SentenceBatches(corpus, 40, 0))
        if update == 5:
            raise StoppedError

    with pytest.raises(StoppedError):
        train_recurrent_lm(corpus, SHAPE, settings, checkpoint=tmp_path / "part", on_progress=stop)
    assert torch.load(tmp_path / "part", weights_only=True)["update"] == 4
    with pytest.raises(TrainingError, match=r"is of a run with seed 0, and this one has 1; remove it to begin anew$"):
        train_recurrent_lm(corpus, SHAPE, replace(settings, seed=1), checkpoint=tmp_path / "part")
    continued = train_recurrent_lm(corpus, SHAPE, settings, checkpoint=tmp_path / "part")
    for name, weight in whole.state_dict().items():
        assert torch.equal(continued.state_dict()[name], weight)
    (tmp_path / "part").write_bytes(b"nothing")
    with pytest.raises(TrainingError, match="cannot be read as a checkpoint"):
        train_recurrent_lm(corpus, SHAPE, settings, checkpoint=tmp_path / "part")


TOKENIZER = CharTokenizer((" ", "a", "b"))
READINGS = [Hypothesis((2, 1, 3), -1.0), Hypothesis((3, 3), -1.2), Hypothesis((2, 3), -9.0)]  # "a b", "bb", "ab"


def test_best_readings_gain_what_their_words_are_worth(lm: RecurrentLM) -> None:
    rescored, none = RecurrentRescorer(lm, TOKENIZER, weight=0.5, nbest=2).rescore([READINGS, []])
    assert none == []
    expected = {(2, 1, 3): -1.0 + 0.5 * score_by_hand(lm, ["a", "b"]), (3, 3): -1.2 + 0.5 * score_by_hand(lm, ["bb"])}
    assert {each.tokens: each.score for each in rescored} == pytest.approx(expected, rel=1e-5)
    assert rescored[0].score > rescored[1].score


def test_what_is_asked_for_decides_by_what_readings_are_compared_and_how_many(lm: RecurrentLM) -> None:
    config = DecodingConfig("beam", beam_size=30, nbest=2, recurrent_lm_nbest=7)
    rescoring = build_rescoring(config, TOKENIZER, recurrent_lm=lm)
    assert rescoring is not None
    assert (rescoring.phones, rescoring.words, rescoring.nbest) == (None, RecurrentRescorer(lm, TOKENIZER, 0.5, 7), 7)
    assert build_rescoring(replace(config, recurrent_lm_weight=0.0), TOKENIZER, recurrent_lm=lm) is None
    assert build_rescoring(config, TOKENIZER) is None


def test_model_travels_with_the_bundle(lm: RecurrentLM, tiny_bundle: Bundle, tmp_path: Path) -> None:
    save_bundle(tmp_path / "bundle", replace(tiny_bundle, recurrent_lm=lm), "card")
    loaded = load_bundle(tmp_path / "bundle").recurrent_lm
    assert loaded is not None
    assert loaded.words == WORDS
    np.testing.assert_allclose(loaded.score([["a"]]), lm.score([["a"]]), rtol=0.05)
