"""A mark says which kind of row it is for, whatever the row's own fields are called."""

from freehold.tenants.sealing import Seal

SEAL = Seal("5ea1" * 16)


def test_a_row_may_have_a_field_of_any_name() -> None:
    mark = SEAL.mark("ceremony", kind="session", mark="m", self="s")
    assert SEAL.holds(mark, "ceremony", kind="session", mark="m", self="s")


def test_no_field_makes_a_row_of_one_kind_pass_for_another() -> None:
    assert not SEAL.holds(SEAL.mark("ceremony", kind="session", id="1"), "session", id="1")
    assert not SEAL.holds(SEAL.mark("session", id="1"), "ceremony", kind="session", id="1")


def test_without_a_secret_nothing_holds() -> None:
    assert not Seal("").holds(Seal("").mark("key", id="1"), "key", id="1")
