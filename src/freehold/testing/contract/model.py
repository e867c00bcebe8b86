"""What every model driver must do: spell a request, read what comes back, and know no money and no secrets of its own."""

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from freehold.core.errors import Invalid, Unavailable
from freehold.gateway.asked import Behalf
from freehold.gateway.formats import Answer, Api, Asked, ModelDriver, Reading, Sent, Units
from freehold.gateway.ports import Credential, NotSent

USER: Final = "user"
BEHALF: Final = Behalf("ten_1", operators=True)
"""Whoever calls may go to this machine too: that is where a scripted provider is."""
BODY: Mapping[str, Any] = {
    "messages": [{"role": USER, "content": "hello"}],
    "tools": [{"type": "function", "function": {"name": "shell", "parameters": {"type": "object"}}}],
}
REFUSALS: Final[Mapping[str, int]] = {"busy": 429, "refused": 401, "rejected": 400, "broken": 500}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A driver, and a model of it that does what the scene is called."""

    driver: ModelDriver
    model: str
    config: Mapping[str, Any]
    credential: Credential
    body: Mapping[str, Any] = field(default_factory=lambda: BODY)


@dataclass(slots=True)
class Heard:
    """What a caller of a scene was given."""

    reading: Reading
    came: bytes = b""
    """From the provider."""
    shown: list[bytes] = field(default_factory=list)
    """To the caller, as it came."""

    @property
    def deltas(self) -> list[dict[str, Any]]:
        """What each event of the answer adds."""
        told = [json.loads(line[5:]) for line in b"".join(self.shown).splitlines() if line.startswith(b"data: {")]
        return [chunk["choices"][0]["delta"] for chunk in told if chunk["choices"]]

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The pieces of calls in it."""
        return [call for delta in self.deltas for call in delta.get("tool_calls") or []]


