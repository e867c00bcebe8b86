"""Quotas: how much of each thing a tenant may have, as its tier says."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from freehold.core.errors import Denied


class Quota(StrEnum):
    """What is limited."""

    AGENTS = "agents"
    STACKS = "stacks"
    MEMBERS = "members"
    CHANNELS = "channels"
    APPS = "apps"
    EXECUTORS = "executors"
    """Child runs at once."""
    MESSAGES_PER_DAY = "messages_per_day"
    STORAGE_MB = "storage_mb"
    MEMORY_MB = "memory_mb"
    CPU = "cpu"
    SPEND_USD = "spend_usd"
    """Per calendar month."""


_ROOM = {
    Quota.EXECUTORS: "Wait until a delegated run is over",
    Quota.MESSAGES_PER_DAY: "Wait for the tenant's next day",
    Quota.STORAGE_MB: "Send it without files",
}
"""What makes room where removing does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """What somebody paid for: a limit for each quota; infinity where there is none."""

    name: str
    limits: Mapping[Quota, float]


def exceeded(quota: Quota, *, limit: float, used: float) -> Denied:
    """Return the refusal of one more of `quota`; its edge shows quota, limit and used as fields of their own."""
    error = Denied(
        f"The quota {quota} is used up: {used:g} of {limit:g}.",
        code="quota_exceeded",
        remedy=f"{_ROOM.get(quota, 'Remove something')}, or ask the operator for a larger tier.",
    )
    error.facts = {"quota": str(quota), "limit": limit, "used": used}
    return error
