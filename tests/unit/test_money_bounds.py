"""The most a call can cost, before it is made: never less than it turns out to be, and not many times more."""

import json
import time
from typing import Any

import pytest

from freehold.gateway.asked import Api, Asked, Units
from freehold.gateway.money.bounds import (
    CONTEXT,
    ENOUGH,
    FIRST_RATIO,
    IMAGE_TOKENS,
    LEAST_RATIO,
    SMALL_MODEL_IMAGE_TOKENS,
    Calibration,
    Estimate,
    estimate,
)
from freehold.gateway.money.prices import MANY, Price, Tier

PRICE = Price(id="p", input=MANY, cached=MANY // 10, written=MANY, output=4 * MANY, image=7, second=3, character=2)
CEILING = 4_096


def asked(api: Api = Api.CHAT, *, body: dict[str, Any] | bytes | None = None, **other: Any) -> Asked:
    told = body if isinstance(body, bytes) else json.dumps(body or {"messages": []}).encode()
    return Asked(api=api, model=other.pop("model", "gpt-5"), body=told, **other)


def bound(request: Asked, price: Price = PRICE, ratio: float = 2.5) -> Estimate:
    return estimate(request, price, ratio=ratio, ceiling=CEILING)


def picture(data: str, kind: str = "image_url") -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": kind, kind: {"url": data}}]}]}


def test_text_is_bounded_by_its_bytes_and_an_answer_by_what_was_asked() -> None:
    body = {"messages": [{"role": "user", "content": "x" * 10_000}]}
    found = bound(asked(body=body, max_output=100))
    assert 4_000 < found.input.input < 4_200
    assert found.output == 100
    assert found.nano(100) == found.input.input + 400


def test_an_answer_without_a_limit_gets_the_ceiling_and_several_cost_as_many_times() -> None:
    found = bound(asked(choices=3))
    assert found.output == CEILING
    assert found.nano(10) - found.nano(0) == 3 * 10 * 4


def test_a_picture_counts_as_one_however_many_bytes_it_has() -> None:
    found = bound(asked(body=picture("data:image/png;base64," + "iVBORw0K" * 100_000)))
    far = bound(asked(body=picture("https://example.org/cat.png")))
    assert IMAGE_TOKENS <= found.input.input < IMAGE_TOKENS + 300
    assert IMAGE_TOKENS <= far.input.input < IMAGE_TOKENS + 300


def test_a_picture_in_anthropics_form_counts_as_one_too() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "iVBORw0K" * 10_000}
    body = {"messages": [{"role": "user", "content": [{"type": "image", "source": source}]}]}
    assert IMAGE_TOKENS <= bound(asked(Api.MESSAGES, body=body)).input.input < IMAGE_TOKENS + 300


def test_models_that_count_pictures_dearly_are_known() -> None:
    found = bound(asked(body=picture("https://example.org/cat.png"), model="gpt-4o-mini"))
    assert found.input.input >= SMALL_MODEL_IMAGE_TOKENS


def test_sound_counts_for_less_than_text() -> None:
    body = {
        "messages": [{"content": [{"type": "input_audio", "input_audio": {"data": "AAAA" * 20_000, "format": "wav"}}]}]
    }
    assert 10_000 <= bound(asked(body=body)).input.input < 10_300


def test_a_long_word_in_a_text_is_no_picture() -> None:
    body = {"messages": [{"role": "user", "content": "A" * 80_000}]}
    assert bound(asked(body=body)).input.input > 30_000


@pytest.mark.parametrize("prefix", ["data:image/png;base64,", "data:image/", "data:,"])
def test_words_behind_a_prefix_are_no_picture_either(prefix: str) -> None:
    body = {"messages": [{"role": "user", "content": prefix + "many words " * 8_000}]}
    assert bound(asked(body=body)).input.input > 30_000


def test_escapes_hide_nothing_from_a_bound() -> None:
    bought = b'{"messages":[],"tools":[{"t\\u0079pe":"web\\u005fsearch"}]}'
    assert not bound(asked(body=bought)).bounded
    drawn = b'{"messages":[{"content":[{"type":"image\\u005furl","image_url":{"url":"https://a.b/c.png"}}]}]}'
    assert bound(asked(body=drawn)).input.input >= IMAGE_TOKENS
    kept = b'{"previous_response\\u005fid":"resp_1"}'
    assert bound(asked(Api.RESPONSES, body=kept)).input.input == CONTEXT


@pytest.mark.parametrize(
    "body",
    [
        {"previous_response_id": "resp_1", "input": "go on"},
        {"conversation": "conv_1", "input": "go on"},
        {"messages": [{"content": [{"type": "document", "source": {"type": "url", "url": "https://x"}}]}]},
        {"messages": [{"content": [{"type": "file", "file": {"file_id": "file_1"}}]}]},
    ],
)
def test_what_the_provider_holds_or_fetches_is_bounded_by_the_models_context(body: dict[str, Any]) -> None:
    assert bound(asked(Api.RESPONSES, body=body)).input.input == CONTEXT
    known = Price(id="p", input=MANY, context=128_000)
    assert bound(asked(Api.RESPONSES, body=body), known).input.input == 128_000


