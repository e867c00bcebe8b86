"""The commands about destinations, as an operator types them."""

from freehold.testing.platform import LocalPlatform
from tests.platforms import Desk, run_cli, told


def test_a_place_is_opened_listed_and_closed(platform: LocalPlatform, desk: Desk) -> None:
    desk.settle("lan")
    opened = run_cli(platform, "destination", "allow", "wiki", "Wiki.LAN:443", "--tenant", "lan")
    assert opened.stdout == "wiki.lan:443 is open to lan as wiki\n"
    wide = run_cli(platform, "destination", "allow", "nas", "[fd00::0:1]:*")
    assert wide.stdout == "[fd00::1]:* is open to every tenant as nas\n"
    listed = run_cli(platform, "destination", "list", "--tenant", "lan").stdout.splitlines()
    assert listed[0].split()[:3] == ["NAME", "PLACE", "FOR"]
    rows = {line.split()[0]: line.split()[1:3] for line in listed[1:]}
    assert (rows["nas"], rows["wiki"]) == (["[fd00::1]:*", "all"], ["wiki.lan:443", "lan"])
    in_json = {one["name"]: one for one in told(platform, "destination", "list", "--tenant", "lan")}
    assert (in_json["nas"]["tenant"], in_json["nas"]["port"]) == (None, None)
    assert run_cli(platform, "destination", "remove", "wiki", "--tenant", "lan").stdout == "wiki is closed\n"
    run_cli(platform, "destination", "remove", "nas").check_returncode()
    gone = run_cli(platform, "destination", "remove", "nas")
    assert gone.returncode == 1
    assert "freehold destination list" in gone.stderr


def test_the_refusal_of_a_connection_says_the_command_that_helps(platform: LocalPlatform, desk: Desk) -> None:
    desk.settle("lan")
    words = ("connection", "create", "openai", "near", "--base-url", "http://192.168.7.7:8000/v1", "--tenant", "lan")
    refused = run_cli(platform, *words)
    assert refused.returncode == 1
    [remedy] = [line for line in refused.stderr.splitlines() if "freehold destination allow" in line]
    typed = remedy.partition("freehold ")[2].replace("NAME", "models").split()
    assert run_cli(platform, *typed).returncode == 0
    assert run_cli(platform, *words).returncode == 0
