"""What becomes of a model call when its provider does as providers do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from freehold.core.errors import Conflict, Denied, FreeholdError, Invalid, Unavailable
from freehold.gateway.tables import epochs
from freehold.testing.providers import Fails, Hangs, Provider, Reply, Says, Sends, provider
from tests.gateways import RUN, TENANT, Kit, running, said, work

KEY = f"{RUN}/1/1/0"
TOKEN = "sk-canary-0123456789"
ASK: dict[str, Any] = {"key": KEY, "model": "acct/m", "body": said("hello")}


@asynccontextmanager
async def connected(data: Path, *script: Reply, **settings: Any) -> AsyncIterator[tuple[Kit, Provider]]:
    async with provider(*script) as scripted, running(data, **settings) as kit:
        await kit.web.set_secret(TENANT, "api", TOKEN, by="key:1")
        config = {"base_url": scripted.base_url}
        await kit.web.create_connection(TENANT, kind="openai", name="acct", config=config, secret="api", by="key:1")
        await kit.publish("acct/m")
        yield kit, scripted


async def usage_states(kit: Kit) -> list[str]:
    return [row["state"] for row in (await kit.web.usage(TENANT))["rows"]]


async def test_the_credential_is_added_here_and_the_request_goes_through(tmp_path: Path) -> None:
    async with connected(tmp_path, Says(pieces=["Hi"], usage=(7, 3))) as (kit, scripted):
        body = said("hello") | {"temperature": 0.5, "unheard_of": {"a": 1}}
        reply = await kit.worker.chat(work(), **(ASK | {"body": body}))
        usage = await kit.web.usage(TENANT)
    assert (reply.text, reply.usage_in, reply.usage_out, reply.model) == ("Hi", 7, 3, "scripted")
    assert scripted.headers[0]["Authorization"] == f"Bearer {TOKEN}"
    assert scripted.requests[0]["unheard_of"] == {"a": 1}
    assert (scripted.requests[0]["model"], scripted.requests[0]["stream"]) == ("m", True)
    assert [(row["price"], row["cost_nano"]) for row in usage["rows"]] == [("unknown", 0)]


async def test_a_provider_that_does_not_stream_is_understood(tmp_path: Path) -> None:
    says = Says(pieces=["Hi"], calls=[("shell", '{"command": "ls"}')], plain=True)
    async with connected(tmp_path, says) as (kit, _):
        reply = await kit.worker.chat(work(), **ASK)
    assert (reply.text, reply.calls[0].arguments) == ("Hi", {"command": "ls"})


async def test_each_piece_goes_on_before_the_next_one_is_said(tmp_path: Path) -> None:
    heard: list[str] = []
    more = asyncio.Event()

    def hear(text: str) -> None:
        heard.append(text)
        more.set()

    async def gate(number: int) -> None:
        while len(heard) < min(number, 20):
            more.clear()
            await more.wait()

    async with (
        asyncio.timeout(20),
        connected(tmp_path, Says(pieces=[f"{n} " for n in range(20)], gate=gate)) as (kit, _),
    ):
        reply = await kit.worker.chat(work(), **ASK, on_text=hear)
    assert heard == [f"{n} " for n in range(20)]
    assert reply.text == "".join(heard)


async def test_missing_usage_is_estimated_and_marked(tmp_path: Path) -> None:
    async with connected(tmp_path, Says(pieces=["12345678"], usage=None)) as (kit, _):
        reply = await kit.worker.chat(work(), **ASK)
        rows = (await kit.web.usage(TENANT))["rows"]
    assert reply.usage_out == 2
    assert rows[0]["estimated"] is True


@pytest.mark.parametrize(
    ("reply", "kind", "code", "metered"),
    [
        (Fails(status=500), Unavailable, "provider_unavailable", "closed"),
        (Fails(status=503), Unavailable, "provider_unavailable", "closed"),
        (Fails(status=429, headers={"Retry-After": "7"}), Unavailable, "provider_busy", "closed"),
        (Fails(status=401), Denied, "provider_refused", "closed"),
        (Fails(status=403), Denied, "provider_refused", "closed"),
        (Fails(status=404), Invalid, "provider_rejected", "closed"),
        (Fails(status=302, headers={"Location": "http://127.0.0.1:1/"}), Invalid, "provider_rejected", "closed"),
        (Says(pieces=["a", "b", "c"], cut_after=2), Unavailable, "provider_cut", "unsettled"),
        (Says(cut_after=0), Unavailable, "provider_cut", "unsettled"),
        (Sends(b""), Unavailable, "provider_cut", "unsettled"),
        (Sends(b"data: {nonsense\n\n"), Unavailable, "provider_malformed", "unsettled"),
        (Sends(b'data: {"choices": {"a": 1}}\n\n'), Unavailable, "provider_malformed", "unsettled"),
        (Sends(b'data: {"choices": [{"delta": {"content": 5}}]}\n\n'), Unavailable, "provider_malformed", "unsettled"),
        (Sends(b'data: {"error": {"message": "overloaded"}}\n\n'), Unavailable, "provider_cut", "unsettled"),
        (Sends(b"data: " + b"x" * (17 << 20)), Unavailable, "provider_malformed", "unsettled"),
        (Sends(b"<html>", "text/html"), Unavailable, "provider_malformed", "unsettled"),
        (Sends(b"[]", "application/json"), Unavailable, "provider_malformed", "unsettled"),
        (Sends(b'{"choices": []}', "application/json"), Unavailable, "provider_malformed", "closed"),
    ],
)
async def test_a_fault_has_its_code_and_says_whether_to_try_again(
    tmp_path: Path, reply: Reply, kind: type[FreeholdError], code: str, metered: str
) -> None:
    async with connected(tmp_path, reply) as (kit, _):
        with pytest.raises(kind) as caught:
            await kit.worker.chat(work(), **ASK, on_text=lambda _: None)
        assert await usage_states(kit) == [metered]
    assert caught.value.code == code
    if isinstance(caught.value, Unavailable) and code == "provider_busy":
        assert caught.value.after == 7


async def test_a_silent_provider_is_given_up(tmp_path: Path) -> None:
    async with connected(tmp_path, Hangs(), model_timeout=0.2) as (kit, _):
        with pytest.raises(Unavailable) as caught:
            await kit.worker.chat(work(), **ASK)
    assert caught.value.code == "provider_timeout"


async def test_a_provider_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    async with connected(tmp_path, Says()) as (kit, _):
        config = {"base_url": "http://127.0.0.1:1/v1"}
        await kit.web.create_connection(TENANT, kind="openai", name="gone", config=config, secret=None, by="key:1")
        await kit.publish("gone/m", version="ver_2")
        with pytest.raises(Unavailable) as caught:
            await kit.worker.chat(work(version="ver_2"), **(ASK | {"model": "gone/m"}))
    assert caught.value.code == "provider_unavailable"


async def test_what_broke_off_may_be_tried_again_under_its_key_as_a_second_attempt(tmp_path: Path) -> None:
    async with connected(tmp_path, Fails(status=500), Says(pieces=["Hi"])) as (kit, scripted):
        with pytest.raises(Unavailable):
            await kit.worker.chat(work(), **ASK)
        reply = await kit.worker.chat(work(), **ASK)
        assert sorted(await usage_states(kit)) == ["closed", "closed"]
    assert reply.text == "Hi"
    assert len(scripted.requests) == 2


async def test_a_no_is_remembered_and_not_asked_for_again(tmp_path: Path) -> None:
    async with connected(tmp_path, Fails(status=401), Says(pieces=["Hi"])) as (kit, scripted):
        for _ in range(2):
            with pytest.raises(Denied) as caught:
                await kit.worker.chat(work(), **ASK)
            assert caught.value.code == "provider_refused"
    assert len(scripted.requests) == 1


async def test_a_call_goes_on_when_whoever_asked_has_hung_up(tmp_path: Path) -> None:
    arrived, go = asyncio.Event(), asyncio.Event()

    async def gate(_number: int) -> None:
        arrived.set()
        await go.wait()

    async with connected(tmp_path, Says(pieces=["Hi"], gate=gate)) as (kit, scripted):
        asking = asyncio.create_task(kit.worker.chat(work(), **ASK, on_text=lambda _: None))
        await arrived.wait()
        asking.cancel()
        go.set()
        reply = await kit.worker.chat(work(epoch=2), **ASK)
    assert reply.text == "Hi"
    assert len(scripted.requests) == 1


async def test_a_newer_owner_who_joins_a_call_shuts_the_older_one_out(tmp_path: Path) -> None:
    arrived, go = asyncio.Event(), asyncio.Event()

    async def gate(_number: int) -> None:
        arrived.set()
        await go.wait()

    async with connected(tmp_path, Says(pieces=["Hi"], gate=gate)) as (kit, scripted):
        older = asyncio.create_task(kit.worker.chat(work(epoch=1), **ASK))
        await arrived.wait()
        newer = asyncio.create_task(kit.worker.chat(work(epoch=2), **ASK))
        while (await stored_epoch(kit)) != 2:
            pass
        go.set()
        assert await older == await newer
        for refused in (ASK, ASK | {"key": f"{RUN}/1/2/0"}):
            with pytest.raises(Conflict) as caught:
                await kit.worker.chat(work(epoch=1), **refused)
            assert caught.value.code == "stale_epoch"
    assert len(scripted.requests) == 1


async def stored_epoch(kit: Kit) -> int | None:
    return await kit.gateway.keep.read(lambda tx: tx.execute(select(epochs.c.epoch)).scalar())


async def test_who_joins_late_hears_it_from_the_beginning(tmp_path: Path) -> None:
    first: list[str] = []
    second: list[str] = []
    said_three, joined = asyncio.Event(), asyncio.Event()

    async def gate(number: int) -> None:
        if number == 3:
            await joined.wait()

    def hear_first(text: str) -> None:
        first.append(text)
        if len(first) == 3:
            said_three.set()

    async with connected(tmp_path, Says(pieces=["w", "x", "y", "z"], gate=gate)) as (kit, _):
        asking = asyncio.create_task(kit.worker.chat(work(), **ASK, on_text=hear_first))
        await said_three.wait()

        def hear(text: str) -> None:
            second.append(text)
            joined.set()

        await kit.worker.chat(work(), **ASK, on_text=hear)
        await asking
    assert first == ["w", "x", "y", "z"]
    assert second == ["wxy", "z"]


async def test_the_tenants_own_connection_goes_before_the_platforms(tmp_path: Path) -> None:
    async with (
        provider(Says(pieces=["platform"])) as platform,
        provider(Says(pieces=["own"])) as own,
        running(tmp_path) as kit,
    ):
        for tenant, scripted in ((None, platform), (TENANT, own)):
            config = {"base_url": scripted.base_url}
            await kit.web.create_connection(tenant, kind="openai", name="acct", config=config, secret=None, by="op")
        await kit.publish("acct/m")
        await kit.publish("acct/m", tenant="ten_2")
        mine = await kit.worker.chat(work(), **ASK)
        theirs = await kit.worker.chat(work(tenant="ten_2"), **ASK)
    assert (mine.text, theirs.text) == ("own", "platform")


async def test_a_bare_model_means_the_only_connection_there_is(tmp_path: Path) -> None:
    async with connected(tmp_path, Says(pieces=["Hi"])) as (kit, scripted):
        await kit.publish("gpt-x", version="ver_2")
        await kit.worker.chat(work(version="ver_2"), **(ASK | {"model": "gpt-x"}))
        config = {"base_url": scripted.base_url}
        await kit.web.create_connection(None, kind="openai", name="second", config=config, secret=None, by="op")
        with pytest.raises(Invalid) as caught:
            await kit.publish("gpt-x", version="ver_3")
    assert scripted.requests[0]["model"] == "gpt-x"
    assert caught.value.code == "unknown_model"
