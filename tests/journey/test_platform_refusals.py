"""Bad input through the command line: a code, a remedy, an exit code, and nothing half-done."""

import json
import subprocess
import sys

import pytest

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
