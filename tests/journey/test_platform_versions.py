"""Deploying under runs that wait, on real processes: each goes on with the version it began with."""

from typing import Any

from freehold.cli.calling import of_tenant
from freehold.testing.platform import LocalPlatform
from tests.platforms import Desk, told


def approve(desk: Desk, tenant: str, run: str) -> None:
    [question] = [one for one in desk.api.items(of_tenant(tenant, "approvals"), state="asked") if one["run"] == run]
    desk.api.post(of_tenant(tenant, "approvals", question["id"], "approve"), {"hash": question["hash"]})


def test_runs_that_wait_for_a_person_stay_on_their_version_whatever_is_deployed(
    platform: LocalPlatform, desk: Desk
) -> None:
    tenant = "deploying"
    desk.settle(tenant)

    def waiting(file: str) -> dict[str, Any]:
        desk.say(tenant, f"write {file}: x", wait=30)
        said = desk.say(tenant, f"delete {file}", wait=30)
        assert said["message"]["state"] == "waiting"
        run: dict[str, Any] = said["run"]
        return run

    def freehold(*words: str) -> Any:
        return told(platform, "agent", words[0], "ada", "-t", tenant, *words[1:])

    first = freehold("show")["version"]
    oldest = waiting("a.txt")
    second = freehold("update", "--instructions", "Second.", "--no-deploy")["id"]
    assert waiting("b.txt")["version"] == first
    assert freehold("deploy", "--version", "2")["version"] == second
    middle = waiting("c.txt")
    freehold("update", "--tool", "delete_file=deny")
    refused = desk.say(tenant, "delete c.txt", wait=30)
    assert refused["message"]["state"] == "answered"
    assert freehold("rollback")["version"] == second
    freehold("deploy", "--version", "3", "--share", "99")
    assert freehold("rollback")["trial"] is None
    assert freehold("rollback")["version"] == first
    for run, version in ((middle, second), (oldest, first)):
        approve(desk, tenant, run["id"])
        ended = desk.ended(tenant, run["id"])
        assert (ended["state"], ended["version"], run["version"]) == ("done", version, version)
    left = desk.say(tenant, "list", wait=30)
    assert left["run"]["version"] == first
    assert "b.txt" in left["reply"]["text"]
    assert not [name for name in ("a.txt", "c.txt") if name in left["reply"]["text"]]
