"""Live streams in each protocol, over real connections."""

import asyncio
import base64
import json
import logging
import socket
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from asr.recognition.streaming import FinalResult, StreamingRecognizer
from tests.serving.conftest import CONFIG, SMALL_BUFFER, LiveServer, open_recognizer, running

RATE = 16_000


@pytest.fixture(scope="module")
def samples() -> bytes:
    """Four seconds of a rising tone, as 16-bit samples."""
    times = np.arange(4 * RATE) / RATE
    tone = 0.3 * np.sin(2 * np.pi * 300 * (1 + times / 2) * times)
    return (tone * 32767).astype("<i2").tobytes()


@pytest.fixture(scope="module")
def expected(model_folder: Path, samples: bytes) -> str:
    """The finals that the library gives."""
    stream = StreamingRecognizer(open_recognizer(model_folder))
    results = [*stream.accept(np.frombuffer(samples, "<i2")), *stream.finish()]
    text = " ".join(result.text for result in results if isinstance(result, FinalResult))
    assert text
    return text


@contextmanager
def connected(server: LiveServer, path: str) -> Generator[ClientConnection]:
    with connect(f"{server.url.replace('http', 'ws')}{path}", open_timeout=20) as websocket:
        yield websocket


def receive(websocket: ClientConnection) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(websocket.recv(20))
    return found


def send(websocket: ClientConnection, **fields: Any) -> None:
    websocket.send(json.dumps(fields))


@pytest.mark.parametrize("path", ["/", "/asr", "/v1/models"])
def test_a_stream_to_another_address_is_refused_by_name(
    path: str, live_server: LiveServer, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(InvalidStatus) as refused, connected(live_server, path):
        pass
    assert refused.value.response.status_code == 404
    message = json.loads(refused.value.response.body)["error"]["message"]
    assert message == f"{path}: no stream is taken here; connect to /stream, /v1/realtime or /vosk"
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def pieces(samples: bytes, size: int = 16_000) -> list[bytes]:
    return [samples[start : start + size] for start in range(0, len(samples), size)]


def test_a_stream_gives_partial_and_final_results(live_server: LiveServer, samples: bytes, expected: str) -> None:
    with connected(live_server, "/stream") as websocket:
        send(websocket, type="start", sample_rate=RATE, encoding="pcm_s16le")
        assert receive(websocket) == {"type": "ready"}
        for piece in pieces(samples):
            websocket.send(piece)
        send(websocket, type="end")
        messages = [json.loads(message) for message in websocket]
    assert messages[-1] == {"type": "done"}
    finals = [message for message in messages if message["type"] == "final"]
    assert " ".join(message["text"] for message in finals) == expected
    assert all(0 <= word["start"] <= word["end"] <= 4 for message in finals for word in message["words"])
    partials = [message for message in messages if message["type"] == "partial"]
    assert partials
    for each in partials:
        text = " ".join(word["text"] for word in each["words"])
        assert " ".join(filter(None, [each["committed"], each["tail"]])) == text


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("hello", "'hello' is no JSON object"),
        (b"1234", "4 bytes came where a JSON object was expected"),
        ('{"type": "end"}', "the first message has the type 'end'; expected 'start'"),
        ('{"type": "start", "rate": 1}', "the parameter 'rate' is not served; leave it out"),
        ('{"type": "start", "sample_rate": 5}', "sample_rate is 5; expected a whole number from 8000 to 96000"),
        ('{"type": "start", "encoding": "mp3"}', "encoding 'mp3' is not served; expected pcm_s16le or pcm_f32le"),
        ('{"type": "start", "hot_words": [1]}', "hot_words is no list of texts such as 'anna:5'"),
    ],
)
def test_a_wrong_start_is_told_and_ends_the_stream(
    live_server: LiveServer, message: str | bytes, expected: str
) -> None:
    with connected(live_server, "/stream") as websocket:
        websocket.send(message)
        error = receive(websocket)
        with pytest.raises(ConnectionClosed):
            websocket.recv(20)
    assert (error["type"], error["message"]) == ("error", expected)


