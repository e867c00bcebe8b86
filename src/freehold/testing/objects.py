"""Objects in memory, for tests that need none on disk."""

from typing import final

from typing_extensions import override

from freehold.store.objects import Object, ObjectsDriver, no_object
from freehold.testing.clock import START


@final
class MemoryObjects(ObjectsDriver):
    """Keeps objects as long as it lives."""

    name = "memory"

    def __init__(self) -> None:
        """Begin with nothing."""
        self._kept: dict[str, bytes] = {}

    @override
    async def put(self, name: str, data: bytes) -> None:
        self._kept[name] = data

    @override
    async def get(self, name: str) -> bytes:
        if name not in self._kept:
            raise no_object(name)
        return self._kept[name]

    @override
    async def list(self, prefix: str) -> list[Object]:
        names = sorted(name for name in self._kept if name.startswith(f"{prefix}/"))
        return [Object(name, len(self._kept[name]), START) for name in names]

    @override
    async def delete(self, name: str) -> None:
        self._kept.pop(name, None)
