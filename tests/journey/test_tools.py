"""Tools of a connection, from the document that tells of them to the call: web and gateway are the real ones."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from freehold.agents.connection_tools import ConnectionTools
from freehold.core.effects import EffectState, Outcome
from freehold.core.errors import NotFound
from freehold.core.tenants import Tenant
from freehold.gateway.client import Work
from freehold.gateway.telling_tools import arguments
from freehold.testing.counterpart import Counterpart, Heard, Tells, counterpart
from tests import webs
from tests.gateways import Kit, effect, running

SECRET = "sk-live-0123456789abcdef"
CONTACT = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}


def document(**changes: Any) -> dict[str, Any]:
    """Return what the counterpart can do, as its makers would say it."""
    create = {
        "operationId": "createContact",
        "summary": "Add a contact.",
        "parameters": [{"name": "notify", "in": "query", "schema": {"type": "boolean"}}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": CONTACT}}},
    }
    show = {"operationId": "showContact", "summary": "Look a contact up."}
    paths = {"/contacts": {"post": create | changes}, "/contacts/{id}": {"get": show}}
    return {"openapi": "3.1.0", "info": {"title": "CRM", "version": "1"}, "paths": paths}


def contacts(heard: Heard) -> Tells:
    return Tells(headers={"Content-Type": "application/json"}, pieces=[json.dumps({"at": heard.target}).encode()])


@dataclass
class Crm:
    """A tenant with a connection to the counterpart."""

    api: httpx.AsyncClient
    kit: Kit
    web: webs.Web
    tenant: Tenant
    outside: Counterpart

    async def tools(self, **stated: Any) -> dict[str, Any]:
        answer = await self.api.post(self.path("connections/crm/tools"), json=stated)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def agent(self, status: int = 201, name: str = "clerk", **body: Any) -> dict[str, Any]:
        answer = await self.api.post(self.path("agents"), json={"name": name, "model": "rehearsal"} | body)
        assert answer.status_code == status, answer.text
        return dict(answer.json())

    async def call(self, agent: dict[str, Any], operation: str, key: str = "run_1/1/1/1", **arguments: Any) -> Outcome:
        work = Work(tenant=self.tenant.id, agent=agent["id"], version=agent["version"], run="run_1", epoch=1)
        return await self.kit.worker.submit(work, effect(operation, "crm", key, **arguments))

    def path(self, rest: str) -> str:
        return f"/api/v1/tenants/{self.tenant.id}/{rest}"


@asynccontextmanager
async def connected(data: Path) -> AsyncIterator[Crm]:
    async with counterpart(contacts) as outside, running(data / "gateway") as kit:
        web = webs.made(data / "web", gateway=kit.web)
        tenant = web.tenant("acme")
        await kit.web.set_secret(tenant.id, "token", SECRET, by="key:1")
        config = {"base_url": outside.url, "allow": ["*:/**"], "inject": "header:Authorization"}
        named: dict[str, Any] = {"kind": "http", "name": "crm", "secret": "token", "by": "key:1"}
        await kit.web.create_connection(tenant.id, config=config, **named)
        async with webs.served(web) as api:
            yield Crm(api, kit, web, tenant, outside)


async def test_a_document_gives_an_agent_tools_and_they_are_called_as_it_says(tmp_path: Path) -> None:
    async with connected(tmp_path) as crm:
        told = await crm.tools(document=document())
        assert (told["added"], told["removed"], told["changed"]) == (["createContact", "showContact"], [], [])
        agent = await crm.agent(tools={"crm.*": "ask", "crm.createContact": "allow"})
        outcome = await crm.call(agent, "createContact", name="Ada", notify=True)
        asked = await crm.call(agent, "showContact", "run_1/1/1/2", id="7/8")
    assert agent["tools"] == {
        "crm.createContact": "allow",
        "crm.showContact": "ask",
        **{f"crm.{method}": "ask" for method in ("delete", "get", "head", "patch", "post", "put")},
    }
    assert agent["pinned"]["crm.createContact"]["description"] == "Add a contact."
    assert agent["pinned"]["crm.createContact"]["kind"] == "message"
    assert (outcome.state, asked.state) == (EffectState.DONE, EffectState.ASKED)
    [heard] = crm.outside.heard
    assert (heard.method, heard.target, json.loads(heard.body)) == (
        "POST",
        "/contacts?notify=true",
        {"name": "Ada"},
    )
    assert heard.header("authorization") == [f"Bearer {SECRET}"]


async def test_a_model_is_told_of_each_tool_what_its_version_pinned(tmp_path: Path) -> None:
    async with connected(tmp_path) as crm:
        await crm.tools(document=document(summary="Add a \x1b[1mcontact.\x07" + "!" * 2000))
        agent = await crm.agent(tools={"crm.createContact": "allow"})
        with crm.web.state.store.tenant(crm.tenant.id).read() as scope:
            version = scope.versions.find(agent["version"])
    [tool] = ConnectionTools(crm.kit.worker).tools(version)
    assert tool.description.startswith("Add a  [1mcontact. !!!")
    assert len(tool.description) == 1024
    assert tool.parameters["required"] == ["name"]
    assert tool.parameters["properties"]["notify"] == {"type": "boolean"}


def test_a_schema_is_told_as_of_an_object_and_without_what_steers_a_reader() -> None:
    said = {"$schema": "x", "$defs": {"A": {"title": "a\x00b"}}, "type": "array", "description": "in\u202every"}
    assert arguments(said | {"properties": 7}) == {
        "$defs": {"A": {"title": "a b"}},
        "type": "object",
        "description": "in very",
        "properties": {},
    }


async def test_a_tool_that_says_something_else_now_is_refused_until_there_is_a_new_version(tmp_path: Path) -> None:
    async with connected(tmp_path) as crm:
        await crm.tools(document=document())
        agent = await crm.agent(tools={"crm.createContact": "allow", "crm.showContact": "allow"})
        told = await crm.tools(document=document(summary="Add a contact, and tell everybody."))
        refused = await crm.call(agent, "createContact", name="Ada")
        unchanged = await crm.call(agent, "showContact", "run_1/1/1/2", id="1")
        outdated = {tool["name"]: tool["outdated"] for tool in told["items"]}
        body = {"model": "rehearsal", "tools": agent["tools"]}
        version = (await crm.api.post(crm.path("agents/clerk/versions"), json=body)).json()
        done = await crm.call(agent | {"version": version["id"]}, "createContact", "run_1/1/1/3", name="Ada")
        again = await crm.tools(document=document(summary="Add a contact, and tell everybody."))
    assert told["changed"] == ["createContact"]
    assert (outdated["createContact"], outdated["showContact"], outdated["get"]) == (["clerk"], [], [])
    assert (refused.state, (refused.error or {})["code"]) == (EffectState.REFUSED, "tool_changed")
    assert (unchanged.state, done.state) == (EffectState.DONE, EffectState.DONE)
    assert version["id"] != agent["version"]
    assert (again["added"], again["removed"], again["changed"]) == ([], [], [])
    assert all(tool["outdated"] == [] for tool in again["items"])


async def test_a_tool_that_is_gone_is_not_called(tmp_path: Path) -> None:
    async with connected(tmp_path) as crm:
        await crm.tools(document=document())
        agent = await crm.agent(tools={"crm.showContact": "allow"})
        less = document()
        del less["paths"]["/contacts/{id}"]
        told = await crm.tools(document=less)
        problem = (await crm.api.get(crm.path("connections/crm/tools"))).json()
        with pytest.raises(NotFound) as refused:
            await crm.call(agent, "showContact", id="1")
    assert refused.value.code == "unknown_tool"
    assert told["removed"] == ["showContact"]
    assert "showContact" not in {tool["name"] for tool in problem["items"]}
    assert crm.outside.heard == []


async def test_what_a_person_says_a_tool_does_outlives_what_is_told(tmp_path: Path) -> None:
    async with connected(tmp_path) as crm:
        await crm.tools(document=document())
        agent = await crm.agent(tools={"crm.createContact": "allow"})
        path = crm.path("connections/crm/tools/createContact")
        changed = (await crm.api.patch(path, json={"kind": "spend"})).json()
        refused = await crm.call(agent, "createContact", name="Ada")
        told = await crm.tools(document=document())
        wrong = await crm.api.patch(path, json={"kind": "harmless"})
        missing = await crm.api.patch(crm.path("connections/crm/tools/get"), json={"kind": "read"})
        record = await crm.kit.web.audit(crm.tenant.id, action="tools.change")
    assert (changed["kind"], changed["kind_by"], changed["outdated"]) == ("spend", "operator", ["clerk"])
    assert (refused.error or {})["code"] == "tool_changed"
    [still] = [tool for tool in told["items"] if tool["name"] == "createContact"]
    assert (still["kind"], still["hash"]) == ("spend", changed["hash"])
    assert told["changed"] == []
    assert (wrong.status_code, wrong.json()["code"]) == (422, "bad_kind")
    assert (missing.status_code, missing.json()["code"]) == (404, "unknown_tool")
    assert [link["detail"].get("kind") for link in record] == [None, "spend", None]


async def test_a_connection_that_is_deleted_takes_its_tools_along(tmp_path: Path) -> None:
    async with connected(tmp_path) as crm:
        await crm.tools(document=document())
        await crm.api.delete(crm.path("connections/crm"))
        config = {"base_url": crm.outside.url, "allow": ["GET:/**"]}
        await crm.kit.web.create_connection(
            crm.tenant.id, kind="http", name="crm", config=config, secret=None, by="key:1"
        )
        found = (await crm.api.get(crm.path("connections/crm/tools"))).json()
    assert [tool["name"] for tool in found["items"]] == ["get"]


async def test_a_document_that_makes_no_sense_changes_nothing(tmp_path: Path) -> None:
    async with connected(tmp_path) as crm:
        await crm.tools(document=document())
        path = crm.path("connections/crm/tools")
        bad = await crm.api.post(path, json={"document": {"swagger": "2.0"}})
        none = await crm.api.post(path, json={})
        found = (await crm.api.get(path)).json()
    assert (bad.status_code, bad.json()["code"]) == (422, "bad_document")
    assert (none.status_code, none.json()["code"]) == (422, "nothing_to_ask")
    assert len(found["items"]) == 8


async def test_a_neighbour_has_no_such_connection_and_none_of_its_tools(tmp_path: Path) -> None:
    async with connected(tmp_path) as crm:
        await crm.tools(document=document())
        other = crm.web.tenant("other")
        path = f"/api/v1/tenants/{other.id}/connections/crm/tools"
        answers = [await crm.api.get(path), await crm.api.post(path, json={"document": document()})]
        agent = await crm.api.post(
            f"/api/v1/tenants/{other.id}/agents",
            json={"name": "spy", "model": "rehearsal", "tools": {"crm.*": "allow"}},
        )
    assert [answer.json()["code"] for answer in answers] == ["unknown_connection", "unknown_connection"]
    assert (agent.status_code, agent.json()["code"]) == (422, "unknown_tool")


async def test_a_tenant_sees_the_tools_of_the_platforms_connections_and_cannot_change_them(tmp_path: Path) -> None:
    async with connected(tmp_path) as crm:
        config = {"base_url": crm.outside.url, "allow": ["GET:/**"]}
        await crm.kit.web.create_connection(None, kind="http", name="shared", config=config, secret=None, by="operator")
        await crm.api.post("/api/v1/connections/shared/tools", json={"document": document()})
        listed = (await crm.api.get("/api/v1/connections/shared/tools")).json()
        seen = (await crm.api.get(crm.path("connections/shared/tools"))).json()
        refresh = await crm.api.post(crm.path("connections/shared/tools"), json={"document": document()})
        kind = await crm.api.patch(crm.path("connections/shared/tools/showContact"), json={"kind": "spend"})
        own = await crm.api.patch("/api/v1/connections/shared/tools/showContact", json={"kind": "spend"})
    assert [tool["name"] for tool in seen["items"]] == ["createContact", "get", "showContact"]
    assert listed == seen
    assert (refresh.status_code, kind.status_code, own.status_code) == (404, 404, 200)


async def test_while_effects_are_paused_nobody_outside_is_asked(tmp_path: Path) -> None:
    async with connected(tmp_path) as crm:
        await crm.kit.web.pause_effects(crm.tenant.id, paused=True, by="operator")
        refused = await crm.api.post(crm.path("connections/crm/tools"), json={"document": document()})
    assert (refused.status_code, refused.json()["code"]) == (503, "effects_paused")
