"""Training of the recurrent language model: its batches, and a run that is stopped."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import TrainingError
from asr.lm.corpus import TextConfig, encode_corpus
from asr.lm.ngram import SPECIAL_WORDS
from asr.lm.recurrent import RecurrentLMConfig
from asr.training.recurrent_lm import (
    RecurrentLMTraining,
    SentenceBatches,
    sort_by_frequency,
    train_recurrent_lm,
    train_recurrent_lm_on_texts,
)

SHAPE = RecurrentLMConfig(embedding_size=16, hidden_size=12, class_sizes=(4, 2))
# After "a" comes what stood before it: more than an n-gram of order 2 can know.
GRAMMAR = ["a ab a ab a", "b ba b ba b", "ab a ab a ab", "ba b ba b ba"]


def test_frequent_words_come_first_and_the_text_stays() -> None:
    corpus = encode_corpus([["b", "a", "b"], ["c", "b", "c"]])
    ordered = sort_by_frequency(corpus)
    assert ordered.words == (*SPECIAL_WORDS, "b", "c", "a")
    assert [ordered.words[index] for index in ordered.word_ids] == [corpus.words[index] for index in corpus.word_ids]


@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=15),
    batch_words=st.integers(1, 60),
    seed=st.integers(0, 9),
    data=st.data(),
)
def test_batches_hold_every_sentence_once_an_epoch_and_go_on_where_they_were(
    lengths: list[int], batch_words: int, seed: int, data: st.DataObject
) -> None:
    corpus = encode_corpus([["a"] * length for length in lengths])
    batches = SentenceBatches(corpus, batch_words, seed)
    two_epochs = list(itertools.islice(batches.read(), 2 * len(batches)))
    assert all(batch.numel() <= batch_words or batch.shape[1] == 1 for batch in two_epochs)
    for epoch in (two_epochs[: len(batches)], two_epochs[len(batches) :]):
        read = sorted(int(length) - 2 for batch in epoch for length in (batch >= 0).sum(dim=0))
        assert read == sorted(lengths)
    first = data.draw(st.integers(0, len(two_epochs)))
    rest = list(itertools.islice(batches.read(first), len(two_epochs) - first))
    assert all(torch.equal(one, other) for one, other in zip(rest, two_epochs[first:], strict=True))


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
    turned = sort_by_frequency(encode_corpus([line.split() for line in GRAMMAR[::-1] * 10]))
    for other, initial in ((turned, None), (corpus, whole.to_language_model())):
        with pytest.raises(TrainingError, match=r"is of a run on another text or model; remove it to begin anew$"):
            train_recurrent_lm(other, SHAPE, settings, initial=initial, checkpoint=tmp_path / "part")
    continued = train_recurrent_lm(corpus, SHAPE, settings, checkpoint=tmp_path / "part")
    for name, weight in whole.state_dict().items():
        assert torch.equal(continued.state_dict()[name], weight)
    (tmp_path / "part").write_bytes(b"nothing")
    with pytest.raises(TrainingError, match="cannot be read as a checkpoint"):
        train_recurrent_lm(corpus, SHAPE, settings, checkpoint=tmp_path / "part")


def test_training_begins_with_the_weights_and_words_of_a_model(tmp_path: Path) -> None:
    first, more = tmp_path / "first.txt", tmp_path / "more.txt"
    first.write_text("\n".join(GRAMMAR * 10))
    more.write_text("a unseen a\n")
    settings = RecurrentLMTraining(epochs=2, batch_words=40, warmup_steps=2)
    text = TextConfig()
    begun = train_recurrent_lm_on_texts([first], tmp_path / "begun", SHAPE, settings, text=text)
    still = replace(settings, learning_rate=1e-12)
    again = train_recurrent_lm_on_texts([more], tmp_path / "again", SHAPE, still, text=text, initial=begun.path)
    sentences = [["a", "ab", "unseen"], ["b"]]
    assert again.lm.words == begun.lm.words
    assert again.lm.score(sentences) == pytest.approx(begun.lm.score(sentences), abs=1e-2)
    with pytest.raises(TrainingError, match=r"16 values .* but 20 and 12 were asked for"):
        train_recurrent_lm_on_texts(
            [more], tmp_path / "no", replace(SHAPE, embedding_size=20), still, text=text, initial=begun.path
        )
