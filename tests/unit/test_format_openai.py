"""OpenAI's formats pass as they came, and what they use is read."""

import json
from typing import Any

import pytest

from freehold.catalog.providers import presets
from freehold.core.errors import Invalid
from freehold.drivers.model.openai.format import OpenAi
from freehold.gateway.formats import Api, Asked, Sent
from tests.answers import KEY, asked
from tests.dialling import client

HELLO = {"messages": [{"role": "user", "content": "hello"}], "model": "quick/gpt-5"}


def driver(kind: str = "openai") -> OpenAi:
    return OpenAi(client(), presets()[kind])


def request(asked: Asked, kind: str = "openai", limit: int | None = None, **config: Any) -> Sent:
    return driver(kind).request(asked, model="gpt-5", config=config, credential=KEY, limit=limit)


@pytest.mark.parametrize(
    ("kind", "config", "api", "url"),
    [
        ("openai", {}, Api.CHAT, "https://api.openai.com/v1/chat/completions"),
        ("openai", {"base_url": "http://10.0.0.1/v1/"}, Api.CHAT, "http://10.0.0.1/v1/chat/completions"),
        ("openai", {}, Api.RESPONSES, "https://api.openai.com/v1/responses"),
        ("openai", {}, Api.EMBEDDINGS, "https://api.openai.com/v1/embeddings"),
        ("openai", {}, Api.IMAGES, "https://api.openai.com/v1/images/generations"),
        ("openai", {}, Api.SPEECH, "https://api.openai.com/v1/audio/speech"),
        ("openai", {}, Api.MODELS, "https://api.openai.com/v1/models"),
        ("azure", {"base_url": "https://a.b/openai/v1"}, Api.CHAT, "https://a.b/openai/v1/chat/completions"),
        (
            "azure",
            {"base_url": "https://a.b", "api_version": "2024-10-21"},
            Api.CHAT,
            "https://a.b/openai/deployments/gpt-5/chat/completions?api-version=2024-10-21",
        ),
        (
            "azure",
            {"base_url": "https://a.b", "api_version": "2024-10-21"},
            Api.MODELS,
            "https://a.b/openai/models?api-version=2024-10-21",
        ),
        ("ollama", {}, Api.CHAT, "http://127.0.0.1:11434/v1/chat/completions"),
    ],
)
def test_a_request_goes_where_the_provider_has_it(kind: str, config: dict[str, Any], api: Api, url: str) -> None:
    assert request(asked(api, HELLO), kind, **config).url == url


def test_the_key_is_sent_as_the_provider_wants_it() -> None:
    assert request(asked(Api.CHAT, HELLO)).headers["authorization"] == f"Bearer {KEY.reveal()}"
    azure = request(asked(Api.CHAT, HELLO), "azure", base_url="https://a.b")
    assert azure.headers["api-key"] == KEY.reveal()
    assert "authorization" not in azure.headers


def test_only_the_models_name_changes_in_a_body() -> None:
    body = b'{ "model" : "quick/gpt-5", "new_thing": {"n": 1e400}, "seed":12345678901234567890 }'
    sent = request(Asked(api=Api.CHAT, model="quick/gpt-5", body=body))
    assert sent.body == body.replace(b"quick/gpt-5", b"gpt-5")


@pytest.mark.parametrize(
    ("kind", "wanted", "options"),
    [("openai", False, {"include_usage": True}), ("openai", True, None), ("mistral", False, None)],
)
def test_a_stream_is_asked_for_its_usage_where_that_is_needed(kind: str, wanted: bool, options: object) -> None:  # noqa: FBT001
    sent = request(asked(Api.CHAT, HELLO | {"stream": True}, usage_wanted=wanted), kind)
    assert json.loads(sent.body).get("stream_options") == options


def test_other_wishes_about_a_stream_stay() -> None:
    body = HELLO | {"stream": True, "stream_options": {"include_usage": False, "include_obfuscation": False}}
    told = json.loads(request(asked(Api.CHAT, body)).body)["stream_options"]
    assert told == {"include_usage": True, "include_obfuscation": False}


