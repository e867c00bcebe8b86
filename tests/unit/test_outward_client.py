"""The client asks exactly what it was told to, of exactly whom was judged, and follows nobody anywhere."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from freehold.core.errors import Denied, Unavailable
from freehold.gateway.asked import Behalf
from freehold.gateway.outward.client import Client
from freehold.gateway.outward.destinations import Open
from freehold.gateway.outward.exchange import Sent
from freehold.gateway.outward.guard import Guard
from freehold.gateway.ports import NotSent
from tests.dialling import loopback

ACME, OTHER = Behalf("ten_1"), Behalf("ten_2")
NAME = "near.example"


@dataclass
class Server:
    """Answers everything in the same way, and keeps what it was asked."""

    port: int = 0
    answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nHi"
    heads: list[str] = field(default_factory=list)
    connections: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Somebody hung up."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
                writer.write(self.answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            self.left.set()
            writer.close()

    def header(self, name: str) -> list[str]:
        """Return what the last request said under `name`."""
        lines = [line.partition(": ") for line in self.heads[-1].split("\r\n")[1:]]
        return [value for said, _, value in lines if said.lower() == name]


@asynccontextmanager
async def serving(answer: bytes = Server.answer, host: str = "127.0.0.1") -> AsyncIterator[Server]:
    """Give a server of this machine's."""
    server = Server(answer=answer)
    listening = await asyncio.start_server(server.serve, host, 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()


@asynccontextmanager
async def asking(*opened: tuple[str, str, int], means: Sequence[str] = ("127.0.0.1",)) -> AsyncIterator[Client]:
    """Give a client to whom the names are open that are stated."""

    async def allowed() -> Open:
        return frozenset(opened)

    async def lookup(_name: str) -> Sequence[str]:
        return means

    client = Client(Guard(allowed, lookup=lookup))
    try:
        yield client
    finally:
        await client.close()


async def get(client: Client, url: str, behalf: Behalf = ACME, **headers: str) -> tuple[int, bytes, str]:
    """Ask, and return status, body and who answered."""
    answer = await client.send(Sent(method="GET", url=url, headers=headers), behalf, lambda: None)
    body = b"".join([chunk async for chunk in answer.chunks])
    return answer.status, body, answer.address


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(status: int) -> None:
    async with serving() as target, asking(("", NAME, 0)) as client:
        place = f"Location: http://{NAME}:{target.port}/secret\r\n"
        moved = f"HTTP/1.1 {status} Moved\r\n{place}Refresh: 0; url=http://{NAME}:{target.port}/\r\nContent-Length: 0\r\n\r\n"
        async with serving(moved.encode()) as server:
            said, _, _ = await get(client, f"http://{NAME}:{server.port}/", Authorization="Bearer s")
        assert said == status
        assert target.connections == 0


async def test_a_tenant_that_may_not_go_there_does_not_ride_on_anothers_open_connection() -> None:
    async with serving() as server, asking(("ten_1", NAME, 0)) as client:
        url = f"http://{NAME}:{server.port}/"
        assert await get(client, url, ACME) == (200, b"Hi", "127.0.0.1")
        with pytest.raises(Denied):
            await get(client, url, OTHER)
        assert await get(client, url, ACME) == (200, b"Hi", "127.0.0.1")
        assert (server.connections, len(server.heads)) == (1, 2)


async def test_an_answer_nobody_reads_holds_no_connection() -> None:
    unread = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nbeginning"
    async with serving(unread) as server, asking(("", NAME, 0)) as client:
        sent = Sent(method="GET", url=f"http://{NAME}:{server.port}/", headers={})
        async with aclosing(await client.send(sent, ACME, lambda: None)):
            pass
        async with asyncio.timeout(5):
            await server.left.wait()


async def test_cookies_of_one_answer_go_with_no_other_request() -> None:
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n"
    async with serving(answer) as server, asking(("", NAME, 0)) as client:
        await get(client, f"http://{NAME}:{server.port}/")
        await get(client, f"http://{NAME}:{server.port}/")
        assert server.header("cookie") == []


@pytest.mark.parametrize("spelt", ["near.example", "NEAR.example", "near.example."])
async def test_the_host_is_said_in_one_spelling_and_once(spelt: str) -> None:
    async with serving() as server, asking(("", NAME, 0)) as client:
        said = {"Host": "elsewhere.example", "host": "else.example", "HOST": "e.example"}
        await get(client, f"http://{spelt}:{server.port}/a%2Fb?c=%20", ACME, **said)
        assert server.header("host") == [f"{NAME}:{server.port}"]
        assert server.heads[-1].startswith("GET /a%2Fb?c=%20 HTTP/1.1\r\n")


async def test_an_address_of_the_new_kind_is_gone_to() -> None:
    async with serving(host="::1") as server, asking(("", "::1", 0)) as client:
        assert (await get(client, f"http://[0::1]:{server.port}/"))[2] == "::1"
        assert server.header("host") == [f"[::1]:{server.port}"]


async def test_nothing_in_the_surroundings_leads_a_request_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with serving() as server, asking(("", NAME, 0)) as client:
        assert (await get(client, f"http://{NAME}:{server.port}/"))[0] == 200


async def test_the_next_address_is_tried_where_one_leads_nowhere() -> None:
    async with serving() as server, asking(("", NAME, 0), means=["127.0.0.9", "::1", "127.0.0.1"]) as client:
        assert (await get(client, f"http://{NAME}:{server.port}/"))[2] == "127.0.0.1"


async def test_addresses_of_both_kinds_are_tried_by_turns() -> None:
    dead = [f"fd00::{number}" for number in range(1, 9)]
    async with serving() as server, asking(("", NAME, 0), means=[*dead, "127.0.0.1"]) as client:
        assert (await get(client, f"http://{NAME}:{server.port}/"))[2] == "127.0.0.1"


async def test_where_nobody_listens_nothing_was_sent() -> None:
    async with serving() as server:
        port = server.port
    async with asking(("", NAME, 0)) as client:
        with pytest.raises(NotSent):
            await get(client, f"http://{NAME}:{port}/")


async def test_a_server_that_says_no_http_may_have_heard() -> None:
    async with serving(b"no HTTP\r\n\r\n") as server, asking(("", NAME, 0)) as client:
        with pytest.raises(Unavailable) as told:
            await get(client, f"http://{NAME}:{server.port}/")
        assert not isinstance(told.value, NotSent)


@pytest.mark.parametrize("value", ["a\r\nHost: b", "a\nb", "a\0b"])
async def test_a_header_that_would_be_two_is_not_sent(value: str) -> None:
    async with serving() as server, asking(("", NAME, 0)) as client:
        with pytest.raises(NotSent):
            await get(client, f"http://{NAME}:{server.port}/", Authorization=value)
        assert server.heads == []


async def test_a_server_that_only_announces_an_answer_is_silent() -> None:
    async def announce(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
                await writer.drain()
                await asyncio.sleep(0.01)

    listening = await asyncio.start_server(announce, "127.0.0.1", 0)
    client = Client(Guard(loopback), silence=0.3)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
    async with asyncio.timeout(5):
        with pytest.raises(Unavailable) as refused:
            await client.send(Sent(method="GET", url=url, headers={}), ACME, lambda: None)
    assert refused.value.code == "server_timeout"
    await client.close()
    listening.close()


async def test_an_address_that_lets_nobody_in_was_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue that is full answers no greeting at all: connecting takes too long, and nothing left."""
    monkeypatch.setattr("freehold.gateway.outward.client.CONNECT_SECONDS", 0.2)
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    waiting = [socket.socket() for _ in range(4)]
    for one in waiting:
        one.setblocking(False)  # noqa: FBT003 - its only argument
        one.connect_ex(full.getsockname())
    client = Client(Guard(loopback))
    url = f"http://127.0.0.1:{full.getsockname()[1]}/"
    async with asyncio.timeout(5):
        with pytest.raises(NotSent):
            await client.send(Sent(method="POST", url=url, headers={}, body=b"x"), ACME, lambda: None)
    await client.close()
    for one in (full, *waiting):
        one.close()
