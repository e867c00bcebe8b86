"""The reserve is there while there is room, and new work waits while it is not."""

from pathlib import Path

import pytest

from freehold.core.errors import Exhausted
from freehold.store.reserve import Reserve

MORE_THAN_ANY_DISK = 1 << 40


def test_the_first_work_makes_the_reserve(tmp_path: Path) -> None:
    Reserve(tmp_path / "reserve", 2).require()
    assert (tmp_path / "reserve").stat().st_size == 2 << 20
    assert [path.name for path in tmp_path.iterdir()] == ["reserve"]


def test_a_dropped_reserve_comes_back_when_there_is_room(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "reserve", 1)
    reserve.require()
    reserve.drop()
    reserve.drop()
    assert not (tmp_path / "reserve").exists()
    reserve.require()
    assert (tmp_path / "reserve").exists()


def test_without_room_nothing_new_is_accepted(tmp_path: Path) -> None:
    with pytest.raises(Exhausted) as refused:
        Reserve(tmp_path / "reserve", MORE_THAN_ANY_DISK).require()
    assert (refused.value.code, refused.value.status) == ("disk_full", 507)
    assert list(tmp_path.iterdir()) == []


def test_who_wants_no_reserve_has_none(tmp_path: Path) -> None:
    Reserve(tmp_path / "reserve", 0).require()
    assert list(tmp_path.iterdir()) == []
