"""A server over a real connection."""

import errno
import json
import socket
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from asr.decoding import HotWord
from asr.errors import ASRError
from asr.serving.server import listen
from tests.serving.conftest import CONFIG, LiveServer, open_recognizer

Tone = Callable[[str, float, float], Path]
URL = "/v1/audio/transcriptions"


@pytest.fixture
def tone(write_tone: Tone) -> Path:
    return write_tone("tone.wav", 300, 2)


@pytest.fixture
def expected(model_folder: Path, tone: Path) -> str:
    text = open_recognizer(model_folder).transcribe(tone).text
    assert text
    return text


def send(client: httpx.Client, path: Path, **fields: str | list[str]) -> httpx.Response:
    return client.post(URL, files={"file": (path.name, path.read_bytes())}, data=fields)


def test_health_and_readiness_are_told(live_server: LiveServer) -> None:
    with live_server.client() as client:
        assert client.get("/health").json() == {"status": "ok"}
        assert client.get("/ready").json() == {"ready": True, "workers": 1, "of": 1}


def test_an_upload_gives_the_text_of_the_recognizer(live_server: LiveServer, tone: Path, expected: str) -> None:
    with live_server.client() as client:
        assert send(client, tone).json() == {"text": expected, "usage": {"type": "duration", "seconds": 2}}
        assert send(client, tone, response_format="text").text == f"{expected}\n"
        assert send(client, tone, response_format="vtt").text.startswith("WEBVTT\n\n00:00:0")
        assert send(client, tone, response_format="srt").text.startswith("1\n00:00:0")


def test_words_come_with_times_and_confidence(live_server: LiveServer, tone: Path, expected: str) -> None:
    with live_server.client() as client:
        granularities = {"timestamp_granularities[]": ["word", "segment"]}
        found = send(client, tone, response_format="verbose_json", **granularities).json()
    assert found["text"] == found["segments"][0]["text"] == " ".join(word["word"] for word in found["words"])
    assert found["text"] == expected
    assert found["segments"][0]["words"] == found["words"]
    assert all(0 <= word["start"] <= word["end"] <= 2 for word in found["words"])
    assert all(0 <= word["confidence"] <= 1 for word in found["words"])


def test_segments_are_streamed_as_events(live_server: LiveServer, tone: Path, expected: str) -> None:
    with live_server.client() as client:
        response = send(client, tone, stream="true")
    events = [json.loads(line.removeprefix("data: ")) for line in response.text.split("\n\n") if line]
    assert response.headers["content-type"].startswith("text/event-stream")
    assert "".join(event["delta"] for event in events[:-1]) == events[-1]["text"] == expected
    assert [event["type"] for event in events] == ["transcript.text.delta", "transcript.text.done"]


@pytest.mark.parametrize("stream", ["true", "false"])
def test_what_is_no_sound_is_named_by_its_upload(live_server: LiveServer, tmp_path: Path, stream: str) -> None:
    (tmp_path / "letter.wav").write_text("Dear Anna, " * 50)
    with live_server.client() as client:
        response = send(client, tmp_path / "letter.wav", stream=stream)
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["message"].startswith("letter.wav: not audio in a known format")
    assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_audio")


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ({"model": "gpt-9"}, 404, "there is no model 'gpt-9'; expected tiny or whisper-1"),
        ({"known_speaker_names[]": "anna"}, 400, "the parameter 'known_speaker_names[]' is not served; leave it out"),
        ({"keywords[]": "anna:high"}, 400, "hot word 'anna:high': boost 'high' is no number; write anna:5"),
    ],
)
def test_parameters_are_refused_by_name(
    live_server: LiveServer, tone: Path, fields: dict[str, str], status: int, message: str
) -> None:
    with live_server.client() as client:
        response = send(client, tone, **fields)
    assert (response.status_code, response.json()["error"]["message"]) == (status, message)


def test_hot_words_of_one_client_reach_no_other(live_server: LiveServer, model_folder: Path, tone: Path) -> None:
    letters = [letter for letter in "abcd" for _ in range(3)]
    keywords = [[f"{letter}:900"] for letter in letters]
    with live_server.client() as client, ThreadPoolExecutor(2) as pool:

        def ask(words: list[str]) -> str:
            while (response := send(client, tone, **{"keywords[]": words})).status_code == 429:
                time.sleep(0.05)
            return str(response.json()["text"])

        texts = list(pool.map(ask, keywords))
    recognizer = open_recognizer(model_folder)
    alone = {each: recognizer.with_hot_words([HotWord(each, 900.0)]).transcribe(tone).text for each in "abcd"}
    assert texts == [alone[letter] for letter in letters]
    assert len(set(texts)) > 1


def test_unknown_routes_and_methods_are_refused_in_the_shape_of_errors(live_server: LiveServer) -> None:
    with live_server.client() as client:
        assert client.get("/v1/fine_tuning").json()["error"]["message"] == "GET /v1/fine_tuning: Not Found"
        assert client.get(f"/{'a' * 2000}").json()["error"]["message"] == f"GET /{'a' * 79}...: Not Found"
        missing = client.post("/v1/audio/translations")
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
        refused = client.get(URL)
        assert (refused.status_code, refused.json()["error"]["code"]) == (405, "method_not_allowed")
        assert client.get("/v1/models/tiny").json()["id"] == "tiny"
        assert [each["id"] for each in client.get("/v1/models").json()["data"]] == ["tiny", "whisper-1"]
        assert client.get("/v1/models/other").status_code == 404


def test_requests_and_audio_are_counted(live_server: LiveServer, tone: Path) -> None:
    def counted(text: str, name: str) -> float:
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))

    with live_server.client() as client:
        before = client.get("/metrics").text
        send(client, tone)
        name = f'asr_requests_total{{route="{URL}",status="200"}}'
        expected = counted(before, name) + 1  # once the last byte of the answer is on its way
        live_server.wait_until(lambda: counted(client.get("/metrics").text, name) == expected)
        after = client.get("/metrics").text
    name = 'asr_audio_seconds_total{kind="recording"}'
    assert counted(after, name) == counted(before, name) + 2
    assert counted(after, "asr_workers_ready ") == 1


@pytest.mark.parametrize("declared", [True, False])
def test_an_oversized_upload_is_refused_while_it_arrives(live_server: LiveServer, declared: bool) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    parts = [head, *([bytes(500_000)] * 4)]
    with live_server.client() as client:
        body = b"".join(parts) if declared else iter(parts)
        headers = {"content-type": "Multipart/Form-Data; boundary=x"}  # which is the same in small letters
        response = client.post(URL, content=body, headers=headers)
    assert response.status_code == 413
    assert response.json()["error"]["message"].startswith("the request is larger than 1 MB")


def test_a_full_disk_is_told_and_not_a_fault(
    live_server: LiveServer, tone: Path, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(file: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with live_server.client() as client:
        with monkeypatch.context() as full:
            full.setattr(tempfile.SpooledTemporaryFile, "rollover", fail)
            response = send(client, tone)
        assert response.status_code == 503
        assert response.headers["retry-after"] == "30"
        assert response.json()["error"]["message"] == "the server has no room for the file: No space left on device"
        assert send(client, tone).json()["text"] == expected


def test_a_connection_without_a_request_is_closed(live_server: LiveServer) -> None:
    host, port = live_server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.settimeout(2 * CONFIG.idle_timeout)
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\nX-Slow:")
        assert connection.recv(100) == b""


def test_a_port_that_is_taken_is_named() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ASRError, match=f"^cannot listen at 127.0.0.1:{port}: Address already in use; give another"):
            listen("127.0.0.1", port)
