"""Every model driver passes one suite."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from typing_extensions import override

from freehold.drivers.model.openai.driver import OpenAiModels
from freehold.drivers.model.rehearsal.driver import RehearsalModel
from freehold.gateway.ports import Credential
from freehold.testing.clock import FakeClock
from freehold.testing.contract.model import BODY, ModelContract, Scene
from freehold.testing.providers import Fails, Reply, Says, provider

SECRET = "sk-canary-0123456789"
ECHO = b'{"error": {"message": "bad key sk-canary-0123456789"}}'


class TestRehearsal(ModelContract):
    @override
    @asynccontextmanager
    async def scene(self, name: str) -> AsyncIterator[Scene]:
        models = {
            "talks": "rehearsal?pieces=4&usage=100,50",
            "calls": "rehearsal",
            "busy": "rehearsal?fail=429",
            "refused": "rehearsal?fail=401",
            "rejected": "rehearsal?fail=400",
            "broken": "rehearsal?fail=500",
        }
        body = dict(BODY) | ({"messages": [{"role": "user", "content": "run: true"}]} if name == "calls" else {})
        driver = RehearsalModel(FakeClock())
        yield Scene(driver=driver, model=models[name], config={}, credential=Credential(), body=body)


class TestOpenAi(ModelContract):
    @override
    @asynccontextmanager
    async def scene(self, name: str) -> AsyncIterator[Scene]:
        replies: dict[str, Reply] = {
            "talks": Says(pieces=("Hel", "lo", "!"), usage=(100, 50)),
            "calls": Says(calls=[("shell", '{"command": "true"}')]),
            "busy": Fails(status=429, headers={"Retry-After": "7"}, body=ECHO),
            "refused": Fails(status=401, body=ECHO),
            "rejected": Fails(status=400, body=ECHO),
            "broken": Fails(status=500, body=ECHO),
        }
        driver = OpenAiModels(FakeClock())
        async with provider(replies[name]) as scripted:
            config = {"base_url": scripted.base_url}
            yield Scene(driver=driver, model="m", config=config, credential=Credential(SECRET))
            await driver.close()
