"""What was said in a run is not kept by the gateway once the journal has it."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection as Tx
from sqlalchemy import event, select

from freehold.core.effects import EffectState
from freehold.core.errors import Unavailable
from freehold.core.runs import FINAL, RunState
from freehold.gateway.tables import effects
from freehold.runs.forgetting import Forgetting
from freehold.testing.clock import FakeClock
from tests.gateways import RUN, TENANT, Kit, effect, running, said, work
from tests.webs import made

PROMPT, ANSWER = "the-prompt-3141", "the-answer-2718"


async def sealed(kit: Kit) -> dict[str, bool]:
    """Return of each effect whether something is still kept of what went in and came out."""

    def look(tx: Tx) -> dict[str, bool]:
        return {row.key: bool(row.arguments or row.outcome) for row in tx.execute(select(effects))}

    return await kit.gateway.keep.read(look)


async def chat(kit: Kit, key: str, run: str = RUN) -> Any:
    body = said(f"{PROMPT} {key}")
    return await kit.worker.chat(work(run=run), key=f"{run}/{key}/0", model="rehearsal", body=body)


async def test_the_next_call_proves_that_the_last_answer_was_kept_elsewhere(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.publish(tools={"shell": "allow"})
        await chat(kit, "1/1")
        await kit.worker.submit(work(), effect(key=f"{RUN}/1/1/1", command=PROMPT))
        assert all((await sealed(kit)).values())
        assert (await chat(kit, "1/1")).text
        await chat(kit, "1/1", run="run_2")
        await chat(kit, "1/2")
        assert await sealed(kit) == {
            f"{RUN}/1/1/0": False,
            f"{RUN}/1/1/1": True,
            f"{RUN}/1/2/0": True,
            "run_2/1/1/0": True,
        }


async def test_a_call_costs_no_more_commits_for_it(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.publish()
        commits: list[object] = []
        await chat(kit, "1/1")
        event.listen(kit.gateway.keep._database._own, "commit", commits.append)
        await chat(kit, "1/2")
        first = len(commits)
        await chat(kit, "1/3")
        assert len(commits) == 2 * first == 4


async def test_of_a_run_that_is_over_nothing_is_kept(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.publish(tools={"shell": "allow", "delete_file": "ask"})
        await chat(kit, "1/1")
        await kit.worker.submit(work(), effect(key=f"{RUN}/1/1/1", command=PROMPT))
        await kit.worker.settle(work(), key=f"{RUN}/1/1/1", state=EffectState.DONE, result={"value": ANSWER})
        await kit.worker.submit(work(), effect("delete_file", key=f"{RUN}/1/1/2", path=PROMPT))
        await kit.worker.journaled([(TENANT, "run_x"), (TENANT, RUN)])
        assert await sealed(kit) == {f"{RUN}/1/1/0": False, f"{RUN}/1/1/1": False, f"{RUN}/1/1/2": True}
        await kit.gateway.keep.wipe()
    stored = b"".join(path.read_bytes() for path in (tmp_path / "gateway").iterdir())
    assert PROMPT.encode() not in stored
    assert ANSWER.encode() not in stored


async def test_nobody_makes_another_tenants_run_forgotten_nor_one_whose_id_begins_alike(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.publish()
        await chat(kit, "1/1")
        await chat(kit, "1/1", run=f"{RUN}2")
        await kit.worker.journaled([("ten_2", RUN), (TENANT, f"{RUN}2")])
        assert await sealed(kit) == {f"{RUN}/1/1/0": True, f"{RUN}2/1/1/0": False}


@pytest.mark.parametrize("state", sorted(FINAL))
async def test_the_worker_tells_of_every_end_once_and_again_where_the_gateway_was_away(
    tmp_path: Path, state: RunState
) -> None:
    web = made(tmp_path)
    tenant = web.tenant("acme")
    told: list[tuple[str, str]] = []
    away = [Unavailable("away")]

    async def tell(runs: Any) -> None:
        if away:
            raise away.pop()
        told.extend(runs)

    forgetting = Forgetting(web.state.store, tell, FakeClock())
    await forgetting.look()
    with web.state.store.tenant(tenant.id).write() as scope:
        scope.events.append("run_0", "run.waiting", {}, at=web.clock.now())
        scope.events.append("run_1", f"run.{state}", {}, at=web.clock.now())
    await forgetting.look()
    assert told == []
    await forgetting.look()
    await forgetting.look()
    assert told == [(tenant.id, "run_1")]
