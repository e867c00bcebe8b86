"""WebSockets by a connection: opened where a request may go, with its credential, and nothing but frames after that."""

import asyncio
import base64
import hashlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from freehold.gateway.egress import websocket
from tests.gateways import TENANT
from tests.outside import certified
from tests.relaying import TOKEN, Bench, relaying

ASK = (
    "GET /egress/shop/items HTTP/1.1\r\nHost: box\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Other:
    """A server that speaks WebSocket, and what it was asked."""

    def __init__(self) -> None:
        self.heard: list[web.Request] = []
        self.port = 0

    async def echo(self, request: web.Request) -> web.StreamResponse:
        """Say everything again, and at the beginning the credential that was shown."""
        self.heard.append(request)
        made = web.WebSocketResponse(protocols=["chat"])
        await made.prepare(request)
        await made.send_str(request.headers.get("Authorization", ""))
        async for message in made:
            await made.send_bytes(message.data) if message.type is aiohttp.WSMsgType.BINARY else await made.send_str(
                message.data
            )
        return made


@asynccontextmanager
async def speaking(data: Path, tls: ssl.SSLContext | None = None, **more: Any) -> AsyncIterator[tuple[Bench, Other]]:
    """Give a box with a connection to a server that speaks WebSocket, behind `tls` if there is one."""
    other, app = Other(), web.Application()
    app.router.add_get("/v2/items", other.echo)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    other.port = runner.addresses[0][1]
    try:
        base = f"{'https' if tls else 'http'}://127.0.0.1:{other.port}/v2"
        async with relaying(data, config={"base_url": base}, **more) as bench:
            yield bench, other
    finally:
        await runner.cleanup()


async def test_messages_go_both_ways_and_the_credential_stays_out(tmp_path: Path) -> None:
    async with speaking(tmp_path / "data") as (bench, other), bench.session() as session:
        headers = {"Authorization": "Bearer own", "X-Api-Key": "own", "Origin": "http://evil.example", "X-Note": "n"}
        async with session.ws_connect(
            "http://box/egress/shop/items?page=2", headers=headers, protocols=["chat"], compress=15
        ) as opened:
            assert opened.protocol == "chat"
            assert opened.compress == 0
            first = await opened.receive_str()
            assert (len(first), TOKEN in first) == (len(f"Bearer {TOKEN}"), False)
            for size in (5, 125, 126, 70_000):
                await opened.send_bytes(b"x" * size)
                assert await opened.receive_bytes() == b"x" * size
            await opened.send_str(f"my {TOKEN}")
            assert await opened.receive_str() == "my " + "*" * len(TOKEN)
        (request,) = other.heard
        assert request.path_qs == "/v2/items?page=2"
        assert request.headers.getall("Authorization") == [f"Bearer {TOKEN}"]
        assert request.headers["Host"] == f"127.0.0.1:{other.port}"
        assert not {"X-Api-Key", "Origin", "Sec-WebSocket-Extensions"} & set(request.headers)
        (closed,) = await bench.record("egress.closed")
        assert closed["detail"]["status"] == 101
        assert closed["detail"]["bytes_in"] > 70_000
        assert len([link for link in await bench.kit.web.audit(TENANT) if link["action"] == "egress.open"]) == 1


@pytest.mark.parametrize("believed", [True, False])
async def test_a_server_behind_tls_must_show_who_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, believed: bool
) -> None:
    context, ca = certified(tmp_path / "certified", "127.0.0.1" if believed else "other.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    monkeypatch.setattr(websocket, "_believed", ssl.create_default_context)  # which is read once per process
    async with speaking(tmp_path / "data", context) as (bench, other), bench.session() as session:
        if not believed:
            assert await _status(bench, ASK + "\r\n") == (502, "server_unreachable")
            assert other.heard == []
            return
        async with session.ws_connect("http://box/egress/shop/items") as opened:
            await opened.receive_str()
            await opened.send_bytes(b"x" * 300_000)
            assert await opened.receive_bytes() == b"x" * 300_000


async def _status(bench: Bench, said: str) -> tuple[int, str]:
    heard = await bench.raw(said.encode())
    head, _, body = heard.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["code"]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        (("/egress/shop/items", "/egress/shop/admin"), 403, "path_refused"),
        (("/egress/shop/items", "/egress/shop/items/../admin"), 422, "bad_path"),
        (("/egress/shop/items", "/egress/none/items"), 403, "not_granted"),
        (("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8"), 400, "bad_request"),
        (("AAAAAAAAAAAAAAAAAAAAAA==", "short"), 400, "bad_request"),
        (("GET /", "POST /"), 400, "bad_request"),
    ],
)
async def test_what_a_request_may_not_a_websocket_may_not(
    tmp_path: Path, change: tuple[str, str], status: int, code: str
) -> None:
    async with speaking(tmp_path / "data") as (bench, other):
        assert await _status(bench, ASK.replace(*change) + "\r\n") == (status, code)
        assert other.heard == []


