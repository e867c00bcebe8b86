"""
Every error a user can meet, in seven kinds.

    FreeholdError
    ├── Invalid      422 / 413   the request cannot be right as it stands
    │   └── BadTransition  409   the state table has no such arrow
    ├── NotFound     404         missing, or another tenant's: the two look the same
    ├── Conflict     409         somebody was faster, or it is there already
    ├── Denied       401 / 403   who you are does not allow this
    ├── Exhausted    402 / 429 / 507   money, rate or room has run out
    └── Unavailable  503         a dependency is away: try again later

Anything else is a bug and is shown as one (500). The kind carries the decision: `Unavailable`
is tried again, the others are not. `code` is stable and is what programs compare; `remedy`
tells a person what to do next.
"""


class FreeholdError(Exception):
    """Something went wrong in a way that is told to whoever asked."""

    code = "bug"
    status = 500
    title = "Something broke on our side"

    def __init__(self, message: str, *, code: str = "", remedy: str = "", status: int = 0) -> None:
        """Say what happened in `message`; `code` and `status` sharpen those of the kind."""
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.code = code or type(self).code
        self.status = status or type(self).status
        self.facts: dict[str, object] = {}
        """Further members of its problem document, for programs."""


class Invalid(FreeholdError):
    """The request cannot be right as it stands; nothing was changed."""

    code = "invalid"
    status = 422
    title = "That cannot be right"


class NotFound(FreeholdError):
    """There is no such thing, or it is somebody else's: nobody can tell which."""

    code = "not_found"
    status = 404
    title = "Not found"


class Conflict(FreeholdError):
    """The thing has moved meanwhile, is there already, or stands in a state that forbids this."""

    code = "conflict"
    status = 409
    title = "In conflict with how things stand"


class BadTransition(Conflict):
    """The state table has no such arrow."""

    code = "bad_transition"

    def __init__(self, noun: str, state: str, event: str) -> None:
        """Name the noun, the state it is in and the event it does not know there."""
        article = "An" if noun[0] in "aeiou" else "A"
        super().__init__(
            f"{article} {noun} that is {state} cannot {event}.",
            remedy=f"Look at the {noun} again: it is {state}.",
        )


class Denied(FreeholdError):
    """Who you are does not allow this."""

    code = "denied"
    status = 403
    title = "Not allowed"


class Exhausted(FreeholdError):
    """Money, rate or room has run out."""

    code = "exhausted"
    status = 429
    title = "Used up"

    def __init__(self, message: str, *, after: float = 0.0, code: str = "", remedy: str = "", status: int = 0) -> None:
        """Say what has run out, and after how many seconds there is some again, where time alone brings it."""
        super().__init__(message, code=code, remedy=remedy, status=status)
        self.after = after


class Unavailable(FreeholdError):
    """A dependency is away; ask again after some seconds."""

    code = "unavailable"
    status = 503
    title = "Not available just now"

    def __init__(self, message: str, *, after: float = 5.0, code: str = "", remedy: str = "", status: int = 0) -> None:
        """Say what is away, and after how many seconds asking again makes sense."""
        super().__init__(message, code=code, remedy=remedy, status=status)
        self.after = after


KINDS: tuple[type[FreeholdError], ...] = (Invalid, NotFound, Conflict, Denied, Exhausted, Unavailable)
_SHARED = frozenset({"type", "title", "status", "detail", "code", "remedy"})
"""What every problem document says; the rest are facts of its own."""


def from_problem(status: int, problem: dict[str, object], *, after: float = 5.0) -> FreeholdError:
    """
    Return the error that an RFC 9457 problem document describes, as its own kind.

    The inverse of what the HTTP edges write; `after` is the Retry-After in seconds.
    """
    error = _of_kind(status, problem, after)
    error.facts = {name: told for name, told in problem.items() if name not in _SHARED}
    return error


def _of_kind(status: int, problem: dict[str, object], after: float) -> FreeholdError:
    message = str(problem.get("detail") or problem.get("title") or f"status {status}")
    code, remedy = str(problem.get("code") or "bug"), str(problem.get("remedy") or "")
    if status == Unavailable.status:
        return Unavailable(message, after=after, code=code, remedy=remedy)
    kinds = {404: NotFound, 409: Conflict, 401: Denied, 403: Denied, 402: Exhausted, 429: Exhausted, 507: Exhausted}
    kind = kinds.get(status, Invalid if 400 <= status < 500 else FreeholdError)  # noqa: PLR2004
    return kind(message, code=code, remedy=remedy, status=status)


def to_problem(error: FreeholdError) -> dict[str, object]:
    """Return `error` as an RFC 9457 problem document (`type`, `title`, `status`, `detail`, `code`, `remedy`)."""
    return {
        "type": f"urn:freehold:error:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.message,
        "code": error.code,
        "remedy": error.remedy,
        **error.facts,
    }
