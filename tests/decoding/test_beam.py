"""The beam search is compared with the sum over all paths, written out."""

import itertools
import logging
import math
import warnings
from collections import defaultdict
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.acoustic.posteriors import Posteriors
from asr.decoding import DecodingConfig, HotWord, Hypothesis, TwoPassDecoder
from asr.decoding import beam as beam_module
from asr.decoding.beam import BeamSearchDecoder
from asr.errors import LanguageModelError
from asr.lm.arpa import read_arpa
from asr.lm.internal import InternalLM
from asr.lm.ngram import NGramLM
from asr.tokenizer import CharTokenizer
from tests.decoding.arrays import Matrix, all_paths, random_log_probs, spell_path

TOKENIZER = CharTokenizer((" ", "a", "b"))
EVERYTHING = DecodingConfig("beam", beam_size=3000, beam_threshold=math.inf, nbest=3000)

# Base-10 logarithms, as ARPA files have them: of a word after those before it, and of backing off.
NGRAMS = {
    ("<unk>",): (-0.9, 0.0),
    ("<s>",): (-99.0, -0.2),
    ("</s>",): (-1.5, 0.0),
    ("a",): (-0.6, -0.3),
    ("ab",): (-1.9, -0.1),
    ("bb",): (-0.8, 0.0),
    ("<s>", "a"): (-0.3, -0.25),
    ("a", "ab"): (-0.2, -0.4),
    ("a", "<unk>"): (-0.9, -0.15),
    ("<unk>", "a"): (-0.65, 0.0),
    ("ab", "a"): (-0.7, 0.0),
    ("ab", "</s>"): (-0.5, 0.0),
    ("bb", "</s>"): (-0.4, 0.0),
    ("<s>", "a", "ab"): (-0.1, 0.0),
    ("a", "ab", "</s>"): (-0.15, 0.0),
    ("a", "<unk>", "a"): (-0.35, 0.0),
}
# Of each token after each, blank, space, a and b; what concerns the blank must never count.
BIGRAMS = np.log(np.array([[9, 9, 9, 9], [9, 0.1, 0.7, 0.2], [9, 0.25, 0.05, 0.7], [9, 0.6, 0.1, 0.3]], np.float32))
SEEDS = st.integers(0, 10**6)
WORDS = {words[0] for words in NGRAMS if len(words) == 1} - {"<unk>", "<s>", "</s>"}


