"""What a provider's groups make of people: read from one setting, decided by two pure functions."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from freehold.core.ceremonies import GivenRole
from freehold.core.errors import Invalid
from freehold.core.people import PlatformRole, Role

ORDER: Final = (*(str(role) for role in PlatformRole), *(str(role) for role in Role))
"""From most to least; a platform's role is only compared with another."""
PLATFORM: Final = ""
"""Stands for the platform where a tenant's slug stands otherwise."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Which group gives which role where."""

    gives: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)
    """By group: pairs of a tenant's slug (empty: the platform) and a role."""

    def of(self, groups: Collection[str]) -> dict[str, str]:
        """Return the role that members of `groups` have in each tenant, by slug; the highest counts."""
        found: dict[str, str] = {}
        for group in groups:
            for where, role in self.gives.get(group, ()):
                found[where] = min(found.get(where, role), role, key=ORDER.index)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a sign-in makes of somebody in one place."""

    role: str
    """What they are there from now on; empty: nothing."""
    given: str = ""
    """The role that is there by a group; empty: none is."""
    before: str = ""
    """What they are there once the group is gone."""


def read(text: str) -> Groups:
    """
    Return what the setting says: `GROUP=operator`, `GROUP=auditor` or `GROUP=TENANT:ROLE`, with commas between.

    Raises `Invalid` (`bad_setting`) naming the entry that says nothing.
    """
    gives: dict[str, frozenset[tuple[str, str]]] = {}
    for entry in filter(None, (entry.strip() for entry in text.split(","))):
        group, _, what = (part.strip() for part in entry.rpartition("="))
        where, _, role = what.rpartition(":")
        known = set(Role) if where else set(PlatformRole)
        if not group or role not in known or what.startswith(":"):
            raise Invalid(
                f"FREEHOLD_OIDC_GROUPS is not right at {entry!r}.",
                code="bad_setting",
                remedy="Write GROUP=operator, GROUP=auditor or GROUP=TENANT:ROLE, with commas between.",
            )
        gives[group] = gives.get(group, frozenset()) | {(where, role)}
    return Groups(gives)


def changed(current: str, given: GivenRole | None, wanted: str) -> Change:
    """
    Return what becomes of somebody who is `current` somewhere, whose groups gave `given` last time and give `wanted`.

    A role that people gave is never made less by a group, and comes back when a group that gave more is gone. What
    people changed since counts as theirs.
    """
    theirs = given.before if given is not None and given.role == current else current
    if not wanted or (theirs and ORDER.index(theirs) <= ORDER.index(wanted)):
        return Change(role=theirs)
    return Change(role=wanted, given=wanted, before=theirs)
