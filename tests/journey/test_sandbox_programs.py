"""Programs that an agent runs in its sandbox call models by the platform, and pay as their run."""

from typing import Any

import pytest

from freehold.cli.calling import of_tenant
from freehold.testing.platform import LocalPlatform
from tests.platforms import Desk, patient, told

pytestmark = pytest.mark.bwrap
TENANT = "programs"
ASK = (
    'python3 -c "import os, json, urllib.request as u; from urllib.error import HTTPError; '
    "q = json.dumps({'model': 'rehearsal', 'messages': [{'role': 'user', 'content': 'hello'}]}).encode(); "
    "r = u.Request(os.environ['OPENAI_BASE_URL'] + '/chat/completions', q, {'Content-Type': 'application/json'}); "
    "exec('try: print(u.urlopen(r, timeout=20).status)\\nexcept HTTPError as e: print(e.code, e.read().decode())')\""
)


def said(desk: Desk, agent: str) -> tuple[str, dict[str, Any]]:
    """Return what the agent's program printed, and its run."""
    found = desk.answered(TENANT, desk.say(TENANT, f"run: {ASK}", agent=agent)["message"]["id"])
    return found["reply"]["text"], found["run"]


def test_a_program_calls_a_model_in_its_runs_name(platform: LocalPlatform, desk: Desk) -> None:
    desk.settle(TENANT, agent="caller", models="allow")
    text, run = said(desk, "caller")
    assert text == "shell: 200"
    rows = patient(lambda: told(platform, "usage", "--tenant", TENANT, "--run", run["id"]))
    calls = [row for row in rows["rows"] if row["kind"] == "model"]
    assert len(calls) >= 3  # the agent's own two, and its program's


def test_a_program_of_an_agent_without_the_tool_is_refused(desk: Desk) -> None:
    desk.settle(TENANT, agent="mute")
    text, _ = said(desk, "mute")
    assert text.startswith("shell: 403")
    assert "not_granted" in text


def test_the_tool_is_not_offered_to_the_model(desk: Desk) -> None:
    desk.settle(TENANT, agent="caller", models="allow")
    found = desk.answered(TENANT, desk.say(TENANT, "call models", agent="caller")["message"]["id"])
    assert found["message"]["state"] == "answered"
    agent = patient(lambda: desk.api.get(of_tenant(TENANT, "agents", "caller")))
    assert agent["tools"]["models"] == "allow"
