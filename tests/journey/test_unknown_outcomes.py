"""What may have happened, or may not: the run stands still, a person looks and says whether it is done once more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP
from sqlalchemy import text

from freehold.agents.connection_tools import ConnectionTools
from freehold.agents.loop import body_of
from freehold.core.agents import Spec
from freehold.core.approvals import OUTCOME_UNKNOWN, ApprovalState
from freehold.core.effects import Effect, EffectState, Verdict
from freehold.core.errors import Conflict
from freehold.core.runs import WaitsFor
from freehold.runs.endings import Done, Ending, Park, Question
from freehold.testing.gateways import Line, MemoryGateway
from freehold.testing.guests import MemoryGuest, MemorySandboxes
from freehold.testing.segments import Died, Stage
from tests.gateways import TENANT, Kit, running, work
from tests.turns import Set, set_up

KEY = "run_1/1/1/1"
ADD: Line = [("crm.add", {"name": "Ann"})]
MAIL: Line = [("mail.send", {"to": "ada@example.org", "subject": "Hello", "text": "How are you?"})]


def question_of(ending: Ending) -> Question:
    assert isinstance(ending, Park)
    assert ending.waits_for is WaitsFor.PERSON
    (question,) = ending.questions
    return question


def breaking(*lines: Line, times: int = 1) -> Set:
    played = set_up([ADD, *lines], tools={"crm.add": "allow"})
    played.gateway.breaking_off = times
    return played


class TestTheRun:
    """Against a gateway in memory."""

    async def test_asks_about_the_same_bytes_under_the_same_key_and_says_why(self) -> None:
        played = breaking()
        question = question_of(await played.stage.say("add Ann"))
        assert (question.key, question.reason, question.kind) == (KEY, OUTCOME_UNKNOWN, "message")
        assert (question.connection, question.operation, question.arguments) == ("crm", "add", {"name": "Ann"})
        assert question.hash == played.gateway.effects[KEY].hash
        assert played.results() == []

    async def test_asks_also_where_nobody_attends_it(self) -> None:
        played = breaking()
        played.stage.run = replace(played.stage.run, attended=False)
        assert question_of(await played.stage.say("add Ann")).reason == OUTCOME_UNKNOWN

    async def test_does_it_once_more_when_a_person_says_so(self) -> None:
        played = breaking("Added.")
        ending = await played.stage.say("add Ann")
        played.gateway.approve(KEY)
        assert await played.stage.resume(ending, approve=True) == Done("Added.")
        assert played.gateway.performed == [KEY, KEY]
        assert played.results() == [{"ok": True}]

    @pytest.mark.parametrize(
        ("expire", "tag", "code"), [(False, "refused", "not_repeated"), (True, "error", "outcome_unknown")]
    )
    async def test_tells_the_model_not_to_repeat_it_otherwise(self, *, expire: bool, tag: str, code: str) -> None:
        played = breaking("I leave it.")
        ending = await played.stage.say("add Ann")
        assert await played.stage.resume(ending, approve=False, expire=expire) == Done("I leave it.")
        assert played.gateway.performed == [KEY]
        (told,) = played.results()
        assert isinstance(told, dict)
        assert told[tag]["code"] == code
        assert "Do not repeat it" in told[tag]["remedy"]

    async def test_asks_anew_each_time_it_breaks_off(self) -> None:
        played = breaking("Added.", times=3)
        ending = await played.stage.say("add Ann")
        for _ in range(2):
            played.gateway.approve(KEY)
            ending = await played.stage.resume(ending, approve=True)
            assert question_of(ending).key == KEY
        played.gateway.approve(KEY)
        assert await played.stage.resume(ending, approve=True) == Done("Added.")
        assert played.gateway.performed == [KEY] * 4

    async def test_goes_by_the_newest_question_in_whatever_order_they_come(self) -> None:
        played = breaking("I leave it.", times=2)
        first = await played.stage.say("add Ann")
        played.gateway.approve(KEY)
        second = await played.stage.resume(first, approve=True)
        denied = played.stage.decided(9, question_of(second), ApprovalState.DENIED)
        played.stage.approvals.insert(0, denied)
        assert isinstance(second, Park)
        assert await played.stage.resume(replace(second, questions=())) == Done("I leave it.")
        assert played.gateway.performed == [KEY, KEY]

    async def test_asks_first_and_then_about_what_came_of_it(self) -> None:
        played = set_up([ADD, "Added."], tools={"crm.add": "ask"})
        played.gateway.breaking_off = 1
        ending = await played.stage.say("add Ann")
        reasons = [question_of(ending).reason]
        played.gateway.approve(KEY)
        ending = await played.stage.resume(ending, approve=True)
        reasons.append(question_of(ending).reason)
        played.gateway.approve(KEY)
        assert await played.stage.resume(ending, approve=True) == Done("Added.")
        assert reasons == ["", OUTCOME_UNKNOWN]

    async def test_a_claim_of_an_approval_repeats_nothing(self) -> None:
        played = breaking("Added.")
        ending = await played.stage.say("add Ann")
        assert question_of(await played.stage.resume(ending, approve=True)).reason == OUTCOME_UNKNOWN
        assert played.gateway.performed == [KEY]

    async def test_asks_once_though_its_worker_dies_over_it(self) -> None:
        played = breaking("Added.")
        played.stage.journal.dies_at = KEY
        with pytest.raises(Died):
            await played.stage.say("add Ann")
        assert question_of(await played.stage.again()).key == KEY
        assert played.gateway.performed == [KEY]

    async def test_what_was_approved_is_done_once_though_the_worker_dies_over_it(self) -> None:
        played = breaking("Added.")
        ending = await played.stage.say("add Ann")
        played.gateway.approve(KEY)
        played.stage.journal.dies_at = f"{KEY}/2"
        with pytest.raises(Died):
            await played.stage.resume(ending, approve=True)
        assert await played.stage.again() == Done("Added.")
        assert played.gateway.performed == [KEY, KEY]

    async def test_the_other_calls_of_the_reply_are_not_made_again(self) -> None:
        both: Line = [("crm.add", {"name": "Ann"}), ("crm.add", {"name": "Bob"})]
        played = set_up([both, "Added."], tools={"crm.add": "allow"})
        played.gateway.breaking_off = 1
        ending = await played.stage.say("add them")
        played.gateway.approve(question_of(ending).key)
        assert await played.stage.resume(ending, approve=True) == Done("Added.")
        assert sorted(played.gateway.performed) == [KEY, KEY, "run_1/1/1/2"]


class BreaksOff:
    """A mail server that goes away in the middle of its first mails, and takes none of those."""

    def __init__(self, times: int = 1) -> None:
        self.times, self.begun, self.taken = times, 0, 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.begun += 1
        if self.begun <= self.times:
            server.transport.abort()
        else:
            self.taken += 1
        return "250 OK"


class Half:
    """A scripted model, and the real gateway for all else."""

    def __init__(self, kit: Kit, *lines: Line) -> None:
        self.chat = MemoryGateway(lines).chat
        self.submit, self.settle = kit.worker.submit, kit.worker.settle


@asynccontextmanager
async def mailing(
    data: Path, inbox: BreaksOff, *, verdict: str = "allow", lines: tuple[Line, ...] = (MAIL, "Sent.")
) -> AsyncIterator[tuple[Kit, Stage]]:
    """Give a real gateway whose mail server breaks off, and a stage whose agent sends a mail."""
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(inbox), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, running(data, smtp_url=f"smtp://127.0.0.1:{port}") as kit:
        await kit.publish(tools={"mail.send": verdict})
        gateway = Half(kit, *lines)
        body = body_of(
            gateway=gateway,
            sandboxes=MemorySandboxes(MemoryGuest()),
            tools=[ConnectionTools(gateway)],
            contexts=[],
            model_attempts=1,
        )
        yield kit, Stage(body, Spec(model="rehearsal", tools={"mail.send": Verdict(verdict)}))


async def decided(kit: Kit, question: Question, *, approve: bool, **lies: Any) -> None:
    shown: dict[str, Any] = {"hash": question.hash, "kind": question.kind, "attempts": question.attempts}
    await kit.web.decide(tenant=TENANT, key=question.key, approve=approve, by="ann", **shown | lies)


class TestTheGateway:
    """Against a mail server that goes away in the middle of the first mail."""

    async def test_sends_the_mail_once_more_and_says_who_let_it(self, tmp_path: Path) -> None:
        inbox = BreaksOff()
        async with mailing(tmp_path, inbox) as (kit, stage):
            ending = await stage.say("write to Ada")
            question = question_of(ending)
            assert (question.reason, question.kind) == (OUTCOME_UNKNOWN, "message")
            await decided(kit, question, approve=True)
            assert await stage.resume(ending, approve=True) == Done("Sent.")
            links = await kit.web.audit(TENANT)
        told = [(link["action"], link.get("approver", "")) for link in links if link["subject"] == question.key]
        assert told == [
            ("effect.open", ""),
            ("effect.unknown", ""),
            ("effect.approved", "ann"),
            ("effect.open", "ann"),
            ("effect.done", ""),
        ]
        assert inbox.taken == 1

    async def test_what_is_left_at_that_has_failed_and_is_never_sent(self, tmp_path: Path) -> None:
        inbox = BreaksOff()
        async with mailing(tmp_path, inbox, lines=(MAIL, "I leave it.")) as (kit, stage):
            ending = await stage.say("write to Ada")
            await decided(kit, question_of(ending), approve=False)
            assert await stage.resume(ending, approve=True) == Done("I leave it.")  # whatever a worker claims
        ((_, told),) = [said for said in stage.said() if said[0] == "result"]
        assert told["value"]["error"]["code"] == "not_repeated"
        assert inbox.taken == 0

    async def test_one_approval_is_good_for_one_attempt(self, tmp_path: Path) -> None:
        inbox = BreaksOff(times=2)
        async with mailing(tmp_path, inbox) as (kit, stage):
            ending = first = await stage.say("write to Ada")
            for _ in range(2):
                await decided(kit, question_of(ending), approve=True)
                ending = await stage.resume(ending, approve=True)
                with pytest.raises(Conflict):  # a click that comes late is no leave for what broke off since
                    await decided(kit, question_of(first), approve=True)
            assert ending == Done("Sent.")
        assert (inbox.begun, inbox.taken) == (3, 1)

    async def test_what_was_asked_about_first_can_be_decided_about_later_than_that(self, tmp_path: Path) -> None:
        inbox = BreaksOff()
        async with mailing(tmp_path, inbox, verdict="ask") as (kit, stage):
            ending = await stage.say("write to Ada")
            await decided(kit, question_of(ending), approve=True)
            ending = await stage.resume(ending, approve=True)
            assert question_of(ending).reason == OUTCOME_UNKNOWN
            kit.gateway.keep.now = lambda: stage.clock.now().replace(year=2031)  # type: ignore[method-assign]
            await decided(kit, question_of(ending), approve=True)
            assert await stage.resume(ending, approve=True) == Done("Sent.")
        assert inbox.taken == 1

    @pytest.mark.parametrize("lie", [{"kind": "read"}, {"attempts": 0}, {"attempts": 2}, {"kind": ""}])
    async def test_who_was_shown_something_else_has_let_nothing_happen(
        self, tmp_path: Path, lie: dict[str, Any]
    ) -> None:
        async with mailing(tmp_path, BreaksOff()) as (kit, stage):
            question = question_of(await stage.say("write to Ada"))
            with pytest.raises(Conflict) as caught:
                await decided(kit, question, approve=True, **lie)
        assert caught.value.code == "altered"

    async def test_what_happened_and_could_not_be_written_down_is_asked_about_too(self, tmp_path: Path) -> None:
        inbox = BreaksOff(times=0)
        async with mailing(tmp_path, inbox) as (kit, stage):
            guard = "CREATE TRIGGER broken BEFORE UPDATE ON effects BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END"
            await kit.gateway.keep.write(lambda tx: tx.execute(text(guard)))
            ending = await stage.say("write to Ada")
            await kit.gateway.keep.write(lambda tx: tx.execute(text("DROP TRIGGER broken")))
            await decided(kit, question_of(ending), approve=False)
            await stage.resume(ending, approve=False)
            arguments = question_of(ending).arguments
            asked = Effect(key=KEY, connection="mail", operation="send", arguments=arguments)
            again = await kit.worker.submit(work(epoch=9), asked)
        assert again.state is EffectState.FAILED
        assert inbox.taken == 1
