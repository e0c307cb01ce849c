"""Check an environment that holds the base installation alone: recognition works there, without PyTorch.

    python -m venv base && base/bin/pip install . && base/bin/python scripts/check_base.py

It runs the commands that need no training extra, as processes and through the API, and fails where one of them loads
PyTorch or where the environment is larger than promised.
"""

import json
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

SAMPLES = Path(__file__).resolve().parents[1] / "data" / "samples"
WEATHER = "it rained all night but the sky was clear again in the morning"
MAX_MEGABYTES = 450
FORBIDDEN = ("torch", "torchaudio", "librosa", "pytorch_lightning", "matplotlib", "onnx", "scipy")


def run_verb(*arguments: str) -> str:
    """Run a verb in a process that reports what it loaded, and return its output."""
    code = (
        "import sys\nfrom asr.__main__ import main\nstatus = main(sys.argv[1:])\n"
        f"loaded = [name for name in {FORBIDDEN!r} if name in sys.modules]\n"
        "sys.exit(f'loaded {loaded}' if loaded else status)"
    )
    run = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"asr {' '.join(arguments)}: status {run.returncode}: {run.stderr}")
    return run.stdout


def check_verbs(folder: Path) -> None:
    """Run every verb that a user of the base installation has."""
    weather = str(SAMPLES / "weather.flac")
    manifest = folder / "manifest.jsonl"
    line = {"audio_filepath": weather, "duration": 3.69, "text": WEATHER}
    manifest.write_text(json.dumps(line) + "\n", encoding="utf-8")
    for decoder in ("greedy", "beam"):
        if "clear again" not in run_verb("transcribe", "--decoder", decoder, weather) and decoder == "beam":
            raise SystemExit("asr transcribe: the sample is no longer recognised")
    run_verb("align", weather, "--text", WEATHER)
    if "CER %" not in run_verb("evaluate", "--manifest", str(manifest)):
        raise SystemExit("asr evaluate: no table")
    run_verb("train-lm", str(SAMPLES.parent / "README.md"), "--output", str(folder / "lm"), "--quiet")


def check_api() -> None:
    """Use the public names."""
    import asr

    recognizer = asr.Recognizer.from_bundle()
    alignment = recognizer.align(SAMPLES / "weather.flac", WEATHER)
    if not recognizer.transcribe(SAMPLES / "train.flac").words or not alignment.matches:
        raise SystemExit("the API recognises or aligns nothing")
    for name in asr.__all__:
        getattr(asr, name)
    loaded = [name for name in FORBIDDEN if name in sys.modules]
    if loaded:
        raise SystemExit(f"the API loaded {loaded}")


def check_missing_extra() -> None:
    """A verb that needs the training extra says so in one line."""
    run = subprocess.run([sys.executable, "-m", "asr.train", "fit"], capture_output=True, text=True)
    if run.returncode != 2 or 'pip install "asr[train]"' not in run.stderr or run.stderr.count("\n") != 1:
        raise SystemExit(f"asr train without its extra: status {run.returncode}: {run.stderr}")


def measure_packages() -> float:
    """Return the size of the installed packages, without pip, in megabytes."""
    packages = Path(sysconfig.get_paths()["purelib"])
    files = [path for path in packages.rglob("*") if path.is_file() and path.relative_to(packages).parts[0] != "pip"]
    return sum(path.stat().st_size for path in files) / 1e6


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        check_verbs(Path(scratch))
    check_api()
    check_missing_extra()
    size = measure_packages()
    if size > MAX_MEGABYTES:
        raise SystemExit(f"the installation takes {size:.0f} MB; expected at most {MAX_MEGABYTES}")
    print(f"base installation: {size:.0f} MB, recognition without PyTorch")
