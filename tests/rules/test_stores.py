"""Every table says whose it is, what it holds and how long; and the databases are what the code declares."""

import re
from enum import StrEnum
from pathlib import Path
from typing import get_args

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint, MetaData, Table

import freehold.gateway
from freehold.core.approvals import ApprovalState
from freehold.core.ceremonies import CeremonyKind
from freehold.core.effects import EffectState, Verdict
from freehold.core.money import BudgetScope, Level, Period, UsageKind, UsageState
from freehold.core.people import MemberState, PersonState, PlatformRole, Role, SignIn
from freehold.core.quotas import Quota
from freehold.core.runs import RunState, Trigger, WaitsFor
from freehold.core.tenants import TenantState, TierSource
from freehold.gateway.tables import Decision
from freehold.store.db import Database
from freehold.store.migrating import MIGRATIONS, migrate
from freehold.store.schema import DataClass, Retention
from tools.reference.stores import every_table

CODES: dict[tuple[str, str], type[StrEnum]] = {
    ("runs", "state"): RunState,
    ("runs", "waits_for"): WaitsFor,
    ("runs", "trigger"): Trigger,
    ("approvals", "state"): ApprovalState,
    ("effects", "state"): EffectState,
    ("effects", "decision"): Decision,
    ("effects", "verdict"): Verdict,
    ("tenants", "state"): TenantState,
    ("tenants", "tier_source"): TierSource,
    ("people", "platform_role"): PlatformRole,
    ("people", "state"): PersonState,
    ("members", "role"): Role,
    ("members", "state"): MemberState,
    ("invitations", "role"): Role,
    ("sessions", "way"): SignIn,
    ("ceremonies", "kind"): CeremonyKind,
    ("tallies", "quota"): Quota,
    ("usage", "state"): UsageState,
    ("usage", "kind"): UsageKind,
    ("budgets", "scope"): BudgetScope,
    ("budgets", "period"): Period,
    ("budget_warnings", "scope"): BudgetScope,
    ("budget_warnings", "period"): Period,
    ("levels", "level"): Level,
}
"""Which codes a column may hold."""
STORES = {"Database": MIGRATIONS, "Gateway store": Path(freehold.gateway.__path__[0]) / "migrations"}
TABLES = [(store, name) for store, metadata in every_table().items() for name in metadata.tables]


def declared(store: str, name: str) -> Table:
    return every_table()[store].tables[name]


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def migrated(store: str, tmp_path: Path) -> Database:
    database = Database(f"sqlite:///{tmp_path}/store.db")
    migrate(database, STORES[store], lock=tmp_path / "lock")
    return database


@pytest.mark.parametrize(("store", "name"), TABLES)
def test_a_table_says_whose_it_is_what_it_holds_and_how_long(store: str, name: str) -> None:
    table = declared(store, name)
    assert table.info["tenant"] == "platform" or table.info["tenant"] in table.c
    assert table.info["data_class"] in get_args(DataClass)
    assert table.info["retention"] in get_args(Retention)


def test_what_migrations_make_is_what_the_code_declares(store: str, migrated: Database) -> None:
    with migrated.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, every_table()[store]) == []


def test_a_newly_made_database_refuses_states_nobody_knows(store: str, migrated: Database) -> None:
    inspector = sqlalchemy.inspect(migrated.engine)
    for name in every_table()[store].tables:
        made = [str(check["sqltext"]) for check in inspector.get_check_constraints(name)]
        assert codes(made) == codes(checks(every_table()[store], name)), name


def test_what_a_check_allows_is_what_the_code_knows(store: str) -> None:
    for name in every_table()[store].tables:
        for column, allowed in codes(checks(every_table()[store], name)).items():
            if (name, column) in CODES:
                assert allowed == set(CODES[name, column]), (name, column)


def checks(metadata: MetaData, name: str) -> list[str]:
    return [str(c.sqltext) for c in metadata.tables[name].constraints if isinstance(c, CheckConstraint)]


def codes(checks: list[str]) -> dict[str, set[str]]:
    """Return what each column may hold, read from `column in ('a', 'b')`."""
    found = [re.match(r"(\w+) in \((.*)\)", check, re.IGNORECASE | re.DOTALL) for check in checks]
    return {hit[1]: set(re.findall(r"'([^']*)'", hit[2])) for hit in found if hit}


def test_every_state_has_its_check() -> None:
    for store, name in TABLES:
        if "state" in declared(store, name).c:
            assert "state" in codes(checks(every_table()[store], name)), name
