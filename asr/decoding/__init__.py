"""Log-probabilities become hypotheses."""

from asr.decoding.config import DecodingConfig, build_decoder
from asr.decoding.decoder import Decoder, Hypothesis
from asr.decoding.greedy import GreedyDecoder
from asr.decoding.hotwords import HotWord, parse_hot_words, read_hot_words

__all__ = [
    "Decoder",
    "DecodingConfig",
    "GreedyDecoder",
    "HotWord",
    "Hypothesis",
    "build_decoder",
    "parse_hot_words",
    "read_hot_words",
]
