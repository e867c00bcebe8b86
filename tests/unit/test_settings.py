"""Settings have one way in, and a mistake in them is named."""

from pathlib import Path

import pytest

from freehold.core.errors import Invalid
from freehold.settings import Settings


def test_nothing_needs_to_be_set() -> None:
    settings = Settings.read({})
    assert settings.address == "127.0.0.1:7070"
    assert settings.data.is_absolute()


def test_a_misspelt_name_is_told_with_the_nearest_one() -> None:
    with pytest.raises(Invalid) as told:
        Settings.read({"FREEHOLD_ADRESS": "127.0.0.1:1"})
    assert told.value.code == "unknown_setting"
    assert "FREEHOLD_ADDRESS" in told.value.remedy


def test_a_wrong_value_names_its_setting() -> None:
    with pytest.raises(Invalid, match="FREEHOLD_SANDBOX_IDLE") as told:
        Settings.read({"FREEHOLD_SANDBOX_IDLE": "soon"})
    assert told.value.code == "bad_setting"


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "freehold.toml"
    file.write_text('address = "127.0.0.1:1"\nsmtp_url = "smtp://mail"\n')
    settings = Settings.read({"FREEHOLD_CONFIG": str(file), "FREEHOLD_ADDRESS": "127.0.0.1:2"})
    assert (settings.address, settings.smtp_url) == ("127.0.0.1:2", "smtp://mail")


def test_an_unknown_name_in_the_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "freehold.toml"
    file.write_text("colour = 1\n")
    with pytest.raises(Invalid, match="colour"):
        Settings.read({"FREEHOLD_CONFIG": str(file)})


@pytest.mark.parametrize("broken", ["= 1", None])
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, broken: str | None) -> None:
    file = tmp_path / "freehold.toml"
    if broken:
        file.write_text(broken)
    with pytest.raises(Invalid, match=r"freehold\.toml"):
        Settings.read({"FREEHOLD_CONFIG": str(file)})


def test_a_failpoint_needs_test_mode() -> None:
    with pytest.raises(Invalid, match="FREEHOLD_TEST"):
        Settings.read({"FREEHOLD_FAILPOINT": "worker:sent:1"})


def test_the_settings_of_a_child_are_those_of_its_parent(tmp_path: Path) -> None:
    parent = Settings.read({}, data=tmp_path, rehearsal=True, sandbox_idle=5.5)
    assert Settings.read(parent.environment("worker")) == parent


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PUBLIC_URL", "https://a.example/path"),
        ("PUBLIC_URL", "https://a.example\n"),
        ("RATE_ADDRESS", "-1"),
        ("RUNTIME", "chroot"),
        ("REHEARSAL", "perhaps"),
        ("SANDBOX_PIDS", "8.5"),
    ],
)
def test_a_value_out_of_bounds_names_its_setting(name: str, value: str) -> None:
    with pytest.raises(Invalid, match=f"FREEHOLD_{name}") as told:
        Settings.read({f"FREEHOLD_{name}": value})
    assert told.value.code == "bad_setting"


@pytest.mark.parametrize(
    ("value", "meant"),
    [("1", True), ("true", True), ("Yes", True), ("on", True), ("0", False), ("False", False), ("no", False)],
)
def test_a_switch_may_be_spelt_as_people_do(value: str, meant: bool) -> None:  # noqa: FBT001
    assert Settings.read({"FREEHOLD_REHEARSAL": value}).rehearsal is meant


def test_nobody_is_shown_a_pattern() -> None:
    with pytest.raises(Invalid) as refused:
        Settings.read({"FREEHOLD_GATEWAY_ADDRESS": "foo"})
    assert refused.value.message == "FREEHOLD_GATEWAY_ADDRESS is not right: it is not written as such a setting is."
