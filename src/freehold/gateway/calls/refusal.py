"""What a provider's refusal means: which kind of error it is, and so whether asking again or elsewhere makes sense."""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

import msgspec

from freehold.core.errors import Denied, FreeholdError, Invalid, Unavailable
from freehold.gateway.ports import Credential

MAX_ERROR: Final = 65_536
"""Bytes of a refusal that are read at most."""
SHOWN: Final = 300
LONGEST_WAIT: Final = 3_600.0
USUAL_WAIT: Final = 5.0
BUSY: Final = 429
UNPAID: Final = 402
_AGAIN: Final = frozenset({408, 409, 425})
_BAD_KEY: Final = frozenset({401, UNPAID, 403})
_ACCOUNT: Final = re.compile(r"\b(?:org|proj|user|acct|wrkspc)[-_](?=[\w-]*\d)[\w-]{8,}|\bprojects?/[\w-]+")
"""How providers name the account that a key belongs to."""
_KEY_IS_BAD: Final = (b"API_KEY_INVALID", b"invalid_api_key")
"""How providers that answer 400 to an unknown key say so."""


def refusal(
    status: int, headers: Mapping[str, str], body: bytes, credential: Credential, *, shared: bool = False
) -> FreeholdError:
    """
    Return the error that an answer other than 200 is.

    What the provider says about it is told where it helps the caller, never with our credential in it. In an account
    that is `shared` with others neither whose it is, nor how much of its rate they use.
    """
    said = credential.scrub(_said(body))  # before it is cut: a credential cut in two would not be found
    if shared:
        said = "" if status == BUSY else _ACCOUNT.sub("[account]", said)
    said = said[:SHOWN]
    if status == BUSY:
        return Unavailable(f"The model's provider is busy. {said}".strip(), code="provider_busy", after=_wait(headers))
    if status in _AGAIN or status >= 500:  # noqa: PLR2004
        return Unavailable(
            f"The model's provider failed ({status}).", code="provider_unavailable", after=_wait(headers)
        )
    bad_key = status in _BAD_KEY or (status // 100 == 4 and any(mark in body for mark in _KEY_IS_BAD))  # noqa: PLR2004
    return _refused(status) if bad_key else _rejected(status, said)


def _refused(status: int) -> Denied:
    if status == UNPAID:
        return Denied(
            "The model's provider wants to be paid first (402).",
            code="provider_refused",
            remedy="Look at the balance of the account that the connection's key belongs to.",
        )
    return Denied(
        f"The model's provider refused the credential ({status}).",
        code="provider_refused",
        remedy="Set the connection's secret to a key that the provider accepts.",
    )


def _rejected(status: int, said: str) -> Invalid:
    if status // 100 == 3:  # noqa: PLR2004
        return Invalid(
            f"The model's provider sends us elsewhere ({status}), where the credential does not go.",
            code="provider_rejected",
            remedy="Set the connection's base_url to the address that it sends to.",
        )
    return Invalid(
        f"The model's provider rejected the request ({status}). {said}".strip(),
        code="provider_rejected",
        remedy="Look at the model's name and at what the provider says.",
    )


def _wait(headers: Mapping[str, str]) -> float:
    """Return the seconds that Retry-After means; a date is compared with the provider's own."""
    told = headers.get("retry-after", "")
    try:
        seconds = float(told)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(told) - parsedate_to_datetime(headers.get("date", ""))).total_seconds()
        except (ValueError, TypeError):
            seconds = USUAL_WAIT
    if seconds != seconds:  # noqa: PLR0124 - not a number
        return USUAL_WAIT
    return min(max(seconds, 0.0), LONGEST_WAIT)


def _said(body: bytes) -> str:
    """Return what a provider's error body says to a person."""
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    if isinstance(told, list):
        told = told[0] if told else None
    match told:
        case {"error": {"message": str(message)}} | {"error": str(message)} | {"message": str(message)}:
            return message
        case _:
            return ""
