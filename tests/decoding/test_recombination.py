"""New texts of what sets hypotheses apart: which are made, how they are scored, and when one wins."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from asr.acoustic.posteriors import Posteriors
from asr.decoding import DecodingConfig, DecodingModels, HotWord, Hypothesis, build_decoder
from asr.decoding.beam import BeamSearchDecoder
from asr.decoding.decoder import IncrementalRescorer
from asr.decoding.recombination import Recombiner
from asr.decoding.rescoring import PhoneRescorer
from asr.lm.internal import InternalLM
from asr.tokenizer import CharTokenizer
from tests.decoding.arrays import Matrix, random_log_probs, sum_over_paths
from tests.decoding.test_lexicon import unigrams
from tests.decoding.test_two_pass import BEAM, LM, PHONES, TOKENIZER

LETTERS = CharTokenizer(tuple(" abcdefgh"))
NOTHING = Posteriors(np.zeros((1, LETTERS.vocabulary_size), np.float32))


@dataclass
class WordScorer:
    """Scores a text by its words, far from the scores of the search, and remembers what it was asked for."""

    scores: dict[str, float]
    asked: list[list[str]] = field(default_factory=list)

    def score(self, texts: Sequence[Sequence[int]], posteriors: Posteriors) -> list[Hypothesis]:
        self.asked.append([LETTERS.join(text) for text in texts])
        return [Hypothesis(tuple(text), self.total(LETTERS.join(text)) - 1000) for text in texts]

    def total(self, text: str) -> float:
        return sum(self.scores.get(word, 0.0) for word in text.split())

    def hypotheses(self, *texts: str) -> list[Hypothesis]:
        found = [Hypothesis(tuple(LETTERS.encode(text)), self.total(text)) for text in texts]
        return sorted(found, key=lambda each: each.score, reverse=True)


def recombine(scorer: WordScorer, *groups: Sequence[str], threads: int = 1) -> list[list[tuple[str, float]]]:
    """Recombine hypotheses that are scored by their words."""
    recombiner = Recombiner(scorer, (), LETTERS.encode(" ")[0], threads)
    found = recombiner.recombine([scorer.hypotheses(*texts) for texts in groups], [NOTHING] * len(groups))
    return [[(LETTERS.join(each.tokens), each.score) for each in hypotheses] for hypotheses in found]


def test_what_is_right_in_different_hypotheses_comes_together() -> None:
    scorer = WordScorer({"a": 2.0, "b": 2.0, "c": 2.0, "d": -0.5, "e": -3.0, "f": -3.5, "g": -3.0})
    texts = ["a h g h d", "e h b h d", "f h g h c"]  # each is right in one place
    [found] = recombine(scorer, texts)
    assert found[0] == ("a h b h c", 6.0)
    assert set(texts) <= {text for text, _ in found}
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
    assert dict(found) == pytest.approx({text: scorer.total(text) for text, _ in found})
    assert len(dict(found)) == len(found)


def test_words_that_only_one_has_are_put_in_and_left_out() -> None:
    scorer = WordScorer({"a": 1.0, "b": 1.0, "c": 1.0, "g": -2.0, "h": -1.5, "f": -3.0})
    [found] = recombine(scorer, ["a g b", "a g h b c", "f a b"])
    assert found[0][0] == "a b c"


def test_utterances_without_anything_new_are_not_scored() -> None:
    scorer = WordScorer({"a": 1.0, "b": 2.0})
    assert recombine(scorer, ["a"], ["a", "b"], ["c a", "c b"], [""]) == [
        [("a", 1.0)],
        [("b", 2.0), ("a", 1.0)],
        [("c b", 2.0), ("c a", 1.0)],
        [("", 0.0)],
    ]
    assert scorer.asked == []


def test_only_utterances_that_changed_are_tried_again_and_each_with_its_own_texts() -> None:
    scorer = WordScorer({"a": 1.0, "b": 2.0, "c": 3.0, "g": -4.0})
    improving, settled = ["a d d", "g b d", "g d c"], ["c c d", "g c c", "g d c"]
    together = recombine(scorer, improving, settled, threads=2)
    asked = sorted(scorer.asked)
    scorer.asked.clear()
    assert together == [recombine(scorer, improving)[0], recombine(scorer, settled)[0]]
    assert asked == sorted(scorer.asked)
    assert [texts[0] for texts in asked].count("c c d") == 1
    assert len(asked) > 2


def test_fewer_texts_are_tried_than_there_are_hypotheses() -> None:
    scorer = WordScorer({"a": 1.0})
    recombine(scorer, ["a a a a a", "b a b a b", "a c a c a"])
    assert len(scorer.asked[0]) == 1 + 2


@dataclass
class KeepFew:
    """Drops hypotheses beyond a number, as the rescorer of the recurrent language model does."""

    number: int

    def rescore(
        self, hypotheses: Sequence[Sequence[Hypothesis]], posteriors: Sequence[Posteriors]
    ) -> list[list[Hypothesis]]:
        return [sorted(each, key=lambda one: one.score, reverse=True)[: self.number] for each in hypotheses]

    def begin(self) -> IncrementalRescorer:
        raise AssertionError("nothing is streamed here")


def test_the_best_text_is_never_dropped_by_a_rescorer_that_keeps_few() -> None:
    scorer = WordScorer({"a": 2.0, "b": 2.0, "c": 2.0, "d": -0.5, "e": 1.9, "f": 1.8, "g": -3.0})
    texts = ["a h g h d h g h d", "e h b h d h f h d", "f h g h c h e h a"]
    recombiner = Recombiner(scorer, (KeepFew(3),), LETTERS.encode(" ")[0])
    [found] = recombiner.recombine([scorer.hypotheses(*texts)], [NOTHING])
    assert len(scorer.asked) == 3
    assert all(len(asked) <= 3 for asked in scorer.asked)
    assert found[0].score > max(scorer.total(text) for text in texts)


def test_a_text_that_no_path_bears_out_changes_nothing() -> None:
    scorer = WordScorer({"a": math.inf, "b": 1.0, "c": 1.0, "g": -1.0})
    hypotheses = [Hypothesis(tuple(LETTERS.encode(text)), score) for text, score in (("a b d", 3.0), ("g b c", 1.0))]
    recombiner = Recombiner(scorer, (), LETTERS.encode(" ")[0])
    assert recombiner.recombine([hypotheses], [NOTHING]) == [hypotheses]


def test_a_new_text_that_no_path_bears_out_is_no_hypothesis() -> None:
    scorer = WordScorer({"a": 1.0, "b": 1.0, "c": -math.inf})
    hypotheses = [Hypothesis(tuple(LETTERS.encode(text)), score) for text, score in (("a b d", 3.0), ("g b c", 1.0))]
    [found] = Recombiner(scorer, (), LETTERS.encode(" ")[0]).recombine([hypotheses], [NOTHING])
    assert [LETTERS.join(each.tokens) for each in found] == ["a b d", "g b d", "g b c"]


def posteriors_with_phones(seed: int) -> Posteriors:
    return Posteriors(random_log_probs(12, 4, seed, sharpness=1.0), random_log_probs(12, 4, seed + 50))


def test_decoder_never_chooses_a_text_that_both_passes_find_worse() -> None:
    config = replace(BEAM, phone_nbest=4)
    models = DecodingModels(lm=LM, pronunciations=PHONES, internal_lm=InternalLM.from_texts(["ab ba", "a"], TOKENIZER))
    decoder = build_decoder(config, TOKENIZER, models, threads=2)
    plain = replace(decoder, recombiner=None)
    batch = [posteriors_with_phones(seed) for seed in range(40)]
    improved = 0
    for posteriors, before, after in zip(batch, plain.decode(batch), decoder.decode(batch), strict=True):
        assert {each.tokens for each in before} <= {each.tokens for each in after}
        assert decoder.recombiner
        scored = decoder.recombiner.first_pass.score([before[0].tokens, after[0].tokens], posteriors)
        [rescored] = PhoneRescorer(PHONES, TOKENIZER, config.phone_weight).rescore([scored], [posteriors])
        assert rescored[0].tokens == after[0].tokens
        improved += before[0].tokens != after[0].tokens
    assert improved


@pytest.mark.parametrize("alphabet", [" ab", "ab"], ids=["words", "no words"])
def test_nothing_is_recombined_without_a_second_pass_or_words(alphabet: str) -> None:
    tokenizer = CharTokenizer(tuple(alphabet))
    assert build_decoder(DecodingConfig("beam"), tokenizer).recombiner is None
    if " " in alphabet:
        assert build_decoder(BEAM, tokenizer, DecodingModels(lm=LM, pronunciations=PHONES)).recombiner


def paths_of(log_probs: Matrix, text: Sequence[int]) -> float:
    return math.log(sum_over_paths(log_probs, text))


def test_texts_are_scored_by_all_their_paths_and_as_the_search_scores_words() -> None:
    config = DecodingConfig("beam", beam_size=500, beam_threshold=1e3, nbest=500, unknown_score=-3.0, word_score=0.7)
    internal_lm = InternalLM.from_texts(["ab ba", "a"], TOKENIZER)
    lm, hot_words = unigrams("a", "b", "ab"), [HotWord("ab a", 2.0)]
    with_all = BeamSearchDecoder.from_config(config, TOKENIZER, lm, hot_words, internal_lm)
    plain = BeamSearchDecoder.from_config(replace(config, word_score=0.0), TOKENIZER)
    posteriors = Posteriors(random_log_probs(5, 4, 3))
    texts = [each.tokens for each in plain.decode(posteriors) if each.tokens]
    assert len(texts) > 20
    by_paths = [paths_of(posteriors.log_probs, text) for text in texts]
    assert [each.score for each in plain.score(texts, posteriors)] == pytest.approx(by_paths, rel=1e-5)
    # What words add is the same in both, whichever paths are counted.
    searched, unworded = ({each.tokens: each.score for each in one.decode(posteriors)} for one in (with_all, plain))
    scored = with_all.score(texts, posteriors)
    assert [each.tokens for each in scored] == texts
    for each, paths in zip(scored, by_paths, strict=True):
        assert each.score - paths == pytest.approx(searched[each.tokens] - unworded[each.tokens], abs=1e-4)


def test_a_text_that_needs_more_frames_than_there_are_has_no_chance() -> None:
    decoder = BeamSearchDecoder.from_config(DecodingConfig("beam"), TOKENIZER)
    posteriors = Posteriors(random_log_probs(2, 4, 0))
    first, second = decoder.score([(2, 2), (3,)], posteriors)
    assert first.score == -math.inf
    assert math.isfinite(second.score)
