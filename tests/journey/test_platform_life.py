"""How a platform starts, refuses to start, stops and comes back."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from freehold.cli.calling import of_tenant
from freehold.testing.platform import LocalPlatform
from tests.platforms import Desk, run_cli, until


def test_a_second_platform_on_the_folder_is_refused(platform: LocalPlatform) -> None:
    refused = run_cli(platform, "up", "--json")
    assert refused.returncode == 1
    problem = json.loads(refused.stdout)
    assert problem["code"] == "already_running"
    assert str(platform.pid) in problem["detail"]


def test_a_taken_port_is_said_and_nothing_keeps_running(platform: LocalPlatform, tmp_path: Path) -> None:
    environment = platform.environment | {"FREEHOLD_DATA": str(tmp_path / "other")}
    refused = subprocess.run(
        [sys.executable, "-m", "freehold", "up", "--json"],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert refused.returncode == 1
    assert json.loads(refused.stdout)["code"] == "port_taken"
    assert "FREEHOLD_ADDRESS" in refused.stderr


def test_the_doctor_finds_this_machine_fit(platform: LocalPlatform) -> None:
    done = run_cli(platform, "doctor", "--json")
    findings = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert done.returncode == 0, findings
    assert findings["address"]["found"].startswith("a platform answers")
    assert {"bubblewrap", "user namespaces", "disk", "operator key", "database"} <= findings.keys()


def test_the_doctor_names_what_is_wrong(tmp_path: Path) -> None:
    key = tmp_path / "operator.key"
    key.write_text("x")
    key.chmod(0o644)
    done = subprocess.run(
        [sys.executable, "-m", "freehold", "doctor", "--json"],
        env={"PATH": os.environ["PATH"], "FREEHOLD_DATA": str(tmp_path), "FREEHOLD_ADDRESS": "127.0.0.1:1"},  # noqa: TID251
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    wrong = {found["name"]: found["remedy"] for found in json.loads(done.stdout) if not found["ok"]}
    assert done.returncode == 1
    assert f"chmod 600 {key}" in wrong["operator key"]


@pytest.mark.long
def test_it_stops_cleanly_and_comes_back_with_everything(tmp_path: Path) -> None:
    platform = LocalPlatform(tmp_path / "data")
    with platform:
        desk = Desk(platform)
        desk.settle("acme")
        waiting = desk.say("acme", "delete nothing.txt", wait=30)
        assert waiting["message"]["state"] == "waiting"
        pids = platform.pids
        began = time.monotonic()
        assert platform.stop() == 0
        assert time.monotonic() - began < 10
        for pid in pids.values():
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
    with platform:
        desk = Desk(platform)
        [question] = desk.api.items(of_tenant("acme", "approvals"), state="asked")
        path = of_tenant("acme", "approvals", question["id"], "deny")
        desk.api.post(path, {"hash": question["hash"]})
        assert desk.ended("acme", waiting["run"]["id"])["state"] == "done"


@pytest.mark.long
def test_nothing_outlives_a_killed_up(tmp_path: Path) -> None:
    platform = LocalPlatform(tmp_path / "data")
    with platform:
        pids = platform.pids
        os.kill(platform.pid, signal.SIGKILL)

        def gone() -> bool:
            return not any(Path(f"/proc/{pid}").exists() for pid in pids.values())

        until(gone, seconds=15, why="the end of its processes")


@pytest.mark.long
def test_who_starts_right_after_a_killed_up_waits_for_what_it_left(tmp_path: Path) -> None:
    platform = LocalPlatform(tmp_path / "data")
    platform.start()
    desk = Desk(platform)
    desk.settle("acme", model="rehearsal?delay=1")
    said = desk.say("acme", "hello")["message"]["id"]
    os.kill(platform.pid, signal.SIGKILL)
    platform.stop()
    with platform:
        assert Desk(platform).answered("acme", said)["message"]["state"] == "answered"
