"""A run told in order: what it saw, decided and did, from its journal and the record of both stores."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel

from freehold.audit.reading import Wanted
from freehold.core.errors import Denied
from freehold.runs.telling import COUNTS, Journal, Line, told
from freehold.store.threads import in_thread
from freehold.web.access import Here, InTenant
from freehold.web.lists import Limit
from freehold.web.record import STORES, page
from freehold.web.runs import RunId
from freehold.web.views import Moment

router = APIRouter(prefix="/tenants/{tenant}/runs", tags=["runs"])

BATCH: Final = 500
READING: Final = "runs:read"
"""What whoever is shown the words of a run holds besides."""


class LineView(BaseModel):
    """One thing that happened."""

    n: int
    at: Moment
    kind: str
    """saw, event, step, asked, decided, did (as the gateway's record has it) or act (as the database's has it)."""
    what: str
    by: str
    key: str
    hash: str
    origins: list[str]
    took_ms: int | None
    usage: dict[str, int]
    detail: dict[str, Any]
    store: str
    seq: int | None
    """Its number in the chain of that store's record."""
    text: Any = None
    """What was said, shown or asked for; only where it was asked for."""

    @classmethod
    def of(cls, n: int, line: Line, *, texts: bool) -> "LineView":
        """Show `line`, with its words only if `texts` are wanted."""
        shown = {name: getattr(line, name) for name in cls.model_fields if name not in {"n", "text"}}
        return cls(n=n, text=line.text if texts else None, **shown | {"origins": list(line.origins)})


class RunAuditView(BaseModel):
    """A run, told in order."""

    run: str
    agent: str
    version: str
    state: str
    total: dict[str, int]
    """What all of it used and cost, as far as the gateway has it: `cost_nano`, `charge_nano`, tokens and bytes."""
    items: list[LineView]
    next: str | None = None
    """The cursor of the next page; none when this was the last."""


@router.get("/{run}/audit")
async def audit_run(
    at: InTenant,
    run: RunId,
    texts: Annotated[bool, Query(description="What was said, too; needs runs:read.")] = False,  # noqa: FBT002
    limit: Limit = BATCH,
    cursor: Annotated[int, Query(ge=0, le=2**31, description="The `next` of the page before.")] = 0,
) -> RunAuditView:
    """Return in order what the run saw, decided and did: names and hashes, and words only where they are asked for."""
    if texts and not at.caller.may(READING, at.tenant.id):
        raise Denied(
            f"To see what was said, the scope {READING} is needed.",
            code="missing_scope",
            remedy="Ask without texts, or ask somebody who may read runs.",
        )
    journal = await in_thread(_journal, at, run)
    used = await at.state.gateway.usage(at.tenant.id, run=journal.run.id)
    lines = told(journal, await _record(at, journal.run.id), used["rows"])
    shown = [LineView.of(n, line, texts=texts) for n, line in enumerate(lines, start=1)]
    items = shown[cursor : cursor + limit]
    return RunAuditView(
        run=journal.run.id,
        agent=journal.run.agent,
        version=journal.run.version,
        state=journal.run.state,
        total={name: int(used["total"].get(name, 0)) for name in COUNTS},
        items=items,
        next=str(cursor + limit) if len(shown) > cursor + limit else None,
    )


def _journal(at: Here, run: str) -> Journal:
    with at.tenancy.read() as scope:
        found = scope.runs.get(run)
        events: list[dict[str, Any]] = []
        while more := scope.events.of(run, after=events[-1]["seq"] if events else 0, limit=BATCH):
            events += more
        return Journal(
            run=found,
            events=events,
            steps=scope.steps.of(run),
            parts=scope.parts.kept(run, conversation=found.conversation),
            approvals=scope.approvals.of_run(run),
        )


async def _record(at: Here, run: str) -> list[dict[str, Any]]:
    """Return the rows of both stores' records that are about the run."""
    found: list[dict[str, Any]] = []
    for store in STORES:
        after, full = 0, True
        while full:
            span: dict[str, Any] = {"after": after, "limit": BATCH, "wanted": Wanted(run=run), "last": False}
            rows = await page(at.state, store, at.tenant.id, **span)
            found += rows
            full, after = len(rows) == BATCH, rows[-1]["position"] if rows else 0
    return found
