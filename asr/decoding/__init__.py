"""Log-probabilities become hypotheses."""

from asr.decoding.config import DecodingConfig, build_decoder
from asr.decoding.decoder import Decoder, Hypothesis
from asr.decoding.greedy import GreedyDecoder
from asr.decoding.hot_words import HotWord, parse_hot_words, read_hot_words
from asr.lm.internal import InternalLM

__all__ = [
    "Decoder",
    "DecodingConfig",
    "GreedyDecoder",
    "HotWord",
    "Hypothesis",
    "InternalLM",
    "build_decoder",
    "parse_hot_words",
    "read_hot_words",
]
