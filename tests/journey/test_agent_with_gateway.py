"""A turn with a real gateway and the rehearsal model; only the sandbox and the journal are in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from freehold.agents.connection_tools import ConnectionTools
from freehold.agents.delegating import Delegating
from freehold.agents.framing import Instructions
from freehold.agents.loop import body_of
from freehold.agents.sandbox_tools import SandboxTools
from freehold.core.agents import Spec
from freehold.core.effects import Verdict
from freehold.runs.endings import Done, Fail, Park
from freehold.testing.guests import MemoryGuest, MemorySandboxes, printing
from freehold.testing.segments import Died, Stage
from tests.gateways import AGENT, RUN, SECRET, TENANT, VERSION, Kit, running

TOOLS = {"shell": "allow", "write_file": "allow", "delete_file": "ask", "list_files": "deny", "delegate": "allow"}


@asynccontextmanager
async def played(
    data: Path, *, model: str = "rehearsal", tools: dict[str, str] | None = None
) -> AsyncIterator[tuple[Kit, Stage, MemoryGuest]]:
    """Give a gateway that has published the stage's version, and the stage."""
    named = TOOLS if tools is None else tools
    async with running(data) as kit:
        await kit.publish(model, named)
        guest = MemoryGuest({"python3 a.py": printing("42\n"), "date": printing("today\n")})
        sandboxes = MemorySandboxes(guest)
        body = body_of(
            gateway=kit.worker,
            sandboxes=sandboxes,
            tools=[
                SandboxTools(kit.worker, sandboxes, timeout=60),
                ConnectionTools(kit.worker),
                Delegating(kit.worker),
            ],
            contexts=[Instructions()],
            model_attempts=3,
        )
        spec = Spec(model=model, tools={name: Verdict(verdict) for name, verdict in named.items()})
        stage = Stage(body, spec)
        assert (stage.tenant.id, stage.run.agent, stage.run.version, stage.run.id) == (TENANT, AGENT, VERSION, RUN)
        yield kit, stage, guest


async def test_it_writes_and_runs_a_program(tmp_path: Path) -> None:
    async with played(tmp_path) as (_kit, stage, guest):
        ending = await stage.say("write a.py: print(6*7)\nrun: python3 a.py")
        assert isinstance(ending, Done)
        assert "42" in ending.output
        assert guest.files == {"a.py": b"print(6*7)"}


async def test_a_person_approves_in_the_gateway_and_then_it_happens(tmp_path: Path) -> None:
    async with played(tmp_path) as (kit, stage, guest):
        guest.files["a.py"] = b""
        ending = await stage.say("delete a.py")
        assert isinstance(ending, Park)
        (question,) = ending.questions
        await kit.web.decide(tenant=TENANT, key=question.key, hash=question.hash, approve=True, by="ann")
        resumed = await stage.resume(ending, approve=True)
        assert isinstance(resumed, Done)
        assert guest.files == {}
        assert "effect.done" in await kit.actions()


async def test_a_person_denies_and_the_model_says_so(tmp_path: Path) -> None:
    async with played(tmp_path) as (kit, stage, guest):
        guest.files["a.py"] = b""
        ending = await stage.say("delete a.py")
        assert isinstance(ending, Park)
        (question,) = ending.questions
        await kit.web.decide(tenant=TENANT, key=question.key, hash=question.hash, approve=False, by="ann")
        resumed = await stage.resume(ending, approve=False)
        assert isinstance(resumed, Done)
        assert "refused: A person denied this." in resumed.output
        assert guest.files == {"a.py": b""}


async def test_a_denied_tool_is_refused_by_the_gateway(tmp_path: Path) -> None:
    async with played(tmp_path) as (_kit, stage, _guest):
        ending = await stage.say("list")
        assert isinstance(ending, Done)
        assert "it was refused" in ending.output


async def test_a_child_answers(tmp_path: Path) -> None:
    async with played(tmp_path) as (_kit, stage, _guest):
        ending = await stage.say("delegate: count")
        assert isinstance(ending, Park)
        stage.child_ended(ending.children[0].call, output="three")
        resumed = await stage.resume(ending)
        assert isinstance(resumed, Done)
        assert "three" in resumed.output


async def test_each_repetition_is_a_step_of_the_model(tmp_path: Path) -> None:
    async with played(tmp_path) as (_kit, stage, guest):
        await stage.say("repeat 3: run: date")
        assert guest.ran == ["date"] * 3
        assert [key for key in stage.journal.steps if key.endswith("/0")] == [f"{RUN}/1/{n}/0" for n in (1, 2, 3, 4)]


async def test_a_provider_that_fails_twice_answers_the_third_time(tmp_path: Path) -> None:
    async with played(tmp_path, model="rehearsal?fail=429x2") as (_kit, stage, _guest):
        assert isinstance(await stage.say("hello"), Done)


async def test_a_provider_that_refuses_fails_the_run_with_its_code(tmp_path: Path) -> None:
    async with played(tmp_path, model="rehearsal?fail=401") as (_kit, stage, _guest):
        ending = await stage.say("hello")
        assert isinstance(ending, Fail)
        assert ending.code == "provider_refused"


async def test_a_worker_that_dies_after_each_step_in_turn_does_everything_once(tmp_path: Path) -> None:
    async with played(tmp_path) as (kit, stage, guest):
        steps = [f"{RUN}/1/1/0", f"{RUN}/1/1/1", f"{RUN}/1/2/0"]
        stage.journal.dies_at = steps[0]
        ending = None
        for n in range(len(steps) + 1):
            try:
                ending = await (stage.again() if n else stage.say("run: date"))
            except Died:
                stage.journal.dies_at = steps[n + 1] if n + 1 < len(steps) else ""
        assert isinstance(ending, Done)
        assert guest.ran == ["date"]
        assert (await kit.web.usage(TENANT, run=RUN))["total"]["count"] == 2


async def test_an_outside_account_is_reached_through_the_gateway_alone(tmp_path: Path) -> None:
    async with played(tmp_path, tools={}) as (kit, stage, _guest):
        await kit.web.set_secret(TENANT, "hook", SECRET, by="ann")
        config = {"url": "http://127.0.0.1:9/nobody"}
        await kit.web.create_connection(TENANT, kind="webhook", name="crm", config=config, secret="hook", by="ann")
        ending = await stage.say('call crm post {"a": 1}')
        assert isinstance(ending, Done)
        assert "it was refused" in ending.output
