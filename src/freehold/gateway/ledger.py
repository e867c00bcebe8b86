"""
The book of effects: what is about to be done is written down before it is done, and what came of it after.

Every function works inside a transaction of the caller's. An intent, its open usage row and its link of the
record are one transaction; the outcome with all of its own is a second.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection as Tx
from sqlalchemy import bindparam, insert, select, update

from freehold.core.effects import EffectState, Verdict
from freehold.core.errors import Conflict, NotFound
from freehold.gateway.keeping import Keep
from freehold.gateway.steps import Standing
from freehold.gateway.tables import effects, epochs

ARGUMENTS: Final = "effect.arguments"
OUTCOME: Final = "effect.outcome"
OVER: Final = (1 << 31) - 1
"""The epoch of a run that is over: nobody who worked on it is as new."""
CHAT: Final = "chat"
"""The operation of every model call."""
_SETTLED: Final = effects.c.state.not_in((EffectState.OPEN, EffectState.ASKED))

# Spelt once: putting a statement together costs more than running it, and every call passes here.
_EPOCH: Final = epochs.c.tenant == bindparam("of_tenant"), epochs.c.run == bindparam("of_run")
_SEE_EPOCH: Final = select(epochs.c.epoch).where(*_EPOCH)
_RAISE_EPOCH: Final = update(epochs).where(*_EPOCH)
_EFFECT: Final = effects.c.tenant == bindparam("of_tenant"), effects.c.key == bindparam("of_key")
_LOOK: Final = select(effects).where(*_EFFECT)
_MOVE: Final = update(effects).where(*_EFFECT)
_BEGIN: Final = _MOVE.values(attempts=effects.c.attempts + 1)
_ADD: Final = insert(effects)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What is about to be done, and for whom."""

    tenant: str
    key: str
    hash: str
    connection: str
    operation: str
    arguments: bytes | None = None
    """In canonical form; none for a model call, whose asker keeps the context."""
    run: str = ""
    agent: str = ""
    version: str = ""
    epoch: int = 0
    trace: str = ""
    by: str = ""

    @property
    def actor(self) -> str:
        """Who acts, as the record says it."""
        return self.by or f"run:{self.run}"


def take_epoch(tx: Tx, *, tenant: str, run: str, epoch: int) -> None:
    """Remember the newest owner of a run; raise `Conflict` (`stale_epoch`) for an older one."""
    which = {"of_tenant": tenant, "of_run": run}
    seen = tx.execute(_SEE_EPOCH, which).scalar()
    if seen is None:
        tx.execute(insert(epochs), {"tenant": tenant, "run": run, "epoch": epoch})
    elif epoch > seen:
        tx.execute(_RAISE_EPOCH, which | {"epoch": epoch})
    elif epoch < seen:
        raise Conflict(
            "Another worker has taken this run over.", code="stale_epoch", remedy="Stop working on this segment."
        )


def retire(tx: Tx, *, tenant: str, runs: Sequence[str]) -> None:
    """Let runs that are over have no effect from now on, whoever asks for it and whatever epoch they state."""
    here = epochs.c.tenant == tenant, epochs.c.run.in_(runs)
    known = set(tx.execute(select(epochs.c.run).where(*here)).scalars())
    tx.execute(update(epochs).where(*here).values(epoch=OVER))
    if fresh := [{"tenant": tenant, "run": run, "epoch": OVER} for run in dict.fromkeys(runs) if run not in known]:
        tx.execute(insert(epochs), fresh)


def journaled(tx: Tx, *, tenant: str, run: str, but: str) -> None:
    """Drop what models said to a run in calls before the one `but`: who asks for that has read and kept it."""
    said = effects.c.operation == CHAT, effects.c.outcome.is_not(None), effects.c.key != but
    tx.execute(update(effects).where(*_of_run(tenant, run), *said, _SETTLED).values(outcome=None))


def over(tx: Tx, *, tenant: str, run: str) -> None:
    """Drop all that went into the effects of a run and came of them: it is over, and nobody repeats them."""
    tx.execute(update(effects).where(*_of_run(tenant, run), _SETTLED).values(arguments=None, outcome=None))


def look(tx: Tx, keep: Keep, *, tenant: str, key: str) -> Standing | None:
    """Return the effect stored under `key`, its outcome opened."""
    row = tx.execute(_LOOK, _is(tenant, key)).first()
    if row is None:
        return None
    opener = keep.opener(tx, tenant)
    outcome = json.loads(opener.open(row.outcome, name=key, purpose=OUTCOME)) if row.outcome and opener else None
    return Standing(
        hash=row.hash,
        state=row.state,
        connection=row.connection,
        kind=row.kind,
        mark=row.mark,
        attempts=row.attempts,
        again=row.again,
        decision=row.decision,
        decided_by=row.decided_by or "",
        expires_at=row.expires_at,
        outcome=outcome,
    )


