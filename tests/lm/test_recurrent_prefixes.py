"""Sentences that grow have the scores that they have at once, and what was known costs nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.lm.recurrent_network import RecurrentNetwork
from asr.lm.recurrent_prefixes import RecurrentPrefixes
from tests.lm.test_recurrent import LM, WORDS

sentences = st.lists(st.lists(st.sampled_from([*WORDS, "zebra"]), max_size=6), max_size=5)


@settings(deadline=None, max_examples=50)
@given(st.lists(sentences, max_size=4))
def test_each_time_sentences_have_the_scores_of_the_whole_model(times: list[list[list[str]]]) -> None:
    prefixes = RecurrentPrefixes(LM)
    for each in times:
        assert prefixes.score(each) == pytest.approx(LM.score(each), rel=1e-4, abs=1e-4)


def test_what_the_last_sentences_had_is_not_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    prefixes = RecurrentPrefixes(LM)
    [before] = prefixes.score([["a", "b", "ab"]])
    rows = []
    step = RecurrentNetwork.step

    def count(self: RecurrentNetwork, gates: np.ndarray, hidden: np.ndarray, cell: np.ndarray) -> object:
        rows.append(len(gates))
        return step(self, gates, hidden, cell)

    monkeypatch.setattr(RecurrentNetwork, "step", count)
    assert prefixes.score([["a", "b", "ab"]]) == [before]
    assert rows == []
    prefixes.score([["a", "b", "ab", "ba"], ["a", "b", "bb"]])
    assert rows == [1, 1]  # "bb", then "ba"; their ends need no state
    prefixes.score([["b"]])
    prefixes.score([["a", "b", "ab"]])
    assert rows == [1, 1, 1, 1, 1, 1]  # forgotten, for no sentence of the time before had it
