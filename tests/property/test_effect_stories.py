"""
Whatever happens between a question and its answer: an effect moves only along its table, and no further than its leave.

Stories are told to the real gateway over a real store: somebody asks, approves, refuses or waits too long, the other
side stays silent, the gateway dies, the tool says something else, the connection is led elsewhere, deleted, made anew.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from freehold.core.effects import EFFECT_TRANSITIONS, EffectState, Verdict
from freehold.core.errors import FreeholdError, NotFound
from freehold.gateway import mending
from freehold.gateway.tables import effects
from freehold.testing.clock import FakeClock
from freehold.testing.counterpart import Counterpart, Heard, Tells, counterpart
from tests.gateways import TENANT, Kit, effect, running, work

OVER = frozenset({EffectState.DONE, EffectState.FAILED, EffectState.REFUSED, EffectState.EXPIRED})
STEPS = ("submit", "submit", "approve", "approve", "deny", "wait", "silence", "die", "retell", "lead", "delete", "make")
KINDS = st.tuples(st.sampled_from([Verdict.ALLOW, Verdict.ASK]), st.booleans(), st.booleans())
STORIES = st.lists(st.tuples(KINDS, st.lists(st.sampled_from(STEPS), min_size=3, max_size=14)), min_size=8, max_size=8)


@dataclass
class Story:
    """One effect, its connection, and what may be done by it."""

    kit: Kit
    sides: Sequence[Counterpart]
    clock: FakeClock
    number: int
    verdict: Verdict
    told: bool
    """Whether the tool is one that was told of, and pinned."""
    known: bool
    """Whether the other side knows keys."""
    silent: set[str]
    side: int = 0
    words: int = 0
    now: tuple[int, int] = (0, 0)
    """Which connection it is now, and to which side it leads."""
    leave: tuple[int, int] | None = None
    """What it was when leave was given to carry it out, where that is needed."""
    shown: tuple[int, int] = (0, 0)
    """What it was when somebody was asked."""
    hash: str = ""

    @property
    def name(self) -> str:
        return f"api{self.number}"

    @property
    def key(self) -> str:
        return f"run_1/1/{self.number}/1"

    @property
    def tool(self) -> str:
        return "add" if self.told else "post"

    def sent(self) -> list[int]:
        """Return how often each side was asked."""
        return [sum(one.target == f"/{self.name}" for one in side.heard) for side in self.sides]

    async def begin(self) -> None:
        await self.make()
        pins = {}
        if self.told:
            tools = await self.kit.web.tools_of(TENANT, [self.name])
            pins = {f"{self.name}.add": tools[self.name]["add"].pinned.hash}
        tools_granted = {f"{self.name}.{self.tool}": str(self.verdict)}
        await self.kit.publish(tools=tools_granted, pins=pins, version=f"ver_{self.number}")

    async def make(self) -> None:
        config: dict[str, Any] = {"base_url": self.sides[self.side].url, "allow": ["POST:/**"]}
        config |= {"idempotency": "Idempotency-Key"} if self.known else {}
        with suppress(FreeholdError):
            named: dict[str, Any] = {"kind": "http", "name": self.name, "secret": None, "by": "key:1"}
            await self.kit.web.create_connection(TENANT, config=config, **named)
            self.now = (self.now[0] + 1, self.side)
            await self.tell()

    async def tell(self) -> None:
        if self.told:
            says = {"operationId": "add", "summary": f"Add {self.words}."}
            document = {
                "openapi": "3.1.0",
                "info": {"title": "A", "version": "1"},
                "paths": {f"/{self.name}": {"post": says}},
            }
            with suppress(NotFound):
                await self.kit.web.refresh_tools(TENANT, self.name, document=document, by="key:1")

    async def submit(self) -> None:
        before, was = self.sent(), await self.state()
        asked = effect(self.tool, self.name, self.key, **({} if self.told else {"path": f"/{self.name}"}))
        code = ""
        try:
            outcome = await self.kit.worker.submit(work(version=f"ver_{self.number}"), asked)
        except FreeholdError as error:
            code = error.code
        else:
            self.hash = outcome.hash
            if sum(self.sent()):
                assert outcome.state not in {EffectState.REFUSED, EffectState.EXPIRED, EffectState.ASKED}
            if outcome.state in {EffectState.ASKED, EffectState.UNKNOWN} and outcome.fresh:
                self.shown = self.now
        may_have = sum(before) and await self.state() is EffectState.UNKNOWN
        assert not may_have or code in {"", "outcome_unknown"}, "nobody may believe that nothing happened"
        new = [now - then for now, then in zip(self.sent(), before, strict=True)]
        assert sum(new) <= 1
        if sum(new):
            assert new[self.side] == 1
            first = was is None and self.verdict is Verdict.ALLOW
            assert first or self.leave == self.now, "what was done was allowed, as it was done"
            assert was not in OVER
            self.shown = self.now
            self.leave = self.now if self.known else None
        self.silent.discard(self.name)

    async def approve(self) -> None:
        with suppress(FreeholdError):
            await self.kit.web.decide(tenant=TENANT, key=self.key, hash=self.hash, approve=True, by="user:1")
            self.leave = self.shown

    async def deny(self) -> None:
        with suppress(FreeholdError):
            await self.kit.web.decide(tenant=TENANT, key=self.key, hash=self.hash, approve=False, by="user:1")

    async def wait(self) -> None:
        self.clock.wind(80 * 3600)
        await self.kit.gateway.keep.write(lambda tx: mending.sweep(tx, self.kit.gateway.keep))

    async def silence(self) -> None:
        self.silent.add(self.name)

    async def die(self) -> None:
        """Let the gateway have died before it wrote down what came of it."""
        mine = effects.c.key == self.key, effects.c.state == EffectState.UNKNOWN
        await self.kit.gateway.keep.write(
            lambda tx: tx.execute(update(effects).where(*mine).values(state=EffectState.OPEN, outcome=None))
        )
        await self.kit.gateway.keep.write(lambda tx: mending.recover(tx, self.kit.gateway.keep))

    async def retell(self) -> None:
        self.words += 1
        await self.tell()

    async def lead(self) -> None:
        with suppress(FreeholdError):
            config = {"base_url": self.sides[1 - self.side].url}
            await self.kit.web.change_connection(TENANT, self.name, config=config, by="key:1")
            self.side = 1 - self.side
            self.now = (self.now[0], self.side)

    async def delete(self) -> None:
        with suppress(FreeholdError):
            await self.kit.web.delete_connection(TENANT, self.name, by="key:1")

    async def state(self) -> EffectState | None:
        chosen = select(effects.c.state).where(effects.c.key == self.key)
        return await self.kit.gateway.keep.read(lambda tx: tx.execute(chosen).scalar())

    async def end(self) -> None:
        """Look at the record: every move was one that there is."""
        links = await self.kit.web.audit(TENANT, subject=self.key)
        words = [link["action"].removeprefix("effect.") for link in links]
        moves = [EffectState(word) for word in words if word in set(EffectState)]
        was = EffectState.PROPOSED
        for state in moves:
            held = (was, state) == (EffectState.UNKNOWN, EffectState.UNKNOWN)
            assert held or state in EFFECT_TRANSITIONS[was], moves
            was = state


async def told(stories: Sequence[tuple[tuple[Verdict, bool, bool], list[str]]], data: Path) -> None:
    silent: set[str] = set()

    def says(heard: Heard) -> Tells:
        return Tells(silent=heard.target.strip("/") in silent)

    clock = FakeClock()
    async with counterpart(says) as first, counterpart(says) as other, running(data, clock) as kit:
        for number, ((verdict, of_document, known), steps) in enumerate(stories, start=1):
            story = Story(kit, (first, other), clock, number, verdict, of_document, known, silent)
            await story.begin()
            for step in steps:
                await getattr(story, step)()
            await story.end()


@settings(max_examples=6)
@given(STORIES)
def test_an_effect_goes_no_further_than_its_leave(stories: Any) -> None:
    with TemporaryDirectory() as folder:
        asyncio.run(told(stories, Path(folder)))
