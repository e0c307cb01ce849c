"""Log-probabilities become hypotheses."""

from asr.decoding.decoder import Decoder, Hypothesis
from asr.decoding.greedy import GreedyDecoder

__all__ = ["Decoder", "GreedyDecoder", "Hypothesis"]
