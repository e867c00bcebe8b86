"""What a version is granted: hosts and pinned tools, from the request to the gateway's row."""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from freehold.agents.publishing import version_id
from freehold.audit.canonical import digest
from freehold.core.agents import Spec
from freehold.core.effects import EffectKind, Verdict
from freehold.core.errors import Conflict, Invalid
from freehold.core.tenants import Tenant
from freehold.core.tools import Pinned, Told
from freehold.gateway import versions
from freehold.gateway.egress.hosts_granted import checked
from freehold.gateway.grants import Grants
from tests import webs
from tests.gateways import TENANT, VERSION, Kit, running
from tests.typed import Run

ADD = Told(
    pinned=Pinned(hash="a" * 64, description="Add one.", parameters={"type": "object"}, kind=EffectKind.MESSAGE),
    apart=True,
)
LIST = Told(
    pinned=Pinned(hash="b" * 64, description="List all.", parameters={"type": "object"}, kind=EffectKind.READ),
    apart=True,
)


def test_the_address_of_a_version_that_is_granted_neither_is_what_it_always_was() -> None:
    spec = Spec(model="rehearsal", instructions="Be kind.", tools={"shell": Verdict.ALLOW})
    said = {"model": "rehearsal", "instructions": "Be kind.", "tools": {"shell": "allow"}}
    assert version_id("agt_1", spec) == f"ver_{digest({'agent': 'agt_1', 'spec': said})[:32]}"


def test_hosts_and_pinned_tools_are_part_of_the_address() -> None:
    plain = Spec(model="rehearsal", tools={"crm.add": Verdict.ALLOW})
    open_ = Spec(model="rehearsal", tools={"crm.add": Verdict.ALLOW}, egress=("packs.example",))
    pinned = Spec(model="rehearsal", tools={"crm.add": Verdict.ALLOW}, pinned={"crm.add": ADD.pinned})
    assert len({version_id("agt_1", spec) for spec in (plain, open_, pinned)}) == 3


