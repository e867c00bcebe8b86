"""A whole platform of real processes, as an operator meets it: through the command line and the API."""

import asyncio
import json
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from freehold.cli.calling import of_tenant
from freehold.testing.platform import LocalPlatform
from freehold.testing.providers import Says, provider
from tests.platforms import HOOK_SECRET, Desk, mailbox, run_apart, run_cli, told, until
from tools import verify_audit


def test_health_needs_no_key_and_everything_else_does(platform: LocalPlatform) -> None:
    assert httpx.get(f"{platform.url}/healthz").json() == {"ok": True, "web": True, "worker": True, "gateway": True}
    refused = httpx.get(f"{platform.url}/api/v1/tenants")
    assert refused.status_code == 401
    assert refused.headers["content-type"] == "application/problem+json"


def test_the_operator_key_is_for_its_owner_alone(platform: LocalPlatform) -> None:
    path = platform.data / "operator.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_text().splitlines()) == 1


@pytest.mark.root
def test_started_by_root_the_processes_are_users_of_their_own(platform: LocalPlatform) -> None:
    uids = {name: Path(f"/proc/{pid}").stat().st_uid for name, pid in platform.pids.items()}
    status = {name: Path(f"/proc/{pid}/status").read_text() for name, pid in platform.pids.items()}
    found = {name: int(text.split("\nUid:\t")[1].split("\t")[0]) for name, text in status.items()}
    assert found["web"] == found["worker"] != found["gateway"]
    assert 0 not in found.values()
    assert set(uids) == {"web", "worker", "gateway"}
    gateway = platform.data / "gateway"
    assert (gateway.stat().st_uid, stat.S_IMODE(gateway.stat().st_mode)) == (found["gateway"], 0o700)


def test_from_nothing_to_an_answer_by_commands_alone(platform: LocalPlatform) -> None:
    told(platform, "tenant", "create", "byhand", "--name", "By hand")
    told(platform, "agent", "create", "ada", "-t", "byhand", "-m", "rehearsal", "--tool", "shell=allow")
    done = run_cli(platform, "message", "send", "ada", "run: echo $((6*7))", "-t", "byhand", "--wait", "30")
    assert done.returncode == 0, done.stderr
    assert "42" in done.stdout
    listed = run_cli(platform, "run", "list", "-t", "byhand")
    assert "done" in listed.stdout


def test_an_approval_is_asked_for_and_given_by_commands(platform: LocalPlatform) -> None:
    told(platform, "tenant", "create", "asking")
    told(
        platform, "agent", "create", "ada", "-t", "asking", "-m", "rehearsal", "--tool", "write_file=allow",
        "--tool", "delete_file=ask", "--tool", "list_files=allow",
    )  # fmt: skip
    run_cli(platform, "message", "send", "ada", "write a.txt: hello", "-t", "asking", "--wait", "30")
    waiting = told(platform, "message", "send", "ada", "delete a.txt", "-t", "asking", "--wait", "30")
    assert waiting["message"]["state"] == "waiting"
    [question] = told(platform, "approval", "list", "-t", "asking")
    assert (question["operation"], question["arguments"]) == ("delete_file", {"path": "a.txt"})
    stale = run_cli(platform, "approval", "approve", question["id"], "-t", "asking", "--hash", "0" * 64)
    assert stale.returncode == 1
    assert "stale" in stale.stderr
    done = run_cli(platform, "approval", "approve", question["id"], "-t", "asking")
    assert "is approved" in done.stdout, done.stderr
    run = waiting["run"]["id"]
    assert Desk(platform).ended("asking", run)["state"] == "done"
    again = run_cli(platform, "approval", "approve", question["id"], "-t", "asking", "--json")
    assert again.returncode == 1
    assert json.loads(again.stdout)["status"] == 409
    listed = run_cli(platform, "message", "send", "ada", "list", "-t", "asking", "--wait", "30")
    assert "a.txt" not in listed.stdout


def test_a_secret_comes_from_standard_input_and_never_comes_back(platform: LocalPlatform) -> None:
    told(platform, "tenant", "create", "quiet")
    told(platform, "secret", "set", "token", "-t", "quiet", input="sk-canary-51\n")
    listed = run_cli(platform, "secret", "list", "-t", "quiet")
    assert "token" in listed.stdout
    everything = b"".join(path.read_bytes() for path in platform.data.rglob("*") if path.is_file())
    assert b"sk-canary-51" not in everything
    assert "sk-canary-51" not in platform.said


