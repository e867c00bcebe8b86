"""The commands about money and models, against web on a real socket."""

import json
import socket
from pathlib import Path

import pytest

from freehold.cli.amounts import dollars, nano, percent, ppm
from freehold.cli.usage import plot
from tests.typed import Run
from tests.webs import Web, made

DOLLAR = 1_000_000_000


@pytest.fixture
def web(tmp_path: Path, listener: socket.socket) -> Web:
    web = made(tmp_path, hosts=f"http://127.0.0.1:{listener.getsockname()[1]}")
    web.agent(web.tenant("acme"), "ada")
    return web


async def test_a_budget_is_set_in_dollars_listed_and_deleted(web: Web, run: Run) -> None:
    set_ = await run("budget", "set", "--period", "month", "--usd", "12.50")
    assert set_.stdout == "tenant.month may spend $12.50; $12.50 of it is left\n"
    listed = await run("budget", "list")
    assert "tenant.month  $12.50" in listed.stdout
    told = json.loads((await run("budget", "list", "--json")).stdout)
    assert told[0]["limit_nano"] == 12_500_000_000
    assert (await run("budget", "delete", "--period", "month")).exit_code == 0
    assert not web.gateway.budgets


async def test_a_budget_of_an_agent_is_called_by_its_name(web: Web, run: Run) -> None:
    said = await run("budget", "set", "--agent", "ada", "--period", "day", "--usd", "5")
    assert said.stdout == "agent.day.ada may spend $5.00; $5.00 of it is left\n"
    assert "agent.day.ada" in (await run("budget", "list")).stdout
    assert "agent.day.ada" in (await run("usage")).stdout


@pytest.mark.parametrize(
    ("words", "which"),
    [
        (["--key", "fhm_1", "--period", "day"], ("key", "fhm_1", "day")),
        (["--level", "embed"], ("level", "embed", "month")),
        (["--run"], ("run", "*", "ever")),
        (["--unattended", "--period", "day"], ("unattended", "", "day")),
    ],
)
async def test_a_budget_can_be_about_a_part_of_the_tenant(
    web: Web, run: Run, words: list[str], which: tuple[str, ...]
) -> None:
    assert (await run("budget", "set", *words, "--usd", "1")).exit_code == 0
    assert [one[1:] for one in web.gateway.budgets] == [which]


@pytest.mark.parametrize(
    "words",
    [
        ["budget", "set", "--usd", "1", "--run", "--unattended"],
        ["budget", "set", "--usd", "-1"],
        ["budget", "set", "--usd", "a lot"],
        ["account", "set", "--markup", "much"],
        ["account", "set"],
        ["usage", "--since", "lately"],
        ["connection", "set", "big"],
        ["connection", "set", "big", "--price", "input=cheap"],
    ],
)
async def test_wrong_use_is_told_before_anything_is_asked(run: Run, words: list[str]) -> None:
    assert (await run(*words)).exit_code == 2


async def test_an_account_is_shown_and_changed_in_words_people_use(run: Run) -> None:
    await run("account", "set", "--markup", "20%", "--regions", "eu")
    told = await run("account", "credit", "--usd", "25")
    assert [line.split() for line in told.stdout.splitlines()] == [
        ["markup", "20%"],
        ["prepaid", "yes"],
        ["credit", "$25.00"],
        ["credit", "left", "$25.00"],
        ["regions", "eu"],
    ]
    assert "any" in (await run("account", "set", "--regions", "any")).stdout


async def test_a_level_has_a_route_and_others_behind_it(web: Web, run: Run) -> None:
    told = await run("level", "set", "coordinator", "openai/gpt-5-mini", "--fallback", "anthropic/claude")
    assert told.stdout == "coordinator goes to openai/gpt-5-mini, then anthropic/claude\n"
    other = await run("level", "set", "embed", "openai/small", "--platform", tenant=False)
    assert other.exit_code == 0
    listed = await run("level", "list")
    assert "the platform" in listed.stdout
    assert (await run("level", "delete", "coordinator")).exit_code == 0
    assert web.gateway.levels == {(None, "embed"): ["openai/small"]}


