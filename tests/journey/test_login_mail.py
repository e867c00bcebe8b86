"""Mail with codes, at the gateway: one that goes to nobody leaves the same traces as one that goes out."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from freehold.core.errors import Unavailable
from freehold.web.mailing import Mail, mail, send
from tests.gateways import Kit, running

NOWHERE = "smtp://127.0.0.1:1"
"""A mail server that would be noticed if anybody dialled it."""


def of(language: str, *, decoy: bool = False) -> Mail:
    told: dict[str, Any] = {"code": "12345678", "place": "https://agents.example.com", "minutes": 10}
    return mail("code", key=f"login/{language}{decoy}", to="ada@example.com", language=language, decoy=decoy, **told)


def traces(kit: Kit) -> list[tuple[str, int]]:
    """Return how many rows each table of the gateway has."""
    with sqlite3.connect(kit.data / "gateway" / "gateway.db") as store:
        names = [name for (name,) in store.execute("select name from sqlite_master where type = 'table'")]
        return [(name, store.execute(f'select count(*) from "{name}"').fetchone()[0]) for name in names]


async def test_a_mail_to_nobody_does_all_the_work_and_dials_nobody(tmp_path: Path) -> None:
    async with running(tmp_path / "one", smtp_url=NOWHERE) as kit:
        await kit.web.send_mail(to="nobody@localhost", subject="a", text="b", key="login/1", decoy=True)
        decoy = traces(kit)
    async with running(tmp_path / "two", smtp_url=NOWHERE) as kit:
        with pytest.raises(Unavailable):
            await kit.web.send_mail(to="ada@example.com", subject="a", text="b", key="login/1")
        assert traces(kit) == decoy


async def test_a_mail_server_that_is_away_is_told_to_the_log_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path, smtp_url=NOWHERE) as kit:
        await send(kit.web, of("en"))
    assert "a…@example.com" in caplog.text
    assert "12345678" not in caplog.text


@pytest.mark.parametrize(("address", "printed"), [("127.0.0.1:7070", True), ("0.0.0.0:7070", False)])
async def test_codes_are_printed_only_where_nobody_else_reaches_the_platform(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, address: str, printed: bool
) -> None:
    async with running(tmp_path, address=address) as kit:
        await send(kit.web, of("en", decoy=True))
        assert "12345678" not in capsys.readouterr().out
        await send(kit.web, of("en"))
    assert ("12345678" in capsys.readouterr().out) is printed


async def test_the_gateway_says_whether_mail_goes_out(tmp_path: Path) -> None:
    async with running(tmp_path / "with", smtp_url=NOWHERE) as kit:
        assert (await kit.web.health())["mail"] is True
    async with running(tmp_path / "without") as kit:
        assert (await kit.web.health())["mail"] is False


@pytest.mark.parametrize(("language", "word"), [("en", "code"), ("de-AT", "Anmeldecode"), ("fr", "code"), ("", "code")])
def test_people_are_written_to_in_their_language(language: str, word: str) -> None:
    made = of(language)
    assert word in made.subject
    assert "12345678" in made.text
    assert "https://agents.example.com" in made.text
