"""The upstream itself: takes requests, does what their acts say, and bills."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final, final

import msgspec

from freehold.testing.upstream import acts, formats
from freehold.testing.upstream.acts import Act
from freehold.testing.upstream.answering import JSON, Answer
from freehold.testing.upstream.control import Gate, controlled
from freehold.testing.upstream.ledger import Ledger, Price
from freehold.testing.upstream.wire import Request, Wire

HOST: Final = "127.0.0.1"
KEPT: Final = 100


@final
class Upstream:
    """A provider. What it was asked last is in `requests`, what it bills in `ledger`."""

    def __init__(
        self,
        script: Iterable[Act] = (),
        *,
        price: Price | None = None,
        keys: Iterable[str] = (),
        remember: int = 100_000,
    ) -> None:
        """Go through `script` first; take only `keys`, if there are any."""
        self.script = deque(script)
        self.standing = acts.PLAIN
        """What is done once the script is at its end and the question spells nothing."""
        self.ledger = Ledger(price=price or Price(), remember=remember)
        self.gate = Gate()
        self.requests: deque[Request] = deque(maxlen=KEPT)
        self.port = 0
        self._keys = frozenset(keys)
        self._wires: set[Wire] = set()
        self._server: asyncio.Server | None = None
        self._changed = asyncio.Event()
        self.ledger.on_change = self._changed.set

    @property
    def url(self) -> str:
        """Where it answers, without a path."""
        return f"http://{HOST}:{self.port}"

    @property
    def base_url(self) -> str:
        """Where OpenAI's paths begin."""
        return f"{self.url}/v1"

    @property
    def connected(self) -> int:
        """How many connections are open."""
        return len(self._wires)

    async def start(self, port: int = 0) -> None:
        """Listen on loopback."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Wire(self._serve, self._wires), HOST, port, backlog=4096)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Break everything off."""
        if self._server is not None:
            self._server.close()
        for wire in list(self._wires):
            wire.abort()

    async def idle(self, seconds: float = 10.0) -> None:
        """Wait until nothing is under way."""
        await self._until(lambda: self.ledger.idle, seconds)

    async def asked(self, times: int, seconds: float = 10.0) -> None:
        """Wait until it was asked so many times in all."""
        await self._until(lambda: self.ledger.made >= times, seconds)

    async def _until(self, come: Callable[[], bool], seconds: float) -> None:
        async with asyncio.timeout(seconds):
            while not come():
                self._changed.clear()
                await self._changed.wait()

    def _serve(self, wire: Wire, request: Request) -> Coroutine[None, None, None] | None:
        told = controlled(self, request)
        if told is not None:
            wire.answer(200, JSON, msgspec.json.encode(told))
            return None
        self.requests.append(request)
        body = _decoded(request)
        key, api, model = formats.key_of(request), formats.api_of(request), formats.model_of(request, body)
        entry = self.ledger.begin(api or "unknown", request.path, key)
        entry.model = model
        act = self._act(model, request)
        refusal = self._refusal(api, key)
        answer = Answer(wire, request, body, refusal or act, entry, self.ledger, self.gate)
        if refusal is not None:
            answer.refuse()
            return None
        return answer.now() if act.plain else answer.later()

    def _act(self, model: str, request: Request) -> Act:
        if self.script:
            return self.script.popleft()
        found = acts.spelt(model, request.body)
        return self.standing if found is acts.PLAIN else found

    def _refusal(self, api: str, key: str) -> Act | None:
        if not api:
            return Act(status=404)
        if self._keys and key not in self._keys:
            return Act(status=401)
        return None


def _decoded(request: Request) -> dict[str, Any]:
    if not request.body.startswith(b"{"):
        return {}
    try:
        body = msgspec.json.decode(request.body)
    except msgspec.DecodeError:
        return {}
    return body if isinstance(body, dict) else {}


@asynccontextmanager
async def serving(*script: Act, **how: Any) -> AsyncIterator[Upstream]:
    """Give an upstream that listens while the block lasts; `how` is what `Upstream` takes."""
    upstream = Upstream(script, **how)
    await upstream.start()
    try:
        yield upstream
    finally:
        await upstream.stop()