def must_look(tx: Tx, keep: Keep, *, tenant: str, key: str) -> Standing:
    """Return the effect stored under `key`; raise `NotFound` if there is none."""
    found = look(tx, keep, tenant=tenant, key=key)
    if found is None:
        raise NotFound("There is no such effect.", remedy="Look at the approval again.")
    return found


def write(
    tx: Tx,
    keep: Keep,
    intent: Intent,
    *,
    state: EffectState,
    first: bool,
    verdict: Verdict | None = None,
    approver: str = "",
    kind: str = "",
    mark: str | None = None,
    again: bool = False,
    expires_at: datetime | None = None,
    outcome: dict[str, Any] | None = None,
    more: Mapping[str, Any] | None = None,
) -> None:
    """
    Write the intent down in `state`: a new row, or the one that stood there moved on.

    `kind` is what it does, as far as that is known, `mark` what the connection that it goes by is known by, and
    `again` whether an attempt that broke off may be repeated under the same key. The record tells the `verdict`, the
    version whose grants it came from, who approved, and `more` about it.
    """
    values: dict[str, Any] = {"state": state, "epoch": intent.epoch, "again": again, "decision": None}
    values |= {"kind": kind} if first or kind else {}
    values |= {} if mark is None else {"mark": mark}
    if outcome is not None:
        values |= {"outcome": _sealed(tx, keep, intent.tenant, intent.key, outcome), "closed_at": keep.now()}
    begins = state is EffectState.OPEN
    if first:
        made = {"attempts": int(begins), "expires_at": expires_at}
        tx.execute(_ADD, _fields(tx, keep, intent) | values | made)
    else:
        tx.execute(_BEGIN if begins else _MOVE, _is(intent.tenant, intent.key) | values)
    detail = {
        "connection": intent.connection,
        "operation": intent.operation,
        "agent": intent.agent,
        "epoch": intent.epoch,
        "trace": intent.trace,
        **({"kind": kind} if kind else {}),
        **(more or {}),
    }
    keep.note(
        tx,
        intent.tenant,
        actor=intent.actor,
        action=f"effect.{state}",
        subject=intent.key,
        detail=detail,
        run=intent.run,
        policy=intent.version,
        verdict=str(verdict or ""),
        approver=approver,
        arguments=intent.hash,
        result="" if outcome is None else digest_of(outcome),
    )


def close(
    tx: Tx,
    keep: Keep,
    *,
    tenant: str,
    key: str,
    state: EffectState,
    outcome: dict[str, Any],
    actor: str,
    detail: dict[str, Any] | None = None,
    approver: str = "",
) -> int:
    """Write down what became of an effect, and return how many bytes that is; its key begins with its run."""
    plain = _plain(outcome)
    sealed = keep.sealer(tx, tenant).seal(plain, name=key, purpose=OUTCOME)
    values = {"state": state, "outcome": sealed, "closed_at": keep.now()}
    tx.execute(_MOVE, _is(tenant, key) | values)
    result = hashlib.sha256(plain).hexdigest()
    keep.note(
        tx,
        tenant,
        actor=actor,
        action=f"effect.{state}",
        subject=key,
        detail=detail,
        run=run_of(key),
        approver=approver,
        result=result,
    )
    return len(plain)


def run_of(key: str) -> str:
    """Return the run whose effect has this key; empty for the platform's own."""
    return key.partition("/")[0] if key.startswith("run_") else ""


def digest_of(outcome: dict[str, Any]) -> str:
    """Return the hash of an outcome, over the bytes that are kept sealed."""
    return hashlib.sha256(_plain(outcome)).hexdigest()


def _fields(tx: Tx, keep: Keep, intent: Intent) -> dict[str, Any]:
    arguments = intent.arguments
    if arguments is not None:
        arguments = keep.sealer(tx, intent.tenant).seal(arguments, name=intent.key, purpose=ARGUMENTS)
    return {
        "tenant": intent.tenant,
        "key": intent.key,
        "run": intent.run,
        "agent": intent.agent,
        "version": intent.version,
        "connection": intent.connection,
        "operation": intent.operation,
        "hash": intent.hash,
        "arguments": arguments,
        "trace": intent.trace,
        "made_at": keep.now(),
    }


def _sealed(tx: Tx, keep: Keep, tenant: str, key: str, outcome: dict[str, Any]) -> bytes:
    return keep.sealer(tx, tenant).seal(_plain(outcome), name=key, purpose=OUTCOME)


def _plain(outcome: dict[str, Any]) -> bytes:
    return json.dumps(outcome, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _of_run(tenant: str, run: str) -> tuple[Any, ...]:
    """Return what finds a run's effects by their keys, which begin with it."""
    return effects.c.tenant == tenant, effects.c.key > f"{run}/", effects.c.key < f"{run}0"


def _is(tenant: str, key: str) -> dict[str, Any]:
    return {"of_tenant": tenant, "of_key": key}
