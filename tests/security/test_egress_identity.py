"""
An allowed host is no way out: whatever a run tries, only the platform's identity arrives, where it may.

The counterpart keeps every byte it was sent, so what is shown here is what a stranger's server would have seen.
"""

import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from freehold.core.effects import EffectState, Outcome
from freehold.core.errors import Denied, Invalid
from freehold.testing.counterpart import Counterpart, counterpart
from tests.gateways import RUN, TENANT, Kit, effect, running, work

OURS: Final = "sk-platform-0123456789"
THEIRS: Final = "sk-attacker-abcdefghij"
ALLOW: Final = ["GET:/items/*", "POST:/items"]
PLACES: Final = ["header:Authorization", "header:X-Api-Key", "query:api_key", "path:KEY", "basic"]


@asynccontextmanager
async def connected(data: Path, place: str = "header:Authorization") -> AsyncIterator[tuple[Kit, Counterpart]]:
    async with counterpart() as outside, running(data) as kit:
        secret = f"ada:{OURS}" if place == "basic" else OURS
        await kit.web.set_secret(TENANT, "token", secret, by="key:1")
        base = f"{outside.url}/{{KEY}}/v2" if place == "path:KEY" else f"{outside.url}/v2"
        config = {"base_url": base, "allow": ALLOW, "inject": place}
        named: dict[str, Any] = {"kind": "http", "name": "api", "secret": "token", "by": "key:1"}
        await kit.web.create_connection(TENANT, config=config, **named)
        await kit.publish(tools={"api.get": "allow", "api.post": "allow"})
        yield kit, outside


class Tries:
    """A run that tries one thing after the other."""

    def __init__(self, kit: Kit) -> None:
        self._kit, self._keys = kit, itertools.count(1)

    async def __call__(self, operation: str = "get", **arguments: Any) -> Outcome:
        asked = effect(operation, "api", key=f"{RUN}/1/{next(self._keys)}/1", **({"path": "/items/5"} | arguments))
        return await self._kit.worker.submit(work(), asked)


HEADERS: Final = [
    "Authorization", "authorization", "Proxy-Authorization", "Cookie", "X-Api-Key", "X_Api_Key", "Api-Key", "X-Auth-Token",
    "X-Access-Token", "Private-Token", "X-Goog-Api-Key", "DD-API-KEY", "X-Amz-Security-Token", "X-Signature",
    "X-Forwarded-Authorization", "Ocp-Apim-Subscription-Key", "Stripe-Account",
]  # fmt: skip
QUERIES: Final[list[Any]] = [
    {"access_token": THEIRS}, {"api_key": THEIRS}, {"API-KEY": THEIRS}, {"key": THEIRS}, {"token": [THEIRS, THEIRS]},
    {"api_key[]": THEIRS}, f"a=1;api_key={THEIRS}&b=2", f"%61pi_key={THEIRS}", f"%2561pi_key={THEIRS}",
    f"&&api_key={THEIRS}", f"?api_key={THEIRS}", f"+api_key={THEIRS}",
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
async def test_a_key_of_its_own_never_arrives_in_any_place(tmp_path: Path, place: str) -> None:
    async with connected(tmp_path, place) as (kit, outside):
        tries = Tries(kit)
        for name in HEADERS:
            await tries(headers={name: f"Bearer {THEIRS}"})
        for query in QUERIES:
            await tries(query=query)
        heard = list(outside.heard)
    assert len(heard) == len(HEADERS) + len(QUERIES)
    assert not [one.raw for one in heard if THEIRS.encode() in one.raw and b"%3Bapi_key=" not in one.raw]
    held = OURS.encode() if place != "basic" else b"Basic "
    assert all(one.raw.count(held) == 1 for one in heard)
    assert all(len(one.header("host")) == 1 and len(one.header("authorization")) <= 1 for one in heard)


PATHS: Final = [
    "/admin", "/items", "/items/5/6", "/items/../admin", "/items/..%2fadmin", "/items/%2e%2e/admin", "/items/5/../../admin",
    "/items/%252e%252e%252fadmin", "/items//5", "//evil.example/items/5", "http://evil.example/items/5",
    "/items/5;/../admin", "/items/5%3b", "/items\\..\\admin", "/items/%5c..%5cadmin", "/items/5%00.png", "/items/5?x=/admin",
    "/items/5%3fx", "/items/5#x", "/items/5 HTTP/1.1\r\nX: y", "/items/5%0d%0aX:%20y", "@evil.example/items/5",
    ":80@evil.example/", "/items/\uff0e\uff0e/admin", "/items/%c0%ae%c0%ae/admin", "/items/{KEY}", "", "/", "*",
]  # fmt: skip


@pytest.mark.parametrize("place", ["header:Authorization", "path:KEY"])
async def test_another_path_never_arrives(tmp_path: Path, place: str) -> None:
    async with connected(tmp_path, place) as (kit, outside):
        tries = Tries(kit)
        outcomes = [await tries(path=path) for path in PATHS]
    assert {one.state for one in outcomes} == {EffectState.FAILED}
    assert {(one.error or {})["code"] for one in outcomes} == {"path_refused", "bad_path"}
    assert outside.heard == []


async def test_another_method_never_arrives(tmp_path: Path) -> None:
    override = ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "x_http_method_override"]
    async with connected(tmp_path) as (kit, outside):
        tries = Tries(kit)
        for operation in ("delete", "put", "patch", "head", "options", "connect", "trace", "GET", "get "):
            outcome = await kit.worker.submit(
                work(), effect(operation, "api", key=f"{RUN}/2/{operation}/1", path="/items/5")
            )
            assert outcome.state is EffectState.REFUSED
        for name in override:
            await tries(headers={name: "DELETE"})
        await tries(query={"_method": "DELETE"})
    assert {one.method for one in outside.heard} == {"GET"}
    assert b"DELETE" not in outside.raw


