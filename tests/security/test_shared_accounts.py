"""One account at a provider for many tenants: what it keeps for one is out of the others' reach."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from freehold.gateway.client import WebGateway
from freehold.testing.upstream.acts import Act
from freehold.testing.upstream.server import Upstream
from tests.calling import CHAT, Desk, calling
from tests.gateways import TENANT

GOES_ON: dict[str, Any] = {"input": "Go on.", "previous_response_id": "resp_of_a_neighbour"}
HOUSE = "house/scripted"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with calling(tmp_path) as made:
        await house(made.web, made.upstream)
        made.key = await made.make_key("any", [])
        yield made


async def house(web: WebGateway, upstream: Upstream) -> None:
    config = {"base_url": upstream.base_url, "price": {"*": upstream.ledger.price.config}}
    await web.set_secret(None, "house", "sk-of-the-house", by="tester")
    await web.create_connection(None, kind="openai", name="house", config=config, secret="house", by="tester")


async def test_a_neighbours_answer_cannot_be_gone_on_from(desk: Desk) -> None:
    said = await desk.post("/v1/responses", GOES_ON | {"model": HOUSE})
    assert (said.status, said.json["error"]["code"]) == (403, "shared_account")
    assert "previous_response_id" in said.json["error"]["message"]
    assert not desk.upstream.requests
    assert (await desk.web.usage(TENANT))["rows"] == []


async def test_a_neighbours_file_cannot_be_read(desk: Desk) -> None:
    content = [{"type": "file", "file": {"file_id": "file_of_a_neighbour"}}]
    said = await desk.post("/v1/chat/completions", {"model": HOUSE, "messages": [{"role": "user", "content": content}]})
    assert said.status == 403
    assert not desk.upstream.requests


async def test_in_an_account_of_ones_own_one_may_refer_to_what_is_there(desk: Desk) -> None:
    said = await desk.post("/v1/responses", GOES_ON | {"model": CHAT})
    assert said.status == 200
    assert b"resp_of_a_neighbour" in desk.upstream.requests[-1].body


async def test_a_call_that_refers_to_something_falls_back_to_no_shared_account(desk: Desk) -> None:
    await desk.web.set_level(TENANT, "executor", routes=[CHAT, HOUSE], by="tester")
    asked = {"model": "executor", "input": "[[status=503]]", "previous_response_id": "resp_1"}
    assert (await desk.post("/v1/responses", asked)).status == 503
    assert {request.headers["authorization"] for request in desk.upstream.requests} == {"Bearer sk-upstream-4f1d"}


async def test_an_answer_may_be_kept_where_nobody_can_refer_to_it(desk: Desk) -> None:
    said = await desk.post("/v1/responses", {"input": "Hello", "model": HOUSE, "store": True})
    assert said.status == 200


@pytest.mark.parametrize("status", [400, 429])
async def test_whose_account_it_is_and_how_busy_is_told_to_who_owns_it_alone(desk: Desk, status: int) -> None:
    told = {
        "error": {"message": "Too long for gpt in organization org-a1B2c3D4e5 of projects/12345: use less, 9000 used."}
    }
    for model, wanted in ((CHAT, True), (HOUSE, False)):
        desk.upstream.script.append(Act(status=status, body=msgspec.json.encode(told)))
        said = await desk.post("/v1/chat/completions", {"model": model, "messages": []})
        assert said.status == status
        assert (b"org-a1B2c3D4e5" in said.body) is wanted
        assert (b"projects/12345" in said.body) is wanted
        assert (b"9000 used" in said.body) is (wanted or status == 400)


async def test_a_call_never_falls_back_to_a_region_its_tenant_forbids(desk: Desk) -> None:
    await desk.web.change_connection(TENANT, "acct", config={"region": "eu"}, by="tester")
    await desk.web.change_connection(None, "house", config={"region": "us"}, by="tester")
    await desk.web.set_level(TENANT, "executor", [CHAT, HOUSE], by="tester")
    asked = {"model": "executor", "messages": [{"role": "user", "content": "[[status=503]]"}]}
    assert (await desk.post("/v1/chat/completions", asked)).status == 503
    assert len(desk.upstream.requests) == 2
    await desk.web.set_account(TENANT, regions=["eu"], by="tester")
    assert (await desk.post("/v1/chat/completions", asked)).status == 503
    keys = [request.headers["authorization"] for request in desk.upstream.requests]
    assert keys[2:] == ["Bearer sk-upstream-4f1d"]
    said = await desk.post("/v1/chat/completions", asked | {"model": HOUSE})
    assert (said.status, said.json["error"]["code"]) == (403, "region_refused")
    await desk.web.set_account(TENANT, regions=["cn"], by="tester")
    assert (await desk.post("/v1/chat/completions", asked)).json["error"]["code"] == "region_refused"
    assert len(desk.upstream.requests) == 3
