"""
OpenAI's formats, which most providers speak: passed on as the caller wrote them.

What changes is the model's name, the limit of the answer and the wish to be told the usage of a stream; what
differs between providers stands in their presets.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, final
from urllib.parse import quote

from typing_extensions import override

from freehold.catalog.providers import Preset
from freehold.drivers.model.openai import answers
from freehold.gateway.asked import Behalf
from freehold.gateway.calls import addresses, bodies
from freehold.gateway.formats import Answer, Api, Asked, ModelDriver, Reading, Sent
from freehold.gateway.outward.client import Client
from freehold.gateway.ports import Credential

_PATHS: Final[Mapping[Api, str]] = MappingProxyType(
    {
        Api.CHAT: "/chat/completions",
        Api.RESPONSES: "/responses",
        Api.EMBEDDINGS: "/embeddings",
        Api.IMAGES: "/images/generations",
        Api.TRANSCRIPTION: "/audio/transcriptions",
        Api.SPEECH: "/audio/speech",
        Api.MODELS: "/models",
    }
)
_NEWER: Final = "max_completion_tokens"
_CHAINS: Final = "openrouter"
"""Whose requests may name other models than the one that was granted and has a price."""
_LIMITS: Final = (_NEWER, "max_tokens")


@final
class OpenAi(ModelDriver):
    """Speaks to a provider that takes OpenAI's formats."""

    adapted: frozenset[Api] = frozenset()

    def __init__(self, client: Client, preset: Preset) -> None:
        """Send through `client` to the provider that `preset` describes."""
        self.kind = preset.name
        self.native = frozenset(Api(api) for api in preset.apis)
        self._client, self._preset = client, preset

    @override
    def check_config(self, config: Mapping[str, Any]) -> None:
        addresses.check_config(self._preset, config, also=frozenset({"api_version"} if self.kind == "azure" else ()))

    @override
    def check(self, model: str) -> None:
        addresses.check_name(model)

    @override
    def request(
        self, asked: Asked, *, model: str, config: Mapping[str, Any], credential: Credential, limit: int | None = None
    ) -> Sent:
        if asked.api not in self.native:
            raise addresses.unserved(self._preset, asked.api)
        asks = asked.api is Api.MODELS
        return Sent(
            method="GET" if asks else "POST",
            url=self._url(asked.api, model, config),
            headers=addresses.headers(self._preset, credential, asked),
            body=b"" if asks else self._body(asked, model, limit),
            stream=asked.stream,
        )

    @override
    def reading(self, asked: Asked, answer: Answer) -> Reading:
        return answers.reading(asked, answer)

    @override
    async def send(self, sent: Sent, behalf: Behalf, on_sent: Callable[[], None]) -> Answer:
        return await self._client.send(sent, behalf, on_sent)

    def _url(self, api: Api, model: str, config: Mapping[str, Any]) -> str:
        base, path = self._preset.base_url_of(config), _PATHS[api]
        version = config.get("api_version")
        if not version:
            return base + path
        deployment = "" if api is Api.MODELS else f"/deployments/{quote(model, safe='')}"
        return f"{base}/openai{deployment}{path}?api-version={quote(str(version), safe='')}"

    def _body(self, asked: Asked, model: str, limit: int | None) -> bytes:
        if asked.api is Api.TRANSCRIPTION:
            return bodies.form_edited(asked.body, asked.content_type, {"model": model})
        if self.kind == _CHAINS and bodies.value(bodies.top(asked.body).get("models")):
            raise addresses.not_supported(
                "A request may not bring a chain of models of its own.",
                name="models",
                remedy="Name one model, or a level, which has a chain.",
            )
        changes: dict[str, object] = {"model": model}
        if asked.api is Api.CHAT:
            changes |= self._chat(asked, limit)
        elif asked.api is Api.RESPONSES:
            if bodies.value(bodies.top(asked.body).get("background")):
                raise addresses.not_supported("An answer in the background cannot be metered.", name="background")
            changes |= {} if limit is None else {"max_output_tokens": limit}
        return bodies.edited(asked.body, changes)

    def _chat(self, asked: Asked, limit: int | None) -> dict[str, object]:
        asks = asked.stream and not asked.usage_wanted and self._preset.usage == "asked"
        newer = self._preset.limit != _NEWER and _NEWER.encode() in asked.body
        if not asks and not newer and limit is None:
            return {}
        members = bodies.top(asked.body)
        changes: dict[str, object] = {}
        if asks:
            told = bodies.value(members.get("stream_options"))
            changes["stream_options"] = {**(told if isinstance(told, dict) else {}), "include_usage": True}
        if newer and _NEWER in members and self._preset.limit not in members:
            # A provider that does not know the newer name of a limit would answer without one.
            changes |= {_NEWER: bodies.GONE, self._preset.limit: limit or bodies.value(members[_NEWER])}
        elif limit is not None:
            changes |= dict.fromkeys([name for name in _LIMITS if name in members] or [self._preset.limit], limit)
        return changes
