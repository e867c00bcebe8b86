"""How an effect becomes a request, and what slow, cutting and silent servers make of it."""

import asyncio
from typing import Any

import pytest

from freehold.core.effects import EffectKind
from freehold.core.errors import Invalid, Unavailable
from freehold.core.tools import Tool
from freehold.drivers.connector.http import operations
from freehold.drivers.connector.http.driver import Http
from freehold.gateway.asked import Behalf
from freehold.gateway.ports import ConnectorCall, Credential, NotSent, Reached
from freehold.testing.counterpart import Counterpart, Tells, counterpart
from tests.dialling import client

TEXT = {"Content-Type": "text/plain"}
SOON = 0.2


def described(**how: Any) -> Tool:
    return Tool(name="do_it", description="Do it.", parameters={"type": "object"}, kind=EffectKind.MESSAGE, how=how)


def test_a_described_operation_puts_each_argument_where_it_belongs() -> None:
    places = {
        "id": "path",
        "q": "query",
        "tags": "query",
        "trace": "header",
        "name": "body",
        "age": "body",
        "on": "query",
    }
    tool = described(method="post", path="/users/{id}/notes", **{"in": places, "as": {"trace": "X-Trace"}})
    stated = {"id": "a b", "q": "x&y", "tags": ["1", 2], "trace": "t", "name": "Ada", "age": 36, "on": True}
    asked = operations.asked(tool, stated)
    assert (asked.method, asked.path, asked.query) == ("POST", "/users/a%20b/notes", "q=x%26y&tags=1&tags=2&on=true")
    assert asked.headers == {"content-type": "application/json", "x-trace": "t"}
    assert asked.body == b'{"name": "Ada", "age": 36}'


def test_a_described_operation_can_have_a_body_without_names_and_lists_in_one() -> None:
    how: dict[str, Any] = {"in": {"body": "body", "ids": "query"}, "whole": "body", "joined": ["ids"]}
    asked = operations.asked(described(method="PUT", path="/things", **how), {"body": [1, 2], "ids": [3, 4]})
    assert (asked.query, asked.body) == ("ids=3%2C4", b"[1, 2]")


@pytest.mark.parametrize("arguments", [{}, {"id": "1", "more": 2}])
def test_a_described_operation_takes_what_it_describes(arguments: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        operations.asked(described(method="GET", path="/users/{id}", **{"in": {"id": "path"}}), arguments)
    assert refused.value.code == "bad_arguments"


@pytest.mark.parametrize("value", ["../admin", "a/b", "..", "a%2fb", "x;y", "a?b", "{id}", "a\r\nb"])
async def test_an_argument_does_not_lead_out_of_its_place(value: str) -> None:
    tool = described(method="POST", path="/users/{id}", **{"in": {"id": "path"}})
    async with counterpart() as outside:
        try:
            await Http(client()).perform(call(outside, tool=tool, arguments={"id": value}))
        except Invalid as error:
            assert error.code == "bad_path"  # noqa: PT017 - either is right
        paths = [heard.target for heard in outside.heard]
    assert paths in ([], ["/users/%7Bid%7D"])


def call(outside: Counterpart, operation: str = "post", **changes: Any) -> ConnectorCall:
    config = {"base_url": outside.url, "allow": ["*:/**"]}
    tool = next(one for one in operations.tools(config) if one.name == operation)
    to = Reached(owner="", name="api", config=config, credential=Credential("sk-0123456789"), behalf=Behalf(""))
    stated: dict[str, Any] = {
        "key": "run_1/1/1/1",
        "tool": tool,
        "arguments": {"path": "/a"},
        "to": to,
        "sent": lambda: None,
    }
    return ConnectorCall(**(stated | changes))


async def forever() -> None:
    await asyncio.Event().wait()


async def test_a_server_that_says_nothing_leaves_it_unknown() -> None:
    async with counterpart(lambda _heard: Tells(before=forever)) as outside:
        with pytest.raises(Unavailable) as lost:
            await Http(client(), seconds=SOON).perform(call(outside))
    assert (lost.value.code, isinstance(lost.value, NotSent)) == ("server_timeout", False)


async def test_a_server_that_begins_and_says_no_more_has_done_it() -> None:
    answers = iter([None, forever])

    async def halting() -> None:
        if (wait := next(answers)) is not None:
            await wait()

    async with counterpart(lambda _heard: Tells(headers=TEXT, pieces=[b"so", b"me"], between=halting)) as outside:
        told = await Http(client(), seconds=SOON).perform(call(outside))
    assert (told["status"], told["text"], told["truncated"]) == (200, "so", True)


async def test_a_read_that_was_answered_by_half_may_be_asked_again() -> None:
    async with counterpart(lambda _heard: Tells(headers=TEXT, pieces=[b"so"], cut=True)) as outside:
        with pytest.raises(Unavailable) as lost:
            await Http(client()).perform(call(outside, "get"))
    assert lost.value.code == "server_cut"


async def test_a_server_that_is_gone_was_sent_nothing() -> None:
    async with counterpart() as outside:
        pass
    with pytest.raises(NotSent):
        await Http(client()).perform(call(outside))


async def test_a_key_goes_with_what_changes_something_in_place_of_the_callers() -> None:
    async with counterpart() as outside:
        for operation in ("post", "get"):
            made = call(outside, operation, arguments={"path": "/a", "headers": {"Idempotency-Key": "theirs"}})
            config = {**made.to.config, "idempotency": "Idempotency-Key"}
            to = Reached(owner="", name="api", config=config, credential=made.to.credential, behalf=made.to.behalf)
            again = ConnectorCall(key=made.key, tool=made.tool, arguments=made.arguments, to=to, sent=made.sent)
            await Http(client()).perform(again)
        keys = [heard.header("idempotency-key") for heard in outside.heard]
    assert keys == [["run_1/1/1/1"], ["theirs"]]
