"""A child carries one call out: what it is handed, what it may do, and what is told when it dies."""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from freehold.core.effects import EffectKind
from freehold.core.errors import Denied, FreeholdError, Invalid, Unavailable
from freehold.core.tools import Tool
from freehold.drivers.connector.smtp import Smtp
from freehold.gateway.asked import Behalf
from freehold.gateway.children import AT_ONCE, InChild, answer_of, call_of, told_of
from freehold.gateway.ports import ConnectorCall, Credential, NotSent, Reached
from freehold.testing.clock import FakeClock

SECRET = "hunter2hunter2"
FRAME = """
import json, os, sys, time
asked = json.loads(sys.stdin.buffer.read())
def say(**said):
    sys.stdout.write(json.dumps(said) + "\\n")
    sys.stdout.flush()
"""
SENT = "say(sent=True)\n"
DIES = "os.kill(os.getpid(), 9)\n"
HANGS = "time.sleep(60)\n"


def call(sent: list[str] | None = None, **arguments: Any) -> ConnectorCall:
    """Return a call that writes down in `sent` that it was sent."""
    told = [] if sent is None else sent
    return ConnectorCall(
        key="run_1/1/1/1",
        tool=Tool(name="send", description="", parameters={}, kind=EffectKind.MESSAGE, how={"a": 1}),
        arguments=arguments,
        to=Reached(
            owner="ten_1",
            name="mail",
            config={"b": 2},
            credential=Credential(SECRET),
            behalf=Behalf("ten_1", operators=True),
        ),
        sent=lambda: told.append("sent"),
    )


def child(does: str, *, seconds: float = 20) -> InChild:
    """Return what has `does` done by a child."""
    front = Smtp("smtp://127.0.0.1:1", "bot@example.org", FakeClock())
    words = (sys.executable, "-c", FRAME + does)
    return InChild(front, {"url": "u"}, hidden=Credential("made-of-this"), seconds=seconds, command=words)


async def came(does: str, *, seconds: float = 20) -> tuple[list[str], FreeholdError]:
    sent: list[str] = []
    with pytest.raises(FreeholdError) as caught:
        await child(does, seconds=seconds).perform(call(sent))
    return sent, caught.value


def test_a_call_comes_through_as_it_was() -> None:
    asked = call(text="hello")
    again = call_of(json.loads(json.dumps(told_of(asked))), asked.sent)
    assert again == asked
    assert again.to.credential.reveal() == SECRET


async def test_it_is_handed_one_call_with_its_credential_and_answers_once() -> None:
    sent: list[str] = []
    does = SENT + "say(result={'asked': asked, 'kind': sys.argv[1]})"
    told = await child(does).perform(call(sent, text="hello"))
    assert sent == ["sent"]
    assert told["kind"] == "smtp"
    assert told["asked"]["made"] == {"url": "u"}
    assert told["asked"]["call"]["to"]["credential"] == SECRET
    assert told["asked"]["parent"] == os.getpid()


@pytest.mark.parametrize(
    ("does", "seconds"),
    [(DIES, 20), ("say(result=3)", 20), ("print('hello')", 20), ("say(error='no')", 20), (HANGS, 0.5)],
)
async def test_what_dies_before_it_was_sent_has_done_nothing(does: str, seconds: float) -> None:
    sent, error = await came(does, seconds=seconds)
    assert sent == []
    assert (type(error), error.code) == (NotSent, "child_died")


@pytest.mark.parametrize(
    ("does", "seconds"), [(DIES, 20), ("print('x' * 9000000)", 20), ("say(result=[])", 20), (HANGS, 3)]
)
async def test_what_dies_after_it_was_sent_may_have_happened(does: str, seconds: float) -> None:
    sent, error = await came(SENT + does, seconds=seconds)
    assert sent == ["sent"]
    assert (type(error), error.code) == (Unavailable, "child_died")


@pytest.mark.parametrize(
    "error",
    [
        NotSent("Nobody there.", code="mail_unavailable", after=30.0),
        Unavailable("It broke off.", code="mail_unknown"),
        Invalid("No.", code="mail_rejected", remedy="Look."),
        Denied("No.", code="mail_refused"),
    ],
)
async def test_an_error_comes_through_as_it_was(error: FreeholdError) -> None:
    _, again = await came(f"say(**json.loads({json.dumps(answer_of(error))!r}))")
    assert type(again) is type(error)
    assert (again.code, again.message, again.remedy) == (error.code, error.message, error.remedy)


async def test_a_child_that_cannot_be_started_has_sent_nothing() -> None:
    front = Smtp("", "bot@example.org", FakeClock())
    with pytest.raises(NotSent):
        await InChild(front, {}, command=("/nowhere/at/all",)).perform(call())


async def test_what_it_complains_of_goes_to_the_log_without_what_it_was_handed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    does = "sys.stderr.write(asked['call']['to']['credential'] + ' made-of-this \\x1b[31m oh\\n')\n" + DIES
    await came(does)
    (said,) = caplog.messages
    assert said == "A child for smtp says: [secret] [secret]  [31m oh"


async def test_a_complaint_that_is_cut_is_not_cut_within_what_was_handed(caplog: pytest.LogCaptureFixture) -> None:
    does = "secret = asked['call']['to']['credential']\n"
    does += "sys.stderr.write(secret * 3 + 'x' * (4096 - 3 * len(secret) - 5) + secret + 'oh\\n')\n" + DIES
    await came(does)
    (said,) = caplog.messages
    assert said.count("[secret]") == 4
    assert SECRET[:4] not in said


