"""What every runtime driver must do with the files of a workspace; part of the suite for runtimes."""

import asyncio
from typing import Final

import pytest

from freehold.core.errors import Denied, Invalid, NotFound
from freehold.sandboxes.runtime import Ended, Entry, Guest

SOON: Final = 5.0


async def shell(guest: Guest, script: str, *, timeout: float = 60.0, cap: int = 1 << 20) -> Ended:  # noqa: ASYNC109
    """Run a script inside."""
    return await guest.run(["sh", "-c", script], timeout=timeout, cap=cap)


class WorkspaceContract:
    """The half of the suite that needs nothing but a guest."""

    async def test_what_was_written_can_be_read_and_is_what_commands_see(self, guest: Guest) -> None:
        data = bytes(range(256)) * 2000
        await guest.write_file("a/b/c.bin", data)
        assert await guest.read_file("/work/a/b/c.bin") == data
        assert (await shell(guest, "wc -c < a/b/c.bin")).stdout == b"512000\n"
        await guest.write_file("a/b/c.bin", b"")
        assert await guest.read_file("a/b/c.bin") == b""

    async def test_a_file_keeps_its_mode_when_it_is_replaced(self, guest: Guest) -> None:
        await guest.write_file("run.sh", b"#!/bin/sh\necho old\n")
        await shell(guest, "chmod 755 run.sh")
        await guest.write_file("run.sh", b"#!/bin/sh\necho new\n")
        assert (await guest.run(["./run.sh"])).stdout == b"new\n"

    async def test_a_file_larger_than_asked_for_is_refused(self, guest: Guest) -> None:
        await guest.write_file("big", b"x" * 1001)
        with pytest.raises(Invalid) as refused:
            await guest.read_file("big", cap=1000)
        assert refused.value.code == "file_too_large"

    async def test_a_list_has_names_kinds_and_sizes_and_hides_what_is_ours(self, guest: Guest) -> None:
        await guest.run(["true"], key="leaves a mark")
        await guest.write_file("f", b"12345")
        await shell(guest, "mkdir d; ln -s f l; mkfifo p")
        entries = await guest.list_files()
        assert [(one.name, one.kind) for one in entries] == [
            ("d", "folder"),
            ("f", "file"),
            ("l", "link"),
            ("p", "other"),
        ]
        assert Entry(name="f", kind="file", size=5) in entries

    async def test_a_deleted_file_is_gone_and_a_link_does_not_take_its_target_along(self, guest: Guest) -> None:
        await guest.write_file("d/f", b"1")
        await shell(guest, "ln -s d/f l; ln -s d m; mkdir e")
        for name in ("l", "m", "e"):
            await guest.delete_file(name)
        assert [one.name for one in await guest.list_files()] == ["d"]
        await guest.delete_file("d/f")
        with pytest.raises(NotFound):
            await guest.delete_file("d/f")
        with pytest.raises(NotFound):
            await guest.read_file("d/f")

    async def test_a_folder_with_something_in_it_is_not_deleted(self, guest: Guest) -> None:
        await guest.write_file("d/f", b"1")
        with pytest.raises(Invalid) as refused:
            await guest.delete_file("d")
        assert refused.value.code == "folder_not_empty"

    @pytest.mark.parametrize(
        "path", ["../x", "/x", "/work/../../etc/passwd", "out/passwd", "out", ".freehold/x", "a\0b", ".."]
    )
    async def test_a_path_that_leads_out_is_refused(self, guest: Guest, path: str) -> None:
        await shell(guest, "ln -s /etc out")
        with pytest.raises(Denied):
            await guest.read_file(path)
        with pytest.raises(Denied):
            await guest.write_file(path, b"x")

    async def test_reading_something_that_is_no_file_does_not_hang(self, guest: Guest) -> None:
        await shell(guest, "mkfifo p; mkdir d")
        for name in ("p", "d"):
            with pytest.raises(Invalid):
                await asyncio.wait_for(guest.read_file(name), SOON)