def test_half_a_sample_is_told(live_server: LiveServer) -> None:
    with connected(live_server, "/stream") as websocket:
        send(websocket, type="start")
        receive(websocket)
        websocket.send(b"123")
        error = receive(websocket)
    assert error["message"] == "a message has 3 bytes; expected whole samples of 2 bytes each"


def test_a_silent_client_is_given_up(live_server: LiveServer) -> None:
    with connected(live_server, "/stream") as websocket:
        send(websocket, type="start")
        receive(websocket)
        assert receive(websocket)["code"] == "idle_timeout"


def test_streams_are_limited_and_their_places_come_free(live_server: LiveServer) -> None:
    with connected(live_server, "/stream") as first, connected(live_server, "/stream") as second:
        for websocket in (first, second):
            send(websocket, type="start")
            assert receive(websocket) == {"type": "ready"}
        with connected(live_server, "/stream") as third:
            send(third, type="start")
            error = receive(third)
            assert error["code"] == "too_many_streams"
            assert error["message"].startswith(f"{CONFIG.max_streams} live streams are open")
        first.close()
        second.close()
    live_server.wait_until(lambda: live_server.pool.num_streams == 0)


def test_a_client_that_stops_reading_is_given_up_and_holds_up_no_other(
    live_server: LiveServer, samples: bytes, expected: str
) -> None:
    address = urlsplit(live_server.url)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        connection.connect((address.hostname, address.port))
        with connect(f"ws://{address.netloc}/stream", sock=connection, max_queue=1) as websocket:
            send(websocket, type="start")
            with ThreadPoolExecutor(1) as pool:
                flooding = pool.submit(flood, websocket, samples)
                live_server.wait_until(lambda: live_server.pool.num_streams == 1)
                assert finals_of(live_server, samples) == expected
                assert isinstance(flooding.exception(60), ConnectionClosed)
            live_server.wait_until(lambda: live_server.pool.num_streams == 0)


def flood(websocket: ClientConnection, samples: bytes) -> None:
    """Send samples without an end."""
    while True:
        websocket.send(samples)


def finals_of(server: LiveServer, samples: bytes) -> str:
    """Stream samples, and return the text of the final results."""
    with connected(server, "/stream") as websocket:
        send(websocket, type="start")
        for piece in pieces(samples):
            websocket.send(piece)
        send(websocket, type="end")
        messages = map(json.loads, websocket)
        return " ".join(message["text"] for message in messages if message["type"] == "final")


def test_a_shutdown_finishes_the_streams_that_run(model_folder: Path, samples: bytes) -> None:
    stream = StreamingRecognizer(open_recognizer(model_folder))
    half = len(samples) // 4 * 2
    results = [*stream.accept(np.frombuffer(samples[:half], "<i2")), *stream.finish()]
    expected = " ".join(result.text for result in results if isinstance(result, FinalResult))
    with running(model_folder) as server, connected(server, "/stream") as websocket:
        send(websocket, type="start")
        assert receive(websocket) == {"type": "ready"}
        websocket.send(samples[:half])
        messages = [receive(websocket)]  # the samples have come
        server.stop()
        messages += map(json.loads, iterate(websocket))
        assert messages[-1] == {"type": "done"}
        assert " ".join(message["text"] for message in messages if message["type"] == "final") == expected != ""
        assert websocket.close_code == 1001  # going away


