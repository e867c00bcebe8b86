"""/approve/{approval}: what an agent asks leave for, all of it, and the two buttons."""

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from freehold.audit.canonical import canonical
from freehold.core.approvals import Approval, ApprovalState
from freehold.core.effects import BUDGET
from freehold.core.errors import BadTransition, Conflict, Denied, Invalid, NotFound
from freehold.core.extending import Extension
from freehold.core.tenants import Tenant
from freehold.store.scope import Scope, Tenancy
from freehold.store.threads import in_thread
from freehold.web.access import TheState, require_changing
from freehold.web.deciding import bound, decide_about, is_whole, may_approve
from freehold.web.pages.actors import said
from freehold.web.pages.forms import fields_of, see, sign_in_first
from freehold.web.pages.rendering import page
from freehold.web.pages.showing import pieces, shown
from freehold.web.pages.visiting import Visitor, visitor_of
from freehold.web.pages.words import Words
from freehold.web.state import State

router = APIRouter(include_in_schema=False)
READ: Final = "approvals:read"
WRITE: Final = "approvals:write"
CONFLICT: Final = 409
DECISIONS: Final = ("approve", "deny")

ApprovalId = Annotated[str, Path(max_length=80)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An approval, and what its page tells of it besides."""

    approval: Approval
    tenant: Tenant
    agent: str
    by: str
    """Who decided, as people say it; empty where nobody did, or where it was the visitor."""


@router.get("/approve/{approval}")
async def show(request: Request, state: TheState, approval: ApprovalId) -> Response:
    """Show what is asked, or what became of it."""
    visitor = await visitor_of(request, state)
    if visitor is None:
        return sign_in_first(request)
    return _page(request, visitor, await in_thread(_question, state, visitor, approval))


@router.post("/approve/{approval}")
async def decide(request: Request, state: TheState, approval: ApprovalId) -> Response:
    """Decide about the bytes whose hash was shown, and show what became of it."""
    form = await fields_of(request)
    visitor = await visitor_of(request, state)
    if visitor is None:
        return sign_in_first(request)
    question = await in_thread(_question, state, visitor, approval)
    tenancy, decision = _may_decide(state, visitor, question), form.get("decision", "")
    if decision not in DECISIONS:
        raise Invalid("Approve or deny it.", code="bad_form")
    try:
        await decide_about(
            state, tenancy, visitor.caller, approval, shown=form.get("hash", ""), approve=decision == "approve"
        )
    except BadTransition:
        notice = "decided_before"
    except Conflict as error:
        if error.code not in {"stale_hash", "altered"}:
            raise
        notice = "changed"
    else:
        return see(f"/approve/{approval}")
    question = await in_thread(_question, state, visitor, approval)
    return _page(request, visitor, question, notice=notice, status=CONFLICT)


def _may_decide(state: State, visitor: Visitor, question: Question) -> Tenancy:
    """Return the way to the tenant, if the visitor may decide there."""
    if not visitor.caller.may(WRITE, question.tenant.id):
        raise Denied(
            f"This needs the scope {WRITE}.", code="missing_scope", remedy="Ask an owner for a role that has it."
        )
    require_changing(question.tenant, visitor.caller)
    return state.store.tenant(question.tenant.id, agent=visitor.caller.agent)


def _question(state: State, visitor: Visitor, approval: str) -> Question:
    """Return the approval if it is one of a tenant whose approvals the visitor may see; missing otherwise."""
    with state.store.read() as platform:
        for tenant in platform.tenants_of_approval(approval):
            if visitor.caller.may(READ, tenant):
                found = platform.tenants.find(tenant)
                break
        else:
            raise NotFound("There is no such approval.", remedy="`freehold approval list` shows what is asked.")
    state.rates.work(visitor.caller, found.id)
    with state.store.tenant(found.id, agent=visitor.caller.agent).read() as scope:
        asked = scope.approvals.get(approval)
        agent = _name_of(scope, asked.agent)
    with state.store.read() as platform:
        by = said(platform, asked.decided_by, visitor) if asked.decided_by else ""
    return Question(approval=asked, tenant=found, agent=agent, by=by)


def _name_of(scope: Scope, agent: str) -> str:
    try:
        return scope.agents.find(agent).name
    except NotFound:
        return agent


def _page(request: Request, visitor: Visitor, question: Question, *, notice: str = "", status: int = 200) -> Response:
    approval, words = question.approval, visitor.words
    arguments, whole = shown(approval.arguments), is_whole(approval)
    more = _more(approval) if whole else None
    reason = "" if approval.again else approval.reason
    named = [pieces(approval.operation), pieces(approval.connection), pieces(reason)]
    if not whole and approval.state is ApprovalState.ASKED:
        notice, status = "altered", CONFLICT
    return page(
        request,
        "approve.html",
        words,
        status=status,
        approval=approval,
        agent=question.agent,
        tenant=question.tenant.name or question.tenant.slug,
        operation=named[0],
        connection=named[1],
        reason=named[2],
        arguments=arguments,
        exact=pieces(canonical(bound(approval)).decode()),
        odd=any(argument.odd for argument in arguments) or any(piece.odd for name in named for piece in name),
        outcome=_outcome(words, question, more),
        decides=approval.state is ApprovalState.ASKED and whole and visitor.caller.may(WRITE, question.tenant.id),
        approves=may_approve(visitor.caller, question.tenant.id, approval),
        more=more,
        does=_does(words, approval),
        notice=notice,
    )


def _more(approval: Approval) -> Extension | None:
    """Return the money that is asked for, if that is what it is about."""
    if approval.connection != BUDGET:
        return None
    try:
        return Extension.of(approval.arguments)
    except Invalid:
        return None


def _does(words: Words, approval: Approval) -> str:
    """Return in words what the effect does to the world; empty where nobody knows."""
    name = f"effect.{approval.kind}"
    return words(name) if words.has(name) else ""


def _outcome(words: Words, question: Question, more: Extension | None) -> str:
    """Return what became of it and by whose word; empty while nobody has decided."""
    approval = question.approval
    told = {"by": question.by, "moment": words.moment(approval.decided_at or approval.expires_at)}
    told |= {"usd": str(more.usd)} if more else {}
    about = "approve.more_" if more else "approve.again_" if approval.again else "approve."
    whose = "by" if question.by else "by_you"
    match approval.state:
        case ApprovalState.ASKED:
            return ""
        case ApprovalState.APPROVED:
            return words(f"{about}approved_{whose}", **told)
        case ApprovalState.DENIED:
            return words(f"{about}denied_{whose}", **told)
        case ApprovalState.EXPIRED:
            return words(f"{about}expired_on", moment=words.moment(approval.expires_at))
