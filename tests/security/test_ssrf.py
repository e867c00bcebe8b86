"""No spelling of an address leads the gateway into this machine or its network, unless an operator opened it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, update

from freehold.core.effects import EffectState
from freehold.core.errors import Denied, Invalid, Unavailable
from freehold.gateway.asked import Behalf
from freehold.gateway.connection_tables import connections, destinations
from freehold.gateway.outward.client import Client
from freehold.gateway.outward.destinations import ANY, Open
from freehold.gateway.outward.exchange import Sent
from freehold.gateway.outward.guard import Guard
from freehold.gateway.ports import NotSent
from tests.forms import ELSEWHERE, LOOPBACK, URLS, trap
from tests.gateways import SECRET, TENANT, Kit, effect, running, work

TENANTS = Behalf(TENANT)
HOOK: dict[str, Any] = {"kind": "webhook", "secret": "hook", "by": "tester"}
BY_NAME = "ip6-localhost"
"""What only the machine's own list of names tells; nobody asks that before a call."""


async def nowhere() -> Open:
    """Return what is open: nothing."""
    return Open()


async def everywhere() -> Open:
    """Return what is open: the whole of this machine, as it is written plainly."""
    return frozenset({("", "127.0.0.1", ANY), ("", "::1", ANY)})


async def sent(client: Client, url: str, behalf: Behalf = TENANTS) -> int:
    """Send a request and return the status of its answer."""
    answer = await client.send(Sent(method="GET", url=url, headers={}), behalf, lambda: None)
    await answer.chunks.aclose()
    return answer.status


def test_the_table_is_long_and_has_nothing_twice() -> None:
    forms = [*LOOPBACK, *ELSEWHERE, *URLS]
    assert len(set(forms)) == len(forms) > 120


async def test_no_form_is_sent_to_for_a_tenant() -> None:
    client = Client(Guard(nowhere))
    async with trap() as sprung:
        for url in sprung.urls:
            with pytest.raises((Denied, Invalid, NotSent)) as refused:
                await sent(client, url)
            codes = {"address_refused", "bad_host", "bad_address", "name_unknown"}
            assert refused.value.code in codes, url
        assert sprung.came == []
    await client.close()


async def test_the_trap_is_one_for_what_is_open() -> None:
    client = Client(Guard(everywhere))
    async with trap() as sprung:
        for host in ("127.0.0.1", "[::1]", "[0::1]"):
            assert await sent(client, f"http://{host}:{sprung.port}/") == 200
        assert sprung.came == ["::ffff:127.0.0.1", "::1", "::1"]
    await client.close()


async def test_what_only_looks_like_what_is_open_is_not_open() -> None:
    client = Client(Guard(everywhere))
    same = {"127.0.0.1", "127.0.0.1.", "[::1]", "[0:0:0:0:0:0:0:1]", "[0000::0001]"}
    async with trap() as sprung:
        for host in {*LOOPBACK, *ELSEWHERE} - same:
            with pytest.raises((Denied, Invalid, NotSent)):
                await sent(client, f"http://{host}:{sprung.port}/")
        assert sprung.came == []
    await client.close()


@pytest.mark.parametrize("host", [*ELSEWHERE, "0.0.0.0", "[::]", "[::ffff:127.0.0.1]", "[::127.0.0.1]"])
async def test_what_no_network_should_route_is_closed_to_operators_too(host: str) -> None:
    client, operators = Client(Guard(everywhere)), Behalf("", operators=True)
    private = ("10.", "172.", "192.168.", "100.64.", "[fc00::1]", "[fd12:")
    if not host.startswith(private):
        with pytest.raises((Denied, Invalid)):
            await sent(client, f"http://{host}:9/", operators)
    await client.close()


@asynccontextmanager
async def connected(data: Path) -> AsyncIterator[Kit]:
    """Give a gateway that nothing was opened at, with a tenant's connection to an ordinary place."""
    async with running(data) as kit:
        await kit.gateway.keep.write(lambda tx: tx.execute(delete(destinations)))
        kit.gateway.keep.changed()
        await kit.web.set_secret(TENANT, "hook", SECRET, by="tester")
        await kit.web.create_connection(TENANT, name="mine", config={"url": "https://example.com/"}, **HOOK)
        await kit.publish(tools={"mine.send": "allow"})
        yield kit


async def test_no_form_is_taken_as_a_tenants_connection(tmp_path: Path) -> None:
    async with connected(tmp_path) as kit, trap() as sprung:
        for url in sprung.urls:
            if BY_NAME in url:
                continue
            with pytest.raises((Denied, Invalid)):
                await kit.web.create_connection(TENANT, name="other", config={"url": url}, **HOOK)
            with pytest.raises((Denied, Invalid)):
                await kit.web.change_connection(TENANT, "mine", config={"url": url}, by="tester")
        assert sprung.came == []


async def test_no_form_that_came_into_the_store_all_the_same_leads_anywhere(tmp_path: Path) -> None:
    async with connected(tmp_path) as kit, trap() as sprung:
        for number, url in enumerate(sprung.urls):
            await kit.gateway.keep.write(partial(_lay, url=url))
            code = await _code(kit, f"run_1/1/{number + 1}/1")
            assert code in {"address_refused", "bad_host", "bad_address", "name_unknown"}, url
        assert sprung.came == []


async def _code(kit: Kit, key: str) -> str:
    """Send something through the connection, and return the code of what came of it."""
    try:
        outcome = await kit.worker.submit(work(), effect("send", connection="mine", key=key, text="hello"))
    except Unavailable as error:  # a name that nobody knows may be known tomorrow
        return error.code
    assert outcome.state is EffectState.FAILED
    return str((outcome.error or {}).get("code"))


def _lay(tx: Any, *, url: str) -> None:
    """Let the connection lead elsewhere without anybody looking at where."""
    tx.execute(update(connections).values(config={"url": url}))
