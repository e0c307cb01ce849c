"""Recurrent speech recognition: a recording in, its words out.

    audio → segmentation → acoustic → decoding → alignment → recognition → writers     from a recording to its words
    data → training → bundle                                                            how an acoustic model is made
    lm                                                                                  how a language model is made

    >>> from asr import Recognizer
    >>> Recognizer.from_bundle().transcribe("data/samples/weather.flac").text  # doctest: +SKIP

The names below are the public ones. Each is loaded on first use, so that `import asr` is instant.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asr.acoustic.posteriors import Posteriors
    from asr.alignment.text import TextAlignment
    from asr.audio import load_audio
    from asr.bundle import Bundle, load_bundle
    from asr.data.manifest import Utterance, read_manifest, write_manifest
    from asr.decoding import DecodingConfig, HotWord, Hypothesis, parse_hot_words
    from asr.errors import ASRError, AudioError, BundleError
    from asr.evaluation.evaluate import Evaluation, evaluate
    from asr.lm.ngram import NGramLM
    from asr.recognition.inspection import Inspection, inspect_recording
    from asr.recognition.recognizer import Recognizer
    from asr.recognition.results import Result
    from asr.recognition.streaming import FinalResult, PartialResult, StreamingRecognizer
    from asr.recognition.streaming_config import StreamingConfig
    from asr.segmentation import SegmenterConfig
    from asr.transcript import Alternative, Segment, Transcript, Word
    from asr.writers import WRITERS, WriterOptions

__version__ = "0.2.0"

# Since 1.32, ONNX Runtime reports its use to its maker over the network unless this is set before it begins.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_HOMES = {
    "ASRError": "asr.errors",
    "Alternative": "asr.transcript",
    "AudioError": "asr.errors",
    "Bundle": "asr.bundle",
    "BundleError": "asr.errors",
    "DecodingConfig": "asr.decoding",
    "Evaluation": "asr.evaluation.evaluate",
    "FinalResult": "asr.recognition.streaming",
    "HotWord": "asr.decoding",
    "Hypothesis": "asr.decoding",
    "Inspection": "asr.recognition.inspection",
    "NGramLM": "asr.lm.ngram",
    "PartialResult": "asr.recognition.streaming",
    "Posteriors": "asr.acoustic.posteriors",
    "Recognizer": "asr.recognition.recognizer",
    "Result": "asr.recognition.results",
    "Segment": "asr.transcript",
    "SegmenterConfig": "asr.segmentation",
    "StreamingConfig": "asr.recognition.streaming_config",
    "StreamingRecognizer": "asr.recognition.streaming",
    "TextAlignment": "asr.alignment.text",
    "Transcript": "asr.transcript",
    "Utterance": "asr.data.manifest",
    "WRITERS": "asr.writers",
    "Word": "asr.transcript",
    "WriterOptions": "asr.writers",
    "evaluate": "asr.evaluation.evaluate",
    "inspect_recording": "asr.recognition.inspection",
    "load_audio": "asr.audio",
    "load_bundle": "asr.bundle",
    "parse_hot_words": "asr.decoding",
    "read_manifest": "asr.data.manifest",
    "write_manifest": "asr.data.manifest",
}

__all__ = [
    "WRITERS",
    "ASRError",
    "Alternative",
    "AudioError",
    "Bundle",
    "BundleError",
    "DecodingConfig",
    "Evaluation",
    "FinalResult",
    "HotWord",
    "Hypothesis",
    "Inspection",
    "NGramLM",
    "PartialResult",
    "Posteriors",
    "Recognizer",
    "Result",
    "Segment",
    "SegmenterConfig",
    "StreamingConfig",
    "StreamingRecognizer",
    "TextAlignment",
    "Transcript",
    "Utterance",
    "Word",
    "WriterOptions",
    "__version__",
    "evaluate",
    "inspect_recording",
    "load_audio",
    "load_bundle",
    "parse_hot_words",
    "read_manifest",
    "write_manifest",
]


def __getattr__(name: str) -> Any:  # the public names are of several kinds
    """Load a public name on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'asr' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """List the public names, for completion in an interactive session."""
    return __all__
