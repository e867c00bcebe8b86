"""Requests that name another machine: sent on as they are, to where a tunnel might lead too, with nothing added."""

import asyncio
from pathlib import Path

import pytest

from freehold.gateway.calls.boxes import BOX_BYTES
from freehold.gateway.egress.metering import Limits
from tests.proxies import Server, proxy, serving

OK = b"HTTP/1.1 200 Fine\r\nContent-Length: 2\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nKeep-Alive: x\r\nX-Freehold-Code: x\r\n\r\nok"


def answering(said: bytes) -> Server:
    """Return what answers whatever request comes with `said`, and hangs up."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 16)
        writer.write(said)
        await writer.drain()

    return Server(answer)


async def test_a_request_goes_on_with_its_own_headers_and_no_others(tmp_path: Path) -> None:
    async with serving(answering(OK)) as server, proxy(tmp_path, f"127.0.0.1:{server.port}") as box:
        said = (
            f"GET http://127.0.0.1:{server.port}/a%2Fb?q=1&q=2 HTTP/1.1\r\nHost: other.example\r\nAccept: text/x\r\n"
            "Authorization: Bearer own\r\nProxy-Authorization: Basic x\r\nProxy-Connection: keep-alive\r\n"
            "Connection: close, x-hop\r\nX-Hop: 1\r\nForwarded: for=1\r\nX-Forwarded-For: 1\r\nUser-Agent: mine\r\n\r\n"
        )
        status, heard = await box.ask(said.encode())
        assert (status, heard.partition(b"\r\n\r\n")[2]) == (200, b"ok")
        assert heard.lower().count(b"set-cookie") == 2
        assert b"keep-alive" not in heard.lower()
        assert b"x-freehold-code" not in heard.lower()
        line, *lines = server.heard[0].decode().strip().split("\r\n")
        assert line == "GET /a%2Fb?q=1&q=2 HTTP/1.1"
        assert {one.partition(":")[0].lower(): one.partition(": ")[2] for one in lines} == {
            "host": f"127.0.0.1:{server.port}",
            "accept": "text/x",
            "authorization": "Bearer own",
            "user-agent": "mine",
            "accept-encoding": "identity",
        }
        opened, closed = await box.record()
        assert (opened[0], opened[1]["host"], opened[1]["address"]) == ("egress.open", "127.0.0.1", "127.0.0.1")
        assert (closed[1]["status"], closed[1]["bytes_out"]) == (200, 2)
        assert "q=1" not in str(opened) + str(closed)


@pytest.mark.parametrize(
    "framing",
    ["Content-Length: 10\r\n\r\n0123456789", "Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n"],
)
async def test_a_body_goes_on_whole_and_is_counted(tmp_path: Path, framing: str) -> None:
    async with serving(answering(OK)) as server, proxy(tmp_path, f"127.0.0.1:{server.port}") as box:
        head = f"POST http://127.0.0.1:{server.port}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        assert (await box.ask((head + framing).encode()))[0] == 200
        assert b"0123456789" in server.heard[0]
        (row,) = await box.used()
        assert (row.bytes_in, row.bytes_out) == (10, 2)


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("http://127.0.0.1:{other}/", 403, "address_refused"),
        ("http://localhost:{port}/", 403, "address_refused"),
        ("http://169.254.169.254/latest/meta-data/", 403, "address_refused"),
        ("http://[::1]:{port}/", 403, "address_refused"),
        ("https://127.0.0.1:{port}/", 400, "bad_address"),
        ("HTTPS://127.0.0.1:{port}/", 400, "bad_address"),
        ("ws://127.0.0.1:{port}/", 400, "bad_address"),
        ("ftp://127.0.0.1:{port}/", 422, "bad_address"),
        ("http://user:pass@127.0.0.1:{port}/", 422, "bad_address"),
        ("http://127.0.0.1:{port}@evil.example/", 422, "bad_address"),
        ("http://0x7f000001:{port}/", 422, "bad_host"),
        ("http://127.1:{port}/", 422, "bad_host"),
        ("http:///path", 422, "bad_address"),
        ("*", 422, "bad_address"),
    ],
)
async def test_what_was_not_granted_or_can_be_read_two_ways_is_refused(
    tmp_path: Path, target: str, status: int, code: str
) -> None:
    async with serving() as server, serving() as other, proxy(tmp_path, f"127.0.0.1:{server.port}") as box:
        named = target.format(port=server.port, other=other.port)
        method = "OPTIONS" if target == "*" else "GET"
        assert await box.refused(f"{method} {named} HTTP/1.1\r\nConnection: close\r\n\r\n".encode()) == (status, code)
        assert server.heard == other.heard == []
        assert await box.used() == []


async def test_lengths_that_contradict_each_other_go_nowhere(tmp_path: Path) -> None:
    async with serving() as server, proxy(tmp_path, f"127.0.0.1:{server.port}") as box:
        head = f"POST http://127.0.0.1:{server.port}/ HTTP/1.1\r\nHost: x\r\n"
        for lengths in (
            "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n",
            "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
            "Content-Length: +3\r\n\r\nabc",
            "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        ):
            status, _ = await box.ask((head + lengths).encode())
            assert 400 <= status < 500
        assert not any(b"smuggled" in heard for heard in server.heard)


async def test_a_redirect_is_handed_to_the_program_and_judged_when_it_follows(tmp_path: Path) -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    async with serving(answering(moved)) as server, proxy(tmp_path, f"127.0.0.1:{server.port}") as box:
        said = f"GET http://127.0.0.1:{server.port}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        status, heard = await box.ask(said.encode())
        assert status == 302
        assert b"location: http://169.254.169.254/" in heard.lower()
        assert len(server.heard) == 1


async def test_a_server_that_breaks_off_is_told_by_breaking_off(tmp_path: Path) -> None:
    short = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfirst"
    async with serving(answering(short)) as server, proxy(tmp_path, f"127.0.0.1:{server.port}") as box:
        said = f"GET http://127.0.0.1:{server.port}/ HTTP/1.1\r\nHost: x\r\n\r\n"
        status, heard = await box.ask(said.encode())
        assert (status, heard.endswith(b"first")) == (200, True)
        assert (await box.record())[-1][1]["why"] == "server_cut"


async def test_a_server_that_is_away_is_told_as_a_proxy_does(tmp_path: Path) -> None:
    async with serving() as server:
        away = server.port
    async with proxy(tmp_path, f"127.0.0.1:{away}") as box:
        said = f"GET http://127.0.0.1:{away}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        assert await box.refused(said.encode()) == (502, "server_unreachable")


async def test_a_request_carries_only_so_much(tmp_path: Path) -> None:
    limits = Limits(most_bytes=1_000, seconds=60, at_once=4)
    async with serving(answering(OK)) as server, proxy(tmp_path, f"127.0.0.1:{server.port}", limits=limits) as box:
        said = f"POST http://127.0.0.1:{server.port}/ HTTP/1.1\r\nConnection: close\r\nContent-Length: 5000\r\n\r\n"
        assert await box.refused(said.encode() + bytes(5_000)) == (429, "too_much")
        assert "too_much" in {detail.get("why") for _, detail in await box.record()}


async def test_what_is_passed_on_as_it_comes_may_be_longer_than_what_is_read_whole(tmp_path: Path) -> None:
    size = BOX_BYTES + (4 << 20)
    heard = 0

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        await reader.readuntil(b"\r\n\r\n")
        while heard < size:
            heard += len(await reader.read(1 << 16))
        writer.write(OK)
        await writer.drain()

    limits = Limits(most_bytes=2 * size, seconds=60, at_once=4)
    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    place = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with proxy(tmp_path, place, limits=limits) as box:
        reader, writer = await box.connect()
        writer.write(f"PUT http://{place}/ HTTP/1.1\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n".encode())
        for _ in range(size >> 20):
            writer.write(bytes(1 << 20))
            await writer.drain()
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
    server.close()
