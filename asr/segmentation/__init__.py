"""Long recordings become chunks that the network can take."""

from asr.segmentation.detectors import FRAME_DURATION, EnergyDetector, SileroDetector, SpeechDetector
from asr.segmentation.segmenter import Chunk, Segmenter, SegmenterConfig

__all__ = [
    "FRAME_DURATION",
    "Chunk",
    "EnergyDetector",
    "Segmenter",
    "SegmenterConfig",
    "SileroDetector",
    "SpeechDetector",
]
