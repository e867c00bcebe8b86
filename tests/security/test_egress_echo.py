"""A server that repeats the secret it was sent does not hand it on: not to the run, not to the record, in no spelling."""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from freehold.core.effects import EffectState, Outcome
from freehold.testing.counterpart import Answers, Counterpart, Heard, Tells, counterpart, echo
from tests.canaries import Finder, planted, repeated
from tests.gateways import RUN, TENANT, Kit, effect, running, work

SECRET: Final = planted("egress")
TEXT: Final = {"Content-Type": "text/plain"}
PLACES: Final = ["header:Authorization", "header:X-Api-Key", "query:api_key", "path:KEY", "basic"]


@asynccontextmanager
async def connected(
    data: Path, answers: Answers, place: str = "header:Authorization", secret: str = SECRET
) -> AsyncIterator[tuple[Kit, Counterpart]]:
    async with counterpart(answers) as outside, running(data) as kit:
        await kit.web.set_secret(TENANT, "token", f"ada:{secret}" if place == "basic" else secret, by="key:1")
        base = f"{outside.url}/{{KEY}}" if place == "path:KEY" else outside.url
        config = {"base_url": base, "allow": ["*:/**"], "inject": place}
        named: dict[str, Any] = {"kind": "http", "name": "api", "secret": "token", "by": "key:1"}
        await kit.web.create_connection(TENANT, config=config, **named)
        await kit.publish(tools={"api.get": "allow", "api.post": "allow"})
        yield kit, outside


async def asked(kit: Kit, number: int = 1, operation: str = "get") -> Outcome:
    return await kit.worker.submit(work(), effect(operation, "api", key=f"{RUN}/1/{number}/1", path="/echo"))


async def leaks(kit: Kit, *outcomes: Outcome) -> list[str]:
    told = [(one.state, one.result, one.error) for one in outcomes]
    record = [await kit.web.audit(TENANT), await kit.web.usage(TENANT)]
    # Looked through as text too: what JSON escapes could hide, somebody who reads it would see.
    plain = "\n".join(_texts(told))
    return Finder().found("told", plain.encode()) + Finder().found(
        "all", json.dumps([told, record], default=str).encode()
    )


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for pair in value.items() for one in pair for text in _texts(one)]
    if isinstance(value, (list, tuple)):
        return [text for one in value for text in _texts(one)]
    return [str(value)]


@pytest.mark.parametrize("place", PLACES)
async def test_what_was_sent_is_not_repeated_wherever_it_stood(tmp_path: Path, place: str) -> None:
    async with connected(tmp_path, echo, place) as (kit, outside):
        outcome = await asked(kit)
        found = await leaks(kit, outcome)
    assert outcome.state is EffectState.DONE
    assert len(outside.heard) == 1
    assert found == []
    assert "[secret]" in (outcome.result or {})["text"]


def packed(pack: Callable[[bytes], bytes], encoding: str) -> Answers:
    def says(_heard: Heard) -> Tells:
        body = "\n".join(repeated(SECRET)).encode()
        return Tells(headers=TEXT | {"Content-Encoding": encoding}, pieces=[pack(body)])

    return says


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes), ("GZIP", gzip.compress)],
)
async def test_packing_it_hides_nothing(tmp_path: Path, encoding: str, pack: Callable[[bytes], bytes]) -> None:
    async with connected(tmp_path, packed(pack, encoding)) as (kit, _):
        outcome = await asked(kit)
        found = await leaks(kit, outcome)
    assert found == []
    assert (outcome.result or {})["text"].count("[secret]") == len(repeated(SECRET))


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "gzip"])
async def test_what_cannot_be_unpacked_is_not_told_at_all(tmp_path: Path, encoding: str) -> None:
    def says(_heard: Heard) -> Tells:
        return Tells(headers=TEXT | {"Content-Encoding": encoding}, pieces=[SECRET.encode()])

    async with connected(tmp_path, says) as (kit, _):
        outcome = await asked(kit, operation="post")
        found = await leaks(kit, outcome)
    assert (outcome.state, found) == (EffectState.DONE, [])
    assert (outcome.result or {}).keys() == {"status", "headers", "unreadable"}


async def test_cutting_it_anywhere_hides_nothing(tmp_path: Path) -> None:
    body = f"you sent {SECRET} to us".encode()
    cuts = iter(range(1, len(body)))

    def says(_heard: Heard) -> Tells:
        at = next(cuts)
        return Tells(headers=TEXT, pieces=[body[:at], body[at:]])

    async with connected(tmp_path, says) as (kit, _):
        outcomes = [await asked(kit, number) for number in range(1, len(body))]
        found = await leaks(kit, *outcomes)
    assert found == []
    assert {(one.result or {})["text"] for one in outcomes} == {"you sent [secret] to us"}


