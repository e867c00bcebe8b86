"""Whose a call from inside a sandbox is: its run's and nobody else's, whatever the program says; and only while it may."""

from pathlib import Path

import pytest

from freehold.core.effects import Verdict
from freehold.core.errors import Conflict, Denied
from freehold.core.money import Level
from freehold.gateway import ledger
from freehold.gateway.calls.boxes import Boxes
from freehold.gateway.grants import Grants, judge, target
from freehold.gateway.keeping import Keep
from tests.security.boxes import (
    AGENT,
    ALLOWED,
    ASKING,
    NOT,
    RUN,
    SANDBOX,
    TENANT,
    boxes,
    call,
    clock,
    echo,
    keep,
    refused,
    request,
)

__all__ = ["boxes", "clock", "echo", "keep"]


async def test_a_call_is_its_runs_whatever_the_program_says(boxes: Boxes, tmp_path: Path) -> None:
    assert await boxes.open(request()) is True
    said = {"Authorization": "Bearer fhm_stolen", "X-Api-Key": "fhm_stolen", "X-Freehold-Tenant": "ten_2"}
    status, told = await call(tmp_path / "box", **said)
    assert status == 200
    assert (told["tenant"], told["run"], told["version"], told["attended"]) == (TENANT, RUN, ALLOWED, False)
    assert told["models"] == sorted({"main/small", *Level})


async def test_each_sandbox_speaks_for_its_own_run(boxes: Boxes, tmp_path: Path) -> None:
    await boxes.open(request())
    await boxes.open(request(sandbox="sbx_2", run="run_2"))
    assert (await call(tmp_path / "box", "sbx_2"))[1]["run"] == "run_2"
    assert (await call(tmp_path / "box"))[1]["run"] == RUN


@pytest.mark.parametrize(("version", "says"), [(ASKING, "Nobody can be asked"), (NOT, "may not call models")])
async def test_what_was_not_granted_is_refused_and_says_what_to_do(
    boxes: Boxes, tmp_path: Path, version: str, says: str
) -> None:
    await boxes.open(request(version=version))
    status, body = await call(tmp_path / "box")
    assert (status, body["error"]["code"]) == (403, "not_granted")
    assert says in body["error"]["message"]
    status, body = await call(tmp_path / "box", path="/v1/messages")
    assert (status, body["type"], body["error"]["code"]) == (403, "error", "not_granted")


async def test_a_version_nobody_published_gets_no_box(boxes: Boxes, tmp_path: Path) -> None:
    for changes in ({"version": "ver_never"}, {"agent": "agt_2"}, {"tenant": "ten_2"}):
        with pytest.raises(Denied):
            await boxes.open(request(**changes))
    assert not (tmp_path / "box" / SANDBOX).exists()


async def test_a_run_that_was_taken_over_calls_no_more(boxes: Boxes, keep: Keep, tmp_path: Path) -> None:
    await boxes.open(request())
    await keep.write(lambda tx: ledger.take_epoch(tx, tenant=TENANT, run=RUN, epoch=4))
    assert await refused(tmp_path / "box") == (409, "stale_epoch")
    with pytest.raises(Conflict):
        await boxes.open(request(trace="again"))
    assert await boxes.open(request(epoch=4)) is False
    assert (await call(tmp_path / "box"))[0] == 200


async def test_a_run_that_was_cancelled_calls_no_more(boxes: Boxes, keep: Keep, tmp_path: Path) -> None:
    await boxes.open(request())
    await keep.write(lambda tx: ledger.retire(tx, tenant=TENANT, runs=[RUN]))
    assert await refused(tmp_path / "box") == (409, "stale_epoch")
    with pytest.raises(Conflict):
        await boxes.open(request(epoch=99))


async def test_a_sandbox_cannot_be_given_to_another_run(boxes: Boxes, tmp_path: Path) -> None:
    await boxes.open(request())
    for changes in ({"run": "run_2"},):
        with pytest.raises(Conflict, match="another run's"):
            await boxes.open(request(**changes))
    assert (await call(tmp_path / "box"))[1]["run"] == RUN


async def test_the_tool_models_is_judged_like_every_other() -> None:
    assert target("models") == ("sandbox", "models")
    grants = Grants(tenant=TENANT, agent=AGENT, version=ALLOWED, model="m", tools={"models": Verdict.ALLOW})
    assert judge(grants, connection="sandbox", operation="models") is Verdict.ALLOW
    assert judge(grants, connection="models", operation="models") is Verdict.DENY
