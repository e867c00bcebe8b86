"""Prices: found in the compiled list, in the connection's own table, or known to be unknown."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from freehold.core.errors import Invalid
from freehold.gateway.asked import Units
from freehold.gateway.money.prices import FREE, MANY, REHEARSAL, Price, Prices, check, stated
from freehold.gateway.money.pricing import compiled, listed

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MILLION = 1_000_000


@pytest.fixture(scope="module")
def lists() -> dict[str, Any]:
    return compiled()


@pytest.fixture
def prices(lists: dict[str, Any]) -> Prices:
    return Prices(lists=lists, now=lambda: NOW)


def usd(price: Price, **units: int) -> float:
    return price.cost(Units(**({"requests": 0} | units))) / 1_000_000_000


def test_tokens_cost_what_the_list_says(prices: Prices) -> None:
    price = prices.of("openai", {}, "gpt-5-mini")
    assert price.known
    assert price.id.startswith("genai-prices ")
    assert price.id.endswith(" openai/gpt-5-mini")
    assert usd(price, input=MILLION) == 0.25
    assert usd(price, input=MILLION, cached=MILLION) == 0.025
    assert usd(price, output=MILLION) == 2.0


@pytest.mark.parametrize(
    ("kind", "config", "model"),
    [
        ("anthropic", {}, "claude-sonnet-4-5-20250929"),
        ("gemini", {}, "gemini-2.5-pro"),
        ("mistral", {}, "mistral-large-latest"),
        ("deepseek", {}, "deepseek-chat"),
        ("openrouter", {}, "openai/gpt-5-mini"),
        ("azure", {"base_url": "https://mine.openai.azure.com"}, "gpt-5-mini"),
        ("openai", {"base_url": "https://api.groq.com/openai/v1"}, "llama-3.3-70b-versatile"),
    ],
)
def test_what_providers_are_known_for_has_a_price(
    prices: Prices, kind: str, config: dict[str, Any], model: str
) -> None:
    price = prices.of(kind, config, model)
    assert price.known
    assert price.input > 0
    assert price.output > 0


def test_ours_agrees_with_the_list_as_it_calculates_itself(prices: Prices) -> None:
    from genai_prices import Usage, calc_price  # noqa: PLC0415 - the second opinion, of this test only

    for provider, kind, model in (
        ("openai", "openai", "gpt-5"),
        ("anthropic", "anthropic", "claude-sonnet-4-5"),
        ("google", "gemini", "gemini-2.5-pro"),
        ("mistral", "mistral", "mistral-large-latest"),
    ):
        for entering in (1_000, 150_000, 250_000):
            theirs = calc_price(
                Usage(input_tokens=entering, cache_read_tokens=500, output_tokens=700),
                model,
                provider_id=provider,
                genai_request_timestamp=NOW,
            ).total_price
            ours = prices.of(kind, {}, model).cost(Units(input=entering, cached=500, output=700, requests=0))
            assert abs(Decimal(ours) / 10**9 - theirs) <= Decimal(1) / 10**9, (model, entering)


def test_a_long_context_costs_more_for_all_of_it(prices: Prices) -> None:
    price = prices.of("gemini", {}, "gemini-2.5-pro")
    assert usd(price, input=200_000) == 0.25
    assert usd(price, input=200_001) > 0.5


def test_cached_and_written_tokens_cost_what_input_does_where_the_list_says_nothing(prices: Prices) -> None:
    price = prices.of("openai", {}, "gpt-4")
    assert price.cached == price.written == price.input > 0


def test_sound_and_speech_are_priced_by_the_second_and_the_character(prices: Prices) -> None:
    assert usd(prices.of("openai", {}, "whisper-1"), seconds=3_600) == pytest.approx(0.36)
    assert usd(prices.of("openai", {}, "tts-1"), characters=MILLION) == pytest.approx(15)
    assert prices.of("openai", {}, "gpt-4o-transcribe").input == 6 * 10**9


def test_what_nobody_knows_is_not_for_nothing(prices: Prices) -> None:
    assert not prices.of("openai", {}, "gpt-99-unheard-of").known
    assert not prices.of("openai", {"base_url": "https://models.example.org/v1"}, "gpt-5").known
    assert not prices.of("carrier-pigeon", {}, "gpt-5").known


def test_own_machines_are_free_unless_somebody_says_otherwise(prices: Prices) -> None:
    assert prices.of("ollama", {}, "llama3") is FREE
    priced = prices.of("ollama", {"price": {"*": {"output": 2}}}, "llama3")
    assert (priced.id, priced.output) == ("connection", 2 * 10**9)


def test_the_rehearsal_has_a_price_of_its_own(prices: Prices) -> None:
    assert prices.of("rehearsal", {}, "anything") is REHEARSAL


def test_a_connections_own_table_goes_first_and_a_models_line_before_the_one_for_all(prices: Prices) -> None:
    table = {
        "*": {"input": 1, "output": 2},
        "gpt-5": {"input": 3, "cached": 0.5, "output": 4, "image": 0.04, "second": 0.0001},
    }
    mine, other = prices.of("openai", {"price": table}, "gpt-5"), prices.of("openai", {"price": table}, "gpt-4")
    assert usd(mine, input=MILLION, cached=MILLION) == 0.5
    assert usd(mine, images=2) == 0.08
    assert usd(mine, seconds=60) == 0.006
    assert usd(other, input=MILLION, output=MILLION) == 3.0
    assert stated({"input": 1}).written == 10**9


def test_a_table_that_was_changed_holds_from_then_on(prices: Prices) -> None:
    before = prices.of("openai", {"price": {"*": {"input": 1}}}, "m")
    after = prices.of("openai", {"price": {"*": {"input": 2}}}, "m")
    assert (before.input, after.input) == (10**9, 2 * 10**9)


def test_what_a_cache_keeps_for_an_hour_costs_twice_what_input_does() -> None:
    price = Price(id="p", input=4 * MANY, written=5 * MANY)
    assert price.cost(Units(input=10, written=6, requests=0)) == 4 * 4 + 6 * 5
    assert price.cost(Units(input=10, written=6, lasting=4, requests=0)) == 4 * 4 + 2 * 5 + 4 * 8
    alike = Price(id="p", input=4 * MANY, written=4 * MANY)
    assert alike.cost(Units(input=10, written=6, lasting=4, requests=0)) == 40


def test_every_part_is_rounded_up_once() -> None:
    assert Price(id="p", input=1).cost(Units(input=1, requests=0)) == 1
    assert Price(id="p", input=MANY // 2, output=MANY // 2).cost(Units(input=1, output=1, requests=0)) == 1


def test_a_price_that_begins_on_a_day_holds_from_that_day(lists: dict[str, Any]) -> None:
    model = {
        "id": "m",
        "match": ["equals", "m"],
        "context": 0,
        "priced": True,
        "prices": [{"since": None, "price": _line(5)}, {"since": "2026-11-22", "price": _line(3)}],
    }
    table = lists | {"providers": [{"id": "openai", "pattern": "x", "others": [], "models": [model]}]}
    at = NOW
    found = Prices(lists=table, now=lambda: at)
    assert found.of("openai", {}, "m").input == 5
    at = NOW + timedelta(days=1)
    assert found.of("openai", {}, "m").input == 3


def test_the_list_is_compiled_once_by_a_program_of_its_own(tmp_path: Path) -> None:
    first = listed(tmp_path / "prices.json")
    kept = tmp_path / "prices.json"
    before = kept.stat().st_mtime_ns
    assert listed(tmp_path / "prices.json") == first
    assert kept.stat().st_mtime_ns == before
    kept.write_text('{"format": 1, "list": "genai-prices 0.0.1"}')
    assert listed(tmp_path / "prices.json")["list"] == first["list"]
    kept.write_text("{")
    assert listed(tmp_path / "prices.json") == first


def test_asking_for_prices_loads_nothing_of_the_list(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from datetime import datetime, UTC;"
        "from freehold.gateway.money.pricing import listed; from freehold.gateway.money.prices import Prices;"
        f"prices = Prices(lists=listed(Path({str(tmp_path / 'prices.json')!r})), now=lambda: datetime.now(UTC));"
        "assert prices.of('openai', {}, 'gpt-5').known;"
        "print([name for name in ('genai_prices', 'pydantic', 'httpx', 'httpx2') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "table", [{"*": {"input": -1}}, {"*": {"inputs": 1}}, {"*": 3}, [], {"*": {"input": "1"}}, {"*": {"input": True}}]
)
def test_a_table_that_means_nothing_is_refused(table: object) -> None:
    with pytest.raises(Invalid):
        check(table)
    check({"*": {"input": 1, "output": 0.5}})


def _line(price: int) -> dict[str, Any]:
    rates = dict.fromkeys(("input", "cached", "written", "output"), price)
    return rates | {"second": 0, "character": 0, "request": 0, "tiers": []}
