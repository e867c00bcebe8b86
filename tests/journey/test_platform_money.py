"""Money on a platform of real processes: a limit is set, met, passed by approval, and the tier's is held."""

from freehold.cli.calling import of_tenant
from freehold.core.money import NANO
from freehold.testing.platform import LocalPlatform
from tests.platforms import Desk, patient, run_cli, told


def test_a_run_at_its_limit_asks_and_goes_on_with_what_it_is_given(platform: LocalPlatform, desk: Desk) -> None:
    desk.settle("coins")
    done = run_cli(platform, "budget", "set", "--tenant", "coins", "--period", "month", "--usd", "0.000000001")
    assert done.returncode == 0, done.stdout + done.stderr
    message = desk.say("coins", "hello", wait=40)
    assert (message["message"]["state"], message["run"]["waits_for"]) == ("waiting", "person")
    (asked,) = patient(lambda: desk.api.items(of_tenant("coins", "approvals"), state="asked"))
    assert (asked["connection"], asked["arguments"]["usd"]) == ("budget", 1)
    approve = of_tenant("coins", "approvals", asked["id"], "approve")
    made = told(platform, "key", "create", "--tenant", "coins", "--name", "m", "--scope", "approvals:write")
    refused = run_cli(platform, "approval", "approve", asked["id"], "--tenant", "coins", key=made["key"])
    assert refused.returncode == 1
    assert "budgets:write" in refused.stdout + refused.stderr
    patient(lambda: desk.api.post(approve, {"hash": asked["hash"]}))
    answered = desk.answered("coins", message["message"]["id"])
    assert answered["message"]["state"] == "answered", answered
    (stands,) = [one for one in told(platform, "budget", "list", "--tenant", "coins") if one["scope"] == "tenant"]
    assert stands["limit_nano"] == NANO + 1
    assert 0 < stands["spent_nano"] <= stands["limit_nano"]


def test_what_a_tier_allows_is_held_at_once_and_told_in_words(platform: LocalPlatform, desk: Desk) -> None:
    desk.settle("purse")
    told(platform, "tier", "set", "penny", "spend_usd=0")
    told(platform, "tenant", "set", "purse", "--tier", "penny")
    message = desk.say("purse", "hello", wait=40)
    assert (message["message"]["state"], message["error"]["code"]) == ("failed", "budget_exhausted")
    assert "operator" in message["error"]["remedy"]
    told(platform, "tenant", "set", "purse", "--tier", "sovereign")
    assert desk.say("purse", "hello again", wait=40)["message"]["state"] == "answered"
