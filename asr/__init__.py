"""Recurrent speech recognition: a recording in, its words out.

    audio → features → model → decoding → transcript → writers       what happens to a recording
    data → training → bundle → recognizer                            how a recogniser comes to be

    >>> from asr import Recognizer
    >>> Recognizer.from_bundle().transcribe("data/samples/weather.flac").text  # doctest: +SKIP

Command lines are modules too: `python -m asr` lists them.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asr.errors import ASRError
    from asr.recognizer import Recognizer, Result
    from asr.transcript import Segment, Transcript

# Threads that wait for each other give the processor away. Spinning, as OpenMP does by default, makes an LSTM on two
# threads over a hundred times slower as soon as another program wants one of the cores. Read once, when torch loads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_HOMES = {
    "ASRError": "asr.errors",
    "Recognizer": "asr.recognizer",
    "Result": "asr.recognizer",
    "Segment": "asr.transcript",
    "Transcript": "asr.transcript",
}

__all__ = ["ASRError", "Recognizer", "Result", "Segment", "Transcript"]


def __getattr__(name: str) -> Any:  # Any: the public names are of several kinds
    """Load a public name on first use, so that a command line without a model starts without PyTorch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'asr' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
