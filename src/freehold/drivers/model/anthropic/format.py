"""
Anthropic's formats: Messages pass as the caller wrote them, chat completions are translated.

What changes in a message is the model's name and the limit of the answer.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, final

from typing_extensions import override

from freehold.catalog.providers import Preset
from freehold.drivers.model.anthropic import answers, asking
from freehold.gateway.asked import Behalf
from freehold.gateway.calls import addresses, bodies
from freehold.gateway.formats import Answer, Api, Asked, ModelDriver, Reading, Sent
from freehold.gateway.outward.client import Client
from freehold.gateway.ports import Credential

VERSION: Final = "2023-06-01"
"""Of the format; the only one there is."""
_PATHS: Final[Mapping[Api, str]] = MappingProxyType(
    {
        Api.MESSAGES: "/messages",
        Api.COUNT_TOKENS: "/messages/count_tokens",
        Api.MODELS: "/models",
        Api.CHAT: "/messages",
    }
)


@final
class Anthropic(ModelDriver):
    """Speaks to a provider that takes Anthropic's formats."""

    adapted: frozenset[Api] = frozenset({Api.CHAT})

    def __init__(self, client: Client, preset: Preset) -> None:
        """Send through `client` to the provider that `preset` describes."""
        self.kind = preset.name
        self.native = frozenset(Api(api) for api in preset.apis)
        self._client, self._preset = client, preset

    @override
    def check_config(self, config: Mapping[str, Any]) -> None:
        addresses.check_config(self._preset, config)

    @override
    def check(self, model: str) -> None:
        addresses.check_name(model)

    @override
    def request(
        self, asked: Asked, *, model: str, config: Mapping[str, Any], credential: Credential, limit: int | None = None
    ) -> Sent:
        if asked.api not in self.native | self.adapted:
            raise addresses.unserved(self._preset, asked.api)
        headers = {"anthropic-version": VERSION} | addresses.headers(self._preset, credential, asked)
        asks = asked.api is Api.MODELS
        return Sent(
            method="GET" if asks else "POST",
            url=self._preset.base_url_of(config) + _PATHS[asked.api],
            headers=headers,
            body=b"" if asks else _body(asked, model, limit),
            stream=asked.stream,
        )

    @override
    def reading(self, asked: Asked, answer: Answer) -> Reading:
        return answers.reading(asked, answer)

    @override
    async def send(self, sent: Sent, behalf: Behalf, on_sent: Callable[[], None]) -> Answer:
        return await self._client.send(sent, behalf, on_sent)


def _body(asked: Asked, model: str, limit: int | None) -> bytes:
    if asked.api is Api.CHAT:
        return asking.messages(asked, model=model, limit=limit)
    changes: dict[str, object] = {"model": model}
    if limit is not None and asked.api is Api.MESSAGES:
        changes["max_tokens"] = limit
    return bodies.edited(asked.body, changes)
