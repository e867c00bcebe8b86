"""Who may do what on the machine: the data folder's layout, the users, and the way to what they need."""

import os
from pathlib import Path

import pytest

from freehold.app.mounts import closed_above, plan
from freehold.app.up import LOCK, Ground, only_one, programs
from freehold.app.users import alone, apart, command, lay_out, layout
from freehold.core.errors import Conflict
from freehold.settings import Settings


def settings(data: Path) -> Settings:
    return Settings.read({"FREEHOLD_DATA": str(data), "FREEHOLD_TEST": "1", "FREEHOLD_FAILPOINT": "web:intent:1"})


def test_apart_nobody_but_the_gateway_enters_its_folder(tmp_path: Path) -> None:
    users = apart(settings(tmp_path))
    places = {place.path.name: place for place in layout(tmp_path, users)}
    gateway = places["gateway"]
    assert (gateway.uid, gateway.gid, gateway.mode) == (users.gateway.uid, users.gateway.gid, 0o700)
    assert users.gateway.gid not in {users.web.gid, *users.web.groups, users.worker.gid, *users.worker.groups}


def test_apart_web_alone_is_in_the_group_that_may_decide(tmp_path: Path) -> None:
    users = apart(settings(tmp_path))
    [web_group] = users.web.groups
    assert web_group in users.gateway.groups
    assert web_group not in {users.worker.gid, *users.worker.groups}


def test_alone_everything_is_closed_to_others(tmp_path: Path) -> None:
    data = tmp_path / "data"
    lay_out(data, alone())
    modes = {
        path.name: path.stat().st_mode & 0o7777 for path in (data, data / "run", data / "gateway", data / "tenants")
    }
    assert set(modes.values()) == {0o700}


def test_laying_out_does_not_follow_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.touch()
    outside.chmod(0o644)  # whatever the mask of this process is
    data = tmp_path / "data"
    data.mkdir()
    (data / "reserve").symlink_to(outside)
    with pytest.raises(Exception, match="cannot be made ready"):
        lay_out(data, alone())
    assert outside.stat().st_mode & 0o777 == 0o644


def test_a_process_of_another_user_drops_everything_before_it_begins(tmp_path: Path) -> None:
    users = apart(settings(tmp_path))
    words = command(users.worker, ["program"], switch=True)
    assert words[0] == "setpriv"
    assert {f"--reuid={users.worker.uid}", "--clear-groups", "--no-new-privs", "--pdeathsig=TERM"} <= set(words)
    assert words[-2:] == ["--", "program"]


def test_a_folder_has_one_platform(tmp_path: Path) -> None:
    with only_one(tmp_path / LOCK), pytest.raises(Conflict) as refused, only_one(tmp_path / LOCK):
        pass
    assert refused.value.code == "already_running"
    assert str(os.getpid()) in refused.value.message
    with only_one(tmp_path / LOCK):
        pass


def test_a_restarted_process_is_not_armed_again(tmp_path: Path) -> None:
    ground = Ground(settings=settings(tmp_path), users=alone(), operator_hash="00", key_seal="11", notes=())
    for program in programs(ground):
        assert program.environment["FREEHOLD_FAILPOINT"] == "web:intent:1"
        assert "FREEHOLD_FAILPOINT" not in program.environment_again
        assert program.environment_again["FREEHOLD_DATA"] == str(tmp_path)


def test_no_process_sees_what_the_surroundings_may_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    ground = Ground(settings=settings(tmp_path), users=alone(), operator_hash="00", key_seal="11", notes=())
    assert not any("sk-canary" in value for program in programs(ground) for value in program.environment.values())


def test_a_closed_home_is_covered_once_and_gets_back_only_what_is_needed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "tools" / "python" / "lib").mkdir(parents=True)
    (home / "data").mkdir()
    tmp_path.chmod(0o755)
    home.chmod(0o700)
    closed = closed_above(home / "data")
    assert closed is not None
    assert home.is_relative_to(closed)
    covers = plan([home / "tools" / "python", home / "tools" / "python" / "lib", home / "data", Path("/usr")])
    assert covers == {closed: [home / "data", home / "tools" / "python"]}


def test_a_key_that_others_could_read_is_not_closed_in_silence(tmp_path: Path) -> None:
    data = tmp_path / "data"
    lay_out(data, alone())
    for name in ("master.key", "gateway.db"):
        (data / "gateway" / name).touch()
        (data / "gateway" / name).chmod(0o644)  # whatever the mask of this process is
    lay_out(data, alone())
    assert (data / "gateway" / "gateway.db").stat().st_mode & 0o777 == 0o600
    assert (data / "gateway" / "master.key").stat().st_mode & 0o777 == 0o644
