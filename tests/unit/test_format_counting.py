"""What providers say was used is read in every dialect, and never believed where it makes no sense."""

from typing import Any

import pytest

from freehold.core.errors import Denied, FreeholdError, Invalid, Unavailable
from freehold.gateway.calls import counting
from freehold.gateway.calls.refusal import refusal
from freehold.gateway.formats import Units
from freehold.gateway.ports import Credential

KEY = Credential("sk-secret-of-the-provider")


@pytest.mark.parametrize(
    ("usage", "units"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}, Units(input=10, output=5)),
        ({"input_tokens": 10, "output_tokens": 5}, Units(input=10, output=5)),
        ({"prompt_tokens": 10, "total_tokens": 10}, Units(input=10)),
        ({"prompt_tokens": 10, "total_tokens": 15}, Units(input=10, output=5)),
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, Units()),
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}},
            Units(input=10, output=5, cached=4),
        ),
        (
            {"input_tokens": 10, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 400}},
            Units(input=10, output=5, cached=10),
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 6},
            Units(input=10, output=5, cached=6),
        ),
        ({"prompt_tokens": 10, "completion_tokens": 5, "cached_tokens": 6}, Units(input=10, output=5, cached=6)),
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cache_write_tokens": 3}},
            Units(input=10, output=5, written=3),
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 15,
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            Units(input=10, output=5),
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 18,
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            Units(input=10, output=8),
        ),
        ({"type": "duration", "seconds": 12.1}, Units(seconds=13)),
        ({"type": "duration", "seconds": "much"}, None),
        ({"prompt_tokens": "10", "completion_tokens": 5}, None),
        ({"prompt_tokens": 10, "completion_tokens": "5", "total_tokens": 15}, None),
        ({"prompt_tokens": 10}, None),
        ({"prompt_tokens": -1, "completion_tokens": 5}, None),
        ({"prompt_tokens": True, "completion_tokens": 5}, None),
        ({"prompt_tokens": 10, "completion_tokens": 10**12}, None),
        ({"prompt_tokens": 10.5, "completion_tokens": 5}, None),
        ({}, None),
        ("ten", None),
        (None, None),
    ],
)
def test_usage_in_the_dialects_of_openai(usage: Any, units: Units | None) -> None:
    assert counting.of_openai(usage) == units


def test_a_message_tells_its_input_first_and_its_output_later() -> None:
    first = counting.of_anthropic(
        {"input_tokens": 10, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 2, "output_tokens": 1}, None
    )
    assert first == Units(input=16, cached=4, written=2, output=1)
    assert counting.of_anthropic({"output_tokens": 9}, first) == Units(input=16, cached=4, written=2, output=9)
    assert counting.of_anthropic({"output_tokens": "9"}, first) == first
    assert counting.of_anthropic({"input_tokens": -1, "output_tokens": -9}, first) == first
    assert counting.of_anthropic("nothing", None) is None


def test_what_a_cache_keeps_for_an_hour_is_told_apart() -> None:
    kept = {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 5}
    usage = {"input_tokens": 10, "cache_creation_input_tokens": 7, "cache_creation": kept, "output_tokens": 1}
    first = counting.of_anthropic(usage, None)
    assert first == Units(input=17, written=7, lasting=5, output=1)
    assert counting.of_anthropic({"output_tokens": 9}, first) == Units(input=17, written=7, lasting=5, output=9)
    kept["ephemeral_1h_input_tokens"] = 99
    assert counting.of_anthropic(usage, None) == Units(input=17, written=7, lasting=7, output=1)


def test_gemini_counts_thoughts_and_tools_apart() -> None:
    usage = {
        "promptTokenCount": 10,
        "toolUsePromptTokenCount": 2,
        "cachedContentTokenCount": 3,
        "candidatesTokenCount": 5,
        "thoughtsTokenCount": 7,
    }
    assert counting.of_gemini(usage) == Units(input=12, cached=3, output=12)
    assert counting.of_gemini({"candidatesTokenCount": 5}) is None


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind", "code", "after"),
    [
        (429, {"retry-after": "7"}, b'{"error":{"message":"slow down"}}', Unavailable, "provider_busy", 7),
        (429, {"retry-after": "99999"}, b"", Unavailable, "provider_busy", 3_600),
        (429, {"retry-after": "nan"}, b"", Unavailable, "provider_busy", 5),
        (429, {"retry-after": "-3"}, b"", Unavailable, "provider_busy", 0),
        (
            503,
            {"retry-after": "Sat, 21 Nov 2026 12:00:30 GMT", "date": "Sat, 21 Nov 2026 12:00:00 GMT"},
            b"",
            Unavailable,
            "provider_unavailable",
            30,
        ),
        (503, {"retry-after": "Sat, 21 Nov 2026 12:00:30 GMT"}, b"", Unavailable, "provider_unavailable", 5),
        (529, {}, b"", Unavailable, "provider_unavailable", 5),
        (408, {}, b"", Unavailable, "provider_unavailable", 5),
        (401, {}, b"", Denied, "provider_refused", None),
        (402, {}, b"", Denied, "provider_refused", None),
        (403, {}, b"", Denied, "provider_refused", None),
        (400, {}, b'{"error":{"details":[{"reason":"API_KEY_INVALID"}]}}', Denied, "provider_refused", None),
        (400, {}, b'{"error":{"message":"no such model"}}', Invalid, "provider_rejected", None),
        (400, {}, b'[{"error":{"message":"no such model"}}]', Invalid, "provider_rejected", None),
        (404, {}, b"<html>", Invalid, "provider_rejected", None),
        (302, {"location": "http://elsewhere"}, b"", Invalid, "provider_rejected", None),
    ],
)
def test_a_refusal_says_whether_to_ask_again(
    status: int, headers: dict[str, str], body: bytes, kind: type[FreeholdError], code: str, after: float | None
) -> None:
    error = refusal(status, headers, body, KEY)
    assert (type(error), error.code, getattr(error, "after", None)) == (kind, code, after)


def test_a_refusal_tells_what_the_provider_says_but_never_the_key() -> None:
    body = f'{{"error":{{"message":"{"x" * 290} bad key {KEY.reveal()} and more"}}}}'.encode()
    for status in (400, 401, 402, 429, 500, 302):
        told = refusal(status, {}, body, KEY)
        assert "sk-" not in told.message + told.remedy
    assert "xxx bad" in refusal(400, {}, body, KEY).message
