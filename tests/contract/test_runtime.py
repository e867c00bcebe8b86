"""Every runtime driver passes one suite; bubblewrap also without cgroups, and asked for through the spawner."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from typing_extensions import override

from freehold.core.errors import Denied
from freehold.drivers.runtime.bwrap.asking import AskedMaking
from freehold.drivers.runtime.bwrap.driver import BwrapRuntime, OwnMaking
from freehold.drivers.runtime.bwrap.making import Maker
from freehold.drivers.runtime.bwrap.place import Place
from freehold.drivers.runtime.bwrap.spawner import Spawner
from freehold.drivers.runtime.process import ProcessRuntime
from freehold.sandboxes.runtime import RuntimeDriver
from freehold.testing.contract.runtime import RuntimeContract, spec

UID_BASE = 300_000 if os.geteuid() == 0 else None


class TestProcessRuntime(RuntimeContract):
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path) -> None:
        self._data = tmp_path

    @override
    def driver(self) -> RuntimeDriver:
        return ProcessRuntime(self._data)

    async def test_a_second_tenant_is_refused(self, runtime: RuntimeDriver) -> None:
        await runtime.wake(spec())
        with pytest.raises(Denied) as refused:
            await runtime.wake(spec("sbx_2", tenant="ten_2", uid=2))
        assert refused.value.code == "one_tenant_only"


class _OpenFolder:
    """A data folder that the users of sandboxes can pass; pytest's own are closed to everybody else."""

    @pytest.fixture(autouse=True)
    def folder(self) -> Iterator[None]:
        self._data = Path(tempfile.mkdtemp(prefix="freehold-"))
        self._data.chmod(0o711)
        yield
        shutil.rmtree(self._data)


@pytest.mark.bwrap
class TestBwrapRuntime(_OpenFolder, RuntimeContract):
    @override
    def driver(self) -> RuntimeDriver:
        return BwrapRuntime(OwnMaking(Maker(Place(self._data, uid_base=UID_BASE))))


@pytest.mark.bwrap
class TestBwrapRuntimeBehindTheSpawner(_OpenFolder, RuntimeContract):
    @pytest.fixture(autouse=True)
    def spawner(self, folder: None) -> Iterator[None]:
        path = self._data / "spawner.sock"
        maker = Maker(Place(self._data, uid_base=UID_BASE))
        spawner = Spawner(maker, path, user=os.geteuid(), group=os.getegid())
        spawner.start()
        yield
        spawner.stop()

    @override
    def driver(self) -> RuntimeDriver:
        return BwrapRuntime(AskedMaking(self._data / "spawner.sock"))
