"""How a run is told: whose words stay out, what goes together, and in which order."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from freehold.core.approvals import Approval, ApprovalState
from freehold.core.parts import Label, Origin, Part, Role
from freehold.core.runs import Run, Trigger
from freehold.runs.telling import Journal, Kind, Line, told
from freehold.store.journal import Step
from freehold.store.talk import Kept
from freehold.testing.clock import START

RUN = Run(id="run_2", agent="agt_1", version="ver_1", trigger=Trigger.API, created_at=START)
SECRET_WORDS = "the merger with Globex"


def at(ms: int) -> datetime:
    return START + timedelta(milliseconds=ms)


def millis(ms: int) -> int:
    return round(at(ms).timestamp() * 1000)


def event(seq: int, ms: int, what: str, **data: Any) -> dict[str, Any]:
    return {"seq": seq, "at": at(ms), "run": RUN.id, "type": what, "data": data}


def row(ms: int, action: str, subject: str, store: str = "gateway", **facts: Any) -> dict[str, Any]:
    plain = {"actor": "run:run_2", "detail": {}, "position": ms, "seq": None}
    return plain | {"at": millis(ms), "action": action, "subject": subject, "store": store} | facts


def step(key: str, kind: str, name: str, begun: int, ended: int, result: Mapping[str, Any]) -> Step:
    return Step(key=key, segment=1, kind=kind, name=name, result=dict(result), started_at=at(begun), ended_at=at(ended))


def kept(n: int, segment: int, role: Role, content: dict[str, Any], *, run: str = RUN.id) -> Kept:
    label = Label(origins=frozenset({Origin.MEMBER if role is Role.USER else Origin.MODEL}))
    return Kept(
        run=run, n=n, segment=segment, hash=f"hash of {run}#{n}", part=Part(role=role, content=content, label=label)
    )


MODEL, TOOL = "run_2/1/1/0", "run_2/1/1/1"
CALL = {"id": "c1", "name": "shell", "arguments": {"command": SECRET_WORDS}, "key": TOOL}
ASKED = Approval(
    id="apr_1", run=RUN.id, agent="agt_1", key=TOOL, call="c1", connection="sandbox", operation="shell",
    arguments={"command": SECRET_WORDS}, hash="5ea1", created_at=at(40), expires_at=at(9000),
    state=ApprovalState.APPROVED, decided_by="person:per_1", decided_at=at(50),
)  # fmt: skip
JOURNAL = Journal(
    run=RUN,
    events=[
        event(1, 0, "run.queued", trigger="api"),
        event(2, 10, "run.started", segment=1, epoch=1),
        event(3, 10, "step.started", key=MODEL, kind="model", name="rehearsal"),
        event(4, 20, "step.finished", key=MODEL, kind="model", name="rehearsal", ok=True),
        event(5, 20, "step.started", key=TOOL, kind="tool", name="shell", arguments={"command": SECRET_WORDS}),
        event(6, 30, "step.finished", key=TOOL, kind="tool", name="shell", ok=False, message=SECRET_WORDS),
        event(7, 40, "run.waiting", waits_for="person", reason=SECRET_WORDS),
        event(8, 40, "approval.asked", approval="apr_1", operation="shell", hash="5ea1"),
        event(9, 50, "approval.approved", approval="apr_1", by="person:per_1"),
        event(10, 60, "run.done", output=SECRET_WORDS),
    ],
    steps=[
        step(MODEL, "model", "rehearsal", 10, 20, {"text": SECRET_WORDS}),
        step(TOOL, "tool", "shell", 20, 30, {"value": SECRET_WORDS}),
    ],
    parts=[
        kept(1, 0, Role.USER, {"text": "before"}, run="run_1"),
        kept(1, 0, Role.USER, {"text": SECRET_WORDS}),
        kept(2, 1, Role.ASSISTANT, {"text": "", "key": MODEL}),
        kept(3, 1, Role.CALL, CALL),
        kept(4, 1, Role.RESULT, {"id": "c1", "name": "shell", "value": SECRET_WORDS}),
    ],
    approvals=[ASKED],
)
RECORD = [
    row(0, "run.start", RUN.id, "database", actor="key:key_1"),
    row(15, "effect.done", MODEL, detail={"usage": "use_1"}),
    row(20, "effect.open", TOOL, verdict="allow", arguments="a1"),
    row(30, "effect.done", TOOL, result="b2"),
    row(50, "approval.approved", "apr_1", "database", actor="person:per_1", seq=7),
    row(60, "run.done", RUN.id, "database", actor="worker", seq=8),
]
USAGE = [
    {"id": "use_1", "key": "", "call": "", "cost_nano": 5, "charge_nano": 6, "tokens_in": 3, "tokens_out": 2},
    {"id": "use_2", "key": "", "call": "use_1", "cost_nano": 1, "charge_nano": 1, "tokens_in": 3, "tokens_out": 2},
    {"id": "use_3", "key": "", "cost_nano": 0, "charge_nano": 0, "bytes_out": 99},
]


def shown(lines: list[Line]) -> list[tuple[str, str]]:
    return [(str(line.kind), line.what) for line in lines]


def test_a_run_is_told_from_what_it_saw_to_what_came_of_it() -> None:
    assert shown(told(JOURNAL, RECORD, USAGE)) == [
        ("act", "run.start"),
        ("saw", "version"),
        ("saw", "user"),
        ("event", "run.queued"),
        ("saw", "user"),
        ("event", "run.started"),
        ("event", "step.started"),
        ("did", "effect.done"),
        ("step", "model rehearsal"),
        ("saw", "assistant"),
        ("saw", "call"),
        ("event", "step.started"),
        ("did", "effect.open"),
        ("did", "effect.done"),
        ("step", "tool shell"),
        ("saw", "result"),
        ("event", "run.waiting"),
        ("asked", "approval.asked"),
        ("decided", "approval.approved"),
        ("event", "run.done"),
    ]


def test_nobodys_words_are_in_a_line_but_in_its_text() -> None:
    for line in told(JOURNAL, RECORD, USAGE):
        said = {name: getattr(line, name) for name in Line.__dataclass_fields__ if name != "text"}
        assert SECRET_WORDS not in str(said)


def test_a_step_tells_what_all_its_attempts_cost_and_how_long_it_took() -> None:
    (line,) = [line for line in told(JOURNAL, RECORD, USAGE) if line.key == MODEL and line.kind is Kind.STEP]
    assert line.took_ms == 10
    assert (line.usage["cost_nano"], line.usage["charge_nano"], line.usage["tokens_in"]) == (6, 7, 6)


def test_a_decision_says_who_made_it_and_where_the_record_has_it() -> None:
    (line,) = [line for line in told(JOURNAL, RECORD, USAGE) if line.kind is Kind.DECIDED]
    assert (line.by, line.store, line.seq, line.hash) == ("person:per_1", "database", 7, "5ea1")


def test_a_session_of_a_program_says_what_it_carried() -> None:
    lines = told(JOURNAL, [*RECORD, row(25, "egress.closed", "use_3")], USAGE)
    (line,) = [line for line in lines if line.what == "egress.closed"]
    assert line.usage["bytes_out"] == 99


def test_a_tool_that_a_model_made_up_is_not_named() -> None:
    made_up = step(TOOL, "tool", SECRET_WORDS, 20, 30, {"refused": {"code": "unknown_tool"}})
    ended = event(2, 30, "step.finished", key=TOOL, kind="tool", name=SECRET_WORDS, ok=False, code="unknown_tool")
    journal = Journal(run=RUN, events=[ended], steps=[made_up], parts=[], approvals=[])
    assert [line.what for line in told(journal, [], [])] == ["version", "tool unknown"]


def test_parts_that_came_with_nothing_that_is_known_are_told_all_the_same() -> None:
    lost = kept(5, 2, Role.RESULT, {"id": "c9", "name": "x", "value": ""})
    journal = Journal(run=RUN, events=JOURNAL.events, steps=JOURNAL.steps, parts=[*JOURNAL.parts, lost], approvals=[])
    assert [line.key for line in told(journal, [], []) if line.kind is Kind.SAW][-1] == "run_2#5"
