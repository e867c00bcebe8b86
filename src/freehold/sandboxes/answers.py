"""What a guest may answer, checked before anybody believes it."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Final, Literal, TypeVar, final

import msgspec
from typing_extensions import override

from freehold.core.errors import Denied, Exhausted, FreeholdError, Invalid, NotFound
from freehold.guest import frames
from freehold.sandboxes.line import Broken, Channel

MAX_TEXT: Final = 500
REASONS: Final = frozenset(
    {
        "bad_question",
        "bad_step",
        "cannot_start",
        "file_error",
        "file_too_large",
        "folder_not_empty",
        "is_a_folder",
        "no_such_program",
        "nobody_listens",
        "not_a_file",
        "not_a_folder",
    }
)

T = TypeVar("T")


class Gone(msgspec.Struct):
    """How a command ended."""

    exit: Annotated[int, msgspec.Meta(ge=-255, le=255)]
    printed: Annotated[int, msgspec.Meta(ge=0)] = 0
    cut: bool = False
    timed_out: bool = False
    interrupted: bool = False
    repeated: bool = False
    ms: Annotated[int, msgspec.Meta(ge=0)] = 0


class Listing(msgspec.Struct):
    """What is in a folder."""

    entries: list[
        tuple[
            Annotated[str, msgspec.Meta(max_length=1024)],
            Literal["file", "folder", "link", "other"],
            Annotated[int, msgspec.Meta(ge=0)],
        ]
    ]
    more: bool = False


class Nothing(msgspec.Struct):
    """An answer that says only that it is done."""


class _Failure(msgspec.Struct):
    code: Annotated[str, msgspec.Meta(max_length=64)]
    message: Annotated[str, msgspec.Meta(max_length=frames.CHUNK)]


def failure(payload: bytes) -> FreeholdError:
    """Return what the guest refused as an error of the right kind; a code it may not give becomes a general one."""
    told = decoded(payload, _Failure)
    message = "".join(sign for sign in told.message[:MAX_TEXT] if sign.isprintable())
    match told.code:
        case "no_such_file":
            return NotFound(message, code=told.code)
        case "outside_workspace" | "not_allowed":
            return Denied(message, code=told.code)
        case "workspace_full":
            return full(message)
        case _:
            return Invalid(message, code=told.code if told.code in REASONS else "sandbox_refused")


def full(message: str) -> FreeholdError:
    """Return the error of a workspace without room."""
    return Exhausted(message, code="workspace_full", status=507, remedy="Delete files in the workspace.")


def decoded(payload: bytes, form: type[T]) -> T:
    """Return the payload as `form`; anything else is no answer."""
    try:
        return msgspec.json.decode(payload, type=form)
    except msgspec.DecodeError as error:
        raise Broken("an answer that is none") from error


@final
class Answer(Channel):
    """Collects the bytes of one question up to its cap, until the guest closes it."""

    def __init__(self, *, cap: int, on_output: Callable[[int, bytes], None] | None = None) -> None:
        """Accept at most `cap` bytes."""
        self._left, self._on_output = cap, on_output
        self._bytes: dict[int, list[bytes]] = {frames.DATA: [], frames.ERR: []}
        self._closed: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    @override
    def take(self, kind: int, payload: bytes) -> None:
        if kind == frames.DONE:
            self._finish(payload)
        elif kind == frames.FAILED:
            self.lose(failure(payload))
        elif kind in self._bytes and len(payload) <= self._left:
            self._left -= len(payload)
            self._bytes[kind].append(payload)
            if self._on_output is not None:
                self._on_output(kind, payload)
        else:
            raise Broken("more than was asked for")

    @override
    def lose(self, error: FreeholdError) -> None:
        if not self._closed.done():
            self._closed.set_exception(error)
            self._closed.exception()  # the one who asked may have been cancelled

    def _finish(self, payload: bytes) -> None:
        if not self._closed.done():
            self._closed.set_result(payload)

    async def closed(self) -> bytes:
        """Return the closing payload; raises what went wrong."""
        return await asyncio.shield(self._closed)

    def bytes_of(self, kind: int) -> bytes:
        """Return what came of `kind`."""
        return b"".join(self._bytes[kind])
