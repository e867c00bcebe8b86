"""What every database must do for us. The class is run once per kind of database."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from freehold.audit import database as record
from freehold.core.agents import Agent, Spec, Version
from freehold.core.approvals import Approval, ApprovalState
from freehold.core.effects import Verdict
from freehold.core.errors import Conflict, Invalid, NotFound
from freehold.core.ids import Ids
from freehold.core.messages import Conversation
from freehold.core.parts import Label, Origin, Part, Role
from freehold.core.runs import Run, RunEvent, Trigger
from freehold.core.tenants import Key, Tenant
from freehold.store.migrating import MIGRATIONS, migrate, newest, revision
from freehold.store.schema import metadata
from freehold.store.scope import Store, Tenancy
from freehold.testing.clock import START
from tests.shelves import taken


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    database = taken(MIGRATIONS, tmp_path / "freehold.db")
    store = Store(database)
    with store.write() as platform:
        for number, slug in enumerate(("acme", "other"), start=1):
            platform.tenants.add(Tenant(id=f"ten_{slug}", slug=slug, name=slug, uid=number, created_at=START))
    yield store
    database.close()


@pytest.fixture
def acme(store: Store) -> Tenancy:
    return store.tenant("ten_acme")


@pytest.fixture
def other(store: Store) -> Tenancy:
    return store.tenant("ten_other")


def make_run(number: int = 1, **stated: object) -> Run:
    values = {"agent": "agt_1", "version": "ver_1", "trigger": Trigger.API, "created_at": START}
    return Run(id=f"run_{number}", **values | stated)  # type: ignore[arg-type]


def test_migrations_make_exactly_the_declared_tables(store: Store) -> None:
    with store.database.read() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    assert differences == []
    assert record.table.name in metadata.tables


def test_migrating_twice_changes_nothing(store: Store, tmp_path: Path) -> None:
    migrate(store.database, MIGRATIONS, lock=tmp_path / "lock")
    assert revision(store.database) == newest(MIGRATIONS)


def test_a_database_newer_than_the_code_is_refused(store: Store, tmp_path: Path) -> None:
    with store.database.write() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    with pytest.raises(Invalid, match="9999") as refused:
        migrate(store.database, MIGRATIONS, lock=tmp_path / "lock")
    assert refused.value.code == "database_too_new"


def test_what_was_written_is_read_back_equal(acme: Tenancy) -> None:
    run = make_run(deadline=START + timedelta(hours=1), trace="00-1-2-01", error={"code": "x"}, attended=True)
    with acme.write() as scope:
        scope.runs.add(run)
    with acme.read() as scope:
        assert scope.runs.get("run_1") == run


def test_a_block_that_fails_leaves_nothing(acme: Tenancy) -> None:
    def fail_half_way() -> None:
        with acme.write() as scope:
            scope.runs.add(make_run())
            raise KeyError

    with pytest.raises(KeyError):
        fail_half_way()
    with acme.read() as scope, pytest.raises(NotFound):
        scope.runs.get("run_1")


def test_a_run_that_moved_meanwhile_is_not_written_over(acme: Tenancy) -> None:
    run = make_run()
    with acme.write() as scope:
        scope.runs.add(run)
        scope.runs.move(run.after(RunEvent.START, at=START))
    with acme.write() as scope, pytest.raises(Conflict):
        scope.runs.move(run.after(RunEvent.CANCEL, at=START))


def test_a_neighbours_things_are_missing(acme: Tenancy, other: Tenancy) -> None:
    with acme.write() as scope:
        scope.runs.add(make_run(conversation="cnv_1"))
        scope.events.append("run_1", "run.queued", {}, at=START)
        scope.agents.add(Agent(id="agt_1", name="bot", version="ver_1", created_at=START))
        scope.talk.open(Conversation(id="cnv_1", agent="agt_1", created_at=START))
    with other.write() as scope:
        assert scope.runs.page() == []
        assert scope.events.of("run_1") == []
        assert scope.agents.page() == []
        assert scope.runs.turn_of("cnv_1") is None
        for missing in (lambda: scope.runs.get("run_1"), lambda: scope.agents.find("bot")):
            with pytest.raises(NotFound):
                missing()
        with pytest.raises(Conflict):
            scope.runs.move(make_run().after(RunEvent.CANCEL, at=START))


def test_two_tenants_may_use_the_same_name(acme: Tenancy, other: Tenancy) -> None:
    for tenancy in (acme, other):
        with tenancy.write() as scope:
            scope.agents.add(Agent(id="agt_1", name="bot", version="ver_1", created_at=START))
            with pytest.raises(Conflict):
                scope.agents.add(Agent(id="agt_2", name="bot", version="ver_1", created_at=START))


def test_slugs_and_numbers_of_tenants_are_unique(store: Store) -> None:
    with store.write() as platform:
        assert platform.tenants.next_uid() == 3
        with pytest.raises(Conflict) as refused:
            platform.tenants.add(Tenant(id="ten_3", slug="acme", name="", uid=3, created_at=START))
    assert refused.value.code == "slug_taken"


def test_the_same_version_twice_is_one(acme: Tenancy) -> None:
    spec = Spec(model="rehearsal", tools={"shell": Verdict.ASK})
    version = Version(id="ver_1", agent="agt_1", number=1, spec=spec, created_at=START)
    with acme.write() as scope:
        scope.versions.add(version)
        scope.versions.add(replace(version, number=2))
        assert scope.versions.of("agt_1") == [version]
        assert scope.versions.next_number("agt_1") == 2


def test_events_count_from_one_in_each_run(acme: Tenancy) -> None:
    with acme.write() as scope:
        seen = [scope.events.append(run, "x", {"n": 1}, at=START) for run in ("run_1", "run_1", "run_2")]
        behind = scope.events.of("run_1", after=1)
    assert seen == [1, 2, 1]
    assert behind == [{"run": "run_1", "seq": 2, "at": START, "type": "x", "data": {"n": 1}}]


def test_turns_of_a_conversation_come_in_order(acme: Tenancy) -> None:
    with acme.write() as scope:
        for number in (1, 2):
            scope.runs.add(make_run(number, conversation="cnv_1"))
        assert scope.runs.turn_of("cnv_1") == make_run(1, conversation="cnv_1")
        scope.runs.move(make_run(1, conversation="cnv_1").after(RunEvent.CANCEL, at=START))
        turn = scope.runs.turn_of("cnv_1")
    assert turn is not None
    assert turn.id == "run_2"


def test_a_new_run_goes_where_fewest_run(acme: Tenancy) -> None:
    with acme.write() as scope:
        for number, slot in enumerate((0, 1, 0)):
            scope.runs.add(make_run(number, slot=slot))
        assert scope.runs.least_busy_slot(2) == 1
        assert scope.runs.least_busy_slot(3) == 2


def test_parts_keep_their_labels(acme: Tenancy) -> None:
    label = Label(origins=frozenset({Origin.MEMBER, Origin.SANDBOX}), readers=frozenset({"mem_1"}))
    part = Part(role=Role.USER, content={"text": "hei på deg"}, label=label)
    with acme.write() as scope:
        for run, segment in (("run_1", 0), ("run_1", 1), ("run_2", 0)):
            scope.parts.append(run, part, segment=segment, conversation="cnv_1", digest="d")
        assert scope.parts.of_run("run_1") == [part, part]
        assert scope.parts.of_run("run_1", before_segment=1) == [part]
        assert scope.parts.of_earlier_turns("cnv_1", "run_2") == [part, part]


def test_a_question_is_decided_once(acme: Tenancy) -> None:
    approval = Approval(
        id="apr_1", run="run_1", agent="agt_1", key="k", call="c", connection="sandbox", operation="shell",
        arguments={}, hash="h", created_at=START, expires_at=START,
    )  # fmt: skip
    with acme.write() as scope:
        scope.approvals.add(approval)
        decided = approval.decided(ApprovalState.APPROVED, by="operator", at=START)
        assert scope.approvals.settle(decided)
        assert not scope.approvals.settle(approval.decided(ApprovalState.DENIED, by="operator", at=START))
        assert scope.approvals.get("apr_1") == decided


def test_a_signal_is_taken_once(acme: Tenancy) -> None:
    with acme.write() as scope:
        assert scope.signals.add("run_1", "sig_1", "go", {}, at=START)
        assert not scope.signals.add("run_1", "sig_1", "go", {}, at=START)
        assert len(scope.signals.of("run_1")) == 1


def test_a_key_with_another_request_is_a_conflict(acme: Tenancy) -> None:
    with acme.write() as scope:
        assert scope.idempotency.made("messages", "k", "d1") is None
        scope.idempotency.keep("messages", "k", "d1", "msg_1", at=START)
        assert scope.idempotency.made("messages", "k", "d1") == "msg_1"
        with pytest.raises(Conflict):
            scope.idempotency.made("messages", "k", "d2")


def test_a_revoked_key_is_no_key(store: Store) -> None:
    key = Key(id="key_1", name="ci", hash="h", scopes=frozenset({"*"}), tenant=None, created_at=START)
    with store.write() as platform:
        platform.keys.add(key)
        assert platform.keys.find("key_1") == key
        platform.keys.save(replace(key, revoked_at=START))
        assert not platform.keys.get(None, "key_1").in_force(START)


def test_the_audit_table_takes_no_change(acme: Tenancy) -> None:
    with acme.write() as scope:
        record.note(scope.connection, at=START, tenant="ten_acme", actor="a", action="b", subject="c")
    for statement in (
        "update audit set actor = 'x'",
        "delete from audit",
        "insert or replace into audit select * from audit",
    ):
        with pytest.raises(Exception, match="never"), acme.write() as scope:
            scope.connection.execute(text(statement))


def test_writers_in_many_threads_lose_nothing(acme: Tenancy) -> None:
    new_id = Ids(lambda: START)

    def write() -> None:
        for _ in range(20):
            with acme.write() as scope:
                scope.runs.add(replace(make_run(), id=new_id("run")))
                scope.events.append("run_x", "tick", {}, at=START)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with acme.read() as scope:
        assert len(scope.runs.page(limit=1000)) == 80
        assert [event["seq"] for event in scope.events.of("run_x")] == list(range(1, 81))
