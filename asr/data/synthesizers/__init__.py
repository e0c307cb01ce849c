"""Speech synthesisers behind one protocol; another one is a module here and a line in `registry`."""

from asr.data.synthesizers.base import SAMPLE_RATE, Synthesizer, Voice, read_speech
from asr.data.synthesizers.registry import NETWORKS, SYNTHESIZERS, open_synthesizers

__all__ = ["NETWORKS", "SAMPLE_RATE", "SYNTHESIZERS", "Synthesizer", "Voice", "open_synthesizers", "read_speech"]
