"""Messages: something said to an agent, and its answer."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from freehold.core.messages import Message
from freehold.core.parts import Origin
from freehold.failpoints import reach
from freehold.ingress.accepting import Arrival
from freehold.store.scope import Scope, Tenancy
from freehold.store.threads import in_thread
from freehold.web.access import Here, IdempotencyKey, InTenant
from freehold.web.agents import AgentName
from freehold.web.arriving import WEB, Traceparent, arrived, told
from freehold.web.lists import Cursor, Limit, page
from freehold.web.views import Asked, ErrorView, Listed
from freehold.web.waiting import Prefer, seconds, until_rest

router = APIRouter(prefix="/tenants/{tenant}", tags=["messages"])
ANSWERED = 200
ACCEPTED = 202

MessageId = Annotated[str, Path(description="Id of the message.", max_length=80)]


class NewMessage(Asked):
    """Something to say."""

    text: str
    attachments: list[dict[str, Any]] = Field(default=[], max_length=100)
    """Files that come with it: `{name, content, type?}`, the content in base64."""
    conversation: str | None = None
    """The conversation it goes on with; none begins a new one."""
    sender: str = Field(default="", max_length=200)


class Attached(BaseModel):
    """A file that came with a message."""

    name: str
    type: str
    size: int
    """In bytes."""


class MessageState(BaseModel):
    """A message."""

    id: str
    state: str
    """received, queued, running, waiting, answered or failed."""
    conversation: str
    agent: str
    text: str
    sender: str
    created_at: str
    attachments: list[Attached] | None = None


class MessageRun(BaseModel):
    """The run that answers a message."""

    id: str
    state: str
    version: str
    waits_for: str | None = None


class Reply(BaseModel):
    """What the agent answered."""

    text: str


class MessageView(BaseModel):
    """A message with its run and, once there is one, its reply or error."""

    message: MessageState
    run: MessageRun
    reply: Reply | None = None
    error: ErrorView | None = None


@router.post(
    "/agents/{agent}/messages",
    status_code=ACCEPTED,
    response_model=MessageView,
    responses={ANSWERED: {"model": MessageView, "description": "It is answered already."}},
)
async def send_message(
    at: InTenant,
    agent: AgentName,
    body: NewMessage,
    key: IdempotencyKey = "",
    prefer: Prefer = "",
    traceparent: Traceparent = "",
) -> JSONResponse:
    """Say something to the agent; it is kept from the moment this answers, and answered once."""
    arrival = Arrival(
        agent=agent,
        text=body.text,
        by=at.caller.actor,
        origin=Origin.MEMBER,
        sender=body.sender,
        conversation=body.conversation,
        attended=True,
        trace=traceparent,
        place="messages",
        key=key,
    )
    accepted = await arrived(at.state, at.tenancy, arrival, body.attachments)
    return await _answer(at, accepted.message, prefer)


@router.get("/messages/{message}", response_model=MessageView)
async def show_message(at: InTenant, message: MessageId, prefer: Prefer = "") -> JSONResponse:
    """Return a message and, once there is one, its answer."""
    found = await in_thread(_find, at.tenancy, message)
    await until_rest(at.tail, at.tenancy, found.run, seconds(prefer))
    return JSONResponse(await in_thread(_told, at.tenancy, found))


@router.get(
    "/agents/{agent}/messages",
    response_model=Listed[MessageView],
    response_model_exclude_none=True,
)
def list_messages(at: InTenant, agent: AgentName, limit: Limit = 100, cursor: Cursor = "") -> Listed[Any]:
    """Return what was said to the agent, newest first."""
    with at.tenancy.read() as scope:
        found = scope.talk.messages_to(scope.agents.find(agent).id, before=cursor, limit=limit + 1)
        return page(found, limit, show=lambda message: _view(scope, message), key=lambda message: message.id)


@router.get(
    "/conversations/{conversation}/messages",
    response_model=Listed[MessageView],
    response_model_exclude_none=True,
)
def list_conversation(
    at: InTenant,
    conversation: Annotated[str, Path(description="Id of the conversation.", max_length=80)],
    limit: Limit = 100,
    cursor: Cursor = "",
) -> Listed[Any]:
    """Return a conversation, in order."""
    with at.tenancy.read() as scope:
        known = scope.talk.conversation(conversation)
        found = scope.talk.messages(known.id, after=cursor, limit=limit + 1)
        return page(found, limit, show=lambda message: _view(scope, message), key=lambda message: message.id)


async def _answer(at: Here, message: Message, prefer: str) -> JSONResponse:
    wait = seconds(prefer)
    await until_rest(at.tail, at.tenancy, message.run, wait)
    shown = await in_thread(_told, at.tenancy, message)
    finished = "reply" in shown or "error" in shown
    headers = {"Preference-Applied": f"wait={wait:.0f}"} if wait else {}
    headers["Location"] = f"/api/v1/tenants/{at.tenant.slug}/messages/{message.id}"
    reach(WEB, "acknowledged")
    return JSONResponse(shown, status_code=ANSWERED if finished else ACCEPTED, headers=headers)


def _find(tenancy: Tenancy, message: str) -> Message:
    with tenancy.read() as scope:
        return scope.talk.message(message)


def _told(tenancy: Tenancy, message: Message) -> dict[str, Any]:
    with tenancy.read() as scope:
        return _view(scope, message)


def _view(scope: Scope, message: Message) -> dict[str, Any]:
    return told(scope, message, scope.runs.get(message.run))
