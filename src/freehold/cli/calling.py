"""How a command asks the platform: one HTTP request, and errors as the kinds they are."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote

from freehold.cli.place import Place, place, surroundings
from freehold.core.errors import FreeholdError, Unavailable, from_problem

SECONDS: Final = 30.0
"""How long an ordinary answer may take; a request that waits for a run gets its waiting time on top."""


class Api:
    """The platform's API. The HTTP library is imported with the first request."""

    def __init__(self, where: Place) -> None:
        """Ask the platform at `where`."""
        import httpx  # noqa: PLC0415 - 100 ms that `--help` need not pay

        self._httpx = httpx
        self._where = where
        self._client = httpx.Client(
            base_url=where.url, headers={"Authorization": f"Bearer {where.key}"}, timeout=SECONDS, trust_env=False
        )

    def get(self, path: str, **query: Any) -> Any:
        """Return what stands at `path`."""
        return self._ask("GET", path, params={name: value for name, value in query.items() if value is not None})

    def post(self, path: str, body: Any = None, *, wait: float = 0) -> Any:
        """Send `body` to `path` and return the answer, waiting `wait` seconds for the end of what it starts."""
        headers = {"Prefer": f"wait={wait:g}"} if wait else {}
        return self._ask("POST", path, json=body or {}, headers=headers, timeout=SECONDS + wait)

    def delete(self, path: str) -> None:
        """Delete what stands at `path`."""
        self._ask("DELETE", path)

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
        with self._open(path, query, {}) as response:
            yield from response.iter_lines()

    def events(self, path: str) -> Iterator[tuple[str, Any]]:
        """Follow a stream of server-sent events: its name and its data, one after the other."""
        with self._open(path, {}, {"Accept": "text/event-stream"}) as response:
            name, data = "message", list[str]()
            for line in response.iter_lines():
                if not line and data:
                    yield name, json.loads("\n".join(data))
                if not line:
                    name, data = "message", list[str]()
                field, _, value = line.partition(":")
                if field == "event":
                    name = value.strip()
                elif field == "data":
                    data.append(value.strip())

    @contextmanager
    def _open(self, path: str, query: dict[str, Any], headers: dict[str, str]) -> Iterator[Any]:
        asked = self._client.stream("GET", f"/api/v1/{path}", params=query, headers=headers, timeout=None)
        try:
            with asked as response:
                if response.is_error:
                    raise _told(response.status_code, response.read(), response.headers.get("Retry-After"))
                yield response
        except self._httpx.HTTPError as error:
            raise self._away(error) from error

    def _ask(self, method: str, path: str, **rest: Any) -> Any:
        try:
            response = self._client.request(method, f"/api/v1/{path}", **rest)
        except self._httpx.HTTPError as error:
            raise self._away(error) from error
        if response.is_error:
            raise _told(response.status_code, response.content, response.headers.get("Retry-After"))
        return response.json() if response.content else None

    def _away(self, error: Exception) -> Unavailable:
        if isinstance(error, self._httpx.TimeoutException) and not isinstance(error, self._httpx.ConnectTimeout):
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
