"""Objects in a folder of this machine."""

from pathlib import Path
from typing import final

import obstore
from obstore.exceptions import NotFoundError
from obstore.store import LocalStore
from typing_extensions import override

from freehold.store.objects import Object, ObjectsDriver, no_object
from freehold.store.reserve import no_room


@final
class FolderObjects(ObjectsDriver):
    """Keeps each object as a file below one folder."""

    name = "folder"

    def __init__(self, folder: Path) -> None:
        """Keep objects below `folder`, which is made if it is not there."""
        folder.mkdir(parents=True, exist_ok=True)
        self._store = LocalStore(str(folder))

    @override
    async def put(self, name: str, data: bytes) -> None:
        try:
            await obstore.put_async(self._store, name, data)
        except OSError as error:
            raise no_room("There is no room left to keep the file.") from error

    @override
    async def get(self, name: str) -> bytes:
        try:
            found = await obstore.get_async(self._store, name)
        except (FileNotFoundError, NotFoundError) as error:
            raise no_object(name) from error
        return bytes(await found.bytes_async())

    @override
    async def list(self, prefix: str) -> list[Object]:
        stream = obstore.list(self._store, prefix)
        found = [Object(one["path"], one["size"], one["last_modified"]) async for chunk in stream for one in chunk]
        return sorted(found, key=lambda one: one.name)

    @override
    async def delete(self, name: str) -> None:
        try:
            await obstore.delete_async(self._store, name)
        except (FileNotFoundError, NotFoundError):
            return  # it is not there: the wish has come true
