"""What journeys share: one platform of real processes for a test process, and a stage for each test of runs."""

import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from freehold.testing.platform import LocalPlatform
from tests.platforms import Desk
from tests.stages import Stage, set_up
from tests.typed import Run, typing_at
from tests.webs import Web, served


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalPlatform]:
    with LocalPlatform(tmp_path_factory.mktemp("platform") / "data") as running:
        yield running


@pytest.fixture(scope="session")
def desk(platform: LocalPlatform) -> Desk:
    return Desk(platform)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """Give a stage for runs, with its engine under way."""
    stage = set_up(tmp_path)
    await stage.engine.start(stage.segments.carry)
    yield stage
    await stage.engine.drain(0)
    stage.store.database.close()


@pytest.fixture
def listener() -> socket.socket:
    """Give the socket that a test's `web` is served on; the port is among its hosts."""
    return socket.create_server(("127.0.0.1", 0))


@pytest.fixture
async def run(web: Web, listener: socket.socket) -> AsyncIterator[Run]:
    """Give the command line against the test's `web`; words as they are typed behind `freehold`."""
    async with served(web, listener=listener) as asking:
        yield typing_at(str(asking.base_url))
