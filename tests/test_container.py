"""The files of the container agree with each other and with the server; the guide tells how to build and run it."""

import json
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from asr.cli.serve import build_parser
from asr.serving.settings import ServerConfig

ROOT = Path(__file__).parent.parent
INSTRUCTIONS = (ROOT / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
SERVICE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]["asr"]


def words_of(instruction: str) -> list[list[str]]:
    """List the words of the instructions of one kind."""
    return [shlex.split(line)[1:] for line in INSTRUCTIONS if line.startswith(f"{instruction} ")]


def is_sent(path: str) -> bool:
    """Tell whether a file is sent to the builder: the last pattern decides that matches it or a folder above it."""
    sent = True
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.lstrip("!").removeprefix("**/")
        names = [path, *map(str, PurePosixPath(path).parents[:-1])]
        names += [PurePosixPath(name).name for name in names if line.startswith("**/")]
        if line and not line.startswith("#") and any(fnmatchcase(name, pattern) for name in names):
            sent = line.startswith("!")
    return sent


def test_what_the_image_copies_is_sent_to_its_builder() -> None:
    copied = [
        word for words in words_of("COPY") for word in words[:-1] if not word.startswith("--") and "/opt" not in word
    ]
    assert {"asr", "pyproject.toml", "data/samples/weather.flac"} <= set(copied)
    assert [name for name in copied if not ((ROOT / name).exists() and is_sent(name))] == []


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        "data/samples/pi.flac",
        "tests/test_container.py",
        "build/lib/asr/text.py",
        ".env",
        "asr/__pycache__/text.cpython-312.pyc",
    ],
)
def test_nothing_else_is_sent_to_the_builder_of_the_image(path: str) -> None:
    assert is_sent("asr/text.py")
    assert not is_sent(path)


def test_the_composed_server_takes_its_options_and_has_its_time_to_finish() -> None:
    [entry] = [json.loads(line.removeprefix("ENTRYPOINT ")) for line in INSTRUCTIONS if line.startswith("ENTRYPOINT")]
    assert entry[:2] == ["asr", "serve"]
    assert build_parser().parse_args([*entry[2:], *SERVICE["command"]]).host == "0.0.0.0"
    assert int(SERVICE["stop_grace_period"].removesuffix("s")) > ServerConfig().shutdown_timeout


def test_the_composed_server_can_write_only_uploads_and_what_it_compiles() -> None:
    [variables] = words_of("ENV")
    [cache] = [value for name, _, value in (word.partition("=") for word in variables) if name == "XDG_CACHE_HOME"]
    assert SERVICE["read_only"] is True
    assert [mount.split(":")[0] for mount in SERVICE["tmpfs"]] == ["/tmp"]
    assert [mount.split(":")[1] for mount in SERVICE["volumes"]] == [f"{cache}/asr"]


def test_the_user_of_the_image_is_a_number_that_is_not_root() -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", words_of("USER")[-1][0])


@pytest.mark.parametrize(("status", "expected"), [(200, 0), (503, 1)])
def test_the_health_check_asks_the_server_itself_whether_it_is_ready(status: int, expected: int) -> None:
    [line] = [line for line in INSTRUCTIONS if line.startswith("HEALTHCHECK")]
    _, *command = json.loads(line[line.index("[") :])
    with answers(status) as (port, paths):
        command = [word.replace("8000", str(port)) for word in command]
        finished = subprocess.run(
            [sys.executable, *command], check=False, env=os.environ | {"http_proxy": "http://127.0.0.1:9"}
        )
    assert (finished.returncode, paths) == (expected, ["/ready"])


@contextmanager
def answers(status: int) -> Generator[tuple[int, list[str]]]:
    """Answer requests with a status, and list their paths."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # as http.server calls it
            paths.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port, paths
        finally:
            server.shutdown()
            thread.join()
