"""What the doctor says of the place where signed heads are kept."""

from pathlib import Path

from freehold.app.second_place import looked_at
from freehold.app.users import User
from freehold.audit.canonical import canonical
from freehold.audit.heads import FILE


def test_no_second_place_is_said_and_is_no_illness() -> None:
    ok, found, remedy = looked_at("")
    assert ok
    assert "none" in found
    assert "FREEHOLD_AUDIT_ANCHOR" in remedy


def test_a_folder_that_is_not_there_is_an_illness(tmp_path: Path) -> None:
    assert looked_at(str(tmp_path / "nowhere"))[0] is False
    assert looked_at("mailto:a@example.org") == (True, "signed heads are mailed to a@example.org", "")


def test_a_folder_that_the_gateways_user_cannot_write_is_an_illness(tmp_path: Path) -> None:
    """Root may write anywhere, and is not who writes there."""
    mine = tmp_path.stat().st_uid
    tmp_path.chmod(0o755)
    assert looked_at(str(tmp_path), User(uid=mine, gid=64_200))[0]
    ok, _, remedy = looked_at(str(tmp_path), User(uid=mine + 1, gid=64_200))
    assert (ok, f"user {mine + 1}" in remedy) == (False, True)
    tmp_path.chmod(0o757)
    assert looked_at(str(tmp_path), User(uid=mine + 1, gid=64_200))[0]


def test_what_was_written_last_is_told(tmp_path: Path) -> None:
    assert looked_at(str(tmp_path))[0]
    told = {"number": 3, "at": 1_767_268_800_000}
    file = tmp_path / FILE
    file.write_bytes(b"{}\n" + canonical(told) + b"\n")
    assert looked_at(str(tmp_path))[:2] == (True, f"anchor 3 of 2026-01-01 12:00:00Z in {file}")
    file.write_bytes(canonical(told | {"faults": [{}]}) + b"\n")
    ok, found, remedy = looked_at(str(tmp_path))
    assert not ok
    assert "not what was signed" in found
    assert "freehold audit verify" in remedy
    file.write_bytes(canonical(told | {"faults": [{}], "accepted": "operator"}) + b"\n")
    assert looked_at(str(tmp_path))[0]
    file.write_bytes(b"{torn")
    assert not looked_at(str(tmp_path))[0]
