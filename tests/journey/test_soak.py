"""A fiftieth of `make soak`: after very many calls the gateway holds no money, no connection and no more memory."""

from pathlib import Path

import pytest

from tests.bench.soak import BROKEN, CALLS, soak

SHARE = 50
SMALL_ROUND = 2_000


@pytest.mark.long
@pytest.mark.xdist_group("soak")
def test_very_many_calls_and_broken_streams_leave_nothing_behind(tmp_path: Path) -> None:
    done = soak(tmp_path / "soak", calls=CALLS // SHARE, broken=BROKEN // SHARE, size=SMALL_ROUND)
    assert done.calls == CALLS // SHARE
    assert done.broken == BROKEN // SHARE
    assert done.left == {"nano-USD held": 0, "descriptors": 0}
    assert max(one.rss_mb for one in done.rounds) < 130
