"""What every model driver must do."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from freehold.core.errors import Denied, FreeholdError, Invalid, Unavailable
from freehold.gateway.ports import Credential, ModelCall, ModelDriver

USER = "user"
BODY: Mapping[str, Any] = {
    "messages": [{"role": USER, "content": "hello"}],
    "tools": [{"type": "function", "function": {"name": "shell", "parameters": {"type": "object"}}}],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A driver, and a model of it that does what the scene is called."""

    driver: ModelDriver
    model: str
    config: Mapping[str, Any]
    credential: Credential
    body: Mapping[str, Any] = field(default_factory=lambda: BODY)


class ModelContract(ABC):
    """
    Subclass this and let pytest collect the class.

    Scenes: `talks` (text in at least two pieces, 100 tokens in and 50 out), `calls` (one call of `shell` with
    the argument `command` = `true`), `busy` (429), `refused` (401), `rejected` (400), `broken` (500).
    """

    @abstractmethod
    def scene(self, name: str) -> AbstractAsyncContextManager[Scene]:
        """Return a driver in the scene of that name."""

    async def test_text_comes_in_pieces_and_the_reply_holds_all_of_it(self) -> None:
        async with self.scene("talks") as scene:
            pieces: list[str] = []
            reply = await scene.driver.chat(_call(scene, pieces))
        assert len(pieces) >= 2
        assert "".join(pieces) == reply.text
        assert (reply.finish, reply.calls) == ("stop", ())

    async def test_usage_is_what_the_provider_says(self) -> None:
        async with self.scene("talks") as scene:
            reply = await scene.driver.chat(_call(scene, []))
        assert (reply.usage_in, reply.usage_out, reply.estimated) == (100, 50, False)

    async def test_a_tool_call_comes_parsed_and_whole(self) -> None:
        async with self.scene("calls") as scene:
            reply = await scene.driver.chat(_call(scene, []))
        assert [(call.name, call.arguments) for call in reply.calls] == [("shell", {"command": "true"})]
        assert reply.calls[0].id
        assert reply.finish == "tool_calls"

    async def test_it_tells_once_that_the_request_has_left(self) -> None:
        async with self.scene("talks") as scene:
            left: list[bool] = []
            await scene.driver.chat(replace(_call(scene, []), sent=lambda: left.append(True)))
        assert left == [True]

    @pytest.mark.parametrize(
        ("name", "kind", "code"),
        [
            ("busy", Unavailable, "provider_busy"),
            ("refused", Denied, "provider_refused"),
            ("rejected", Invalid, "provider_rejected"),
            ("broken", Unavailable, "provider_unavailable"),
        ],
    )
    async def test_a_failure_is_of_the_kind_that_says_whether_to_try_again(
        self, name: str, kind: type[FreeholdError], code: str
    ) -> None:
        async with self.scene(name) as scene:
            with pytest.raises(kind) as caught:
                await scene.driver.chat(_call(scene, []))
        assert caught.value.code == code

    async def test_no_error_shows_the_credential(self) -> None:
        for name in ("busy", "refused", "rejected", "broken"):
            async with self.scene(name) as scene:
                with pytest.raises(FreeholdError) as caught:
                    await scene.driver.chat(_call(scene, []))
            secret = scene.credential.reveal()
            assert not secret or secret not in caught.value.message + caught.value.remedy


def _call(scene: Scene, pieces: list[str]) -> ModelCall:
    return ModelCall(
        model=scene.model,
        body=scene.body,
        config=scene.config,
        credential=scene.credential,
        run="run_1",
        sent=lambda: None,
        on_text=pieces.append,
    )
