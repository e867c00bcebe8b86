"""The record as people meet it: who did what by which way, signed every hour, in a second place, or not done at all."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from freehold.audit import database as audited
from freehold.audit.asking import Asking, asking
from freehold.audit.chain import verify
from freehold.audit.reading import every_link
from freehold.audit.sealing import pending, seal
from freehold.core.effects import EffectState
from freehold.core.errors import FreeholdError
from freehold.gateway.placing import append
from freehold.web.anchoring import anchor_if_due
from freehold.web.text_keys import give_key
from tests.gateways import RUN, TENANT, VERSION, effect, running, work
from tests.records import house
from tests.webs import bearer, client, made


async def test_an_effect_tells_its_verdict_its_policy_and_who_approved_it(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.publish(tools={"delete_file": "ask", "shell": "allow"})
        asked = await kit.worker.submit(work(), effect("delete_file"))
        await kit.web.decide(tenant=TENANT, key=effect().key, hash=asked.hash, approve=True, by="person:per_1")
        await kit.worker.submit(work(), effect("delete_file"))
        await kit.worker.settle(work(), key=effect().key, state=EffectState.DONE, result={"exit": 0})
        denied = effect("write_file", key=f"{RUN}/1/1/2")
        await kit.worker.submit(work(), denied)
        rows = (await kit.web.audit(TENANT, run=RUN))[-5:]
    told = [
        (row["action"], row.get("verdict"), row.get("policy"), row.get("arguments") == asked.hash, row.get("approver"))
        for row in rows
    ]
    assert told == [
        ("effect.asked", "ask", VERSION, True, None),
        ("effect.approved", None, None, True, "person:per_1"),
        ("effect.open", "ask", VERSION, True, "person:per_1"),
        ("effect.done", None, None, False, None),
        ("effect.refused", "deny", VERSION, False, None),
    ]
    assert [len(row.get("result", "")) for row in rows] == [0, 0, 0, 64, 64]


async def test_who_asks_is_known_in_the_gateway_and_a_worker_cannot_say_it(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        asking.set(Asking(request="req-7", way="passkey"))
        await kit.web.set_secret(TENANT, "name", "value", by="person:per_1")
        await kit.publish(tools={"shell": "allow"})
        await kit.worker.submit(work(), effect())
        asking.set(Asking())
        rows = await kit.web.audit(TENANT)
    told = {row["action"]: (row.get("request"), row.get("way")) for row in rows}
    assert told["secret.set"] == ("req-7", "passkey")
    assert told["effect.open"] == (None, None)


def test_a_row_says_in_which_request_it_was_written(tmp_path: Path) -> None:
    web = made(tmp_path)
    with client(web) as api:
        api.post("/api/v1/tenants", json={"slug": "acme"}, headers={"X-Request-Id": "mine-1"})
        rows = api.get("/api/v1/tenants/acme/audit", params={"action": "tenant"}).json()["items"]
        assert {row["request"] for row in rows if row["action"] == "tenant.create"} == {"mine-1"}
        assert rows[0]["way"] == "operator-key"
        assert rows[0]["seq"] is None or rows[0]["seq"] == 1


def test_the_newest_rows_are_found_first_and_pages_go_through_all(tmp_path: Path) -> None:
    web = made(tmp_path)
    tenant = web.tenant("acme")
    with web.state.store.write() as platform:
        for number in range(7):
            audited.note(
                platform.connection,
                at=web.clock.now() + timedelta(seconds=number),
                tenant=tenant.id,
                actor="key:key_1",
                action="thing.do",
                subject=f"thing {number}",
            )
    with client(web) as api:
        where = "/api/v1/tenants/acme/audit"
        last = api.get(where, params={"last": "true", "limit": 2}).json()
        assert [row["subject"] for row in last["items"]] == ["thing 5", "thing 6"]
        found, cursor = [], ""
        while cursor is not None:
            page = api.get(where, params={"action": "thing", "limit": 3, "cursor": cursor}).json()
            found += [row["subject"] for row in page["items"]]
            cursor = page["next"]
        assert found == [f"thing {number}" for number in range(7)]
        since = (web.clock.now() + timedelta(seconds=5)).isoformat()
        assert len(api.get(where, params={"since": since, "actor": "key:key_1"}).json()["items"]) == 2


def test_a_member_without_the_scope_sees_no_personal_text_and_a_neighbour_no_record(tmp_path: Path) -> None:
    web = made(tmp_path)
    acme, other = web.tenant("acme"), web.tenant("other")
    reader, neighbour = web.key(acme, "audit:read"), web.key(other, "*")
    with client(web, None) as api:
        where = "/api/v1/tenants/acme/audit/export"
        assert api.get(where, headers=bearer(reader)).status_code == 200
        assert api.get(where, params={"texts": "true"}, headers=bearer(reader)).status_code == 403
        assert api.get(where, headers=bearer(neighbour)).status_code == 404
        assert api.post("/api/v1/audit/anchor", json={}, headers=bearer(reader)).status_code == 403


async def test_the_ends_are_signed_every_hour_and_written_to_the_second_place(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        state = home.web.state
        assert await anchor_if_due(state)
        assert not await anchor_if_due(state)
        home.web.clock.wind(3599)
        assert not await anchor_if_due(state)
        home.act("ten_1")
        home.web.clock.wind(2)
        assert await anchor_if_due(state)
        assert [json.loads(line)["number"] for line in home.anchors.read_text().splitlines()] == [1, 2]
        moved = json.loads(home.anchors.read_text().splitlines()[1])["heads"]
        assert [(head["store"], head["tenant"]) for head in moved] == [("database", "ten_1")]


async def test_what_the_second_place_misses_is_said_and_made_up_for(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        home.anchors.parent.rename(tmp_path / "gone")
        assert (await home.anchored())["missing_since"] is not None
        await home.anchored()
        assert (await home.kit.web.verify_audit())["anchors"]["missing_since"] is not None
        (tmp_path / "gone").rename(home.anchors.parent)
        await home.kit.gateway.place.catch_up()
        assert len(home.anchors.read_text().splitlines()) == 2
        assert (await home.kit.web.verify_audit())["anchors"]["missing_since"] is None


async def test_anchors_go_to_a_mailbox(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with house(tmp_path, audit_anchor="mailto:auditor@example.org") as home:
        made_now = await home.anchored()
        assert made_now["missing_since"] is None
    printed = capsys.readouterr().out
    assert "auditor@example.org" in printed
    assert "Freehold audit anchor 1" in printed


def test_half_a_line_that_a_power_cut_left_is_written_again(tmp_path: Path) -> None:
    file = tmp_path / "freehold-anchors.jsonl"
    append(tmp_path, '{"number":1}')
    with file.open("a") as torn:
        torn.write('{"numb')
    append(tmp_path, '{"number":2}')
    assert file.read_text() == '{"number":1}\n{"number":2}\n'


def found_in(folder: Path, words: bytes) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and words in file.read_bytes()]


async def test_personal_text_is_only_kept_encrypted_and_goes_with_its_key(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        tenant = home.web.tenant("acme").id
        home.act(tenant, personal={"email": "early@example.org"})
        await give_key(home.web.state, tenant)
        await give_key(home.web.state, None)
        home.act(tenant, personal={"email": "ann@example.org"})
        home.act(None, personal={"email": "op@example.org"})
        with home.database.read() as tx:
            boxes = tx.execute(text("SELECT sealed FROM audit_texts ORDER BY position")).scalars().all()
            assert verify(every_link(tx, audited.table, store=audited.STORE)).ok
        opened = await home.kit.web.open_texts(tenant, [boxes[0]])
        assert [text["personal"] for text in opened] == [{"email": "ann@example.org"}]
        assert len(boxes) == 2
        with pytest.raises(FreeholdError) as caught:
            await home.kit.web.open_texts("ten_other", [boxes[0]])
        assert caught.value.code in {"missing_key_pair", "does_not_open"}
    assert found_in(tmp_path, b"@example.org") == []


async def test_without_its_row_nothing_is_done_and_reading_goes_on(tmp_path: Path) -> None:
    web = made(tmp_path)
    web.tenant("acme")
    with web.state.store.write() as platform:
        guard = "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no room'); END"
        platform.connection.execute(text(guard))
    with client(web) as api:
        assert api.post("/api/v1/tenants", json={"slug": "other"}).status_code == 500
        assert api.post("/api/v1/tenants/acme/keys", json={"scopes": ["runs:read"]}).status_code == 500
        assert [tenant["slug"] for tenant in api.get("/api/v1/tenants").json()["items"]] == ["acme"]
        assert api.get("/api/v1/tenants/acme/keys").json()["items"] == []
        assert api.get("/api/v1/tenants/acme/audit").status_code == 200
        assert api.get("/api/v1/audit/verify").json()["ok"]


async def test_a_sealer_that_cannot_write_loses_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        with home.database.write() as tx:
            tx.execute(text("CREATE TRIGGER full BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'no room'); END"))
        with pytest.raises(Exception, match="no room"):
            home.act("ten_1", 3)
        assert pending(home.database, audited.table)
        with home.database.write() as tx:
            tx.execute(text("DROP TRIGGER full"))
        assert seal(home.database, audited.table, store=audited.STORE) == 3


async def test_sealers_side_by_side_give_each_row_one_place(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        table, store = audited.table, audited.STORE

        async def act(number: int) -> None:
            await asyncio.to_thread(home.act, f"ten_{number % 3}", 5)

        async def seal_often() -> None:
            for _ in range(10):
                await asyncio.to_thread(seal, home.database, table, store=store)

        await asyncio.gather(*(act(number) for number in range(9)), seal_often(), seal_often())
        seal(home.database, table, store=store)
        with home.database.read() as tx:
            report = verify(every_link(tx, table, store=store))
        assert report.ok
        assert report.count == 45
