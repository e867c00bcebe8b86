"""
Writes down parked runs as this version stores them: `python -m tests.golden.write`.

Run it once for each release; what a release wrote stays as it is, and `tests/journey/test_parked_runs.py` resumes
it with the newest code.
"""

import asyncio
import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from freehold.core.approvals import Approval, ApprovalState
from freehold.core.errors import Unavailable
from freehold.core.parts import Label, Origin, Part, Role
from freehold.runs.endings import Park
from freehold.testing.gateways import Line
from freehold.testing.guests import printing
from tests.turns import Set, set_up

FOLDER: Final = Path(__file__).parent
TOOLS: Final = {
    "shell": "allow",
    "write_file": "allow",
    "delete_file": "ask",
    "delegate": "allow",
    "crm.add": "ask",
    "mail.send": "allow",
}
DELETE: Final[Line] = [("delete_file", {"path": "old.txt"})]
BROKEN_OFF: Final = "broken-off"
"""Of what the run did, nobody knows what came of it."""
SCENES: Final[dict[str, tuple[list[Line], ApprovalState | None]]] = {
    "approved": ([DELETE], ApprovalState.APPROVED),
    "denied": ([DELETE], ApprovalState.DENIED),
    "expired": ([DELETE], ApprovalState.EXPIRED),
    "approved-beside-others": (
        [
            [("write_file", {"path": "new.txt", "content": "Ünïcode\n"})],
            [("shell", {"command": "ls"}), ("delete_file", {"path": "old.txt"}), ("crm.add", {"name": "Ann", "n": 3})],
        ],
        ApprovalState.APPROVED,
    ),
    BROKEN_OFF: ([[("mail.send", {"to": "ada@example.org", "subject": "s", "text": "t"})]], ApprovalState.DENIED),
    "child": ([[("delegate", {"task": "count the files"})]], None),
    "child-and-question": ([[("delegate", {"task": "count"}), *DELETE]], ApprovalState.DENIED),  # type: ignore[misc]
    "outage": ([Unavailable("Too many requests.", code="provider_busy", after=60)], None),
}


async def play(name: str) -> Set:
    """Play a scene until it is parked and all it waits for has come."""
    lines, state = SCENES[name]
    played = set_up(lines, tools=TOOLS, commands={"ls": printing("new.txt\nold.txt\n")}, instructions="Be careful.")
    stage, played.gateway.breaking_off = played.stage, int(name == BROKEN_OFF)
    member = Label(origins=frozenset({Origin.MEMBER}))
    stage.before = [
        Part(role=Role.USER, content={"text": "Hello"}, label=member),
        Part(role=Role.ASSISTANT, content={"text": "Hello!", "key": "run_0/1/1/0"}, label=member),
    ]
    ending = await stage.say("Tidy up", origin=Origin.CHANNEL)
    if not isinstance(ending, Park):
        raise TypeError(f"{name} does not park: {ending}")
    stage.approvals = [stage.decided(n, question, state) for n, question in enumerate(ending.questions) if state]
    for child in ending.children:
        stage.child_ended(child.call, output="3 files")
    return played


def stored(played: Set) -> dict[str, Any]:
    """Return the run as the database keeps it."""
    stage = played.stage
    spec = asdict(stage.version.spec)
    return {
        "written_by": version("freehold"),
        "spec": spec,
        "run": stage.run.id,
        "segment": stage.run.segment + 1,
        "earlier": [_part(0, part) for part in stage.before],
        "parts": [_part(segment, part) for segment, part in stage.journal.parts],
        "approvals": [_approval(approval) for approval in stage.approvals],
        "signals": stage.signals,
    }


def _part(segment: int, part: Part) -> dict[str, Any]:
    label = {"origins": sorted(part.label.origins), "readers": part.label.readers and sorted(part.label.readers)}
    return {"segment": segment, "role": part.role, "content": part.content, **label}


def _approval(approval: Approval) -> dict[str, Any]:
    return {name: str(value) if name.endswith("_at") else value for name, value in asdict(approval).items()}


async def write() -> None:
    """Write every scene of this release that is not there yet."""
    for name in SCENES:
        path = FOLDER / f"{version('freehold')}-{name}.json"
        if not path.exists():
            run = stored(await play(name))
            path.write_text(json.dumps(run, ensure_ascii=False, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    asyncio.run(write())
