"""What is sealed opens in its own place and nowhere else."""

import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import Denied
from freehold.vault.keyfile import master_key
from freehold.vault.sealing import Sealer, Vault

MASTER = bytes(range(32))
PLACE: dict[str, Any] = {"name": "api", "purpose": "secret", "version": 1}


@pytest.fixture
def sealer() -> Sealer:
    vault = Vault(MASTER)
    return vault.sealer("ten_1", {1: vault.new_key("ten_1")})


def test_what_was_sealed_opens(sealer: Sealer) -> None:
    assert sealer.open(sealer.seal(b"value", **PLACE), **PLACE) == b"value"


@pytest.mark.parametrize("moved", [{"name": "other"}, {"version": 2}, {"purpose": "effect.outcome"}])
def test_what_was_moved_to_another_place_does_not_open(sealer: Sealer, moved: dict[str, Any]) -> None:
    with pytest.raises(Denied):
        sealer.open(sealer.seal(b"value", **PLACE), **(PLACE | moved))


def test_another_tenant_cannot_open_it_even_with_the_same_data_key(sealer: Sealer) -> None:
    mine, other = Sealer("ten_1", {1: MASTER}), Sealer("ten_2", {1: MASTER})
    with pytest.raises(Denied):
        other.open(mine.seal(b"value", **PLACE), **PLACE)


def test_a_tenants_key_does_not_unwrap_for_another() -> None:
    vault = Vault(MASTER)
    with pytest.raises(Denied):
        vault.sealer("ten_2", {1: vault.new_key("ten_1")})


def test_another_master_key_opens_nothing() -> None:
    wrapped = Vault(MASTER).new_key("ten_1")
    with pytest.raises(Denied) as caught:
        Vault(bytes(32)).sealer("ten_1", {1: wrapped})
    assert caught.value.code == "does_not_open"


@given(st.data())
def test_no_flipped_bit_goes_unseen(data: st.DataObject) -> None:
    sealer = Sealer("ten_1", {1: MASTER})
    sealed = bytearray(sealer.seal(b"value", **PLACE))
    at = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[at // 8] ^= 1 << at % 8
    with pytest.raises(Denied):
        sealer.open(bytes(sealed), **PLACE)


@pytest.mark.parametrize("sealed", [b"", b"short", bytes(24), bytes(40)])
def test_garbage_does_not_open(sealer: Sealer, sealed: bytes) -> None:
    with pytest.raises(Denied):
        sealer.open(sealed, **PLACE)


def test_the_same_value_is_never_sealed_to_the_same_bytes(sealer: Sealer) -> None:
    assert sealer.seal(b"value", **PLACE) != sealer.seal(b"value", **PLACE)


def test_the_key_file_is_made_once_and_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "gateway" / "master.key"
    first = master_key(path)
    assert master_key(path) == first
    assert len(first) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o610])
def test_a_key_file_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "master.key"
    master_key(path)
    path.chmod(mode)
    with pytest.raises(Denied) as caught:
        master_key(path)
    assert caught.value.code == "key_file_open"
    assert "chmod 600" in caught.value.remedy


@pytest.mark.parametrize("content", [b"", b"too short", bytes(33)])
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "master.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(Denied) as caught:
        master_key(path)
    assert caught.value.code == "key_file_bad"


def test_a_key_file_may_be_handed_in_by_a_link_but_what_it_leads_to_must_be_closed(tmp_path: Path) -> None:
    key = master_key(tmp_path / "real.key")
    (tmp_path / "master.key").symlink_to(tmp_path / "real.key")
    assert master_key(tmp_path / "master.key") == key
    (tmp_path / "real.key").chmod(0o644)
    with pytest.raises(Denied):
        master_key(tmp_path / "master.key")


@pytest.mark.parametrize("path", ["folder", "loop", "file/master.key", "dangling"])
def test_a_key_file_that_cannot_be_read_is_a_clear_error(tmp_path: Path, path: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "master.key")
    with pytest.raises(Denied) as caught:
        master_key(tmp_path / path)
    assert caught.value.code == "key_file_unreadable"
