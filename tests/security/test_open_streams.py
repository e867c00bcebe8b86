"""Open streams end with what they were opened by: a session, a key, a role, a tenant."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from freehold.core.people import MemberState, Person, Role
from freehold.core.tenants import Tenant
from freehold.store.sessions import session_table
from tests.crowd import changed, member, person, signed_in
from tests.webs import Web, bearer, made, served


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return made(tmp_path)


@pytest.fixture
def ada(web: Web) -> Person:
    return person(web, "ada@example.com", name="Ada")


@pytest.fixture
def acme(web: Web) -> Tenant:
    return web.tenant("acme")


@asynccontextmanager
async def listening(
    web: Web, browser: dict[str, str], tenant: Tenant
) -> AsyncIterator[tuple[httpx.AsyncClient, AsyncIterator[str]]]:
    """Give a client of the operator's, and the lines of a stream that `browser` has open."""
    web.agent(tenant)
    async with served(web) as api:
        sent = await api.post(f"/api/v1/tenants/{tenant.slug}/agents/helper/messages", json={"text": "hi"})
        run = sent.json()["run"]["id"]
        headers = {"Authorization": "", "Accept": "text/event-stream"} | browser
        async with api.stream("GET", f"/api/v1/tenants/{tenant.slug}/runs/{run}/events", headers=headers) as stream:
            assert stream.status_code == 200
            lines = stream.aiter_lines()
            async with asyncio.timeout(10):
                while not (await anext(lines)).startswith("data:"):
                    pass
                yield api, lines


async def rest(lines: AsyncIterator[str]) -> list[str]:
    async with asyncio.timeout(3):
        return [line async for line in lines if line.startswith("event:")]


async def test_a_stream_has_ended_when_the_call_that_ends_its_session_returns(
    web: Web, ada: Person, acme: Tenant
) -> None:
    member(web, acme, Role.MEMBER, ada)
    browser = signed_in(web, ada)
    async with listening(web, browser, acme) as (api, lines):
        answer = await api.delete(f"/api/v1/people/{ada.id}/sessions")
        assert answer.status_code == 204
        assert not web.state.streams._open
        assert await rest(lines) == ["event: ended"]


async def test_a_stream_whose_session_another_process_ended_ends_within_a_second(
    web: Web, ada: Person, acme: Tenant
) -> None:
    member(web, acme, Role.MEMBER, ada)
    async with listening(web, signed_in(web, ada), acme) as (_, lines):
        with web.state.store.write() as platform:
            platform.connection.execute(update(session_table).values(ended_at=web.clock.now()))
        assert await rest(lines) == ["event: ended"]


@pytest.mark.parametrize("fields", [{"role": Role.VIEWER}, {"state": MemberState.SUSPENDED}])
async def test_a_stream_ends_with_the_role_it_was_opened_with(
    web: Web, ada: Person, acme: Tenant, fields: dict[str, Any]
) -> None:
    member(web, acme, Role.ADMIN, ada)
    async with listening(web, signed_in(web, ada), acme) as (_, lines):
        changed(web, acme, ada, **fields)
        await web.state.streams.look()
        assert await rest(lines) == ["event: ended"]


async def test_a_stream_ends_with_its_key(web: Web, acme: Tenant) -> None:
    key = web.key(acme, "runs:read")
    async with listening(web, bearer(key), acme) as (api, lines):
        listed = (await api.get("/api/v1/tenants/acme/keys")).json()["items"]
        await api.delete(f"/api/v1/tenants/acme/keys/{listed[0]['id']}")
        await web.state.streams.look()
        assert await rest(lines) == ["event: ended"]


async def test_streams_of_others_go_on(web: Web, ada: Person, acme: Tenant) -> None:
    eve = member(web, acme, Role.MEMBER)
    member(web, acme, Role.MEMBER, ada)
    async with listening(web, signed_in(web, ada), acme):
        await asyncio.to_thread(web.state.streams.end, person=eve.id)
        await asyncio.to_thread(web.state.streams.end, person=ada.id, tenant="ten_other")
        await asyncio.to_thread(web.state.streams.end)
        await asyncio.to_thread(web.state.streams.end, sessions=[], tenant=acme.id)
        await web.state.streams.look()
        assert len(web.state.streams._open) == 1


async def test_a_stream_ends_with_its_tenant(web: Web, ada: Person, acme: Tenant) -> None:
    member(web, acme, Role.MEMBER, ada)
    async with listening(web, signed_in(web, ada), acme) as (_, lines):
        await asyncio.to_thread(web.state.streams.end, tenant=acme.id)
        assert await rest(lines) == ["event: ended"]


async def test_whoever_waits_for_an_answer_is_told_that_their_session_ended(
    web: Web, ada: Person, acme: Tenant
) -> None:
    member(web, acme, Role.MEMBER, ada)
    web.agent(acme)
    async with served(web) as api:
        headers = {"Authorization": "", "Prefer": "wait=60"} | signed_in(web, ada)
        path = "/api/v1/tenants/acme/agents/helper/messages"
        waiting = asyncio.create_task(api.post(path, json={"text": "hi"}, headers=headers))
        async with asyncio.timeout(10):
            while not web.state.streams._open:  # noqa: ASYNC110 - the application has no event for tests
                await asyncio.sleep(0.005)
        await api.delete(f"/api/v1/people/{ada.id}/sessions")
        answer = await waiting
    assert (answer.status_code, answer.json()["code"]) == (401, "access_ended")
