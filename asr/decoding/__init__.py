"""Posteriors become hypotheses. The beam search is imported when asked for, because numba takes long to import."""

from asr.decoding.build import DecodingModels, build_decoder
from asr.decoding.config import DecodingConfig
from asr.decoding.decoder import Decoder, Hypothesis, IncrementalDecoder, Rescorer, StreamingDecoder
from asr.decoding.greedy import GreedyDecoder
from asr.decoding.hot_words import HotWord, parse_hot_words, read_hot_words
from asr.decoding.two_pass import TwoPassDecoder

__all__ = [
    "Decoder",
    "DecodingConfig",
    "DecodingModels",
    "GreedyDecoder",
    "HotWord",
    "Hypothesis",
    "IncrementalDecoder",
    "Rescorer",
    "StreamingDecoder",
    "TwoPassDecoder",
    "build_decoder",
    "parse_hot_words",
    "read_hot_words",
]
