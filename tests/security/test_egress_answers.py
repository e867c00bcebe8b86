"""Answers of servers by a connection: they come back as they are, but for what would give its credential away."""

import base64
import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from freehold.testing.counterpart import Tells, echo
from tests.relaying import TOKEN, relaying


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


@pytest.mark.parametrize(("tells", "status", "code"), [(Tells(silent=True), 503, "server_cut")])
async def test_a_server_that_breaks_off_is_told_as_such(tmp_path: Path, tells: Tells, status: int, code: str) -> None:
    async with relaying(tmp_path / "data", lambda _heard: tells) as bench:
        said = await bench.ask("GET", "/items")
        assert (said.status, json.loads(said.body)["code"]) == (status, code)
