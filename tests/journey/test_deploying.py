"""What new runs start with: by the command line, over the API, and in the life of conversations."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient
from typer.testing import Result

from freehold.core.effects import EffectKind
from freehold.core.errors import FreeholdError
from freehold.core.tenants import Tenant
from freehold.core.tools import Pinned, Told
from freehold.store.migrating import MIGRATIONS, migrate
from tests import webs
from tests.typed import Run

AT = "/api/v1/tenants/acme"
CLERK = f"{AT}/agents/clerk"


@pytest.fixture
def web(tmp_path: Path, listener: socket.socket) -> webs.Web:
    web = webs.made(tmp_path, hosts=f"http://127.0.0.1:{listener.getsockname()[1]}")
    web.tenant("acme")
    return web


@pytest.fixture
def acme(web: webs.Web) -> Tenant:
    with web.state.store.read() as platform:
        return platform.tenants.find("acme")


def three(api: TestClient) -> list[str]:
    """Let clerk have three versions, of which the first is deployed, and return their ids."""
    first = api.post(f"{AT}/agents", json={"name": "clerk", "model": "rehearsal"}).json()["version"]
    return [first, *(made(api, said) for said in ("Be kind.", "Be brief."))]


def made(api: TestClient, instructions: str, **more: Any) -> str:
    body = {"model": "rehearsal", "instructions": instructions, "deploy": False} | more
    version = api.post(f"{CLERK}/versions", json=body).json()
    return str(version["id"])


def begun(api: TestClient) -> str:
    """Return the version that a run starts with."""
    return str(api.post(f"{AT}/runs", json={"agent": "clerk", "input": "hello"}).json()["version"])


def said(web: webs.Web, api: TestClient, acme: Tenant, conversation: str | None = None) -> tuple[str, str]:
    """Say something, answer it, and return the conversation and its run's version."""
    body = {"text": "hello"} | ({"conversation": conversation} if conversation else {})
    told = api.post(f"{CLERK}/messages", json=body).json()
    web.answer(acme, told["run"]["id"], "hello yourself")
    return told["message"]["conversation"], told["run"]["version"]


def refused(result: Result) -> FreeholdError:
    assert isinstance(result.exception, FreeholdError)
    return result.exception


async def test_commands_make_deploy_and_take_back(run: Run) -> None:
    await run("agent", "create", "clerk", "--model", "rehearsal", "--instructions", "Be kind.")
    update = await run("agent", "update", "clerk", "--instructions", "Be brief.", "--no-deploy")
    assert update.stdout.startswith("version 2 is ver_")
    listed = (await run("agent", "versions", "clerk")).stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["NUMBER", "2", "1"]
    assert ["0" in listed[1].split(), "100" in listed[2].split()] == [True, True]
    deployed = await run("agent", "deploy", "clerk", "--version", "2")
    assert deployed.stdout.startswith("new runs of clerk start with version 2, ver_")
    back = await run("agent", "rollback", "clerk")
    assert back.stdout.startswith("new runs of clerk start with version 1, ver_")
    assert refused(await run("agent", "rollback", "clerk")).code == "nothing_before"


async def test_both_versions_are_shown_while_one_is_tried(run: Run) -> None:
    await run("agent", "create", "clerk", "--model", "rehearsal")
    await run("agent", "update", "clerk", "--instructions", "Be brief.", "--no-deploy")
    tried = await run("agent", "deploy", "clerk", "--version", "2", "--share", "10")
    assert "10 % of them try version 2, ver_" in tried.stdout
    shown = (await run("agent", "show", "clerk")).stdout
    assert "(90 % of new runs)" in shown
    assert "(10 % of new runs)" in shown
    told = json.loads((await run("agent", "show", "clerk", "--json")).stdout)
    assert (told["number"], told["trial"]["number"], told["trial"]["share"]) == (1, 2, 10)
    versions = json.loads((await run("agent", "versions", "clerk", "--json")).stdout)
    assert [version["share"] for version in versions] == [10, 90]
    await run("agent", "rollback", "clerk")
    assert json.loads((await run("agent", "show", "clerk", "--json")).stdout)["trial"] is None


async def test_a_share_that_is_none_is_refused_with_what_to_do(run: Run) -> None:
    await run("agent", "create", "clerk", "--model", "rehearsal")
    assert refused(await run("agent", "deploy", "clerk", "--version", "1", "--share", "100")).code == "bad_share"
    assert "freehold agent versions" in refused(await run("agent", "deploy", "clerk", "--version", "7")).remedy


async def test_a_difference_is_read_by_people_and_by_programs(run: Run) -> None:
    await run("agent", "create", "clerk", "--model", "rehearsal", "--instructions", "Be kind.", "--tool", "shell=ask")
    await run("agent", "update", "clerk", "--instructions", "Be brief.", "--tool", "shell=allow", "--egress", "a.org")
    shown = (await run("agent", "diff", "clerk", "1", "2")).stdout.splitlines()
    assert shown[0] == "version 1 → version 2"
    assert {"  -Be kind.", "  +Be brief.", "  -shell=ask", "  +shell=allow", "  +a.org"} <= set(shown)
    told = json.loads((await run("agent", "diff", "clerk", "1", "2", "--json")).stdout)
    assert told["tools"] == [{"tool": "shell", "before": "ask", "after": "allow"}]
    assert told["egress"] == {"added": ["a.org"], "removed": []}
    assert (told["from_number"], told["to_number"], told["same"], told["model"]) == (1, 2, False, None)
    same = json.loads((await run("agent", "diff", "clerk", "2", told["to"], "--json")).stdout)
    assert same["same"] is True


