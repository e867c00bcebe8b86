"""The demonstration is the main job: it must work for root, for an ordinary user, and with a real provider's model."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from freehold.surroundings import passed_on
from freehold.testing.providers import Says, provider

ROOT = Path(__file__).parents[2]
STRANGER = 54_321
AS_A_STRANGER = """
import os, sys
from pathlib import Path
from freehold.app import mounts
from freehold.app.users import User, command
home, source = Path(sys.argv[1]), Path(sys.argv[2])
mounts.open_way(mounts.plan([Path(sys.prefix), Path(sys.base_prefix), source, home]))
words = command(User(uid=int(sys.argv[3]), gid=int(sys.argv[3])), [sys.executable, *sys.argv[4:]], switch=True)
os.chdir(home)
os.execvp(words[0], words)
"""


def shown(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def demo(environment: dict[str, str], *before: str) -> dict[str, Any]:
    words = [sys.executable, *before, "-m", "freehold", "demo", "--json"]
    return shown(subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120, check=False))


def test_the_demonstration_shows_every_step_within_a_minute(tmp_path: Path) -> None:
    told = demo(passed_on() | {"TMPDIR": str(tmp_path)})
    assert told["ok"]
    assert all(step["ok"] for step in told["steps"])
    assert sum(step["ms"] for step in told["steps"]) < 60_000
    assert told["figures"]["effects_found"] == told["figures"]["effects_wanted"]
    assert told["cost_nano"] == told["usage"]["model"]["cost_nano"] > 0
    assert not list(tmp_path.iterdir())


@pytest.mark.long
@pytest.mark.root
def test_it_works_for_an_ordinary_user(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, STRANGER, STRANGER)
    environment = passed_on() | {"TMPDIR": str(home), "HOME": str(home)}
    words = [sys.executable, "-c", AS_A_STRANGER, str(home), str(ROOT / "src"), str(STRANGER), "-m", "freehold"]
    done = subprocess.run(
        [*words, "demo", "--json"], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert shown(done)["ok"]


@pytest.mark.long
async def test_the_conversation_can_be_a_real_providers(tmp_path: Path) -> None:
    async with provider(Says(pieces=["I am ", "a scripted provider."])) as counterpart:
        named = {"OPENAI_BASE_URL": counterpart.base_url, "OPENAI_API_KEY": "sk-of-the-demo", "OPENAI_MODEL": "gpt-x"}
        told = await asyncio.to_thread(demo, passed_on() | {"TMPDIR": str(tmp_path)} | named)
    assert told["ok"]
    assert [request["model"] for request in counterpart.requests] == ["gpt-x"]
    assert counterpart.headers[0]["Authorization"] == "Bearer sk-of-the-demo"
