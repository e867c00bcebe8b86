"""One request on its way to an answer, and whatever the act puts in that way."""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, Final, final

import msgspec

from freehold.testing.upstream import formats
from freehold.testing.upstream.acts import Act
from freehold.testing.upstream.control import Gate
from freehold.testing.upstream.events import Event, spelt
from freehold.testing.upstream.ledger import Entry, Ledger, State
from freehold.testing.upstream.plans import Plan, plan
from freehold.testing.upstream.wire import Request, Wire, head

JSON: Final = {"content-type": "application/json"}
EVENTS: Final = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}


@final
class Answer:
    """One request on its way to an answer."""

    def __init__(
        self, wire: Wire, request: Request, body: Mapping[str, Any], act: Act, entry: Entry, ledger: Ledger, gate: Gate
    ) -> None:
        """Answer `request` on `wire` by `act`, and bill `entry`."""
        self._wire, self._request, self._body = wire, request, body
        self._act, self._entry, self._ledger, self._gate = act, entry, ledger, gate
        self._plan: Plan | None = None
        self._api = formats.api_of(request)
        self._headers = {"x-request-id": entry.id, **act.headers}
        if act.after:
            self._headers["retry-after"] = act.after
        if act.echo == "header":
            self._headers["x-echo"] = entry.key

    def refuse(self) -> None:
        """Say no, at once."""
        self._close(State.REFUSED, self._act.status)
        said = f"Scripted {self._act.status}." + (f" Key {self._entry.key}." if self._act.echo == "error" else "")
        told = formats.error(self._request, self._act.status, said)
        self._wire.answer(self._act.status, {**JSON, **self._headers}, msgspec.json.encode(told))

    def now(self) -> Coroutine[None, None, None] | None:
        """Answer at once, or return what streams the answer."""
        if self._api in formats.TALKING:
            made = self._planned()
            if made.question.stream:
                return self._streamed(made)
        status, kind, body = self._whole()
        self._close(State.DONE, status)
        self._wire.answer(status, {**kind, **self._headers}, body)
        return None

    async def later(self) -> None:
        """Answer with whatever the act puts in the way."""
        act = self._act
        try:
            if act.stall:
                await asyncio.Event().wait()
            if act.close:
                self._close(State.STALLED, 0)
                self._wire.abort()
            elif act.slowloris:
                await self._dribble()
            elif act.redirect or act.body is not None or act.status != 200 or act.echo == "error":
                await self._scripted()
            else:
                await self._generated()
        except asyncio.CancelledError:
            self._close(State.STALLED if act.stall or act.slowloris else State.LEFT, 0)
            raise

    async def _dribble(self) -> None:
        for byte in head(200, {"x-slow": "x" * 100_000}):
            self._wire.write(bytes([byte]))
            await asyncio.sleep(self._act.slowloris)

    async def _scripted(self) -> None:
        act = self._act
        if act.body is not None:
            self._close(State.DONE if act.status == 200 else State.REFUSED, act.status)
            self._wire.begin(act.status, {"content-type": act.kind, **self._headers})
            await self._sliced(act.body)
            self._wire.finish()
        elif act.redirect:
            self._close(State.REFUSED, 307)
            self._wire.answer(307, {"location": act.redirect, **self._headers}, b"")
        else:
            self.refuse()

    async def _generated(self) -> None:
        if self._api in formats.TALKING:
            made = self._planned()
            if made.question.stream:
                await self._streamed(made)
                return
        await self._pause(0)
        status, kind, body = self._whole()
        if self._act.cut is not None:
            self._close(State.CUT, status)
            self._wire.begin(status, {**kind, **self._headers})
            self._wire.piece(body[: self._act.cut] or b" ")
            self._wire.abort()
            return
        self._close(State.DONE, status)
        self._wire.begin(status, {**kind, **self._headers})
        await self._sliced(body)
        self._wire.finish()

    def _planned(self) -> Plan:
        question = formats.TALKING[self._api].question(self._body, self._request)
        made = plan(question, self._act, self._entry.key)
        self._entry.stream = question.stream
        self._entry.input, self._entry.cached, self._entry.written = made.tokens_in, made.cached, made.written
        self._plan = made
        return made

    def _whole(self) -> tuple[int, dict[str, str], bytes]:
        if self._plan is not None:
            self._entry.output = self._plan.output
            told = formats.TALKING[self._api].whole(self._plan, self._act, self._body, self._entry.id)
            return 200, JSON, msgspec.json.encode(told)
        other = formats.other(self._api, self._request, self._body, self._act, self._entry)
        if isinstance(other, bytes):
            return 200, {"content-type": "audio/mpeg"}, other
        return (200 if other else 404), JSON, msgspec.json.encode(other)

    async def _streamed(self, made: Plan) -> None:
        """Send events one by one; what was generated when it ends is what is billed."""
        act, entry = self._act, self._entry
        entry.output = made.hidden
        try:
            self._wire.begin(200, {**EVENTS, **self._headers})
            for number, event in enumerate(formats.TALKING[self._api].stream(made, act, self._body, entry.id)):
                await self._pause(number)
                if number in (act.cut, act.error):
                    await self._break_off(number)
                    return
                if event.last and not act.done:
                    break
                await self._send(number, event)
            self._close(State.DONE, 200)
            self._wire.finish()
        except asyncio.CancelledError:
            self._close(State.LEFT, 200)
            raise

    async def _send(self, number: int, event: Event) -> None:
        self._entry.output += event.tokens
        self._entry.events += 1
        await self._sliced(spelt(event, self._act, malformed=number == self._act.malformed))
        await self._wire.room()

    async def _break_off(self, number: int) -> None:
        self._close(State.CUT, 200)
        if number == self._act.error:
            self._wire.piece(spelt(formats.error_event(self._request, "Scripted error."), self._act))
            self._wire.finish()
        else:
            await asyncio.sleep(0)
            self._wire.abort()

    async def _sliced(self, data: bytes) -> None:
        size = self._act.split or len(data) or 1
        for at in range(0, len(data), size):
            self._wire.piece(data[at : at + size])
            if self._act.split:
                await asyncio.sleep(0)

    async def _pause(self, number: int) -> None:
        if self._act.gate is not None:
            await self._act.gate(number)
        if self._act.gated:
            await self._gate.pass_one()
        if self._act.slow:
            await asyncio.sleep(self._act.slow)

    def _close(self, state: State, status: int) -> None:
        self._entry.status = status
        self._ledger.close(self._entry, state)