async def test_a_protocol_that_could_be_a_key_is_not_let_out(tmp_path: Path) -> None:
    async with speaking(tmp_path / "data") as (bench, other), bench.session() as session:
        own = ["chat", "openai-insecure-api-key.sk-own", "base64url.bearer.authorization.k8s.io.b3du", "x" * 33]
        async with session.ws_connect("http://box/egress/shop/items", protocols=own):
            pass
        assert other.heard[0].headers["Sec-WebSocket-Protocol"] == "chat"


async def test_a_server_that_does_not_agree_is_told_nothing_more(tmp_path: Path) -> None:
    heard: list[bytes] = []
    answers = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
        (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: bm90IHRoZSBvbmUgdGhhdCBpdCBpcw==\r\n\r\n"
        ),
        b"no HTTP at all\r\n\r\n",
    ]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answers[len(heard) - 1])
        heard[-1] += await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    base = {"base_url": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v2"}
    async with relaying(tmp_path / "data", config=base) as bench:
        for _ in answers:
            smuggled = "\r\nDELETE /v2/items/7 HTTP/1.1\r\nHost: x\r\n\r\n"
            assert await _status(bench, ASK + smuggled) == (502, "upgrade_refused")
    assert len(heard) == len(answers)
    assert not any(b"DELETE" in one for one in heard)
    server.close()


async def test_a_websocket_ends_when_effects_are_paused(tmp_path: Path) -> None:
    async with speaking(tmp_path / "data") as (bench, _), bench.session() as session:
        async with session.ws_connect("http://box/egress/shop/items") as opened:
            await opened.receive_str()
            await bench.kit.web.pause_effects(TENANT, paused=True, by="tester")
            async with asyncio.timeout(2):
                assert (await opened.receive()).type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}
        (closed,) = await bench.record("egress.closed")
        assert closed["detail"]["why"] == "effects_paused"


async def test_other_upgrades_are_ordinary_requests(tmp_path: Path) -> None:
    async with relaying(tmp_path / "data") as bench:
        said = await bench.raw(
            b"GET /egress/shop/items HTTP/1.1\r\nHost: box\r\nConnection: Upgrade, HTTP2-Settings, close\r\n"
            b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
        )
        assert said.startswith(b"HTTP/1.1 200")
        (heard,) = bench.outside.heard
        assert heard.header("upgrade") == heard.header("http2-settings") == []


async def test_a_flood_of_the_smallest_frames_arrives_whole_and_holds_nobody_up(tmp_path: Path) -> None:
    accepted = base64.b64encode(hashlib.sha1(b"AAAAAAAAAAAAAAAAAAAAAA==" + GUID).digest())
    flood = b"\x89\x00" * 50_000 + bytes([0x81, len(TOKEN)]) + TOKEN.encode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
        writer.write(b"Sec-WebSocket-Accept: " + accepted + b"\r\n\r\n" + flood)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    base = {"base_url": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v2"}
    async with relaying(tmp_path / "data", config=base) as bench:
        said = await bench.raw((ASK + "\r\n").encode())
    server.close()
    assert said.partition(b"\r\n\r\n")[2] == flood.replace(TOKEN.encode(), b"*" * len(TOKEN))
