"""
Every error as RFC 9457 problem JSON, in one place; on `/v1` in the shape that OpenAI's clients know.

A bug is told as a bug: its inner text stays in the log.
"""

import logging
import math
import re
from functools import cache
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from freehold.core.access import ROUTES
from freehold.core.errors import Exhausted, FreeholdError, Invalid, NotFound, Unavailable, to_problem

log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
OPENAI: Final = "/v1/"
UNAUTHENTICATED: Final = 401
METHOD: Final = 405
_NO_ROUTE: Final = "There is no such address."
_NO_METHOD: Final = "This address does not take that method."
_JSON: Final = "The body is not JSON."


class Problem(BaseModel):
    """What went wrong, as RFC 9457 has it, with a stable code and what to do next."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    remedy: str


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return how errors look, for the API's own description."""
    shape = {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    return {status: {"description": "What went wrong, with a code and a remedy."} | shape for status in statuses}


def openai_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return how errors look on the addresses that speak as OpenAI does."""
    shape = {"content": {"application/json": {"schema": {"type": "object", "required": ["error"]}}}}
    return {status: {"description": "What went wrong, as OpenAI's clients know it."} | shape for status in statuses}


def answer(error: FreeholdError, *, path: str) -> Response:
    """Return `error` as whoever asked at `path` understands it."""
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, Unavailable) or (isinstance(error, Exhausted) and error.after):
        headers["Retry-After"] = str(max(1, math.ceil(error.after)))
    if error.status == UNAUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    if path.startswith(OPENAI):
        return JSONResponse(as_openai(error), status_code=error.status, headers=headers)
    return JSONResponse(to_problem(error), status_code=error.status, headers=headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Let every error of `app` end here."""
    app.add_exception_handler(FreeholdError, _told)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, broken)


def as_openai(error: FreeholdError) -> dict[str, Any]:
    """Return `error` as OpenAI's clients know errors."""
    kinds = {
        401: "authentication_error",
        402: "insufficient_quota",
        403: "permission_error",
        404: "not_found_error",
        429: "rate_limit_error",
    }
    kind = kinds.get(error.status, "server_error" if error.status >= 500 else "invalid_request_error")  # noqa: PLR2004
    message = f"{error.message} {error.remedy}".strip()
    return {"error": {"message": message, "type": kind, "param": None, "code": error.code}}


async def _told(request: Request, error: Exception) -> Response:
    told = error if isinstance(error, FreeholdError) else _broke()
    return answer(told, path=request.url.path)


async def _invalid(request: Request, error: Exception) -> Response:
    faults = list(error.errors()) if isinstance(error, RequestValidationError) else []
    raw = any(fault["loc"] == ("body",) and isinstance(fault.get("input"), bytes) for fault in faults)
    if raw or any(fault["type"] == "json_invalid" for fault in faults):
        return answer(_not_json(), path=request.url.path)
    named = "; ".join(f"{_place(fault['loc'])}: {fault['msg']}" for fault in faults[:5])
    told = Invalid(f"{named}.", remedy="See /api/openapi.json for what this address takes.")
    return answer(told, path=request.url.path)


async def _http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        return await broken(request, error)
    if isinstance(error.__cause__, FreeholdError):  # raised while the body was being read
        return answer(error.__cause__, path=request.url.path)
    told = _of_status(error.status_code)
    response = answer(told, path=request.url.path)
    if error.status_code == METHOD:
        response.headers["Allow"] = ", ".join(_methods(request))
    return response


def _methods(request: Request) -> list[str]:
    """Return the methods that the address takes; the framework knows only those of the first route it tried."""
    return sorted({method for method, route in ROUTES if _form(route).fullmatch(request.url.path)})


@cache
def _form(route: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(route)))


async def broken(request: Request, error: Exception) -> Response:
    """Return the answer to what broke on our side; what broke is only logged."""
    log.error("%s %r broke.", request.method, request.url.path, exc_info=error)  # a path may hold line breaks
    return answer(_broke(), path=request.url.path)


def _of_status(status: int) -> FreeholdError:
    """Return our own words for what the framework found out by itself."""
    see = "See /api/openapi.json for the addresses there are and what they take."
    match status:
        case 404:
            return NotFound(_NO_ROUTE, remedy=see)
        case 405:  # METHOD
            return Invalid(_NO_METHOD, code="method_not_allowed", status=status, remedy=see)
        case 400:
            return _not_json()
        case _:
            return _broke()


def _broke() -> FreeholdError:
    return FreeholdError("This broke on our side.", remedy="Try again; if it stays, look at web's log and report it.")


def _not_json() -> Invalid:
    return Invalid(_JSON, code="invalid_json", remedy="Send a JSON object, in UTF-8, as application/json.")


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(step) for step in location[1:]) or str(location[0])
