"""The page of all states, drawn from the tables in core."""

import ast
import enum
from collections.abc import Iterable
from pathlib import Path

from freehold.core.approvals import ApprovalState
from freehold.core.effects import EFFECT_TRANSITIONS, EffectState
from freehold.core.messages import MessageState
from freehold.core.runs import FINAL, TRANSITIONS, RunState, Trigger, WaitsFor
from freehold.core.tenants import TenantState
from tools.reference.markdown import SOURCE, attribute_docs, page, rows


def _diagram(arrows: Iterable[tuple[str, str, str]], *, first: str, final: Iterable[str]) -> str:
    drawn = [f"    {before} --> {after}{f': {event}' if event else ''}" for before, event, after in arrows]
    return "\n".join(["```mermaid", "stateDiagram-v2", f"    [*] --> {first}", *drawn, *_ends(final), "```"])


def _ends(final: Iterable[str]) -> list[str]:
    return [f"    {state} --> [*]" for state in final]


def _meanings(file: str, *names: str) -> str:
    body = []
    for name in names:
        said = attribute_docs(SOURCE / "core" / file, name)
        body += [(f"`{value}`", said.get(member, "")) for member, value in _members(SOURCE / "core" / file, name)]
    return rows(("State", "What it says"), [row for row in body if row[1]])


def _members(file: Path, name: str) -> list[tuple[str, str]]:
    tree = ast.parse(file.read_text())
    found = next(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == name)
    return [
        (node.targets[0].id, node.value.value)
        for node in found.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]


def states_page() -> str:
    """Return the page of all states, drawn from the tables in core."""
    run_arrows = [(before, event, after) for (before, event), after in TRANSITIONS.items()]
    effect_arrows = [(a, "", b) for a, targets in EFFECT_TRANSITIONS.items() for b in sorted(targets)]
    effect_ends = [state for state in EffectState if state not in EFFECT_TRANSITIONS]
    return page(
        "States",
        "What is not drawn does not happen: an event that has no arrow is refused with 409 and the code "
        "`bad_transition`. The database refuses states that are not listed here.",
        "## Run",
        _diagram(run_arrows, first=RunState.QUEUED, final=sorted(FINAL)),
        f"A waiting or paused run waits for one of: {_listed(WaitsFor)}. It was started by one of: {_listed(Trigger)}.",
        "## Effect",
        _diagram(effect_arrows, first=EffectState.PROPOSED, final=effect_ends),
        _meanings("effects.py", "EffectState"),
        "## Approval",
        _diagram(
            [(ApprovalState.ASKED, "", state) for state in ApprovalState if state != ApprovalState.ASKED],
            first=ApprovalState.ASKED,
            final=[state for state in ApprovalState if state != ApprovalState.ASKED],
        ),
        "## Message",
        f"A message shows its sender how its run stands: {_listed(MessageState)}.",
        "## Tenant",
        f"A tenant is one of: {_listed(TenantState)}.",
    )


def _listed(states: type[enum.StrEnum]) -> str:
    return ", ".join(f"`{state}`" for state in states)