def test_an_argument_of_a_tool_may_be_called_like_what_a_provider_keeps() -> None:
    schema = {"type": "object", "properties": {"prompt": {"type": "string"}, "container": {"type": "string"}}}
    body = {"messages": [], "tools": [{"type": "function", "function": {"parameters": schema}}], "conversation": None}
    assert bound(asked(body=body)).input.input < 300


@pytest.mark.parametrize(
    "body",
    [
        {"tools": [{"type": "web_search_preview"}]},
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]},
        {"web_search_options": {}},
        {"service_tier": "priority"},
    ],
)
def test_what_a_provider_buys_by_itself_has_no_bound(body: dict[str, Any]) -> None:
    assert not bound(asked(Api.RESPONSES, body=body)).bounded


def test_talk_about_tools_is_no_tool() -> None:
    body = {
        "messages": [{"role": "user", "content": '{"tools": [{"type": "web_search"}]}'}],
        "tools": [{"type": "function"}],
    }
    assert bound(asked(body=body)).bounded


def test_the_dearer_tier_of_a_long_context_is_held() -> None:
    tier = Tier(above=200_000, input=2 * MANY, cached=MANY, written=MANY, output=8 * MANY)
    tiered = Price(id="p", input=MANY, output=4 * MANY, tiers=(tier,))
    body = {"messages": [{"content": "x" * 600_000}]}
    found = bound(asked(body=body, max_output=10), tiered)
    assert found.nano(10) == 2 * found.input.input + 80


def test_a_cache_that_is_dearer_to_write_is_held_where_it_may_be_written() -> None:
    dear = Price(id="p", input=4 * MANY, written=5 * MANY)
    plain: dict[str, Any] = {"messages": []}
    caching = {"messages": [{"cache_control": {"type": "ephemeral"}}]}
    assert bound(asked(Api.MESSAGES, body=plain), dear).input.written == 0
    found = bound(asked(Api.MESSAGES, body=caching), dear)
    assert found.input.written == found.input.input
    assert found.nano(0) == 5 * found.input.input


def test_a_cache_that_is_to_last_is_held_at_what_that_costs() -> None:
    price = Price(id="p", input=MANY, written=MANY * 5 // 4)
    part = {"type": "text", "text": "x" * 1_000, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    found = bound(asked(Api.MESSAGES, body={"messages": [{"content": [part]}]}, max_output=1), price)
    assert found.nano(0) == 2 * found.input.input


def test_pictures_speech_and_sound_are_bounded_by_their_units() -> None:
    assert bound(asked(Api.IMAGES, choices=3)).input.images == 3
    assert bound(asked(Api.SPEECH, body={"input": "hello"})).input.characters >= 5
    assert bound(asked(Api.TRANSCRIPTION, body=b"x" * 960_000)).input.seconds == 960
    assert bound(asked(Api.EMBEDDINGS, body={"input": "x" * 1_000})).output is None


@pytest.mark.parametrize("api", [Api.COUNT_TOKENS, Api.MODELS])
def test_what_costs_nothing_holds_nothing(api: Api) -> None:
    assert bound(asked(api, body={"x": "y" * 5_000})).nano(0) == 0


def test_a_picture_of_twenty_megabytes_is_looked_through_in_no_time() -> None:
    request = asked(body=picture("data:image/png;base64," + "iVBORw0K" * 2_500_000))
    began = time.process_time()
    bound(request)
    assert time.process_time() - began < 0.3


def test_nothing_is_believed_that_was_not_seen() -> None:
    assert Calibration().ratio("gpt-5") == FIRST_RATIO


def test_a_family_that_packs_less_into_a_token_is_learnt_at_once_and_one_that_packs_more_after_enough_calls() -> None:
    known = Calibration()
    known.learn("kimi-k2", 1_000, 800)
    assert known.ratio("kimi-k3") == pytest.approx(1.25 * 0.95)
    for _ in range(ENOUGH + 1):
        known.learn("gpt-5", 4_000, 1_000)
    assert known.ratio("gpt-5-mini") == pytest.approx(3.8)
    assert known.ratio("claude-sonnet-4") == FIRST_RATIO


def test_all_but_one_in_a_thousand_calls_stay_below_their_bound() -> None:
    known = Calibration()
    sizes = [(4_000, 1_000 + (number % 500)) for number in range(5_000)]
    for size, tokens in sizes:
        known.learn("gpt-5", size, tokens)
    ratio = known.ratio("gpt-5")
    assert sum(tokens > size / ratio for size, tokens in sizes) <= len(sizes) / 1_000


def test_tokens_that_came_from_elsewhere_teach_nothing() -> None:
    known = Calibration()
    known.learn("gpt-5", 300, 9_000)
    known.learn("gpt-5", 10, 9)
    assert known.ratio("gpt-5") == FIRST_RATIO
    known.learn("gpt-5", 300, 300)
    assert known.ratio("gpt-5") == LEAST_RATIO


def test_an_estimate_is_never_less_than_a_call_within_it() -> None:
    found = bound(asked(body={"messages": [{"content": "x" * 1_000}]}, max_output=50))
    within = Units(input=found.input.input, cached=100, output=50)
    assert PRICE.cost(within) <= found.nano(50)
