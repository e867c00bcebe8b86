"""The page about roles says what the table of access says."""

import re
from pathlib import Path

import pytest

from freehold.core.access import ROLES, covers
from freehold.core.people import Role
from freehold.tenants.keys import mint, well_formed

PAGE = Path(__file__).parents[2] / "docs" / "operate" / "people-and-roles.md"
MEANT = {
    "see agents, runs, messages, members, channels, usage": (
        "agents:read", "runs:read", "messages:read", "members:read", "channels:read", "usage:read",
    ),
    "see budgets, levels and model keys": ("budgets:read", "models:read"),
    "see questions of agents": ("approvals:read",),
    "talk to agents, start and cancel runs, decide about questions": ("messages:write", "runs:write", "approvals:write"),
    "see connections": ("connections:read",),
    "change agents, channels, connections and secrets": (
        "agents:write", "channels:write", "connections:write", "secrets:write",
    ),
    "set budgets, levels and regions, make and revoke model keys": ("budgets:write", "models:write"),
    "invite people, give them roles, make and revoke keys": ("members:write", "keys:write"),
    "read the record of what was done": ("audit:read",),
    "change the tenant's name, time zone and language": ("tenants:write",),
    "pull kill switches": ("switches:write",),
    "deploy and delete the tenant, hand on its ownership": ("tenants:admin", "members:admin"),
}  # fmt: skip
"""Each line of the page, and the scopes it speaks of."""


def rows() -> dict[str, list[str]]:
    """Return the lines of the table of roles in a tenant."""
    text = PAGE.read_text().partition("## Roles in a tenant")[2].partition("\n## ")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    assert cells[0] == ["May", *(role.title() for role in Role)]
    return {line[0]: line[1:] for line in cells[2:]}


def test_every_line_of_the_page_is_known() -> None:
    assert list(rows()) == list(MEANT)


@pytest.mark.parametrize("line", MEANT)
def test_a_line_of_the_page_is_true(line: str) -> None:
    may = [{covers(ROLES[role], scope) for scope in MEANT[line]} for role in Role]
    assert [{True: "yes", False: "no"}[one.pop()] for one in may if len(one) == 1] == rows()[line]


def test_every_scope_of_a_role_is_on_the_page() -> None:
    told = {scope.partition(":")[0] for scopes in MEANT.values() for scope in scopes}
    assert {scope.partition(":")[0] for role in Role for scope in ROLES[role]} <= told


def test_the_pattern_for_scanners_finds_keys() -> None:
    (pattern,) = re.findall(r"^(fh_\[.*)$", PAGE.read_text(), flags=re.MULTILINE)
    for env in ("live", "test", "op"):
        key = mint("key_0192f3", env=env)
        assert well_formed(key)
        assert re.fullmatch(pattern, key)
