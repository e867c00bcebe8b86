"""
What new runs of an agent start with: a version, or two of which one is tried by a share of them.

A deployment is a row that remembers which one counted before it, and the agent names the one that counts. So going
back is naming another row: nothing is deleted, and the next deployment stands on what was gone back to. Runs name
their version themselves and see nothing of all this.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final

from freehold.audit.canonical import digest
from freehold.audit.database import note
from freehold.core.agents import ALL, Agent, Deployment
from freehold.core.errors import Conflict, Invalid
from freehold.store.scope import Scope

UNTIL: Final = ALL - 1
"""The largest share there is, in per cent; more is all of them."""


def deploy(scope: Scope, *, agent: str, version: str, share: int | None = None, by: str, at: datetime) -> Agent:
    """
    Let new conversations and runs of `agent` start with `version`, all or a `share` in per cent; return the agent.

    Both are named by name, id or number. All of them ends a share. Raises `NotFound` for what is not there, `Invalid`
    (`bad_share`), and `Conflict` (`deployed_already`) for a share of what all of them start with already.
    """
    before = scope.agents.taken(agent)
    wanted = scope.versions.named(before.id, version)
    if share is None:
        after = deployed(scope, before, wanted.id, at=at)
    else:
        _check_share(before, wanted.id, share)
        after = replace(before, trial=wanted.id, share=share)
        scope.agents.save(after)
    _note(scope, before, after, action="agent.deploy", by=by, at=at)
    return after


def roll_back(scope: Scope, *, agent: str, by: str, at: datetime) -> Agent:
    """
    Let new runs of `agent` start with what they started with before the last deployment; return the agent.

    While a version is tried by a share of them, that is what is taken back. Raises `Conflict` (`nothing_before`)
    where nothing else was ever deployed before.
    """
    before = scope.agents.taken(agent)
    after = replace(before, trial=None, share=0) if before.trial else _earlier(scope, before)
    scope.agents.save(after)
    _note(scope, before, after, action="agent.rollback", by=by, at=at)
    return after


def deployed(scope: Scope, agent: Agent, version: str, *, at: datetime) -> Agent:
    """Let all new runs of `agent` start with `version` and return it; what they start with already is no deployment."""
    after = agent.fixed(version)
    if version != agent.version:
        number = scope.deployments.next_number(agent.id)
        scope.deployments.add(
            Deployment(agent=agent.id, number=number, version=version, before=agent.deployment, created_at=at)
        )
        after = replace(after, deployment=number)
    scope.agents.save(after)
    return after


def _earlier(scope: Scope, agent: Agent) -> Agent:
    counts = scope.deployments.find(agent.id, agent.deployment)
    before = None if counts is None or counts.before is None else scope.deployments.find(agent.id, counts.before)
    if before is None:
        raise Conflict(
            f"Nothing was deployed before what {agent.name} runs with now.",
            code="nothing_before",
            remedy=f"See what there is with freehold agent versions {agent.name}, and name one to freehold agent deploy.",
        )
    return replace(agent, version=before.version, deployment=before.number)


def _check_share(agent: Agent, version: str, share: int) -> None:
    if not 1 <= share <= UNTIL:
        raise Invalid(
            f"A share is 1 to {UNTIL} per cent.",
            code="bad_share",
            remedy="Leave the share out to let all new runs start with that version.",
        )
    if version == agent.version:
        raise Conflict(
            f"All new runs of {agent.name} start with that version, but for those that try another.",
            code="deployed_already",
            remedy="Name another version, or leave the share out to end what is tried.",
        )


def _note(scope: Scope, before: Agent, after: Agent, *, action: str, by: str, at: datetime) -> None:
    tried = {} if after.trial is None else {"trial": after.trial, "share": after.share}
    note(
        scope.connection,
        at=at,
        tenant=scope.tenant,
        actor=by,
        action=action,
        subject=after.id,
        detail={"name": after.name, "version": after.version} | tried,
        before=_hash(before),
        after=_hash(after),
    )


def _hash(agent: Agent) -> str:
    """Return a version's id, which is a hash of all that it is, or of two and their share one more."""
    if agent.trial is None:
        return agent.version
    return digest({"version": agent.version, "trial": agent.trial, "share": agent.share})
