"""The commands that make a connection to an API over HTTP, against web on a real socket."""

import json
import socket
from pathlib import Path

import pytest

from tests.typed import Run
from tests.webs import Web, made


@pytest.fixture
def web(tmp_path: Path, listener: socket.socket) -> Web:
    web = made(tmp_path, hosts=f"http://127.0.0.1:{listener.getsockname()[1]}")
    web.agent(web.tenant("acme"), "ada")
    return web


async def test_an_api_is_connected_with_what_it_allows_and_where_the_secret_goes(run: Run) -> None:
    rules = ["--allow", "GET:/items/*", "--allow", "POST:/items", "--inject", "header:X-Api-Key", "--secret", "crm"]
    more = ["--header", "Notion-Version=2022-06-28", "--idempotency", "Idempotency-Key", "--keep", "query:key"]
    made = await run("connection", "create", "http", "crm", "--base-url", "https://crm.example/v2", *rules, *more)
    assert "freehold connection tools crm" in made.output
    (told,) = json.loads((await run("connection", "list", "--json")).stdout)
    assert (told["kind"], told["secret"]) == ("http", "crm")
    assert told["config"] == {
        "base_url": "https://crm.example/v2",
        "allow": ["GET:/items/*", "POST:/items"],
        "inject": "header:X-Api-Key",
        "idempotency": "Idempotency-Key",
        "keep": ["query:key"],
        "headers": {"Notion-Version": "2022-06-28"},
    }
    assert "allow=GET:/items/* POST:/items" in (await run("connection", "list")).stdout


async def test_what_it_allows_is_replaced_as_a_whole(run: Run) -> None:
    await run("connection", "create", "http", "crm", "--base-url", "https://crm.example", "--allow", "GET:/a")
    await run("connection", "set", "crm", "--allow", "GET:/b")
    (told,) = json.loads((await run("connection", "list", "--json")).stdout)
    assert told["config"]["allow"] == ["GET:/b"]


async def test_a_header_without_a_value_is_told_at_once(run: Run) -> None:
    wrong = await run("connection", "create", "http", "crm", "--base-url", "https://crm.example", "--header", "X")
    assert (wrong.exit_code, "NAME=VALUE" in wrong.stderr) == (2, True)
