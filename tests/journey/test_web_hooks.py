"""A channel from end to end: signed deliveries in, one run each, one signed answer out, through a real gateway."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from freehold.core.clock import Clock
from freehold.core.effects import EffectState, Outcome
from freehold.core.errors import Invalid, Unavailable
from freehold.core.runs import RunEvent
from freehold.core.tenants import Tenant
from freehold.drivers.channel.webhook import WebhookChannel
from freehold.ingress.relaying import BACKOFF, Relay
from freehold.testing.clock import FakeClock
from tests.gateways import SECRET, Kit, running
from tests.webs import Web, made, served

CHANNELS = "/api/v1/tenants/acme/channels"


class Hook:
    """A channel that was created, and how its sender signs."""

    def __init__(self, api: httpx.AsyncClient, path: str, clock: Clock) -> None:
        self.api, self.path, self.clock = api, path, clock

    async def deliver(
        self, body: bytes, *, name: str = "m1", age: float = 0, secret: str = SECRET, sign: bytes | None = None
    ) -> httpx.Response:
        stamp = str(int(self.clock.now().timestamp() - age))
        content = f"{name}.{stamp}.".encode() + (body if sign is None else sign)
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signature = base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
        headers = {"webhook-id": name, "webhook-timestamp": stamp, "webhook-signature": f"v1,{signature}"}
        return await self.api.post(self.path, content=body, headers=headers | {"Authorization": ""})


@pytest.fixture
async def kit(tmp_path: Path) -> AsyncIterator[Kit]:
    async with running(tmp_path, FakeClock()) as gateway:
        yield gateway


@pytest.fixture
def web(tmp_path: Path, kit: Kit) -> Web:
    return made(tmp_path, gateway=kit.web)


@pytest.fixture
def acme(web: Web) -> Tenant:
    tenant = web.tenant("acme")
    web.agent(tenant)
    return tenant


@pytest.fixture
async def hook(web: Web, acme: Tenant) -> AsyncIterator[Hook]:
    async with served(web) as api:
        await api.post("/api/v1/tenants/acme/secrets", json={"name": "hook", "value": SECRET})
        body = {"kind": "webhook", "name": "front", "agent": "helper", "secret": "hook"}
        answer = await api.post(CHANNELS, json=body | {"reply_url": "http://127.0.0.1:9/answers"})
        assert answer.status_code == 201, answer.text
        yield Hook(api, answer.json()["path"], web.clock)


async def test_a_signed_delivery_becomes_one_run_however_often_it_comes(web: Web, hook: Hook) -> None:
    body = b'{"text": "hi", "sender": "ann"}'
    answers = await asyncio.gather(*(hook.deliver(body) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert len(web.engine.submitted) == 1


async def test_another_body_under_the_same_id_is_refused(hook: Hook) -> None:
    await hook.deliver(b'{"text": "hi"}')
    answer = await hook.deliver(b'{"text": "ho"}')
    assert (answer.status_code, answer.json()["code"]) == (409, "key_reused")


@pytest.mark.parametrize(
    "wrong",
    [
        {"age": 301},
        {"age": -301},
        {"secret": "whsec_" + base64.b64encode(b"x" * 24).decode()},
        {"sign": b'{"text":"hi"}'},
        {"sign": b""},
    ],
    ids=["old", "future", "other secret", "re-encoded body", "other body"],
)
async def test_what_is_not_rightly_signed_is_not_let_in(web: Web, hook: Hook, wrong: dict[str, Any]) -> None:
    answer = await hook.deliver(b'{"text": "hi"}', **wrong)
    assert (answer.status_code, answer.json()["code"]) == (401, "bad_signature")
    assert web.engine.submitted == []


async def test_without_a_signature_nobody_is_let_in(web: Web, hook: Hook) -> None:
    answer = await hook.api.post(hook.path, content=b'{"text": "hi"}')
    assert answer.status_code == 401
    assert web.engine.submitted == []


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"text": 1}', b'{"text": "  "}', b"\xff"])
async def test_a_signed_body_that_says_nothing_is_refused(web: Web, hook: Hook, body: bytes) -> None:
    assert (await hook.deliver(body)).status_code == 422
    assert web.engine.submitted == []


async def test_a_thread_goes_on_by_the_senders_name_for_it_or_by_ours(hook: Hook) -> None:
    def conversation(answer: httpx.Response) -> str:
        return str(answer.json()["message"]["conversation"])

    first = conversation(await hook.deliver(b'{"text": "one", "conversation": "c1"}', name="m1"))
    again = conversation(await hook.deliver(b'{"text": "two", "conversation": "c1"}', name="m2"))
    ours = conversation(await hook.deliver(json.dumps({"text": "three", "conversation": first}).encode(), name="m3"))
    other = conversation(await hook.deliver(b'{"text": "four"}', name="m4"))
    assert first == again == ours != other


async def test_a_channel_is_created_once_under_a_key_and_closes_for_good(web: Web, hook: Hook) -> None:
    body = {"kind": "webhook", "name": "two", "agent": "helper", "secret": "hook", "reply_url": "http://127.0.0.1:9/"}
    key = {"Idempotency-Key": "k1"}
    first, again = [await hook.api.post(CHANNELS, json=body, headers=key) for _ in range(2)]
    assert (first.status_code, first.json()) == (201, again.json())
    taken = await hook.api.post(CHANNELS, json=body)
    assert (taken.status_code, taken.json()["code"]) == (409, "name_taken")
    assert (await hook.api.delete(f"{CHANNELS}/two")).status_code == 204
    assert (await hook.api.post(first.json()["path"])).status_code == 404
    names = [made["name"] for made in (await hook.api.get("/api/v1/tenants/acme/connections")).json()["items"]]
    assert names == ["channel-front"]


class Receiver:
    """Stands where the gateway stands: says what becomes of each delivery, and remembers it."""

    def __init__(self, *becomes: Outcome | Exception) -> None:
        self.becomes, self.asked = list(becomes), list[dict[str, Any]]()
        self.heard = asyncio.Event()

    async def deliver(self, **asked: Any) -> Outcome:
        self.asked.append(asked)
        self.heard.set()
        result = self.becomes.pop(0) if self.becomes else Outcome(state=EffectState.DONE, hash="h")
        if isinstance(result, Exception):
            raise result
        return result


async def answered(web: Web, acme: Tenant, hook: Hook, *, fails: bool = False) -> str:
    run = str((await hook.deliver(b'{"text": "hi", "conversation": "c1"}')).json()["run"]["id"])
    if fails:
        web.move(acme, run, RunEvent.START)
        web.move(acme, run, RunEvent.FAIL, error={"code": "x", "message": "No.", "remedy": ""})
    else:
        web.answer(acme, run, "hello")
    return run


def relay(web: Web, receiver: Receiver) -> Relay:
    return Relay(web.state.store, receiver, {"webhook": WebhookChannel()}, clock=web.clock)


async def test_an_answer_leaves_once(web: Web, acme: Tenant, hook: Hook) -> None:
    run = await answered(web, acme, hook)
    receiver = Receiver()
    assert [await relay(web, receiver).once() for _ in range(2)] == [1, 0]
    (asked,) = receiver.asked
    assert asked["key"] == f"outbox/out_{run.removeprefix('run_')}"
    assert (asked["connection"], asked["arguments"]["type"]) == ("channel-front", "message.answered")
    assert asked["arguments"]["data"]["text"] == "hello"
    assert asked["arguments"]["data"]["conversation"] == "c1"


async def test_a_failure_leaves_too(web: Web, acme: Tenant, hook: Hook) -> None:
    await answered(web, acme, hook, fails=True)
    receiver = Receiver()
    await relay(web, receiver).once()
    assert receiver.asked[0]["arguments"]["type"] == "message.failed"
    assert receiver.asked[0]["arguments"]["data"]["error"]["code"] == "x"


async def test_a_receiver_that_is_away_is_tried_again_under_the_same_key_until_it_is_given_up(
    web: Web, acme: Tenant, hook: Hook
) -> None:
    await answered(web, acme, hook)
    receiver = Receiver(*[Unavailable("Away.", code="webhook_unavailable")] * 100)
    relaying = relay(web, receiver)
    for wait in BACKOFF:
        assert await relaying.once() == 1
        assert await relaying.once() == 0
        web.clock.wind(wait)
    assert await relaying.once() == 1
    web.clock.wind(1_000_000)
    assert await relaying.once() == 0
    assert len({asked["key"] for asked in receiver.asked}) == 1
    actions = [link["action"] for link in (await hook.api.get("/api/v1/tenants/acme/audit")).json()["items"]]
    assert actions.count("reply.failed") == 1


async def test_a_gateway_that_is_away_costs_no_attempt(web: Web, acme: Tenant, hook: Hook) -> None:
    await answered(web, acme, hook)
    receiver = Receiver(*[Unavailable("Away.", code="gateway_away", after=1.0)] * 50)
    relaying = relay(web, receiver)
    for _ in range(50):
        assert await relaying.once() == 1
        web.clock.wind(1)
    assert await relaying.once() == 1
    assert await relaying.once() == 0
    assert receiver.becomes == []


@pytest.mark.parametrize(
    "becomes",
    [
        Invalid("The receiver says no.", code="webhook_refused"),
        Outcome(state=EffectState.FAILED, hash="h", error={"code": "webhook_refused", "message": "No.", "remedy": ""}),
    ],
)
async def test_a_receiver_that_says_no_is_not_asked_again(
    web: Web, acme: Tenant, hook: Hook, becomes: Outcome | Exception
) -> None:
    await answered(web, acme, hook)
    receiver = Receiver(becomes)
    await relay(web, receiver).once()
    web.clock.wind(1_000_000)
    assert await relay(web, receiver).once() == 0


async def test_an_answer_to_a_channel_that_was_closed_is_given_up(web: Web, acme: Tenant, hook: Hook) -> None:
    await answered(web, acme, hook)
    await hook.api.delete(f"{CHANNELS}/front")
    receiver = Receiver()
    await relay(web, receiver).once()
    assert receiver.asked == []
    assert await relay(web, receiver).once() == 0


async def test_the_relay_wakes_when_it_is_told(web: Web, acme: Tenant, hook: Hook) -> None:
    receiver = Receiver()
    relaying = relay(web, receiver)
    task = asyncio.create_task(relaying.run())
    await answered(web, acme, hook)
    relaying.wake()
    async with asyncio.timeout(10):
        await receiver.heard.wait()
    task.cancel()
