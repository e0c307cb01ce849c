"""Calls functions of the recogniser in JavaScript, and makes sounds for it."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.acoustic.posteriors import Posteriors

DRIVER = Path(__file__).with_name("engine.mjs")
NODE = shutil.which("node")
Run = Callable[..., Any]


def make_run(folder: Path) -> Run:
    """Return a function that calls one of the driver; arrays in its arguments are handed over as files in a folder."""

    def store(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            path = folder / f"{len(list(folder.iterdir()))}.raw"
            value.astype(np.float32).tofile(path)
            return str(path)
        if isinstance(value, Posteriors):
            named = {"logProbs": value.log_probs, "phoneLogProbs": value.phone_log_probs, "numFrames": value.num_frames}
            return {name: store(part) for name, part in named.items()}
        if isinstance(value, list | tuple):
            return [store(each) for each in value]
        return str(value) if isinstance(value, Path) else value

    def call(function: str, **arguments: Any) -> Any:
        request = json.dumps({"function": function, **{name: store(value) for name, value in arguments.items()}})
        command = [str(NODE), "--liftoff-only", str(DRIVER)]  # compile fast: little is computed here
        finished = subprocess.run(command, input=request, capture_output=True, text=True, timeout=120)
        assert finished.returncode == 0, finished.stderr
        return json.loads(finished.stdout)

    return call


def make_noise(duration: float, rate: int = 16_000, seed: int = 0) -> NDArray[np.float32]:
    """Bursts of noise with pauses of many lengths between them."""
    generator = np.random.default_rng(seed)
    noise = generator.standard_normal(round(duration * rate)).astype(np.float32)
    edges = np.cumsum(generator.choice([0.1, 0.2, 0.4, 0.9, 2.0], size=1000) * rate).astype(int)
    level = np.full(len(noise), 1e-3, np.float32)
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        level[start:end] = 0.2
    return noise * level
