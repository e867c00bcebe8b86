"""Requests by a connection: what goes out is the platform's alone, what comes back is without its credential."""

import asyncio
import base64
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from freehold.testing.counterpart import Tells, echo
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


def spellings() -> list[bytes]:
    """Return what a server may make of a credential that it was sent."""
    raw = TOKEN.encode()
    return [raw, b"Bearer " + raw, base64.b64encode(raw), raw.hex().encode(), base64.b64encode(b"x:" + raw), raw[::-1]]


def answered(kind: str, body: bytes) -> Any:
    """Return what answers with `body`, packed and cut as `kind` says."""
    packed = zlib.compress(body)
    told = {
        "gzip": Tells(headers={"Content-Encoding": "gzip"}, pieces=[gzip.compress(body)]),
        "deflate": Tells(headers={"Content-Encoding": "deflate"}, pieces=[packed[:7], packed[7:]]),
        "split": Tells(pieces=[body[at : at + 1] for at in range(len(body))]),
        "error": Tells(status=500, pieces=[b"<h1>" + body + b"</h1>"]),
        "header": Tells(headers={"X-Echo": body.decode("latin-1")}, pieces=[b"x"]),
        "redirect": Tells(status=302, headers={"Location": "https://other.example/?k=" + body.decode()}),
    }[kind]
    return lambda _heard: told


@pytest.mark.parametrize("kind", ["gzip", "deflate", "split", "error", "header", "redirect"])
async def test_a_credential_that_is_echoed_does_not_come_back(tmp_path: Path, kind: str) -> None:
    async with relaying(tmp_path / "data") as bench:
        for spelt in spellings():
            bench.outside.answers = answered(kind, b"before " + spelt + b" after" if kind != "redirect" else spelt)
            said = await bench.ask("GET", "/items")
            everything = said.body + json.dumps(said.headers).encode()
            assert spelt not in everything, (kind, spelt)
            assert TOKEN.encode() not in everything
            assert b"[secret]" in everything


async def test_what_nobody_can_look_into_is_not_passed_on(tmp_path: Path) -> None:
    tells = Tells(headers={"Content-Encoding": "br"}, pieces=[b"\x0b\x02\x80hello\x03"])
    async with relaying(tmp_path / "data", lambda _heard: tells) as bench:
        said = await bench.ask("GET", "/items")
        assert (said.status, json.loads(said.body)["code"]) == (503, "unreadable_answer")


async def test_everything_a_server_heard_may_be_repeated_but_the_credential(tmp_path: Path) -> None:
    async with relaying(tmp_path / "data", echo) as bench:
        said = await bench.ask("POST", "/items", data=b"body of mine")
        assert b"body of mine" in said.body
        assert b"Bearer [secret]" in said.body
        assert TOKEN.encode() not in said.body


async def test_a_redirect_within_the_connection_leads_back_to_it_and_any_other_is_only_told(tmp_path: Path) -> None:
    async with relaying(tmp_path / "data") as bench:
        inside = Tells(status=307, headers={"Location": f"{bench.outside.url}/v2/items/9?x=1"}, pieces=[b""])
        bench.outside.answers = lambda _heard: inside
        assert (await bench.ask("GET", "/redirect")).headers["location"] == "/egress/shop/items/9?x=1"
        elsewhere = Tells(status=302, headers={"Location": "http://169.254.169.254/latest"}, pieces=[b""])
        bench.outside.answers = lambda _heard: elsewhere
        said = await bench.ask("GET", "/redirect")
        assert (said.status, said.headers["location"]) == (302, "http://169.254.169.254/latest")
        assert len(bench.outside.heard) == 2


def halting(forever: asyncio.Event) -> Any:
    """Return what says one piece and then waits."""
    said: list[bool] = []

    async def wait() -> None:
        if said:
            await forever.wait()
        said.append(True)

    return lambda _heard: Tells(pieces=[b"first\n", b"second\n"], between=wait)


async def test_a_stream_passes_as_it_comes_and_ends_when_the_program_hangs_up(tmp_path: Path) -> None:
    forever = asyncio.Event()
    async with relaying(tmp_path / "data", halting(forever)) as bench, bench.session() as session:
        answer = await session.get("http://box/egress/shop/items")
        assert await answer.content.readany() == b"first\n"
        answer.close()
        (closed,) = await bench.record("egress.closed")
        assert closed["detail"]["why"] == "caller_gone"
        forever.set()


async def test_effects_that_are_paused_cut_what_is_under_way(tmp_path: Path) -> None:
    forever = asyncio.Event()
    async with relaying(tmp_path / "data", halting(forever)) as bench, bench.session() as session:
        answer = await session.get("http://box/egress/shop/items")
        assert await answer.content.readany() == b"first\n"
        await bench.kit.web.pause_effects(TENANT, paused=True, by="person:1")
        async with asyncio.timeout(5):
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.content.readany()
        (closed,) = await bench.record("egress.closed")
        assert closed["detail"]["why"] == "effects_paused"
        forever.set()


async def test_a_session_carries_so_much_and_no_more(tmp_path: Path) -> None:
    big = Tells(pieces=[b"x" * 1000] * 5)
    async with relaying(tmp_path / "data", lambda _heard: big, egress_bytes=2048) as bench:
        with pytest.raises(aiohttp.ClientPayloadError):
            await bench.ask("GET", "/items")
        assert (await bench.record("egress.closed"))[0]["detail"]["why"] == "too_much"
        said = await bench.ask("POST", "/items", data=b"x" * 4096)
        assert json.loads(said.body)["code"] == "too_much"


async def test_a_sandbox_has_so_many_sessions_at_once(tmp_path: Path) -> None:
    arrived, forever = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        arrived.set()
        await forever.wait()

    tells = Tells(pieces=[b"x"], before=wait)
    async with relaying(tmp_path / "data", lambda _heard: tells, egress_at_once=1) as bench:
        first = asyncio.create_task(bench.ask("GET", "/items"))
        await arrived.wait()
        said = await bench.ask("GET", "/items")
        assert (said.status, json.loads(said.body)["code"]) == (429, "too_much")
        forever.set()
        assert (await first).status == 200


@pytest.mark.parametrize(("tells", "status", "code"), [(Tells(silent=True), 503, "server_cut")])
async def test_a_server_that_breaks_off_is_told_as_such(tmp_path: Path, tells: Tells, status: int, code: str) -> None:
    async with relaying(tmp_path / "data", lambda _heard: tells) as bench:
        said = await bench.ask("GET", "/items")
        assert (said.status, json.loads(said.body)["code"]) == (status, code)


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


async def test_an_upload_of_many_bytes_is_passed_on_as_it_comes(bench: Bench) -> None:
    size = 3 << 20
    said = await bench.ask("POST", "/items", data=b"u" * size)
    assert said.status == 200
    (heard,) = bench.outside.heard
    assert len(heard.body) == size
    assert heard.header("content-length") == [str(size)]


async def test_a_server_that_answers_early_still_hears_all_of_an_upload(tmp_path: Path) -> None:
    size, heard = 3 << 20, list[int]()

    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        await writer.drain()
        count = 0
        while count < size and (piece := await reader.read(1 << 16)):
            count += len(piece)
        heard.append(count)
        writer.write(b"done")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(early, "127.0.0.1", 0)
    place = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v2"
    async with server, relaying(tmp_path / "data", config={"base_url": place}) as bench:
        said = await bench.ask("POST", "/items", data=b"u" * size)
        assert (said.body, heard) == (b"done", [size])
