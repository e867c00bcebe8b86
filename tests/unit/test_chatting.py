"""What a person sees who talks with an agent in the terminal."""

import io
from collections.abc import Iterator
from typing import Any

import pytest
from typing_extensions import override

from freehold.cli.calling import Api
from freehold.cli.chatting import Turn
from freehold.cli.place import Place
from freehold.core.errors import Unavailable

Told = tuple[str, dict[str, Any]]

QUESTION = {
    "id": "apr_1",
    "run": "run_child",
    "connection": "sandbox",
    "operation": "delete_file",
    "arguments": {"path": "a"},
    "kind": "destroy",
    "reason": "",
    "hash": "h",
}


class ScriptedApi(Api):
    """A platform where runs happen as they were written down."""

    def __init__(self, **runs: list[Told | Unavailable]) -> None:
        super().__init__(Place(url="http://127.0.0.1:1", key=""))
        self.runs = runs
        self.posted: list[str] = []

    @override
    def post(self, path: str, body: Any = None, **_rest: Any) -> Any:
        self.posted.append(path.removeprefix("tenants/acme/"))
        return {"message": {"conversation": "cnv_1"}, "run": {"id": "run_1"}}

    @override
    def items(self, path: str, **_query: Any) -> list[Any]:
        return [QUESTION]

    @override
    def events(self, path: str) -> Iterator[Told]:
        run, after = path.removeprefix("tenants/acme/runs/").split("/events?after=")
        for happened in self.runs[run][int(after) :]:
            if isinstance(happened, Unavailable):
                self.runs[run].remove(happened)
                raise happened
            name, data = happened
            yield name, {"seq": self.runs[run].index(happened) + 1, "data": data}


def play(api: Api, monkeypatch: pytest.MonkeyPatch, says: str = "") -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(says))
    Turn(api, "acme", pause=0).play("scribe", "go", None)


def test_a_person_is_asked_what_a_child_wants_to_know(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    api = ScriptedApi(
        run_1=[("child.started", {"run": "run_child"}), ("run.done", {"output": "All is done."})],
        run_child=[("run.waiting", {"waits_for": "person"}), ("run.done", {"output": "for the parent"})],
    )
    play(api, monkeypatch, "y\n")
    assert api.posted[1:] == ["approvals/apr_1/approve"]
    seen = capsys.readouterr().out
    assert "All is done." in seen
    assert "for the parent" not in seen


def test_a_stream_that_breaks_off_is_taken_up_where_it_was(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tool = {"kind": "tool", "name": "shell", "call": "call_1", "arguments": {"command": "date"}}
    api = ScriptedApi(
        run_1=[("step.started", tool), Unavailable("away"), ("step.started", tool), ("run.done", {"output": "Here."})]
    )
    play(api, monkeypatch)
    assert capsys.readouterr().out == '· shell {"command": "date"}\nHere.\n'


def test_a_platform_that_stays_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    api = ScriptedApi(run_1=[Unavailable(f"away {n}") for n in range(99)])
    with pytest.raises(Unavailable):
        play(api, monkeypatch)
