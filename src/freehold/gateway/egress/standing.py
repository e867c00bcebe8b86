"""What a program in a sandbox may do: its version's grants, while its run is its worker's and its tenant is active."""

from typing import Final

from sqlalchemy import Connection as Tx

from freehold.core.effects import Verdict
from freehold.core.errors import Denied
from freehold.gateway import switches
from freehold.gateway.calls.speaking import Speaker
from freehold.gateway.grants import judge

OPERATIONS: Final = frozenset({"get", "head", "post", "put", "patch", "delete"})
"""What a request by a connection is judged as: its method, in lower case."""


def require(tx: Tx, speaker: Speaker) -> None:
    """Raise what keeps `speaker` from having any effect now: its run, or a switch."""
    speaker.require(tx)
    switches.require_effects(tx, speaker.whom.tenant)


def require_grant(speaker: Speaker, connection: str, method: str) -> str:
    """Return the operation that a request is; raise `Denied` where the version may not have it, or only asks for it."""
    operation = method.lower()
    if operation not in OPERATIONS:
        raise Denied(
            f"{method[:20]} is nothing that goes out by a connection.",
            code="path_refused",
            remedy=f"Use one of {', '.join(sorted(OPERATIONS)).upper()}.",
        )
    verdict = judge(speaker.grants, connection=connection, operation=operation)
    tool = f"{connection}.{operation}"
    if verdict is Verdict.ASK:
        raise Denied(
            "A person has to allow this, and a program cannot ask.",
            code="ask_in_sandbox",
            remedy=f"Let the agent itself call its tool {tool}: then somebody is asked.",
        )
    if verdict is Verdict.DENY:
        raise Denied(
            f"This agent's programs may not use {tool}.",
            code="not_granted",
            remedy=f"Grant the agent the tool: --tool {tool}=allow",
        )
    return operation
