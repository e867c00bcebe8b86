"""
A run told in order: what it saw, what it decided, what it did, and what came of it.

The journal knows what happened and in which order; the record of both stores knows who did it and what left the
house. Here both become one row of lines. A line names things and hashes; what was said lies in its `text` alone, so
that whoever may not read that is shown all the rest.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from freehold.audit.canonical import digest
from freehold.core.approvals import Approval
from freehold.core.parts import Role
from freehold.core.runs import Run
from freehold.store.journal import Step
from freehold.store.talk import Kept

DATABASE: Final = "database"
INPUT: Final = "input"
PLAIN: Final = frozenset(
    {
        "trigger", "segment", "epoch", "waits_for", "key", "kind", "ok", "code", "approval", "operation", "hash",
        "run", "state", "why",
    }
)  # fmt: skip
"""What a line shows of an event; anything else may be somebody's words, and is its text."""
FACTS: Final = ("verdict", "policy", "approver", "arguments", "result", "request", "way")
"""What a line shows of a row of the record besides its detail."""
EFFECT: Final = 4
"""Of how many pieces the key of an effect is made."""
COUNTS: Final = ("cost_nano", "charge_nano", "tokens_in", "tokens_out", "bytes_in", "bytes_out")


class Kind(StrEnum):
    """What a line is about."""

    SAW = "saw"
    """A part of what the model is shown from then on."""
    EVENT = "event"
    STEP = "step"
    ASKED = "asked"
    DECIDED = "decided"
    DID = "did"
    """What left by the gateway, or was kept from leaving, as its record has it."""
    ACT = "act"
    """What somebody did to the run, as the database's record has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that happened."""

    at: datetime
    kind: Kind
    what: str
    by: str = ""
    key: str = ""
    """The step or effect it is about, or the part as `run#number`."""
    hash: str = ""
    """Of the part, of a step's result, or of what was asked for."""
    origins: tuple[str, ...] = ()
    took_ms: int | None = None
    usage: Mapping[str, int] = field(default_factory=dict)
    detail: Mapping[str, Any] = field(default_factory=dict)
    store: str = ""
    """Whose record has it, and where in its chain."""
    seq: int | None = None
    text: Any = None
    """What was said, shown or asked for: whoever reads the record alone is not shown it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """A run as the database has it."""

    run: Run
    events: Sequence[Mapping[str, Any]]
    steps: Sequence[Step]
    parts: Sequence[Kept]
    """What its models were shown: those of the conversation's earlier turns first."""
    approvals: Sequence[Approval]


def told(journal: Journal, record: Iterable[Mapping[str, Any]], usage: Iterable[Mapping[str, Any]]) -> list[Line]:
    """Return the lines of a run in order, from its journal, its rows of the record and of usage."""
    rows = sorted(record, key=lambda row: (row["at"], row["store"], row["position"]))
    costs, sessions = _counted(journal, rows, usage)
    known = {_act(row): row for row in rows if row["store"] == DATABASE}
    lines = list(_journalled(journal, costs, known))
    paired = {id(row) for row in map(known.get, _pairs(journal)) if row is not None}
    rest = [row for row in rows if id(row) not in paired]
    return list(_merged(lines, rest, sessions))


def _journalled(journal: Journal, costs: Mapping[str, Any], known: Mapping[Any, Any]) -> Iterator[Line]:
    """Give what the journal tells: each event, and behind it what the model saw from then on."""
    run, steps = journal.run, {step.key: step for step in journal.steps}
    approvals = {approval.id: approval for approval in journal.approvals}
    seen = _placed(journal)
    at = run.created_at
    yield Line(at=at, kind=Kind.SAW, what="version", key=run.version, origins=("owner",))
    yield from (_saw(kept, at) for kept in seen.pop("", ()))
    for event in journal.events:
        at = max(at, event["at"])
        key = str(event["data"].get("key", ""))
        row = known.get(_pair(run.id, event), {})
        if event["type"] == "step.finished" and key in steps:
            yield _step(at, steps[key], event, costs.get(key, {}))
        else:
            yield _event(at, event, row, approvals.get(str(event["data"].get("approval", ""))))
        yield from (_saw(kept, at) for kept in seen.pop(_place(event), ()))
    for late in seen.values():
        yield from (_saw(kept, at) for kept in late)


def _merged(lines: list[Line], rest: list[Mapping[str, Any]], sessions: Mapping[str, Any]) -> Iterator[Line]:
    """Give the lines with the rows of the record between them: who acts comes before what it leads to."""
    times = [_millis(line.at) for line in lines]
    ends = {line.key: n for n, line in enumerate(lines) if line.kind is Kind.STEP}
    between: dict[int, list[Line]] = {}
    for row in rest:
        ours = row["store"] == DATABASE
        place = bisect_left(times, row["at"]) if ours else bisect_right(times, row["at"])
        end = ends.get(row["subject"], place)
        if end < place and times[end] == row["at"]:
            place = end  # in one millisecond: what a step did lies within it
        between.setdefault(place, []).append(_row(row, sessions))
    for n in range(len(lines) + 1):
        yield from between.get(n, ())
        yield from lines[n : n + 1]


