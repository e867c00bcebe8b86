"""Files the pages need, each under a name that holds its hash: kept by browsers for good, and renewed with a release."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import PurePath
from types import MappingProxyType
from typing import Annotated, Final

from fastapi import APIRouter, Path
from starlette.responses import Response

from freehold.core.errors import NotFound

router = APIRouter(include_in_schema=False)
PREFIX: Final = "/static"
FOREVER: Final = "public, max-age=31536000, immutable"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is served."""

    address: str
    body: bytes
    media_type: str


@cache
def assets() -> Mapping[str, Asset]:
    """Return every file by its plain name, such as `style.css`."""
    folder = files(__package__).joinpath("static")
    return MappingProxyType({found.name: _asset(found.name, found.read_bytes()) for found in folder.iterdir()})


@router.get(PREFIX + "/{name}")
async def asset(name: Annotated[str, Path(max_length=80)]) -> Response:  # async: it is in memory
    """Return the file with this name and hash."""
    address = f"{PREFIX}/{name}"
    for found in assets().values():
        if found.address == address:
            return Response(found.body, media_type=found.media_type, headers={"Cache-Control": FOREVER})
    raise NotFound("There is no such file.", remedy="Reload the page that names it.")


def _asset(name: str, body: bytes) -> Asset:
    plain = PurePath(name)
    digest = hashlib.sha256(body).hexdigest()[:16]
    return Asset(f"{PREFIX}/{plain.stem}-{digest}{plain.suffix}", body, _TYPES[plain.suffix])
