"""Whose key, role or account ends: what they listened to has ended when the request that did it is answered."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from freehold.core.people import Person, Role
from freehold.core.tenants import Tenant
from tests.crowd import member, signed_in
from tests.webs import ADDRESS, Web, bearer, made, served

AT = "/api/v1/tenants/acme"
STREAM = {"Accept": "text/event-stream"}
Act = Callable[[httpx.AsyncClient, str, str], Any]


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return made(tmp_path)


@pytest.fixture
def acme(web: Web) -> Tenant:
    tenant = web.tenant("acme")
    web.agent(tenant)
    return tenant


@pytest.fixture
def ada(web: Web, acme: Tenant) -> Person:
    member(web, acme, Role.OWNER)
    return member(web, acme, Role.ADMIN)


@pytest.fixture
async def api(web: Web, acme: Tenant) -> AsyncIterator[httpx.AsyncClient]:
    async with served(web) as asking:
        yield asking


@pytest.fixture
async def browser(api: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client that shows nothing by itself."""
    async with httpx.AsyncClient(base_url=api.base_url, headers={"Host": ADDRESS}, timeout=20.0) as asking:
        yield asking


async def run_in(api: httpx.AsyncClient, at: str = AT) -> str:
    return str((await api.post(f"{at}/runs", json={"agent": "helper", "input": "x"})).json()["id"])


async def rest_of(lines: AsyncIterator[str]) -> None:
    async with asyncio.timeout(10):
        async for _ in lines:
            pass


async def test_a_revoked_key_hears_no_more(web: Web, acme: Tenant, api: httpx.AsyncClient) -> None:
    run, key = await run_in(api), web.key(acme, "runs:read")
    kept = (await api.get(f"{AT}/keys")).json()["items"][-1]["id"]
    async with api.stream("GET", f"{AT}/runs/{run}/events", headers=bearer(key) | STREAM) as stream:
        lines = stream.aiter_lines()
        assert await anext(lines)
        assert (await api.delete(f"{AT}/keys/{kept}")).status_code == 204
        assert web.state.streams._open == set()
        await rest_of(lines)
    assert (await api.get(f"{AT}/runs/{run}", headers=bearer(key))).status_code == 401


ACTS: dict[str, Act] = {
    "removed": lambda api, place, _: api.delete(f"{AT}/members/{place}"),
    "suspended": lambda api, place, _: api.patch(f"{AT}/members/{place}", json={"state": "suspended"}),
    "given another role": lambda api, place, _: api.patch(f"{AT}/members/{place}", json={"role": "viewer"}),
    "closed": lambda api, _, person: api.patch(f"/api/v1/people/{person}", json={"state": "closed"}),
}


@pytest.mark.parametrize("act", ACTS)
async def test_a_member_who_loses_power_hears_no_more(
    web: Web, acme: Tenant, ada: Person, api: httpx.AsyncClient, browser: httpx.AsyncClient, act: str
) -> None:
    run, theirs = await run_in(api), signed_in(web, ada) | STREAM
    members = (await api.get(f"{AT}/members")).json()["items"]
    place = next(one["id"] for one in members if one["person"] == ada.id)
    async with browser.stream("GET", f"{AT}/runs/{run}/events", headers=theirs) as stream:
        lines = stream.aiter_lines()
        assert await anext(lines)
        assert (await ACTS[act](api, place, ada.id)).is_success
        assert web.state.streams._open == set()
        await rest_of(lines)


async def test_what_they_hear_of_another_tenant_goes_on(
    web: Web, acme: Tenant, ada: Person, api: httpx.AsyncClient, browser: httpx.AsyncClient
) -> None:
    other = web.tenant("other")
    web.agent(other)
    member(web, other, Role.MEMBER, ada)
    run = await run_in(api, "/api/v1/tenants/other")
    async with browser.stream(
        "GET", f"/api/v1/tenants/other/runs/{run}/events", headers=signed_in(web, ada) | STREAM
    ) as stream:
        lines = stream.aiter_lines()
        assert await anext(lines)
        assert (await api.delete(f"{AT}/members/{ada.email}")).status_code == 204
        assert len(web.state.streams._open) == 1


async def test_who_shuts_everybody_out_ends_the_streams_of_keys_too(
    web: Web, acme: Tenant, api: httpx.AsyncClient
) -> None:
    run = await run_in(api)
    for key in (web.key(acme, "runs:read"), web.key(None, "runs:read")):
        async with api.stream("GET", f"{AT}/runs/{run}/events", headers=bearer(key) | STREAM) as stream:
            lines = stream.aiter_lines()
            assert await anext(lines)
            assert (await api.post("/api/v1/switches/revoke-access")).status_code == 200
            assert web.state.streams._open == set()
            await rest_of(lines)
