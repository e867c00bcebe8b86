"""Model calls out of real sandboxes, by the real gateway: metered, judged and recorded as their run's."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from freehold.core.effects import Verdict
from freehold.sandboxes.runtime import Guest
from tests.gateways import RUN, TENANT, Kit, running, work
from tests.security.sandboxes import UID_BASE, Ground, data, ground, python

__all__ = ["data", "ground"]
pytestmark = [pytest.mark.bwrap, pytest.mark.parametrize("ground", ["spawner"], indirect=True)]
MODELS = {"models": "allow"}
SCRIPT = """
import json, os, sys, urllib.request as u, urllib.error as e
path, body, key = json.loads(sys.argv[1])
headers = {"Content-Type": "application/json", "Authorization": "Bearer " + key}
data = json.dumps(body).encode() if body else None
try:
    r = u.urlopen(u.Request(os.environ["OPENAI_BASE_URL"] + path, data, headers), timeout=20)
    print(r.status, r.read().decode())
except e.HTTPError as error:
    print(error.code, error.read().decode())
"""


@pytest.fixture
async def kit(data: Path) -> AsyncIterator[Kit]:
    """Give a gateway over the folder in which the sandboxes are made."""
    async with running(data, sandbox_uid_base=UID_BASE or 200_000) as made:
        yield made


async def woken(ground: Ground, kit: Kit, **changes: Any) -> Guest:
    """Return a sandbox of the run, with a box."""
    await kit.worker.open_box(work(**changes), sandbox="sbx_1", uid=1, holder="worker/a")
    return await ground.wake(box=True)


async def ask(guest: Guest, path: str, body: Any = None, key: str = "sandbox") -> tuple[int, Any]:
    """Return status and answer of a request that a program inside makes."""
    ended = await guest.run(["python3", "-I", "-c", SCRIPT, json.dumps([path, body, key])], timeout=30)
    status, _, said = ended.stdout.decode().partition(" ")
    return int(status), json.loads(said)


def chat(model: str = "rehearsal") -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "hello"}]}


async def test_a_program_asks_a_model_and_its_run_pays(ground: Ground, kit: Kit) -> None:
    await kit.publish(tools=MODELS)
    guest = await woken(ground, kit)
    status, answer = await ask(guest, "/chat/completions", chat(), key="fhm_of_somebody_else")
    assert status == 200, answer
    assert answer["choices"][0]["message"]["content"]
    (row,) = (await kit.web.usage(TENANT))["rows"]
    assert (row["run"], row["agent"]) == (RUN, "agt_1")
    rows = await kit.web.audit(TENANT, run=RUN)
    assert rows
    assert {link["actor"] for link in rows} == {f"run:{RUN}"}


async def test_what_may_be_called_is_listed_and_nothing_else_may(ground: Ground, kit: Kit) -> None:
    await kit.publish(tools=MODELS)
    guest = await woken(ground, kit)
    status, listed = await ask(guest, "/models")
    assert status == 200
    assert "rehearsal" in {one["id"] for one in listed["data"]}
    status, answer = await ask(guest, "/chat/completions", chat("other/model"))
    assert (status, answer["error"]["code"]) == (403, "model_not_granted")


@pytest.mark.parametrize("verdict", [None, Verdict.ASK, Verdict.DENY])
async def test_without_the_tool_nothing_is_answered(ground: Ground, kit: Kit, verdict: Verdict | None) -> None:
    await kit.publish(tools={"models": str(verdict)} if verdict else {"shell": "allow"})
    guest = await woken(ground, kit)
    for path, body in (("/chat/completions", chat()), ("/models", None)):
        status, answer = await ask(guest, path, body)
        assert (status, answer["error"]["code"]) == (403, "not_granted")
    assert (await kit.web.usage(TENANT))["rows"] == []


async def test_a_switch_that_is_thrown_holds_from_the_next_call_on(ground: Ground, kit: Kit) -> None:
    await kit.publish(tools=MODELS)
    guest = await woken(ground, kit)
    await kit.web.pause_effects(TENANT, paused=True, by="person:1")
    status, answer = await ask(guest, "/chat/completions", chat())
    assert (status, answer["error"]["code"]) == (503, "effects_paused")
    await kit.web.pause_effects(TENANT, paused=False, by="person:1")
    assert (await ask(guest, "/chat/completions", chat()))[0] == 200
    await kit.web.hold(TENANT, held=True, by="person:1")
    assert (await ask(guest, "/chat/completions", chat()))[1]["error"]["code"] == "effects_paused"


async def test_a_run_that_is_over_calls_no_more(ground: Ground, kit: Kit) -> None:
    await kit.publish(tools=MODELS)
    guest = await woken(ground, kit)
    await kit.web.retire(TENANT, [RUN])
    status, answer = await ask(guest, "/chat/completions", chat())
    assert (status, answer["error"]["code"]) == (409, "stale_epoch")


async def test_a_gateway_started_anew_is_found_by_a_sandbox_that_is_awake(ground: Ground, data: Path) -> None:
    settings: dict[str, Any] = {"sandbox_uid_base": UID_BASE or 200_000}
    async with running(data, **settings) as kit:
        await kit.publish(tools=MODELS)
        guest = await woken(ground, kit)
        assert (await ask(guest, "/models"))[0] == 200
    status, answer = await ask(guest, "/models")
    assert (status, answer["error"]["code"]) == (503, "gateway_away")
    async with running(data, **settings) as kit:
        assert await kit.worker.open_box(work(), sandbox="sbx_1", uid=1, holder="worker/a") is True
        assert (await ask(guest, "/models"))[0] == 200


async def test_a_stream_comes_as_it_is_said(ground: Ground, kit: Kit) -> None:
    await kit.publish(tools=MODELS)
    guest = await woken(ground, kit)
    script = (
        "import http.client, json\n"
        "c = http.client.HTTPConnection('127.0.0.1', 7071, timeout=20)\n"
        f"c.request('POST', '/v1/chat/completions', json.dumps({chat() | {'stream': True}!r}))\n"
        "r = c.getresponse(); print(r.status, r.read().decode().rstrip().endswith('data: [DONE]'))"
    )
    assert (await python(guest, script)).stdout.split() == [b"200", b"True"]
