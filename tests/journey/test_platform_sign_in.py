"""Signing in on a platform of real processes: claimed by its link, by mail through a real server, and without one."""

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiosmtpd.handlers import Message as MessageHandler
from aiosmtpd.smtp import SMTP
from typing_extensions import override

from freehold.testing.platform import LocalPlatform
from freehold.web.cookies import BROWSER
from freehold.web.head import COOKIE
from tests.platforms import run_cli, until

ADA = "ada@example.com"
CODE = re.compile(r"\b[0-9]{8}\b")


class Inbox(MessageHandler):
    """Keeps what a mail server was given."""

    def __init__(self) -> None:
        super().__init__()
        self.mails: list[Message] = []

    @override
    def handle_message(self, message: Message) -> None:
        self.mails.append(message)


@contextmanager
def mail_server() -> Iterator[tuple[str, Inbox]]:
    """Give a mail server on a thread of its own, as its address and what it was given."""
    inbox, loop, ready = Inbox(), asyncio.new_event_loop(), threading.Event()
    ports: list[int] = []

    async def serve() -> None:
        server = await loop.create_server(lambda: SMTP(inbox, loop=loop), "127.0.0.1", 0)
        ports.append(server.sockets[0].getsockname()[1])
        ready.set()

    loop.create_task(serve())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield f"smtp://127.0.0.1:{ports[0]}", inbox
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)


def cookie(answer: httpx.Response, name: str) -> str:
    line = next(line for line in answer.headers.get_list("set-cookie") if line.startswith(f"{name}="))
    return line.partition(";")[0]


def asked(platform: LocalPlatform, email: str = ADA) -> tuple[httpx.Response, str]:
    answer = httpx.post(f"{platform.url}/api/v1/login/code", json={"email": email}, timeout=20)
    return answer, cookie(answer, BROWSER)


def shown(platform: LocalPlatform, code: str, browser: str) -> httpx.Response:
    body, headers = {"email": ADA, "code": code}, {"Cookie": browser}
    return httpx.post(f"{platform.url}/api/v1/login", json=body, headers=headers, timeout=20)


def me(platform: LocalPlatform, session: str) -> Any:
    return httpx.get(f"{platform.url}/api/v1/me", headers={"Cookie": session}, timeout=20)


def claim(platform: LocalPlatform) -> str:
    """Claim the platform by its link, and return the cookie of who did."""
    link = json.loads(run_cli(platform, "claim-link", "--json").stdout)["claim_url"]
    body = {"token": link.partition("token=")[2], "email": ADA, "name": "Ada"}
    answer = httpx.post(f"{platform.url}/api/v1/claim", json=body, timeout=20)
    assert answer.status_code == 200, answer.text
    return cookie(answer, COOKIE)


@pytest.mark.long
def test_the_link_makes_an_operator_and_a_mail_lets_them_in_again(tmp_path: Path) -> None:
    with mail_server() as (server, inbox):
        platform = LocalPlatform(tmp_path / "data", environment={"FREEHOLD_SMTP_URL": server})
        with platform:
            session = claim(platform)
            assert me(platform, session).json()["platform_role"] == "operator"
            again = run_cli(platform, "claim-link")
            assert (again.returncode, "already" in again.stderr) == (1, True)
            answers = [asked(platform, email) for email in ("nobody@example.com", ADA)]
            assert answers[0][0].json() == answers[1][0].json()
            (mail,) = until(lambda: inbox.mails)
            assert (mail["To"], ADA in str(mail)) == (ADA, True)
            code = CODE.findall(str(mail.get_payload()))[0]
            signed_in = shown(platform, code, answers[1][1])
            assert signed_in.status_code == 200
            refused = run_cli(platform, "login-code", ADA)
            assert (refused.returncode, "loopback" in refused.stderr) == (1, True)
        with platform:
            assert me(platform, cookie(signed_in, COOKIE)).status_code == 200
            assert not (platform.data / "claim.key").exists()
        assert len(inbox.mails) == 1


@pytest.mark.long
def test_without_a_mail_server_the_code_is_printed_and_made_on_the_command_line(tmp_path: Path) -> None:
    with LocalPlatform(tmp_path / "data") as platform:
        claim(platform)
        _, browser = asked(platform)
        printed = until(lambda: CODE.findall(platform.said.partition("Subject:")[2]))
        assert shown(platform, printed[0], browser).status_code == 200
        made = run_cli(platform, "login-code", ADA)
        signed_in = shown(platform, made.stdout.strip(), "")
        assert signed_in.status_code == 200
        assert me(platform, cookie(signed_in, COOKIE)).json()["email"] == ADA