async def test_more_calls_than_may_live_at_once_wait_and_leave_nothing_behind(tmp_path: Path) -> None:
    does = f"open(f'{tmp_path}/{{os.getpid()}}', 'w').close(); time.sleep(0.1)\n"
    does += (
        f"alive = len(os.listdir('{tmp_path}')); os.unlink(f'{tmp_path}/{{os.getpid()}}')\nsay(result={{'n': alive}})"
    )
    front, open_before = child(does), _files()
    others = set(_children(os.getpid()))  # of tests before this one, which go on
    results = await asyncio.gather(*(front.perform(call()) for _ in range(AT_ONCE + 3)))
    await until(lambda: _files() <= open_before)
    assert len(results) == AT_ONCE + 3
    assert max(int(result["n"]) for result in results) <= AT_ONCE
    assert set(_children(os.getpid())) <= others


async def test_a_call_that_nobody_waits_for_any_more_leaves_no_child(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    task = asyncio.create_task(child(f"open({str(pid)!r}, 'w').write(str(os.getpid()))\n{HANGS}").perform(call()))
    await until(lambda: pid.exists() and pid.read_text())
    task.cancel()
    await asyncio.wait({task})
    await until(lambda: not _lives(int(pid.read_text())))


async def test_it_sees_nothing_of_our_surroundings_and_inherits_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FREEHOLD_SMTP_URL", "smtp://x:y@z")
    kept, inheritable = (tmp_path / "open").open("w"), True
    os.set_inheritable(kept.fileno(), inheritable)
    does = "say(result={'open': os.listdir('/proc/self/fd'), 'sees': dict(os.environ), 'cwd': os.getcwd(), 'leads': os.getsid(0) == os.getpid()})"
    told = await child(does).perform(call())
    kept.close()
    assert set(told["sees"]) <= {"LC_CTYPE"}  # Python's own
    assert (len(told["open"]), told["cwd"], told["leads"]) == (4, "/", True)  # the three pipes, and the folder it lists


PROBE = """
import json, os, resource, sys
from freehold.app import connector_child
from freehold.gateway.ports import ConnectorDriver

class Probe:
    async def perform(self, call):
        print("this is no answer")
        call.sent()
        status = dict(line.split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
        try:
            with open(call.arguments["file"], "w") as file:
                file.write("x")
            wrote = True
        except OSError:
            wrote = False
        import ctypes
        return {
            "dumpable": ctypes.CDLL(None).prctl(3, 0, 0, 0, 0),
            "no_new_privs": status["NoNewPrivs"].strip(),
            "core": resource.getrlimit(resource.RLIMIT_CORE),
            "files": resource.getrlimit(resource.RLIMIT_NOFILE),
            "memory": resource.getrlimit(resource.RLIMIT_AS),
            "wrote": wrote,
            "leaked": [fd for fd in range(3, 64) if os.path.realpath(f"/proc/self/fd/{fd}") == "/dev/null"],
        }

connector_child.KINDS = {"smtp": lambda made, clock: Probe()}
sys.exit(connector_child.main())
"""


async def test_the_child_is_closed_off_before_it_reads_what_it_was_handed(tmp_path: Path) -> None:
    front = Smtp("", "bot@example.org", FakeClock())
    sent: list[str] = []
    leaks = ("/bin/sh", "-c", 'exec 9</dev/null; exec "$0" "$@"')
    probe = InChild(front, {}, command=(*leaks, sys.executable, "-c", PROBE))
    told = await probe.perform(call(sent, file=str(tmp_path / "file")))
    assert told == {
        "dumpable": 0,
        "no_new_privs": "1",
        "core": [0, 0],
        "files": [64, 64],
        "memory": [1 << 30, 1 << 30],
        "wrote": False,
        "leaked": [],
    }
    assert sent == ["sent"]


async def test_the_child_dies_with_its_parent(tmp_path: Path) -> None:
    begun = tmp_path / "pid"
    parent = f"""
import asyncio, os, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.unit.test_children import InChild, Smtp, FakeClock, call
PROBE = '''
import asyncio, os, sys
from freehold.app import connector_child
class Probe:
    async def perform(self, call):
        os.write(2, str(os.getpid()).encode())
        call.sent()
        await asyncio.sleep(60)
connector_child.KINDS = {{"smtp": lambda made, clock: Probe()}}
sys.exit(connector_child.main())
'''
def sent():
    open({str(begun)!r}, "w").write("sent")
async def main():
    front = Smtp("", "a@b.c", FakeClock())
    asked = call()
    import dataclasses
    asked = dataclasses.replace(asked, sent=sent)
    child = InChild(front, {{}}, command=(sys.executable, "-c", PROBE))
    await child.perform(asked)
asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", parent)
    await until(begun.exists)
    (born,) = _children(process.pid)
    process.kill()
    await process.wait()
    await until(lambda: not _lives(born))


async def test_a_real_child_says_that_there_is_no_mail_server() -> None:
    front = Smtp("smtp://127.0.0.1:1", "bot@example.org", FakeClock())
    made = {"url": "smtp://127.0.0.1:1", "sender": "bot@example.org"}
    sent: list[str] = []
    with pytest.raises(NotSent) as caught:
        await InChild(front, made).perform(call(sent, to="a@example.org", subject="s", text="t"))
    assert caught.value.code == "mail_unavailable"
    assert sent == []


async def until(what: Callable[[], object]) -> None:
    """Return once `what` is so."""
    async with asyncio.timeout(30):
        while True:
            if what():
                return
            await asyncio.sleep(0.01)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
