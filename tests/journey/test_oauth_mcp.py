"""Another program's tools behind an account: asked for and called with the token that is good now."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from freehold.core.errors import Denied
from freehold.testing.clock import FakeClock
from freehold.testing.counterpart import Counterpart, Heard, Tells, counterpart
from tests.consents import ADA, BACK, CLIENT_SECRET, Consents, config
from tests.gateways import TENANT, Kit, effect, running, work
from tests.mcp_script import Script


@asynccontextmanager
async def scene(data: Path) -> AsyncIterator[tuple[Kit, Consents, Counterpart, FakeClock]]:
    consents, script, clock = Consents(), Script(), FakeClock()

    def answer(heard: Heard) -> Tells:
        [shown] = heard.header("authorization")
        return script.answer(heard) if shown.removeprefix("Bearer ") in consents.good else Tells(status=401)

    async with counterpart(consents) as provider, counterpart(answer) as server, running(data, clock) as kit:
        await kit.web.set_secret(TENANT, "crm-client", CLIENT_SECRET, by=ADA)
        stated = {"base_url": f"{server.url}/mcp", "oauth": config(provider.url)["oauth"]}
        named: dict[str, Any] = {"kind": "mcp", "name": "notes", "secret": None, "by": ADA}
        await kit.web.create_connection(TENANT, config=stated, **named)
        yield kit, consents, server, clock


async def signed_in(kit: Kit, consents: Consents) -> None:
    begun = await kit.web.start_sign_in(TENANT, "notes", by=ADA, redirect_uri=BACK)
    back = consents.agree(begun["url"])
    await kit.web.finish_sign_in(state=back["state"], code=back["code"], error=None, issuer=None, by=ADA)


async def test_tools_are_told_and_called_with_a_token_that_is_prolonged(tmp_path: Path) -> None:
    async with scene(tmp_path) as (kit, consents, server, clock):
        with pytest.raises(Denied) as nobody:
            await kit.web.refresh_tools(TENANT, "notes", document=None, by=ADA)
        assert nobody.value.code == "not_connected"
        await signed_in(kit, consents)
        for number in (1, 2):
            await kit.web.refresh_tools(TENANT, "notes", document=None, by=ADA)
            pinned = (await kit.web.tools_of(TENANT, ["notes"]))["notes"]["do"].pinned
            version = f"ver_{number}"
            pins = {"notes.do": pinned.hash}
            await kit.publish(tools={"notes.do": "allow"}, pins=pins, version=version)
            asked = effect("do", "notes", key=f"run_1/1/1/{number}")
            assert (await kit.worker.submit(work(version=version), asked)).error is None
            consents.good.discard(f"access-{number}-5fb1c9")
            clock.wind(3600)
        asked = effect("do", "notes", key="run_1/1/1/3")
        assert (await kit.worker.submit(work(version="ver_2"), asked)).error is None
    shown = [heard.header("authorization")[0] for heard in server.heard]
    assert list(dict.fromkeys(shown)) == [f"Bearer access-{number}-5fb1c9" for number in (1, 2, 3)]
