"""
Webhooks as Standard Webhooks has them: signed on the way out, verified on the way in.

The effect's key gives the message id, so that a receiver that looks at `webhook-id` does a thing once however
often it is sent; that is what makes trying again safe.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any, Final, final
from urllib.parse import urlsplit

from typing_extensions import override

from freehold.audit.canonical import canonical
from freehold.core.clock import Clock
from freehold.core.effects import EffectKind
from freehold.core.errors import Denied, FreeholdError, Invalid, Unavailable
from freehold.core.tools import Tool
from freehold.gateway.outward.client import Client, Trouble
from freehold.gateway.outward.exchange import Sent
from freehold.gateway.ports import ConnectorCall, ConnectorDriver, Credential, NotSent

SECONDS: Final = 20.0
TOLERANCE_SECONDS: Final = 300
SHORTEST_KEY: Final = 16
_PREFIX: Final = "whsec_"
_LATER: Final = frozenset({408, 409, 423, 425, 429})


SEND: Final = Tool(
    name="send",
    description="Post a signed message to the receiver of this webhook.",
    parameters={"type": "object", "additionalProperties": True},
    kind=EffectKind.MESSAGE,
)


@final
class Webhook(ConnectorDriver):
    """Posts signed webhooks; the receiver knows a repeat by its id."""

    kind = "webhook"
    replies = True

    def __init__(self, client: Client, clock: Clock, *, seconds: float = SECONDS) -> None:
        """Sign by `clock`, send through `client`, and give up on a receiver after `seconds`."""
        self._client, self._clock, self._seconds = client, clock, seconds

    @override
    def check(self, config: Mapping[str, Any], credential: Credential) -> None:
        address = config.get("url")
        if set(config) != {"url"} or not _is_address(address):
            raise Invalid(
                "A webhook connection needs a url and nothing else.",
                code="bad_config",
                remedy="Give url as https://host/path, without user or password.",
            )
        signing_key(credential)

    @override
    def tools(self, config: Mapping[str, Any]) -> Sequence[Tool]:
        return (SEND,)

    @override
    def idempotent(self, config: Mapping[str, Any]) -> bool:
        return True

    @override
    async def perform(self, call: ConnectorCall) -> dict[str, Any]:
        body = canonical(dict(call.arguments))
        headers = signed(call.to.credential, id=message_id(call.key), at=self._clock.now(), body=body)
        headers["Content-Type"] = "application/json"
        sent = Sent(method="POST", url=str(call.to.config["url"]), headers=headers, body=body)
        try:
            async with asyncio.timeout(self._seconds):
                answer = await self._client.send(sent, call.to.behalf, call.sent)
                async with aclosing(answer):
                    return _told(answer.status)
        except TimeoutError as error:
            raise webhook_trouble(Trouble.SILENT) from error


def webhook_trouble(what: Trouble) -> Unavailable:
    """Return what went wrong on the way to a receiver."""
    if what.kind is NotSent:
        return NotSent("The webhook's receiver cannot be reached.", code="webhook_unavailable")
    return Unavailable("The webhook's receiver did not answer.", code="webhook_unknown")


def verifier(now: Callable[[], datetime]) -> Callable[[Credential, dict[str, str], bytes], None]:
    """Return the check of webhooks that come in, by the clock that was handed in."""

    def verify(credential: Credential, headers: dict[str, str], body: bytes) -> None:
        key = signing_key(credential)
        found = {name.lower(): value for name, value in headers.items()}
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        message, stamp, signatures = (found.get(name, "") for name in names)
        if not message or not stamp.isdecimal() or len(stamp) > 12 or not signatures:  # noqa: PLR2004
            raise _unsigned("It carries no signature.")
        if abs(now().timestamp() - int(stamp)) > TOLERANCE_SECONDS:
            raise _unsigned("It is too old, or from the future.")
        right = _signature(key, message, stamp, body)
        given = [signature.encode("utf-8", "replace") for signature in signatures.split(" ")]
        # Every one is compared, so that the time taken tells nothing.
        if not sum(hmac.compare_digest(right.encode(), signature) for signature in given):
            raise _unsigned("Its signature is not right.")

    return verify


def signed(credential: Credential, *, id: str, at: datetime, body: bytes) -> dict[str, str]:  # noqa: A002
    """Return the headers that sign `body` as message `id`."""
    stamp = str(int(at.timestamp()))
    signature = _signature(signing_key(credential), id, stamp, body)
    return {"webhook-id": id, "webhook-timestamp": stamp, "webhook-signature": signature}


def message_id(key: str) -> str:
    """Return the message id that belongs to an effect's key, the same for every attempt."""
    return "whm_" + hashlib.sha256(key.encode()).hexdigest()[:32]


def signing_key(credential: Credential) -> bytes:
    """Return the key in a secret (`whsec_` and base64); raise `Invalid` for one that protects nothing."""
    try:
        key = base64.b64decode(credential.reveal().strip().removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not credential.reveal().strip():
        raise Invalid("A webhook needs a secret.", code="blank_secret", remedy="Set one and name it.")
    if len(key) < SHORTEST_KEY:
        raise Invalid(
            "This is no webhook secret.",
            code="bad_webhook_secret",
            remedy=f"Use whsec_ followed by the base64 of at least {SHORTEST_KEY} random bytes.",
        )
    return key


def _signature(key: bytes, message: str, stamp: str, body: bytes) -> str:
    content = f"{message}.{stamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()


def _told(status: int) -> dict[str, Any]:
    if 200 <= status < 300:  # noqa: PLR2004
        return {"status": status}
    raise _refusal(status)


def _refusal(status: int) -> FreeholdError:
    said = f"The webhook's receiver answered {status}."
    if 400 <= status < 500 and status not in _LATER:  # noqa: PLR2004
        return Invalid(said, code="webhook_refused", remedy="Look at what the receiver expects.")
    if 300 <= status < 400:  # noqa: PLR2004
        return Invalid(said, code="webhook_refused", remedy="Give the address it finally answers at; none is followed.")
    return Unavailable(said, code="webhook_unavailable", after=10.0)


def _unsigned(why: str) -> Denied:
    return Denied(
        f"This webhook is not accepted. {why}",
        code="bad_signature",
        status=401,
        remedy="Sign id, timestamp and body with the channel's secret, as Standard Webhooks says.",
    )


def _is_address(url: object) -> bool:
    """Return whether `url` is an HTTP address without user or password."""
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        plain = parts.username is None and not parts.fragment and parts.port != 0
    except ValueError:
        return False
    return plain and parts.scheme in {"http", "https"} and bool(parts.hostname)
