"""Where a connection leads and how its key is sent: what every format does alike with a preset and a configuration."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from freehold.catalog.providers import Preset
from freehold.core.errors import Invalid
from freehold.gateway.formats import Api, Asked
from freehold.gateway.money import prices
from freehold.gateway.ports import Credential

LONGEST_NAME: Final = 200
_KNOWN: Final = frozenset({"base_url", "region", "price"})
_UNCLEAR: Final = re.compile(r"[^!-~]|\\")
"""What some readers of addresses leave out, turn round or end at."""
_PASSED_ON: Final = ("openai-beta", "anthropic-version", "anthropic-beta")


def check_config(preset: Preset, config: Mapping[str, Any], *, also: frozenset[str] = frozenset()) -> None:
    """Raise `Invalid` (`bad_config`, `invalid_price`) if a connection with this configuration could never work."""
    unknown = sorted(config.keys() - _KNOWN - also)
    if unknown:
        raise _bad(f"Unknown in a connection: {', '.join(unknown)}.", f"Use {', '.join(sorted(_KNOWN | also))}.")
    if not is_address(preset.base_url_of(config)):
        raise _bad(
            "This is no base URL.",
            "Give base_url as the provider's clients take it, such as https://api.openai.com/v1.",
        )
    if any(not isinstance(config.get(name, ""), str) for name in ("region", *also)):
        raise _bad("This is no text.", "Give region as a word, such as eu.")
    prices.check(config.get("price", {}))


def check_name(model: str) -> None:
    """Raise `Invalid` (`unknown_model`) for what no model can be called."""
    if not model or len(model) > LONGEST_NAME or not model.isprintable():
        raise Invalid("This is no model's name.", code="unknown_model", remedy="Write CONNECTION/MODEL.")


def headers(preset: Preset, credential: Credential, asked: Asked) -> dict[str, str]:
    """Return the headers of a request: what is sent, the key, and what of the caller's may go on."""
    found = {name: asked.headers[name] for name in _PASSED_ON if name in asked.headers}
    found["content-type"] = asked.content_type
    found["accept"] = "text/event-stream, application/json" if asked.stream else asked.headers.get("accept", "*/*")
    if credential and preset.key == "bearer":
        found["authorization"] = f"Bearer {credential.reveal()}"
    elif credential:
        found[preset.key] = credential.reveal()
    return found


def not_supported(what: str, *, name: str = "", remedy: str = "") -> Invalid:
    """Return the error that tells that a format cannot express what was asked; `name` is the member it is about."""
    error = Invalid(what, code="not_supported", remedy=remedy or "Leave it out, or choose a model of another provider.")
    if name:
        error.facts["param"] = name
    return error


def unserved(preset: Preset, api: Api) -> Invalid:
    """Return the error that tells that a provider does not do what was asked."""
    return not_supported(
        f"{preset.name} does not offer {api.value.replace('_', ' ')}.",
        remedy="Choose a model of a provider that does.",
    )


def is_address(url: object) -> bool:
    """Return whether `url` is an HTTP address without user, query or fragment, and every reader's the same."""
    if not isinstance(url, str) or _UNCLEAR.search(url):
        return False
    try:
        parts = urlsplit(url)
        plain = parts.username is None and not parts.query and not parts.fragment and parts.port != 0
    except ValueError:
        return False
    return plain and parts.scheme in {"http", "https"} and bool(parts.hostname)


def _bad(what: str, remedy: str) -> Invalid:
    return Invalid(what, code="bad_config", remedy=remedy)
