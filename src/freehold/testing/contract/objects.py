"""What every objects driver must do."""

from abc import ABC, abstractmethod

import pytest

from freehold.core.errors import Invalid, NotFound
from freehold.store.objects import ObjectsDriver, TenantFiles


class ObjectsContract(ABC):
    """Subclass this, return a driver with nothing in it, and let pytest collect the class."""

    @abstractmethod
    def driver(self) -> ObjectsDriver:
        """Return a driver that keeps nothing yet."""

    @pytest.fixture
    def objects(self) -> ObjectsDriver:
        return self.driver()

    async def test_what_was_put_can_be_got(self, objects: ObjectsDriver) -> None:
        await objects.put("a/b.bin", b"\0one")
        assert await objects.get("a/b.bin") == b"\0one"

    async def test_a_second_put_replaces_the_first(self, objects: ObjectsDriver) -> None:
        await objects.put("a", b"first, and longer")
        await objects.put("a", b"second")
        assert await objects.get("a") == b"second"

    async def test_what_is_not_there_is_said_to_be_not_found(self, objects: ObjectsDriver) -> None:
        with pytest.raises(NotFound):
            await objects.get("a/nothing")

    async def test_delete_forgets_and_may_be_said_twice(self, objects: ObjectsDriver) -> None:
        await objects.put("a", b"x")
        await objects.delete("a")
        await objects.delete("a")
        with pytest.raises(NotFound):
            await objects.get("a")

    async def test_a_list_has_names_and_sizes_in_order(self, objects: ObjectsDriver) -> None:
        for name in ("f/b", "f/a/c", "fz/d"):
            await objects.put(name, name.encode())
        assert [(one.name, one.size) for one in await objects.list("f")] == [("f/a/c", 5), ("f/b", 3)]

    async def test_a_tenant_sees_only_its_own(self, objects: ObjectsDriver) -> None:
        mine, other = TenantFiles(objects, "ten_1"), TenantFiles(objects, "ten_2")
        await mine.put("notes/plan.txt", b"mine")
        assert [one.name for one in await mine.list()] == ["notes/plan.txt"]
        assert await other.list() == []
        with pytest.raises(NotFound):
            await other.get("notes/plan.txt")

    @pytest.mark.parametrize("name", ["../ten_2/files/x", "/etc/passwd", "a//b", "a/../b", ".", "", "a\0b", "a/"])
    async def test_a_name_that_leads_elsewhere_is_refused(self, objects: ObjectsDriver, name: str) -> None:
        with pytest.raises(Invalid):
            await TenantFiles(objects, "ten_1").put(name, b"x")
