"""Clients without a key, or with bad intent: they take no memory, no connection for ever, and break nothing."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn

from freehold.app.children import harmless
from freehold.store.patience import MOST_BYTES, Patient
from freehold.web.building import build
from tests.webs import client, made

DEEP = 400
HALF = '"\\ud800"'


@contextlib.asynccontextmanager
async def listening(folder: Path) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Give a connection to an application that is served as web serves it."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(build(made(folder).state), http=Patient, ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    try:
        yield reader, writer
    finally:
        writer.close()
        server.should_exit = True
        await task


@pytest.mark.parametrize(
    "endless",
    [
        b"GET /" + b"a" * 999,
        b"GET / HTTP/1.1\r\nX: " + b"a" * 999,
        b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 99,
        b"POST /healthz HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"a" * 999,
    ],
    ids=["address", "header", "headers", "trailer"],
)
async def test_a_head_without_end_is_cut_off(tmp_path: Path, endless: bytes) -> None:
    async with listening(tmp_path) as (reader, writer):
        writer.write(endless)
        sent = 0
        with contextlib.suppress(ConnectionError):
            while not reader.at_eof() and sent < 40 * MOST_BYTES:
                piece = endless[-6:] * 2_000
                writer.write(piece)
                sent += len(piece)
                await writer.drain()
                await asyncio.sleep(0)
            await reader.read()
        assert sent < 20 * MOST_BYTES


async def test_a_head_that_never_comes_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Patient, "seconds", 0.2)
    async with listening(tmp_path) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nX-")
        async with asyncio.timeout(5):
            assert await reader.read() == b""


async def test_who_has_said_what_they_want_is_answered_as_often_as_they_ask(tmp_path: Path) -> None:
    async with listening(tmp_path) as (reader, writer):
        for _ in range(3):
            writer.write(
                b"POST /v1/models HTTP/1.1\r\nHost: 127.0.0.1:7070\r\nContent-Length: 200000\r\n\r\n" + b"a" * 200_000
            )
            assert b" 401 " in await reader.readuntil(b"\r\n\r\n")
            await reader.readuntil(b"}}")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/tenants/acme/runs", f'{{"agent": "a", "input": {HALF}}}'),
        ("/api/v1/tenants/acme/connections", f'{{"kind": "a", "name": "b", "config": {{{HALF}: 1}}}}'),
        (
            "/api/v1/tenants/acme/connections",
            f'{{"kind": "a", "name": "b", "config": {{"a": {"[" * DEEP}{"]" * DEEP}}}}}',
        ),
        ("/api/v1/tenants", f'{{"slug": {HALF}}}'),
        ("/v1/chat/completions", f'{{"model": {HALF}, "messages": [{{"role": "user", "content": "a"}}]}}'),
        ("/v1/chat/completions", f'{{"model": "acme/a", "messages": [{{"role": "user", "content": {HALF}}}]}}'),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, path: str, body: str) -> None:
    web = made(tmp_path)
    web.tenant("acme")
    with client(web) as asking:
        answer = asking.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code < 500, json.dumps(body)


def test_what_a_stranger_has_logged_steers_no_terminal() -> None:
    assert (
        harmless(b"a\tb \x1b]0;owned\x07\r\xff \xe2\x80\xaec \xc3\xa4")
        == "a\tb \ufffd]0;owned\ufffd\ufffd\ufffd \ufffdc ä"
    )


@pytest.mark.parametrize("cursor", ["9999999999999999999999.1", "1.99999999999999999999999"])
def test_a_cursor_beyond_all_numbers_is_no_bug(tmp_path: Path, cursor: str) -> None:
    web = made(tmp_path)
    web.tenant("acme")
    with client(web) as asking:
        assert asking.get(f"/api/v1/tenants/acme/audit?store=database&cursor={cursor}").status_code == 200
