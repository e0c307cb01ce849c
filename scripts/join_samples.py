"""Write the sound that the test in a browser needs: a long recording, and one for a fake microphone.

Run by `scripts/web_test` with the two files to write.
"""

import sys
from pathlib import Path

import numpy as np

from asr.audio import load_audio, save_audio

_RATE = 16_000
_SAMPLES = Path(__file__).parents[1] / "data" / "samples"
_REPEATED = 3
_PAUSE = 1.5  # seconds, which ends a segment


def main(arguments: list[str]) -> int:
    """Write both files."""
    waveforms = {path.stem: load_audio(path, _RATE) for path in sorted(_SAMPLES.glob("*.flac"))}
    save_audio(Path(arguments[0]), np.concatenate([*waveforms.values()] * _REPEATED), _RATE)
    pause = np.zeros(round(_PAUSE * _RATE), np.float32)
    spoken = [pause, waveforms["weather"], pause, waveforms["train"], pause]
    save_audio(Path(arguments[1]), np.concatenate(spoken), _RATE)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
