"""Log-probabilities become hypotheses."""

from asr.decoding.config import DecodingConfig, build_decoder
from asr.decoding.decoder import Decoder, Hypothesis
from asr.decoding.greedy import GreedyDecoder
from asr.decoding.hotwords import HotWord, parse_hot_words, read_hot_words
from asr.decoding.internal_lm import InternalLM

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
