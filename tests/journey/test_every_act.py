"""
Every act is in the record: each route of the description that changes something, asked of the real application.

Over real stores, with a real gateway. What succeeds has left a row in the right chain that names who, by which way
and in which request; and the same request, asked while no row can be written, has changed nothing at all. A route
that is added later fails here until somebody walks it too.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from freehold.audit.canonical import digest
from freehold.core.approvals import Approval
from freehold.core.effects import EffectState
from freehold.core.people import Role
from freehold.core.runs import RunEvent, WaitsFor
from freehold.tenants.keys import hashed
from freehold.testing.clock import FakeClock
from freehold.testing.counterpart import counterpart
from freehold.web.building import build
from freehold.web.cookies import BROWSER
from tests.authenticators import Device
from tests.consents import CLIENT_SECRET, Consents, config
from tests.gateways import SECRET, effect, running, work
from tests.walking import API, HOME, Walk
from tests.webs import OPERATOR, Web, bearer, made

HERE = "/tenants/{tenant}"
LINK = "fh_claim_a-link-that-was-printed"
BROWSER_OF_HERS = {"Origin": HOME, "Cookie": f"{BROWSER}={'n' * 43}"}
NO_ACT = {
    ("post", "/audit/anchor"): "an anchor is evidence itself: numbered, signed and never changed",
    ("post", "/connections/{name}/sign-in"): "a link, which does nothing until somebody follows it",
    ("post", "/tenants/{tenant}/connections/{name}/sign-in"): "a link, which does nothing until somebody follows it",
    ("post", "/connections/{name}/sign-in/device/{sign_in}"): "a question; what it finds connected is recorded as that",
    ("post", "/tenants/{tenant}/connections/{name}/sign-in/device/{sign_in}"): "the same question, within a tenant",
    ("post", "/login/code"): "it asks for a mail, the same for everybody: the answer is recorded when it is used",
    ("post", "/login/passkey/challenge"): "a riddle, which does nothing until it is answered",
    ("post", "/passkeys/challenge"): "a riddle, which does nothing until it is answered",
}
"""Routes that change nothing anybody could ask about, each with its reason."""
NO_HASHES = (
    "access.", "account.", "sign_in.", "approval.", "connection.test", "effect.", "key_pair.", "message.", "run.", "runs.", "session.", "person.login_code",
    "person.sign_in", "tools.ask", "vault.",
)  # fmt: skip
"""Acts that leave no thing other than it was, have hashes of their own, or name many things with rows of their own."""


@pytest.fixture
async def walk(tmp_path: Path) -> AsyncIterator[Walk]:
    clock = FakeClock()
    async with running(tmp_path / "gateway-data", clock, audit_anchor="") as kit:
        web = made(
            tmp_path / "data", gateway=kit.web, claim_hash=hashed(LINK), public_url=HOME, tenant_retention_days=0
        )
        app = httpx.ASGITransport(build(web.state), raise_app_exceptions=False, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=app, base_url=HOME) as asking:
            yield Walk(web, kit, asking, clock)


async def begin(walk: Walk) -> None:
    """The first hours: claimed, people, a tenant that is set up and deployed."""
    walk.hidden |= {"founder@example.com", "Fay Founder", LINK}
    await walk.act("POST /claim", {"token": LINK, "email": "founder@example.com", "name": "Fay Founder"}, by={})
    walk.hidden |= {"ann@example.com", "Ann Other", "Ann Another", "A Company", "Another Company"}
    await walk.act("POST /people", {"email": "ann@example.com", "name": "Ann Other"})
    await walk.act("PATCH /people/{person}", {"allowance": 1}, person="ann@example.com")
    await walk.act("PUT /tiers/{tier}", {"limits": {"agents": 9}}, tier="own")
    await walk.act("DELETE /tiers/{tier}", tier="own")
    await walk.act("POST /tenants", {"slug": "acme", "name": "A Company"})
    await walk.act("PATCH /tenants/{tenant}", {"name": "Another Company"})
    await walk.act("PUT /tenants/{tenant}/tier", {"tier": "team"})
    await walk.act("POST /tenants/{tenant}/deploy")


async def sign_in(walk: Walk) -> None:
    """Everything somebody does about themselves."""
    bea, hers = walk.known("bea")
    code = (await walk.act("POST /people/{person}/login-code", person=bea.id))["code"]
    walk.hidden |= {code, "Bea Married"}
    await walk.act("POST /login", {"email": bea.email, "code": code}, by={})
    await walk.act("PATCH /me", {"name": "Bea Married"}, by=hers)
    other = next(one for one in (await walk.get("/sessions", hers))["items"] if not one["current"])
    await walk.act("DELETE /sessions/{session}", by=hers, session=other["id"])
    walk.signed_in(bea)
    await walk.act("DELETE /sessions", by=hers)
    device = Device(origin=HOME)
    walk.hidden |= {"Bea's phone"}

    # A riddle is good once, also where what came of its answer could not be kept.
    async def make() -> Any:
        return {"credential": device.make(await walk.riddle("/passkeys/challenge", hers)), "name": "Bea's phone"}

    async def show() -> Any:
        return {"credential": device.show(await walk.riddle("/login/passkey/challenge", BROWSER_OF_HERS))}

    passkey = await walk.act("POST /passkeys", make, by=hers)
    await walk.act("POST /login/passkey", show, by=BROWSER_OF_HERS)
    await walk.act("DELETE /passkeys/{passkey}", by=walk.signed_in(bea), passkey=passkey["id"])
    hers = walk.signed_in(bea)
    await walk.act("POST /passkeys", make, by=hers)
    await walk.act("DELETE /people/{person}/passkeys", person=bea.id)
    await walk.act("DELETE /people/{person}/sessions", person=bea.id)
    await walk.act("POST /logout", by=walk.signed_in(bea))


async def members_and_keys(walk: Walk) -> None:
    """Who may do what in the tenant."""
    _, owner = walk.known("otto", Role.OWNER)
    guest, theirs = walk.known("guest")
    invited = await walk.act(f"POST {HERE}/invitations", {"email": guest.email, "role": "member"}, by=owner)
    token = invited["link"].rpartition("/")[2]
    walk.hidden |= {token}
    await walk.act("POST /invitations/accept", {"token": token}, by=theirs)
    other = await walk.act(f"POST {HERE}/invitations", {"email": "late@example.com"})
    walk.hidden |= {"late@example.com"}
    await walk.act(f"DELETE {HERE}/invitations/{{invitation}}", invitation=other["id"])
    listed = (await walk.get("/tenants/acme/members"))["items"]
    place = next(one["id"] for one in listed if one["email"] == guest.email)
    await walk.act(f"PATCH {HERE}/members/{{member}}", {"role": "admin"}, by=owner, member=place)
    await walk.act(f"POST {HERE}/transfer", {"member": place}, by=owner)
    _, viewer = walk.known("vera", Role.VIEWER)
    await walk.act(f"POST {HERE}/leave", by=viewer)
    await walk.act(
        f"DELETE {HERE}/members/{{member}}", member=next(o["id"] for o in listed if o["email"] != guest.email)
    )
    for place, scopes in ((f"{HERE}/keys", ["runs:read"]), ("/keys", ["tenants:read"])):
        made = await walk.act(f"POST {place}", {"name": "the key of Ann Other", "scopes": scopes})
        turned = await walk.act(f"POST {place}/{{key}}/rotate", {"overlap_hours": 1}, key=made["id"])
        await walk.act(f"DELETE {place}/{{key}}", key=turned["id"])
        walk.hidden |= {made["key"], turned["key"]}


async def agents_and_runs(walk: Walk) -> None:
    """What a tenant is for."""
    walk.hidden |= {SECRET, "very private words"}
    hook = {"kind": "webhook", "name": "hook", "config": {"url": "https://example.com/x"}, "secret": "signing"}
    for place in (HERE, ""):
        await walk.act(f"POST {place}/secrets", {"name": "signing", "value": SECRET})
        await walk.act(f"POST {place}/connections", hook)
        await walk.act(f"DELETE {place}/connections/{{name}}", name="hook")
        await walk.act(f"POST {place}/destinations", {"name": "wiki", "place": "10.0.0.9:443"})
        await walk.act(f"DELETE {place}/destinations/{{name}}", name="wiki")
    version = {"model": "rehearsal", "tools": {"delete_file": "ask"}, "instructions": "very private words"}
    await walk.act(f"POST {HERE}/agents", {"name": "ada"} | version)
    await walk.act(f"POST {HERE}/agents/{{agent}}/versions", version | {"instructions": ""}, agent="ada")
    await walk.act(f"POST {HERE}/agents/{{agent}}/deploy", {"version": "1", "share": 10}, agent="ada")
    await walk.act(f"POST {HERE}/agents/{{agent}}/rollback", agent="ada")
    channel = {
        "kind": "webhook",
        "name": "door",
        "agent": "ada",
        "secret": "signing",
        "reply_url": "https://e.com/r",
    }
    made = await walk.act(f"POST {HERE}/channels", channel)
    await walk.act(f"DELETE {HERE}/channels/{{channel}}", channel=made["id"])
    for place, body in ((HERE, None), ("", {"master": False})):
        await walk.act(f"POST {place}/secrets/rotate", body)
        while (await walk.get(f"{place.format(tenant='acme')}/secrets/rotation"))["running"]:  # noqa: ASYNC110 - asked, not told
            await asyncio.sleep(0.01)
        await walk.act(f"DELETE {place}/secrets/{{name}}", name="signing")
    await walk.act(f"POST {HERE}/agents/{{agent}}/messages", {"text": "very private words"}, agent="ada")
    for decision in ("approve", "deny"):
        run = await walk.act(f"POST {HERE}/runs", {"agent": "ada", "input": "very private words"})
        told = {"name": "news", "payload": {"text": "very private words"}}
        await walk.act(f"POST {HERE}/runs/{{run}}/signal", told, run=run["id"])
        approval = await asked(walk, run)
        shown = {"hash": approval.hash}
        await walk.act(f"POST {HERE}/approvals/{{approval}}/{decision}", shown, approval=approval.id)
        await walk.act(f"POST {HERE}/runs/{{run}}/cancel", run=run["id"])


async def tools(walk: Walk) -> None:
    """What connections can do."""
    crm = {"kind": "http", "name": "crm", "config": {"base_url": "https://example.com", "allow": ["GET:/**"]}}
    told = {"openapi": "3.1.0", "paths": {"/people": {"get": {"operationId": "people"}}}}
    for place in (HERE, ""):
        await walk.act(f"POST {place}/connections", crm)
        await walk.act(f"POST {place}/connections/{{name}}/tools", {"document": told}, name="crm")
        await walk.act(
            f"PATCH {place}/connections/{{name}}/tools/{{tool}}", {"kind": "credential"}, name="crm", tool="people"
        )


async def accounts(walk: Walk) -> None:
    """Whose accounts connections use."""
    consents = Consents(device="")
    walk.hidden |= {CLIENT_SECRET, "ABCD-EFGH"}
    async with counterpart(consents) as there:
        post = {"kind": "http", "name": "post", "config": config(there.url)}
        for place in (HERE, ""):
            await walk.act(f"POST {place}/secrets", {"name": "crm-client", "value": CLIENT_SECRET})
            await walk.act(f"POST {place}/connections", post)
            begun = await walk.act(f"POST {place}/connections/{{name}}/sign-in/device", name="post")
            walk.clock.wind(begun["interval"])
            stands = f"{place.format(tenant='acme')}/connections/post/sign-in/device/{begun['id']}"
            told = await walk.asking.post(API + stands, headers=bearer(OPERATOR))
            assert told.json()["state"] == "connected", told.text
            await walk.act(f"DELETE {place}/connections/{{name}}/sign-in", name="post")
        walk.hidden |= {token for n in range(1, consents.issued + 1) for token in (f"access-{n}-", f"refresh-{n}-")}


async def money_and_models(walk: Walk) -> None:
    """What may be spent, and by which models."""
    near = {"kind": "openai", "name": "near", "config": {"base_url": "http://127.0.0.1:9/v1"}}
    for place in (HERE, ""):
        await walk.act(f"POST {place}/connections", near)
        await walk.act(f"PATCH {place}/connections/{{name}}", {"config": {"region": "eu"}}, name="near")
        assert not (await walk.act(f"POST {place}/connections/{{name}}/test", name="near"))["ok"]
        await walk.act(f"PUT {place}/levels/{{level}}", {"routes": ["near/model"]}, level="executor")
        await walk.act(f"DELETE {place}/levels/{{level}}", level="executor")
    await walk.act(f"PUT {HERE}/budgets/{{budget}}", {"limit_nano": 5}, budget="tenant.month")
    await walk.act(f"DELETE {HERE}/budgets/{{budget}}", budget="tenant.month")
    await walk.act(f"PUT {HERE}/account", {"markup_ppm": 200_000})
    await walk.act(f"POST {HERE}/account/credit", {"nano": 5})
    await walk.act(f"PUT {HERE}/account", {"prepaid": False})
    await walk.act(f"PUT {HERE}/regions", {"regions": ["eu"]})
    made = await walk.act(f"POST {HERE}/model-keys", {"name": "the key of Ann Other"})
    await walk.act(f"DELETE {HERE}/model-keys/{{key}}", key=made["id"])
    walk.hidden |= {made["key"]}


async def asked(walk: Walk, run: dict[str, Any]) -> Approval:
    """Let the run ask whether it may, at the gateway and in the database, as a worker does."""
    tenant = walk.tenant
    path = {"path": "very private words"}
    hash_ = digest({"connection": "sandbox", "operation": "delete_file", "arguments": path})
    wanted = effect("delete_file", key=f"{run['id']}/1/1/1", **path)
    on_behalf = work(tenant=tenant.id, agent=run["agent"], version=run["version"], run=run["id"])
    assert (await walk.kit.worker.submit(on_behalf, wanted)).state is EffectState.ASKED
    now = walk.web.clock.now()
    approval = Approval(
        id=walk.web.state.ids("apr"),
        run=run["id"],
        agent=run["agent"],
        key=wanted.key,
        call="call_1",
        connection="sandbox",
        operation="delete_file",
        arguments=path,
        hash=hash_,
        created_at=now,
        expires_at=now.replace(year=2030),
    )
    walk.web.move(tenant, run["id"], RunEvent.START)
    with walk.web.state.store.tenant(tenant.id).write() as scope:
        scope.approvals.add(approval)
    walk.web.move(tenant, run["id"], RunEvent.PARK, waits_for=WaitsFor.PERSON)
    return approval


async def the_end(walk: Walk) -> None:
    """Switches, and the end of the tenant."""
    for place in (HERE, ""):
        await walk.act(f"POST {place}/switches/pause-effects")
        await walk.act(f"POST {place}/switches/resume-effects")
        await walk.act(f"POST {place}/switches/cancel-runs")
        await walk.act(f"POST {place}/switches/revoke-access")
    await walk.act(f"POST {HERE}/suspend")
    await walk.act(f"POST {HERE}/resume")
    await walk.act(f"DELETE {HERE}", query="?confirm=acme")
    await walk.act(f"POST {HERE}/restore")
    await walk.act(f"DELETE {HERE}", query="?confirm=acme")
    await walk.act(f"POST {HERE}/purge", {"confirm": "acme"})


async def test_every_act_leaves_its_row_or_does_not_happen(walk: Walk) -> None:
    await begin(walk)
    await sign_in(walk)
    await members_and_keys(walk)
    await agents_and_runs(walk)
    await tools(walk)
    await accounts(walk)
    await money_and_models(walk)
    await the_end(walk)
    missing = {route for route in mutating(walk.web) if route not in walk.walked} - NO_ACT.keys()
    assert missing == set()
    rows = await walk.rows()
    bare = {row["action"] for row in rows if not (row["before"] or row["after"])}
    assert {action for action in bare if not action.startswith(NO_HASHES)} == set()
    told = "".join(f"{row}" for row in rows)
    assert {word for word in walk.hidden if word in told} == set()


def mutating(web: Web) -> list[tuple[str, str]]:
    described = build(web.state).openapi()["paths"].items()
    every = [(method, path.removeprefix(API)) for path, said in described for method in said if path.startswith(API)]
    return [route for route in every if route[0] not in {"get", "head"}]
