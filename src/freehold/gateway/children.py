"""
Connectors whose protocol is heavy: each call is carried out by a child process of its own.

The child is handed one call with one credential over a pipe, says when the request has left and what came of it,
and ends. So no parser of such a protocol, and no package for it, is ever part of the process that holds all keys.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final, final

from typing_extensions import override

from freehold.core.effects import EffectKind
from freehold.core.errors import FreeholdError, Unavailable, from_problem, to_problem
from freehold.core.tools import Tool
from freehold.gateway.asked import Behalf
from freehold.gateway.ports import ConnectorCall, ConnectorDriver, Credential, NotSent, Reached
from freehold.gateway.requesting.scrubbing import Blot

MODULE: Final = "freehold.app.connector_child"
SECONDS: Final = 90.0
"""How long a child may take: more than its driver waits for its counterpart."""
AT_ONCE: Final = 8
"""Children of one kind that may live at a time; each takes some 30 MB."""
LONGEST: Final = 4 << 20
"""Bytes of an answer."""
COMPLAINT: Final = 4 << 10
"""Bytes of what a child says on standard error that are told."""

log = logging.getLogger(__name__)


@final
class InChild(ConnectorDriver):
    """Carries calls out in children; what can be told without a call, the driver tells here."""

    def __init__(
        self,
        driver: ConnectorDriver,
        made: Mapping[str, Any],
        *,
        hidden: Credential | None = None,
        environment: Mapping[str, str] | None = None,
        seconds: float = SECONDS,
        command: Sequence[str] = (sys.executable, "-P", "-s", "-X", "utf8", "-m", MODULE),
    ) -> None:
        """Have children make the same driver out of `made`, which is never told with the secret `hidden` in it."""
        self.kind, self.replies = driver.kind, driver.replies
        self._driver, self._made, self._hidden = driver, dict(made), hidden or Credential()
        self._environment, self._seconds, self._command = dict(environment or {}), seconds, tuple(command)
        self._room = asyncio.Semaphore(AT_ONCE)

    @override
    def check(self, config: Mapping[str, Any], credential: Credential) -> None:
        self._driver.check(config, credential)

    @override
    def tools(self, config: Mapping[str, Any]) -> Sequence[Tool]:
        return self._driver.tools(config)

    @override
    def idempotent(self, config: Mapping[str, Any]) -> bool:
        return self._driver.idempotent(config)

    @override
    async def perform(self, call: ConnectorCall) -> dict[str, Any]:
        async with self._room:
            process = await self._started()
            heard = _Heard(call.sent)
            blot = Blot(call.to.credential, self._hidden)
            work = asyncio.gather(
                _hand(process, self._asked(call)), heard.listen(process), _complain(process, self.kind, blot)
            )
            try:
                done, _ = await asyncio.wait({work}, timeout=self._seconds)
            finally:
                _kill(process)
            if not done:
                log.warning("A child for %s took longer than %g s.", self.kind, self._seconds)
            await work  # a child that is dead says no more, so this ends
            await process.wait()
        return heard.outcome()

    async def _started(self) -> Process:
        """Start a child that inherits nothing of ours but the three pipes."""
        try:
            return await asyncio.create_subprocess_exec(
                *self._command,
                self.kind,
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                env=self._environment,
                cwd="/",
                close_fds=True,
                start_new_session=True,
                limit=LONGEST,
            )
        except OSError as error:
            raise NotSent("No child process can be started for this.", code="no_child", after=5.0) from error

    def _asked(self, call: ConnectorCall) -> bytes:
        told = {"parent": os.getpid(), "made": self._made, "call": told_of(call)}
        return json.dumps(told).encode()


class _Heard:
    """What a child said so far."""

    def __init__(self, sent: Callable[[], None]) -> None:
        self._tell, self._sent = sent, False
        self._answer: dict[str, Any] | None = None

    async def listen(self, process: Process) -> None:
        """Take its lines until it says no more."""
        if process.stdout is None:
            return
        with contextlib.suppress(ValueError):  # no line of ours, or one that is too long: as if it had died there
            while line := await process.stdout.readline():
                match json.loads(line):
                    case {"sent": True} if not self._sent:
                        self._sent = True
                        self._tell()
                    case {"result": _} | {"error": _} as answer:
                        self._answer = answer
                    case _:
                        pass
        _kill(process)

    def outcome(self) -> dict[str, Any]:
        """Return its result or raise its error; one that died is as good as its last word."""
        match self._answer:
            case {"result": dict(result)}:
                return result
            case {"error": dict(problem), "after": float(after), "not_sent": bool(not_sent)}:
                error = from_problem(int(str(problem.get("status", 500))), problem, after=after)
                raise NotSent(error.message, after=after, code=error.code, remedy=error.remedy) if not_sent else error
            case _:
                pass
        if self._sent:
            raise Unavailable("It broke off half-way; it may have happened.", code="child_died")
        raise NotSent("It broke off before anything was sent.", code="child_died")


def told_of(call: ConnectorCall) -> dict[str, Any]:
    """Return a call as it is handed to a child: with its credential, so never to anybody else."""
    to = call.to
    return {
        "key": call.key,
        "tool": asdict(call.tool),
        "arguments": dict(call.arguments),
        "to": {
            "owner": to.owner,
            "name": to.name,
            "config": dict(to.config),
            "credential": to.credential.reveal(),
            "behalf": asdict(to.behalf),
        },
    }


def call_of(told: Mapping[str, Any], sent: Callable[[], None]) -> ConnectorCall:
    """Return the call that was handed over."""
    tool, to = told["tool"], told["to"]
    reached = to | {"credential": Credential(to["credential"]), "behalf": Behalf(**to["behalf"])}
    return ConnectorCall(
        key=told["key"],
        tool=Tool(**tool | {"kind": EffectKind(tool["kind"])}),
        arguments=told["arguments"],
        to=Reached(**reached),
        sent=sent,
    )


def answer_of(error: FreeholdError) -> dict[str, Any]:
    """Return what a child says about an error."""
    after = error.after if isinstance(error, Unavailable) else 0.0
    return {"error": to_problem(error), "after": float(after), "not_sent": isinstance(error, NotSent)}


async def _hand(process: Process, asked: bytes) -> None:
    """Hand the call over; a child that died over it says so by its silence."""
    if process.stdin is None:
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(asked)
        await process.stdin.drain()
    process.stdin.close()


async def _complain(process: Process, kind: str, blot: Blot) -> None:
    """Write to the log what a child says on standard error, without what it was handed."""
    said = b""
    while process.stderr is not None and (piece := await process.stderr.read(1 << 14)):
        said += blot.feed(piece) if len(said) < COMPLAINT else b""
    said += blot.end() if len(said) < COMPLAINT else b""
    text = said[:COMPLAINT].decode(errors="replace")
    shown = "".join(sign if sign.isprintable() else " " for sign in text).strip()
    if shown:
        log.warning("A child for %s says: %s", kind, shown)


def _kill(process: Process) -> None:
    """End the child and all it started, if it is not over."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
