"""A gateway as web and worker meet it: over its real sockets, from the grant to the record."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from freehold.core.effects import EffectState
from freehold.core.errors import Conflict, Denied, FreeholdError, Invalid, NotFound, Unavailable
from freehold.gateway.client import WebGateway
from freehold.testing.clock import FakeClock
from tests.gateways import RUN, SECRET, TENANT, effect, running, said, work

KEY = f"{RUN}/1/1/0"


async def test_a_reply_comes_back_with_what_it_cost(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.publish("rehearsal?usage=100,50")
        reply = await kit.worker.chat(work(), key=KEY, model="rehearsal?usage=100,50", body=said("run: date"))
        usage = await kit.web.usage(TENANT, run=RUN)
    assert [(call.name, call.arguments) for call in reply.calls] == [("shell", {"command": "date"})]
    assert (reply.usage_in, reply.usage_out, reply.cost_nano) == (100, 50, 100 * 1_000 + 50 * 4_000)
    assert usage["total"]["cost_nano"] == reply.cost_nano
    assert [(row["state"], row["kind"], row["price"]) for row in usage["rows"]] == [("closed", "model", "rehearsal")]


async def test_text_streams_and_a_repeat_gets_the_stored_reply_for_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.publish("rehearsal?pieces=5")
        first: list[str] = []
        second: list[str] = []
        ask: dict[str, Any] = {"key": KEY, "model": "rehearsal?pieces=5", "body": said("hello")}
        reply = await kit.worker.chat(work(), **ask, on_text=first.append)
        again = await kit.worker.chat(work(), **ask, on_text=second.append)
        usage = await kit.web.usage(TENANT)
    assert len(first) == 5
    assert "".join(first) == reply.text
    assert (second, again) == ([reply.text], reply)
    assert usage["total"]["count"] == 1


async def test_two_who_ask_at_once_share_one_call(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.publish()
        ask: dict[str, Any] = {"key": KEY, "model": "rehearsal", "body": said("hello")}
        replies = await asyncio.gather(*(kit.worker.chat(work(), **ask, on_text=lambda _: None) for _ in range(10)))
        usage = await kit.web.usage(TENANT)
    assert len(set(map(str, replies))) == 1
    assert usage["total"]["count"] == 1


async def test_other_words_under_the_same_key_are_a_conflict(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.publish()
        await kit.worker.chat(work(), key=KEY, model="rehearsal", body=said("hello"))
        with pytest.raises(Conflict) as caught:
            await kit.worker.chat(work(), key=KEY, model="rehearsal", body=said("other"))
    assert caught.value.code == "key_reused"


async def test_an_older_owner_is_refused_once_a_newer_one_was_seen(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.publish(tools={"shell": "allow"})
        await kit.worker.submit(work(epoch=2), effect())
        for late in (
            kit.worker.submit(work(epoch=1), effect()),
            kit.worker.settle(work(epoch=1), key=effect().key, state=EffectState.DONE),
            kit.worker.chat(work(epoch=1), key=KEY, model="rehearsal", body=said("hello")),
        ):
            with pytest.raises(Conflict) as caught:
                await late
            assert caught.value.code == "stale_epoch"


async def test_a_worker_acts_only_for_versions_that_were_published(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.publish()
        for who, code in (
            (work(version="ver_other"), "not_published"),
            (work(agent="agt_other"), "not_published"),
            (work(tenant="ten_2"), "not_published"),
        ):
            with pytest.raises(Denied) as caught:
                await kit.worker.chat(who, key=KEY, model="rehearsal", body=said("hello"))
            assert caught.value.code == code
        with pytest.raises(Denied) as caught:
            await kit.worker.chat(work(), key=KEY, model="rehearsal?delay=1", body=said("hello"))
        assert caught.value.code == "model_not_granted"


async def test_an_effect_of_the_sandbox_is_opened_here_and_settled_by_the_worker(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.publish(tools={"shell": "allow"})
        opened = await kit.worker.submit(work(), effect(command="ls"))
        again = await kit.worker.submit(work(epoch=2), effect(command="ls"))
        assert (opened.state, again.state, again.fresh) == (EffectState.OPEN, EffectState.OPEN, False)
        for _ in range(2):
            await kit.worker.settle(work(epoch=2), key=effect().key, state=EffectState.DONE, result={"exit": 0})
        done = await kit.worker.submit(work(epoch=2), effect(command="ls"))
        with pytest.raises(Conflict):
            await kit.worker.settle(work(epoch=2), key=effect().key, state=EffectState.FAILED)
        actions = await kit.actions()
    assert (done.state, done.result, done.fresh) == (EffectState.DONE, {"exit": 0}, False)
    assert actions == ["version.publish", "effect.open", "effect.done"]


async def test_what_was_not_granted_is_refused_and_stays_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.publish(tools={"shell": "allow", "write_file": "deny"})
        for operation in ("write_file", "delete_file"):
            asked = effect(operation, key=f"{RUN}/1/1/{operation}")
            for _ in range(2):
                outcome = await kit.worker.submit(work(), asked)
                assert outcome.state is EffectState.REFUSED
                assert (outcome.error or {})["code"] == "not_granted"


async def test_an_approved_effect_runs_exactly_the_bytes_that_were_shown_once(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.publish(tools={"delete_file": "ask"})
        deletion = effect("delete_file", path="a.txt")
        asked = await kit.worker.submit(work(), deletion)
        assert (asked.state, (await kit.worker.submit(work(), deletion)).state) == (
            EffectState.ASKED,
            EffectState.ASKED,
        )
        decision: dict[str, Any] = {"tenant": TENANT, "key": deletion.key, "approve": True, "by": "key:1"}
        with pytest.raises(Conflict) as stale:
            await kit.web.decide(hash="0" * 64, **decision)
        await kit.web.decide(hash=asked.hash, **decision)
        with pytest.raises(Conflict) as used:
            await kit.web.decide(hash=asked.hash, **decision)
        with pytest.raises(Conflict):
            await kit.worker.submit(work(epoch=2), effect("delete_file", path="b.txt"))
        assert (await kit.worker.submit(work(epoch=2), deletion)).state is EffectState.OPEN
        with pytest.raises(NotFound):
            await kit.web.decide(hash=asked.hash, **(decision | {"tenant": "ten_2"}))
        actions = await kit.actions()
    assert (stale.value.code, used.value.code) == ("stale_hash", "already_decided")
    assert actions[1:] == ["effect.asked", "effect.approved", "effect.open"]


async def test_a_denied_effect_never_runs(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.publish(tools={"delete_file": "ask"})
        asked = await kit.worker.submit(work(), effect("delete_file"))
        await kit.web.decide(tenant=TENANT, key=effect().key, hash=asked.hash, approve=False, by="key:1")
        outcome = await kit.worker.submit(work(epoch=2), effect("delete_file"))
    assert (outcome.state, (outcome.error or {})["code"]) == (EffectState.REFUSED, "refused")


async def test_a_question_nobody_answers_expires(tmp_path: Path) -> None:
    clock = FakeClock()
    async with running(tmp_path, clock, approval_hours=1) as kit:
        await kit.publish(tools={"delete_file": "ask"})
        asked = await kit.worker.submit(work(), effect("delete_file"))
        clock.wind(3601)
        with pytest.raises(Conflict):
            await kit.web.decide(tenant=TENANT, key=effect().key, hash=asked.hash, approve=True, by="key:1")
        assert (await kit.worker.submit(work(), effect("delete_file"))).state is EffectState.EXPIRED


async def test_sandbox_hours_are_usage(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.worker.sandbox_usage(work(), sandbox="sbx_1", wakes=1, awake_ms=2_000, memory_mb=512)
        usage = await kit.web.usage(TENANT)
        other = await kit.web.usage("ten_2")
    assert usage["kinds"]["sandbox"]["memory_mb_ms"] == 1_024_000
    assert other["total"]["count"] == 0


async def test_secrets_are_listed_by_name_and_kept_while_used(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.web.set_secret(TENANT, "hook", SECRET, by="key:1")
        await kit.web.set_secret(TENANT, "hook", SECRET, by="key:2")
        await kit.web.create_connection(
            TENANT, kind="webhook", name="out", config={"url": "https://a.example"}, secret="hook", by="key:1"
        )
        listed = await kit.web.list_secrets(TENANT)
        assert [(secret["name"], secret["version"], secret["set_by"]) for secret in listed] == [("hook", 2, "key:2")]
        assert await kit.web.list_secrets(None) == await kit.web.list_secrets("ten_2") == []
        with pytest.raises(Conflict) as caught:
            await kit.web.delete_secret(TENANT, "hook", by="key:1")
        await kit.web.delete_connection(TENANT, "out", by="key:1")
        await kit.web.delete_secret(TENANT, "hook", by="key:1")
        assert await kit.web.list_secrets(TENANT) == await kit.web.list_connections(TENANT) == []
    assert caught.value.code == "secret_in_use"


@pytest.mark.parametrize(
    ("made", "kind", "code"),
    [
        ({"kind": "smtp", "name": "x"}, Invalid, "unknown_kind"),
        ({"kind": "rehearsal", "name": "x"}, Invalid, "unknown_kind"),
        ({"kind": "nothing", "name": "x"}, Invalid, "unknown_kind"),
        ({"kind": "openai", "name": "mail"}, Invalid, "bad_name"),
        ({"kind": "openai", "name": "a b"}, Invalid, "bad_name"),
        ({"kind": "openai", "name": "x", "config": {"base_url": "nonsense"}}, Invalid, "bad_config"),
        ({"kind": "openai", "name": "x", "secret": "nothing"}, NotFound, "missing_secret"),
        ({"kind": "webhook", "name": "x", "config": {"url": "https://a.example"}}, Invalid, "blank_secret"),
        ({"kind": "openai", "name": "taken"}, Conflict, "duplicate_name"),
    ],
)
async def test_a_connection_that_cannot_be_is_refused(
    tmp_path: Path, made: dict[str, Any], kind: type[FreeholdError], code: str
) -> None:
    base: dict[str, Any] = {"config": {"base_url": "http://127.0.0.1:1/v1"}, "secret": None, "by": "key:1"}
    async with running(tmp_path) as kit:
        await kit.web.create_connection(TENANT, **(base | {"kind": "openai", "name": "taken"}))
        with pytest.raises(kind) as caught:
            await kit.web.create_connection(TENANT, **(base | made))
        assert len(await kit.web.list_connections(TENANT)) == 1
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("model", "tools", "code"),
    [
        ("nothing/gpt", {}, "unknown_model"),
        ("mail/gpt", {}, "unknown_model"),
        ("gpt", {}, "unknown_model"),
        ("", {}, "unknown_model"),
        ("rehearsal?fast=1", {}, "unknown_model"),
        ("rehearsal", {"fly": "allow"}, "unknown_tool"),
        ("rehearsal", {"hook.send": "allow"}, "unknown_tool"),
        ("rehearsal", {"mail.read": "allow"}, "unknown_tool"),
        ("rehearsal", {"shell": "maybe"}, "bad_verdict"),
    ],
)
async def test_a_version_that_cannot_work_is_not_published(
    tmp_path: Path, model: str, tools: dict[str, str], code: str
) -> None:
    async with running(tmp_path) as kit:
        with pytest.raises(Invalid) as caught:
            await kit.publish(model, tools)
    assert caught.value.code == code


async def test_the_same_version_may_be_published_again_but_never_changed(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        for _ in range(2):
            await kit.publish(tools={"shell": "ask"})
        with pytest.raises(Conflict) as caught:
            await kit.publish(tools={"shell": "allow"})
        assert await kit.actions() == ["version.publish"]
    assert caught.value.code == "version_exists"


async def test_the_record_verifies_and_tells_its_heads(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.publish()
        await kit.web.set_secret(None, "platform", "value", by="operator")
        found = await kit.web.verify_audit()
    assert found["ok"]
    assert {(head["tenant"], head["seq"]) for head in found["heads"]} == {(TENANT, 1), ("", 1)}


async def test_a_gateway_that_is_away_is_unavailable(tmp_path: Path) -> None:
    web = WebGateway(tmp_path / "run" / "gateway-web.sock")
    with pytest.raises(Unavailable) as caught:
        await web.health()
    await web.close()
    assert caught.value.code == "gateway_away"


async def test_the_rehearsal_is_refused_where_it_is_switched_off(tmp_path: Path) -> None:
    async with running(tmp_path, rehearsal=False) as kit:
        with pytest.raises(Invalid) as caught:
            await kit.publish()
    assert caught.value.code == "unknown_model"
