"""What happens in the demonstration, step by step; each step checks what it shows."""

import json
import os
import signal
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from freehold.cli.calling import Api, of_tenant
from freehold.cli.demo_shop import Shop
from freehold.cli.place import Place, surroundings
from freehold.cli.usage import in_words
from freehold.core.errors import FreeholdError, NotFound
from freehold.testing.platform import LocalPlatform

TENANT: Final = "acme"
WORKER_AGENT: Final = "ada"
TALKER: Final = "greeter"
BUYER: Final = "buyer"
CANARY: Final = "sk-demo-7f3a91-never-to-be-seen"
LINES: Final = 6
WAIT: Final = 40.0
TOOLS: Final = {
    "shell": "allow", "read_file": "allow", "write_file": "allow", "list_files": "allow", "delete_file": "ask",
}  # fmt: skip
PROGRAM: Final = (
    r"write primes.py: n = 2\nwhile n < 30:\n    if all(n % d for d in range(2, n)): print(n, end=' ')\n    n += 1\n"
)
NETWORK: Final = "run: python3 -c \"import socket; s = socket.socket(); s.settimeout(2); print(s.connect_ex(('1.1.1.1', 443)))\" 2>&1"
SEARCH: Final = f"run: env | grep -c {CANARY[:12]}; grep -rl {CANARY[:12]} / --exclude-dir=proc --exclude-dir=sys --exclude-dir=usr 2>/dev/null | wc -l"
FETCH: Final = (
    "run: python3 -c \"import http.client as h; c = h.HTTPConnection('127.0.0.1', 7071); "
    "c.request('GET', '/egress/shop/{}'); print(c.getresponse().read().decode())\""
)
PASSED_ON: Final = ("FREEHOLD_RUNTIME", "FREEHOLD_SANDBOX_CGROUPS")


