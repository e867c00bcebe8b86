"""An API behind a connection, asked by a run: judged, opened with the secret, sent once, and told without it."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from freehold.core.effects import EffectState
from freehold.core.errors import Invalid
from freehold.testing.counterpart import Answers, Counterpart, Heard, Tells, counterpart
from tests.gateways import TENANT, Kit, effect, running, work

TOKEN = "sk-live-0123456789abcdef"
ALLOW = ["GET:/items/*", "POST:/items", "PUT:/items/*", "DELETE:/items/*"]
TOOLS = {f"api.{name}": "allow" for name in ("get", "post", "put", "delete")}


def items(heard: Heard) -> Tells:
    said = {"path": heard.target, "got": heard.body.decode()}
    return Tells(headers={"Content-Type": "application/json"}, pieces=[json.dumps(said).encode()])


@asynccontextmanager
async def connected(data: Path, answers: Answers = items, **config: Any) -> AsyncIterator[tuple[Kit, Counterpart]]:
    async with counterpart(answers) as outside, running(data) as kit:
        await kit.web.set_secret(TENANT, "token", TOKEN, by="key:1")
        stated = {"base_url": f"{outside.url}/v2", "allow": ALLOW, "inject": "header:Authorization"} | config
        named: dict[str, Any] = {"kind": "http", "name": "api", "secret": "token", "by": "key:1"}
        await kit.web.create_connection(TENANT, config=stated, **named)
        await kit.publish(tools=TOOLS)
        yield kit, outside


async def test_what_is_allowed_is_asked_once_and_with_the_secret(tmp_path: Path) -> None:
    async with connected(tmp_path, headers={"Notion-Version": "2022-06-28"}) as (kit, outside):
        asked = effect("get", "api", path="/items/5", query={"q": "a b", "tag": ["x", "y"]}, headers={"Accept": "*/*"})
        outcomes = [await kit.worker.submit(work(), asked) for _ in range(2)]
        usage = await kit.web.usage(TENANT)
    [heard] = outside.heard
    assert (heard.method, heard.target) == ("GET", "/v2/items/5?q=a+b&tag=x&tag=y")
    assert heard.header("authorization") == [f"Bearer {TOKEN}"]
    assert heard.header("notion-version") == ["2022-06-28"]
    assert heard.header("host") == [f"127.0.0.1:{outside.port}"]
    assert [(one.state, one.fresh) for one in outcomes] == [(EffectState.DONE, True), (EffectState.DONE, False)]
    result = outcomes[0].result or {}
    assert (result["status"], result["json"]["path"]) == (200, "/v2/items/5?q=a+b&tag=x&tag=y")
    assert usage["kinds"]["http"]["count"] == 1
    assert [row["state"] for row in usage["rows"]] == ["closed"]


async def test_a_body_is_sent_as_json_or_as_text(tmp_path: Path) -> None:
    async with connected(tmp_path) as (kit, outside):
        await kit.worker.submit(work(), effect("post", "api", path="/items", json={"name": "Grüße"}))
        await kit.worker.submit(work(), effect("post", "api", key="run_1/1/1/2", path="/items", text="plain"))
    assert [json.loads(outside.heard[0].body), outside.heard[1].body] == [{"name": "Grüße"}, b"plain"]
    assert outside.heard[0].header("content-type") == ["application/json"]
    assert outside.heard[1].header("content-type") == ["text/plain; charset=utf-8"]


@pytest.mark.parametrize(
    ("operation", "arguments", "code"),
    [
        ("get", {"path": "/admin"}, "path_refused"),
        ("get", {"path": "/items"}, "path_refused"),
        ("get", {"path": "/items/5/secret"}, "path_refused"),
        ("get", {"path": "/items/../admin"}, "bad_path"),
        ("get", {"path": "/items/%2e%2e"}, "bad_path"),
        ("get", {"path": "http://other.example/items/5"}, "bad_path"),
        ("get", {"path": "/items/5?x=1"}, "bad_path"),
        ("get", {"path": "/items/5", "json": {}}, "bad_arguments"),
        ("get", {"path": 5}, "bad_arguments"),
        ("get", {"path": "/items/5", "headers": {"X": "a\r\nY: b"}}, "bad_header"),
        ("post", {"path": "/items", "json": 1, "text": "a"}, "bad_arguments"),
        ("post", {"path": "/items", "host": "other.example"}, "bad_arguments"),
    ],
)
async def test_what_is_not_allowed_never_leaves(
    tmp_path: Path, operation: str, arguments: dict[str, Any], code: str
) -> None:
    async with connected(tmp_path) as (kit, outside):
        outcome = await kit.worker.submit(work(), effect(operation, "api", **arguments))
    assert (outcome.state, (outcome.error or {})["code"]) == (EffectState.FAILED, code)
    assert (outcome.error or {})["remedy"]
    assert outside.heard == []


async def test_what_the_version_was_not_granted_is_refused(tmp_path: Path) -> None:
    async with connected(tmp_path) as (kit, outside):
        await kit.publish(version="ver_2", tools={"api.get": "allow"})
        outcome = await kit.worker.submit(work(version="ver_2"), effect("delete", "api", path="/items/5"))
    assert (outcome.state, (outcome.error or {})["code"]) == (EffectState.REFUSED, "not_granted")
    assert outside.heard == []


@pytest.mark.parametrize("status", [201, 302, 404, 429, 500, 503])
async def test_an_answer_is_what_came_of_it_whatever_its_status(tmp_path: Path, status: int) -> None:
    def says(_heard: Heard) -> Tells:
        more = {"Content-Type": "text/plain", "Retry-After": "7", "Set-Cookie": "a=b"}
        return Tells(status=status, headers=more, pieces=[b"well"])

    async with connected(tmp_path, says) as (kit, outside):
        outcome = await kit.worker.submit(work(), effect("post", "api", path="/items", json={}))
    assert outcome.state is EffectState.DONE
    assert outcome.result == {
        "status": status,
        "headers": {"content-type": "text/plain", "retry-after": "7"},
        "text": "well",
    }
    assert sum(outside.done.values()) == 1


async def test_a_redirect_is_told_and_never_followed(tmp_path: Path) -> None:
    def moved(heard: Heard) -> Tells:
        there = "/v2/items/6" if heard.target.endswith("5") else "http://elsewhere.example/x"
        return Tells(status=307, headers={"Location": there})

    async with connected(tmp_path, moved) as (kit, outside):
        near = await kit.worker.submit(work(), effect("get", "api", path="/items/5"))
        far = await kit.worker.submit(work(), effect("get", "api", key="run_1/1/1/2", path="/items/7"))
    assert (near.result or {})["headers"]["location"] == "/items/6"
    assert (far.result or {})["headers"]["location"] == "http://elsewhere.example/x"
    assert len(outside.heard) == 2


async def test_a_large_answer_is_cut_and_says_so(tmp_path: Path) -> None:
    def much(_heard: Heard) -> Tells:
        return Tells(headers={"Content-Type": "text/plain"}, pieces=[b"x" * (1 << 19)] * 5)

    async with connected(tmp_path, much) as (kit, _):
        outcome = await kit.worker.submit(work(), effect("get", "api", path="/items/5"))
    result = outcome.result or {}
    assert (len(result["text"]), result["truncated"]) == (1 << 20, True)


async def test_what_unpacks_to_more_than_is_told_is_cut_too(tmp_path: Path) -> None:
    bomb = gzip.compress(b"x" * (64 << 20))

    def packed(_heard: Heard) -> Tells:
        return Tells(headers={"Content-Type": "text/plain", "Content-Encoding": "gzip"}, pieces=[bomb])

    async with connected(tmp_path, packed) as (kit, _):
        outcome = await kit.worker.submit(work(), effect("get", "api", path="/items/5"))
    result = outcome.result or {}
    assert (len(result["text"]), result["truncated"]) == (1 << 20, True)


async def test_what_is_no_text_is_told_as_base64(tmp_path: Path) -> None:
    def picture(_heard: Heard) -> Tells:
        return Tells(headers={"Content-Type": "image/png"}, pieces=[b"\x89PNG\xff"])

    async with connected(tmp_path, picture) as (kit, _):
        outcome = await kit.worker.submit(work(), effect("get", "api", path="/items/5"))
    assert (outcome.result or {})["base64"] == "iVBOR/8="


async def test_numbers_that_readers_of_json_differ_about_are_told_as_text(tmp_path: Path) -> None:
    def numbers(_heard: Heard) -> Tells:
        body = b'{"small": 7, "id": 12345678901234567890, "huge": 1e999, "odd": NaN, "half": "\\ud800"}'
        return Tells(headers={"Content-Type": "application/json"}, pieces=[body])

    async with connected(tmp_path, numbers) as (kit, _):
        outcome = await kit.worker.submit(work(), effect("get", "api", path="/items/5"))
    told = (outcome.result or {})["json"]
    assert [told[name] for name in ("small", "id", "huge", "odd")] == [7, "12345678901234567890", "1e999", "NaN"]


@pytest.mark.parametrize("depth", [30, 70, 500, 900, 100_000])
async def test_json_that_is_too_deep_to_be_passed_on_is_told_as_text(tmp_path: Path, depth: int) -> None:
    def deep(_heard: Heard) -> Tells:
        return Tells(headers={"Content-Type": "application/json"}, pieces=[b"[" * depth + b"]" * depth])

    async with connected(tmp_path, deep) as (kit, _):
        outcome = await kit.worker.submit(work(), effect("get", "api", path="/items/5"))
    assert outcome.state is EffectState.DONE
    assert ("json" in (outcome.result or {})) is (depth == 30)


async def test_a_query_may_be_in_any_script(tmp_path: Path) -> None:
    async with connected(tmp_path) as (kit, outside):
        await kit.worker.submit(work(), effect("get", "api", path="/items/5", query={"q": "größe ✓"}))
        await kit.worker.submit(work(), effect("get", "api", key="run_1/1/1/2", path="/items/5", query="q=größe+✓"))
    assert {heard.target for heard in outside.heard} == {"/v2/items/5?q=gr%C3%B6%C3%9Fe+%E2%9C%93"}


async def test_a_write_that_was_answered_by_half_is_done_and_a_read_is_asked_again(tmp_path: Path) -> None:
    halves = [True, False, True]

    def half(_heard: Heard) -> Tells:
        return Tells(headers={"Content-Type": "text/plain"}, pieces=[b"some"], cut=halves.pop(0))

    async with connected(tmp_path, half) as (kit, outside):
        wrote = await kit.worker.submit(work(), effect("post", "api", path="/items", json={}))
        read = await kit.worker.submit(work(), effect("get", "api", key="run_1/1/1/2", path="/items/5"))
    assert (wrote.state, (wrote.result or {})["truncated"]) == (EffectState.DONE, True)
    assert (read.result or {})["text"] == "some"
    assert sum(outside.done.values()) == 1


async def test_many_who_ask_at_once_get_one_request(tmp_path: Path) -> None:
    async with connected(tmp_path) as (kit, outside):
        asked = effect("post", "api", path="/items", json={"n": 1})
        outcomes = await asyncio.gather(*(kit.worker.submit(work(), asked) for _ in range(20)))
    assert {one.state for one in outcomes} == {EffectState.DONE}
    assert len(outside.heard) == 1


async def test_a_connection_that_can_never_work_is_refused_when_it_is_made(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        named: dict[str, Any] = {"kind": "http", "name": "api", "secret": None, "by": "key:1"}
        for config in ({}, {"base_url": "https://x.example"}, {"base_url": "https://x.example", "allow": ["GET"]}):
            with pytest.raises(Invalid) as refused:
                await kit.web.create_connection(TENANT, config=config, **named)
            assert refused.value.code == "bad_config"


@pytest.mark.parametrize(("operation", "path"), [("delete", "/items/5"), ("put", "/items/5"), ("post", "/items")])
async def test_a_server_that_takes_a_request_and_hangs_up_is_not_asked_again(
    tmp_path: Path, operation: str, path: str
) -> None:
    def says(heard: Heard) -> Tells:
        return Tells(silent=heard.method != "GET")

    async with connected(tmp_path, says) as (kit, outside):
        await kit.worker.submit(work(), effect("get", "api", path="/items/5"))
        asked = effect(operation, "api", key="run_1/1/1/2", path=path)
        outcomes = [await kit.worker.submit(work(), asked) for _ in range(2)]
        usage = await kit.web.usage(TENANT)
    assert [one.state for one in outcomes] == [EffectState.UNKNOWN] * 2
    assert sum(outside.done.values()) == 1
    assert sorted(row["state"] for row in usage["rows"]) == ["closed", "unsettled"]
