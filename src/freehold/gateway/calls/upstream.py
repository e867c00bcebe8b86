"""What goes wrong on the way to a model's provider, in the words that whoever calls a model knows."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from freehold.core.errors import Unavailable
from freehold.gateway.outward.client import Trouble
from freehold.gateway.ports import NotSent

_TROUBLES: Final[Mapping[Trouble, tuple[type[Unavailable], str, str, str]]] = MappingProxyType(
    {
        Trouble.UNREACHABLE: (
            NotSent,
            "The model's provider cannot be reached.",
            "provider_unavailable",
            "Look at the connection's base_url and whether the provider is up.",
        ),
        Trouble.UNSPEAKABLE: (
            NotSent,
            "The request to the model's provider cannot be spelt.",
            "provider_unavailable",
            "Set the connection's secret to a key without line breaks and signs that no header may have.",
        ),
        Trouble.SILENT: (Unavailable, "The model's provider says nothing.", "provider_timeout", ""),
        Trouble.CUT: (Unavailable, "The model's provider broke off.", "provider_cut", ""),
        Trouble.BROKEN: (Unavailable, "The model's provider failed.", "provider_unavailable", ""),
    }
)


def provider_trouble(what: Trouble) -> Unavailable:
    """Return what went wrong as the kind of error that says whether something may have happened."""
    kind, message, code, remedy = _TROUBLES[what]
    return kind(message, code=code, remedy=remedy)
