"""After a day of mixed work, no planted secret is anywhere but sealed in the vault and in the gateway's own memory."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from freehold.cli.calling import of_tenant
from freehold.core.errors import FreeholdError
from freehold.testing.platform import LocalPlatform, free_port
from tests.canaries import Echo, Finder, descendants, echo, planted, spellings
from tests.platforms import HOOK_SECRET, Desk, mailbox, patient, run_cli, told, until

KILLED_AT = 2
SAYINGS = ("look around", "please fail", "look again", "a page", "break it", "look once more")


def test_every_spelling_is_found_in_a_file_and_in_a_process(tmp_path: Path) -> None:
    secret, finder = planted("seen"), Finder()
    for name, spelt in spellings(secret).items():
        (tmp_path / "file").write_bytes(b"before" + spelt + b"after")
        assert finder.in_folder(tmp_path), name
    (tmp_path / "file").unlink()
    assert finder.in_folder(tmp_path) == []
    words = [sys.executable, "-c", "import sys; kept = sys.stdin.readline(); print(flush=True); sys.stdin.readline()"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(secret + "\n")
        process.stdin.flush()
        process.stdout.readline()
        assert finder.in_process(process.pid)
        process.stdin.write("\n")


@pytest.mark.long
def test_a_day_of_work_leaves_no_secret_anywhere(tmp_path: Path) -> None:
    kept = {name: planted(name) for name in ("model", "unused", "identity", "fresh")}
    mail = quote(planted("mail"), safe="")
    stated = {
        "FREEHOLD_SMTP_URL": f"smtp://freehold:{mail}@127.0.0.1:{free_port()}",
        "FREEHOLD_LOG_LEVEL": "debug",
        "FREEHOLD_MODEL_ATTEMPTS": "1",
    }
    with echo() as provider, mailbox() as box, LocalPlatform(tmp_path / "data", environment=stated) as platform:
        desk = Desk(platform)
        finder = Finder(HOOK_SECRET, settled(platform, desk, provider, kept))
        hits = worked(platform, desk, finder, desk.channel("acme", "ada", box.url))
        rekeyed(platform, desk, kept["fresh"])
        httpx.post(f"{platform.url}/api/v1/login/code", json={"email": "somebody@example.com"}, timeout=20)
        until(lambda: len(box.received) >= len(SAYINGS), why="a reply to every hook")
        hits += in_answers(finder, platform, desk) + in_processes(finder, platform)
        hits += finder.found("what the processes said", platform.said.encode())
    hits += finder.found("prompts", b"\n".join(provider.bodies))
    hits += finder.found("replies", repr(box.received).encode())
    hits += finder.in_folder(tmp_path)
    assert provider.keys == {kept["model"], kept["fresh"]}
    assert finder.looked_at > 10_000_000
    assert hits == []
    assert [path for path in tmp_path.rglob("core*") if path.is_file()] == []


def worked(platform: LocalPlatform, desk: Desk, finder: Finder, path: str) -> list[str]:
    """Let people and hooks say all there is to say, kill the gateway meanwhile, and return what was found."""
    hits = []
    for number, saying in enumerate(SAYINGS):
        message = desk.say("acme", saying, key=f"say-{number}")["message"]["id"]
        if number == KILLED_AT:
            platform.kill("gateway")
        desk.answered("acme", message)
        desk.hook(path, saying, key=f"hook-{number}")
        hits += in_processes(finder, platform, worker=False)
    return hits


def rekeyed(platform: LocalPlatform, desk: Desk, fresh: str) -> None:
    """Replace the model key, then the keys of the vault, and work on."""
    told(platform, "secret", "set", "api", "-t", "acme", input=fresh)
    told(platform, "secret", "rotate-key", "-t", "acme")
    told(platform, "secret", "rotate-key", "--master")
    desk.answered("acme", desk.say("acme", "look", key="last")["message"]["id"])
    assert told(platform, "secret", "scan")["faults"] == []


def settled(platform: LocalPlatform, desk: Desk, provider: Echo, kept: dict[str, str]) -> str:
    """Plant the secrets, make an agent that uses them, and return a model key."""
    told(platform, "tenant", "create", "acme")
    told(platform, "secret", "set", "api", "-t", "acme", input=kept["model"])
    told(platform, "secret", "set", "unused", "-t", "acme", input=kept["unused"])
    told(platform, "secret", "set", "oidc", "--platform", input=kept["identity"])
    told(platform, "destination", "allow", "here", "127.0.0.1:*", "-t", "acme")
    url = ("--base-url", provider.url)
    told(platform, "connection", "create", "openai", "them", "-t", "acme", *url, "--secret", "api")
    told(platform, "agent", "create", "ada", "-t", "acme", "-m", "them/gpt-x", "--tool", "shell=allow")
    made = patient(lambda: desk.api.post(of_tenant("acme", "model-keys"), {"name": "outside"}))
    return str(made["key"])


def in_processes(finder: Finder, platform: LocalPlatform, *, worker: bool = True) -> list[str]:
    """Look into every process that must hold nothing: the worker's and all sandboxes', and the words of all."""
    below, hits = descendants(platform.pid), []
    own = {pid for name, pid in platform.pids.items() if name != "worker" or not worker}
    for pid, words in below.items():
        hits += finder.found(f"words of {pid}", words.encode())
        if pid not in own and os.geteuid() == 0:
            hits += finder.in_process(pid)
    return hits


def in_answers(finder: Finder, platform: LocalPlatform, desk: Desk) -> list[str]:
    """Look into what the API and the command line tell."""
    hits = []
    for path in ("secrets", "connections", "runs", "agents", "usage", "audit", "model-keys", "channels"):
        with contextlib.suppress(FreeholdError):
            hits += finder.found(path, repr(desk.api.get(of_tenant("acme", path))).encode())
    for run in desk.api.items(of_tenant("acme", "runs")):
        hits += finder.found("events", repr(desk.events("acme", run["id"])).encode())
        hits += finder.found("steps", repr(desk.api.get(of_tenant("acme", "runs", run["id"], "steps"))).encode())
    for words in (
        ("audit", "export"),
        ("audit", "verify"),
        ("secret", "list", "-t", "acme"),
        ("gateway", "--packages"),
    ):
        done = run_cli(platform, *words)
        hits += finder.found(" ".join(words), (done.stdout + done.stderr).encode())
    return hits