def test_streams_and_requests_share_the_time_of_a_shutdown(model_folder: Path, samples: bytes) -> None:
    config = replace(CONFIG, shutdown_timeout=6)
    head = (
        b"POST /inspect HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 999\r\n"
    )
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    with running(model_folder, config) as server, connected(server, "/stream") as websocket:
        send(websocket, type="start")
        assert receive(websocket) == {"type": "ready"}
        address = urlsplit(server.url)
        with socket.create_connection((address.hostname, address.port), 20) as upload, ThreadPoolExecutor(2) as pool:
            upload.sendall(head + b"\r\n" + part)
            flooding, dripping = pool.submit(flood, websocket, samples), pool.submit(drip, upload)
            server.stop()
            start = time.monotonic()
            messages = list(map(json.loads, iterate(websocket)))
            assert isinstance(flooding.exception(20), ConnectionClosed)
            assert isinstance(dripping.exception(20), OSError)
            assert time.monotonic() - start < 8
    assert messages[-1] == {"type": "done"}


def test_a_request_that_a_shutdown_cuts_off_is_told(model_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    head = (
        b"POST /inspect HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 999\r\n"
    )
    with running(model_folder, replace(CONFIG, shutdown_timeout=1)) as server:
        address = urlsplit(server.url)
        with socket.create_connection((address.hostname, address.port), 20) as upload:
            upload.sendall(head + b"\r\n--b")
            time.sleep(0.2)  # until the request has come
            server.stop()
            with upload.makefile("rb") as file:
                answer = file.read()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "stopping"
    assert not [record for record in caplog.records if record.exc_info]


def drip(connection: socket.socket) -> None:
    """Send the body of a request without an end."""
    while True:
        connection.sendall(b"a")
        time.sleep(0.1)


def iterate(websocket: ClientConnection) -> Iterator[str | bytes]:
    """Read to the end of a connection, however it ends."""
    with suppress(ConnectionClosed):
        while True:
            yield websocket.recv(20)


def test_two_streams_at_once_do_not_mix(live_server: LiveServer, samples: bytes, expected: str) -> None:
    with connected(live_server, "/stream") as first, connected(live_server, "/stream") as second:
        send(first, type="start")
        send(second, type="start", hot_words=["a:900"])
        for piece in pieces(samples):
            first.send(piece)
            second.send(bytes(len(piece)))
        send(first, type="end")
        send(second, type="end")
        texts = [
            " ".join(message["text"] for message in map(json.loads, websocket) if message["type"] == "final")
            for websocket in (first, second)
        ]
    assert texts[0] == expected
    assert texts[1] != expected


def test_vosk_gets_one_reply_for_each_message(live_server: LiveServer, samples: bytes, expected: str) -> None:
    with connected(live_server, "/vosk") as websocket:
        websocket.send('{ "config" : { "sample_rate" : "16000" } }')
        replies = []
        for piece in pieces(samples):
            websocket.send(piece)
            replies.append(receive(websocket))
        websocket.send('{"eof" : 1}')
        replies.append(receive(websocket))
    finals = [reply for reply in replies if "text" in reply]
    assert " ".join(reply["text"] for reply in finals if reply["text"]) == expected
    assert all(("partial" in reply) != ("text" in reply) for reply in replies)
    assert {"conf", "end", "start", "word"} == set(finals[0]["result"][0])


def test_a_client_ahead_of_the_server_gets_the_same_text(
    live_server: LiveServer, samples: bytes, expected: str
) -> None:
    parts = pieces(samples, 3_200)
    with connected(live_server, "/stream") as websocket, connected(live_server, "/vosk") as vosk:
        send(websocket, type="start")
        send(vosk, config={"sample_rate": RATE})
        for part in parts:
            websocket.send(part)
            vosk.send(part)
        send(websocket, type="end")
        send(vosk, eof=1)
        messages = list(map(json.loads, websocket))
        replies = [receive(vosk) for _ in range(len(parts) + 1)]
    assert " ".join(message["text"] for message in messages if message["type"] == "final") == expected
    assert " ".join(reply["text"] for reply in replies if reply.get("text")) == expected


def test_half_a_sample_after_others_is_told_once_they_are_recognised(live_server: LiveServer, samples: bytes) -> None:
    with connected(live_server, "/stream") as websocket:
        send(websocket, type="start")
        for part in [*pieces(samples, 3_200), b"123", bytes(3_200)]:
            websocket.send(part)
        messages = []
        with suppress(ConnectionClosed):
            while True:
                messages.append(receive(websocket))
    assert messages[-1]["message"] == "a message has 3 bytes; expected whole samples of 2 bytes each"
    assert any(message["type"] == "partial" for message in messages)


def test_vosk_is_told_by_the_reason_of_the_close(live_server: LiveServer) -> None:
    with connected(live_server, "/vosk") as websocket:
        send(websocket, config={"max_alternatives": 3})
        with pytest.raises(ConnectionClosed, match="max_alternatives is not served"):
            websocket.recv(20)


def test_a_vosk_config_after_samples_may_change_words_alone(live_server: LiveServer, samples: bytes) -> None:
    with connected(live_server, "/vosk") as websocket:
        send(websocket, config={"sample_rate": RATE})
        first, *others = pieces(samples)
        websocket.send(first)
        receive(websocket)
        send(websocket, config={"words": False})
        for piece in others:
            websocket.send(piece)
            receive(websocket)
        send(websocket, config={"sample_rate": 8_000})
        with pytest.raises(ConnectionClosed, match="changes sample_rate or phrase_list; expected it before samples"):
            websocket.recv(20)
    with connected(live_server, "/vosk") as websocket:
        send(websocket, config={"sample_rate": RATE})
        websocket.send(samples)
        receive(websocket)
        send(websocket, config={"words": False})
        send(websocket, eof=1)
        assert set(receive(websocket)) == {"text"}


def append(websocket: ClientConnection, samples: bytes) -> None:
    send(websocket, type="input_audio_buffer.append", audio=base64.b64encode(samples).decode())


def test_a_realtime_session_transcribes_what_is_committed(
    live_server: LiveServer, samples: bytes, expected: str
) -> None:
    with connected(live_server, "/v1/realtime?intent=transcription") as websocket:
        assert receive(websocket)["type"] == "session.created"
        audio = {"format": {"type": "audio/pcm", "rate": RATE}, "turn_detection": None}
        send(websocket, type="session.update", session={"type": "transcription", "audio": {"input": audio}})
        updated = receive(websocket)
        assert updated["type"] == "session.updated"
        assert updated["session"]["audio"]["input"]["format"] == audio["format"]
        for piece in pieces(samples):
            append(websocket, piece)
        send(websocket, type="input_audio_buffer.commit")
        events: list[dict[str, Any]] = []
        while not events or not events[-1]["type"].endswith("completed"):
            events.append(receive(websocket))
        send(websocket, type="input_audio_buffer.commit")
        empty = receive(websocket)
    assert events[-1]["transcript"] == expected
    assert events[-1]["usage"] == {"type": "duration", "seconds": 4}
    assert [event["type"] for event in events[-2:-1]] == ["input_audio_buffer.committed"]
    assert {event["item_id"] for event in events} == {"item_0"}
    assert empty["error"]["code"] == "input_audio_buffer_commit_empty"


def test_the_words_of_audio_that_is_cleared_stay_apart_from_those_that_follow(
    live_server: LiveServer, samples: bytes
) -> None:
    def receive_up_to(kind: str) -> list[dict[str, Any]]:
        events = [receive(websocket)]
        while not events[-1]["type"].endswith(kind):
            events.append(receive(websocket))
        return events

    with connected(live_server, "/v1/realtime") as websocket:
        audio = {"format": {"type": "audio/pcm", "rate": RATE}, "turn_detection": None}
        send(websocket, type="session.update", session={"type": "transcription", "audio": {"input": audio}})
        append(websocket, samples)
        assert receive_up_to("delta")[-1]["item_id"] == "item_0"
        send(websocket, type="input_audio_buffer.clear")
        receive_up_to("cleared")
        append(websocket, samples)
        send(websocket, type="input_audio_buffer.commit")
        events = receive_up_to("completed")
    assert {event["item_id"] for event in events} == {"item_1"}
    assert [event["previous_item_id"] for event in events if event["type"].endswith("committed")] == [None]


def test_half_a_character_of_a_client_goes_back_as_it_came(live_server: LiveServer) -> None:
    with connected(live_server, "/v1/realtime") as websocket:
        receive(websocket)
        send(websocket, type="none", event_id="\ud800")
        assert receive(websocket)["error"]["event_id"] == "\ud800"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"type": "response.create"}, "messages of the type 'response.create' are not served"),
        ({"type": []}, "messages of the type [] are not served"),
        ({"type": "input_audio_buffer.append", "audio": "?"}, "audio is no text in base64"),
        ({"type": "session.update", "session": {"type": "realtime"}}, "sessions of the type 'realtime' are not served"),
        (
            {"type": "session.update", "session": {"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}}},
            "turn_detection of the type 'semantic_vad' is not served",
        ),
        (
            {"type": "transcription_session.update", "session": {"input_audio_format": "g711_ulaw"}},
            "the format 'g711_ulaw' is not served",
        ),
        *(
            (
                {"type": "session.update", "session": {"turn_detection": {"silence_duration_ms": silence}}},
                f"silence_duration_ms is {silence}; expected a number from 100 to 10000",
            )
            for silence in (50, float("nan"), float("inf"))
        ),
    ],
)
def test_a_realtime_session_goes_on_after_what_is_not_served(
    live_server: LiveServer, fields: dict[str, Any], expected: str
) -> None:
    with connected(live_server, "/v1/realtime") as websocket:
        receive(websocket)
        send(websocket, event_id="mine", **fields)
        error = receive(websocket)
        send(websocket, type="input_audio_buffer.clear")
        assert receive(websocket)["type"] == "input_audio_buffer.cleared"
    assert error["type"] == "error"
    assert error["error"]["message"].startswith(expected)
    assert error["error"]["event_id"] == "mine"


