"""The part of OpenAI's chat completions that an agent understands, as values."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from freehold.core.errors import Invalid
from freehold.web.views import written


class Said(BaseModel):
    """One message of a request; what agents have no use for is ignored, as OpenAI's clients send much."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[dict[str, Any]] | None = None

    def text(self) -> str:
        """Return the words of the message."""
        if isinstance(self.content, list):
            pieces = [piece.get("text") for piece in self.content if piece.get("type") in {"text", "input_text"}]
            return "\n".join(piece for piece in pieces if isinstance(piece, str))
        return self.content or ""


class Options(BaseModel):
    """What a stream shall bring besides its text."""

    model_config = ConfigDict(extra="ignore")

    include_usage: bool = False


class Request(BaseModel):
    """A chat completion to make."""

    model_config = ConfigDict(extra="ignore")

    _written = model_validator(mode="before")(written)

    model: str
    """`TENANT/AGENT`."""
    messages: list[Said] = Field(min_length=1, max_length=2000)
    stream: bool = False
    stream_options: Options | None = None
    user: str = Field(default="", max_length=200)
    metadata: dict[str, Any] = {}
    """`conversation`: the id of the conversation to go on with."""

    def conversation(self) -> str | None:
        """Return the conversation that the request names."""
        named = self.metadata.get("conversation")
        return named if isinstance(named, str) and named else None

    def text(self) -> str:
        """
        Return what the agent is told.

        In a conversation that the platform keeps, that is the last user message. A request that brings its own
        history is told as a transcript before that message. The agent's instructions are its version's: system
        messages of a client do not replace them, and are left out.
        """
        turns = [said for said in self.messages if said.role in {"user", "assistant"} and said.text().strip()]
        if not turns or turns[-1].role != "user":
            raise Invalid(
                "The last message is not the user's.", code="no_user_message", remedy="End with a user message."
            )
        last = turns[-1].text()
        if len(turns) == 1 or self.conversation() is not None:
            return last
        earlier = "\n".join(f"{said.role}: {said.text()}" for said in turns[:-1])
        return f"Earlier in this conversation:\n{earlier}\n\n{last}"


def completion(made: str, created: int, model: str, text: str, usage: dict[str, int], **extra: Any) -> dict[str, Any]:
    """Return a whole completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", "logprobs": None}
    head = {"id": made, "object": "chat.completion", "created": created, "model": model}
    return head | {"choices": [choice], "usage": usage} | extra


def chunk(made: str, created: int, model: str, delta: dict[str, str], *, finish: str | None = None) -> dict[str, Any]:
    """Return one piece of a streamed completion."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
    return {"id": made, "object": "chat.completion.chunk", "created": created, "model": model, "choices": [choice]}


def usage_of(total: dict[str, int]) -> dict[str, int]:
    """Return sums of the platform's as OpenAI's clients read them."""
    came, went = total.get("tokens_in", 0), total.get("tokens_out", 0)
    return {"prompt_tokens": came, "completion_tokens": went, "total_tokens": came + went}
