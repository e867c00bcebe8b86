"""What journeys share: one platform of real processes for a test process, and a stage for each test of runs."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from freehold.testing.platform import LocalPlatform
from tests.platforms import Desk
from tests.stages import Stage, set_up


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
