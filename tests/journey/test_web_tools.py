"""Agents that read and search the web, towards servers on this machine."""

import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from freehold.agents.framing import Instructions
from freehold.agents.loop import body_of
from freehold.agents.web_tools import WebTools
from freehold.core.agents import Spec
from freehold.core.effects import EffectState, Outcome, Verdict
from freehold.core.errors import Invalid
from freehold.core.parts import Origin, Role
from freehold.runs.endings import Done, Park
from freehold.testing.guests import MemoryGuest, MemorySandboxes
from freehold.testing.segments import Stage
from tests.gateways import TENANT, Kit, effect, running, work

KEY = "search-key-0123456789"
Answer = Callable[[web.Request], web.StreamResponse]


class Site:
    """A server with a few pages; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.answer: Answer = lambda _: web.Response(text="hello")
        self.url = ""

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.read())
        self.asked.append(request)
        return self.answer(request)


@asynccontextmanager
async def site() -> AsyncIterator[Site]:
    made = Site()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    server = web.TCPSite(runner, "127.0.0.1", 0)
    await server.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        await runner.cleanup()


async def fetched(kit: Kit, url: str, n: int = 1) -> Outcome:
    return await kit.worker.submit(work(), effect("fetch", "web", key=f"run_1/1/1/{n}", url=url))


@asynccontextmanager
async def reading(data: Path) -> AsyncIterator[tuple[Kit, Site]]:
    async with site() as served, running(data) as kit:
        await kit.publish(tools={"web_fetch": "allow"})
        yield kit, served


async def searching(kit: Kit, served: Site, provider: str = "searxng", **more: Any) -> None:
    await kit.web.set_secret(TENANT, "search-key", KEY, by="tester")
    config = {"provider": provider, "base_url": served.url, **more}
    await kit.web.create_connection(
        TENANT, kind="search", name="search", config=config, secret="search-key", by="tester"
    )
    await kit.publish(tools={"web_search": "allow"})


async def searched(kit: Kit, n: int = 1, **arguments: Any) -> Outcome:
    return await kit.worker.submit(work(), effect("search", "search", key=f"run_1/1/1/{n}", **arguments))


def page(text: str, kind: str = "text/html", **headers: str) -> Answer:
    return lambda _: web.Response(body=text.encode(), headers={"Content-Type": kind, **headers})


@asynccontextmanager
async def played(data: Path, **tools: str) -> AsyncIterator[tuple[Kit, Site, Stage]]:
    """Give an agent that has the tools of the web."""
    async with site() as served, running(data) as kit:
        if "web_search" in tools:
            await searching(kit, served)
        await kit.publish(tools=tools, version="ver_1")
        body = body_of(
            gateway=kit.worker,
            sandboxes=MemorySandboxes(MemoryGuest({})),
            tools=[WebTools(kit.worker)],
            contexts=[Instructions()],
            model_attempts=1,
        )
        spec = Spec(model="rehearsal", tools={name: Verdict(verdict) for name, verdict in tools.items()})
        yield kit, served, Stage(body, spec)


async def test_an_agent_reads_a_page_and_the_words_are_strangers(tmp_path: Path) -> None:
    async with played(tmp_path, web_fetch="allow") as (kit, served, stage):
        served.answer = page("<title>News</title><nav>Home</nav><p>It <b>rains</b>. <a href=/more>More</a>")
        ending = await stage.say(f"fetch {served.url}/today")
        assert isinstance(ending, Done)
        assert f"It rains. [More]({served.url}/more)" in ending.output
        assert "Home" not in ending.output
        [part] = [part for _, part in stage.journal.parts if part.role is Role.RESULT]
        assert Origin.WEB in part.label.origins
        assert "effect.done" in await kit.actions()
        assert (await kit.web.usage(TENANT))["kinds"]["web"]["count"] == 1


async def test_a_person_can_be_asked_before_a_page_is_read(tmp_path: Path) -> None:
    async with played(tmp_path, web_fetch="ask") as (kit, served, stage):
        ending = await stage.say(f"fetch {served.url}/today")
        assert isinstance(ending, Park)
        [question] = ending.questions
        assert (question.connection, question.operation) == ("web", "fetch")
        assert question.arguments == {"url": f"{served.url}/today"}
        assert served.asked == []
        await kit.web.decide(tenant=TENANT, key=question.key, hash=question.hash, approve=True, by="ann")
        assert isinstance(await stage.resume(ending, approve=True), Done)
        assert len(served.asked) == 1


async def test_nothing_but_an_address_is_sent(tmp_path: Path) -> None:
    async with reading(tmp_path) as (kit, served):
        served.answer = lambda _: web.Response(text="x", headers={"Set-Cookie": "a=b; Path=/"})
        for n in (1, 2):
            await fetched(kit, f"{served.url}/ä b?q=ü#part", n)
    assert [request.raw_path for request in served.asked] == ["/%C3%A4%20b?q=%C3%BC"] * 2
    for request in served.asked:
        assert {name.lower() for name in request.headers} == {
            "host", "accept", "accept-encoding", "accept-language", "user-agent",
        }  # fmt: skip


async def test_redirects_are_followed_a_few_times(tmp_path: Path) -> None:
    def answer(request: web.Request) -> web.StreamResponse:
        left = int(request.query.get("left", "0"))
        if not left:
            return web.Response(text="there")
        return web.Response(status=302, headers={"Location": f"?left={left - 1}"})

    async with reading(tmp_path) as (kit, served):
        served.answer = answer
        found = await fetched(kit, f"{served.url}/a?left=5", 1)
        refused = await fetched(kit, f"{served.url}/a?left=6", 2)
    assert found.result == {"url": f"{served.url}/a?left=0", "status": 200, "type": "text/plain", "text": "there"}
    assert (refused.error or {})["code"] == "too_many_redirects"


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("http://127.0.0.2/", "address_refused"),
        ("http://[::1]/", "address_refused"),
        ("http://169.254.169.254/latest/meta-data", "address_refused"),
        ("http://10.0.0.1/", "address_refused"),
        ("file:///etc/passwd", "bad_address"),
        ("ftp://example.org/", "bad_address"),
        ("http://user:password@127.0.0.1/", "bad_address"),
        ("http://0x7f.1/", "bad_host"),
        ("http://:80/", "bad_address"),
        ("http://[::1/", "bad_address"),
    ],
)
async def test_neither_an_address_nor_a_redirect_leads_inside(tmp_path: Path, target: str, code: str) -> None:
    async with reading(tmp_path) as (kit, served):
        served.answer = lambda _: web.Response(status=301, headers={"Location": target})
        outcomes = [await fetched(kit, target, 1), await fetched(kit, f"{served.url}/", 2)]
    assert [(outcome.state, (outcome.error or {})["code"]) for outcome in outcomes] == [(EffectState.FAILED, code)] * 2


async def test_only_text_is_read(tmp_path: Path) -> None:
    async with reading(tmp_path) as (kit, served):
        served.answer = page("%PDF-1.7", "application/pdf")
        pdf = await fetched(kit, f"{served.url}/a.pdf", 1)
        served.answer = page("\x89PNG", "image/png")
        image = await fetched(kit, f"{served.url}/a.png", 2)
    assert [(pdf.error or {})["code"], (image.error or {})["code"]] == ["not_text", "not_text"]
    assert "PDF" in (pdf.error or {})["message"]


async def test_a_page_of_another_script_is_read_as_it_says(tmp_path: Path) -> None:
    async with reading(tmp_path) as (kit, served):
        told: list[str] = []
        for n, (body, kind) in enumerate(
            [
                ("Grüße".encode("latin-1"), "text/plain; charset=ISO-8859-1"),
                ('<meta charset="shift_jis">こんにちは'.encode("shift_jis"), "text/html"),
                ("\ufeffπ".encode(), "text/plain"),
                ("λ".encode(), "text/plain; charset=punycode"),
                (b"\xff\xfe" + "ж".encode("utf-16-le"), "text/plain"),
            ]
        ):
            served.answer = lambda _, body=body, kind=kind: web.Response(body=body, headers={"Content-Type": kind})  # type: ignore[misc]
            told.append(((await fetched(kit, served.url, n + 1)).result or {})["text"])
    assert told == ["Grüße", '<meta charset="shift_jis">こんにちは', "π", "λ", "ж"]


async def test_a_page_ends_at_two_mebibytes_also_when_it_was_packed(tmp_path: Path) -> None:
    async with reading(tmp_path) as (kit, served):
        served.answer = page("x" * (5 << 20), "text/plain")
        plain = (await fetched(kit, served.url, 1)).result or {}
        packed = gzip.compress(b"x" * (5 << 20))
        served.answer = lambda _: web.Response(
            body=packed, headers={"Content-Type": "text/plain", "Content-Encoding": "gzip"}
        )
        bomb = (await fetched(kit, served.url, 2)).result or {}
    assert (plain["truncated"], bomb["truncated"]) == (True, True)
    assert 2_000_000 < len(plain["text"]) <= 2 << 20
    assert len(bomb["text"]) <= 2 << 20


async def test_what_is_found_comes_in_one_shape_with_its_dates(tmp_path: Path) -> None:
    found = {
        "results": [
            {"title": "One", "url": "https://a.example/1", "content": "a  b", "publishedDate": "2026-01-02T00:00:00"},
            {"title": f"Echo {KEY}", "url": "https://a.example/2", "content": "c"},
            {"title": "No page", "url": "javascript:alert(1)", "content": "d"},
        ]
    }
    async with site() as served, running(tmp_path) as kit:
        served.answer = lambda _: web.json_response(found)
        await searching(kit, served)
        outcome = await searched(kit, query="rain & wind", since="week")
    assert outcome.result == {
        "results": [
            {"title": "One", "url": "https://a.example/1", "snippet": "a b", "date": "2026-01-02T00:00:00"},
            {"title": "Echo [secret]", "url": "https://a.example/2", "snippet": "c"},
        ]
    }
    [request] = served.asked
    assert dict(request.query) == {"q": "rain & wind", "format": "json", "time_range": "week"}


async def test_the_key_goes_where_the_service_wants_it(tmp_path: Path) -> None:
    async with site() as served, running(tmp_path) as kit:
        served.answer = lambda _: web.json_response({"organic": [{"title": "T", "link": "https://a.example/"}]})
        await searching(kit, served, "serper")
        outcome = await searched(kit, query="rain", count=3)
    assert (outcome.result or {})["results"][0]["url"] == "https://a.example/"
    assert served.asked[0].headers["X-API-KEY"] == KEY
    assert served.bodies == [b'{"q":"rain","num":3}']


async def test_an_agent_searches(tmp_path: Path) -> None:
    async with played(tmp_path, web_search="allow") as (kit, served, stage):
        served.answer = lambda _: web.json_response({"results": [{"title": "Rain", "url": "https://a.example/"}]})
        ending = await stage.say("search: will it rain?")
        assert isinstance(ending, Done)
        assert "https://a.example/" in ending.output
        assert (await kit.web.usage(TENANT))["kinds"]["search"]["count"] == 1


async def test_who_grants_searching_without_a_connection_is_told_how_to_make_one(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        with pytest.raises(Invalid) as caught:
            await kit.publish(tools={"web_search": "allow"})
    assert caught.value.code == "unknown_tool"
    assert "freehold connection create search search --tenant TENANT --config provider=" in caught.value.remedy


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({}, "bad_config"),
        ({"provider": "altavista"}, "bad_config"),
        ({"provider": "searxng"}, "bad_config"),
        ({"provider": "brave"}, "blank_secret"),
        ({"provider": "searxng", "base_url": "https://search.example.com", "colour": "red"}, "bad_config"),
    ],
)
async def test_a_search_that_could_never_work_is_refused(tmp_path: Path, config: dict[str, Any], code: str) -> None:
    async with running(tmp_path) as kit:
        with pytest.raises(Invalid) as caught:
            await kit.web.create_connection(TENANT, kind="search", name="s", config=config, secret=None, by="tester")
    assert caught.value.code == code


async def test_nobody_can_take_the_name_of_the_web(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        for kind, name in (("web", "pages"), ("search", "web")):
            with pytest.raises(Invalid):
                await kit.web.create_connection(TENANT, kind=kind, name=name, config={}, secret=None, by="tester")
