"""
Mail by SMTP; without a server the mail is printed, so that a first installation works and shows what it would send.

The gateway has what goes to a server sent by children (`freehold.app.connector_child`).
"""

import re
import sys
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from typing import Any, Final, final
from urllib.parse import unquote, urlsplit

from typing_extensions import override

from freehold.core.clock import Clock
from freehold.core.effects import EffectKind
from freehold.core.errors import Denied, FreeholdError, Invalid, Unavailable
from freehold.core.tools import Tool
from freehold.gateway.ports import ConnectorCall, ConnectorDriver, Credential, NotSent

SECONDS: Final = 30.0
MAX_TEXT: Final = 256 << 10
MAX_RECIPIENTS: Final = 50
_ADDRESS: Final = re.compile(r"[^\s@<>,;:\"\\()]{1,64}@[A-Za-z0-9.-]{1,253}")
_TEMPORARY: Final = range(400, 500)
NO_SUCH_MAILBOX: Final = 550


SEND: Final = Tool(
    name="send",
    description="Send a mail.",
    parameters={
        "type": "object",
        "properties": {
            "to": {"type": "string", "description": "Address, or a list of them."},
            "subject": {"type": "string"},
            "text": {"type": "string"},
        },
        "required": ["to", "subject", "text"],
    },
    kind=EffectKind.MESSAGE,
)


@final
class Smtp(ConnectorDriver):
    """Sends mail through one server, or prints it where there is none."""

    kind = "smtp"
    replies = False

    def __init__(self, url: str, sender: str, clock: Clock, *, prints: bool = True) -> None:
        """
        Send through the server at `url` (`smtp://user:password@host:port` or `smtps://…`); empty: print.

        What is printed ends up where others may read it, so `prints` is for a platform only this machine reaches.
        """
        self._server, self._sender, self._clock = _server(url) if url else None, sender, clock
        self._prints = prints

    @property
    def secret(self) -> Credential:
        """Return the password that the server's address states, if it states one."""
        return Credential((self._server or {}).get("password") or "")

    @override
    def check(self, config: Mapping[str, Any], credential: Credential) -> None:
        raise Invalid("The mail connection is built in.", code="unknown_kind", remedy="Set FREEHOLD_SMTP_URL.")

    @override
    def tools(self, config: Mapping[str, Any]) -> Sequence[Tool]:
        return (SEND,)

    @override
    def idempotent(self, config: Mapping[str, Any]) -> bool:
        return False

    @override
    async def perform(self, call: ConnectorCall) -> dict[str, Any]:
        mail = self._mail(call)
        if call.arguments.get("decoy"):
            call.sent()
            return {"sent": False}
        if self._server is None and not self._prints:
            raise Denied(
                "There is no mail server, and others than this machine reach the platform.",
                code="no_mail_server",
                remedy="Set FREEHOLD_SMTP_URL.",
            )
        if self._server is None:
            call.sent()
            sys.stdout.write(_for_eyes(mail))
            sys.stdout.flush()
            return {"sent": False, "printed": True}
        await self._send(mail, call)
        return {"sent": True, "message_id": str(mail["Message-ID"])}

    async def _send(self, mail: EmailMessage, call: ConnectorCall) -> None:
        import aiosmtplib  # noqa: PLC0415 - a gateway that has its mails sent by children does not load it

        client = aiosmtplib.SMTP(**self._server or {}, timeout=SECONDS)
        try:
            await client.connect()
        except aiosmtplib.SMTPAuthenticationError as error:
            raise Denied("The mail server refused the credential.", code="mail_refused") from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise NotSent("The mail server cannot be reached.", code="mail_unavailable", after=30.0) from error
        try:
            call.sent()
            await client.send_message(mail)
        except (aiosmtplib.SMTPRecipientsRefused, aiosmtplib.SMTPResponseException) as error:
            code = error.code if isinstance(error, aiosmtplib.SMTPResponseException) else NO_SUCH_MAILBOX
            raise _refusal(code) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise Unavailable("The mail server broke off; the mail may have been sent.", code="mail_unknown") from error
        finally:
            client.close()

    def _mail(self, call: ConnectorCall) -> EmailMessage:
        to, subject, text = (call.arguments.get(name) for name in ("to", "subject", "text"))
        recipients = [to] if isinstance(to, str) else to
        addresses = isinstance(recipients, list) and all(
            isinstance(address, str) and _ADDRESS.fullmatch(address) for address in recipients
        )
        words = isinstance(subject, str) and isinstance(text, str) and len(text) <= MAX_TEXT
        if not addresses or not words or not recipients or len(recipients) > MAX_RECIPIENTS:
            raise Invalid(
                "A mail needs to, subject and text.",
                code="bad_arguments",
                remedy='Give {"to": "a@b.example", "subject": "…", "text": "…"}.',
            )
        mail = EmailMessage(policy=SMTP)
        mail["From"], mail["To"] = self._sender, ", ".join(recipients)
        mail["Subject"] = " ".join(str(subject).split())[:200]  # one line: a header cannot be smuggled in
        mail["Date"] = formatdate(self._clock.now().timestamp())
        mail["Message-ID"] = f"<{_token(call.key)}@{self._sender.rpartition('@')[2] or 'localhost'}>"
        mail.set_content(str(text))
        return mail


def _for_eyes(mail: EmailMessage) -> str:
    """Return a mail as people read it, not as servers pass it on."""
    heads = "".join(f"{name}: {mail[name]}\n" for name in ("From", "To", "Subject", "Date"))
    text = "\n".join(mail.get_content().rstrip().splitlines())
    return f"--- mail (no FREEHOLD_SMTP_URL, so it is printed) ---\n{heads}\n{text}\n--- end ---\n"


def _server(url: str) -> dict[str, Any]:
    """Return what an SMTP address says, as the client takes it."""
    parts = urlsplit(url)
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise Invalid(
            "FREEHOLD_SMTP_URL is no mail server.",
            code="bad_setting",
            remedy="Write smtp://user:password@host:port or smtps://…",
        )
    secure = parts.scheme == "smtps"
    return {
        "hostname": parts.hostname,
        "port": parts.port or (465 if secure else 587),
        "use_tls": secure,
        "start_tls": False if secure else None,
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
    }


def _refusal(code: int) -> FreeholdError:
    """Return what a server's no means: nothing was accepted, now or ever."""
    if code in _TEMPORARY:
        return NotSent("The mail server did not take the mail just now.", code="mail_unavailable", after=60.0)
    return Invalid(f"The mail server refused the mail ({code}).", code="mail_rejected", remedy="Look at the address.")


def _token(key: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", ".", key)[-120:]
