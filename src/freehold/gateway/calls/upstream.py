"""What goes wrong on the way to a model's provider, in the words that whoever calls a model knows."""

from typing import Final

from freehold.gateway.outward.client import Trouble, told_in

provider_trouble: Final = told_in(
    {
        Trouble.UNREACHABLE: (
            "The model's provider cannot be reached.",
            "provider_unavailable",
            "Look at the connection's base_url and whether the provider is up.",
        ),
        Trouble.UNSPEAKABLE: (
            "The request to the model's provider cannot be spelt.",
            "provider_unavailable",
            "Set the connection's secret to a key without line breaks and signs that no header may have.",
        ),
        Trouble.SILENT: ("The model's provider says nothing.", "provider_timeout", ""),
        Trouble.CUT: ("The model's provider broke off.", "provider_cut", ""),
        Trouble.BROKEN: ("The model's provider failed.", "provider_unavailable", ""),
    }
)
