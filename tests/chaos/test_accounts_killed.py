"""A gateway killed between a provider's answer and its own disk: the account goes on, or is said to have run out."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from freehold.core.errors import Conflict, Denied, Unavailable
from freehold.testing.counterpart import counterpart
from tests.consents import ADA, BACK, CLIENT_SECRET, Consents, config, named
from tests.gateways import AGENT, TENANT, VERSION, effect, work
from tests.mortal import Mortal

AT_ONCE = 0.01
"""Seconds that a token lasts which is old when it is used."""


@dataclass(frozen=True, kw_only=True)
class Here(Mortal):
    """The provider too."""

    consents: Consents

    async def prepare(self, url: str) -> None:
        await self.web.set_secret(TENANT, "crm-client", CLIENT_SECRET, by="key:1")
        await self.web.create_connection(TENANT, config=config(url), **named())
        asked: dict[str, Any] = {"tenant": TENANT, "agent": AGENT, "version": VERSION, "model": "rehearsal"}
        await self.web.publish(**asked, tools={"crm.get": "allow"}, by="key:1")

    async def brought(self) -> dict[str, str]:
        begun = await self.web.start_sign_in(TENANT, "crm", by=ADA, redirect_uri=BACK)
        return self.consents.agree(begun["url"])

    async def finish(self, back: dict[str, str]) -> dict[str, Any]:
        return await self.web.finish_sign_in(state=back["state"], code=back["code"], error=None, issuer=None, by=ADA)

    async def get(self) -> int:
        outcome = await self.worker.submit(work(), effect("get", "crm", path="/things"))
        return int((outcome.result or {})["status"])


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Here]:
    consents = Consents()
    async with counterpart(consents) as server:
        made = Here(data=tmp_path, consents=consents)
        async with made.immortal():
            await made.prepare(server.url)
            consents.lasts = AT_ONCE
            await made.finish(await made.brought())
            consents.lasts = 3600
        yield made
        await made.close()


@pytest.mark.parametrize("rotates", [True, pytest.param(False, marks=pytest.mark.long)])
async def test_a_refresh_that_was_answered_and_not_kept_is_no_riddle(here: Here, *, rotates: bool) -> None:
    here.consents.rotates = rotates
    async with here.gateway("gateway:answered:1") as process:
        with pytest.raises(Unavailable):
            await here.get()
        assert await process.wait() == -9
    assert here.consents.issued == 2
    async with here.gateway():
        if rotates:  # the provider knows only the token that died with the gateway
            with pytest.raises(Denied) as refused:
                await here.get()
            assert refused.value.code == "not_connected"
            assert [one["what"] for one in await here.web.sign_in_warnings()] == ["expired"]
            await here.finish(await here.brought())
        assert await here.get() == 200
        assert (await here.web.scan_secrets(None))["faults"] == []


@pytest.mark.long
async def test_a_code_that_was_taken_and_not_kept_is_used_no_second_time(here: Here) -> None:
    async with here.gateway("gateway:answered:1") as process:
        back = await here.brought()
        with pytest.raises(Unavailable):
            await here.finish(back)
        assert await process.wait() == -9
    async with here.gateway():
        with pytest.raises(Conflict):
            await here.finish(back)
        assert await here.finish(await here.brought())
        assert await here.get() == 200
