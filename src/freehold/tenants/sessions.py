"""
Sessions: a browser somebody signed in with, until it is ended.

The cookie holds 256 random bits and nothing else; what they stand for is a sealed row, looked at on each request. So a
session that is ended is ended with the next request, in every process, and after every restart. One that nobody uses
ends after half a day, one in use after a week.
"""

import hashlib
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from freehold.audit.database import note
from freehold.core.clock import Clock
from freehold.core.errors import NotFound
from freehold.core.ids import NewId
from freehold.core.people import Person, Session, SignIn
from freehold.store.platform import Platform
from freehold.tenants.marks import genuine, mark_of
from freehold.tenants.sealing import Seal

IDLE: Final = timedelta(hours=12)
LASTING: Final = timedelta(days=7)
SEEN: Final = timedelta(minutes=1)
"""How often it is written down that a session is in use."""
LONGEST_CLIENT: Final = 200
_FORM: Final = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Browser:
    """What a sign-in comes from."""

    nonce: str = ""
    """A random text that only this browser shows: what is begun in it is finished in it."""
    session: str = ""
    """The session cookie it still shows: whoever signs in leaves that session."""
    client: str = ""
    """What it calls itself."""
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A fresh session, and what the browser shows from now on, which is told this once."""

    person: Person
    session: Session
    text: str
    left: tuple[str, ...] = ()
    """The session that the browser was in before, if it was in one."""


def open(  # noqa: A001 - read as sessions.open
    platform: Platform,
    person: Person,
    *,
    way: SignIn,
    browser: Browser,
    seal: Seal,
    ids: NewId,
    clock: Clock,
    strong: bool = False,
) -> Opened:
    """
    Sign `person` in and return the fresh session; that it happened is written into the record.

    Whether they are who they say and may sign in has been decided before. What the browser showed is never taken on.
    """
    at, text = clock.now(), fresh()
    session = Session(
        id=ids("ses"),
        person=person.id,
        way=way,
        hash=hashed(text),
        created_at=at,
        seen_at=at,
        expires_at=at + LASTING,
        strong=strong,
        client=_printable(browser.client),
        address=browser.address[:LONGEST_CLIENT],
    )
    session = replace(session, seal=mark_of(seal, session))
    left = platform.sessions.by_hash(hashed(browser.session)) if well_formed(browser.session) else None
    if left is not None:
        _end(platform, left.person, [left.id], by=f"person:{person.id}", clock=clock)
    platform.sessions.add(session)
    note(
        platform.connection,
        at=at,
        tenant=None,
        actor=f"person:{person.id}",
        action="person.sign_in",
        subject=person.id,
        detail={"session": session.id, "strong": strong},
        way=str(way),
        verdict="allow",
    )
    return Opened(person=person, session=session, text=text, left=() if left is None else (left.id,))


def in_force(session: Session | None, *, seal: Seal, at: datetime) -> bool:
    """Return whether there is such a session, web made it as it stands, and it has neither ended nor run out."""
    if session is None or session.ended_at is not None:
        return False
    return genuine(seal, session) and session.expires_at > at and session.seen_at + IDLE > at


def of(platform: Platform, person: str, *, seal: Seal, at: datetime) -> list[Session]:
    """Return a person's sessions that are in force, newest first."""
    return [one for one in platform.sessions.of(person) if in_force(one, seal=seal, at=at)]


def end(platform: Platform, person: str, session: str, *, by: str, clock: Clock) -> list[str]:
    """End one session of a person for good and return its id; raise `NotFound` where they have no such."""
    if session not in {one.id for one in platform.sessions.of(person)}:
        raise NotFound("There is no such session.", remedy="GET /api/v1/sessions shows yours.")
    return _end(platform, person, [session], by=by, clock=clock)


def end_all(platform: Platform, person: str, *, by: str, clock: Clock, but: str = "") -> list[str]:
    """End all sessions of a person, `but` one where it is named, and return their ids."""
    ending = [one.id for one in platform.sessions.of(person) if one.id != but]
    return _end(platform, person, ending, by=by, clock=clock)


def hashed(text: str) -> str:
    """Return what is kept of a text that only a browser knows."""
    return hashlib.sha256(text.encode()).hexdigest()


def fresh() -> str:
    """Return 256 random bits as text."""
    return secrets.token_urlsafe(32)


def well_formed(text: str) -> bool:
    """Return whether `text` could be one that `fresh` gave."""
    return bool(_FORM.fullmatch(text))


def _end(platform: Platform, person: str, ending: Collection[str], *, by: str, clock: Clock) -> list[str]:
    at = clock.now()
    platform.sessions.end(list(ending), at=at)
    for session in ending:
        note(
            platform.connection,
            at=at,
            tenant=None,
            actor=by,
            action="session.end",
            subject=session,
            detail={"person": person},
        )
    return list(ending)


def _printable(client: str) -> str:
    return "".join(character for character in client[:LONGEST_CLIENT] if character.isprintable())