def wyoming_event(kind: str, data: dict[str, Any] | None = None, payload: bytes = b"") -> bytes:
    body = json.dumps(data or {}).encode()
    head = {"type": kind, "data_length": len(body), "payload_length": len(payload)}
    return json.dumps(head).encode() + b"\n" + body + payload


def read_wyoming(connection: socket.socket) -> list[tuple[str, dict[str, Any]]]:
    events = []
    with connection.makefile("rb") as file:
        while line := file.readline():
            head = json.loads(line)
            events.append((head["type"], json.loads(file.read(head["data_length"]))))
    return events


def talk_wyoming(server: LiveServer, *events: bytes) -> list[tuple[str, dict[str, Any]]]:
    """Send events and half-close; return what came back."""
    with socket.create_connection(server.wyoming, 20) as connection:
        connection.sendall(b"".join(events))
        connection.shutdown(socket.SHUT_WR)
        return read_wyoming(connection)


def test_wyoming_transcribes(live_server: LiveServer, samples: bytes, expected: str) -> None:
    form = {"rate": RATE, "width": 2, "channels": 1}
    chunks = [wyoming_event("audio-chunk", form, piece) for piece in pieces(samples)]
    start, stop = wyoming_event("audio-start", form), wyoming_event("audio-stop")
    events = talk_wyoming(live_server, wyoming_event("transcribe"), start, *chunks, stop)
    assert dict(events)["transcript"] == {"text": expected}
    assert "".join(data["text"] for kind, data in events if kind == "transcript-chunk") == expected
    assert [kind for kind, _ in events if kind != "transcript-chunk"] == [
        "transcript-start",
        "transcript",
        "transcript-stop",
    ]


