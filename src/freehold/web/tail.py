"""
One tail of the event table per process; every stream listens to it.

Whoever commits nudges (`poke`); while somebody listens the table is also looked at every second, so a lost
nudge costs a second. Live pieces of text (`live`) come by datagram only and are never kept.
"""

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Any, Final, final

from freehold.core.errors import FreeholdError
from freehold.store.scope import Store
from freehold.store.threads import in_thread

log = logging.getLogger(__name__)

POLL: Final = 1.0
BACKLOG: Final = 10_000
"""Items a slow listener may lag behind before it is cut off; it comes back with `Last-Event-ID`."""
BATCH: Final = 500
SAYING: Final = 512
"""Of how many runs the step that is being said is kept, for listeners that come late."""
LONGEST: Final = 1 << 16
"""Characters of such a step; of a longer one late listeners get only the recorded whole."""

Item = dict[str, Any]
"""An event as the store tells it, or a live piece: `{live, run, key, text}`."""


@final
class Watch:
    """What one listener hears of one run."""

    def __init__(self) -> None:
        """Begin with nothing heard."""
        self._items: asyncio.Queue[Item | None] = asyncio.Queue()
        self._over = False
        self.revoked = False
        """Whether it ended because whoever listens may not do so any more."""

    async def next(self, seconds: float) -> Item | None:
        """Return the next item, or None after `seconds` without one; look at `over` then."""
        if not self._items.empty():
            return self._items.get_nowait()
        try:
            return await asyncio.wait_for(self._items.get(), max(seconds, 0.0))
        except TimeoutError:
            return None

    @property
    def over(self) -> bool:
        """Whether nothing more will come: the process stops, or the listener is too slow."""
        return self._over and self._items.empty()

    def tell(self, item: Item) -> None:
        """Pass an item on."""
        if self._items.qsize() >= BACKLOG:
            self.end()
        elif not self._over:
            self._items.put_nowait(item)

    def revoke(self) -> None:
        """End at once: what is still on its way is not told any more."""
        self.revoked = True
        while not self._items.empty():
            self._items.get_nowait()
        self._over = False
        self.end()

    def end(self) -> None:
        """Say that nothing more comes."""
        if not self._over:
            self._over = True
            self._items.put_nowait(None)


@final
class Tail:
    """Follows the events of all runs for those who listen."""

    def __init__(self, store: Store) -> None:
        """Read from `store`."""
        self._store = store
        self._watches: dict[str, set[Watch]] = {}
        self._saying: OrderedDict[str, tuple[str, str | None]] = OrderedDict()
        self._position = 0
        self._poked = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listened = asyncio.Event()
        self._opening = asyncio.Lock()
        self._closed = False

    @contextlib.asynccontextmanager
    async def watch(self, run: str) -> AsyncIterator[Watch]:
        """
        Give what happens in `run` from now on; read what happened before only inside the block.

        What is being said just now comes first, from its first word, behind a reset.
        """
        watch = Watch()
        async with self._opening:
            if not self._watches:
                self._position = await in_thread(self._last)
            self._watches.setdefault(run, set()).add(watch)
            self._listened.set()
        self._repeat(run, watch)
        if self._closed:
            watch.end()
        try:
            yield watch
        finally:
            self._leave(run, watch)

    def poke(self) -> None:
        """Look at the table at once. May be called from any thread: who commits is often in one."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody listens any more
                self._loop.call_soon_threadsafe(self._poked.set)

    def live(self, piece: Item) -> None:
        """Pass a live piece on to whoever listens to its run."""
        self._remember(piece)
        for watch in self._watches.get(str(piece.get("run")), ()):
            watch.tell(piece)

    async def follow(self) -> None:
        """Follow the table until cancelled."""
        self._loop = asyncio.get_running_loop()
        while True:
            await self._listened.wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._poked.wait(), POLL)
            self._poked.clear()
            try:
                await self._catch_up()
            except FreeholdError as error:
                log.warning("The events cannot be read: %s", error.message)
            except Exception:
                log.exception("Following the events broke; it goes on.")

    def close(self) -> None:
        """End every stream."""
        self._closed = True
        for watches in self._watches.values():
            for watch in watches:
                watch.end()

    async def _catch_up(self) -> None:
        while True:
            events = await in_thread(self._behind, self._position)
            for event in events:
                position = int(event["position"])
                if position > self._position:
                    self._position = position
                    self._tell(event)
            if len(events) < BATCH:
                return

    def _tell(self, event: Item) -> None:
        shown = {name: event[name] for name in ("seq", "at", "run", "type", "data")}
        for watch in self._watches.get(event["run"], ()):
            watch.tell(shown)

    def _remember(self, piece: Item) -> None:
        run, key = str(piece.get("run")), str(piece.get("key"))
        before, text = self._saying.pop(run, (key, ""))
        if piece.get("live") == "reset" or before != key:
            text = ""
        if piece.get("live") == "delta" and text is not None:
            text += str(piece.get("text", ""))
        self._saying[run] = (key, None if text is None or len(text) > LONGEST else text)
        if len(self._saying) > SAYING:
            self._saying.popitem(last=False)

    def _repeat(self, run: str, watch: Watch) -> None:
        key, text = self._saying.get(run, ("", None))
        if text:
            watch.tell({"live": "reset", "run": run, "key": key})
            watch.tell({"live": "delta", "run": run, "key": key, "text": text})

    def _leave(self, run: str, watch: Watch) -> None:
        left = self._watches[run]
        left.discard(watch)
        if not left:
            del self._watches[run]
        if not self._watches:
            self._listened.clear()

    def _last(self) -> int:
        with self._store.read() as platform:
            return platform.last_position()

    def _behind(self, position: int) -> list[Item]:
        with self._store.read() as platform:
            return platform.events_behind(position, limit=BATCH)
