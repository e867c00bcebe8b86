"""Mail and webhooks, towards real servers."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.handlers import Message as MessageHandler
from aiosmtpd.smtp import SMTP
from sqlalchemy import text
from typing_extensions import override

from freehold.core.effects import EffectState
from freehold.core.errors import Conflict, Denied, FreeholdError, Unavailable
from freehold.drivers.connector.webhook import verifier
from freehold.gateway.ports import Credential
from freehold.testing.clock import FakeClock
from freehold.testing.providers import Receiver, receiver
from tests.gateways import SECRET, TENANT, Kit, effect, running, work

MAIL: dict[str, Any] = {"to": "ada@example.org", "subject": "Hello", "text": "How are you?\n"}


class Inbox(MessageHandler):
    """Keeps what a mail server was given."""

    def __init__(self) -> None:
        super().__init__()
        self.mails: list[Message] = []

    @override
    def handle_message(self, message: Message) -> None:
        self.mails.append(message)


class Refusing:
    """A mail server that takes nothing."""

    def __init__(self, answer: str) -> None:
        self.answer = answer

    async def handle_DATA(self, *_: Any) -> str:  # noqa: N802 - aiosmtpd's name
        return self.answer


@asynccontextmanager
async def mailing(data: Path, handler: Any) -> AsyncIterator[Kit]:
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(handler), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with running(data, smtp_url=f"smtp://127.0.0.1:{port}", mail_from="bot@example.org") as kit:
            await kit.publish(tools={"mail.send": "allow"})
            yield kit
    finally:
        server.close()


async def test_a_granted_mail_is_sent_once(tmp_path: Path) -> None:
    inbox = Inbox()
    async with mailing(tmp_path, inbox) as kit:
        outcomes = [await kit.worker.submit(work(), effect("send", "mail", **MAIL)) for _ in range(2)]
        usage = await kit.web.usage(TENANT)
    assert [(outcome.state, outcome.fresh) for outcome in outcomes] == [
        (EffectState.DONE, True),
        (EffectState.DONE, False),
    ]
    assert [(mail["To"], mail["From"], mail["Subject"]) for mail in inbox.mails] == [
        ("ada@example.org", "bot@example.org", "Hello")
    ]
    assert usage["kinds"]["mail"]["count"] == 1


async def test_what_happened_and_cannot_be_written_down_is_unknown_and_never_failed(tmp_path: Path) -> None:
    inbox = Inbox()
    async with mailing(tmp_path, inbox) as kit:
        guard = "CREATE TRIGGER broken BEFORE UPDATE ON effects BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END"
        await kit.gateway.keep.write(lambda tx: tx.execute(text(guard)))
        outcomes = [await kit.worker.submit(work(), effect("send", "mail", **MAIL)) for _ in range(2)]
    assert [outcome.state for outcome in outcomes] == [EffectState.UNKNOWN] * 2
    assert len(inbox.mails) == 1


async def test_a_header_cannot_be_smuggled_in(tmp_path: Path) -> None:
    inbox = Inbox()
    async with mailing(tmp_path, inbox) as kit:
        await kit.worker.submit(work(), effect("send", "mail", **(MAIL | {"subject": "a\r\nBcc: eve@example.org"})))
        bad = effect("send", "mail", key="run_1/1/1/2", **(MAIL | {"to": "a@b.c\r\nBcc: eve@example.org"}))
        outcome = await kit.worker.submit(work(), bad)
    assert [mail["Bcc"] for mail in inbox.mails] == [None]
    assert (outcome.state, (outcome.error or {})["code"]) == (EffectState.FAILED, "bad_arguments")


@pytest.mark.parametrize(("answer", "code"), [("550 no", "mail_rejected"), ("451 later", "mail_unavailable")])
async def test_a_mail_the_server_does_not_take_has_failed(tmp_path: Path, answer: str, code: str) -> None:
    async with mailing(tmp_path, Refusing(answer)) as kit:
        outcome = await kit.worker.submit(work(), effect("send", "mail", **MAIL))
    assert (outcome.state, (outcome.error or {})["code"]) == (EffectState.FAILED, code)


class BreaksOff(Inbox):
    """A mail server that goes away in the middle of the first mail."""

    broke = False

    @override
    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if not self.broke:
            self.broke = True
            server.transport.abort()
        return str(await super().handle_DATA(server, session, envelope))


async def test_a_mail_that_may_have_been_sent_is_sent_again_only_when_a_person_says_so(tmp_path: Path) -> None:
    inbox = BreaksOff()
    mail = effect("send", "mail", **MAIL)
    async with mailing(tmp_path, inbox) as kit:
        unknown = [await kit.worker.submit(work(), mail) for _ in range(2)]
        decision: dict[str, Any] = {"tenant": TENANT, "key": mail.key, "hash": unknown[0].hash, "by": "key:1"}
        await kit.web.decide(**decision, approve=True)
        with pytest.raises(Conflict):
            await kit.web.decide(**decision, approve=True)
        done = await kit.worker.submit(work(epoch=2), mail)
        usage = await kit.web.usage(TENANT)
    assert [(outcome.state, (outcome.error or {})["code"]) for outcome in unknown] == [
        (EffectState.UNKNOWN, "mail_unknown")
    ] * 2
    assert done.state is EffectState.DONE
    assert sorted(row["state"] for row in usage["rows"]) == ["closed", "unsettled"]


async def test_a_mail_server_that_is_not_there_has_sent_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, smtp_url="smtp://127.0.0.1:1") as kit:
        await kit.publish(tools={"mail.send": "allow"})
        outcome = await kit.worker.submit(work(), effect("send", "mail", **MAIL))
        with pytest.raises(Unavailable) as caught:
            await kit.web.send_mail(**MAIL, key="mail/1")
    assert (outcome.state, (outcome.error or {})["code"]) == (EffectState.FAILED, "mail_unavailable")
    assert caught.value.code == "mail_unavailable"


async def test_without_a_server_the_mail_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with running(tmp_path) as kit:
        await kit.web.send_mail(**MAIL, key="mail/1")
    assert "How are you?" in capsys.readouterr().out


@asynccontextmanager
async def hooked(data: Path, *statuses: int) -> AsyncIterator[tuple[Kit, Receiver]]:
    async with receiver(*statuses) as hook, running(data) as kit:
        await kit.web.set_secret(TENANT, "hook", SECRET, by="key:1")
        config = {"url": hook.url}
        await kit.web.create_connection(TENANT, kind="webhook", name="out", config=config, secret="hook", by="key:1")
        yield kit, hook


def delivery(**changes: Any) -> dict[str, Any]:
    stated = {"tenant": TENANT, "key": "outbox/1", "connection": "out", "operation": "send", "arguments": {"a": 1}}
    return stated | changes


async def test_a_reply_is_delivered_signed_and_once(tmp_path: Path) -> None:
    async with hooked(tmp_path) as (kit, hook):
        for _ in range(2):
            assert (await kit.worker.deliver(**delivery())).state is EffectState.DONE
        headers, body = hook.received[0]
        await kit.web.verify_webhook(TENANT, "hook", headers, body)
        with pytest.raises(Denied) as caught:
            await kit.web.verify_webhook(TENANT, "hook", headers, body + b" ")
    assert len(hook.received) == 1
    assert json.loads(body) == {"a": 1}
    assert caught.value.status == 401
    verifier(FakeClock().now)(Credential(SECRET), headers, body)


async def test_many_who_ask_at_once_get_one_delivery(tmp_path: Path) -> None:
    async with hooked(tmp_path) as (kit, hook):
        outcomes = await asyncio.gather(*(kit.worker.deliver(**delivery()) for _ in range(20)))
    assert {outcome.state for outcome in outcomes} == {EffectState.DONE}
    assert len(hook.received) == 1


async def test_a_delivery_that_broke_off_is_tried_again_under_the_same_id(tmp_path: Path) -> None:
    async with hooked(tmp_path, 500, 204) as (kit, hook):
        with pytest.raises(Unavailable) as caught:
            await kit.worker.deliver(**delivery())
        assert (await kit.worker.deliver(**delivery())).state is EffectState.DONE
    assert caught.value.code == "webhook_unavailable"
    assert len({headers["webhook-id"] for headers, _ in hook.received}) == 1
    assert len(hook.received) == 2


async def test_a_receiver_that_says_no_is_not_asked_again(tmp_path: Path) -> None:
    async with hooked(tmp_path, 400) as (kit, hook):
        outcomes = [await kit.worker.deliver(**delivery()) for _ in range(2)]
    assert {(outcome.state, (outcome.error or {})["code"]) for outcome in outcomes} == {
        (EffectState.FAILED, "webhook_refused")
    }
    assert len(hook.received) == 1


@pytest.mark.parametrize(
    "changes", [{"connection": "mail", "arguments": MAIL}, {"connection": "sandbox", "operation": "shell"}, {"connection": "x"}]
)  # fmt: skip
async def test_nothing_else_is_delivered_without_a_grant(tmp_path: Path, changes: dict[str, Any]) -> None:
    async with hooked(tmp_path) as (kit, hook):
        with pytest.raises(FreeholdError):
            await kit.worker.deliver(**delivery(**changes))
        with pytest.raises(FreeholdError):
            await kit.worker.deliver(**delivery(tenant="ten_2"))
    assert hook.received == []
