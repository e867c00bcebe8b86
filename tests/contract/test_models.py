"""Every model driver passes one suite."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from typing_extensions import override

from freehold.catalog.providers import Preset, presets
from freehold.drivers.model.anthropic.format import Anthropic
from freehold.drivers.model.gemini.format import Gemini
from freehold.drivers.model.openai.format import OpenAi
from freehold.drivers.model.rehearsal.driver import RehearsalModel
from freehold.gateway.calls.upstream import provider_trouble
from freehold.gateway.formats import ModelDriver
from freehold.gateway.outward.client import Client
from freehold.gateway.ports import Credential
from freehold.testing.clock import FakeClock
from freehold.testing.contract.model import BODY, REFUSALS, ModelContract, Scene
from freehold.testing.upstream.acts import Act
from freehold.testing.upstream.server import serving
from tests.dialling import client

SECRET = "sk-canary-0123456789"
ACTS = {
    "talks": Act(words=12, tokens_in=100),
    "calls": Act(call=("shell",), arguments=('{"command": "true"}',)),
} | {name: Act(status=status, echo="error") for name, status in REFUSALS.items()}


class TestRehearsal(ModelContract):
    @override
    @asynccontextmanager
    async def scene(self, name: str) -> AsyncIterator[Scene | None]:
        models = {"talks": "rehearsal?pieces=4&usage=100,50", "calls": "rehearsal"}
        models |= {refusal: f"rehearsal?fail={status}" for refusal, status in REFUSALS.items()}
        body = dict(BODY) | ({"messages": [{"role": "user", "content": "run: true"}]} if name == "calls" else {})
        driver = RehearsalModel(FakeClock())
        here = name in models
        yield Scene(driver=driver, model=models[name], config={}, credential=Credential(), body=body) if here else None


@asynccontextmanager
async def provided(
    make: Callable[[Client, Preset], ModelDriver], kind: str, path: str, name: str
) -> AsyncIterator[Scene | None]:
    """Give a scene with a provider on loopback; in `away` it has just left."""
    sender = client(provider_trouble)
    try:
        async with serving() as scripted:
            scripted.standing = ACTS.get(name, scripted.standing)
            config: dict[str, Any] = {"base_url": scripted.url + path}
            scene = Scene(
                driver=make(sender, presets()[kind]), model="m-1", config=config, credential=Credential(SECRET)
            )
            if name != "away":
                yield scene
        if name == "away":
            yield scene
    finally:
        await sender.close()


class TestOpenAi(ModelContract):
    @override
    def scene(self, name: str) -> Any:
        return provided(OpenAi, "openai", "/v1", name)


class TestDeepSeek(ModelContract):
    @override
    def scene(self, name: str) -> Any:
        return provided(OpenAi, "deepseek", "/v1", name)


class TestAnthropic(ModelContract):
    @override
    def scene(self, name: str) -> Any:
        return provided(Anthropic, "anthropic", "/v1", name)


class TestGemini(ModelContract):
    @override
    def scene(self, name: str) -> Any:
        return provided(Gemini, "gemini", "/v1beta", name)
