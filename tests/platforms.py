"""What tests of a whole platform share: an operator at its desk, a receiver of webhooks, patience with what restarts."""

import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import httpx
from typing_extensions import override

from freehold.cli.calling import Api, of_tenant
from freehold.cli.main import NOUNS
from freehold.cli.place import Place
from freehold.core.errors import Conflict, Unavailable
from freehold.testing.platform import LocalPlatform
from tests.typed import typed_here

T = TypeVar("T")

HOOK_KEY = b"0123456789abcdef0123456789abcdef"
HOOK_SECRET = "whsec_" + base64.b64encode(HOOK_KEY).decode()
TOOLS = {"shell": "allow", "write_file": "allow", "read_file": "allow", "list_files": "allow", "delete_file": "ask"}
ACTING = {"sandbox"}
"""Nouns whose commands do more than ask: these run in a process of their own."""
FINAL = {"done", "failed", "cancelled"}


def until(what: Callable[[], T | None], *, seconds: float = 60, why: str = "it") -> T:
    """Return what `what` returns as soon as that is something."""
    end = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"{why} did not happen within {seconds:g} s")
        time.sleep(0.05)


def patient(ask: Callable[[], T], *, seconds: float = 40) -> T:
    """Ask until the platform answers; one of its processes may be about to come back."""
    end = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except (Unavailable, httpx.HTTPError):
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def run_cli(
    platform: LocalPlatform,
    *words: str,
    input: str | None = None,  # noqa: A002
    key: str = "",
) -> subprocess.CompletedProcess[str]:
    """
    Run `freehold` as the operator of `platform`, or as whoever has `key`.

    Commands that do no more than ask web are run in this process: one of their own takes twenty times as long.
    """
    if words[0] not in NOUNS.keys() - ACTING:
        return run_apart(platform, *words, input=input, key=key)
    return typed_here(words, surroundings(platform, key), cwd=platform.data.parent, stdin=input or "")


def run_apart(
    platform: LocalPlatform,
    *words: str,
    input: str | None = None,  # noqa: A002
    key: str = "",
) -> subprocess.CompletedProcess[str]:
    """Do the same in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "freehold", *words],
        env=surroundings(platform, key),
        cwd=platform.data.parent,
        input=input,
        stdin=subprocess.DEVNULL if input is None else None,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def surroundings(platform: LocalPlatform, key: str) -> dict[str, str]:
    return platform.environment | ({"FREEHOLD_KEY": key, "FREEHOLD_URL": platform.url} if key else {})


def told(platform: LocalPlatform, *words: str, input: str | None = None) -> Any:  # noqa: A002
    done = run_cli(platform, *words, "--json", input=input)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


class Desk:
    """An operator of a platform, with what tests need often."""

    def __init__(self, platform: LocalPlatform) -> None:
        self.platform = platform
        self.api = Api(Place(url=platform.url, key=platform.key))

    def settle(self, tenant: str, agent: str = "ada", model: str = "rehearsal", **tools: str) -> None:
        """Make a tenant with an agent, however often it takes."""
        self.once("tenants", {"slug": tenant, "draft": False})
        self.once(of_tenant(tenant, "agents"), {"name": agent, "model": model, "tools": TOOLS | tools})

    def once(self, path: str, body: dict[str, Any]) -> None:
        """Make something; that it is there already is fine."""
        with contextlib.suppress(Conflict):
            patient(lambda: self.api.post(path, body))

    def channel(self, tenant: str, agent: str, reply_url: str) -> str:
        """Make a webhook channel and return its path; its replies go to a server of this machine's."""
        self.once("destinations", {"name": "here", "place": "127.0.0.1:*"})
        patient(lambda: self.api.post(of_tenant(tenant, "secrets"), {"name": "hook", "value": HOOK_SECRET}))
        body = {"kind": "webhook", "name": "hook", "agent": agent, "secret": "hook", "reply_url": reply_url}
        self.once(of_tenant(tenant, "channels"), body)
        [found] = patient(lambda: self.api.items(of_tenant(tenant, "channels")))
        return str(found["path"])

    def say(self, tenant: str, text: str, *, agent: str = "ada", key: str = "", wait: float = 0) -> dict[str, Any]:
        """Say something until it is accepted, and return how it stands."""
        headers = {"Authorization": f"Bearer {self.platform.key}"}
        headers |= {"Idempotency-Key": key} if key else {}
        headers |= {"Prefer": f"wait={wait:g}"} if wait else {}
        url = f"{self.platform.url}/api/v1/{of_tenant(tenant, 'agents', agent, 'messages')}"
        return self._accepted(lambda: httpx.post(url, json={"text": text}, headers=headers, timeout=wait + 20))

    def hook(self, path: str, text: str, *, key: str) -> dict[str, Any]:
        """Deliver a signed webhook until it is accepted."""
        body = json.dumps({"text": text, "conversation": key}).encode()

        def post() -> httpx.Response:
            stamp = str(int(time.time()))  # noqa: TID251 - a sender has a clock of its own
            signed = hmac.new(HOOK_KEY, f"{key}.{stamp}.".encode() + body, hashlib.sha256).digest()
            signature = "v1," + base64.b64encode(signed).decode()
            headers = {"webhook-id": key, "webhook-timestamp": stamp, "webhook-signature": signature}
            return httpx.post(self.platform.url + path, content=body, headers=headers, timeout=20)

        return self._accepted(post)

    def answered(self, tenant: str, message: str, *, seconds: float = 60) -> dict[str, Any]:
        """Return the message once it is answered or failed."""

        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = patient(lambda: self.api.get(of_tenant(tenant, "messages", message)))
            return found if found["message"]["state"] in {"answered", "failed"} else None

        return until(look, seconds=seconds, why=f"an answer to {message}")

    def ended(self, tenant: str, run: str, *, seconds: float = 60) -> dict[str, Any]:
        """Return the run once it is over."""

        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = patient(lambda: self.api.get(of_tenant(tenant, "runs", run)))
            return found if found["state"] in FINAL else None

        return until(look, seconds=seconds, why=f"the end of {run}")

    def events(self, tenant: str, run: str) -> list[dict[str, Any]]:
        """Return what happened in a run."""
        return patient(lambda: self.api.items(of_tenant(tenant, "runs", run, "events"), behind="after"))

    def _accepted(self, post: Callable[[], httpx.Response]) -> dict[str, Any]:
        def ask() -> dict[str, Any]:
            response = post()
            if response.status_code == 503:
                raise Unavailable(response.text)
            assert response.is_success, response.text
            told: dict[str, Any] = response.json()
            return told

        return patient(ask)


class Mailbox:
    """Where replies arrive: what was posted, by its `webhook-id`."""

    def __init__(self) -> None:
        self.received: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.url = ""

    def about(self, message: str) -> list[dict[str, Any]]:
        """Return the distinct deliveries about one message."""
        return [bodies[0] for bodies in self.received.values() if bodies[0]["data"]["message"] == message]


@contextlib.contextmanager
def mailbox() -> Iterator[Mailbox]:
    """Give a receiver of webhooks that listens while the block lasts, in a thread of its own."""
    box = Mailbox()

    class Receive(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            box.received[self.headers["webhook-id"]].append(json.loads(body))
            self.send_response(204)
            self.end_headers()

        @override
        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receive)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    box.url = f"http://127.0.0.1:{server.server_address[1]}/replies"
    try:
        yield box
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
