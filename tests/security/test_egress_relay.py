"""Requests by a connection: what goes out is what it allows, under the platform's identity alone."""

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from freehold.testing.counterpart import Heard, Tells
from tests.gateways import RUN, TENANT
from tests.relaying import TOKEN, Bench, relaying

OWN = "own-key-of-the-attacker"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with relaying(tmp_path / "data") as made:
        yield made


async def test_a_program_asks_by_a_connection_and_the_credential_is_added_outside(bench: Bench) -> None:
    said = await bench.ask("GET", "/items/7?page=2", headers={"Accept": "text/plain"})
    assert (said.status, said.body) == (200, b"hello")
    (heard,) = bench.outside.heard
    assert (heard.method, heard.target) == ("GET", "/v2/items/7?page=2")
    assert heard.header("authorization") == [f"Bearer {TOKEN}"]
    assert heard.header("host") == [f"127.0.0.1:{bench.outside.port}"]
    assert heard.header("accept") == ["text/plain"]


async def test_each_session_is_a_pair_of_records_and_a_row_of_usage(bench: Bench) -> None:
    await bench.ask("POST", "/items", data=b"12345")
    (closed,) = await bench.record("egress.closed")
    (opened,) = await bench.record("egress.open")
    assert opened["run"] == RUN
    assert opened["detail"] == {"connection": "shop", "operation": "post", "path": "/v2/items"}
    told = closed["detail"]
    assert (told["bytes_in"], told["bytes_out"], told["status"]) == (5, 5, 200)
    (row,) = (await bench.kit.web.usage(TENANT))["rows"]
    assert (row["kind"], row["bytes_in"], row["bytes_out"]) == ("egress", 5, 5)


@pytest.mark.parametrize(
    ("how", "code"),
    [
        (("DELETE", "/items/7"), "not_granted"),
        (("GET", "/admin"), "path_refused"),
        (("GET", "/items/7/keys"), "path_refused"),
        (("GET", "/items/../admin"), "bad_path"),
        (("GET", "/items/%2e%2e/admin"), "bad_path"),
        (("GET", "/items/%252e%252e%252fadmin"), "bad_path"),
        (("GET", "/items/..%2fadmin"), "bad_path"),
        (("GET", "/items/a%5c..%5cadmin"), "bad_path"),
        (("GET", "//items"), "bad_path"),
        (("GET", "/items/;/x"), "bad_path"),
    ],
)
async def test_what_the_connection_does_not_allow_never_leaves(bench: Bench, how: tuple[str, str], code: str) -> None:
    method, path = how
    heard = await bench.raw(f"{method} /egress/shop{path} HTTP/1.1\r\nHost: box\r\nConnection: close\r\n\r\n".encode())
    head, _, body = heard.partition(b"\r\n\r\n")
    assert json.loads(body)["code"] == code, head
    assert bench.outside.heard == []
    assert (await bench.record("egress.refused"))[0]["detail"]["code"] == code


async def test_who_would_have_to_be_asked_is_told_which_tool_asks(tmp_path: Path) -> None:
    async with relaying(tmp_path / "data", tools={"shop.get": "ask"}) as bench:
        said = await bench.ask("GET", "/items")
        told = json.loads(said.body)
        assert (said.status, told["code"]) == (403, "ask_in_sandbox")
        assert "shop.get" in told["remedy"]
        assert bench.outside.heard == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {OWN}"},
        {"authorization": OWN, "X-Api-Key": OWN},
        {"Proxy-Authorization": OWN, "Cookie": f"session={OWN}"},
        {"X-Auth-Token": OWN, "Api-Key": OWN, "X-Goog-Api-Key": OWN},
        {"X-Forwarded-For": OWN, "Forwarded": f"for={OWN}", "X-Original-URL": f"/{OWN}"},
        {"X-HTTP-Method-Override": "DELETE", "X-Note": "harmless"},
    ],
)
async def test_only_the_platforms_identity_leaves(bench: Bench, headers: dict[str, str]) -> None:
    await bench.ask("GET", "/items", headers=headers)
    (heard,) = bench.outside.heard
    assert OWN.encode() not in heard.raw
    assert b"DELETE" not in heard.raw
    assert heard.header("authorization") == [f"Bearer {TOKEN}"]


async def test_a_host_that_a_program_names_changes_nothing(bench: Bench) -> None:
    said = await bench.raw(
        b"GET /egress/shop/items HTTP/1.1\r\nHost: evil.example\r\nConnection: close, x-keep\r\nX-Keep: 1\r\n\r\n"
    )
    assert said.startswith(b"HTTP/1.1 200")
    (heard,) = bench.outside.heard
    assert heard.header("host") == [f"127.0.0.1:{bench.outside.port}"]


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: 5, 5\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding : chunked\r\n",
    ],
)
async def test_lengths_that_two_readers_read_differently_smuggle_nothing(bench: Bench, framing: bytes) -> None:
    smuggled = b"0\r\n\r\nGET /admin HTTP/1.1\r\nHost: x\r\nAuthorization: " + OWN.encode() + b"\r\n\r\n"
    await bench.raw(b"POST /egress/shop/items HTTP/1.1\r\nHost: box\r\n" + framing + b"\r\n" + smuggled)
    targets = {heard.target for heard in bench.outside.heard}
    assert targets <= {"/v2/items"}
    assert all(heard.header("authorization") == [f"Bearer {TOKEN}"] for heard in bench.outside.heard)


async def test_an_upgrade_is_not_passed_on(bench: Bench) -> None:
    await bench.raw(
        b"GET /egress/shop/items HTTP/1.1\r\nHost: box\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"
    )
    for heard in bench.outside.heard:
        assert not heard.header("upgrade")
        assert not heard.header("http2-settings")


async def test_a_neighbours_connection_is_none(tmp_path: Path) -> None:
    async with relaying(tmp_path / "data") as bench:
        await bench.kit.web.delete_connection(TENANT, "shop", by="tester")
        config = {"base_url": bench.outside.url, "allow": ["*:/**"]}
        await bench.kit.web.create_connection(
            "ten_2", kind="http", name="shop", config=config, secret=None, by="tester"
        )
        said = await bench.ask("GET", "/items")
        assert (said.status, json.loads(said.body)["code"]) == (404, "unknown_connection")
        assert bench.outside.heard == []


async def test_a_server_cannot_pass_its_answer_off_as_ours(tmp_path: Path) -> None:
    told = Tells(status=403, headers={"X-Freehold-Code": "not_granted"})
    async with relaying(tmp_path / "data", lambda _: told) as bench:
        said = await bench.ask("GET", "/items")
    assert (said.status, "x-freehold-code" in said.headers) == (403, False)


async def test_packing_told_twice_hides_nothing(tmp_path: Path) -> None:
    def says(_heard: Heard) -> Tells:
        headers = {"Content-Encoding": "gzip", "content-encoding": "identity"}
        return Tells(headers=headers, pieces=[gzip.compress(TOKEN.encode())])

    async with relaying(tmp_path / "data", says) as bench:
        said = await bench.ask("GET", "/items")
    assert (said.status, b"unreadable_answer" in said.body) == (503, True)