async def test_letter_by_letter_hides_nothing(tmp_path: Path) -> None:
    body = "\n".join(repeated(SECRET)).encode()

    def says(_heard: Heard) -> Tells:
        return Tells(headers=TEXT, pieces=[body[at : at + 1] for at in range(len(body))])

    async with connected(tmp_path, says) as (kit, _):
        found = await leaks(kit, await asked(kit))
    assert found == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_neither_carries_it_nor_is_followed_with_it(tmp_path: Path, status: int) -> None:
    async with counterpart() as other:

        def says(heard: Heard) -> Tells:
            there = f"{other.url}/?was={heard.header('authorization')[0]}"
            return Tells(status=status, headers=TEXT | {"Location": there, "Link": f"<{there}>; rel=next"})

        async with connected(tmp_path, says) as (kit, outside):
            outcome = await asked(kit)
            found = await leaks(kit, outcome)
    assert found == []
    assert (len(outside.heard), other.heard) == (1, [])
    assert "[secret]" in (outcome.result or {})["headers"]["location"]


@pytest.mark.parametrize("status", [400, 401, 403, 500, 502])
async def test_an_error_page_repeats_nothing(tmp_path: Path, status: int) -> None:
    def says(heard: Heard) -> Tells:
        page = f"<html><h1>{status}</h1><pre>{heard.raw.decode()}</pre><!-- {SECRET} --></html>"
        return Tells(
            status=status, headers={"Content-Type": "text/html", "WWW-Authenticate": SECRET}, pieces=[page.encode()]
        )

    async with connected(tmp_path, says) as (kit, _):
        outcome = await asked(kit)
        found = await leaks(kit, outcome)
    assert found == []
    assert (outcome.result or {})["status"] == status


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(sign):04x}" for sign in text)


@pytest.mark.parametrize(
    ("kind", "spelt"),
    [
        ("application/json", f'{{"a": "{escaped(SECRET)}", "{escaped(SECRET)}": [{{"b": "{escaped(SECRET)}"}}]}}'),
        ("application/problem+json", json.dumps({"detail": SECRET, "list": [SECRET, {SECRET: SECRET}]})),
        ("application/json", json.dumps(json.dumps({"a": SECRET}))),
        ("text/html", SECRET.replace("&", "&amp;").replace('"', "&quot;")),
        ("application/octet-stream", SECRET),
        ("image/png", SECRET),
        ("", SECRET),
    ],
    ids=["escaped", "problem", "JSON in JSON", "HTML", "bytes", "picture", "unsaid"],
)
async def test_the_way_it_is_written_hides_nothing(tmp_path: Path, kind: str, spelt: str) -> None:
    def says(_heard: Heard) -> Tells:
        return Tells(headers={"Content-Type": kind} if kind else {}, pieces=[spelt.encode()])

    async with connected(tmp_path, says) as (kit, _):
        found = await leaks(kit, await asked(kit))
    assert found == []


@pytest.mark.parametrize("charset", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "unheard-of"])
async def test_the_letters_it_is_written_in_hide_nothing(tmp_path: Path, charset: str) -> None:
    def says(_heard: Heard) -> Tells:
        body = SECRET.encode("utf-8" if charset == "unheard-of" else charset)
        return Tells(headers={"Content-Type": f"text/plain; charset={charset}"}, pieces=[body])

    async with connected(tmp_path, says) as (kit, _):
        found = await leaks(kit, await asked(kit))
    assert found == []


async def test_what_is_cut_off_does_not_end_in_the_beginning_of_it(tmp_path: Path) -> None:
    def says(_heard: Heard) -> Tells:
        return Tells(headers=TEXT, pieces=[b"x" * ((1 << 20) - 12) + SECRET.encode() + b"y" * 100])

    async with connected(tmp_path, says) as (kit, _):
        outcome = await asked(kit)
    text = (outcome.result or {})["text"]
    assert (outcome.result or {})["truncated"]
    assert SECRET[:6] not in text


async def test_nobody_who_cannot_be_reached_makes_an_error_tell_it(tmp_path: Path) -> None:
    async with connected(tmp_path, echo, "query:api_key") as (kit, outside):
        config = {"base_url": "http://127.0.0.1:1"}
        await kit.web.change_connection(TENANT, "api", config=config, by="key:1")
        await kit.publish(version="ver_2", tools={"api.post": "allow"})
        outcome = await kit.worker.submit(work(version="ver_2"), effect("post", "api", path="/echo"))
        found = await leaks(kit, outcome)
    assert (outcome.state, found, outside.heard) == (EffectState.FAILED, [], [])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-32-be"])
async def test_json_hides_nothing_in_any_of_its_encodings(tmp_path: Path, encoding: str) -> None:
    def says(_heard: Heard) -> Tells:
        body = json.dumps({"you": SECRET, SECRET: [SECRET]}).encode(encoding)
        return Tells(headers={"Content-Type": "application/json"}, pieces=[body])

    async with connected(tmp_path, says) as (kit, _):
        outcome = await asked(kit)
        found = await leaks(kit, outcome)
    assert (outcome.state, found) == (EffectState.DONE, [])


@pytest.mark.parametrize("charset", ["punycode", "idna", "utf-7", "unicode_escape", "hex", "none"])
async def test_a_charset_that_nobody_writes_in_keeps_nobody_waiting(tmp_path: Path, charset: str) -> None:
    def says(_heard: Heard) -> Tells:
        return Tells(headers={"Content-Type": f"text/plain; charset={charset}"}, pieces=[b"xn--\xff" + b"9a" * 200_000])

    async with connected(tmp_path, says) as (kit, _):
        async with asyncio.timeout(5):
            outcome = await asked(kit)
    assert (outcome.state, (outcome.result or {})["text"][:4]) == (EffectState.DONE, "xn--")
