"""A connection that somebody signs in: consent, calls with its token, refreshes, and the end of it."""

from pathlib import Path

from freehold.core.effects import EffectState
from tests.consents import ADA, BACK, scene
from tests.gateways import TENANT, effect, work


async def test_a_consent_opens_calls_with_the_token(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        begun = await it.kit.web.start_sign_in(TENANT, "crm", by=ADA, redirect_uri=BACK)
        assert (begun["provider"], begun["scopes"]) == ("127.0.0.1", ["things"])
        told = await it.came_back(it.consents.agree(begun["url"]))
        assert told == {"tenant": TENANT, "connection": "crm", "account": "", "scopes": ["things"]}
        outcome = await it.kit.worker.submit(work(), effect("get", "crm", path="/things"))
        stands = await it.state()
        shown = await it.kit.web.sign_in(begun["id"])
    assert outcome.state is EffectState.DONE
    assert (outcome.result or {})["status"] == 200
    assert it.server.heard[-1].header("authorization") == ["Bearer access-1-5fb1c9"]
    assert (stands["state"], stands["refreshable"], stands["connected_by"]) == ("connected", True, ADA)
    assert shown["state"] == "connected"
