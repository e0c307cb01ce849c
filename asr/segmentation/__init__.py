"""Long recordings become pieces that the network can take."""

from asr.segmentation.detectors import FRAME_DURATION, EnergyDetector, SileroDetector, SpeechDetector
from asr.segmentation.segmenter import Piece, Segmenter, SegmenterConfig

__all__ = [
    "FRAME_DURATION",
    "EnergyDetector",
    "Piece",
    "Segmenter",
    "SegmenterConfig",
    "SileroDetector",
    "SpeechDetector",
]
