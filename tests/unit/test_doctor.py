"""What the doctor says where nothing is wrong, but something may be missed."""

from pathlib import Path

import pytest

from freehold.app import doctor
from freehold.app.doctor import examine
from freehold.settings import Settings


@pytest.mark.parametrize(
    ("address", "found", "remedy"),
    [("", "no program outside", "FREEHOLD_GATEWAY_ADDRESS"), ("127.0.0.1:7071", "http://127.0.0.1:7071/v1", "")],
)
def test_where_model_keys_are_shown_is_told(tmp_path: Path, address: str, found: str, remedy: str) -> None:
    settings = Settings(data=tmp_path, gateway_address=address)
    told = next(finding for finding in examine(settings) if finding.name == "models")
    assert told.ok
    assert found in told.found
    assert remedy in told.remedy


@pytest.mark.parametrize(
    ("trusted", "ok", "remedy"), [([Path("/trusted.pem")], True, ""), ([], False, "ca-certificates")]
)
def test_a_machine_that_trusts_nobody_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, trusted: list[Path], ok: bool, remedy: str
) -> None:
    monkeypatch.setattr(doctor, "roots", lambda: trusted)
    told = next(finding for finding in examine(Settings(data=tmp_path)) if finding.name == "certificates")
    assert (told.ok, remedy in told.remedy) == (ok, True)