def test_wyoming_forgets_a_recording_that_was_not_ended(live_server: LiveServer, samples: bytes, expected: str) -> None:
    form = {"rate": RATE, "width": 2, "channels": 1}
    start, stop = wyoming_event("audio-start", form), wyoming_event("audio-stop")
    long = wyoming_event("audio-chunk", form, samples * 6)  # longer than a segment may be
    names = wyoming_event("transcribe", {"transcript_names": None, "language": None})
    events = talk_wyoming(live_server, start, long, names, start, wyoming_event("audio-chunk", form, samples), stop)
    assert [kind for kind, _ in events[:3]] == ["transcript-start", "transcript-chunk", "transcript-start"]
    assert dict(events)["transcript"] == {"text": expected}


def test_a_wyoming_client_that_goes_on_sending_reads_what_was_wrong(live_server: LiveServer) -> None:
    async def talk() -> bytes:
        reader, writer = await asyncio.open_connection(*live_server.wyoming)
        writer.write(b"garbage\n" + bytes(2**23))
        try:
            return await reader.read()
        finally:
            writer.transport.abort()

    assert b"what came is no event of the Wyoming protocol" in asyncio.run(asyncio.wait_for(talk(), 20))


def test_wyoming_names_that_cannot_be_spelled_have_no_effect(
    live_server: LiveServer, samples: bytes, expected: str
) -> None:
    form = {"rate": RATE, "width": 2, "channels": 1}
    request = wyoming_event("transcribe", {"transcript_names": ["R2D2", "東京"]})
    chunk = wyoming_event("audio-chunk", form, samples)
    events = talk_wyoming(live_server, request, wyoming_event("audio-start", form), chunk, wyoming_event("audio-stop"))
    assert dict(events)["transcript"] == {"text": expected}


