"""Long requests and answers by a connection: they pass as they come, within what a session may carry and last."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from freehold.testing.counterpart import Tells
from tests.gateways import TENANT
from tests.relaying import relaying


def halting(forever: asyncio.Event) -> Any:
    """Return what says one piece and then waits."""
    said: list[bool] = []

    async def wait() -> None:
        if said:
            await forever.wait()
        said.append(True)

    return lambda _heard: Tells(pieces=[b"first\n", b"second\n"], between=wait)


async def test_a_stream_passes_as_it_comes_and_ends_when_the_program_hangs_up(tmp_path: Path) -> None:
    forever = asyncio.Event()
    async with relaying(tmp_path / "data", halting(forever)) as bench, bench.session() as session:
        answer = await session.get("http://box/egress/shop/items")
        assert await answer.content.readany() == b"first\n"
        answer.close()
        (closed,) = await bench.record("egress.closed")
        assert closed["detail"]["why"] == "caller_gone"
        forever.set()


async def test_effects_that_are_paused_cut_what_is_under_way(tmp_path: Path) -> None:
    forever = asyncio.Event()
    async with relaying(tmp_path / "data", halting(forever)) as bench, bench.session() as session:
        answer = await session.get("http://box/egress/shop/items")
        assert await answer.content.readany() == b"first\n"
        await bench.kit.web.pause_effects(TENANT, paused=True, by="person:1")
        async with asyncio.timeout(5):
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.content.readany()
        (closed,) = await bench.record("egress.closed")
        assert closed["detail"]["why"] == "effects_paused"
        forever.set()


@pytest.mark.parametrize("how", ["delete", "change"])
async def test_a_connection_that_is_another_cuts_what_went_by_it(tmp_path: Path, how: str) -> None:
    forever = asyncio.Event()
    async with relaying(tmp_path / "data", halting(forever)) as bench, bench.session() as session:
        answer = await session.get("http://box/egress/shop/items")
        assert await answer.content.readany() == b"first\n"
        if how == "delete":
            await bench.kit.web.delete_connection(TENANT, "shop", by="tester")
        else:
            await bench.kit.web.change_connection(TENANT, "shop", config={"allow": ["GET:/other"]}, by="tester")
        async with asyncio.timeout(5):
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.content.readany()
        (closed,) = await bench.record("egress.closed")
        assert closed["detail"]["why"] == "connection_changed"
        forever.set()


async def test_a_session_carries_so_much_and_no_more(tmp_path: Path) -> None:
    big = Tells(pieces=[b"x" * 1000] * 5)
    async with relaying(tmp_path / "data", lambda _heard: big, egress_bytes=2048) as bench:
        with pytest.raises(aiohttp.ClientPayloadError):
            await bench.ask("GET", "/items")
        assert (await bench.record("egress.closed"))[0]["detail"]["why"] == "too_much"
        said = await bench.ask("POST", "/items", data=b"x" * 4096)
        assert json.loads(said.body)["code"] == "too_much"


async def test_a_sandbox_has_so_many_sessions_at_once(tmp_path: Path) -> None:
    arrived, forever = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        arrived.set()
        await forever.wait()

    tells = Tells(pieces=[b"x"], before=wait)
    async with relaying(tmp_path / "data", lambda _heard: tells, egress_at_once=1) as bench:
        first = asyncio.create_task(bench.ask("GET", "/items"))
        await arrived.wait()
        said = await bench.ask("GET", "/items")
        assert (said.status, json.loads(said.body)["code"]) == (429, "too_much")
        forever.set()
        assert (await first).status == 200


async def test_an_upload_of_many_bytes_is_passed_on_as_it_comes(tmp_path: Path) -> None:
    size = 3 << 20
    async with relaying(tmp_path / "data") as bench:
        said = await bench.ask("POST", "/items", data=b"u" * size)
        assert said.status == 200
        (heard,) = bench.outside.heard
        assert len(heard.body) == size
        assert heard.header("content-length") == [str(size)]


async def test_a_server_that_answers_early_still_hears_all_of_an_upload(tmp_path: Path) -> None:
    size, heard = 3 << 20, list[int]()

    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        await writer.drain()
        count = 0
        while count < size and (piece := await reader.read(1 << 16)):
            count += len(piece)
        heard.append(count)
        writer.write(b"done")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(early, "127.0.0.1", 0)
    place = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v2"
    async with server, relaying(tmp_path / "data", config={"base_url": place}) as bench:
        said = await bench.ask("POST", "/items", data=b"u" * size)
        assert (said.body, heard) == (b"done", [size])