class Story:
    """One tenant's first minute."""

    def __init__(self, data: Path) -> None:
        """Play on a platform over `data`."""
        around = surroundings()
        self._around = around
        self._platform = LocalPlatform(data, environment={name: around[name] for name in PASSED_ON if name in around})
        self._api: Api | None = None
        self._run = ""
        self.figures: dict[str, Any] = {"figures": {}}

    def steps(self) -> list[tuple[str, Callable[[], list[str]]]]:
        """Return the steps with their titles, in order."""
        return [
            ("Start web, worker and gateway", self.start),
            (f"Create the tenant {TENANT} and its agents", self.create),
            ("Ask a question", self.ask),
            ("Write a small program and run it in a sandbox", self.program),
            ("Look for a network and for secrets from inside the sandbox", self.probe),
            ("Let a program use an account outside whose key it never sees", self.account),
            ("Try to delete a file: that waits for a person", self.delete),
            ("Approve it", self.approve),
            ("Kill the worker in the middle of a run", self.kill),
            ("Verify the record of who did what", self.verify),
            ("Count usage and cost", self.count),
            ("Stop everything", self.stop),
        ]

    @property
    def api(self) -> Api:
        """Return the platform's API, as its operator."""
        if self._api is None:
            self._api = Api(Place(url=self._platform.url, key=self._platform.key))
        return self._api

    def said(self) -> str:
        """Return what the processes said."""
        return self._platform.said

    def close(self) -> None:
        """Leave nothing running."""
        self._platform.stop()

    def start(self) -> list[str]:
        """Start the platform."""
        began = time.perf_counter()
        self._platform.data.mkdir(parents=True)
        self._platform.start()
        self._note(start_ms=_since(began))
        pids = ", ".join(f"{name} {pid}" for name, pid in sorted(self._platform.pids.items()))
        return [f"It answers at {self._platform.url}; processes: {pids}."]

    def create(self) -> list[str]:
        """Create a tenant, a secret that must never be seen, and two agents."""
        self.api.post("tenants", {"slug": TENANT, "name": "Acme", "draft": False})
        self.api.post(of_tenant(TENANT, "secrets"), {"name": "canary", "value": CANARY})
        self._agent(WORKER_AGENT, "rehearsal?delay=0.1", TOOLS)
        model = self._talking_model()
        self._agent(TALKER, model, {})
        return [f"{WORKER_AGENT} has a sandbox and must ask before it deletes; {TALKER} talks, with the model {model}."]

    def ask(self) -> list[str]:
        """Ask a question and hear the answer."""
        began = time.perf_counter()
        reply = self._reply(TALKER, "Hello! What are you, in one sentence?")
        self._note(first_answer_ms=_since(began))
        return [f"> {reply}"]

    def program(self) -> list[str]:
        """Have a program written and run."""
        self._reply(WORKER_AGENT, PROGRAM)
        told = self._told(WORKER_AGENT, "run: python3 primes.py")
        _check("2 3 5 7 11 13 17 19 23 29" in told["reply"]["text"], "The program did not print the primes.")
        self._note(wake_ms=self._first_command(told["run"]["id"]))
        return ["It printed: 2 3 5 7 11 13 17 19 23 29"]

    def probe(self) -> list[str]:
        """Show that the sandbox reaches nothing and knows nothing."""
        network = self._reply(WORKER_AGENT, NETWORK)
        _check("101" in network or "nreachable" in network, f"The sandbox may have reached the network: {network}")
        found = self._reply(WORKER_AGENT, SEARCH)
        _check(CANARY not in found, "A secret was found inside the sandbox.")
        return ["Connecting out: Network is unreachable (errno 101).", "The tenant's secret: nowhere to be found."]

    def account(self) -> list[str]:
        """Have a program in the sandbox ask a server that wants a key."""
        shop = Shop()
        try:
            self.api.post(of_tenant(TENANT, "destinations"), {"name": "shop", "place": shop.place})
            config = {"base_url": f"http://{shop.place}", "allow": ["GET:/items"], "inject": "header:Authorization"}
            made = {"kind": "http", "name": "shop", "config": config, "secret": "canary"}
            self.api.post(of_tenant(TENANT, "connections"), made)
            self._agent(BUYER, "rehearsal", {"shell": "allow", "shop.get": "allow"})
            answer = self._reply(BUYER, FETCH.format("items"))
            refused = self._reply(BUYER, FETCH.format("customers"))
        finally:
            shop.close()
        _check(shop.shown == [f"Bearer {CANARY}"], f"The shop was shown {len(shop.shown)} keys, or another one.")
        _check("cake" in answer and "Bearer [secret]" in answer and CANARY not in answer, f"The answer was: {answer}")
        _check("path_refused" in refused, f"Another path was not refused: {refused}")
        return ["The shop saw the key and repeated it; the program read: Bearer [secret]. Another path: refused."]

    def delete(self) -> list[str]:
        """Ask for something harmful; the run parks."""
        body = {"text": "delete primes.py"}
        told = self.api.post(of_tenant(TENANT, "agents", WORKER_AGENT, "messages"), body, wait=WAIT)
        self._run = told["run"]["id"]
        _check(told["message"]["state"] == "waiting", f"It did not wait but is {told['message']['state']}.")
        [question] = self._questions()
        self._note(approval_hash=question["hash"])
        return [f"It asks: may I {question['operation']} {json.dumps(question['arguments'])}?"]

    def approve(self) -> list[str]:
        """Say yes; exactly what was shown happens, once."""
        [question] = self._questions()
        path = of_tenant(TENANT, "approvals", question["id"], "approve")
        self.api.post(path, {"hash": question["hash"]})
        self._finished(self._run)
        listed = self._reply(WORKER_AGENT, "list")
        _check("primes.py" not in listed, "The file is still there.")
        return ["The run went on, and the file is gone."]

    def kill(self) -> list[str]:
        """Kill the worker while a run is under way, and see the run end with each effect once."""
        text = f"repeat {LINES}: run: echo once >> effects.log"
        run = self.api.post(of_tenant(TENANT, "runs"), {"agent": WORKER_AGENT, "input": text})["id"]
        self._until(run, lambda events: sum(_is_tool(event) for event in events) >= LINES // 3)
        os.kill(self._platform.pids["worker"], signal.SIGKILL)
        began = time.perf_counter()
        ended = self._finished(run)
        self._note(recovery_ms=_since(began))
        _check(ended["state"] == "done", f"The run is {ended['state']}: {ended.get('error')}")
        reply = self._reply(WORKER_AGENT, "run: wc -l < effects.log")
        _check(str(LINES) in reply, f"There should be {LINES} lines: {reply}")
        self._note(effects_wanted=LINES, effects_found=LINES)
        return [
            f"SIGKILL after {LINES // 3} of {LINES} commands; a new worker finished the run: {LINES} lines, each once."
        ]

    def verify(self) -> list[str]:
        """Verify both chains of the record."""
        found = self.api.get("audit/verify")
        _check(bool(found["ok"]), f"The record is not whole: {found}")
        return ["Every link of the record is as it was written."]

    def count(self) -> list[str]:
        """Show what was used."""
        usage = self.api.get(of_tenant(TENANT, "usage"))
        total = usage["total"]
        self.figures["usage"] = usage["kinds"]
        self.figures["cost_nano"] = total["cost_nano"]
        return in_words(usage)

    def stop(self) -> list[str]:
        """Stop the platform."""
        began = time.perf_counter()
        status = self._platform.stop()
        self._note(stop_ms=_since(began))
        _check(status == 0, f"Stopping ended with status {status}.")
        return []

    def _note(self, **figures: Any) -> None:
        self.figures["figures"] |= figures

    def _agent(self, name: str, model: str, tools: dict[str, str]) -> None:
        body = {"name": name, "model": model, "instructions": "You are a friendly colleague.", "tools": tools}
        self.api.post(of_tenant(TENANT, "agents"), body)

    def _talking_model(self) -> str:
        address, key = self._around.get("OPENAI_BASE_URL"), self._around.get("OPENAI_API_KEY")
        if not address or not key:
            return "rehearsal"
        # The platform's own: whoever plays this runs it, and may mean a server in a private network.
        self.api.post("secrets", {"name": "openai-key", "value": key})
        body = {"kind": "openai", "name": "openai", "config": {"base_url": address}, "secret": "openai-key"}
        self.api.post("connections", body)
        return f"openai/{self._around.get('OPENAI_MODEL', 'gpt-4o-mini')}"

    def _told(self, agent: str, text: str) -> dict[str, Any]:
        told: dict[str, Any] = self.api.post(of_tenant(TENANT, "agents", agent, "messages"), {"text": text}, wait=WAIT)
        if error := told.get("error"):
            raise FreeholdError(error["message"], code=error["code"], remedy=error.get("remedy", ""))
        _check(bool(told.get("reply")), f"No answer within {WAIT:g} s; the message is {told['message']['state']}.")
        return told

    def _reply(self, agent: str, text: str) -> str:
        return str(self._told(agent, text)["reply"]["text"])

    def _questions(self) -> list[dict[str, Any]]:
        found = self.api.items(of_tenant(TENANT, "approvals"), state="asked")
        if not found:
            raise NotFound("Nobody asks anything.")
        return found

    def _events(self, run: str) -> list[dict[str, Any]]:
        return self.api.items(of_tenant(TENANT, "runs", run, "events"), behind="after")

    def _until(self, run: str, enough: Callable[[list[dict[str, Any]]], bool]) -> None:
        until = time.monotonic() + WAIT
        while not enough(self._events(run)):
            _check(time.monotonic() < until, "The run does not get anywhere.")
            time.sleep(0.02)

    def _finished(self, run: str) -> dict[str, Any]:
        until = time.monotonic() + WAIT
        while True:
            found: dict[str, Any] = self.api.get(of_tenant(TENANT, "runs", run))
            if found["state"] in {"done", "failed", "cancelled"}:
                return found
            _check(time.monotonic() < until, f"The run is still {found['state']}.")
            time.sleep(0.05)

    def _first_command(self, run: str) -> int:
        """Return the milliseconds of a run's first command: waking its sandbox, and the command itself."""
        began = {event["data"]["key"]: event for event in self._events(run) if event["type"] == "step.started"}
        ended = next(event for event in self._events(run) if _is_tool(event))
        return round((_at(ended) - _at(began[ended["data"]["key"]])).total_seconds() * 1000)


def _is_tool(event: dict[str, Any]) -> bool:
    return bool(event["type"] == "step.finished" and event["data"].get("kind") == "tool")


def _at(event: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(event["at"])


def _check(fine: bool, otherwise: str) -> None:
    if not fine:
        raise FreeholdError(otherwise, code="demo_failed", remedy="This should not happen; please report it.")


def _since(began: float) -> int:
    return round((time.perf_counter() - began) * 1000)
