"""The beam search, beside that of flashlight-text and beside the network whose posteriors it searches.

Both search the same utterance on one thread, with the same language model, the same settings and a vocabulary
that is closed. A bundle without a language model gets one of random words, as large as a real one.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from asr.acoustic.posteriors import Posteriors
from asr.acoustic.runtime import open_runtime
from asr.audio import load_audio
from asr.bundle import load_bundle
from asr.decoding.beam import BeamSearchDecoder
from asr.lm.ngram import BEGIN, END, SPECIAL_WORDS, NGramLM
from asr.tokenizer import CharTokenizer
from asr.units import Seconds
from scripts.measure.flashlight import build_flashlight
from scripts.measure.yardsticks import CLIP_DURATION, CPU_SPEED, Measurement, time_in_turn

NUM_RANDOM_WORDS = 20_000

_CONTINUATIONS = (20, 2)  # of each word, and of each two words


def measure_beam(folder: Path, clip: Path, repeats: int) -> Iterator[Measurement]:
    """Compare beam search with flashlight-text, where that is installed, and with the network.

    Args:
        folder: The bundle of the model, whose alphabet has a space.
        clip: A recording of `CLIP_DURATION`.
        repeats: How often each figure is measured; the median counts.

    Yields:
        The speed of searching 10 s with a language model, and without.
    """
    bundle = load_bundle(folder)
    lm = bundle.lm or make_random_model(bundle.tokenizer, NUM_RANDOM_WORDS)
    config = replace(bundle.decoding, decoder="beam", nbest=1, unknown_score=None)
    waveform = load_audio(clip, bundle.config.sample_rate)
    guided = BeamSearchDecoder.from_config(config, bundle.tokenizer, lm)
    free = BeamSearchDecoder.from_config(config, bundle.tokenizer)
    flashlight = build_flashlight(config, bundle.tokenizer, lm)
    runtime = open_runtime(bundle.network, "cpu")

    def compute() -> Posteriors:
        return runtime.run([waveform])[0]

    posteriors = compute()
    decoders = [guided.decode, free.decode, *([flashlight] if flashlight else [])]
    network, with_lm, without, *others = time_in_turn(
        repeats, compute, *(partial(decode, posteriors) for decode in decoders), clock=time.process_time
    )
    name = f"beam search, {config.beam_size} wide"
    for other in others:
        yield _compare(f"{name}, {len(lm.word_ids):,} n-grams", with_lm, "flashlight-text's", other, 2.0)
    yield _compare(f"{name}, with n-grams", with_lm, "the network's", network)
    yield _compare(f"{name}, without n-grams", without, "the network's", network)


def _compare(name: str, seconds: Seconds, whose: str, other: Seconds, target: float | None = None) -> Measurement:
    """Compare two times for the clip."""
    compared_with = f"{whose} time: {CLIP_DURATION / other:,.0f}"
    return Measurement(name, CLIP_DURATION / seconds, CPU_SPEED, compared_with, seconds / other, target)


def make_random_model(tokenizer: CharTokenizer, num_words: int) -> NGramLM:
    """Make a trigram model of random words: of no use but to look things up in.

    Args:
        tokenizer: The alphabet to spell words with.
        num_words: Words to draw; those drawn again count once.

    Returns:
        The model, with about 60 n-grams for each word. Its log-probabilities do not add up to 1.
    """
    draw = np.random.default_rng(0)
    letters = [character for character in tokenizer.characters if character != " "]
    spellings = {"".join(draw.choice(letters, length)) for length in draw.integers(2, 9, num_words)}
    words = (*SPECIAL_WORDS, *sorted(spellings))
    first = END  # what may follow: the end, or a word
    singles = np.arange(len(words))
    histories = np.repeat(np.delete(singles, END), _CONTINUATIONS[0])
    bigrams = np.unique(histories * len(words) + draw.integers(first, len(words), len(histories)))
    begins = np.searchsorted(bigrams, np.arange(len(words) + 1) * len(words))
    # A trigram ends in a bigram, as every model's should.
    histories = np.repeat(np.arange(len(bigrams)), _CONTINUATIONS[1])
    middle = bigrams[histories] % len(words)
    histories, middle = histories[middle != END], middle[middle != END]
    chosen = begins[middle] + (draw.random(len(middle)) * (begins[middle + 1] - begins[middle])).astype(int)
    trigrams = np.unique((len(words) + histories) * len(words) + bigrams[chosen] % len(words))
    keys = np.concatenate([bigrams, trigrams])
    counts = (len(words), len(bigrams), len(trigrams))
    log_probs = np.concatenate([draw.uniform(-12, -6, counts[0]), draw.uniform(-6, -1, len(keys))])
    log_probs[BEGIN] = -99 * math.log(10)
    backoffs = np.concatenate([draw.uniform(-2, 0, counts[0] + counts[1]), np.zeros(counts[2])])
    return NGramLM(
        words,
        counts,
        word_ids=np.concatenate([singles, keys % len(words)]).astype(np.uint32),
        log_probs=log_probs.astype(np.float32),
        backoffs=backoffs.astype(np.float32),
        children=len(words) + np.searchsorted(keys // len(words), np.arange(counts[0] + counts[1] + 1)),
    )
