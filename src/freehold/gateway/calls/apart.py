"""A request taken apart for translation: what is not as it must be, or cannot be said elsewhere, is told by name."""

from typing import Any

import msgspec

from freehold.core.errors import Invalid
from freehold.gateway.calls.addresses import not_supported

Json = dict[str, Any]


def decoded(body: bytes) -> Json:
    """Return the object that a body is; raise `Invalid` (`bad_request`) for any other."""
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise wrong("the body") from error
    if not isinstance(told, dict):
        raise wrong("the body")
    return told


def objects(value: Any, name: str) -> list[Json]:
    """Return a list of objects; raise `Invalid` (`bad_request`) for anything else."""
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise wrong(name)
    return value


def unsaid(name: str) -> Invalid:
    """Return the error that tells that a provider cannot be told something."""
    return not_supported(f"{name} cannot be said to this model's provider.", name=name)


def wrong(name: str) -> Invalid:
    """Return the error that tells that a request is not as its format has it."""
    return Invalid(f"{name} is not as it must be.", code="bad_request", remedy="See the format of the API you call.")
