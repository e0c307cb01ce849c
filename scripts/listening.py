"""`asr listen` with a virtual microphone: what is played into it has to come out as words.

A PulseAudio server of its own has a null sink, whose monitor is the default source; so it neither finds nor disturbs
the sound of this machine. Run by `scripts/listen_test`.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from tempfile import TemporaryDirectory
from threading import Thread
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from asr.audio import load_audio, save_audio
from asr.metrics import count_errors
from asr.units import Seconds

_RATE = 16_000
_SAMPLES = Path(__file__).parents[1] / "data" / "samples"
_PAUSE = np.zeros(2 * _RATE, np.float32)
_PATIENCE: Seconds = 120.0
_MOST_ERRORS = 0.25  # of the words of a sample, for what comes through is not the file to the sample
# PortAudio reaches PulseAudio through ALSA.
_ALSA = "</usr/share/alsa/alsa.conf>\npcm.!default { type pulse }\nctl.!default { type pulse }\n"


def main() -> int:
    """Speak twice: before a pause, and before Ctrl-C."""
    with TemporaryDirectory() as name, virtual_microphone(Path(name)) as environment:
        save_audio(Path(name, "first.wav"), np.concatenate([read("weather"), _PAUSE]), _RATE)
        save_audio(Path(name, "second.wav"), read("train"), _RATE)
        command = [sys.executable, "-m", "asr", "listen", "--format", "jsonl"]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as listening:
            try:
                listen(listening, Path(name), environment)
            finally:
                listening.kill()
    return 0


def listen(listening: "subprocess.Popen[str]", folder: Path, environment: Mapping[str, str]) -> None:
    """Play both sounds to a command that listens, and check its results."""
    errors, lines = follow(listening.stderr), follow(listening.stdout)
    while not (line := errors.get(timeout=_PATIENCE)).startswith("listening to "):
        sys.stderr.write(line)
    play(folder / "first.wav", environment)
    partial = 0
    while (result := json.loads(lines.get(timeout=_PATIENCE)))["type"] == "partial":
        partial += 1
    check(result, "weather")
    if not partial:
        raise SystemExit("no partial result came before the final one")
    play(folder / "second.wav", environment)
    time.sleep(0.3)  # what is on its way
    listening.send_signal(signal.SIGINT)
    status = listening.wait(_PATIENCE)
    if status:
        raise SystemExit(f"asr listen ended with status {status}")
    results = [json.loads(line) for line in iter(lines.get, "")]
    check(results[-1], "train")
    print(f"asr listen: {partial} partial results before the pause, and the last segment after Ctrl-C")


def check(result: Mapping[str, Any], sample: str) -> None:
    """Compare a final result with what was said."""
    expected, found = expected_words(sample), str(result.get("text", "")).split()
    if result["type"] != "final" or count_errors(expected, found).errors > _MOST_ERRORS * len(expected):
        raise SystemExit(f"expected {' '.join(expected)!r}, found {json.dumps(result)}")


def expected_words(sample: str) -> list[str]:
    """Return the words of a sample."""
    for line in (_SAMPLES / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if Path(entry["audio_filepath"]).stem == sample:
            return str(entry["text"]).split()
    raise SystemExit(f"no text of {sample} is known")


def read(sample: str) -> NDArray[np.float32]:
    """Read a sample."""
    return load_audio(_SAMPLES / f"{sample}.flac", _RATE)


def play(path: Path, environment: Mapping[str, str]) -> None:
    """Play a recording into the microphone, in its own time."""
    subprocess.run(["paplay", "--device=mic", str(path)], check=True, env=environment, timeout=_PATIENCE)


def follow(stream: IO[str] | None) -> "Queue[str]":
    """Read lines in a thread, so that waiting for one can end; an empty one follows the last."""
    lines: Queue[str] = Queue()

    def read_lines() -> None:
        for line in stream or ():
            lines.put(line)
        lines.put("")

    Thread(target=read_lines, daemon=True).start()
    return lines


@contextmanager
def virtual_microphone(folder: Path) -> Generator[dict[str, str]]:
    """Run a PulseAudio server with a null sink, and give the environment in which its monitor is the microphone."""
    socket, alsa, script = (folder / name for name in ("native", "alsa.conf", "mic.pa"))
    own = dict.fromkeys(("XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "PULSE_RUNTIME_PATH"), str(folder))
    environment = {**os.environ, **own, "PULSE_SERVER": f"unix:{socket}", "ALSA_CONFIG_PATH": str(alsa)}
    alsa.write_text(_ALSA, encoding="utf-8")
    commands = (
        f"load-module module-native-protocol-unix auth-anonymous=1 socket={socket}",
        f"load-module module-null-sink sink_name=mic rate={_RATE} channels=1",
        "set-default-sink mic",
        "set-default-source mic.monitor",
    )
    script.write_text("\n".join(commands) + "\n", encoding="utf-8")
    server = subprocess.Popen(
        ["pulseaudio", "-n", "-F", str(script), "--exit-idle-time=-1", "--daemonize=no", "--use-pid-file=no"],
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + _PATIENCE
        while not socket.exists():
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"pulseaudio did not start (status {server.poll()})")
            time.sleep(0.1)
        yield environment
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    sys.exit(main())
