"""A data folder may lie deeper than the kernel takes names of sockets."""

import os
import socket
from pathlib import Path

from freehold.store.sockets import LONGEST, fitting


def test_a_short_name_stays_as_it_is(tmp_path: Path) -> None:
    path = Path("/run/freehold/web.sock")
    assert fitting(path) == str(path)


def test_a_socket_deep_down_is_bound_and_found(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 15) / ("down" * 15) / "run"
    folder.mkdir(parents=True)
    path = folder / "web.sock"
    assert len(os.fsencode(path)) > LONGEST
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(fitting(path))
        assert path.is_socket()
        server.listen()
        client.connect(fitting(path))


def test_a_folder_that_is_not_there_is_left_to_whoever_connects(tmp_path: Path) -> None:
    path = tmp_path / ("nowhere" * 20) / "web.sock"
    assert fitting(path) == str(path)