async def test_another_host_another_length_and_another_protocol_never_arrive(tmp_path: Path) -> None:
    smuggled = {
        "Host": "evil.example", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example", "X-Host": "evil.example",
        "X-Original-URL": "/admin", "X-Rewrite-URL": "/admin", "Content-Length": "0", "Transfer-Encoding": "chunked",
        "Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQCAAAAAAIAAAAA", "TE": "trailers",
        "Trailer": "X", "Expect": "100-continue", "Proxy-Connection": "keep-alive", "Via": "1.1 evil", "X-Real-IP": "127.0.0.1",
    }  # fmt: skip
    body = "0\r\n\r\nGET /admin HTTP/1.1\r\nHost: evil.example\r\n\r\n"
    async with connected(tmp_path) as (kit, outside):
        tries = Tries(kit)
        for name, value in smuggled.items():
            await tries("post", path="/items", headers={name: value}, text=body)
            await tries("post", path="/items", headers={name.replace("-", "_"): value}, text=body)
        await tries("post", path="/items", headers=smuggled, text=body)
        heard = list(outside.heard)
    assert [(one.method, one.target) for one in heard] == [("POST", "/v2/items")] * (2 * len(smuggled) + 1)
    assert {one.body.decode() for one in heard} == {body}
    for one in heard:
        assert one.header("host") == [f"127.0.0.1:{outside.port}"]
        assert one.header("content-length") == [str(len(body))]
        names = {name for name, _ in one.headers}
        assert names <= {
            "host",
            "accept",
            "accept-encoding",
            "user-agent",
            "authorization",
            "content-type",
            "content-length",
        }


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "1\r\nAuthorization: Bearer x"},
        {"X-A\r\nX-B": "1"},
        {"X-A:": "1"},
        {"X A": "1"},
        {"": "1"},
        {"X-A": "1\x00"},
    ],
)
async def test_a_header_cannot_be_smuggled_into_another(tmp_path: Path, headers: dict[str, str]) -> None:
    async with connected(tmp_path) as (kit, outside):
        outcome = await Tries(kit)(headers=headers)
    assert (outcome.state, (outcome.error or {})["code"]) == (EffectState.FAILED, "bad_header")
    assert outside.heard == []


async def test_a_neighbour_cannot_use_the_connection(tmp_path: Path) -> None:
    async with connected(tmp_path) as (kit, outside):
        with pytest.raises(Invalid, match="no tool"):
            await kit.publish(tenant="ten_2", tools={"api.get": "allow"})
        with pytest.raises(Denied, match="never published"):
            await kit.worker.submit(work(tenant="ten_2"), effect("get", "api", path="/items/5"))
    assert outside.heard == []


async def test_the_record_has_neither_key_nor_query(tmp_path: Path) -> None:
    async with connected(tmp_path, "query:api_key") as (kit, outside):
        await Tries(kit)(query={"q": "very-private"}, headers={"X-Api-Key": THEIRS})
        record = json.dumps([await kit.web.audit(TENANT), await kit.web.usage(TENANT)], default=str)
    assert len(outside.heard) == 1
    assert not [word for word in (OURS, THEIRS, "very-private") if word in record]
