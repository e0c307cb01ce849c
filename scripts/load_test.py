"""Load a server of its own: live streams beside uploads, broken requests, and a worker that is killed.

Prints what came of each part; the status is 1 if anything failed that must not. `python -m scripts.load_test --help`
shows how to make it smaller.
"""

import argparse
import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import numpy.typing as npt
from websockets.asyncio.client import connect

from asr.audio import load_audio
from asr.units import Seconds
from scripts.abuse import abuse
from scripts.serving import RunningServer, running_server

_SAMPLES = ("kitchen", "austen", "carroll", "melville", "train", "weather")
_RATE = 16_000
_MESSAGE: Seconds = 0.25  # of audio
_URL = "/v1/audio/transcriptions"
_HEALTH_LIMIT: Seconds = 0.05
_AT_ONCE = 16  # uploads
_LEAK = 40.0  # megabytes that a second round of abuse may add at most


@dataclass
class Measured:
    """What was measured.

    Attributes:
        statuses: Of uploads, by number.
        latencies: Of uploads that were answered, in seconds.
        delays: From the last sample of a stream to its last word, in seconds.
        health: Latencies of `/health`, in seconds.
        errors: What must not be.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[Seconds] = field(default_factory=list)
    delays: list[Seconds] = field(default_factory=list)
    health: list[Seconds] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="python -m scripts.load_test", description=__doc__)
    parser.add_argument("--streams", type=int, default=32, metavar="N", help="Live streams. Default: %(default)s.")
    parser.add_argument("--uploads", type=int, default=200, metavar="N", help="Recordings. Default: %(default)s.")
    parser.add_argument("--requests", type=int, default=1000, metavar="N", help="Broken ones. Default: %(default)s.")
    parser.add_argument("--seconds", type=float, default=20, metavar="S", help="Of a stream. Default: %(default)s.")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="Of the server. Default: %(default)s.")
    return parser


async def load(server: RunningServer, arguments: argparse.Namespace, measured: Measured) -> None:
    """Run streams and uploads side by side, and watch the health of the server."""
    audio = [prepare_stream(arguments.seconds, number) for number in range(arguments.streams)]
    watching = asyncio.create_task(watch_health(server.url, measured))
    streams = [run_stream(server.url, samples, number, measured) for number, samples in enumerate(audio)]
    await asyncio.gather(upload_all(server.url, arguments.uploads, measured), *streams)
    watching.cancel()


async def upload_all(url: str, count: int, measured: Measured) -> None:
    """Upload recordings, some at a time; one that is refused for a full queue is sent again when the server says."""
    turns = asyncio.Semaphore(_AT_ONCE)
    contents = [Path(f"data/samples/{name}.flac").read_bytes() for name in _SAMPLES]
    async with httpx.AsyncClient(base_url=url, timeout=600) as client:

        async def upload(number: int) -> None:
            name = _SAMPLES[number % len(_SAMPLES)]
            async with turns:
                start = time.monotonic()
                while True:
                    files = {"file": (f"{name}.flac", contents[number % len(_SAMPLES)])}
                    response = await client.post(_URL, files=files)
                    measured.statuses[response.status_code] += 1
                    if response.status_code != httpx.codes.TOO_MANY_REQUESTS:
                        break
                    await asyncio.sleep(float(response.headers["retry-after"]))
                measured.latencies.append(time.monotonic() - start)
                if response.status_code != httpx.codes.OK:
                    measured.errors.append(f"upload: {response.status_code} {response.text[:200]}")

        await asyncio.gather(*map(upload, range(count)))


def prepare_stream(duration: Seconds, number: int) -> npt.NDArray[np.int16]:
    """Repeat a sample for the length of a stream."""
    samples = (load_audio(f"data/samples/{_SAMPLES[number % len(_SAMPLES)]}.flac", _RATE) * 32767).astype("<i2")
    return np.resize(samples, round(duration * _RATE))


async def run_stream(url: str, samples: npt.NDArray[np.int16], number: int, measured: Measured) -> None:
    """Send audio in real time, and measure how long the end of it takes."""
    size = round(_MESSAGE * _RATE)
    await asyncio.sleep(number * _MESSAGE / 8)  # microphones do not start together
    async with connect(f"{url.replace('http', 'ws')}/stream", open_timeout=60, ping_interval=None) as websocket:
        await websocket.send(json.dumps({"type": "start", "sample_rate": _RATE}))
        reading = asyncio.create_task(read_stream(websocket, measured))
        start = time.monotonic()
        for index, position in enumerate(range(0, len(samples), size)):
            await asyncio.sleep(max(0.0, start + index * _MESSAGE - time.monotonic()))
            await websocket.send(samples[position : position + size].tobytes())
        await websocket.send('{"type": "end"}')
        await reading
        # From when it was due: a server that takes no more makes the client wait before it can send the end.
        measured.delays.append(time.monotonic() - start - index * _MESSAGE)


async def read_stream(websocket, measured: Measured) -> None:  # type: ignore[no-untyped-def]  # of websockets
    """Read what a stream gives, to its end."""
    kinds: Counter[str] = Counter()
    async for text in websocket:
        message = json.loads(text)
        kinds[message["type"]] += 1
        if message["type"] == "error":
            measured.errors.append(f"stream: {message['message']}")
    if not kinds["error"] and (not kinds["final"] or not kinds["done"]):
        measured.errors.append(f"stream: ended with {dict(kinds)}")


async def watch_health(url: str, measured: Measured) -> None:
    """Ask for the health of the server ten times a second."""
    with httpx.Client(base_url=url, timeout=60) as client:
        while True:
            # In a thread of its own: beside the streams, what was measured would be how busy this program is.
            duration, status = await asyncio.to_thread(ask_health, client)
            measured.health.append(duration)
            if status != httpx.codes.OK:
                measured.errors.append(f"health: {status}")
            await asyncio.sleep(0.1)


def ask_health(client: httpx.Client) -> tuple[Seconds, int]:
    """Ask once; the seconds that it took, and the status."""
    start = time.monotonic()
    status = client.get("/health").status_code
    return time.monotonic() - start, status


async def kill_worker(server: RunningServer, measured: Measured) -> Counter[int]:
    """Kill a worker while both work; only what it worked on may fail."""
    content = b"".join(Path(f"data/samples/{name}.flac").read_bytes() for name in _SAMPLES)  # 40 s, joined
    async with httpx.AsyncClient(base_url=server.url, timeout=600) as client:
        files = {"file": ("long.flac", content)}
        uploads = [asyncio.create_task(client.post(_URL, files=files)) for _ in range(8)]
        await asyncio.sleep(1.0)
        os.kill(server.workers()[0], signal.SIGKILL)
        responses = await asyncio.gather(*uploads)
        while (await client.get("/ready")).status_code != httpx.codes.OK:
            await asyncio.sleep(0.2)
        after = await client.post(_URL, files=files)
    statuses = Counter(response.status_code for response in responses)
    failed = [response for response in responses if response.status_code == httpx.codes.INTERNAL_SERVER_ERROR]
    if len(failed) > 1 or any("died" not in response.text for response in failed):
        measured.errors.append(f"kill: {[response.text[:200] for response in failed]}")
    if set(statuses) - {200, 500} or after.status_code != httpx.codes.OK:
        measured.errors.append(f"kill: {dict(statuses)}, and {after.status_code} after it")
    return statuses


async def check_abuse(server: RunningServer, count: int, measured: Measured) -> str:
    """Send broken requests in two rounds; the second may not take more memory or descriptors."""
    watching = asyncio.create_task(watch_health(server.url, measured))
    statuses: Counter[str] = Counter()
    marks = []
    for _ in range(2):
        statuses += await abuse(server.url, count // 2)
        await asyncio.sleep(3)
        marks.append((server.memory(), server.descriptors()))
    watching.cancel()
    (memory, descriptors), (memory_after, descriptors_after) = marks
    if memory_after - memory > _LEAK or descriptors_after - descriptors > 2:
        measured.errors.append(
            f"abuse: from {memory:.0f} MB and {descriptors} files to {memory_after:.0f} MB and "
            f"{descriptors_after} files"
        )
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        files = {"file": ("a.flac", Path("data/samples/weather.flac").read_bytes())}
        if (await client.post(_URL, files=files)).status_code != httpx.codes.OK:
            measured.errors.append("abuse: the server does not work after it")
    shown = ", ".join(f"{number} {name}" for name, number in statuses.most_common())
    return f"{shown}; {memory:.0f} to {memory_after:.0f} MB, {descriptors} to {descriptors_after} open files"


def show(values: Sequence[Seconds]) -> str:
    """Show how values are distributed."""
    if not values:
        return "none"
    middle, high, highest = np.percentile(values, [50, 95, 99])
    return f"p50 {middle:.3f} s, p95 {high:.3f} s, p99 {highest:.3f} s, max {max(values):.3f} s"


def main() -> int:
    """Run all parts."""
    arguments = build_parser().parse_args()
    measured, calm = Measured(), Measured()
    options = ["--workers", f"{arguments.workers}", "--max-streams", f"{max(1, arguments.streams)}"]
    with running_server(options) as server:
        before, start = server.cpu_time(), time.monotonic()
        asyncio.run(load(server, arguments, measured))
        used, duration = server.cpu_time() - before, time.monotonic() - start
        print(f"server: {used:.1f} s of CPU time in {duration:.1f} s")
        print(f"uploads: {dict(measured.statuses)}; {show(measured.latencies)}")
        print(f"streams: {len(measured.delays)}; end of speech to last word {show(measured.delays)}")
        print(f"health: {show(measured.health)}")
        print(f"killed worker: {dict(asyncio.run(kill_worker(server, measured)))}")
    with running_server([*options, "--idle-timeout", "2", "--max-upload", "1"]) as server:
        print(f"abuse: {asyncio.run(check_abuse(server, arguments.requests, calm))}")
        print(f"health: {show(calm.health)}")
    errors = measured.errors + calm.errors
    for error, number in Counter(errors).most_common(20):
        print(f"failed {number} times: {error}")
    late = sum(value > _HEALTH_LIMIT for value in measured.health)
    print(f"/health took more than {_HEALTH_LIMIT * 1000:.0f} ms in {late} of {len(measured.health)} requests")
    return 1 if errors else 0


if __name__ == "__main__":
    raise SystemExit(main())
