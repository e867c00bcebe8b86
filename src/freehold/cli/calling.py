"""
How a command asks the platform: one HTTP request, and errors as the kinds they are.

The standard library's client is used, because a larger one takes longer to import than the platform to answer.
"""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from freehold.cli.place import Place, place, surroundings
from freehold.core.errors import FreeholdError, Invalid, Unavailable, from_problem

SECONDS: Final = 30.0
"""How long an ordinary answer may take; a request that waits for a run gets its waiting time on top."""
ERROR: Final = 400


class Api:
    """The platform's API."""

    def __init__(self, where: Place) -> None:
        """Ask the platform at `where`."""
        self._where = where
        self._parts = urlsplit(where.url)
        if self._parts.scheme not in {"http", "https"} or not self._parts.hostname:
            raise Invalid(
                f"{where.url!r} is no address of a platform.",
                code="bad_address",
                remedy="Set FREEHOLD_URL to http(s)://host:port.",
            )

    def get(self, path: str, **query: Any) -> Any:
        """Return what stands at `path`."""
        return self._ask("GET", _with(path, query))

    def post(self, path: str, body: Any = None, *, wait: float = 0) -> Any:
        """Send `body` to `path` and return the answer, waiting `wait` seconds for the end of what it starts."""
        headers = {"Prefer": f"wait={wait:g}"} if wait else {}
        return self._ask("POST", path, body=body or {}, headers=headers, seconds=SECONDS + wait)

    def put(self, path: str, body: Any) -> Any:
        """Let what stands at `path` be as `body` says, and return it."""
        return self._ask("PUT", path, body=body)

    def patch(self, path: str, body: Any) -> Any:
        """Change what stands at `path` as `body` says, and return it."""
        return self._ask("PATCH", path, body=body)

    def delete(self, path: str) -> Any:
        """Delete what stands at `path`, and return what is said of that; mostly nothing."""
        return self._ask("DELETE", path)

    def items(self, path: str, *, limit: int = 0, behind: str = "cursor", **query: Any) -> list[Any]:
        """Return the list at `path`, page after page, up to `limit` of them; `behind` names the place to go on."""
        found: list[Any] = []
        cursor = None
        while True:
            page = self.get(path, **query, **{behind: cursor})
            found += page["items"]
            cursor = page.get("next")
            if cursor is None or (limit and len(found) >= limit):
                return found[:limit] if limit else found

    def lines(self, path: str, **query: Any) -> Iterator[str]:
        """Give the lines of a long answer as they come."""
        with self._asked("GET", _with(path, query), seconds=None) as response:
            for line in response:
                yield line.decode().rstrip("\r\n")

    def events(self, path: str) -> Iterator[tuple[str, Any]]:
        """Follow a stream of server-sent events: its name and its data, one after the other."""
        with self._asked("GET", path, headers={"Accept": "text/event-stream"}, seconds=None) as response:
            name, data = "message", list[str]()
            for raw in response:
                line = raw.decode().rstrip("\r\n")
                if not line and data:
                    yield name, json.loads("\n".join(data))
                if not line:
                    name, data = "message", list[str]()
                field, _, value = line.partition(":")
                if field == "event":
                    name = value.strip()
                elif field == "data":
                    data.append(value.strip())

    def _ask(self, method: str, path: str, **rest: Any) -> Any:
        with self._asked(method, path, **rest) as response:
            answer = response.read()
        return json.loads(answer) if answer else None

    @contextmanager
    def _asked(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        headers: dict[str, str] | None = None,
        seconds: float | None = SECONDS,
    ) -> Iterator[http.client.HTTPResponse]:
        """Give the answer to a request; everything that goes wrong is raised as the kind it is."""
        connection = self._connection(seconds)
        sent = {"Authorization": f"Bearer {self._where.key}"} | (headers or {})
        if body is not None:
            sent["Content-Type"] = "application/json"
        try:
            target = f"{self._parts.path}/api/v1/{path}"
            connection.request(method, target, body=json.dumps(body) if body is not None else None, headers=sent)
            response = connection.getresponse()
            if response.status >= ERROR:
                raise _told(response.status, response.read(), response.headers.get("Retry-After"))
            yield response
        except (OSError, http.client.HTTPException) as error:
            raise self._away(error) from error
        finally:
            connection.close()

    def _connection(self, seconds: float | None) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        return kind(self._parts.hostname or "", self._parts.port, timeout=seconds)

    def _away(self, error: Exception) -> Unavailable:
        if isinstance(error, TimeoutError):
            return Unavailable(
                f"The platform at {self._where.url} did not answer in time.",
                code="platform_slow",
                remedy="Look at the thing again: it may have happened. `freehold doctor` finds what is wrong.",
            )
        return Unavailable(
            f"No platform answers at {self._where.url}.",
            code="platform_away",
            remedy="Start it with `freehold up`, or set FREEHOLD_URL.",
        )


def _with(path: str, query: dict[str, Any]) -> str:
    stated = {name: value for name, value in query.items() if value is not None}
    return f"{path}?{urlencode(stated)}" if stated else path


def _told(status: int, body: bytes, after: str | None) -> FreeholdError:
    try:
        problem = json.loads(body)
    except ValueError:
        problem = {"detail": f"The platform answered {status} and nothing that can be read.", "code": "bug"}
    return from_problem(status, problem, after=float(after or 5))


def api() -> Api:
    """Return the API of the platform this command is about."""
    return Api(place(surroundings()))


def of_tenant(tenant: str, *rest: str) -> str:
    """Return the path of something of a tenant; its parts may hold any character."""
    return "/".join(["tenants", quote(tenant, safe=""), *(quote(part, safe="") for part in rest)])
