"""The outside door and whoever stands before it: strangers, keys that end meanwhile, requests made to be misread."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from freehold.gateway.calls import outside
from freehold.gateway.calls.outside import shown
from freehold.store.patience import MOST_BYTES, Patient
from freehold.testing.clock import FakeClock
from freehold.testing.upstream.acts import Act
from tests.calling import CHAT, CREDENTIAL, Desk, calling, chat
from tests.gateways import TENANT

SILENT = b'{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}'


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with calling(tmp_path) as made:
        yield made


@contextlib.asynccontextmanager
async def line(desk: Desk) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Give a bare connection to the door."""
    host, _, port = desk.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()


def head(key: str, size: int) -> bytes:
    told = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n"
    return f"{told}Authorization: Bearer {key}\r\nContent-Type: application/json\r\n\r\n".encode()


async def test_a_head_without_end_is_cut_off(desk: Desk) -> None:
    async with line(desk) as (reader, writer):
        sent = 0
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nX: ")
        with contextlib.suppress(ConnectionError):
            while not reader.at_eof() and sent < 40 * MOST_BYTES:
                writer.write(b"a" * MOST_BYTES)
                sent += MOST_BYTES
                await writer.drain()
                await asyncio.sleep(0)
        assert sent < 20 * MOST_BYTES


async def test_a_head_that_never_comes_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Patient, "seconds", 0.2)
    async with calling(tmp_path) as desk, line(desk) as (reader, _):
        async with asyncio.timeout(10):
            assert await reader.read() == b""


def test_one_key_is_shown_by_either_header() -> None:
    assert shown([(b"authorization", b"Bearer fhm_a")]) == shown([(b"x-api-key", b"fhm_a")]) == "fhm_a"
    assert shown([(b"authorization", b"bearer fhm_a"), (b"x-api-key", b" fhm_a ")]) == "fhm_a"
    assert shown([]) == ""


@pytest.mark.parametrize("name", ["Authorization", "X-Api-Key"])
async def test_two_keys_that_differ_open_nothing(desk: Desk, name: str) -> None:
    other = await desk.make_key("other", [])
    body = msgspec.json.encode(chat())
    async with line(desk) as (reader, writer):
        told = head(desk.key, len(body)).removesuffix(b"\r\n") + f"{name}: {other}\r\n\r\n".encode() + body
        writer.write(told)
        assert b" 401 " in await reader.readuntil(b"\r\n\r\n")
    assert not desk.upstream.ledger.entries


async def test_a_key_that_is_revoked_while_its_request_comes_opens_nothing(desk: Desk) -> None:
    body = msgspec.json.encode(chat())
    async with line(desk) as (reader, writer):
        writer.write(head(desk.key, len(body)) + body[:5])
        await writer.drain()
        await desk.chat()  # known, and remembered
        (made,) = await desk.web.list_model_keys(TENANT)
        await desk.web.revoke_model_key(TENANT, made["id"], by="tester")
        writer.write(body[5:])
        assert b" 401 " in await reader.readuntil(b"\r\n\r\n")
    assert len(desk.upstream.ledger.entries) == 1
    assert (await desk.settled())["held_nano"] == 0


async def test_a_key_that_ends_while_its_request_comes_opens_nothing(tmp_path: Path) -> None:
    clock = FakeClock()
    body = msgspec.json.encode(chat())
    async with calling(tmp_path, clock=clock) as desk:
        ends = clock.now() + timedelta(hours=1)
        made = await desk.web.create_model_key(
            TENANT, name="brief", agent="", models=[CHAT], expires_at=ends, by="tester"
        )
        async with line(desk) as (reader, writer):
            writer.write(head(made["key"], len(body)) + body[:5])
            await writer.drain()
            desk.key = made["key"]
            assert (await desk.chat()).status == 200
            clock.wind(3600)
            writer.write(body[5:])
            assert b" 401 " in await reader.readuntil(b"\r\n\r\n")


def taken(desk: Desk) -> int:
    """Return how many bytes of requests lie in the gateway's memory."""
    assert desk.kit is not None
    return sum(room.taken for room in desk.kit.gateway.outside._rooms.values())


async def test_large_requests_take_only_so_much_memory_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "TENANT_BYTES", 3_000)
    monkeypatch.setattr(outside, "CALL_BYTES", 100)
    async with calling(tmp_path) as desk:
        async with line(desk) as (_, writer):
            writer.write(head(desk.key, 10_000) + b"{" + b" " * 1_900)
            await writer.drain()
            async with asyncio.timeout(10):
                while not taken(desk):  # noqa: ASYNC110 - the room tells nobody when it is taken
                    await asyncio.sleep(0.01)
            said = await desk.chat("a" * 2_000)
            assert (said.status, said.json["error"]["code"]) == (429, "too_much_at_once")
            assert (await desk.chat("a")).status == 200
        async with asyncio.timeout(10):
            while (await desk.chat("a" * 2_000)).status != 200:
                pass


async def test_one_tenant_has_only_so_many_calls_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "TENANT_BYTES", 3 * outside.CALL_BYTES)
    gate, began = asyncio.Event(), asyncio.Semaphore(0)

    async def wait(_number: int) -> None:
        began.release()
        await gate.wait()

    async with calling(tmp_path) as desk:
        desk.upstream.script.extend([Act(words=3, gate=wait)] * 2)
        asked = [asyncio.create_task(desk.chat(stream=True)) for _ in range(2)]
        for _ in asked:
            await asyncio.wait_for(began.acquire(), 10)
        assert (await desk.chat()).status == 429
        gate.set()
        assert [one.status for one in await asyncio.gather(*asked)] == [200, 200]
        assert (await desk.chat()).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"\xff"}',
        b'{"model":"acct/scripted","x":' + b"[" * 99_999 + b"]" * 99_999 + b"}",
        b'{"model":"\\ud800"}',
    ],
    ids=["no-text", "deep", "half"],
)
async def test_what_nobody_can_read_is_told_so(desk: Desk, body: bytes) -> None:
    for path in ("/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/embeddings"):
        assert (await desk.post(path, body)).status == 400


@pytest.mark.parametrize("kind", [f"application/json; key={CREDENTIAL}", "text/html; \u00e9", "a/" + "b" * 4_000])
async def test_what_a_provider_calls_its_answer_goes_on_without_tricks(desk: Desk, kind: str) -> None:
    desk.upstream.script.append(Act(body=SILENT, kind=kind))
    said = await desk.chat()
    assert (said.status, said.body) == (200, SILENT)
    assert CREDENTIAL not in said.headers["content-type"]
    assert len(said.headers["content-type"]) <= 200
    assert (await desk.settled())["held_nano"] == 0


async def test_a_credential_no_header_can_have_is_told_and_costs_nothing(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    await desk.limit(1_000_000_000)
    await desk.web.set_secret(TENANT, "up", "sk-first\r\nX-Evil: 1", by="tester")
    said = await desk.chat()
    assert (said.status, said.json["error"]["code"]) == (503, "provider_unavailable")
    told: dict[str, Any] = await desk.settled()
    assert (told["spent_nano"], told["held_nano"]) == (0, 0)
    assert "sk-first" not in said.body.decode() + caplog.text
    assert not desk.upstream.requests
