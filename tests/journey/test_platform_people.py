"""People on a whole platform, as an operator who has nothing but the command line lets them in."""

import json

import pytest

from freehold.testing.platform import LocalPlatform
from tests.platforms import run_cli, told


@pytest.fixture(scope="module", autouse=True)
def tenant(platform: LocalPlatform) -> None:
    told(platform, "tenant", "create", "firm")
    told(platform, "agent", "create", "ada", "-t", "firm", "-m", "rehearsal")
    told(platform, "agent", "create", "bob", "-t", "firm", "-m", "rehearsal")


def test_somebody_is_made_known_and_changed(platform: LocalPlatform) -> None:
    made = told(platform, "person", "create", "Ada@Example.com", "--name", "Ada")
    assert made["email"] == "ada@example.com"
    told(platform, "person", "set", "ada@example.com", "--platform-role", "auditor", "--allowance", "2")
    shown = told(platform, "person", "show", made["id"])
    assert (shown["platform_role"], shown["allowance"]) == ("auditor", 2)
    told(platform, "person", "set", made["id"], "--platform-role", "none", "--state", "closed")
    assert "closed" in run_cli(platform, "person", "list").stdout


def test_somebody_is_invited_and_the_invitation_is_taken_back(platform: LocalPlatform) -> None:
    made = told(platform, "member", "invite", "bob@example.com", "-t", "firm", "--role", "viewer")
    assert f"{platform.url}/invite/" in made["link"]
    assert "bob@example.com" in run_cli(platform, "member", "invitations", "-t", "firm").stdout
    told(platform, "member", "uninvite", made["id"], "-t", "firm")
    (one,) = told(platform, "member", "invitations", "-t", "firm")
    assert one["revoked_at"] is not None
    assert told(platform, "member", "list", "-t", "firm") == []


def test_a_key_is_printed_once_and_opens_what_it_says(platform: LocalPlatform) -> None:
    words = ("key", "create", "-t", "firm", "--scope", "agents:read", "--agent", "ada", "--expires-days", "30")
    made = told(platform, *words, "--name", "ci")
    assert {"id", "key"} <= made.keys()
    assert made["key"] not in run_cli(platform, "key", "list", "-t", "firm", "--json").stdout
    seen = run_cli(platform, "agent", "list", "-t", "firm", "--json", key=made["key"])
    assert [agent["name"] for agent in json.loads(seen.stdout)] == ["ada"]
    assert run_cli(platform, "secret", "list", "-t", "firm", key=made["key"]).returncode == 1


def test_a_key_is_rotated_and_revoked(platform: LocalPlatform) -> None:
    old = told(platform, "key", "create", "-t", "firm", "--scope", "agents:read")
    new = told(platform, "key", "rotate", old["id"], "-t", "firm", "--overlap-hours", "1")
    for made in (old, new):
        assert run_cli(platform, "agent", "list", "-t", "firm", key=made["key"]).returncode == 0
    told(platform, "key", "revoke", old["id"], "-t", "firm")
    assert run_cli(platform, "agent", "list", "-t", "firm", key=old["key"]).returncode == 1
    assert run_cli(platform, "agent", "list", "-t", "firm", key=new["key"]).returncode == 0
    kept = {one["id"]: one for one in told(platform, "key", "list", "-t", "firm")}
    assert kept[old["id"]]["replaced_by"] == new["id"]


def test_a_key_for_the_platform_is_made_on_purpose(platform: LocalPlatform) -> None:
    made = told(platform, "key", "create", "--platform", "--scope", "tenants:read")
    assert run_cli(platform, "tenant", "list", key=made["key"]).returncode == 0
    assert run_cli(platform, "key", "create", "--scope", "tenants:read").returncode == 2


def test_somebody_is_signed_out_and_a_lost_passkey_forgotten(platform: LocalPlatform) -> None:
    made = told(platform, "person", "create", "eve@example.com")
    assert told(platform, "person", "sign-out", "eve@example.com") == {"person": "eve@example.com", "signed_out": True}
    assert told(platform, "person", "forget-passkeys", made["id"]) == {"person": made["id"], "passkeys": 0}
    assert run_cli(platform, "person", "sign-out", "nobody@example.com").returncode == 1


@pytest.mark.parametrize(
    "words",
    [
        ["member", "invite", "bob@example.com", "-t", "firm", "--role", "king"],
        ["member", "set", "bob@example.com", "-t", "firm", "--state", "asleep"],
        ["person", "set", "ada@example.com", "--platform-role", "king"],
        ["person", "set", "ada@example.com", "--state", "asleep"],
        ["audit", "list", "--store", "drawer"],
        ["tenant", "set", "firm", "--until", "2030-01-31"],
        ["tenant", "set", "firm", "--name", "Other", "--tier", "team", "--until", "tomorrow"],
        ["tenant", "create", "other", "--trial", "--tier", "team"],
    ],
)
def test_what_is_no_such_word_is_wrong_use_and_changes_nothing(platform: LocalPlatform, words: list[str]) -> None:
    assert run_cli(platform, *words).returncode == 2
    assert told(platform, "tenant", "show", "firm")["name"] == "firm"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["key", "create", "-t", "firm", "--scope", "secrets:read", "--agent", "ada"], "scope_not_for_agent"),
        (["key", "create", "-t", "firm", "--scope", "people:read"], "scope_not_for_tenant"),
        (["key", "create", "-t", "firm", "--scope", "agents"], "unknown_scope"),
        (["member", "invite", "nobody", "-t", "firm"], "bad_email"),
        (["member", "set", "nobody@example.com", "-t", "firm", "--role", "admin"], "not_found"),
        (["member", "leave", "-t", "firm"], "not_a_person"),
        (["person", "create", "x@example.com", "--allowance", "-1"], "bad_allowance"),
    ],
)
def test_what_cannot_be_is_refused_with_its_code(platform: LocalPlatform, words: list[str], code: str) -> None:
    refused = run_cli(platform, *words)
    assert (refused.returncode, code in refused.stderr) == (1, True), refused.stderr