def _placed(journal: Journal) -> dict[str, list[Kept]]:
    """Return the parts by what they came with: a step, the input, or (empty) what was said before the run."""
    run, placed = journal.run.id, dict[str, list[Kept]]()
    calls = {
        kept.part.content.get("id"): str(kept.part.content.get("key", ""))
        for kept in journal.parts
        if kept.run == run and kept.part.role is Role.CALL
    }
    step = ""
    for kept in journal.parts:
        content = kept.part.content
        if kept.run != run:
            place = ""
        elif not kept.segment:
            place = INPUT
        elif kept.part.role is Role.RESULT:
            key = calls.get(content.get("id"), "")
            place = key if key.startswith(f"{run}/{kept.segment}/") else f"{key}/{kept.segment}"
        else:  # a reply says which call of the model it came from; its calls come with it
            step = str(content.get("key", step)) if kept.part.role is Role.ASSISTANT else step
            place = step
        placed.setdefault(place, []).append(kept)
    return placed


def _place(event: Mapping[str, Any]) -> str:
    """Return what parts come with that stand behind this event."""
    if event["type"] == "step.finished":
        return str(event["data"].get("key", ""))
    return INPUT if event["type"] == "run.queued" else "-"


def _saw(kept: Kept, at: datetime) -> Line:
    return Line(
        at=at,
        kind=Kind.SAW,
        what=str(kept.part.role),
        key=f"{kept.run}#{kept.n}",
        hash=kept.hash,
        origins=tuple(sorted(kept.part.label.origins)),
        text=kept.part.content,
    )


def _step(at: datetime, step: Step, event: Mapping[str, Any], usage: Mapping[str, int]) -> Line:
    return Line(
        at=at,
        kind=Kind.STEP,
        what=f"{step.kind} {step.name}" if event["data"].get("code") != "unknown_tool" else f"{step.kind} unknown",
        key=step.key,
        hash=digest(step.result),
        took_ms=_millis(step.ended_at) - _millis(step.started_at),
        usage=usage,
        detail=_plain(event["data"]) | {"segment": step.segment},
        text=step.result,
    )


def _event(at: datetime, event: Mapping[str, Any], row: Mapping[str, Any], asked: Approval | None) -> Line:
    data, kind = event["data"], Kind.EVENT
    detail, text = _plain(data), {name: value for name, value in data.items() if name not in PLAIN} or None
    if asked is not None:
        kind = Kind.ASKED if event["type"] == "approval.asked" else Kind.DECIDED
        detail |= {"connection": asked.connection, "operation": asked.operation, "kind": asked.kind}
        text = asked.arguments if kind is Kind.ASKED else None
    return Line(
        at=at,
        kind=kind,
        what=event["type"],
        by=str(data.get("by", "") or row.get("actor", "")),
        key=asked.key if asked else str(data.get("key", "")),
        hash=asked.hash if asked else "",
        detail=detail,
        store=row.get("store", ""),
        seq=row.get("seq"),
        text=text,
    )


def _row(row: Mapping[str, Any], sessions: Mapping[str, Any]) -> Line:
    facts = {name: row[name] for name in FACTS if row.get(name)}
    return Line(
        at=datetime.fromtimestamp(row["at"] / 1000, tz=UTC),
        kind=Kind.ACT if row["store"] == DATABASE else Kind.DID,
        what=row["action"],
        by=row["actor"],
        key=row["subject"],
        hash=row.get("arguments", ""),
        usage=sessions.get(row["subject"], {}) if row["action"] == "egress.closed" else {},
        detail=facts | dict(row["detail"]),
        store=row["store"],
        seq=row.get("seq"),
    )


def _counted(
    journal: Journal, record: Iterable[Mapping[str, Any]], usage: Iterable[Mapping[str, Any]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what each step cost by its key, all attempts together, and each session of a program by its id."""
    # A call taken up again behind an answer is a second step, whose key goes on where that of the effect ends.
    steps = {"/".join(step.key.split("/")[:EFFECT]): step.key for step in journal.steps}
    calls = {row["detail"]["usage"]: row["subject"] for row in record if "usage" in row["detail"]}
    costs, sessions = dict[str, Any](), dict[str, Any]()
    for row in usage:
        effect = row.get("key") or calls.get(row["id"]) or calls.get(row.get("call"), "")
        counts = {name: int(row.get(name) or 0) for name in COUNTS}
        whose, key = (costs, steps[effect]) if effect in steps else (sessions, row["id"])
        before = whose.get(key, {})
        whose[key] = {name: before.get(name, 0) + count for name, count in counts.items()}
    return costs, sessions


def _pairs(journal: Journal) -> Iterator[tuple[str, int, str]]:
    return (_pair(journal.run.id, event) for event in journal.events)


def _pair(run: str, event: Mapping[str, Any]) -> tuple[str, int, str]:
    """Return what a row of the record tells that was written with this event, and about the same."""
    return event["type"], _millis(event["at"]), str(event["data"].get("approval", "") or run)


def _act(row: Mapping[str, Any]) -> tuple[str, int, str]:
    return row["action"], row["at"], row["subject"]


def _plain(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name in PLAIN}


def _millis(at: datetime) -> int:
    return round(at.timestamp() * 1000)
