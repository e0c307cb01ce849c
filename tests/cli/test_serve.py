"""`asr serve` as a process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from asr.__main__ import main


def test_a_server_starts_serves_and_ends_at_sigterm(bundle_folder: Path) -> None:
    command = [sys.executable, "-m", "asr", "serve", "--port", "0", "--workers", "1", "--model", str(bundle_folder)]
    environment = {**os.environ, "ASR_API_KEY": "secret"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as server:
        assert server.stdout is not None
        url = server.stdout.readline().removeprefix("listening at ").strip()
        assert httpx.get(f"{url}/v1/models").status_code == 401
        models = httpx.get(f"{url}/v1/models", headers={"authorization": "Bearer secret"}).json()
        server.send_signal(signal.SIGTERM)
        _, messages = server.communicate(timeout=60)
    assert [model["id"] for model in models["data"]] == [bundle_folder.name, "whisper-1"]
    assert messages == "shutting down; what is running has 30 s to finish\n"
    assert server.returncode == 0


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "asr", "serve", "--port", "0", "--model", str(tmp_path / "none")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert run.stderr.startswith(f"error: {tmp_path}/none: no such folder; expected one with model.safetensors")
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--workers", "0"], "error: workers is 0; expected a number from 1 to 256\n"),
        (
            ["--origin", "example.org"],
            "error: origin 'example.org' is none; expected one such as https://example.org, ",
        ),
    ],
)
def test_settings_that_make_no_sense_are_named(
    flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *flags]) == 2
    assert capsys.readouterr().err.startswith(message)
