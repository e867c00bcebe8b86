"""
A name server that lies leads the gateway nowhere: names are asked for by the machine's own resolver, in a network of
the test's own whose only name server is hostile, and all that listens there takes note of who comes.
"""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.apart import OPEN, OPEN_TOO, STORIES

pytestmark = pytest.mark.root

REFUSED = ["address_refused", "address_refused"]
OTHERWISE = {
    "public-first.test": ["server_unreachable", "address_refused"],
    "mixed.test": ["server_unreachable", "server_unreachable"],
    "silent.test": ["name_unknown", "name_unknown"],
    "empty.test": ["name_unknown", "name_unknown"],
}
"""What comes of names that are not simply refused: what is public in an answer is gone to, and nobody is there."""


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    words = ["unshare", "--mount", "--net", sys.executable, "-m", "tests.apart"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize("name", sorted(STORIES.keys() - {OPEN, OPEN_TOO}))
def test_nobody_comes_to_this_machine_whatever_a_name_server_says(report: dict[str, Any], name: str) -> None:
    told = report["told"][name]
    assert told["came"] == []
    assert told["codes"] == OTHERWISE.get(name, REFUSED)
    assert report["asked"][name] >= 2


def test_the_names_were_really_asked_for_and_what_is_open_is_reached(report: dict[str, Any]) -> None:
    assert report["told"][OPEN]["codes"] == ["200 127.0.0.2", "200 127.0.0.3"]
    assert report["told"][OPEN]["came"] == ["::ffff:127.0.0.2", "::ffff:127.0.0.3"]


def test_what_was_judged_is_connected_to_though_the_name_means_something_else_by_then(report: dict[str, Any]) -> None:
    assert report["told"][OPEN_TOO]["codes"] == ["127.0.0.2", "127.0.0.2"]
    assert report["told"][OPEN_TOO]["came"] == ["::ffff:127.0.0.2", "::ffff:127.0.0.2"]
    assert report["asked"][OPEN_TOO] == 1


def test_what_is_this_machines_own_is_known_where_anybody_may_bind_to_anything(report: dict[str, Any]) -> None:
    own, own_too, far, far_too = report["loose"].values()
    assert (own, own_too) == ("private", "private")
    assert (far, far_too) == ("public", "public")
