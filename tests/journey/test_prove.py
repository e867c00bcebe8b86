"""`freehold sandbox prove`: a platform shows what programs in its sandboxes can see, and finds a secret that lies there."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from freehold.cli.calling import of_tenant
from freehold.drivers.runtime.bwrap.argv import ENVIRONMENT, MODELS, OUTSIDE
from freehold.testing.platform import LocalPlatform
from tests.platforms import Desk, patient, run_cli

pytestmark = pytest.mark.bwrap
TENANT = "proven"
SECRET = "sk-proven-4f1a9b7c2d8e6035"


@pytest.fixture(autouse=True)
def _tenant(desk: Desk) -> None:
    """Have a tenant with an agent and a secret."""
    desk.settle(TENANT, models="allow")
    patient(lambda: desk.api.post(of_tenant(TENANT, "secrets"), {"name": "provider", "value": SECRET}))


def proof(platform: LocalPlatform, *words: str) -> tuple[int, dict[str, Any]]:
    done = run_cli(platform, "sandbox", "prove", "--tenant", TENANT, "--json", *words)
    return done.returncode, json.loads(done.stdout) if done.stdout else {"stderr": done.stderr}


def say(desk: Desk, text: str) -> None:
    told = desk.answered(TENANT, desk.say(TENANT, text)["message"]["id"])
    assert told["message"]["state"] == "answered", told
    assert told["reply"]["text"] == "shell: (no output)", told


def test_a_sandbox_is_shown_to_hold_no_secret_and_to_reach_nothing(platform: LocalPlatform) -> None:
    status, found = proof(platform)
    assert status == 0, found
    assert found["ok"]
    assert found["secrets"]["looked_for"] >= 1
    assert found["secrets"]["found"] == []
    (sight,) = found["sandboxes"]
    assert sight["environment"] == ENVIRONMENT | MODELS | OUTSIDE
    assert sight["interfaces"] == ["lo"]
    assert [way["what"] for way in sight["ways"] if way["reached"]] == ["models"]
    assert {process["pid"] for process in sight["processes"]} > {1}
    assert any(one["path"] == "/etc/passwd" and one["sha256"] for one in sight["files"])
    assert not any(one["path"].startswith("/usr/") for one in sight["files"])


def test_a_secret_that_lies_there_packed_is_found_and_told_by_name_alone(platform: LocalPlatform, desk: Desk) -> None:
    packed = base64.b64encode(b"x" + SECRET.encode()).decode()
    say(desk, f"run: printf %s {packed} > notes.txt")
    done = run_cli(platform, "sandbox", "prove", "--tenant", TENANT)
    assert done.returncode == 1
    assert "provider (base64) in ada: file /work/notes.txt" in done.stdout
    assert SECRET not in done.stdout + done.stderr
    say(desk, "run: rm notes.txt")
    rows = patient(lambda: desk.api.items(of_tenant(TENANT, "audit"), action="secret.seek"))
    assert {row["actor"] for row in rows} == {"platform"}
    assert all(row["detail"]["bytes"] for row in rows)


def test_a_tenant_without_agents_has_nothing_to_prove(platform: LocalPlatform, desk: Desk) -> None:
    desk.once("tenants", {"slug": "empty", "draft": False})
    done = run_cli(platform, "sandbox", "prove", "--tenant", "empty")
    assert done.returncode == 1
    assert "no agent" in done.stderr


def test_without_a_platform_it_says_so(tmp_path: Path) -> None:
    done = run_cli(LocalPlatform(tmp_path / "data"), "sandbox", "prove", "--tenant", TENANT)
    assert done.returncode == 1
    assert "away" in done.stderr
    assert not (tmp_path / "data").exists()


def test_another_user_than_the_platforms_is_refused(tmp_path: Path) -> None:
    away = LocalPlatform(tmp_path / "data")
    away.data.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder to somebody else")
    os.chown(away.data, 12_345, 12_345)
    done = run_cli(away, "sandbox", "prove", "--tenant", TENANT)
    assert done.returncode == 1
    assert "another_user" in done.stderr
    os.chown(away.data, 0, 0)


def test_where_nothing_is_isolated_there_is_nothing_to_prove(tmp_path: Path) -> None:
    open_to_all = LocalPlatform(tmp_path / "data", environment={"FREEHOLD_RUNTIME": "process"})
    done = run_cli(open_to_all, "sandbox", "prove", "--tenant", TENANT)
    assert done.returncode == 1
    assert "isolates nothing" in done.stderr
