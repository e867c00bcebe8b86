"""Runs that a released version parked go on with this one."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from freehold.core.approvals import Approval, ApprovalState
from freehold.core.parts import Label, Origin, Part, Role
from freehold.core.runs import RunState
from freehold.runs.endings import Done
from freehold.testing.clock import START
from freehold.testing.guests import printing
from tests.golden.write import FOLDER, SCENES, play, stored
from tests.turns import Set, set_up

FILES = sorted(FOLDER.glob("*.json"))


def load(path: Path) -> tuple[dict[str, Any], Set]:
    """Set the stage as the file says: parked, with everything come that it waited for."""
    kept = json.loads(path.read_text())
    spec = kept["spec"]
    played = set_up(["All is done."], tools=spec["tools"], commands={"ls": printing("")})
    stage = played.stage
    stage.version = replace(stage.version, spec=replace(stage.version.spec, instructions=spec["instructions"]))
    stage.run = replace(stage.run, id=kept["run"], segment=kept["segment"], state=RunState.QUEUED, epoch=1)
    stage.before = [part(row) for row in kept["earlier"]]
    stage.journal.parts = [(row["segment"], part(row)) for row in kept["parts"]]
    stage.signals = kept["signals"]
    stage.approvals = [approval(row) for row in kept["approvals"]]
    for decided in stage.approvals:
        if decided.state is ApprovalState.APPROVED:
            played.gateway.verdicts.pop(decided.operation, None)
            played.gateway.verdicts.pop(f"{decided.connection}.{decided.operation}", None)
    played.guest.files["old.txt"] = b"old"
    return kept, played


def part(row: dict[str, Any]) -> Part:
    readers = None if row["readers"] is None else frozenset(row["readers"])
    label = Label(origins=frozenset(Origin(origin) for origin in row["origins"]), readers=readers)
    return Part(role=Role(row["role"]), content=row["content"], label=label)


def approval(row: dict[str, Any]) -> Approval:
    return Approval(**row | {"state": ApprovalState(row["state"]), "created_at": START, "expires_at": START})


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_it_goes_on_and_comes_to_its_end(path: Path) -> None:
    kept, played = load(path)
    assert await played.stage.go_on() == Done("All is done.")
    approved = any(row["state"] == "approved" for row in kept["approvals"])
    assert ("old.txt" not in played.guest.files) is approved
    (shown,) = (body["messages"] for body in played.gateway.asked)
    called = [call["id"] for message in shown for call in message.get("tool_calls", ())]
    assert called == [message["tool_call_id"] for message in shown if message["role"] == "tool"]
    assert [message["content"] for message in shown if message["role"] == "user"] == ["Hello", "Tidy up"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_no_step_of_an_earlier_segment_is_taken_again(path: Path) -> None:
    _, played = load(path)
    await played.stage.go_on()
    assert played.guest.ran == []


@pytest.mark.parametrize("name", SCENES)
async def test_this_version_parks_as_it_is_written_down(name: str) -> None:
    """A change of the stored form is noticed here: then a release has to write its runs down anew."""
    now = stored(await play(name))
    newest = json.loads((FOLDER / f"{now['written_by']}-{name}.json").read_text())
    assert json.loads(json.dumps(now)) == newest
