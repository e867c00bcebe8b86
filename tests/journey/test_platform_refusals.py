"""Bad input through the command line: a code, a remedy, an exit code, and nothing half-done."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from freehold.surroundings import passed_on
from freehold.testing.platform import LocalPlatform
from tests.platforms import Desk, run_cli

BAD = {
    "no-such-tenant": (["run", "list", "-t", "nobody"], "not_found"),
    "bad-slug": (["tenant", "create", "Not A Slug"], "bad_slug"),
    "reserved-slug": (["tenant", "create", "admin"], "bad_slug"),
    "taken-slug": (["tenant", "create", "bad"], "slug_taken"),
    "unknown-model": (["agent", "create", "bob", "-t", "bad", "-m", "nobody/nothing"], "unknown_model"),
    "unknown-knob": (["agent", "create", "bob", "-t", "bad", "-m", "rehearsal?colour=red"], "unknown_model"),
    "unknown-tool": (["agent", "create", "bob", "-t", "bad", "-m", "rehearsal", "--tool", "fly=allow"], "unknown_tool"),
    "taken-name": (["agent", "create", "ada", "-t", "bad", "-m", "rehearsal"], "name_taken"),
    "no-such-agent": (["message", "send", "nobody", "hi", "-t", "bad"], "not_found"),
    "no-such-run": (["run", "show", "run_none", "-t", "bad"], "not_found"),
    "missing-secret": (
        ["connection", "create", "openai", "x", "--base-url", "https://x.example/v1", "--secret", "no", "-t", "bad"],
        "missing_secret",
    ),
    "missing-hook-secret": (
        [
            "channel",
            "create",
            "webhook",
            "w",
            "-t",
            "bad",
            "-a",
            "ada",
            "--secret",
            "no",
            "--reply-url",
            "http://x.example",
        ],
        "missing_secret",
    ),
    "unknown-scope": (["key", "create", "-t", "bad", "--scope", "everything"], "unknown_scope"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_a_code_and_a_remedy(case: str, platform: LocalPlatform, desk: Desk) -> None:
    desk.settle("bad")
    words, code = BAD[case]
    refused = run_cli(platform, *words, "--json")
    assert refused.returncode == 1, refused.stdout
    problem = json.loads(refused.stdout)
    assert problem["code"] == code
    assert problem["remedy"]


@pytest.mark.parametrize(
    "words",
    [["fly"], ["run", "start"], ["agent", "create", "x", "-t", "t", "-m", "m", "--tool", "shell"], ["secret", "list"]],
    ids=lambda words: words[0],
)
def test_wrong_use_is_another_exit_code(words: list[str], platform: LocalPlatform) -> None:
    assert run_cli(platform, *words).returncode == 2


def test_an_unknown_setting_suggests_the_nearest(platform: LocalPlatform) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "freehold", "up"],
        env=platform.environment | {"FREEHOLD_ADRESS": "x"}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert refused.returncode == 1
    assert "FREEHOLD_ADDRESS" in refused.stderr


def test_a_data_folder_that_cannot_be_is_refused(platform: LocalPlatform, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environment = platform.environment | {"FREEHOLD_DATA": str(tmp_path / "file" / "data")}
    words = [sys.executable, "-m", "freehold", "up", "--json"]
    refused = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 1
    assert json.loads(refused.stdout)["code"] == "data_folder_closed"


@pytest.mark.parametrize("hidden", ["checks.BWRAP = '/nowhere/bwrap'", "os.environ['PATH'] = '/nowhere'"])
def test_without_bubblewrap_nothing_is_started(tmp_path: Path, hidden: str) -> None:
    without = f"import os; from freehold.drivers.runtime.bwrap import checks; {hidden}"
    program = (
        f"import sys; {without}; sys.argv = ['freehold', 'up', '--json']; from freehold.cli.main import main; main()"
    )
    environment = passed_on() | {"FREEHOLD_DATA": str(tmp_path / "data"), "HOME": str(tmp_path)}
    words = [sys.executable, "-c", program]
    refused = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 1
    problem = json.loads(refused.stdout)
    assert problem["code"] == "no_sandboxes"
    assert "apt install bubblewrap" in problem["remedy"]
    assert not (tmp_path / "data").exists()
