"""From a server to an agent that calls its tools, by the commands that the guide shows."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from freehold.testing.platform import LocalPlatform
from tests.mcp.peers import Peer, needed, serving
from tests.platforms import Desk, run_cli, told

pytestmark = [needed, pytest.mark.long]
KEY = "mcp-key-0123456789"


@contextmanager
def peer() -> Iterator[Peer]:
    """Give a server that lives in a loop of its own, beside a test that waits for nothing."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    context = serving(key=KEY)
    try:
        yield asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(60)
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)


def test_a_tenant_connects_a_server_and_its_agent_calls_it(tmp_path: Path) -> None:
    with LocalPlatform(tmp_path / "data") as platform, peer() as served:
        desk = Desk(platform)
        desk.once("tenants", {"slug": "acme", "draft": False})
        assert run_cli(platform, "secret", "set", "notes", "--tenant", "acme", input=KEY).returncode == 0
        create = (
            "connection",
            "create",
            "mcp",
            "notes",
            "--base-url",
            served.url,
            "--secret",
            "notes",
            "--tenant",
            "acme",
        )
        refused = run_cli(platform, *create)
        assert refused.returncode == 1
        assert "freehold destination allow" in refused.stderr
        place = served.url.removeprefix("http://").removesuffix("/mcp")
        opened = run_cli(platform, "destination", "allow", "here", place, "--tenant", "acme")
        assert opened.returncode == 0, opened.stderr
        made = run_cli(platform, *create)
        assert made.returncode == 0, made.stderr
        assert "freehold connection tools notes --tenant acme --refresh" in made.stderr
        assert " tools" in run_cli(platform, "connection", "test", "notes", "--tenant", "acme").stdout
        untold = run_cli(platform, "connection", "tools", "notes", "--tenant", "acme")
        assert "--refresh" in untold.stderr  # trying it kept nothing
        shown = run_cli(platform, "connection", "tools", "notes", "--refresh", "--tenant", "acme")
        assert shown.returncode == 0, shown.stderr
        assert "find_notes" in shown.stdout
        words = ("--model", "rehearsal", "--tool", "notes.*=allow", "--tool", "web_fetch=allow", "--tenant", "acme")
        agent = run_cli(platform, "agent", "create", "scribe", *words)
        assert agent.returncode == 0, agent.stderr
        said = desk.say("acme", 'call notes add_note {"text": "rain"}', agent="scribe", wait=30)
        answered = desk.answered("acme", said["message"]["id"])
        assert "There are 1 new notes." in str(answered)
        fetched = desk.say("acme", f"fetch {served.url.replace('/mcp', '/ledger')}", agent="scribe", wait=30)
        assert "add rain" in str(desk.answered("acme", fetched["message"]["id"]))
        usage = told(platform, "usage", "--tenant", "acme")
    assert usage
