"""Making sandboxes where the worker may not: `freehold up` does it as root, and looks first whether it can."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from freehold.app.users import Users
from freehold.core.errors import Unavailable
from freehold.drivers.runtime.bwrap.checks import look_at_host
from freehold.drivers.runtime.bwrap.making import Maker
from freehold.drivers.runtime.bwrap.place import Place
from freehold.drivers.runtime.bwrap.spawner import Spawner
from freehold.sandboxes.runtime import Finding
from freehold.settings import Settings

SOCKET = "spawner.sock"


def obstacles(settings: Settings) -> list[Finding]:
    """Return why no sandbox at all can be made on this machine."""
    found = look_at_host(limits_the_whole=True) if settings.runtime == "bwrap" else []
    return [finding for finding in found if finding.fatal]


def demand_sandboxes(settings: Settings) -> None:
    """Raise `Unavailable` (`no_sandboxes`) where no sandbox at all can be made."""
    for obstacle in obstacles(settings):
        raise Unavailable(obstacle.what, code="no_sandboxes", remedy=obstacle.remedy)


@contextmanager
def spawning(settings: Settings, users: Users) -> Iterator[None]:
    """Make sandboxes for the worker while the block lasts, where it runs as a user of its own."""
    if not users.apart or settings.runtime != "bwrap":
        yield
        return
    place = Place(settings.data, uid_base=settings.sandbox_uid_base)
    maker = Maker(place, cgroups=settings.sandbox_cgroups)
    threading.Thread(target=place.shown, daemon=True).start()  # made now, the first sandbox need not wait for it
    path = settings.data / "run" / SOCKET
    spawner = Spawner(maker, path, user=users.worker.uid, group=users.worker.gid)
    spawner.start()
    try:
        yield
    finally:
        spawner.stop()
