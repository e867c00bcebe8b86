"""
Objects: the files of tenants, in a folder or a bucket, under names that cannot lead out of it.

A driver knows names and bytes only. `TenantFiles` is a tenant's part of it and has no way to name
another's; a tenant's folder is there once the first file is.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, final

from freehold.core.errors import Invalid, NotFound

_NAME: Final = re.compile(r"(?!\.{1,2}(/|$))[^/\x00-\x1f\\]{1,200}(/(?!\.{1,2}(/|$))[^/\x00-\x1f\\]{1,200}){0,9}")


@dataclass(frozen=True, slots=True)
class Object:
    """One stored file."""

    name: str
    size: int
    """In bytes."""
    changed_at: datetime


class ObjectsDriver(Protocol):
    """
    Keeps bytes under names, parts of a name divided by `/`.

    What was put is there for the next get, also after a crash. The suite in
    `freehold.testing.contract.objects` is the other half of this definition.
    """

    name: str

    async def put(self, name: str, data: bytes) -> None:
        """Keep `data` under `name`, whole or not at all; what was there is replaced."""
        ...

    async def get(self, name: str) -> bytes:
        """Return what is kept under `name`; raise `NotFound` where nothing is."""
        ...

    async def list(self, prefix: str) -> list[Object]:
        """Return what is kept under names that begin with the parts of `prefix`, by name."""
        ...

    async def delete(self, name: str) -> None:
        """Forget what is kept under `name`; where nothing is, nothing happens."""
        ...


@final
class TenantFiles:
    """The files of one tenant."""

    def __init__(self, driver: ObjectsDriver, tenant: str) -> None:
        """Belong to `tenant`, whose id came from the platform."""
        self._driver = driver
        self._folder = f"tenants/{_checked(tenant)}/files"

    async def put(self, name: str, data: bytes) -> None:
        """Keep `data` under `name`; raise `Invalid` (`bad_name`) where that is no name."""
        await self._driver.put(f"{self._folder}/{_checked(name)}", data)

    async def get(self, name: str) -> bytes:
        """Return what is kept under `name`; raise `NotFound` where nothing is."""
        return await self._driver.get(f"{self._folder}/{_checked(name)}")

    async def list(self, prefix: str = "") -> list[Object]:
        """Return the tenant's files, those under `prefix` if it is given."""
        folder = f"{self._folder}/{_checked(prefix)}" if prefix else self._folder
        found = await self._driver.list(folder)
        return [Object(one.name.removeprefix(f"{self._folder}/"), one.size, one.changed_at) for one in found]

    async def delete(self, name: str) -> None:
        """Forget the file; where there is none, nothing happens."""
        await self._driver.delete(f"{self._folder}/{_checked(name)}")


def no_object(name: str) -> NotFound:
    """Return the error for a name nothing is kept under, the same from every driver."""
    return NotFound(f"There is no file {name.rpartition('/')[2]!r}.")


def _checked(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise Invalid(
            f"{name[:100]!r} is no file name.",
            code="bad_name",
            remedy="Use letters, digits and single slashes, at most 200 characters a part.",
        )
    return name
