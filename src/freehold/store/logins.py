"""The tables of signing in by mail: codes, and tries that were wrong."""

from dataclasses import asdict
from datetime import datetime
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    Text,
    func,
    or_,
    select,
    update,
)

from freehold.core.logins import LoginCode
from freehold.store.schema import fields, table
from freehold.store.types import Moment

login_code_table = table(
    "login_codes",
    Column("id", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("browser", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("told", Boolean, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("created_at", Moment, nullable=False, index=True),
    Column("expires_at", Moment, nullable=False),
    Column("used_at", Moment),
    Index("login_codes_by_account", "account", "created_at"),
    tenant="platform",
    data_class="identity",
    retention="days:7",
)

login_try_table = table(
    "login_tries",
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("account", Text, nullable=False),
    Column("at", Moment, nullable=False, index=True),
    Index("login_tries_by_account", "account", "at"),
    tenant="platform",
    data_class="identity",
    retention="days:7",
)

_CODES: Final = login_code_table.c
_TRIES: Final = login_try_table.c


class Logins:
    """The codes and tries of all addresses."""

    def __init__(self, connection: Connection) -> None:
        """Work within the transaction of `connection`."""
        self._connection = connection

    def add(self, code: LoginCode) -> None:
        """Write down a new code."""
        self._connection.execute(login_code_table.insert().values(asdict(code)))

    def told_since(self, account: str, since: datetime) -> int:
        """Return how many codes were mailed for `account` since then; those that operators made do not count."""
        mailed = (_CODES.told, _CODES.browser != "", _CODES.created_at > since)
        query = select(func.count()).where(_CODES.account == account, *mailed)
        return int(self._connection.execute(query).scalar() or 0)

    def replace(self, account: str, browser: str, *, at: datetime) -> None:
        """Put the codes out of force that this browser asked for before."""
        here = (_CODES.account == account, _CODES.browser == browser, _CODES.used_at.is_(None))
        self._connection.execute(update(login_code_table).where(*here).values(used_at=at))

    def open(self, account: str, browser: str) -> LoginCode | None:
        """Return the newest code of `account` for `browser` that was told and not used, if there is one."""
        query = (
            select(login_code_table)
            .where(_CODES.account == account, _CODES.browser == browser, _CODES.told, _CODES.used_at.is_(None))
            .order_by(_CODES.id.desc())
            .limit(1)
        )
        row = self._connection.execute(query).mappings().first()
        return None if row is None else LoginCode(**fields(row))

    def tried(self, codes: list[str]) -> None:
        """Count one try more of each of these codes."""
        here = update(login_code_table).where(_CODES.id.in_(codes))
        self._connection.execute(here.values(tries=_CODES.tries + 1))

    def use(self, code: str, *, at: datetime) -> None:
        """Write down that a code was used."""
        self._connection.execute(update(login_code_table).where(_CODES.id == code).values(used_at=at))

    def wrong_since(self, account: str, since: datetime) -> int:
        """Return how many tries for `account` were wrong since then."""
        query = select(func.count()).where(_TRIES.account == account, _TRIES.at > since)
        return int(self._connection.execute(query).scalar() or 0)

    def begin_try(self, account: str, *, at: datetime) -> int:
        """Write down a try, which counts as wrong until it is forgotten, and return its number."""
        made = self._connection.execute(login_try_table.insert().values(account=account, at=at))
        return int((made.inserted_primary_key or (0,))[0])

    def forget_try(self, number: int) -> None:
        """Forget a try that was right."""
        self._connection.execute(login_try_table.delete().where(_TRIES.number == number))

    def lapsed(self, at: datetime) -> bool:
        """Return whether there is anything to `lapse`."""
        return self._connection.execute(select(_CODES.id).where(*_over(at)).limit(1)).first() is not None

    def lapse(self, at: datetime) -> None:
        """Put out of force, for good, the codes that are over at this moment or come from after it."""
        self._connection.execute(update(login_code_table).where(*_over(at)).values(used_at=at))

    def forget(self, before: datetime) -> None:
        """Forget codes and tries from before this moment."""
        self._connection.execute(login_code_table.delete().where(_CODES.created_at < before))
        self._connection.execute(login_try_table.delete().where(_TRIES.at < before))


def _over(at: datetime) -> tuple[ColumnElement[bool], ...]:
    return _CODES.used_at.is_(None), or_(_CODES.expires_at <= at, _CODES.created_at > at)