class ModelContract(ABC):
    """
    Subclass this and let pytest collect the class.

    Scenes: `talks` (text in at least two pieces, 100 tokens in and some out), `calls` (one call of `shell` with an
    object as its arguments), `busy` (429), `refused` (401), `rejected` (400), `broken` (500), and `away` (nobody
    listens; `None` for a driver that needs no network).
    """

    @abstractmethod
    def scene(self, name: str) -> AbstractAsyncContextManager[Scene | None]:
        """Return a driver in the scene of that name."""

    async def test_a_stream_comes_in_pieces_and_tells_its_usage(self) -> None:
        heard = await self._heard("talks")
        assert sum(1 for delta in heard.deltas if delta.get("content")) >= 2
        assert heard.reading.finished
        assert heard.reading.said == len("".join(delta.get("content") or "" for delta in heard.deltas).encode())
        assert heard.reading.events >= 2
        units = heard.reading.units
        assert units is not None
        assert (units.input, units.output > 0) == (100, True)

    async def test_whoever_did_not_ask_for_usage_is_not_told(self) -> None:
        assert b'"choices":[]' not in b"".join((await self._heard("talks")).shown).replace(b" ", b"")
        assert b'"choices":[]' in b"".join((await self._heard("talks", usage=True)).shown).replace(b" ", b"")

    async def test_a_document_says_the_same_as_a_stream(self) -> None:
        streamed, whole = await self._heard("talks"), await self._heard("talks", stream=False)
        choice = json.loads(b"".join(whole.shown))["choices"][0]
        assert choice["message"]["content"] == "".join(delta.get("content") or "" for delta in streamed.deltas)
        assert choice["finish_reason"] == "stop"
        assert (whole.reading.units, whole.reading.finished) == (streamed.reading.units, True)

    async def test_a_call_of_a_tool_comes_whole(self) -> None:
        calls = (await self._heard("calls")).calls
        assert [call["function"]["name"] for call in calls if call["function"].get("name")] == ["shell"]
        assert isinstance(json.loads("".join(call["function"].get("arguments") or "" for call in calls)), dict)
        assert calls[0]["id"]
        (call,) = json.loads(b"".join((await self._heard("calls", stream=False)).shown))["choices"][0]["message"][
            "tool_calls"
        ]
        assert (call["function"]["name"], bool(call["id"])) == ("shell", True)

    @pytest.mark.parametrize("size", [1, 3, 64])
    async def test_it_does_not_matter_where_the_network_cuts(self, size: int) -> None:
        async with self.scene("talks") as scene:
            assert scene is not None
            heard = await _heard(scene, _asked(scene, stream=True))
            again = scene.driver.reading(_asked(scene, stream=True), _head("text/event-stream"))
        came = heard.came
        shown = b"".join([again.feed(came[at : at + size]) for at in range(0, len(came), size)]) + again.end()
        assert shown == b"".join(heard.shown)
        assert (again.units, again.said, again.finished) == (heard.reading.units, heard.reading.said, True)

    async def test_what_was_cut_is_not_finished(self) -> None:
        async with self.scene("talks") as scene:
            assert scene is not None
            heard = await _heard(scene, _asked(scene, stream=True))
            again = scene.driver.reading(_asked(scene, stream=True), _head("text/event-stream"))
        again.feed(heard.came[: len(heard.came) // 3])
        again.end()
        assert not again.finished
        assert again.broken("provider_cut", "It broke off.").startswith(b"data: ")

    async def test_nonsense_is_told_before_it_goes_on(self) -> None:
        async with self.scene("talks") as scene:
            assert scene is not None
            for kind, nonsense in (("text/event-stream", b"data: <html>\n\n"), ("application/json", b"<html>")):
                reading = scene.driver.reading(_asked(scene, stream=kind != "application/json"), _head(kind))
                with pytest.raises(Unavailable) as caught:
                    assert not reading.feed(nonsense) + reading.end()
                assert caught.value.code == "provider_malformed"

    async def test_it_tells_once_that_the_request_has_left(self) -> None:
        async with self.scene("talks") as scene:
            assert scene is not None
            left: list[bool] = []
            await _read(await scene.driver.send(_sent(scene, stream=True), BEHALF, lambda: left.append(True)))
        assert left == [True]

    @pytest.mark.parametrize("name", REFUSALS)
    async def test_a_refusal_is_handed_on_as_it_came(self, name: str) -> None:
        async with self.scene(name) as scene:
            assert scene is not None
            answer = await scene.driver.send(_sent(scene, stream=True), BEHALF, lambda: None)
            assert (answer.status, bool(await _read(answer))) == (REFUSALS[name], True)

    async def test_a_provider_that_is_away_was_sent_nothing(self) -> None:
        async with self.scene("away") as scene:
            if scene is not None:
                with pytest.raises(NotSent):
                    await scene.driver.send(_sent(scene, stream=False), BEHALF, lambda: None)

    async def test_the_credential_stands_in_a_header_and_nowhere_else(self) -> None:
        async with self.scene("talks") as scene:
            assert scene is not None
            sent, secret = _sent(scene, stream=True), scene.credential.reveal()
        if secret:
            assert secret not in sent.url
            assert secret.encode() not in sent.body
            assert sum(secret in value for value in sent.headers.values()) == 1

    async def test_a_limit_stands_in_the_request(self) -> None:
        async with self.scene("talks") as scene:
            assert scene is not None
            sent = _sent(scene, stream=True, limit=1_357)
            rehearses = not scene.credential
        assert rehearses or b"1357" in sent.body

    async def test_what_the_format_does_not_know_is_refused(self) -> None:
        async with self.scene("talks") as scene:
            assert scene is not None
            for api in set(Api) - scene.driver.native - scene.driver.adapted:
                with pytest.raises(Invalid) as caught:
                    scene.driver.request(
                        Asked(api=api, model="m", body=b"{}"),
                        model=scene.model,
                        config=scene.config,
                        credential=scene.credential,
                    )
                assert caught.value.code == "not_supported"

    async def test_the_list_of_models_costs_nothing(self) -> None:
        async with self.scene("talks") as scene:
            assert scene is not None
            asked = Asked(api=Api.MODELS, model="", body=b"{}")
            sent = scene.driver.request(asked, model=scene.model, config=scene.config, credential=scene.credential)
            answer = await scene.driver.send(sent, BEHALF, lambda: None)
            reading = scene.driver.reading(asked, answer)
            body = reading.feed(await _read(answer)) + reading.end()
        assert answer.status == 200
        assert isinstance(json.loads(body), dict)
        assert (reading.units or Units()).output == 0

    async def _heard(self, name: str, *, stream: bool = True, usage: bool = False) -> Heard:
        async with self.scene(name) as scene:
            assert scene is not None
            return await _heard(scene, _asked(scene, stream=stream, usage=usage))


def _asked(scene: Scene, *, stream: bool, usage: bool = False) -> Asked:
    told = {"include_usage": True}
    body = {"model": "m", **scene.body} | (
        {"stream": True} | ({"stream_options": told} if usage else {}) if stream else {}
    )
    return Asked(api=Api.CHAT, model="m", body=json.dumps(body).encode(), stream=stream, usage_wanted=usage and stream)


def _sent(scene: Scene, *, stream: bool, limit: int | None = None) -> Sent:
    return scene.driver.request(
        _asked(scene, stream=stream),
        model=scene.model,
        config=scene.config,
        credential=scene.credential,
        limit=limit,
    )


async def _heard(scene: Scene, asked: Asked) -> Heard:
    sent = scene.driver.request(asked, model=scene.model, config=scene.config, credential=scene.credential)
    answer = await scene.driver.send(sent, BEHALF, lambda: None)
    assert answer.status == 200
    heard = Heard(scene.driver.reading(asked, answer))
    async for chunk in answer.chunks:
        heard.came += chunk
        heard.shown.append(heard.reading.feed(chunk))
    heard.shown.append(heard.reading.end())
    return heard


async def _read(answer: Answer) -> bytes:
    return b"".join([chunk async for chunk in answer.chunks])


def _head(content_type: str) -> Answer:
    return Answer(status=200, headers={"content-type": content_type}, chunks=_nothing())


async def _nothing() -> AsyncGenerator[bytes, None]:
    return
    yield b""