async def test_a_model_key_is_printed_alone_so_that_it_can_be_piped(run: Run) -> None:
    made = await run("model-key", "create", "editor", "--agent", "ada", "--model", "executor", "--expires-days", "7")
    assert made.stdout == "fhm_shown-once\n"
    (key,) = json.loads((await run("model-key", "list", "--json")).stdout)
    assert (key["name"], key["models"]) == ("editor", ["executor"])
    assert (await run("model-key", "revoke", key["id"])).exit_code == 0


async def test_a_connection_of_any_kind_is_made_changed_and_tried(web: Web, run: Run) -> None:
    price = ["--price", "input=0.25,output=2", "--price", "llama3:8b:output=0"]
    await run("connection", "create", "ollama", "own", "--base-url", "http://box/v1", "--region", "eu", *price)
    (told,) = json.loads((await run("connection", "list", "--json")).stdout)
    assert told["config"] == {
        "base_url": "http://box/v1",
        "region": "eu",
        "price": {"*": {"input": 0.25, "output": 2}, "llama3:8b": {"output": 0}},
    }
    wants = await run("connection", "test", "own")
    assert (wants.exit_code, "[provider_refused]" in wants.stderr) == (1, True)
    await run("connection", "set", "own", "--secret", "key", "--unset", "price", "--config", "headers=none")
    (told,) = json.loads((await run("connection", "list", "--json")).stdout)
    assert (told["config"]["headers"], "price" in told["config"], told["secret"]) == ("none", False, "key")
    assert "own answers in 12 ms and offers 3 models" in (await run("connection", "test", "own")).stdout


async def test_usage_says_how_the_limits_stand(web: Web, run: Run) -> None:
    assert "no limit" in (await run("usage")).stdout
    await run("budget", "set", "--usd", "1")
    assert "tenant.month  $0.000000005 of $1.00 spent" in (await run("usage")).stdout


async def test_usage_is_summed_and_comes_as_csv(web: Web, run: Run) -> None:
    group = {"key": "big/model", "count": 2, "tokens_in": 5, "tokens_out": 6, "charge_nano": DOLLAR, "cost_nano": 7}
    web.gateway.groups = [group]
    summed = await run("usage", "--by", "model", "--since", "7d", "--until", "2099-01-01")
    assert "big/model  2      5   6    $1.00    $0.000000007" in summed.stdout
    assert web.gateway.asked["since"] > 1_600_000_000_000
    sheet = (await run("usage", "--by", "model", "--csv")).stdout.splitlines()
    assert (sheet[0].partition(",")[0], sheet[1].partition(",")[0]) == ("model", "big/model")


async def test_usage_without_a_price_is_not_shown_as_free(web: Web, run: Run) -> None:
    group = {"key": "big/model", "count": 2, "tokens_in": 5, "tokens_out": 6, "charge_nano": 0, "cost_nano": 0}
    web.gateway.groups = [group | {"unpriced": 2}]
    assert (await run("usage", "--by", "model")).stdout.splitlines()[-1].endswith("$0.00?")


def test_amounts_are_exact_whatever_is_typed() -> None:
    assert [nano(text) for text in ("0.1", "$3", "0.000000001", "9000000")] == [DOLLAR // 10, 3 * DOLLAR, 1, 9 * 10**15]
    assert [ppm(text) for text in ("20%", "0.5", "0")] == [200_000, 5_000, 0]
    assert [percent(share) for share in (200_000, 5_000, 0)] == ["20%", "0.5%", "0%"]
    shown = [dollars(amount) for amount in (None, 0, 1, 5_000, 10_000_000, DOLLAR, 1_234_567_890_000)]
    assert shown == ["-", "$0.00", "$0.000000001", "$0.000005", "$0.01", "$1.00", "$1,234.57"]


def test_the_plot_has_a_bar_a_day_and_none_where_nothing_was_charged() -> None:
    days = [{"key": "2026-01-02", "charge_nano": DOLLAR}, {"key": "2026-01-01", "charge_nano": DOLLAR // 2}]
    assert plot(days) == ["", f"2026-01-01  {'█' * 20} $0.50", f"2026-01-02  {'█' * 40} $1.00"]
    assert plot([{"key": "2026-01-01", "charge_nano": 0}]) == []