@pytest.fixture(scope="module")
def arpa(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of `NGRAMS` in a file."""
    path = tmp_path_factory.mktemp("lm") / "toy.arpa"
    orders = [[words for words in NGRAMS if len(words) == order] for order in (1, 2, 3)]
    lines = ["\\data\\", *(f"ngram {order}={len(ngrams)}" for order, ngrams in enumerate(orders, 1))]
    for order, ngrams in enumerate(orders, 1):
        lines += ["", f"\\{order}-grams:"]
        lines += [f"{NGRAMS[words][0]}\t{' '.join(words)}\t{NGRAMS[words][1]}" for words in ngrams]
    path.write_text("\n".join([*lines, "", "\\end\\", ""]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def lm(arpa: Path) -> NGramLM:
    """The model of `NGRAMS`."""
    return read_arpa(arpa)


def sum_texts(log_probs: Matrix, tokenizer: CharTokenizer) -> dict[str, float]:
    """Return the log-probability of every text, spaces folded, by going through all paths."""
    sums: dict[str, float] = defaultdict(float)
    for path, probability in all_paths(log_probs):
        sums[" ".join(tokenizer.decode(path).split())] += probability
    return {text: math.log(total) for text, total in sums.items() if total}


def score_words(text: str, config: DecodingConfig) -> float:
    """Score the words of a text by looking n-grams up as they are written."""
    history: tuple[str, ...] = ("<s>",)
    total = 0.0
    for word in (*text.split(), "</s>"):
        known = word if (word,) in NGRAMS else "<unk>"
        log_prob, context = 0.0, history[-2:]
        while (*context, known) not in NGRAMS:
            log_prob += NGRAMS.get(context, (0.0, 0.0))[1]
            context = context[1:]
        log_prob += NGRAMS[*context, known][0]
        total += config.lm_weight * math.log(10) * log_prob
        total += config.word_score * (word != "</s>")
        if known == "<unk>":
            total += -math.inf if config.unknown_score is None else config.unknown_score
            total += config.unknown_letter_score * len(word)
        history = (*history, known)
    return total


def score_spelling(text: str) -> float:
    """Return the log-probability of the known words of a text by their letters and the spaces around them."""
    pairs = [pair for word in text.split() if word in WORDS for pair in itertools.pairwise(f" {word} ")]
    return sum(float(BIGRAMS[TOKENIZER.encode(first)[0], TOKENIZER.encode(second)[0]]) for first, second in pairs)


def check_against(hypotheses: list[Hypothesis], expected: dict[str, float], tokenizer: CharTokenizer) -> None:
    """Require the same texts with the same scores, best first."""
    scores = {tokenizer.join(hypothesis.tokens): hypothesis.score for hypothesis in hypotheses}
    assert len(scores) == len(hypotheses)
    assert scores == pytest.approx({text: score for text, score in expected.items() if score > -math.inf}, abs=1e-4)
    assert list(scores.values()) == sorted(scores.values(), reverse=True)


@given(SEEDS)
def test_scores_without_a_language_model_are_the_sums_over_all_paths(seed: int) -> None:
    log_probs = random_log_probs(6, 4, seed)
    hypotheses = BeamSearchDecoder.from_config(replace(EVERYTHING, word_score=0.0), TOKENIZER).decode(
        Posteriors(log_probs)
    )
    check_against(hypotheses, sum_texts(log_probs, TOKENIZER), TOKENIZER)


def test_without_a_space_in_the_alphabet_scores_are_the_sums_over_all_paths() -> None:
    tokenizer, log_probs = CharTokenizer(("x", "y", "z")), random_log_probs(5, 4, 0)
    hypotheses = BeamSearchDecoder.from_config(replace(EVERYTHING, word_score=3.0), tokenizer).decode(
        Posteriors(log_probs)
    )
    check_against(hypotheses, sum_texts(log_probs, tokenizer), tokenizer)


@pytest.mark.parametrize("word_score", [-1.5, 2.0])
def test_word_score_is_added_for_each_word_without_a_language_model_too(word_score: float) -> None:
    log_probs = random_log_probs(6, 4, 0)
    config = replace(EVERYTHING, word_score=word_score)
    expected = {text: score + word_score * len(text.split()) for text, score in sum_texts(log_probs, TOKENIZER).items()}
    check_against(BeamSearchDecoder.from_config(config, TOKENIZER).decode(Posteriors(log_probs)), expected, TOKENIZER)


@given(
    st.none() | st.floats(-5, 0),
    st.floats(0, 2),
    st.floats(-2, 2),
    SEEDS,
)
def test_scores_with_a_language_model_are_those_of_paths_and_words(
    lm: NGramLM, unknown_score: float | None, lm_weight: float, word_score: float, seed: int
) -> None:
    config = replace(EVERYTHING, lm_weight=lm_weight, word_score=word_score, unknown_score=unknown_score)
    config = replace(config, unknown_letter_score=(seed % 3) * -0.7)
    log_probs = random_log_probs(6, 4, seed)
    sums = sum_texts(log_probs, TOKENIZER)
    expected = {text: score + score_words(text, config) for text, score in sums.items()}
    check_against(
        BeamSearchDecoder.from_config(config, TOKENIZER, lm).decode(Posteriors(log_probs)), expected, TOKENIZER
    )


@given(st.none() | st.floats(-5, 0), SEEDS)
def test_the_internal_language_model_is_taken_from_the_scores_of_known_words(
    lm: NGramLM, unknown_score: float | None, seed: int
) -> None:
    config = replace(EVERYTHING, internal_lm_weight=0.6, unknown_score=unknown_score)
    log_probs = random_log_probs(6, 4, seed)
    sums = sum_texts(log_probs, TOKENIZER)
    expected = {text: score + score_words(text, config) - 0.6 * score_spelling(text) for text, score in sums.items()}
    decoder = BeamSearchDecoder.from_config(config, TOKENIZER, lm, internal_lm=InternalLM(BIGRAMS))
    check_against(decoder.decode(Posteriors(log_probs)), expected, TOKENIZER)


def test_without_a_language_model_to_take_its_place_the_internal_one_stays() -> None:
    config, log_probs = replace(EVERYTHING, internal_lm_weight=0.6, word_score=0.0), random_log_probs(6, 4, 0)
    decoder = BeamSearchDecoder.from_config(config, TOKENIZER, internal_lm=InternalLM(BIGRAMS))
    check_against(decoder.decode(Posteriors(log_probs)), sum_texts(log_probs, TOKENIZER), TOKENIZER)


def test_hot_words_add_their_boosts_whether_the_language_model_knows_them_or_not(lm: NGramLM) -> None:
    hot_words = [HotWord("ab", 2.0), HotWord("ba a", 3.5), HotWord("b", -1.0)]
    config, log_probs = replace(EVERYTHING, unknown_score=None), random_log_probs(6, 4, 1)
    allowed = replace(config, unknown_score=0.0)
    expected = {}
    for text, score in sum_texts(log_probs, TOKENIZER).items():
        words = text.split()
        if set(words) <= WORDS | {"ba", "b"}:  # those of hot words are allowed though the vocabulary is closed
            pairs = list(itertools.pairwise(words))
            boosts = 2.0 * words.count("ab") + 3.5 * pairs.count(("ba", "a")) - words.count("b")
            expected[text] = score + score_words(text, allowed) + boosts
    check_against(
        BeamSearchDecoder.from_config(config, TOKENIZER, lm, hot_words).decode(Posteriors(log_probs)),
        expected,
        TOKENIZER,
    )


@pytest.mark.parametrize("with_lm", [True, False])
def test_narrow_beams_repeat_no_text_and_score_none_above_its_paths(lm: NGramLM, with_lm: bool) -> None:
    # Here texts are dropped and come back while longer ones, which they may now grow into again, stayed.
    model = lm if with_lm else None
    full = BeamSearchDecoder.from_config(EVERYTHING, TOKENIZER, model)
    for seed in range(60):
        log_probs = random_log_probs(9, 4, seed, sharpness=1.0)
        true_scores = {hypothesis.tokens: hypothesis.score for hypothesis in full.decode(Posteriors(log_probs))}
        for beam_size in (1, 2, 3, 5):
            config = replace(EVERYTHING, beam_size=beam_size, nbest=beam_size, beam_threshold=3.0)
            hypotheses = BeamSearchDecoder.from_config(config, TOKENIZER, model).decode(Posteriors(log_probs))
            assert len({hypothesis.tokens for hypothesis in hypotheses}) == len(hypotheses) > 0
            assert all(hypothesis.score <= true_scores[hypothesis.tokens] + 1e-9 for hypothesis in hypotheses)


@given(SEEDS)
def test_look_ahead_steers_the_search_but_changes_no_score(lm: NGramLM, seed: int) -> None:
    guided = BeamSearchDecoder.from_config(EVERYTHING, TOKENIZER, lm)
    free = np.zeros_like(guided.tables.charges)
    blind = replace(guided, tables=guided.tables._replace(charges=free, highest_charges=free))
    log_probs = random_log_probs(6, 4, seed)
    expected = {
        TOKENIZER.join(hypothesis.tokens): hypothesis.score for hypothesis in blind.decode(Posteriors(log_probs))
    }
    check_against(guided.decode(Posteriors(log_probs)), expected, TOKENIZER)


@pytest.mark.parametrize("hot_words", [(), (HotWord("ba", 2.0), HotWord("ab a", 3.0))])
@pytest.mark.parametrize("internal_lm_weight", [0.0, 0.8])
@pytest.mark.parametrize("word_score", [-1.0, 2.0])
def test_what_is_skipped_unseen_would_not_have_entered_the_beam(
    lm: NGramLM, word_score: float, internal_lm_weight: float, hot_words: tuple[HotWord, ...]
) -> None:
    config = DecodingConfig("beam", beam_size=6, nbest=6, beam_threshold=6.0, word_score=word_score, unknown_score=0.0)
    config = replace(config, internal_lm_weight=internal_lm_weight)
    quick = BeamSearchDecoder.from_config(config, TOKENIZER, lm, hot_words, InternalLM(BIGRAMS))
    settings = quick.tables.settings._replace(max_hot_gain=1e6)
    thorough = replace(quick, tables=quick.tables._replace(settings=settings))
    for seed in range(200):
        log_probs = random_log_probs(15, 4, seed)
        assert quick.decode(Posteriors(log_probs)) == thorough.decode(Posteriors(log_probs))


def test_beam_of_one_finds_what_is_certain() -> None:
    path = [2, 2, 0, 2, 1, 3, 3]
    log_probs = spell_path(path, 4, 20.0)
    (hypothesis,) = BeamSearchDecoder.from_config(replace(EVERYTHING, beam_size=1, nbest=1), TOKENIZER).decode(
        Posteriors(log_probs)
    )
    assert TOKENIZER.join(hypothesis.tokens) == TOKENIZER.decode(path)


def test_wider_beams_find_texts_at_least_as_good(lm: NGramLM) -> None:
    log_probs = random_log_probs(60, 4, 0, sharpness=1.0)
    sizes = (1, 10, 100, 1000)
    configs = [replace(EVERYTHING, beam_size=size, nbest=1) for size in sizes]
    scores = [
        BeamSearchDecoder.from_config(config, TOKENIZER, lm).decode(Posteriors(log_probs))[0].score
        for config in configs
    ]
    assert scores == sorted(scores)


@pytest.mark.parametrize("beam_size", [1, 3, 50])
def test_closed_vocabulary_yields_only_words_that_it_holds(lm: NGramLM, beam_size: int) -> None:
    config = DecodingConfig("beam", beam_size=beam_size, nbest=beam_size, unknown_score=None)
    decoder = BeamSearchDecoder.from_config(config, TOKENIZER, lm)
    for seed in range(40):
        for hypothesis in decoder.decode(Posteriors(random_log_probs(12, 4, seed))):
            assert set(TOKENIZER.join(hypothesis.tokens).split()) <= WORDS
            assert hypothesis.score > -math.inf


def test_closed_vocabulary_leaves_an_unfinished_word_out(lm: NGramLM) -> None:
    path = [2, 3, 1, 3]  # "ab b", where "b" begins "bb" but is no word
    log_probs = spell_path(path, 4, 30.0)
    config = DecodingConfig("beam", beam_threshold=5.0, unknown_score=None)
    (hypothesis,) = BeamSearchDecoder.from_config(config, TOKENIZER, lm).decode(Posteriors(log_probs))
    assert TOKENIZER.join(hypothesis.tokens) == "ab"


def test_hot_word_wins_over_what_is_a_little_likelier(lm: NGramLM) -> None:
    probabilities = [[1e-9, 1e-9, 1.0, 1e-9], [0.1, 1e-9, 1e-9, 0.9], [0.1, 1e-9, 0.3, 0.6]]
    posteriors = Posteriors(np.log(np.array(probabilities, np.float32)))
    for hot_words, text in (((), "ab"), ((HotWord("aba", 15.0),), "aba")):
        decoder = BeamSearchDecoder.from_config(DecodingConfig("beam"), TOKENIZER, lm, hot_words)
        assert TOKENIZER.join(decoder.decode(posteriors)[0].tokens) == text


def test_hot_phrase_that_is_only_begun_changes_no_score(lm: NGramLM) -> None:
    log_probs = spell_path([2, 3, 1, 2], 4, 10.0)  # "ab a"
    plain = BeamSearchDecoder.from_config(EVERYTHING, TOKENIZER, lm).decode(Posteriors(log_probs))[0]
    boosted = BeamSearchDecoder.from_config(EVERYTHING, TOKENIZER, lm, [HotWord("ab ab", 2.0)]).decode(
        Posteriors(log_probs)
    )[0]
    assert boosted.tokens == plain.tokens
    assert boosted.score == pytest.approx(plain.score)


def test_utterance_without_frames_is_silence(lm: NGramLM) -> None:
    (hypothesis,) = BeamSearchDecoder.from_config(replace(EVERYTHING, nbest=5, word_score=0.0), TOKENIZER, lm).decode(
        Posteriors(np.zeros((0, 4), np.float32))
    )
    assert hypothesis.tokens == ()
    assert hypothesis.score == pytest.approx(score_words("", EVERYTHING))


def test_one_frame_gives_one_token_or_none() -> None:
    log_probs = random_log_probs(1, 4, 0)
    hypotheses = BeamSearchDecoder.from_config(replace(EVERYTHING, word_score=0.0), TOKENIZER).decode(
        Posteriors(log_probs)
    )
    check_against(hypotheses, sum_texts(log_probs, TOKENIZER), TOKENIZER)
    assert {len(hypothesis.tokens) for hypothesis in hypotheses} == {0, 1}


def test_impossible_tokens_are_not_decoded_and_impossible_frames_do_no_harm(lm: NGramLM) -> None:
    log_probs = np.full((4, 4), -np.inf, np.float32)
    log_probs[0, 2] = log_probs[1, 3] = log_probs[2, 0] = 0.0  # and nothing at all in the last frame
    for model in (None, lm):
        hypotheses = BeamSearchDecoder.from_config(DecodingConfig("beam"), TOKENIZER, model).decode(
            Posteriors(log_probs)
        )
        assert TOKENIZER.join(hypotheses[0].tokens) == "ab"
        assert math.isfinite(hypotheses[0].score)


def test_equal_probabilities_everywhere_fill_the_beam_and_no_more() -> None:
    config = replace(EVERYTHING, beam_size=7, nbest=7)
    hypotheses = BeamSearchDecoder.from_config(config, TOKENIZER).decode(
        Posteriors(np.full((8, 4), -math.log(4), np.float32))
    )
    assert len({hypothesis.tokens for hypothesis in hypotheses}) == len(hypotheses) <= 7


@pytest.mark.parametrize("num_characters", [1, 3000])
def test_alphabets_may_be_tiny_or_large(num_characters: int) -> None:
    tokenizer = CharTokenizer(tuple(chr(0x4E00 + index) for index in range(num_characters)))
    path = [1, 0, 1, num_characters, num_characters, 0]
    log_probs = spell_path(path, num_characters + 1, 25.0)
    decoder = BeamSearchDecoder.from_config(DecodingConfig("beam", beam_size=10), tokenizer)
    assert tokenizer.join(decoder.decode(Posteriors(log_probs))[0].tokens) == tokenizer.decode(path)


def test_half_precision_and_strided_matrices_are_decoded_alike() -> None:
    log_probs = random_log_probs(20, 4, 0).astype(np.float16)
    decoder = BeamSearchDecoder.from_config(DecodingConfig("beam"), TOKENIZER)
    strided: Any = np.asfortranarray(log_probs)  # another type and another order than promised
    assert decoder.decode(Posteriors(strided)) == decoder.decode(Posteriors(log_probs.astype(np.float32)))


@pytest.mark.parametrize(
    ("log_probs", "message"),
    [
        (np.zeros((3, 5), np.float32), r"shape \(3, 5\), but must have \(frames, 4\)"),
        (np.zeros(4, np.float32), r"shape \(4,\), but must have \(frames, 4\)"),
        (np.full((2, 4), np.nan, np.float32), "hold NaN"),
    ],
)
def test_what_are_no_log_probabilities_of_the_alphabet_is_refused(log_probs: Matrix, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BeamSearchDecoder.from_config(DecodingConfig("beam"), TOKENIZER).decode(Posteriors(log_probs))


def test_threads_decode_the_same_as_one_after_another(lm: NGramLM) -> None:
    matrices = [Posteriors(random_log_probs(40 + seed, 4, seed, sharpness=1.0)) for seed in range(16)]
    first_pass = BeamSearchDecoder.from_config(DecodingConfig("beam", nbest=5), TOKENIZER, lm, [HotWord("ab")])
    alone = [first_pass.decode(matrix) for matrix in matrices]
    assert TwoPassDecoder(first_pass, threads=4).decode(matrices) == alone


def test_language_models_need_a_space_and_words_that_can_be_spelled(lm: NGramLM) -> None:
    with pytest.raises(LanguageModelError, match="has no space to tell words apart"):
        BeamSearchDecoder.from_config(DecodingConfig("beam"), CharTokenizer(("a", "b")), lm)
    with pytest.raises(LanguageModelError, match="spells none of its words"):
        BeamSearchDecoder.from_config(DecodingConfig("beam"), CharTokenizer((" ", "x")), lm)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"decoder": "best"}, "decoder is 'best', but must be one of greedy, beam"),
        ({"beam_size": 0}, "beam_size is 0"),
        ({"beam_threshold": 0.0}, "beam_threshold is 0.0"),
        ({"beam_threshold": math.nan}, "beam_threshold is nan"),
        ({"nbest": 0}, "nbest is 0, but must be from 1 to beam_size, 100"),
        ({"nbest": 101}, "nbest is 101"),
        ({"lm_weight": -0.1}, "lm_weight is -0.1"),
        ({"lm_weight": math.inf}, "lm_weight is inf"),
        ({"word_score": math.inf}, "word_score is inf"),
        ({"internal_lm_weight": -0.1}, "internal_lm_weight is -0.1"),
        ({"phone_weight": -0.1}, "phone_weight is -0.1"),
        ({"phone_nbest": 0}, "phone_nbest is 0"),
        ({"recurrent_lm_weight": math.inf}, "recurrent_lm_weight is inf"),
        ({"recurrent_lm_nbest": 0}, "recurrent_lm_nbest is 0"),
        ({"unknown_score": 0.1}, "unknown_score is 0.1"),
        ({"unknown_score": -math.inf}, "unknown_score is -inf"),
        ({"unknown_letter_score": 0.1}, "unknown_letter_score is 0.1, but must be from -1000 to 0"),
        ({"min_certainty": 1.1}, "min_certainty is 1.1, but must be from 0 to 1"),
    ],
)
def test_settings_out_of_range_are_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DecodingConfig(**fields)


def test_settings_survive_as_plain_fields() -> None:
    config = DecodingConfig("beam", nbest=3, unknown_score=None)
    assert DecodingConfig(**asdict(config)) == config


def test_whoever_waits_for_the_compiler_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="asr"):
        BeamSearchDecoder.from_config(DecodingConfig("beam"), TOKENIZER)
        caplog.clear()
        BeamSearchDecoder.from_config(DecodingConfig("beam"), TOKENIZER)
        assert caplog.messages == []
        monkeypatch.setattr(beam_module, "is_compiled", lambda function: False)
        BeamSearchDecoder.from_config(DecodingConfig("beam"), TOKENIZER)
    assert caplog.messages == ["compiling the beam search; this takes some seconds, once on this machine"]


def test_a_text_outlives_a_frame_in_which_nothing_is_likely() -> None:
    decoder = BeamSearchDecoder.from_config(replace(EVERYTHING, nbest=5, word_score=0.0), TOKENIZER)
    log_probs = np.full((3, 4), -200.0, np.float32)
    log_probs[[0, 2], 2] = 0.0  # "a" for sure; e^-110 is 0 in single precision
    log_probs[1] = -110.0
    scores = {each.tokens: each.score for each in decoder.decode(Posteriors(log_probs))}
    assert scores[2,] == pytest.approx(-110.0)
    assert scores[2, 2] == pytest.approx(-110.0)


def test_without_a_language_model_its_weight_may_be_zero() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decoder = BeamSearchDecoder.from_config(DecodingConfig("beam", lm_weight=0.0), TOKENIZER)
    assert decoder.decode(Posteriors(random_log_probs(5, 4, 0)))[0].score == pytest.approx(
        BeamSearchDecoder
        .from_config(DecodingConfig("beam"), TOKENIZER)
        .decode(Posteriors(random_log_probs(5, 4, 0)))[0]
        .score
    )
