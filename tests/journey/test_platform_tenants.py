"""Tenants on a whole platform: what is suspended stands still and goes on, what is deleted is gone, switches hold."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from freehold.cli.calling import of_tenant
from freehold.core.errors import Conflict
from freehold.testing.platform import LocalPlatform
from tests.platforms import FINAL, Desk, patient, told, until


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalPlatform]:
    """Give a platform that keeps nothing of a deleted tenant."""
    data = tmp_path_factory.mktemp("tenants") / "data"
    with LocalPlatform(data, environment={"FREEHOLD_TENANT_RETENTION_DAYS": "0"}) as running:
        yield running


@pytest.fixture
def desk(at_once: LocalPlatform) -> Desk:
    return Desk(at_once)


def sleeping(seconds: str) -> int:
    """Return how many commands of sandboxes sleep for so long; each test has a number of its own."""
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return listed.splitlines().count(f"sleep {seconds}")


def state(desk: Desk, tenant: str, run: str) -> str:
    return str(patient(lambda: desk.api.get(of_tenant(tenant, "runs", run)))["state"])


def log_of(desk: Desk, tenant: str) -> str:
    """Return what the workspace's log holds, as an agent reads it."""
    said = desk.say(tenant, "read log", wait=30)
    return str(desk.answered(tenant, said["message"]["id"])["reply"]["text"])


@pytest.mark.bwrap
@pytest.mark.parametrize(
    ("killed", "seconds"),
    [
        ("", "61.01"),
        pytest.param("worker", "61.02", marks=pytest.mark.long),
        pytest.param("web", "61.03", marks=pytest.mark.long),
    ],
)
def test_a_suspended_tenant_stands_still_and_goes_on_where_it_was(
    at_once: LocalPlatform, desk: Desk, killed: str, seconds: str
) -> None:
    tenant = f"still-{killed or 'alive'}"
    desk.settle(tenant)
    asking = desk.say(tenant, "delete nothing.txt", wait=30)
    working = desk.say(tenant, f"run: echo once >> log; sleep {seconds}")
    runs = [asking["run"]["id"], working["run"]["id"]]
    until(lambda: sleeping(seconds), why="the command")
    desk.api.post(of_tenant(tenant, "suspend"))
    assert [state(desk, tenant, run) for run in runs] == ["paused", "paused"]
    until(lambda: not sleeping(seconds), seconds=2, why="the end of the sandbox")
    with pytest.raises(Conflict) as refused:
        desk.api.post(of_tenant(tenant, "runs"), {"agent": "ada", "input": "hello"})
    assert refused.value.code == "tenant_not_active"
    if killed:
        at_once.kill(killed)
        until(lambda: killed in at_once.pids, why="its successor")
    [question] = patient(lambda: desk.api.items(of_tenant(tenant, "approvals"), state="asked"))
    patient(lambda: desk.api.post(of_tenant(tenant, "approvals", question["id"], "deny"), {"hash": question["hash"]}))
    assert [state(desk, tenant, run) for run in runs] == ["paused", "paused"]
    patient(lambda: desk.api.post(of_tenant(tenant, "resume")))
    assert {desk.ended(tenant, run)["state"] for run in runs} == {"done"}
    assert log_of(desk, tenant).count("once") == 1


@pytest.mark.bwrap
def test_paused_effects_wait_and_nothing_fails(at_once: LocalPlatform, desk: Desk) -> None:
    desk.settle("calm")
    assert told(at_once, "switch", "pause-effects", "--tenant", "calm")["effects"]["paused"]
    run = desk.say("calm", "run: echo once >> log")["run"]["id"]
    until(lambda: state(desk, "calm", run) == "waiting", why="the wait for effects")
    assert told(at_once, "switch", "show", "--tenant", "calm")["effects"]["paused"]
    told(at_once, "switch", "resume-effects", "--tenant", "calm")
    assert desk.ended("calm", run, seconds=20)["state"] == "done"
    assert log_of(desk, "calm").count("once") == 1


@pytest.mark.bwrap
def test_cancelled_runs_let_go_of_their_sandboxes_at_once(at_once: LocalPlatform, desk: Desk) -> None:
    desk.settle("busy")
    runs = [desk.say("busy", "run: sleep 61.04")["run"]["id"] for _ in range(3)]
    until(lambda: sleeping("61.04") == 3, why="the commands")
    assert told(at_once, "switch", "cancel-runs", "--platform")["cancelled"] == 3
    until(lambda: not sleeping("61.04"), seconds=2, why="the end of the sandboxes")
    assert {state(desk, "busy", run) for run in runs} <= FINAL


@pytest.mark.bwrap
def test_a_deleted_tenant_is_destroyed_folders_and_all(at_once: LocalPlatform, desk: Desk) -> None:
    desk.settle("gone")
    desk.channel("gone", "ada", "http://127.0.0.1:9/replies")
    desk.ended("gone", desk.say("gone", "run: echo a word to remember > notes.txt")["run"]["id"])
    identity = desk.api.get(of_tenant("gone"))["id"]
    assert (at_once.data / "tenants" / identity).is_dir()
    told(at_once, "tenant", "delete", "gone", "--confirm", "gone")

    def receipt() -> dict[str, object] | None:
        found = [one for one in told(at_once, "tenant", "receipts") if one["slug"] == "gone"]
        return found[0] if found and found[0]["purged_at"] else None

    left = until(receipt, seconds=30, why="the receipt")
    assert left["workspaces"] == 1
    assert not (at_once.data / "tenants" / identity).exists()
    headers = {"Authorization": f"Bearer {at_once.key}"}
    assert httpx.get(f"{at_once.url}/api/v1/{of_tenant('gone')}", headers=headers).status_code == httpx.codes.NOT_FOUND
    assert told(at_once, "audit", "verify")["ok"]
    assert told(at_once, "tenant", "create", "gone")["id"] != identity


def test_a_draft_is_deployed_on_the_command_line(at_once: LocalPlatform) -> None:
    made = told(at_once, "tenant", "create", "later", "--draft", "--time-zone", "Europe/Berlin")
    assert (made["state"], made["time_zone"]) == ("draft", "Europe/Berlin")
    assert told(at_once, "tenant", "deploy", "later")["state"] == "active"
    assert told(at_once, "tenant", "set", "later", "--name", "Later & Co", "--language", "de")["language"] == "de"
    assert told(at_once, "tenant", "suspend", "later")["state"] == "suspended"
    assert told(at_once, "tenant", "resume", "later")["state"] == "active"


def test_the_record_of_a_tenants_life_is_whole(at_once: LocalPlatform, tmp_path: Path) -> None:
    assert told(at_once, "audit", "verify")["ok"]
