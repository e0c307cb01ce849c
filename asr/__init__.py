"""Recurrent speech recognition: a recording in, its words out.

    audio → segmentation → features → model → decoding → alignment → transcript → writers
                                                    what happens to a recording, in the recognizer
    data → training → bundle                        how an acoustic model comes to be
    lm                                              how a language model does

    >>> from asr import Recognizer
    >>> Recognizer.from_bundle().transcribe("data/samples/weather.flac").text  # doctest: +SKIP

Command lines are modules too: `python -m asr` lists them.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asr.errors import ASRError
    from asr.recognition.recognizer import Recognizer
    from asr.recognition.results import Result
    from asr.transcript import Segment, Transcript, Word

# How long a thread of OpenMP waits for the others before it gives the processor away. The layers of an LSTM meet at
# every frame. One utterance at a time on two idle cores: 274 s of audio a second with this count, 202 with the default
# wait, 66 giving way at once (OMP_WAIT_POLICY=PASSIVE). Beside one busy program of equal priority the three are alike;
# beside training of higher priority the default took 16 s for what took 0.2 s with this. Each timed once. It is read
# when torch loads, so it has no effect where torch was imported before this package.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

_HOMES = {
    "ASRError": "asr.errors",
    "Recognizer": "asr.recognition.recognizer",
    "Result": "asr.recognition.results",
    "Segment": "asr.transcript",
    "Transcript": "asr.transcript",
    "Word": "asr.transcript",
}

__all__ = ["ASRError", "Recognizer", "Result", "Segment", "Transcript", "Word"]


def __getattr__(name: str) -> Any:  # Any: the public names are of several kinds
    """Load a public name on first use, so that a command line without a model starts without PyTorch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'asr' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
