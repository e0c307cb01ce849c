"""Write what a stream of a recording gives, in single precision as in a browser, as a JSON list of results.

Run by `scripts/web_test` with the recording and the file to write.
"""

import json
import sys
from pathlib import Path

from asr import Recognizer, StreamingRecognizer, load_audio
from asr.acoustic.runtime import find_streaming_graph
from asr.acoustic.streaming_runtime import StepRuntime

_RATE = 16_000
_BLOCK = 1_600  # samples; whether more are waiting decides which partial results there are


def main(arguments: list[str]) -> int:
    """Write the results."""
    recognizer = Recognizer.from_bundle(device="cpu")
    network = recognizer.bundle.network
    recognizer.step_runtime = StepRuntime(network, find_streaming_graph(network))
    samples = load_audio(Path(arguments[0]), _RATE)
    stream = StreamingRecognizer(recognizer, sample_rate=_RATE)
    blocks = (samples[start : start + _BLOCK] for start in range(0, len(samples), _BLOCK))
    results = [result for block in blocks for result in stream.accept(block)] + stream.finish()
    Path(arguments[1]).write_text(json.dumps([result.to_dict() for result in results]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