@pytest.mark.parametrize(
    ("stated", "meant"),
    [
        ("Packs.Example", "packs.example"),
        ("packs.example.", "packs.example"),
        ("packs.example:8443", "packs.example:8443"),
        ("*.Files.Example.org", "*.files.example.org"),
        ("*.files.example.org:443", "*.files.example.org:443"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("192.0.2.7", "192.0.2.7"),
        ("[2001:DB8::1]:443", "[2001:db8::1]:443"),
    ],
)
def test_a_host_has_one_spelling(stated: str, meant: str) -> None:
    assert checked([stated]) == checked([meant]) == (meant,)


@pytest.mark.parametrize(
    "stated",
    [
        "", "*", "*.", "*.*.org", "*.org", "a.*.org", "*example.org", "https://packs.example",
        "packs.example/simple", "a b.org",
        "packs.example:", "packs.example:0", "packs.example:99999", "packs.example:443:443",
        "user@packs.example", "*.192.0.2.7", "*.[::1]",
        "0x7f.1", "[::1", "packs.example\n",
    ],
)  # fmt: skip
def test_what_could_mean_two_hosts_or_all_is_none(stated: str) -> None:
    with pytest.raises(Invalid) as refused:
        checked([stated])
    assert refused.value.code == "bad_egress"


@asynccontextmanager
async def real(data: Path) -> AsyncIterator[tuple[httpx.AsyncClient, Kit, Tenant]]:
    async with running(data / "gateway") as kit:
        web = webs.made(data / "web", gateway=kit.web)
        tenant = web.tenant("acme")
        async with webs.served(web) as api:
            yield api, kit, tenant


async def granted(kit: Kit, tenant: str, version: str) -> Grants:
    found = await kit.gateway.keep.read(lambda tx: versions.stored(tx, tenant, version))
    assert found is not None
    return found


async def test_hosts_come_from_the_request_to_the_gateway_in_one_spelling(tmp_path: Path) -> None:
    async with real(tmp_path) as (api, kit, tenant):
        body = {
            "name": "clerk",
            "model": "rehearsal",
            "egress": ["Packs.Example", "*.files.example.org", "packs.example."],
        }
        made = (await api.post(f"/api/v1/tenants/{tenant.id}/agents", json=body)).json()
        grants = await granted(kit, tenant.id, made["version"])
        shown = (await api.get(f"/api/v1/tenants/{tenant.id}/agents/clerk")).json()
    assert made["egress"] == shown["egress"] == ["Packs.Example", "*.files.example.org", "packs.example."]
    assert grants.egress == ("packs.example", "*.files.example.org")


async def test_what_is_no_host_is_refused_and_nothing_is_created(tmp_path: Path) -> None:
    async with real(tmp_path) as (api, _kit, tenant):
        body = {"name": "clerk", "model": "rehearsal", "egress": ["https://packs.example/simple"]}
        refused = await api.post(f"/api/v1/tenants/{tenant.id}/agents", json=body)
        missing = await api.get(f"/api/v1/tenants/{tenant.id}/agents/clerk")
        many = body | {"egress": [f"h{n}.example.org" for n in range(101)]}
        too_many = await api.post(f"/api/v1/tenants/{tenant.id}/agents", json=many)
    assert (refused.status_code, refused.json()["code"]) == (422, "bad_egress")
    assert refused.json()["remedy"]
    assert missing.status_code == 404
    assert (too_many.status_code, too_many.json()["code"]) == (413, "too_large")


async def test_what_is_pinned_must_be_what_stands_there_at_that_moment(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.web.set_secret(TENANT, "hook", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", by="key:1")
        named: dict[str, Any] = {"kind": "webhook", "name": "hook", "secret": "hook", "by": "key:1"}
        await kit.web.create_connection(TENANT, config={"url": "http://127.0.0.1:1/"}, **named)
        [tool] = (await kit.web.tools_of(TENANT, ["hook", "none"]))["hook"].items()
        name, told = tool
        with pytest.raises(Conflict) as refused:
            await kit.publish(tools={f"hook.{name}": "allow"}, pins={f"hook.{name}": "0" * 64})
        await kit.publish(tools={f"hook.{name}": "allow"}, pins={f"hook.{name}": told.pinned.hash})
        grants = await granted(kit, TENANT, VERSION)
    assert refused.value.code == "tool_changed"
    assert grants.pins == {f"hook.{name}": told.pinned.hash}
    assert not told.apart, "what every webhook can do changes with the platform alone"


def test_a_version_from_before_there_were_hosts_and_pins_has_none(tmp_path: Path) -> None:
    web = webs.made(tmp_path)
    tenant = web.tenant("acme")
    agent = web.agent(tenant, shell=Verdict.ASK)
    old = json.dumps({"model": "rehearsal", "instructions": "", "tools": {"shell": "ask"}})
    with web.state.store.write() as platform:
        platform.connection.execute(text("update versions set spec = :old"), {"old": old})
    with web.state.store.tenant(tenant.id).read() as scope:
        version = scope.versions.find(agent.version)
    assert version.spec == Spec(model="rehearsal", tools={"shell": Verdict.ASK})


@pytest.fixture
def web(tmp_path: Path, listener: socket.socket) -> webs.Web:
    web = webs.made(tmp_path, hosts=f"http://127.0.0.1:{listener.getsockname()[1]}")
    tenant = web.tenant("acme")
    web.gateway.tools["crm"] = {"add": ADD, "list": LIST}
    web.gateway.connections[tenant.id, "crm"] = {}
    return web


async def test_all_that_a_connection_has_is_granted_by_name_and_what_is_named_itself_wins(run: Run) -> None:
    tools = ["--tool", "crm.add=ask", "--tool", "crm.*=allow", "--tool", "shell=allow"]
    await run("agent", "create", "clerk", "--model", "rehearsal", *tools)
    made = json.loads((await run("agent", "show", "clerk", "--json")).stdout)
    assert made["tools"] == {"crm.add": "ask", "crm.list": "allow", "shell": "allow"}
    assert made["pinned"]["crm.add"] == {"kind": "message", "description": "Add one.", "hash": "a" * 64}
    shown = (await run("agent", "show", "clerk")).stdout
    assert "crm.add       ask, message: Add one." in shown
    assert "crm.list      allow, read: List all." in shown
    await run("agent", "update", "clerk", "--tool", "crm.*=deny", "--tool", "crm.list=ask")
    changed = json.loads((await run("agent", "show", "clerk", "--json")).stdout)
    assert changed["tools"] == {"crm.add": "deny", "crm.list": "ask", "shell": "allow"}


async def test_hosts_are_granted_and_taken_away_again(run: Run) -> None:
    hosts = ["--egress", "packs.example", "--egress", "*.files.example.org"]
    await run("agent", "create", "clerk", "--model", "rehearsal", *hosts)
    await run("agent", "update", "clerk", "--instructions", "Be kind.")
    assert "egress        packs.example, *.files.example.org" in (await run("agent", "show", "clerk")).stdout
    await run("agent", "update", "clerk", "--egress", "github.com", "--no-egress", "packs.example")
    changed = json.loads((await run("agent", "show", "clerk", "--json")).stdout)
    assert changed["egress"] == ["*.files.example.org", "github.com"]


async def test_tools_are_shown_with_whose_version_pinned_another(run: Run, web: webs.Web, tmp_path: Path) -> None:
    await run("agent", "create", "clerk", "--model", "rehearsal", "--tool", "crm.add=allow")
    said = await run("connection", "tools", "crm", "--kind", "add=spend")
    assert said.exit_code == 0, said.output
    assert [line.split() for line in said.stdout.splitlines()] == [
        ["NAME", "KIND", "WHAT", "HASH", "NEEDS", "A", "NEW", "VERSION"],
        ["add", "spend", "Add", "one.", "aaaaaaaaaaaa", "-"],
        ["list", "read", "List", "all.", "bbbbbbbbbbbb", "-"],
    ]
    web.gateway.tools["crm"]["add"] = Told(pinned=Pinned(**_changed(ADD.pinned)), apart=True)
    outdated = json.loads((await run("connection", "tools", "crm", "--json")).stdout)
    assert [tool["outdated"] for tool in outdated] == [["clerk"], []]
    document = tmp_path / "api.yaml"
    document.write_text("openapi: 3.1.0\n")
    refused = await run("connection", "tools", "crm", "--openapi", str(document))
    assert refused.exit_code == 2
    assert "yq -o json" in refused.output
    document.write_text("{}")
    assert (await run("connection", "tools", "crm", "--openapi", str(document))).exit_code == 0


def _changed(pinned: Pinned) -> dict[str, Any]:
    return {"hash": "c" * 64, "description": "Other.", "parameters": pinned.parameters, "kind": pinned.kind}