def test_a_new_version_leaves_the_run_that_waits_on_its_own(platform: LocalPlatform, desk: Desk) -> None:
    desk.settle("versions")
    desk.say("versions", "write a.txt: x", wait=30)
    waiting = desk.say("versions", "delete a.txt", wait=30)
    told(platform, "agent", "update", "ada", "-t", "versions", "--tool", "delete_file=deny")
    [question] = desk.api.items(of_tenant("versions", "approvals"), state="asked")
    path = of_tenant("versions", "approvals", question["id"], "approve")
    desk.api.post(path, {"hash": question["hash"]})
    ended = desk.ended("versions", waiting["run"]["id"])
    assert ended["version"] == waiting["run"]["version"]
    assert "a.txt" not in desk.say("versions", "list", wait=30)["reply"]["text"]
    assert len(desk.api.items(of_tenant("versions", "agents", "ada", "versions"))) == 2


def test_a_run_is_followed_and_cancelled_within_a_second(platform: LocalPlatform, desk: Desk) -> None:
    desk.settle("slow", model="rehearsal?delay=60")
    run = told(platform, "run", "start", "-a", "ada", "-t", "slow", "-i", "hello")["id"]
    until(lambda: any(event["type"] == "step.started" for event in desk.events("slow", run)), why="a step")
    began = time.monotonic()
    assert "is cancelled" in run_cli(platform, "run", "cancel", run, "-t", "slow").stdout
    followed = run_cli(platform, "run", "events", run, "-t", "slow", "--follow")
    assert "run.cancelled" in followed.stdout
    assert time.monotonic() - began < 4  # two commands are in it
    seen = desk.say("slow", "hi")["message"]["state"]
    assert seen in {"queued", "running"}


def test_a_child_does_what_was_delegated(desk: Desk) -> None:
    desk.settle("family", delegate="allow")
    reply = desk.say("family", "delegate: run: echo from-the-child", wait=40)["reply"]["text"]
    assert "from-the-child" in reply
    runs = desk.api.items(of_tenant("family", "runs"))
    assert {run["trigger"] for run in runs} == {"message", "child"}


def test_a_webhook_is_answered_by_a_webhook(desk: Desk) -> None:
    desk.settle("hooked")
    with mailbox() as box:
        path = desk.channel("hooked", "ada", box.url)
        first = desk.hook(path, "run: echo hooked", key="one")["message"]["id"]
        assert desk.hook(path, "run: echo hooked", key="one")["message"]["id"] == first
        until(lambda: box.about(first), why="the reply")
        [reply] = box.about(first)
    assert reply["type"] == "message.answered"
    assert "hooked" in reply["data"]["text"]
    unsigned = httpx.post(desk.platform.url + path, json={"text": "hi"}, headers={"webhook-id": "two"})
    assert unsigned.status_code in {401, 403}
    assert HOOK_SECRET not in unsigned.text


def test_neighbours_see_nothing_of_each_other(platform: LocalPlatform, desk: Desk) -> None:
    for name in ("here", "there"):
        desk.settle(name)
    desk.say("there", "write secret.txt: treasure", wait=30)
    assert (
        "treasure"
        not in desk.say("here", "run: cat secret.txt; ls -R / 2>/dev/null | grep secret.txt", wait=40)["reply"]["text"]
    )
    key = told(platform, "key", "create", "-t", "here", "--scope", "runs:read")["key"]
    headers = {"Authorization": f"Bearer {key}"}
    foreign = httpx.get(f"{platform.url}/api/v1/tenants/there/runs", headers=headers)
    missing = httpx.get(f"{platform.url}/api/v1/tenants/nobody/runs", headers=headers)
    assert (foreign.status_code, foreign.content) == (404, missing.content)


def test_the_record_verifies_here_and_offline(platform: LocalPlatform, desk: Desk, tmp_path: Path) -> None:
    desk.settle("recorded")
    assert run_cli(platform, "audit", "verify").returncode == 0
    file = tmp_path / "audit.jsonl"
    assert run_cli(platform, "audit", "export", "-o", str(file)).returncode == 0
    assert run_cli(platform, "audit", "verify", str(file)).returncode == 0
    file.write_text(file.read_text().replace("tenant.create", "tenant.destroy", 1))
    forged = run_cli(platform, "audit", "verify", str(file))
    assert forged.returncode == 1
    assert "changed" in forged.stderr


