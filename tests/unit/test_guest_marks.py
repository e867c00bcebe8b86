"""Two sandboxes of one workspace may make their first marks at the same moment."""

import hashlib
import threading
from pathlib import Path

from freehold.guest.steps import FOLDER, MOST, Step

AT_ONCE = 8
ROUNDS = 40


def named(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def mark_at_once(root: Path, names: list[str]) -> list[object]:
    """Make a mark for each name, all at once, and return whether each was fresh, or what went wrong."""
    ready, told = threading.Barrier(len(names)), list[object]()

    def make(name: str) -> None:
        ready.wait()
        try:
            step = Step(str(root), name)
        except OSError as error:
            told.append(error)
            return
        told.append(step.fresh)
        step.close()

    threads = [threading.Thread(target=make, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


def test_the_first_marks_of_a_workspace_do_not_get_in_each_others_way(tmp_path: Path) -> None:
    for number in range(ROUNDS):
        root = tmp_path / str(number)
        root.mkdir()
        assert mark_at_once(root, [named(str(which)) for which in range(AT_ONCE)]) == [True] * AT_ONCE


def test_one_mark_is_made_once_whoever_is_first(tmp_path: Path) -> None:
    for number in range(ROUNDS):
        root = tmp_path / str(number)
        root.mkdir()
        assert sorted(map(bool, mark_at_once(root, [named("same")] * AT_ONCE))) == [False] * (AT_ONCE - 1) + [True]


def test_pruning_at_once_is_nobodys_failure(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER / "steps"
    folder.mkdir(parents=True)
    for number in range(2 * MOST + 50):
        (folder / named(f"old {number}")).touch()
    assert mark_at_once(tmp_path, [named(str(which)) for which in range(AT_ONCE)]) == [True] * AT_ONCE
