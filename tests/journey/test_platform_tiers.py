"""Tiers and quotas on a whole platform: the operator's commands, and what agents then can and cannot do."""

import pytest

from freehold.testing.platform import LocalPlatform
from tests.platforms import run_cli, told


@pytest.fixture(scope="module", autouse=True)
def tenant(platform: LocalPlatform) -> None:
    told(platform, "tier", "set", "tiny", "agents=1", "messages_per_day=3", "memory_mb=64", "cpu=0.5", "members=inf")
    told(platform, "tenant", "create", "small")
    told(platform, "tenant", "set", "small", "--tier", "tiny", "--until", "2099-01-31")
    told(platform, "agent", "create", "ada", "-t", "small", "-m", "rehearsal", "--tool", "shell=allow")


def test_the_operator_sees_what_there_is_and_what_is_used(platform: LocalPlatform) -> None:
    assert "sovereign" in run_cli(platform, "tier", "list").stdout
    assert told(platform, "tier", "show", "tiny")["limits"]["agents"] == 1
    assert told(platform, "tenant", "show", "small")["tier_until"] == "2099-01-31T00:00:00.000Z"
    used = {one["quota"]: one for one in told(platform, "tenant", "quotas", "small")}
    assert (used["agents"]["used"], used["agents"]["limit"], used["members"]["limit"]) == (1, 1, None)
    assert "agents" in run_cli(platform, "tenant", "quotas", "small").stdout


def test_one_too_many_is_refused_and_says_what_to_do(platform: LocalPlatform) -> None:
    refused = run_cli(platform, "agent", "create", "bob", "-t", "small", "-m", "rehearsal")
    assert refused.returncode == 1
    assert "quota_exceeded" in refused.stderr
    assert "operator" in refused.stderr


def test_a_sandbox_is_no_larger_than_the_tier(platform: LocalPlatform) -> None:
    task = "run: python3 -c 'x = bytearray(SIZE); print(len(x))' || echo too $((1+1)) much"
    for size, said in (("10_000_000", "10000000"), ("150_000_000", "too 2 much")):
        sent = run_cli(platform, "message", "send", "ada", task.replace("SIZE", size), "-t", "small", "--wait", "60")
        assert said in sent.stdout, sent.stdout


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["tenant", "set", "small", "--tier", "huge"], "unknown_tier"),
        (["tier", "set", "tiny", "agnets=1"], "unknown_quota"),
        (["tier", "reset", "tiny"], "tier_in_use"),
        (["tier", "show", "huge"], "unknown_tier"),
    ],
)
def test_what_cannot_be_is_refused_with_its_code(platform: LocalPlatform, words: list[str], code: str) -> None:
    refused = run_cli(platform, *words)
    assert (refused.returncode, code in refused.stderr) == (1, True), refused.stderr


@pytest.mark.parametrize("words", [["tier", "set", "tiny", "agents"], ["tenant", "set", "small", "--until", "soon"]])
def test_wrong_use_is_told_as_such(platform: LocalPlatform, words: list[str]) -> None:
    assert run_cli(platform, *words).returncode == 2
