"""
The webhook channel: Standard Webhooks in and out.

In: a signed POST of `{text, conversation?, sender?, attachments?}`. Out: a signed POST of
`{type, timestamp, data}` to the channel's reply address. The gateway verifies and signs, with the secret
that the channel names; nothing here ever sees it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, final
from urllib.parse import urlsplit

from typing_extensions import override

from freehold.core.errors import Invalid
from freehold.ingress.channel import Answer, ChannelDriver, Inbound, Sending

SEND: Final = "send"
MAX_ID: Final = 200


@final
class WebhookChannel(ChannelDriver):
    """Speaks Standard Webhooks."""

    name = "webhook"

    @override
    def check(self, config: Mapping[str, Any]) -> dict[str, Any]:
        secret, address = str(config.get("secret") or "").strip(), str(config.get("reply_url") or "").strip()
        if not secret:
            raise Invalid(
                "A webhook without a secret would believe anybody.",
                code="blank_secret",
                remedy="Set a secret with `freehold secret set`, and name it.",
            )
        parts = urlsplit(address)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.fragment:
            raise Invalid(
                f"{address[:200]!r} is no address answers could be sent to.",
                code="bad_address",
                remedy="Give reply_url as http(s)://host/path, without user, password and fragment.",
            )
        return {"secret": secret, "reply_url": address}

    @override
    def connection(self, channel: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
        return "webhook", f"channel-{channel['name']}", {"url": channel["config"]["reply_url"]}

    @override
    def key(self, headers: Mapping[str, str]) -> str:
        found = headers.get("webhook-id", "")
        if not found or len(found) > MAX_ID:
            raise Invalid(
                "The header webhook-id is missing or too long.",
                code="no_webhook_id",
                remedy="Send webhook-id, webhook-timestamp and webhook-signature as Standard Webhooks says.",
            )
        return found

    @override
    def read(self, payload: Any) -> Inbound | None:
        match payload:
            case {"text": str(text)}:
                return Inbound(
                    text=text,
                    thread=_optional(payload, "conversation"),
                    sender=_optional(payload, "sender") or "",
                    attachments=_attachments(payload.get("attachments")),
                )
            case _:
                raise Invalid(
                    "This is no message.",
                    code="bad_message",
                    remedy="Send a JSON object: {text, conversation?, sender?, attachments?}.",
                )

    @override
    def reply(self, channel: Mapping[str, Any], answer: Answer) -> Sending:
        data: dict[str, Any] = {
            "message": answer.message,
            "conversation": answer.thread or answer.conversation,
            "run": answer.run,
        }
        data |= {"error": dict(answer.error)} if answer.error is not None else {"text": answer.text}
        _, connection, _ = self.connection(channel)
        return Sending(
            connection=connection,
            operation=SEND,
            arguments={
                "type": "message.failed" if answer.error is not None else "message.answered",
                "timestamp": _moment(answer.at),
                "data": data,
            },
        )


def _optional(payload: Mapping[str, Any], name: str) -> str | None:
    value = payload.get(name)
    if value is not None and not isinstance(value, str):
        raise Invalid(f"{name} is not text.", code="bad_message", remedy=f"Send {name} as text, or leave it out.")
    return value or None


def _attachments(value: object) -> tuple[dict[str, Any], ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Invalid("attachments is no list of objects.", code="bad_message", remedy="Send a list, or leave it out.")
    return tuple(value)


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
