"""Let the clients of other services talk to a server: OpenAI's for Python and Node, Vosk's, and Wyoming's.

Needs the extra `clients`, and for Node a folder with `npm install openai` that `--node DIR` names.
"""

import argparse
import asyncio
import base64
import os
import socket
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import openai
from vosk.transcriber.transcriber import Transcriber
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.info import Describe, Info

from asr.audio import load_audio
from scripts.serving import running_server

_SAMPLE = Path("data/samples/kitchen.flac")
_TEXT = "i left the keys on the kitchen table next to a cup of coffee"
_HOT_WORDS = ["keys:6"]
_KEY = "a-key-for-this-run"
_RATE = 16_000
_REALTIME_RATE = 24_000
_BLOCK = 8_000  # bytes


def check_openai(url: str) -> None:
    """Use every part of OpenAI's API that is served."""
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=_KEY, max_retries=0)
    ask: Any = client.audio.transcriptions.create
    options = {"model": "whisper-1", "extra_body": {"keywords": _HOT_WORDS}}

    def transcribe(**more: Any) -> Any:
        with _SAMPLE.open("rb") as file:
            return ask(file=file, **options, **more)

    require("openai json", transcribe().text, _TEXT)
    require("openai text", transcribe(response_format="text"), f"{_TEXT}\n")
    for form, start in (("srt", "1\n00:00:00,"), ("vtt", "WEBVTT\n\n00:00:00.")):
        require(f"openai {form}", transcribe(response_format=form)[: len(start)], start)
    verbose = transcribe(response_format="verbose_json", timestamp_granularities=["word", "segment"])
    require("openai words", [word.word for word in verbose.words], _TEXT.split())
    require("openai segments", " ".join(segment.text for segment in verbose.segments), _TEXT)
    events = list(transcribe(stream=True))
    require("openai deltas", "".join(event.delta for event in events[:-1]), _TEXT)
    require("openai done", (events[-1].type, events[-1].text), ("transcript.text.done", _TEXT))
    require("openai models", [model.id for model in client.models.list()], ["english", "whisper-1"])
    expect_error("openai parameter", openai.BadRequestError, "temperature", lambda: transcribe(temperature=0.7))
    expect_error("openai audio", openai.BadRequestError, "not audio", lambda: ask(file=b"text", model="whisper-1"))
    options["model"] = "gpt-9"
    expect_error("openai model", openai.NotFoundError, "there is no model 'gpt-9'", transcribe)
    other = openai.OpenAI(base_url=f"{url}/v1", api_key="wrong", max_retries=0)
    expect_error("openai key", openai.AuthenticationError, "the API key is wrong", other.models.list)


async def check_realtime(url: str) -> None:
    """Hold a realtime session."""
    client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=_KEY)
    samples = (load_audio(_SAMPLE, _REALTIME_RATE) * 32767).astype("<i2").tobytes()
    text, deltas = "", ""
    async with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        audio: Any = {
            "input": {
                "format": {"type": "audio/pcm", "rate": _REALTIME_RATE},
                "transcription": {"model": "whisper-1", "prompt": "keys"},
                "turn_detection": None,
            }
        }
        await connection.session.update(session={"type": "transcription", "audio": audio})
        for start in range(0, len(samples), _BLOCK):
            audio_text = base64.b64encode(samples[start : start + _BLOCK]).decode()
            await connection.input_audio_buffer.append(audio=audio_text)
        await connection.input_audio_buffer.commit()
        async for event in connection:
            if event.type == "conversation.item.input_audio_transcription.delta":
                deltas += event.delta or ""
            elif event.type == "conversation.item.input_audio_transcription.completed":
                text = event.transcript
                break
            elif event.type == "error":
                raise AssertionError(event)
    require("openai realtime", text, _TEXT)
    require("openai realtime, words before the end", bool(deltas.split()), True)


async def check_vosk(url: str) -> None:
    """Stream with the client class of Vosk, without its model."""
    client = Transcriber.__new__(Transcriber)
    client.args = SimpleNamespace(server=f"{url.replace('http', 'ws')}/vosk", output_type="txt")
    samples = (load_audio(_SAMPLE, _RATE) * 32767).astype("<i2").tobytes()
    reader = asyncio.StreamReader()
    reader.feed_data(samples)
    reader.feed_eof()
    result, total = await client.recognize_stream_server(SimpleNamespace(stdout=reader))
    text = " ".join(client.format_result(result).split())
    require("vosk", text, _TEXT)
    require("vosk bytes", total, len(samples))


async def check_wyoming(port: int) -> None:
    """Describe and transcribe with the client of Wyoming."""
    samples = (load_audio(_SAMPLE, _RATE) * 32767).astype("<i2").tobytes()
    form = {"rate": _RATE, "width": 2, "channels": 1}
    async with AsyncTcpClient("127.0.0.1", port) as client:
        await client.write_event(Describe().event())
        info = Info.from_event(await next_event(client, Info))
        require("wyoming info", [model.name for program in info.asr for model in program.models], ["english"])
        await client.write_event(Transcribe(language="en", transcript_names=["keys:6"]).event())
        await client.write_event(AudioStart(**form).event())
        for start in range(0, len(samples), _BLOCK):
            await client.write_event(AudioChunk(audio=samples[start : start + _BLOCK], **form).event())
        await client.write_event(AudioStop().event())
        require("wyoming transcript", Transcript.from_event(await next_event(client, Transcript)).text, _TEXT)


async def next_event(client: AsyncTcpClient, kind: Any) -> Any:
    """Read on to an event of some kind."""
    while True:
        event = await asyncio.wait_for(client.read_event(), 60)
        if event is None or event.type == "error":
            raise AssertionError(f"the server sent {event}")
        if kind.is_type(event.type):
            return event


def check_node(url: str, folder: Path) -> None:
    """Use OpenAI's client for Node."""
    script = Path("scripts/check_openai.mjs").resolve()
    environment = {**os.environ, "OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": _KEY}
    command = ["node", str(script), str(folder.resolve()), str(_SAMPLE.resolve()), _TEXT]
    subprocess.run(command, env=environment, check=True)
    print("openai for Node: as expected")


def require(name: str, found: Any, expected: Any) -> None:
    """Compare, and say so."""
    if found != expected:
        raise AssertionError(f"{name}: {found!r}; expected {expected!r}")
    print(f"{name}: as expected")


def expect_error(name: str, kind: type[Exception], message: str, action: Any) -> None:
    """Require an error of some type with some text."""
    try:
        action()
    except kind as error:
        require(name, message in str(error), True)
    else:
        raise AssertionError(f"{name}: no {kind.__name__}")


def main() -> None:
    """Start a server and let each client talk to it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--node", type=Path, metavar="DIR", help="Folder with node_modules/openai. Default: no Node.")
    arguments = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with running_server(["--workers", "1", "--wyoming-port", str(port), "--api-key", _KEY]) as server:
        check_openai(server.url)
        if arguments.node:
            check_node(server.url, arguments.node)
        asyncio.run(check_realtime(server.url))
        asyncio.run(check_wyoming(port))
    with running_server(["--workers", "1"]) as server:  # the client of Vosk has no key
        asyncio.run(check_vosk(server.url))


if __name__ == "__main__":
    main()
