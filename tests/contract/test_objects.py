"""Every objects driver passes one suite."""

from pathlib import Path

import pytest
from typing_extensions import override

from freehold.drivers.objects.folder import FolderObjects
from freehold.store.objects import ObjectsDriver
from freehold.testing.contract.objects import ObjectsContract
from freehold.testing.objects import MemoryObjects


class TestMemoryObjects(ObjectsContract):
    @override
    def driver(self) -> ObjectsDriver:
        return MemoryObjects()


class TestFolderObjects(ObjectsContract):
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path) -> None:
        self._folder = tmp_path

    @override
    def driver(self) -> ObjectsDriver:
        return FolderObjects(self._folder)
