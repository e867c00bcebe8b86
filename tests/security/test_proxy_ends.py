"""Tunnels end when they should: by what they carry, how long they last, and as soon as nobody may have them any more."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from freehold.gateway import ledger, switches
from freehold.gateway.egress.metering import Limits
from tests.proxies import RUN, SANDBOX, TENANT, proxy, request, serving

MB = 1 << 20


async def test_ends_of_a_tunnel_that_read_slowly_hold_the_other_back(tmp_path: Path) -> None:
    sent = 0

    async def floods(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        while True:
            writer.write(bytes(1 << 16))
            await writer.drain()
            sent += 1 << 16

    async with serving(floods) as server, proxy(tmp_path, f"127.0.0.1:{server.port}") as box:
        reader, writer = await box.tunnel(f"127.0.0.1:{server.port}")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.2)
        assert sent < 16 * MB
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        for _ in range(24):
            await reader.readexactly(MB)
        writer.close()


async def _cut(tmp_path: Path, how: Any) -> tuple[bytes, str]:
    """Return what a program still hears, and the reason in the record, when `how` happens to an open tunnel."""
    async with serving() as server, proxy(tmp_path, f"127.0.0.1:{server.port}") as box:
        reader, _ = await box.tunnel(f"127.0.0.1:{server.port}")
        async with asyncio.timeout(2):
            await how(box)
            try:
                heard = await reader.read()
            except ConnectionResetError:
                heard = b""
        return heard, (await box.record())[-1][1].get("why", "")


async def test_a_tunnel_ends_when_its_sandbox_sleeps(tmp_path: Path) -> None:
    heard, _ = await _cut(tmp_path, lambda box: box.boxes.close(SANDBOX))
    assert heard == b""


async def test_a_tunnel_ends_when_its_run_is_taken_over(tmp_path: Path) -> None:
    async def taken_over(box: Any) -> None:
        await box.keep.write(lambda tx: ledger.take_epoch(tx, tenant=TENANT, run=RUN, epoch=4))

    assert await _cut(tmp_path, taken_over) == (b"", "stale_epoch")


@pytest.mark.parametrize("tenant", [TENANT, None])
async def test_a_tunnel_ends_when_effects_are_paused_and_none_begins(tmp_path: Path, tenant: str | None) -> None:
    async def paused(box: Any) -> None:
        await box.keep.write(lambda tx: switches.pause(tx, box.keep, tenant=tenant, by="me", paused=True))
        said = b"CONNECT 127.0.0.1:9 HTTP/1.1\r\n\r\n"
        assert await box.refused(said) == (403, "address_refused")

    assert await _cut(tmp_path, paused) == (b"", "effects_paused")


async def test_a_tunnel_ends_when_its_tenant_is_held(tmp_path: Path) -> None:
    async def held(box: Any) -> None:
        await box.keep.write(lambda tx: switches.hold(tx, box.keep, tenant=TENANT, by="me", held=True))

    assert await _cut(tmp_path, held) == (b"", "effects_paused")


async def test_a_run_that_was_taken_over_opens_none(tmp_path: Path) -> None:
    async with serving() as server, proxy(tmp_path, f"127.0.0.1:{server.port}") as box:
        await box.keep.write(lambda tx: ledger.take_epoch(tx, tenant=TENANT, run=RUN, epoch=4))
        said = f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\n\r\n".encode()
        assert await box.refused(said) == (409, "stale_epoch")
        assert server.heard == []
        await box.boxes.open(request(epoch=4))
        _, writer = await box.tunnel(f"127.0.0.1:{server.port}")
        writer.close()


async def test_a_tunnel_carries_only_so_much(tmp_path: Path) -> None:
    limits = Limits(most_bytes=100_000, seconds=60, at_once=4)
    async with serving() as server, proxy(tmp_path, f"127.0.0.1:{server.port}", limits=limits) as box:
        reader, writer = await box.tunnel(f"127.0.0.1:{server.port}")
        writer.write(bytes(60_000))
        heard = b""
        try:
            while data := await reader.read(1 << 16):
                heard += data
        except ConnectionResetError:
            pass
        assert len(heard) <= 40_000
        assert (await box.record())[-1][1]["why"] == "too_much"


async def test_a_tunnel_lasts_only_so_long_and_not_in_silence(tmp_path: Path) -> None:
    for number, (seconds, idle, why) in enumerate([(0.3, 60.0, "too_much"), (60.0, 0.3, "idle")]):
        limits = Limits(most_bytes=MB, seconds=seconds, at_once=4)
        folder = tmp_path / str(number)
        async with serving() as server, proxy(folder, f"127.0.0.1:{server.port}", limits=limits, idle=idle) as box:
            reader, _ = await box.tunnel(f"127.0.0.1:{server.port}")
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
            assert (await box.record())[-1][1]["why"] == why


async def test_one_sandbox_has_only_so_many_at_once(tmp_path: Path) -> None:
    limits = Limits(most_bytes=MB, seconds=60, at_once=4)
    async with serving() as server, proxy(tmp_path, f"127.0.0.1:{server.port}", limits=limits) as box:
        said = f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\n\r\n".encode()
        held = [await box.tunnel(f"127.0.0.1:{server.port}") for _ in range(4)]
        assert await box.refused(said) == (429, "too_much")
        held[0][1].close()
        await held[0][1].wait_closed()
        while len(await box.used()) < 5:
            status, heard = await _first(box, said)
            assert status in {200, 429}, heard
        for _, writer in held:
            writer.close()


async def _first(box: Any, said: bytes) -> tuple[int, bytes]:
    reader, writer = await box.connect()
    writer.write(said)
    heard = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return int(heard.split()[1]), heard


async def test_thousands_of_connections_do_no_harm(tmp_path: Path) -> None:
    async with serving() as server, proxy(tmp_path, f"127.0.0.1:{server.port}") as box:
        said = f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\n\r\n".encode()
        ends = []
        for _ in range(1_000):
            try:
                _, writer = await box.connect()
                writer.write(said)
            except (OSError, ConnectionError):
                continue
            ends.append(writer)
            if len(ends) % 50 == 0:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        assert len(server.heard) <= 32
        for writer in ends:
            writer.close()
        async with asyncio.timeout(10):
            while True:
                status, _ = await box.ask(b"GET /alive HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                if status == 200:
                    break
                await asyncio.sleep(0.05)
