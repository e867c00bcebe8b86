"""
What providers say a call used, read with distrust: numbers that make no sense count as not said.

A count of zero is a word like any other. What is said twice is believed the second time.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from freehold.gateway.formats import Units

MOST: Final = 1_000_000_000
"""Tokens in one call that nobody ever used."""


def sane(value: object) -> int | None:
    """Return a count that makes sense, else `None`."""
    return value if type(value) is int and 0 <= value <= MOST else None


def of_openai(usage: object) -> Units | None:
    """Return the units of a `usage` object in any of OpenAI's formats; `None` where it says nothing of use."""
    if not isinstance(usage, dict):
        return None
    if "seconds" in usage and "input_tokens" not in usage:
        return of_seconds(usage["seconds"])
    total = sane(usage.get("total_tokens"))
    given = _first(usage, "prompt_tokens", "input_tokens")
    came = _first(usage, "completion_tokens", "output_tokens")
    if given is None or (came is None and (total is None or _says(usage, "completion_tokens", "output_tokens"))):
        return None
    came = max(0, (total or 0) - given) if came is None else came
    thought = sane(_details(usage, "completion_tokens_details", "output_tokens_details").get("reasoning_tokens")) or 0
    if thought and given + came + thought == total:  # a provider that counts thoughts apart
        came += thought
    details = _details(usage, "prompt_tokens_details", "input_tokens_details")
    cached = sane(details.get("cached_tokens"))
    if cached is None:
        cached = _first(usage, "prompt_cache_hit_tokens", "cached_tokens") or 0
    written = _first(details, "cache_write_tokens", "cache_creation_tokens") or 0
    return limited(given, cached, written, came)


def of_anthropic(usage: object, before: Units | None) -> Units | None:
    """Return the units after a `usage` object of Anthropic's, which in a stream adds to what was said `before`."""
    if not isinstance(usage, dict):
        return before
    told = {name: sane(usage.get(name)) for name in _ANTHROPIC}
    if told["input_tokens"] is None and told["output_tokens"] is None:
        return before
    earlier = before or Units()
    cached = _else(told["cache_read_input_tokens"], earlier.cached)
    written = _else(told["cache_creation_input_tokens"], earlier.written)
    fresh = _else(told["input_tokens"], max(0, earlier.input - earlier.cached - earlier.written))
    units = limited(fresh + cached + written, cached, written, _else(told["output_tokens"], earlier.output))
    lasting = sane(_details(usage, "cache_creation").get("ephemeral_1h_input_tokens"))
    return replace(units, lasting=min(units.written, _else(lasting, earlier.lasting)))


def of_gemini(usage: object) -> Units | None:
    """Return the units of Gemini's `usageMetadata`."""
    if not isinstance(usage, dict):
        return None
    given = sane(usage.get("promptTokenCount"))
    if given is None:
        return None
    given += sane(usage.get("toolUsePromptTokenCount")) or 0
    came = (sane(usage.get("candidatesTokenCount")) or 0) + (sane(usage.get("thoughtsTokenCount")) or 0)
    return limited(given, sane(usage.get("cachedContentTokenCount")) or 0, 0, came)


def of_seconds(value: object) -> Units | None:
    """Return the units of so many seconds of sound, however they are written."""
    try:
        seconds = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else -1.0
    except ValueError:
        return None
    return Units(seconds=math.ceil(seconds)) if 0 <= seconds <= MOST else None


def limited(given: int, cached: int, written: int, came: int) -> Units:
    """Return token counts as units; parts of the input are never more than all of it."""
    cached = min(cached, given)
    return Units(input=given, cached=cached, written=min(written, given - cached), output=came)


def spelt(units: Units) -> dict[str, Any]:
    """Return units as a chat completion tells them."""
    return {
        "prompt_tokens": units.input,
        "completion_tokens": units.output,
        "total_tokens": units.input + units.output,
        "prompt_tokens_details": {"cached_tokens": units.cached},
    }


_ANTHROPIC: Final = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def _first(told: Mapping[str, Any], *names: str) -> int | None:
    return next((count for name in names if (count := sane(told.get(name))) is not None), None)


def _says(told: Mapping[str, Any], *names: str) -> bool:
    return any(told.get(name) is not None for name in names)


def _details(usage: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    found: Iterable[Any] = (usage.get(name) for name in names)
    return next((told for told in found if isinstance(told, dict)), {})


def _else(count: int | None, other: int) -> int:
    return other if count is None else count
