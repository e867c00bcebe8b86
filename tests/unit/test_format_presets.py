"""The providers that ship are described completely, and a connection's own word counts before theirs."""

import pytest
from genai_prices.data_snapshot import get_snapshot

from freehold.catalog.providers import FORMATS, presets
from freehold.gateway.calls.addresses import is_address
from freehold.gateway.formats import Api


def test_every_provider_is_there() -> None:
    assert set(presets()) == {
        *("openai", "anthropic", "gemini", "openrouter", "mistral", "deepseek", "kimi", "xai"),
        *("azure", "ollama", "vllm"),
    }


@pytest.mark.parametrize("name", presets())
def test_a_provider_is_described_completely(name: str) -> None:
    preset = presets()[name]
    assert preset.format in FORMATS
    assert preset.apis <= set(Api)
    assert Api.MODELS in preset.apis
    assert not preset.base_url or is_address(preset.base_url)
    assert bool(preset.prices) != preset.free


def test_the_price_list_knows_the_providers() -> None:
    known = {provider.id for provider in get_snapshot().providers}
    assert {preset.prices for preset in presets().values()} - {""} <= known


def test_what_leads_elsewhere_is_priced_and_placed_by_its_connection_alone() -> None:
    openai = presets()["openai"]
    assert (openai.region_of({}), openai.prices_of({})) == ("us", "openai")
    assert (openai.region_of({"base_url": openai.base_url + "/"}), openai.prices_of({})) == ("us", "openai")
    elsewhere = {"base_url": "https://models.example/v1"}
    assert (openai.region_of(elsewhere), openai.prices_of(elsewhere)) == ("", "")
    assert openai.region_of(elsewhere | {"region": "eu"}) == "eu"
    assert openai.base_url_of(elsewhere) == "https://models.example/v1"


def test_own_hardware_stays_own_wherever_it_is() -> None:
    assert presets()["vllm"].region_of({"base_url": "http://10.0.0.7:8000/v1"}) == "own"


def test_a_deployment_is_priced_but_nobody_knows_where_it_is() -> None:
    azure = presets()["azure"]
    config = {"base_url": "https://name.openai.azure.com/openai/v1"}
    assert (azure.region_of(config), azure.prices_of(config)) == ("", "azure")
