"""What is written down about a call besides its row: by its own door, or as the effect that a worker's call is."""

import hashlib
from typing import Any, Protocol, final

from sqlalchemy import Connection as Tx

from freehold.gateway.calls.passage import Passage
from freehold.gateway.formats import Asked, Whom
from freehold.gateway.keeping import Keep


class Telling(Protocol):
    """Writes about a call what else there is to write, in the transactions of its row."""

    plain: bool
    """Whether it writes nothing but what is done later."""

    def opening(self, tx: Tx, usage_id: str, detail: dict[str, Any]) -> None:
        """Write before anything is sent; what it raises keeps the call from being made."""
        ...

    def closing(self, tx: Tx, passage: Passage, detail: dict[str, Any]) -> None:
        """Write what came of it."""
        ...


@final
class Record:
    """Tells the record about a call: who, what, where to, how much; never what was said."""

    plain = True

    def __init__(self, keep: Keep, whom: Whom, asked: Asked) -> None:
        self._keep, self._whom, self._asked = keep, whom, asked

    def opening(self, tx: Tx, usage_id: str, detail: dict[str, Any]) -> None:
        """Write down that a call begins."""
        self._note(tx, "model.call", usage_id, detail, arguments=hashlib.sha256(self._asked.body).hexdigest())

    def closing(self, tx: Tx, passage: Passage, detail: dict[str, Any]) -> None:
        """Write down what came of it."""
        digest = passage.settled.digest if passage.settled else ""
        self._note(tx, "model.done", passage.usage_id, detail, result=digest)

    def _note(
        self, tx: Tx, action: str, subject: str, detail: dict[str, Any], *, arguments: str = "", result: str = ""
    ) -> None:
        whom = self._whom
        self._keep.note(
            tx,
            whom.tenant,
            actor=whom.actor,
            action=action,
            subject=subject,
            detail=detail,
            run=whom.run,
            policy=whom.version,
            verdict="allow",
            arguments=arguments,
            result=result,
        )
