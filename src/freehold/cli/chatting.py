"""`freehold chat`: a conversation in the terminal."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Final

import typer

from freehold.cli.calling import Api, api, of_tenant
from freehold.cli.options import TenantOption
from freehold.cli.questions import beside
from freehold.cli.questions import question as asked
from freehold.cli.showing import bold, clean, colour
from freehold.core.errors import FreeholdError, Unavailable

ATTEMPTS: Final = 30
"""How often in a row a stream that broke off is taken up again."""
OVER: Final = frozenset({"run.done", "run.failed", "run.cancelled"})

Show = Callable[[str, str, dict[str, Any]], None]


def add_to(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("chat")(chat)


def chat(
    agent: str,
    tenant: TenantOption,
    conversation: Annotated[str | None, typer.Option(help="Go on with this conversation.")] = None,
) -> None:
    """Talk with AGENT. Ctrl-C cancels what it does; a second one, or Ctrl-D, ends the conversation."""
    platform = api()
    platform.get(of_tenant(tenant, "agents", agent))
    for text in _said(agent):
        conversation = Turn(platform, tenant).play(agent, text, conversation)


def _said(agent: str) -> Iterator[str]:
    asking = sys.stdin.isatty()
    if asking:
        print(f"You talk with {agent}. Ctrl-D ends it.")
    while True:
        try:
            text = input("> " if asking else "").strip()
        except (EOFError, KeyboardInterrupt):
            print()
            return
        if text:
            yield text


class Turn:
    """One message and all that happens until its answer."""

    def __init__(self, platform: Api, tenant: str, *, pause: float = 1.0) -> None:
        """Play it on `platform` for `tenant`; a stream that breaks off is taken up again after `pause` seconds."""
        self._platform, self._tenant, self._pause = platform, tenant, pause
        self._streamed = ""
        self._asked: set[str] = set()
        self._begun: set[str] = set()

    def play(self, agent: str, text: str, conversation: str | None) -> str:
        """Say `text`, show what comes, and return the conversation it belongs to."""
        body = {"text": text} | ({"conversation": conversation} if conversation else {})
        told = self._platform.post(of_tenant(self._tenant, "agents", agent, "messages"), body)
        run = told["run"]["id"]
        try:
            self._follow(run, self._show)
        except KeyboardInterrupt:
            cancelled = self._platform.post(of_tenant(self._tenant, "runs", run, "cancel"))
            print(colour(f"\n(the run is {cancelled['state']})", "dim"))
        return str(told["message"]["conversation"])

    def _follow(self, run: str, show: Show) -> None:
        """Show what happens in `run` until it is over, whatever becomes of the line meanwhile."""
        seen, failures = 0, 0
        while True:
            try:
                for name, data in self._platform.events(
                    f"{of_tenant(self._tenant, 'runs', run, 'events')}?after={seen}"
                ):
                    show(run, name, data)
                    seen, failures = max(seen, data.get("seq", 0)), 0
                    if name in OVER:
                        return
            except Unavailable:
                if failures >= ATTEMPTS:
                    raise
            failures += 1
            time.sleep(self._pause)

    def _show(self, run: str, name: str, data: dict[str, Any]) -> None:
        match name:
            case "delta":
                self._streamed += data["text"]
                print(clean(data["text"]), end="", flush=True)
            case "reset" if self._streamed:
                self._end_line()
                print(colour("(it begins again)", "dim"))
            case "run.done" | "run.failed" | "run.cancelled":
                self._finish(name, data["data"])
            case _:
                self._show_work(run, name, data)

    def _show_work(self, run: str, name: str, data: dict[str, Any]) -> None:
        """Show the tools a run uses, what it delegates, and what it asks; a child's words are for its parent only."""
        match name:
            case "step.started" if data["data"].get("kind") == "tool" and data["data"].get("call") not in self._begun:
                self._begun.add(str(data["data"].get("call")))  # what waited for a person or child begins again
                self._end_line()
                print(colour(clean(f"· {data['data']['name']} {_short(data['data'].get('arguments'))}"), "dim"))
            case "child.started":
                self._follow(data["data"]["run"], self._show_work)
            case "run.waiting" if data["data"].get("waits_for") == "person":
                self._ask(run)
            case _:
                pass

    def _finish(self, kind: str, data: dict[str, Any]) -> None:
        output = data.get("output") or ""
        if kind == "run.done" and not (self._streamed and output.endswith(self._streamed)):
            self._end_line()
            print(clean(output), end="")
        self._streamed = self._streamed or output
        self._end_line()
        if kind == "run.failed":
            print(colour(clean(f"failed [{data.get('code')}]: {data.get('message')} {data.get('remedy', '')}"), "red"))

    def _end_line(self) -> None:
        if self._streamed:
            print()
        self._streamed = ""

    def _ask(self, run: str) -> None:
        """Ask the person here about each open question of the run."""
        self._end_line()
        for question in self._platform.items(of_tenant(self._tenant, "approvals"), state="asked"):
            if question["run"] != run or question["id"] in self._asked:
                continue
            self._asked.add(question["id"])
            print(f"{bold('May it?', file=sys.stdout)} {clean(asked(question))}")
            for sentence in beside(question):
                print(f"  {sentence}")
            how = "approve" if self._yes() else "deny"
            try:
                path = of_tenant(self._tenant, "approvals", question["id"], how)
                self._platform.post(path, {"hash": question["hash"]})
            except FreeholdError as error:
                print(colour(f"({error.message})", "red"))  # somebody else was faster; the run tells how it went on

    def _yes(self) -> bool:
        try:
            return input("  y/n: ").strip().lower() in {"y", "yes"}
        except EOFError:
            return False


def _short(arguments: Any, *, width: int = 100) -> str:
    text = json.dumps(arguments, ensure_ascii=False) if arguments else ""
    return text if len(text) <= width else text[: width - 1] + "…"
