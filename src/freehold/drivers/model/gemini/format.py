"""Gemini's own format, for callers that ask for chat completions and embeddings."""

from collections.abc import Callable, Mapping
from typing import Any, final
from urllib.parse import quote

from typing_extensions import override

from freehold.catalog.providers import Preset
from freehold.drivers.model.gemini import answers, asking, vectors
from freehold.gateway.asked import Behalf
from freehold.gateway.calls import addresses
from freehold.gateway.calls.readings import Plain
from freehold.gateway.formats import Answer, Api, Asked, ModelDriver, Reading, Sent, Units
from freehold.gateway.outward.client import Client
from freehold.gateway.ports import Credential


@final
class Gemini(ModelDriver):
    """Speaks to a provider that takes Gemini's format."""

    adapted: frozenset[Api] = frozenset({Api.CHAT, Api.EMBEDDINGS})

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
        named = model.removeprefix("models/")
        url = f"{self._preset.base_url_of(config)}/models/{quote(named, safe='')}"
        body = b""
        match asked.api:
            case Api.CHAT:
                body = asking.content(asked, model=named, limit=limit)
                url += ":streamGenerateContent?alt=sse" if asked.stream else ":generateContent"
            case Api.EMBEDDINGS:
                body = vectors.request(asked, named)
                url += ":batchEmbedContents"
            case _:
                url = f"{self._preset.base_url_of(config)}/models"
        headers = addresses.headers(self._preset, credential, asked)
        return Sent(method="POST" if body else "GET", url=url, headers=headers, body=body, stream=asked.stream)

    @override
    def reading(self, asked: Asked, answer: Answer) -> Reading:
        match asked.api:
            case Api.CHAT:
                streams = answer.headers.get("content-type", "").lower().startswith("text/event-stream")
                return answers.Told(asked, streams=streams)
            case Api.EMBEDDINGS:
                return vectors.Told(asked)
            case _:
                return Plain(Units(requests=0))

    @override
    async def send(self, sent: Sent, behalf: Behalf, on_sent: Callable[[], None]) -> Answer:
        return await self._client.send(sent, behalf, on_sent)
