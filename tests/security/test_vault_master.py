"""The master key is replaced while everything goes on, and whatever breaks that off, the right one is found."""

from pathlib import Path

import pytest

from freehold.app.gateway_store import open_store
from freehold.core.errors import Denied
from freehold.gateway import rotating
from freehold.gateway.keeping import Keep
from freehold.settings import Settings
from freehold.testing.clock import FakeClock
from freehold.vault.keyfile import counting_key, master_key, next_key
from freehold.vault.sealing import Vault
from tests.vaults import fill, opened, put, whole


def restarted(data: Path) -> Keep:
    return open_store(Settings(data=data), FakeClock())


async def test_the_master_key_is_replaced_while_everything_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "gateway" / "master.key"
    keep = restarted(tmp_path)
    before = master_key(path)
    fill(keep, 20)
    fill(keep, 20, "ten_2")
    assert await rotating.replace_master(keep, path, by="tester") == 2
    assert master_key(path) != before
    assert [file.name for file in path.parent.glob("master*")] == ["master.key"]
    put(keep, "later", "value", "ten_3")
    put(keep, "smtp", "value", None)
    assert await rotating.replace_master(keep, path, by="tester") == 4
    assert keep._read(lambda tx: keep.manifests.faults(tx, "")) == []
    for tenant in ("ten_1", "ten_2"):
        whole(keep, 20, tenant)
    keep.close()
    keep = restarted(tmp_path)
    whole(keep, 20)
    assert opened(keep, "later", "ten_3") == "value"
    keep.close()
    path.write_bytes(before)
    with pytest.raises(Denied):
        restarted(tmp_path)


async def test_a_gateway_that_died_before_the_file_was_in_place_finds_the_right_one(tmp_path: Path) -> None:
    path = tmp_path / "gateway" / "master.key"
    keep = restarted(tmp_path)
    put(keep, "api", "value")
    keep.keys.vault = Vault(next_key(path), master_key(path))
    keep.written(keep.keys.wrap_anew)
    keep.close()
    fresh = next_key(path)
    keep = restarted(tmp_path)
    assert opened(keep, "api") == "value"
    assert master_key(path) == fresh
    assert [file.name for file in path.parent.glob("master*")] == ["master.key"]
    keep.close()


async def test_a_next_key_under_which_nothing_is_counts_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "gateway" / "master.key"
    keep = restarted(tmp_path)
    put(keep, "api", "value")
    keep.close()
    prepared = next_key(path)
    keep = restarted(tmp_path)
    assert opened(keep, "api") == "value"
    assert counting_key(path, lambda _key: False) == master_key(path)
    await rotating.replace_master(keep, path, by="tester")
    assert master_key(path) == prepared
    keep.close()


async def test_a_master_key_that_could_not_be_written_down_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "gateway" / "master.key"
    keep = restarted(tmp_path)
    put(keep, "api", "value")
    before = master_key(path)
    keep.written(lambda tx: tx.exec_driver_sql("CREATE TRIGGER no BEFORE UPDATE ON tenant_keys BEGIN SELECT RAISE(ABORT, 'no'); END"))  # fmt: skip
    with pytest.raises(Exception, match="no"):
        await rotating.replace_master(keep, path, by="tester")
    put(keep, "other", "value", "ten_2")
    assert master_key(path) == before
    keep.close()
    keep = restarted(tmp_path)
    assert (opened(keep, "api"), opened(keep, "other", "ten_2")) == ("value", "value")
    keep.close()
