"""Who is let through to a route, and how much."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from asr.serving.gate import Gate
from asr.serving.metrics import Metrics
from asr.serving.settings import ServerConfig

CONFIG = ServerConfig(max_upload=0.001, idle_timeout=0.2, request_timeout=0.5)


async def count(scope: Scope, receive: Receive, send: Send) -> None:
    """Tell how long the body is, after as many seconds as the query says."""
    request = Request(scope, receive)
    body = await request.body()
    await asyncio.sleep(float(request.query_params.get("wait", "0")))
    await JSONResponse({"bytes": len(body)})(scope, receive, send)


def ask(
    config: ServerConfig = CONFIG,
    *,
    content: bytes | AsyncIterator[bytes] = b"",
    headers: Mapping[str, str] | None = None,
    query: str = "",
) -> httpx.Response:
    """Send one request through a gate."""

    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app=Gate(count, "/route", config, Metrics()))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            return await client.post(f"/route{query}", content=content, headers=headers)

    return asyncio.run(run())


def message_of(response: httpx.Response) -> Any:
    return response.json()["error"]["message"]


def test_a_request_within_the_limits_passes() -> None:
    assert ask(content=b"1234").json() == {"bytes": 4}


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_that_is_too_large_is_refused(declared: bool) -> None:
    async def blocks() -> AsyncIterator[bytes]:
        for _ in range(11):
            await asyncio.sleep(0)
            yield bytes(100)

    response = ask(content=bytes(1100) if declared else blocks())
    assert response.status_code == 413
    assert message_of(response) == "the request is larger than 0.001 MB; send less, or compress the recording"


def test_a_body_that_stops_coming_is_given_up() -> None:
    async def blocks() -> AsyncIterator[bytes]:
        yield b"1"
        await asyncio.sleep(1)
        yield b"2"

    response = ask(content=blocks())
    assert (response.status_code, message_of(response)) == (408, "nothing came for 0.2 s; send the request again")


def test_work_that_takes_too_long_is_given_up() -> None:
    response = ask(query="?wait=5")
    assert (response.status_code, response.json()["error"]["code"]) == (504, "timeout")


KEYED = replace(CONFIG, api_key="secret")


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "the API key is missing; send it as 'Authorization: Bearer KEY'"),
        ({"authorization": "Bearer guess"}, "the API key is wrong; send it as 'Authorization: Bearer KEY'"),
        ({"authorization": "Bearer sécret"}, "the API key is wrong; send it as 'Authorization: Bearer KEY'"),
        ({"authorization": "Basic secret"}, "the API key is missing; send it as 'Authorization: Bearer KEY'"),
    ],
)
def test_without_the_key_nobody_passes(headers: dict[str, str], message: str) -> None:
    response = ask(KEYED, headers={name: value.encode() for name, value in headers.items()})  # type: ignore[misc]
    assert (response.status_code, message_of(response)) == (401, message)
    assert response.headers["www-authenticate"] == "Bearer"


def test_with_the_key_a_client_passes() -> None:
    assert ask(KEYED, headers={"authorization": "bearer secret"}).status_code == 200


@pytest.mark.parametrize(
    ("config", "origin", "host", "status"),
    [
        (CONFIG, "http://127.0.0.1:8000", "127.0.0.1:8000", 200),  # the page of this server
        (CONFIG, "http://localhost:8000", "localhost:8000", 200),
        (CONFIG, "https://example.org", "127.0.0.1:8000", 403),  # a page from elsewhere
        (CONFIG, "http://evil.example:8000", "evil.example:8000", 403),  # a name that leads here
        (CONFIG, "null", "127.0.0.1:8000", 403),  # a file, or a sandbox
        (replace(CONFIG, origins=("https://example.org",)), "https://example.org", "127.0.0.1:8000", 200),
        (replace(CONFIG, origins=("https://example.org",)), "http://example.org", "127.0.0.1:8000", 403),
        (KEYED, "http://asr.example:8000", "asr.example:8000", 200),  # who knows the key is no stranger
    ],
)
def test_pages_of_other_servers_do_not_pass(config: ServerConfig, origin: str, host: str, status: int) -> None:
    headers = {"origin": origin, "host": host, "authorization": "Bearer secret"}
    assert ask(config, headers=headers).status_code == status
