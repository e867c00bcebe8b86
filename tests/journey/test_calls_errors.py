"""What a provider refuses, and what we refuse: told in the shape that each client reads, with what it should do."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.calling import CHAT, CLAUDE, GEMINI, Desk, Said, calling

TOLD = {400: 400, 402: 403, 403: 403, 404: 404, 408: 503, 409: 503, 413: 413, 422: 422, 429: 429, 500: 503, 529: 503}
"""What the provider answers, and what the caller is told."""
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"model": CHAT}),
    "responses": ("/v1/responses", {"model": CHAT}),
    "messages": ("/v1/messages", {"model": CLAUDE, "max_tokens": 50}),
    "chat-by-gemini": ("/v1/chat/completions", {"model": GEMINI}),
    "embeddings": ("/v1/embeddings", {"model": CHAT}),
}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with calling(tmp_path) as made:
        yield made


async def ask(desk: Desk, api: str, text: str, **more: Any) -> Said:
    path, body = CALLS[api]
    said: dict[str, Any] = (
        {"messages": [{"role": "user", "content": text}]} if path.endswith(("completions", "messages")) else {}
    )
    return await desk.post(path, body | (said or {"input": text}) | more)


def shaped(api: str, said: Said) -> dict[str, Any]:
    """Return what an error says about itself, once it has the shape of its API."""
    told = said.json
    if api == "messages":
        assert told["type"] == "error"
    error: dict[str, Any] = told["error"]
    assert error["message"]
    assert error["type"]
    return error


@pytest.mark.parametrize("api", CALLS)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_a_provider_refuses_is_told_in_the_callers_shape(desk: Desk, api: str, stream: bool) -> None:  # noqa: FBT001
    for status, wanted in TOLD.items():
        said = await ask(
            desk, api, f"[[status={status}]]", **({"stream": True} if stream and api != "embeddings" else {})
        )
        assert said.status == wanted, (status, said.body)
        shaped(api, said)
    assert await desk.balanced() == 0


async def test_how_long_to_wait_is_passed_on(desk: Desk) -> None:
    said = await desk.chat("[[status=429 after=17]]")
    assert (said.status, said.headers["retry-after"]) == (429, "17")
    assert "x-should-retry" not in said.headers


@pytest.mark.parametrize("api", CALLS)
async def test_who_spent_all_is_told_so_and_not_to_try_again(desk: Desk, api: str) -> None:
    await desk.limit(0)
    said = await ask(desk, api, "Hello")
    assert said.status == 402
    assert said.headers["x-should-retry"] == "false"
    error = shaped(api, said)
    assert error["code"] == "budget_exhausted"
    assert error["limit_nano"] == 0
    assert error["resets_at"].endswith("Z")
    assert not desk.upstream.ledger.entries


@pytest.mark.parametrize("api", CALLS)
async def test_a_key_that_opens_nothing_is_refused(desk: Desk, api: str) -> None:
    desk.key = "fhm_nothing"
    said = await ask(desk, api, "Hello")
    assert said.status == 401
    shaped(api, said)
    assert not desk.upstream.ledger.entries


async def test_a_key_is_held_to_its_models(desk: Desk) -> None:
    desk.key = await desk.make_key("narrow", [CLAUDE])
    assert (await desk.chat()).status == 403
    assert not desk.upstream.ledger.entries


async def test_what_is_no_request_is_refused_before_anything_is_written(desk: Desk) -> None:
    for body in (b"", b"{", b"[]", b"{}", b'{"model": 7}', b'{"model": "acct/scripted", "stream": "yes"}'):
        assert (await desk.post("/v1/chat/completions", body)).status == 400
    assert (await desk.post("/v1/other", b"{}")).status == 404
    assert (await desk.web.usage("ten_1"))["rows"] == []


async def test_a_redirect_is_not_followed(desk: Desk) -> None:
    said = await desk.chat("[[redirect=/v1/elsewhere]]")
    assert said.status >= 400
    assert [request.path for request in desk.upstream.requests] == ["/v1/chat/completions"]
