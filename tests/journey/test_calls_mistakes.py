"""Mistakes that everybody makes once: what is said to them names the mistake, and what to do about it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from freehold.testing.upstream.acts import Act
from tests.calling import CHAT, Desk, calling, chat
from tests.gateways import TENANT


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with calling(tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    ("act", "code", "remedy"),
    [
        (Act(status=401), "provider_refused", "secret"),
        (Act(status=404), "provider_malformed", "base_url"),
        (Act(body=b"<html>Welcome", kind="text/html"), "provider_malformed", "base_url"),
        (Act(status=429, after="3"), "provider_busy", "again"),
        (Act(status=503), "provider_unavailable", "again"),
        (Act(cut=5), "provider_cut", "base_url"),
    ],
)
async def test_a_connection_that_does_not_work_says_what_to_look_at(
    desk: Desk, act: Act, code: str, remedy: str
) -> None:
    desk.upstream.script.append(act)
    told = await desk.web.test_connection(TENANT, "acct", by="tester")
    assert not told["ok"]
    assert told["error"]["code"] == code
    assert remedy in told["error"]["remedy"]


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ("", "No model key was shown."),
        ("Bearer fh_live_0192_abc", "An API key opens no models."),
        ("Bearer fhm_mistyped", "This key opens nothing here."),
    ],
)
async def test_whoever_shows_the_wrong_key_is_told_which_is_right(desk: Desk, shown: str, said: str) -> None:
    refused = await desk.post("/v1/chat/completions", chat(), Authorization=shown)
    assert refused.status == 401
    assert refused.json["error"]["message"].startswith(said)
    assert "freehold model-key create" in refused.json["error"]["message"]


async def test_a_limit_tells_which_it_is_and_whether_anything_is_left(desk: Desk) -> None:
    await desk.limit(0, period="day")
    nothing = (await desk.chat()).json["error"]["message"]
    assert nothing.startswith("The daily budget of the tenant is used up: 0.00 of 0.00 USD are left.")
    await desk.limit(1_000, period="day")
    little = (await desk.chat()).json["error"]["message"]
    assert little.startswith("The daily budget of the tenant leaves too little for this call: 0.000001 of 0.000001 USD")


async def test_who_meets_an_unknown_price_is_told_how_to_state_it(desk: Desk) -> None:
    await desk.web.change_connection(TENANT, "acct", config={"price": None}, by="tester")
    await desk.limit(1_000_000_000)
    refused = (await desk.chat(model=CHAT)).json["error"]
    assert refused["code"] == "price_unknown"
    assert "freehold connection set NAME --price" in refused["message"]


async def test_what_nobody_knows_the_price_of_is_counted_apart(desk: Desk) -> None:
    await desk.chat()
    await desk.web.change_connection(TENANT, "acct", config={"price": None}, by="tester")
    await desk.chat()
    told = await desk.settled()
    assert (told["total"]["count"], told["total"]["unpriced"]) == (2, 1)
    (group,) = (await desk.web.usage(TENANT, by="provider"))["groups"]
    assert group["unpriced"] == 1
