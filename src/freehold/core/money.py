"""
Money: whole nano-USD, what it may be limited for, and the windows of time in which it is counted.

A limit holds for a scope (a tenant, one of its agents, …) in a period; windows begin and end in UTC.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Final

NANO: Final = 1_000_000_000
"""Nano-USD in a dollar."""


class Level(StrEnum):
    """A kind of work that a model is chosen for: what agents name instead of a provider's model."""

    COORDINATOR = "coordinator"
    EXECUTOR = "executor"
    VISION = "vision"
    EMBED = "embed"
    TRANSCRIBE = "transcribe"
    SPEAK = "speak"


class BudgetScope(StrEnum):
    """Whose spending a limit is about."""

    TIER = "tier"
    """The tenant, as its tier says; the operator's."""
    CREDIT = "credit"
    """The tenant, as far as it paid in advance; the operator's."""
    TENANT = "tenant"
    AGENT = "agent"
    KEY = "key"
    """A model key."""
    RUN = "run"
    """Each run of the tenant by itself."""
    LEVEL = "level"
    UNATTENDED = "unattended"
    """What runs that nobody waits for spend together."""


class Period(StrEnum):
    """The time after which a limit begins anew."""

    DAY = "day"
    MONTH = "month"
    EVER = "ever"
    """Never: of a run and of credit."""


def window(period: Period, at: datetime) -> str:
    """Return the window that `at` lies in, such as `2026-11-21`, `2026-11` or empty text for ever."""
    return "" if period is Period.EVER else calendar(at)[period is Period.MONTH]


def calendar(at: datetime) -> tuple[str, str]:
    """Return the day and the month that `at` lies in."""
    return _calendar(at.astimezone(UTC).date())


@lru_cache(maxsize=64)
def _calendar(day: date) -> tuple[str, str]:
    return f"{day:%Y-%m-%d}", f"{day:%Y-%m}"


def begins(period: Period, at: datetime) -> datetime | None:
    """Return when the window that `at` lies in began; none for ever."""
    day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return {Period.DAY: day, Period.MONTH: day.replace(day=1), Period.EVER: None}[period]


def ends(period: Period, at: datetime) -> datetime | None:
    """Return when the window that `at` lies in ends and the limit begins anew; none for ever."""
    start = begins(period, at)
    if start is None:
        return None
    return start + timedelta(days=1) if period is Period.DAY else (start + timedelta(days=32)).replace(day=1)


def spelt(at: datetime) -> str:
    """Return a moment as it is written on the wire."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class UsageKind(StrEnum):
    """What was used."""

    MODEL = "model"
    SANDBOX = "sandbox"
    MAIL = "mail"
    WEBHOOK = "webhook"
    HTTP = "http"
    MCP = "mcp"
    WEB = "web"
    SEARCH = "search"
    EGRESS = "egress"
    """What programs in sandboxes sent and got, by a connection or to a host; one row per session."""


class UsageState(StrEnum):
    """How sure a usage row is."""

    OPEN = "open"
    """Written before dialling."""
    CLOSED = "closed"
    UNSETTLED = "unsettled"
    """The gateway died, or the provider broke off, before it was known what the call cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A limit, as it was set."""

    scope: BudgetScope
    subject: str
    """The agent, key or level; empty where the scope says it all."""
    period: Period
    limit_nano: int
    extra_nano: int = 0
    """Granted by a person on top, in one window only."""
    extra_window: str = ""

    def limit(self, at: datetime) -> int:
        """Return the limit in the window that `at` lies in."""
        return self.limit_nano + (self.extra_nano if self.extra_window == window(self.period, at) else 0)


def nano(usd: float) -> int:
    """Return dollars as whole nano-USD."""
    return round(Decimal(str(usd)) * NANO)