def test_an_outsider_verifies_a_tenants_record_with_one_file(
    platform: LocalPlatform, desk: Desk, tmp_path: Path
) -> None:
    desk.settle("watched")
    desk.say("watched", "run: true", wait=30)
    key, file = tmp_path / "audit.pub", tmp_path / "watched.jsonl"
    key.write_text(run_cli(platform, "audit", "key").stdout)
    anchored = run_cli(platform, "audit", "anchor", "--json")
    assert anchored.returncode == 0
    assert json.loads(anchored.stdout)["number"] >= 1
    assert run_cli(platform, "audit", "export", "-t", "watched", "-o", str(file)).returncode == 0
    alone = [sys.executable, "-I", "-S", verify_audit.__file__, str(file), "--key", str(key)]
    judged = subprocess.run(alone, capture_output=True, text=True, check=False, cwd="/")
    assert (judged.returncode, judged.stderr) == (0, "")
    assert "in 2 chains" in judged.stdout
    run = json.loads(run_cli(platform, "run", "list", "-t", "watched", "--json").stdout)[0]["id"]
    rows = json.loads(run_cli(platform, "audit", "list", "-t", "watched", "--run", run, "--json").stdout)
    assert {row["store"] for row in rows} == {"database", "gateway"}
    assert {"message.accept", "effect.open", "effect.done", "run.done"} <= {row["action"] for row in rows}


def test_usage_counts_models_and_sandboxes(platform: LocalPlatform, desk: Desk) -> None:
    desk.settle("metered", model="rehearsal?usage=100,50")
    desk.say("metered", "run: true", wait=30)

    def kinds_used() -> dict[str, Any] | None:
        found: dict[str, Any] = desk.api.get(of_tenant("metered", "usage"))["kinds"]
        return found if "sandbox" in found else None

    kinds = until(kinds_used, why="usage of a sandbox")
    assert kinds["model"]["cost_nano"] == 2 * (100 * 1_000 + 50 * 4_000)
    assert kinds["sandbox"]["wakes"] == 1
    shown = run_cli(platform, "usage", "-t", "metered")
    first, *_, total, month = (" ".join(line.split()) for line in shown.stdout.splitlines())
    assert first == "model 2 calls, 200 tokens in, 100 tokens out, $0.000600"
    assert (total, month) == ("total $0.000600", "month $0.0006 spent, $0.00 held, no limit")


def test_a_noun_answers_within_the_time_of_one_request(platform: LocalPlatform) -> None:
    def once() -> float:
        began = time.perf_counter()
        assert run_apart(platform, "tenant", "list", "--json").returncode == 0
        return time.perf_counter() - began

    assert min(once() for _ in range(5)) < 0.5  # 0.3 s on a quiet machine; the benchmark says how long


def test_a_chat_streams_shows_its_tools_and_asks_on_the_spot(platform: LocalPlatform, desk: Desk) -> None:
    desk.settle("chatty", model="rehearsal?pieces=5")
    said = "hello\nwrite a.txt: x\ndelete a.txt\ny\ndelete a.txt\nn\nlist\n"
    done = run_cli(platform, "chat", "ada", "-t", "chatty", input=said)
    assert done.returncode == 0, done.stderr
    assert "rehearsal" in done.stdout
    assert '· write_file {"content": "x", "path": "a.txt"}' in done.stdout
    assert 'May it? delete_file {"path": "a.txt"}' in done.stdout
    assert "a.txt is deleted" in done.stdout
    assert {found["state"] for found in desk.api.items(of_tenant("chatty", "approvals"))} == {"approved", "denied"}
    assert len({run["conversation"] for run in desk.api.items(of_tenant("chatty", "runs"))}) == 1


async def test_any_openai_compatible_provider_answers(platform: LocalPlatform, desk: Desk) -> None:
    async with provider(Says(pieces=["Good ", "day."], usage=(7, 3))) as counterpart:
        desk.once("destinations", {"name": "here", "place": "127.0.0.1:*"})
        await asyncio.to_thread(told, platform, "tenant", "create", "outside")
        await asyncio.to_thread(told, platform, "secret", "set", "key", "-t", "outside", input="sk-outside-77")
        await asyncio.to_thread(
            told, platform, "connection", "create", "openai", "them", "-t", "outside",
            "--base-url", counterpart.base_url, "--secret", "key",
        )  # fmt: skip
        await asyncio.to_thread(told, platform, "agent", "create", "ada", "-t", "outside", "-m", "them/gpt-x")
        reply = await asyncio.to_thread(
            told, platform, "message", "send", "ada", "hello", "-t", "outside", "--wait", "30"
        )
    assert reply["reply"]["text"] == "Good day."
    assert counterpart.headers[0]["Authorization"] == "Bearer sk-outside-77"
    assert counterpart.requests[0]["model"] == "gpt-x"
