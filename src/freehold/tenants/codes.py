"""
Codes: eight digits that are mailed to an address, for ten minutes, for one use, for the browser that asked.

Whether somebody here has the address must not show. So a code is made and written down for every address, the same
work is done for each, and one that nobody may have is told to nobody. Tries are counted before they are looked at, in
the transaction that looks; the count belongs to the address, so neither a fresh code nor another browser begins it
anew, and it is in the database, so neither does a restart.
"""

import hmac
import re
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from freehold.audit.database import note
from freehold.core.clock import Clock
from freehold.core.errors import Conflict, Denied, Exhausted
from freehold.core.ids import NewId
from freehold.core.logins import LoginCode
from freehold.core.people import Person, PersonState
from freehold.store.logins import Logins
from freehold.store.platform import Platform
from freehold.tenants.marks import genuine
from freehold.tenants.sealing import Seal
from freehold.tenants.sessions import hashed

DIGITS: Final = 8
LASTING: Final = timedelta(minutes=10)
TRIES: Final = 5
"""Of one code, and for one address within an hour."""
HOUR: Final = timedelta(hours=1)
PAUSE: Final = timedelta(minutes=1)
"""Between two codes for one address."""
PER_HOUR: Final = 5
"""Codes for one address."""
KEPT: Final = timedelta(days=1)
ANYWHERE: Final = ""
"""Stands for the browser of a code that an operator made: any may use it."""
_FORM: Final = re.compile(rf"[0-9]{{{DIGITS}}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A code as it was made, and whom to tell."""

    id: str
    email: str
    code: str
    told: bool
    """Whether to tell it: else everything is done as if, and nobody is told."""
    expires_at: datetime
    language: str = ""


def issue(platform: Platform, email: str, *, browser: str, seal: Seal, ids: NewId, clock: Clock) -> Issued:
    """
    Make a code for `email` (in its one spelling), to be used in `browser`, and return it.

    One for an address that nobody here has, or that was sent enough of them, comes back as not to be told.
    """
    at, logins, account = clock.now(), Logins(platform.connection), account_of(seal, email)
    logins.lapse(at)
    logins.forget(at - KEPT)
    person = _active(platform, email, seal=seal)
    recent, within = logins.told_since(account, at - PAUSE), logins.told_since(account, at - HOUR)
    told = person is not None and not recent and within < PER_HOUR
    code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
    kept = _kept(code, account=account, browser=hashed(browser), told=told, seal=seal, ids=ids, at=at)
    # What was told before stays good if this one is not told: nobody is left without a code by asking twice.
    logins.replace(account, kept.browser if told else kept.id, at=at)
    logins.add(kept)
    language = "" if person is None else person.language
    return Issued(id=kept.id, email=email, code=code, told=told, expires_at=kept.expires_at, language=language)


def issue_anywhere(platform: Platform, person: Person, *, by: str, seal: Seal, ids: NewId, clock: Clock) -> Issued:
    """
    Make a code for `person` that any browser may use, because an operator asked for it, and return it.

    One that could not be used is refused: `person_closed` (`Conflict`), `too_many_tries` (`Exhausted`).
    """
    at, logins, account = clock.now(), Logins(platform.connection), account_of(seal, person.email)
    _usable(logins, account, person, at=at)
    logins.lapse(at)
    code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
    kept = _kept(code, account=account, browser=ANYWHERE, told=True, seal=seal, ids=ids, at=at)
    logins.replace(account, ANYWHERE, at=at)
    logins.add(kept)
    note(platform.connection, at=at, tenant=None, actor=by, action="person.login_code", subject=person.id, detail={})
    return Issued(id=kept.id, email=person.email, code=code, told=True, expires_at=kept.expires_at)


def _usable(logins: Logins, account: str, person: Person, *, at: datetime) -> None:
    if person.state is not PersonState.ACTIVE:
        raise Conflict(
            "Whoever is closed cannot sign in.",
            code="person_closed",
            remedy="Let them in again first: freehold person set PERSON --state active",
        )
    if logins.wrong_since(account, at - HOUR) >= TRIES:
        raise Exhausted(
            f"{TRIES} codes were wrong for this address within an hour, so none is accepted now.",
            code="too_many_tries",
            remedy="Wait until the hour is over; a passkey and single sign-on work meanwhile.",
        )


def redeem(platform: Platform, email: str, code: str, *, browser: str, seal: Seal, clock: Clock) -> Person | None:
    """
    Return who may sign in with `code`; none where it is not right, whatever the reason.

    Commit what this does in any case: a try counts.
    """
    at, logins, account = clock.now(), Logins(platform.connection), account_of(seal, email)
    logins.lapse(at)
    locked = logins.wrong_since(account, at - HOUR) >= TRIES
    number = 0 if locked else logins.begin_try(account, at=at)
    ours = [logins.open(account, where) or _NOBODYS for where in (hashed(browser), ANYWHERE)]
    logins.tried([one.id for one in ours])
    right = [one for one in ours if _right(seal, one, code, at=at)]
    person = _active(platform, email, seal=seal)
    if locked or not right or person is None:
        if not locked:
            _note_failure(platform, email, person, at=at)
        return None
    logins.forget_try(number)
    for one in right:
        logins.use(one.id, at=at)
    return person


def account_of(seal: Seal, email: str) -> str:
    """Return by what an address is kept where strangers can have it written down."""
    return seal.mark("login.account", email=email)


def refused() -> Denied:
    """Return the refusal of a code: one and the same, whatever was wrong with it."""
    return Denied(
        "This code is not accepted.",
        code="bad_code",
        status=401,
        remedy="Ask for a new code, and type it in the browser that asked for it.",
    )


def _kept(code: str, *, account: str, browser: str, told: bool, seal: Seal, ids: NewId, at: datetime) -> LoginCode:
    kept = LoginCode(
        id=ids("otc"), account=account, browser=browser, hash="", told=told, created_at=at, expires_at=at + LASTING
    )
    return replace(kept, hash=_mark(seal, kept, code))


def _mark(seal: Seal, kept: LoginCode, code: str) -> str:
    return seal.mark(
        "login.code",
        id=kept.id,
        account=kept.account,
        browser=kept.browser,
        code=code,
        expires_at=round(kept.expires_at.timestamp() * 1000),
    )


_NEVER: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_NOBODYS: Final = LoginCode(
    id="", account="", browser="", hash="0" * 64, told=False, created_at=_NEVER, expires_at=_NEVER, tries=TRIES
)
_STRANGER: Final = Person(id="", email="", created_at=_NEVER)
"""Are looked at where there is none, so that looking takes as long; neither has a mark that holds."""


def _right(seal: Seal, kept: LoginCode, code: str, *, at: datetime) -> bool:
    said = "".join(code.split())
    same = hmac.compare_digest(_mark(seal, kept, said if _FORM.fullmatch(said) else ""), kept.hash)
    return same and kept.tries < TRIES and kept.created_at <= at < kept.expires_at


def _active(platform: Platform, email: str, *, seal: Seal) -> Person | None:
    person = platform.people.by_email(email) or _STRANGER
    return person if genuine(seal, person) and person.state is PersonState.ACTIVE else None


def _note_failure(platform: Platform, email: str, person: Person | None, *, at: datetime) -> None:
    note(
        platform.connection,
        at=at,
        tenant=None,
        actor="nobody",
        action="person.sign_in_failed",
        subject="" if person is None else person.id,
        personal={"email": email},
        way="otp",
        verdict="deny",
    )
