"""The page comes from the server with a strict policy, and looks inside a recording through it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from asr.recognition.inspection import inspect_recording
from asr.web import PAGE
from tests.serving.conftest import LiveServer, open_recognizer

WriteTone = Callable[[str, float, float], Path]


def test_inspection_of_an_upload_is_that_of_the_library(
    live_server: LiveServer, model_folder: Path, write_tone: WriteTone
) -> None:
    path = write_tone("tone.wav", 300.0, 1.0)
    with live_server.client() as client:
        response = client.post("/inspect", files={"file": ("tone.wav", path.read_bytes())})
    assert response.status_code == 200
    assert response.json() == inspect_recording(open_recognizer(model_folder), path).to_dict()


def test_what_is_no_recording_is_refused_by_the_name_of_its_upload(live_server: LiveServer) -> None:
    with live_server.client() as client:
        response = client.post("/inspect", files={"file": ("notes.txt", b"no recording")})
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith("notes.txt: not audio")


@pytest.mark.parametrize(("path", "kind"), [("/", "text/html"), ("/main.js", "text/javascript")])
def test_page_is_served_with_a_policy_that_allows_its_own_files_alone(
    live_server: LiveServer, path: str, kind: str
) -> None:
    with live_server.client() as client:
        response = client.get(path)
    assert response.content == (PAGE / (path.strip("/") or "index.html")).read_bytes()
    assert response.headers["content-type"].startswith(kind)
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self';")
    assert "frame-ancestors 'none'" in policy
