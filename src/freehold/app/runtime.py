"""Which runtime makes the sandboxes, by the settings."""

import os

from freehold.drivers.runtime.bwrap.asking import AskedMaking
from freehold.drivers.runtime.bwrap.driver import BwrapRuntime, OwnMaking
from freehold.drivers.runtime.bwrap.making import Maker
from freehold.drivers.runtime.bwrap.place import Place
from freehold.drivers.runtime.process import ProcessRuntime
from freehold.sandboxes.breaking import BreakingRuntime
from freehold.sandboxes.runtime import Limits, RuntimeDriver
from freehold.settings import Settings


def open_runtime(settings: Settings) -> RuntimeDriver:
    """Return the runtime; in test mode, one whose sandboxes die at a failpoint that says so."""
    driver = _driver(settings)
    return BreakingRuntime(driver) if settings.failpoint.startswith("sandbox:") else driver


def most(settings: Settings) -> Limits:
    """Return what a sandbox may use at most, whatever its tenant's tier allows."""
    return Limits(memory_mb=settings.sandbox_memory_mb, pids=settings.sandbox_pids, disk_mb=settings.sandbox_disk_mb)


def _driver(settings: Settings) -> RuntimeDriver:
    """Return the driver; where the worker is not root but the platform is, the spawner makes its sandboxes."""
    if settings.runtime == "process":
        return ProcessRuntime(settings.data)
    if settings.spawner:
        return BwrapRuntime(AskedMaking(settings.data / "run" / "spawner.sock"))
    uid_base = settings.sandbox_uid_base if os.geteuid() == 0 else None
    return BwrapRuntime(OwnMaking(Maker(Place(settings.data, uid_base=uid_base), cgroups=settings.sandbox_cgroups)))