def test_a_version_that_is_only_made_starts_no_run(web: webs.Web) -> None:
    with webs.client(web) as api:
        one, two, _ = three(api)
        assert begun(api) == one
        api.post(f"{CLERK}/deploy", json={"version": two})
        assert begun(api) == two
        assert api.post(f"{CLERK}/rollback").json()["version"] == one
        assert begun(api) == one


def test_a_version_that_is_made_without_a_word_is_deployed_and_can_be_taken_back(web: webs.Web) -> None:
    with webs.client(web) as api:
        one, _, three_ = three(api)
        api.post(f"{CLERK}/deploy", json={"version": "2", "share": 50})
        assert made(api, "Be brief.", deploy=True) == three_
        told = api.get(CLERK).json()
        assert (told["version"], told["trial"]) == (three_, None)
        assert api.post(f"{CLERK}/rollback").json()["version"] == one


def test_a_rollback_under_one_key_is_one_step(web: webs.Web) -> None:
    with webs.client(web) as api:
        ids = three(api)
        for version in ids[1:]:
            api.post(f"{CLERK}/deploy", json={"version": version})
        again = [api.post(f"{CLERK}/rollback", headers={"Idempotency-Key": "once"}) for _ in range(3)]
        assert [answer.json()["version"] for answer in again] == [ids[1]] * 3
        assert api.post(f"{CLERK}/rollback").json()["version"] == ids[0]
        assert api.post(f"{CLERK}/rollback").status_code == 409


def test_about_as_many_runs_as_the_share_says_try_the_version(web: webs.Web) -> None:
    with webs.client(web) as api:
        one, two, _ = three(api)
        api.post(f"{CLERK}/deploy", json={"version": two, "share": 50})
        versions = [begun(api) for _ in range(60)]
    assert set(versions) == {one, two}
    assert 12 <= versions.count(two) <= 48


def test_a_conversation_stays_on_one_version_while_another_is_tried(web: webs.Web, acme: Tenant) -> None:
    with webs.client(web) as api:
        one, two, _ = three(api)
        old = said(web, api, acme)
        api.post(f"{CLERK}/deploy", json={"version": two, "share": 50})
        new = [said(web, api, acme) for _ in range(30)]
        assert {version for _, version in new} == {one, two}
        again = [said(web, api, acme, conversation) for conversation, _ in (old, *new)]
        assert again == [(old[0], one), *new]
        api.post(f"{CLERK}/deploy", json={"version": two, "share": 99})
        assert [said(web, api, acme, conversation) for conversation, _ in new] == new
        api.post(f"{CLERK}/rollback")
        assert {said(web, api, acme, conversation)[1] for conversation, _ in new} == {one}


def test_a_tool_is_outdated_also_where_only_what_is_tried_pins_another(web: webs.Web, acme: Tenant) -> None:
    with webs.client(web) as api:
        one = three(api)[0]
        web.gateway.tools["crm"] = {"add": told_as("a")}
        web.gateway.connections[acme.id, "crm"] = {}
        granted = made(api, "Be kind.", tools={"crm.add": "allow"})
        web.gateway.tools["crm"] = {"add": told_as("b")}
        [tool] = api.get(f"{AT}/connections/crm/tools").json()["items"]
        assert tool["outdated"] == []
        api.post(f"{CLERK}/deploy", json={"version": granted, "share": 5})
        [tool] = api.get(f"{AT}/connections/crm/tools").json()["items"]
        assert tool["outdated"] == ["clerk"]
        assert api.get(CLERK).json()["version"] == one


def told_as(sign: str) -> Told:
    return Told(pinned=Pinned(hash=sign * 64, description="Add.", parameters={}, kind=EffectKind.SPEND), apart=True)


def test_an_installation_from_before_goes_back_through_the_versions_it_made(web: webs.Web, tmp_path: Path) -> None:
    with webs.client(web) as api:
        ids = three(api)
        before(web, current=ids[2])
        migrate(web.state.store.database, MIGRATIONS, lock=tmp_path / "lock")
        assert api.get(CLERK).json()["version"] == ids[2]
        assert [api.post(f"{CLERK}/rollback").json()["version"] for _ in range(2)] == [ids[1], ids[0]]
        assert api.post(f"{CLERK}/rollback").status_code == 409


def test_an_older_version_that_was_made_current_again_stands_above_the_newest(web: webs.Web, tmp_path: Path) -> None:
    with webs.client(web) as api:
        ids = three(api)
        before(web, current=ids[0])
        migrate(web.state.store.database, MIGRATIONS, lock=tmp_path / "lock")
        assert api.get(CLERK).json()["version"] == ids[0]
        assert [api.post(f"{CLERK}/rollback").json()["version"] for _ in range(3)] == [ids[2], ids[1], ids[0]]


def before(web: webs.Web, *, current: str) -> None:
    """Let the database be as it was before there were deployments."""
    with web.state.store.write() as platform:
        for line in (
            "drop table deployments",
            "alter table agents drop column deployment",
            "alter table agents drop column trial",
            "alter table agents drop column share",
            "update alembic_version set version_num = '0007'",
        ):
            platform.connection.execute(text(line))
        platform.connection.execute(text("update agents set version = :current"), {"current": current})