@pytest.mark.parametrize(
    ("api", "kind", "body", "expected"),
    [
        (Api.CHAT, "openai", {}, {"max_completion_tokens": 7}),
        (Api.CHAT, "deepseek", {}, {"max_tokens": 7}),
        (Api.CHAT, "openai", {"max_tokens": 900}, {"max_tokens": 7}),
        (
            Api.CHAT,
            "openai",
            {"max_tokens": 900, "max_completion_tokens": 9},
            {"max_tokens": 7, "max_completion_tokens": 7},
        ),
        (Api.CHAT, "mistral", {"max_completion_tokens": 900}, {"max_tokens": 7}),
        (Api.RESPONSES, "openai", {"max_output_tokens": 900}, {"max_output_tokens": 7}),
        (Api.EMBEDDINGS, "openai", {}, {}),
    ],
)
def test_a_limit_replaces_the_callers(api: Api, kind: str, body: dict[str, Any], expected: dict[str, int]) -> None:
    told = json.loads(request(asked(api, HELLO | body), kind, limit=7).body)
    assert {name: value for name, value in told.items() if name.startswith("max_")} == expected


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("mistral", {"max_completion_tokens": 9}, {"max_tokens": 9}),
        ("mistral", {"max_completion_tokens": 9, "max_tokens": 8}, {"max_completion_tokens": 9, "max_tokens": 8}),
        ("openai", {"max_completion_tokens": 9}, {"max_completion_tokens": 9}),
        ("openai", {"max_tokens": 9}, {"max_tokens": 9}),
    ],
)
def test_a_limit_is_told_by_the_name_its_provider_knows(
    kind: str, body: dict[str, int], expected: dict[str, int]
) -> None:
    told = json.loads(request(asked(Api.CHAT, HELLO | body), kind).body)
    assert {name: value for name, value in told.items() if name.startswith("max_")} == expected


def test_what_a_provider_does_not_offer_is_refused() -> None:
    with pytest.raises(Invalid) as caught:
        request(asked(Api.RESPONSES, HELLO), "deepseek")
    assert caught.value.code == "not_supported"


def test_a_chain_of_models_that_nobody_granted_is_refused() -> None:
    with pytest.raises(Invalid) as caught:
        request(asked(Api.CHAT, HELLO | {"models": ["dear/one"]}), kind="openrouter")
    assert (caught.value.code, caught.value.facts) == ("not_supported", {"param": "models"})
    assert b'"models"' in request(asked(Api.CHAT, HELLO | {"models": ["any"]})).body


def test_an_answer_in_the_background_is_refused() -> None:
    with pytest.raises(Invalid) as caught:
        request(asked(Api.RESPONSES, HELLO | {"background": True}))
    assert (caught.value.code, caught.value.facts) == ("not_supported", {"param": "background"})


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("openai", {"base_url": "ftp://x"}),
        ("openai", {"base_url": "https://u:p@x/v1"}),
        ("openai", {"base_url": 7}),
        ("openai", {"base_url": "http://x/v1 HTTP/1.1"}),
        ("openai", {"base_url": "http://x/v1\r\nX-Evil: 1"}),
        ("openai", {"base_url": "http://x\\.y/v1"}),
        ("openai", {"base_url": "http://\uff58/v1"}),
        ("openai", {"api_version": "1"}),
        ("openai", {"region": 7}),
        ("openai", {"price": {"*": {"input": -1}}}),
        ("openai", {"price": {"*": {"inputs": 1}}}),
        ("openai", {"price": {"*": {}}}),
        ("openai", {"price": 7}),
        ("azure", {}),
    ],
)
def test_a_connection_that_could_never_work_is_refused(kind: str, config: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        driver(kind).check_config(config)
    assert caught.value.code == ("invalid_price" if "price" in config else "bad_config")


def test_a_connection_says_where_it_leads_and_what_it_costs() -> None:
    driver().check_config(
        {"base_url": "http://box:8000/v1", "region": "eu", "price": {"*": {"input": 0.1, "written": 1}}}
    )
    driver().check_config({})
    driver("azure").check_config({"base_url": "https://a.b", "api_version": "2024-10-21"})
