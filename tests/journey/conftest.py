"""One platform of real processes for all journeys of a test process."""

from collections.abc import Iterator

import pytest

from freehold.testing.platform import LocalPlatform
from tests.platforms import Desk


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalPlatform]:
    with LocalPlatform(tmp_path_factory.mktemp("platform") / "data") as running:
        yield running


@pytest.fixture(scope="session")
def desk(platform: LocalPlatform) -> Desk:
    return Desk(platform)
