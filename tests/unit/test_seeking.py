"""Secrets are found in every form that programs give them, wherever they lie, and told by name only."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from freehold.app.gateway_store import open_store
from freehold.audit.recording import PLATFORM
from freehold.gateway import secrets
from freehold.gateway.keeping import Keep
from freehold.gateway.seeking import SLICE, Piece, SeekRequest, seek, spellings
from freehold.settings import Settings
from freehold.testing.clock import FakeClock

VALUE = 'sk-"canary"/9f8e\\7d6c+5ü='
FORMS: dict[str, Callable[[str], bytes]] = {
    "as it is": lambda value: value.encode(),
    "backwards": lambda value: value.encode()[::-1],
    "hexadecimal": lambda value: value.encode().hex().encode(),
    "upper": lambda value: value.encode().hex().upper().encode(),
    "address": lambda value: quote(value, safe="").encode(),
    "utf-16": lambda value: value.encode("utf-16-le"),
    "utf-16-be": lambda value: value.encode("utf-16-be"),
    "json": lambda value: json.dumps({"a": value}).encode(),
    "json as it is": lambda value: json.dumps({"a": value}, ensure_ascii=False).encode(),
    "base64": lambda value: base64.b64encode(value.encode()),
    "base64 behind one": lambda value: base64.b64encode(b"x" + value.encode() + b"yz"),
    "base64 behind two": lambda value: base64.b64encode(b"xx" + value.encode() + b"y"),
    "urlsafe": lambda value: base64.urlsafe_b64encode(b"xxx" + value.encode() + b"tail"),
}


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Keep]:
    made = open_store(Settings(data=tmp_path), FakeClock())
    yield made
    made.close()


def put(keep: Keep, tenant: str | None, name: str, value: str) -> None:
    keep.written(lambda tx: secrets.put(tx, keep, tenant=tenant, name=name, value=value, by="tester"))


def sought(keep: Keep, *pieces: tuple[str, bytes]) -> dict[str, object]:
    asked = SeekRequest(
        tenant="ten_1", subject="sbx_1", by="platform", pieces=[Piece(where=where, data=data) for where, data in pieces]
    )
    return keep.written(lambda tx: seek(tx, keep, asked))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "value", [VALUE, "plainsecret", "k" * 7 + "ö", VALUE * 40], ids=["odd", "plain", "short", "long"]
)
def test_a_secret_is_found_in_every_form(form: str, value: str) -> None:
    said = b"before " + FORMS[form](value) + b" after"
    assert any(needle in said for _, needle in spellings(value)), form


def test_what_is_found_is_told_by_owner_and_name(keep: Keep) -> None:
    put(keep, "ten_1", "one", VALUE)
    put(keep, None, "two", "of-the-platform")
    found = sought(keep, ("file /a", b"nothing"), ("file /b", b".." + VALUE.encode()), ("file /c", b"of-the-platform"))
    assert found["looked_for"] == 2
    told = found["found"]
    assert isinstance(told, list)
    assert {(one["where"], one["owner"], one["name"]) for one in told} == {
        ("file /b", "ten_1", "one"),
        ("file /c", PLATFORM, "two"),
    }
    assert VALUE not in json.dumps(found, ensure_ascii=False)


def test_a_secret_too_short_to_look_for_is_named(keep: Keep) -> None:
    put(keep, "ten_1", "pin", "1234567")
    assert sought(keep, ("here", b"1234567")) == {"found": [], "looked_for": 0, "too_short": ["ten_1/pin"]}


def test_a_part_of_a_long_secret_is_enough(keep: Keep) -> None:
    value = "".join(f"{number:05d}" for number in range(1000))
    put(keep, "ten_1", "long", value)
    middle = value[len(value) // 2 - SLICE : len(value) // 2 + SLICE]
    assert sought(keep, ("here", middle.encode()))["found"]


def test_looking_is_written_down(keep: Keep) -> None:
    sought(keep, ("here", b"abc"))
    rows = keep.written(lambda tx: tx.exec_driver_sql("SELECT action, subject, actor FROM audit").all())
    assert tuple(rows[-1]) == ("secret.seek", "sbx_1", "platform")
