"""
What a browser begins and comes back to finish: once, in time, and the same browser.

The browser is given a random text. Only its hash is kept, so whoever reads the database cannot finish anything; what
else must be random (nonce, verifier) is made from that text under web's seal and kept nowhere.
"""

import hashlib
import secrets
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection

from freehold.core.ceremonies import Ceremony, CeremonyKind
from freehold.store.ceremonies import Ceremonies
from freehold.tenants.sealing import Seal

LASTING: Final = {
    CeremonyKind.OIDC: timedelta(minutes=10),
    CeremonyKind.PASSKEY: timedelta(minutes=5),
    CeremonyKind.REGISTER: timedelta(minutes=5),
}


def begin(
    connection: Connection,
    kind: CeremonyKind,
    *,
    browser: str,
    seal: Seal,
    at: datetime,
    person: str = "",
    next: str = "",  # noqa: A002 - the column's word
) -> str:
    """Write down that `browser` (a text only it can show) began, and return what it shall come back with."""
    text = secrets.token_urlsafe(32)
    ceremony = Ceremony(
        hash=hashed(text),
        kind=kind,
        browser=hashed(browser),
        person=person,
        next=next,
        expires_at=at + LASTING[kind],
    )
    named, told = _covered(ceremony)
    Ceremonies(connection).begin(replace(ceremony, seal=seal.mark(named, **told)), at=at)
    return text


def finish(
    connection: Connection, kind: CeremonyKind, text: str, *, browser: str, seal: Seal, at: datetime
) -> Ceremony | None:
    """
    Return what `browser` began and was given `text` for; none where it did not, or too long ago.

    Commit what `connection` does in any case: a text that was shown once, rightly or not, is used up.
    """
    found = Ceremonies(connection).take(hashed(text))
    if found is None or found.kind is not kind or found.expires_at <= at or found.browser != hashed(browser):
        return None
    named, told = _covered(found)
    return found if browser and seal.holds(found.seal, named, **told) else None


def derived(seal: Seal, purpose: str, text: str) -> str:
    """Return 64 digits that only web can make for `purpose` out of a ceremony's text."""
    return seal.mark(f"derived.{purpose}", text=text)


def hashed(text: str) -> str:
    """Return what is kept of a text that shall not be known."""
    return hashlib.sha256(text.encode()).hexdigest()


def _covered(ceremony: Ceremony) -> tuple[str, dict[str, Any]]:
    """Return the kind of a row and what of it is sealed: all of it."""
    told: dict[str, Any] = asdict(ceremony)
    del told["seal"], told["kind"]
    return f"ceremony.{ceremony.kind}", told | {"expires_at": round(ceremony.expires_at.timestamp() * 1000)}
