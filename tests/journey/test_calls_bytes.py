"""Bytes that pass through the gateway: what a caller wrote arrives, and what the provider said comes back."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from freehold.testing.upstream.acts import Act
from tests.calling import CHAT, CLAUDE, Desk, calling

AWKWARD = (
    b'{ "model" : "acct/scripted",\n\t"messages":[{"role":"user","content":"h\\u00e9llo \\ud83d\\ude00 \xc3\xa9"}],'
    b'"seed":12345678901234567890123456789,"x_new":{"a":[1,2.50,1e400,-0.0],"a":null},'
    b'"temperature":1.0,"metadata":{"k":"1","k":"2"},  "stop":["\\n\\/"] , "x_last":[ ] }'
)
STREAM = (
    b": hello\r\n\r\n"
    b'data: {"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\r\n\r\n'
    b'id: 7\nretry: 10\ndata: {"id":"c",\ndata:  "choices":[{"index":0,"delta":{"content":"\xc3\xa9\xf0\x9f\x98\x80"}}]}\n\n'
    b':\n\ndata:{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x":12345678901234567890}\n\n'
)
DONE = b"data: [DONE]\n\n"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with calling(tmp_path) as made:
        yield made


def plays(body: bytes, **more: object) -> Act:
    return Act(body=body, kind="text/event-stream", **more)  # type: ignore[arg-type]


async def test_of_what_a_caller_wrote_only_the_models_name_changes(desk: Desk) -> None:
    said = await desk.post("/v1/chat/completions", AWKWARD)
    assert said.status == 200, said.body
    assert desk.upstream.requests[-1].body == AWKWARD.replace(b"acct/scripted", b"scripted")


@pytest.mark.parametrize(("path", "model"), [("/v1/messages", CLAUDE), ("/v1/responses", CHAT)])
async def test_other_formats_arrive_as_they_were_written(desk: Desk, path: str, model: str) -> None:
    body = AWKWARD.replace(b"acct/scripted", model.encode()).replace(b'"messages"', b'"max_tokens":9,"messages"')
    body = body.replace(b'"messages"', b'"input":"hi","messages"') if path == "/v1/responses" else body
    said = await desk.post(path, body)
    assert said.status == 200, said.body
    assert desk.upstream.requests[-1].body == body.replace(model.encode(), b"scripted")


async def test_a_large_picture_passes(desk: Desk) -> None:
    url = "data:image/png;base64," + base64.b64encode(bytes(range(256)) * 60_000).decode()
    picture = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}
    said = await desk.post("/v1/chat/completions", {"model": CHAT, "messages": [picture]})
    assert said.status == 200
    assert len(desk.upstream.requests[-1].body) > 20_000_000
    assert desk.upstream.requests[-1].body.count(url.encode()) == 1


async def test_a_plain_answer_comes_back_as_it_was_said(desk: Desk) -> None:
    body = b'{"choices" : [ {"message":{"content":"\\u00e9"}, "x": 1.50} ],"usage":{"prompt_tokens":1,"completion_tokens":1}}'
    desk.upstream.script.append(Act(body=body, split=7))
    assert (await desk.chat()).body == body


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.long), 17])
@pytest.mark.parametrize("end", [DONE, b""], ids=["done", "not-done"])
async def test_a_stream_comes_back_as_it_was_said_wherever_it_is_split(desk: Desk, end: bytes, step: int) -> None:
    whole = STREAM + end
    for size in range(1, len(whole), step):
        desk.upstream.script.append(plays(whole, split=size))
        said = await desk.chat(stream=True)
        assert said.body.startswith(STREAM), (size, said.body)
        assert said.body == whole or not end


async def test_a_credential_that_a_provider_repeats_reaches_nobody(desk: Desk) -> None:
    secret = desk.upstream.requests.maxlen and (await desk.chat()) and desk.upstream.ledger.last.key
    assert secret
    for how in ("body", "header", "split", "error"):
        for stream in (False, True):
            said = await desk.chat(f"[[echo={how}]]", stream=stream)
            shown = repr(said.headers) + said.body.decode()
            assert str(secret) not in shown, how