def test_wyoming_chunks_of_another_form_are_refused(live_server: LiveServer, samples: bytes) -> None:
    form = {"rate": RATE, "width": 2, "channels": 1}
    chunks = [wyoming_event("audio-chunk", form | {"rate": rate}, samples[:3_200]) for rate in (RATE, RATE, 8_000)]
    events = talk_wyoming(live_server, wyoming_event("audio-start", form), *chunks)
    assert events[-1][1]["text"].startswith("audio-chunk says {'rate': 8000, 'width': 2, 'channels': 1}; expected")


def test_wyoming_describes_itself(live_server: LiveServer) -> None:
    [(kind, data), pong] = talk_wyoming(
        live_server, wyoming_event("describe"), wyoming_event("ping", {"text": "\ud800"})
    )
    assert kind == "info"
    assert data["asr"][0]["models"][0]["name"] == "tiny"
    assert pong == ("pong", {"text": "\ud800"})  # half a character


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"GET / HTTP/1.1\r\n", "what came is no event of the Wyoming protocol"),
        (b"[" * 70_000 + b"\n", "what came is no event of the Wyoming protocol"),
        (b'{"type": "ping", "payload_length": 99999999}\n', "an event has 99999999 bytes; expected at most 4194304"),
        (b'{"type": "ping", "data_length": -1}\n', "an event has -1 bytes; expected at most 4194304"),
        (
            wyoming_event("transcribe", {"transcript_terms": "anna"})
            + wyoming_event("audio-start", {"rate": RATE, "width": 2, "channels": 1}),
            "transcript_terms is 'anna'; expected a list of texts",
        ),
        (wyoming_event("audio-stop"), "audio-stop came without audio-start"),
        (
            wyoming_event("audio-start", {"rate": RATE, "width": 4, "channels": 2}),
            "the audio has 4 bytes a sample and 2 channels; expected 2 and 1",
        ),
    ],
)
def test_wyoming_tells_what_is_wrong(live_server: LiveServer, sent: bytes, expected: str) -> None:
    [(kind, data)] = talk_wyoming(live_server, sent)
    assert (kind, data["text"]) == ("error", expected)
