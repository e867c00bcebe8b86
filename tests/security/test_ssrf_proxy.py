"""No spelling of an address leads a program's tunnel or plain request inside, though its version was granted it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from freehold.core.errors import Invalid
from freehold.gateway.outward.destinations import Open
from freehold.gateway.outward.hosts import place_of
from tests.forms import ELSEWHERE, LOOPBACK, Trap, trap
from tests.proxies import Proxy, proxy

REFUSED = {0, 400, 403, 422, 502}
"""What comes of it: nothing at all where what was said is no HTTP."""
FORMS = (*LOOPBACK, *ELSEWHERE)


async def nowhere() -> Open:
    """Return what is open: nothing."""
    return Open()


def granted(port: int) -> list[str]:
    """Return every form that can be granted, as a version would have it, for `port`."""
    return [str(place) for host in FORMS for place in _places(f"{host}:{port}")]


def _places(stated: str) -> Iterator[object]:
    try:
        yield place_of(stated)
    except Invalid:
        return


@contextmanager
def nobody_comes(sprung: Trap) -> Iterator[None]:
    yield
    assert sprung.came == []


async def answered(box: Proxy, said: str) -> int:
    async with asyncio.timeout(20):
        status, _ = await box.ask(said.encode())
    return status


async def test_no_tunnel_leads_inside(tmp_path: Path) -> None:
    async with trap() as sprung, proxy(tmp_path, *granted(sprung.port), allowed=nowhere) as box:
        with nobody_comes(sprung):
            for host in FORMS:
                authority = f"{host}:{sprung.port}"
                for said in (authority, f"http://{authority}", f"{authority}/"):
                    words = f"CONNECT {said} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n"
                    assert await answered(box, words) in REFUSED, said


async def test_no_plain_request_leads_inside(tmp_path: Path) -> None:
    async with trap() as sprung, proxy(tmp_path, *granted(sprung.port), allowed=nowhere) as box:
        with nobody_comes(sprung):
            for url in sprung.urls:
                box.inner.clear()  # what names no other machine is asked of the gateway itself
                words = f"GET {url} HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n"
                assert await answered(box, words) in REFUSED or box.inner, url


async def test_the_tables_forms_are_reached_where_they_are_open(tmp_path: Path) -> None:
    async with trap() as sprung, proxy(tmp_path, f"127.0.0.1:{sprung.port}") as box:
        plain = f"GET http://127.0.0.1:{sprung.port}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        assert await answered(box, plain) == 200
        _, writer = await box.tunnel(f"127.0.0.1:{sprung.port}")
        writer.close()
        assert sprung.came == ["::ffff:127.0.0.1"] * 2
