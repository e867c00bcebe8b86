"""One attempt of a call: what it is made of, what its answer's head says, and how it is told when it came to nothing."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from freehold.core.errors import Denied, FreeholdError, Unavailable
from freehold.failpoints import reach
from freehold.gateway.calls.inward import inward
from freehold.gateway.calls.passage import Passage
from freehold.gateway.calls.refusal import MAX_ERROR, refusal
from freehold.gateway.calls.refusing import STATUS
from freehold.gateway.calls.routing import Way
from freehold.gateway.calls.telling import Telling
from freehold.gateway.formats import Answer, Asked, Caller, Whom
from freehold.gateway.money.books import Hold

log = logging.getLogger(__name__)

ANY_MODEL: Final = 4_096
"""Tokens that every model of today can answer with: a limit that is larger may be refused by its provider."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call by one way."""

    caller: Caller
    whom: Whom
    asked: Asked
    way: Way
    told: Telling
    number: int
    call: str
    """The row of the first attempt; empty for that one itself."""


class Failed(Exception):
    """An attempt failed, and another route may be tried."""

    def __init__(self, usage_id: str, error: FreeholdError) -> None:
        super().__init__(error.message)
        self.usage_id, self.error = usage_id, error


def told_as(passage: Passage, error: FreeholdError) -> Exception:
    """Return what an attempt that came to nothing is told as: whether another route may help."""
    again = isinstance(error, Unavailable) or (isinstance(error, Denied) and error.code == "provider_refused")
    return Failed(passage.usage_id, error) if again else error


def limit(asked: Asked, hold: Hold) -> int | None:
    """Return the limit to put into a request whose money is short; where it might be refused, the stream is cut instead."""
    if not hold.clamped or hold.max_output is None:
        return None
    return hold.max_output if asked.max_output is not None or hold.max_output <= ANY_MODEL else None


def speaks(way: Way, asked: Asked) -> bool:
    """Return whether a call can go by `way`, as it is or translated."""
    driver = way.driver
    return asked.api in driver.native or asked.api in driver.adapted or inward(asked, driver) is not None


def left() -> None:
    """Take note that a request has left: here a test may let us die."""
    reach("gateway", "sent")


async def accepted(passage: Passage, answer: Answer) -> None:
    """Raise the error that the head of an answer tells, if it tells one."""
    passage.status = answer.status
    if not 200 <= answer.status < 300:  # noqa: PLR2004
        body, way = await _some(answer.chunks), passage.way
        error = refusal(answer.status, answer.headers, body, way.credential, shared=not way.own)
        error.facts = {STATUS: answer.status}
        raise error


async def _some(chunks: AsyncIterator[bytes]) -> bytes:
    """Return the beginning of a refusal: enough to read, too little to fill us."""
    body = b""
    async for chunk in chunks:
        body += chunk
        if len(body) > MAX_ERROR:
            break
    return body[:MAX_ERROR]


def translated(error: BaseException) -> FreeholdError:
    """Return what ended an attempt as an error that callers know."""
    if isinstance(error, FreeholdError):
        return error
    if isinstance(error, TimeoutError):
        return Unavailable(
            "The model's provider took too long.",
            code="provider_timeout",
            remedy="Try again, or raise FREEHOLD_MODEL_TIMEOUT.",
        )
    if isinstance(error, asyncio.CancelledError):
        return Unavailable("Nobody waited for the answer any longer.", code="caller_gone")
    log.error("A model driver broke.", exc_info=error)
    return FreeholdError("The call to the model broke on our side.", remedy="See the gateway's log.")
