"""Speech synthesisers behind one protocol; another one is a module here and a line in `registry`."""

from asr.data.synthesizers.base import SAMPLE_RATE, Synthesizer, Voice, read_speech
from asr.data.synthesizers.registry import SYNTHESIZERS

__all__ = ["SAMPLE_RATE", "SYNTHESIZERS", "Synthesizer", "Voice", "read_speech"]
