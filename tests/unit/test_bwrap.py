"""What the bubblewrap driver decides, as values: the command, the filter, the limits, the size of a workspace."""

import errno
import os
from pathlib import Path

import pytest

from freehold.drivers.runtime.bwrap.argv import bwrap_argv, guest_argv, joined, rlimits
from freehold.drivers.runtime.bwrap.cgroups import Cgroups, _base, _mounts, _own, _wanted
from freehold.drivers.runtime.bwrap.disk import DEEPEST, Most, excess, remove
from freehold.drivers.runtime.bwrap.seccomp import ALLOW, ERRNO, KILL, compiled, program, ranges
from freehold.drivers.runtime.bwrap.syscalls import numbers
from freehold.sandboxes.runtime import Limits

ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
MACHINES = sorted(ARCH)
EPERM = ERRNO | errno.EPERM


def verdict(machine: str, number: int, *arguments: int, arch: int | None = None) -> int:
    """Run the filter as the kernel would."""
    facts = {0: number, 4: ARCH[machine] if arch is None else arch}
    facts |= {16 + 8 * at: value & 0xFFFFFFFF for at, value in enumerate([*arguments, 0, 0])}
    code, at, accumulator = program(machine), 0, 0
    while True:
        kind, yes, no, k = code[at]
        at += 1
        match kind:
            case 0x20:
                accumulator = facts[k]
            case 0x54:
                accumulator &= k
            case 0x05:
                at += k
            case 0x06:
                return k
            case _:
                held = {0x15: accumulator == k, 0x25: accumulator > k, 0x35: accumulator >= k}[kind]
                at += yes if held else no


@pytest.mark.parametrize("machine", MACHINES)
def test_the_filter_allows_exactly_the_table(machine: str) -> None:
    table = numbers(machine)
    judged = {table[name] for name in ("clone", "clone3", "ioctl", "personality", "socket", "socketpair")}
    for number in set(range(600)) - judged:
        newer = ERRNO | errno.ENOSYS if number > max(table.values()) else EPERM
        assert verdict(machine, number) == (ALLOW if number in table.values() else newer), number


@pytest.mark.parametrize("machine", MACHINES)
def test_the_filter_judges_by_arguments(machine: str) -> None:
    table = numbers(machine)
    assert verdict(machine, table["clone"], 0x003D0F00) == ALLOW  # a thread
    assert verdict(machine, table["clone"], 17) == ALLOW  # a fork
    for flag in (0x10000000, 0x20000, 0x40000000, 0x20000000, 0x8000000, 0x4000000, 0x2000000, 0x80):
        assert verdict(machine, table["clone"], flag | 0x100) == EPERM
    assert verdict(machine, table["clone3"]) == ERRNO | errno.ENOSYS
    for family in range(50):
        expected = ALLOW if family in {1, 2, 10} else ERRNO | errno.EAFNOSUPPORT
        assert verdict(machine, table["socket"], family) == expected
    assert verdict(machine, table["personality"], 0) == ALLOW
    assert verdict(machine, table["personality"], 0x0040000) == EPERM
    assert verdict(machine, table["ioctl"], 0, 0x5401) == ALLOW
    assert verdict(machine, table["ioctl"], 0, 0x5412) == EPERM


@pytest.mark.parametrize("machine", MACHINES)
def test_a_foreign_numbering_kills(machine: str) -> None:
    assert verdict(machine, 0, arch=0x40000003) == KILL
    assert verdict("x86_64", 0x40000000) == KILL


@pytest.mark.parametrize("machine", MACHINES)
def test_every_jump_fits_and_the_kernel_takes_the_length(machine: str) -> None:
    assert all(max(yes, no) < 256 for _, yes, no, _ in program(machine))
    assert len(compiled(machine)) == 8 * len(program(machine)) <= 8 * 4096


def test_ranges_have_no_gaps() -> None:
    assert ranges([5, 1, 2, 3, 9, 10]) == [(1, 3), (5, 5), (9, 10)]


def test_the_root_is_never_this_hosts_own() -> None:
    argv = bwrap_argv(guest=Path("/g"), etc=Path("/e"), workspace=Path("/w"), tmp_mb=1, seccomp_fd=9, command=["true"])
    binds = {argv[at + 1]: argv[at + 2] for at, word in enumerate(argv) if word in {"--bind", "--ro-bind"}}
    assert binds == {"/usr": "/usr", "/e": "/etc", "/g": "/freehold", "/w": "/work"}
    assert [argv[at + 1] for at, word in enumerate(argv) if word == "--bind"] == ["/w"]
    for word in ("--unshare-all", "--disable-userns", "--die-with-parent", "--new-session", "--clearenv", "--seccomp"):
        assert word in argv
    assert argv[argv.index("--cap-drop") + 1] == "ALL"
    assert argv.index("--remount-ro", argv.index("--bind")) > argv.index("--bind")
    assert argv[-2:] == ["--", "true"]


def test_the_guest_is_started_without_site_and_with_its_limits() -> None:
    about = Path("/").stat()
    argv = guest_argv(7, {"nproc": 5}, about)
    assert argv[1:4] == ["-I", "-S", "-c"]
    assert f"main(7, '/work', {{\"nproc\": 5}}, [{about.st_dev}, {about.st_ino}])" in argv[4]


def test_without_a_cgroup_memory_is_limited_per_process() -> None:
    limits = Limits(memory_mb=64)
    assert rlimits(limits, cgroup=False)["data"] == 64 << 20
    assert "data" not in rlimits(limits, cgroup=True)
    assert "as" not in rlimits(limits, cgroup=False)  # programs reserve address space they never use


def test_in_a_full_workspace_nothing_can_grow() -> None:
    assert rlimits(Limits(), cgroup=True, full=True)["fsize"] == 0


def test_cgroups_are_joined_before_anything_is_started() -> None:
    command = joined([Path("/a/cgroup.procs"), Path("/b c/cgroup.procs")], ["x", "y z"])
    assert command[:2] == ["/bin/sh", "-c"]
    assert command[2] == 'echo 0 >"$1" && echo 0 >"$2" && shift 2 && exec "$@"'
    assert command[3:] == ["sh", "/a/cgroup.procs", "/b c/cgroup.procs", "x", "y z"]
    assert joined([], ["x"]) == ["x"]


V1 = """36 30 0:31 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
37 30 0:32 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
38 30 0:33 / /sys/fs/cgroup/pids rw,relatime shared:1 - cgroup cgroup rw,pids
39 30 0:34 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
V2 = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"


def test_cgroup_controllers_are_found_where_they_are_mounted() -> None:
    assert _mounts(V1) == {
        "rw": Path("/sys/fs/cgroup/pids"),
        "memory": Path("/sys/fs/cgroup/memory"),
        "cpu": Path("/sys/fs/cgroup/cpu,cpuacct"),
        "cpuacct": Path("/sys/fs/cgroup/cpu,cpuacct"),
        "pids": Path("/sys/fs/cgroup/pids"),
        "unified": Path("/sys/fs/cgroup/unified"),
    }
    assert _mounts(V2) == {"unified": Path("/sys/fs/cgroup")}
    assert _own("4:memory:/a/b\n2:cpu,cpuacct:/\n0::/c\n") == {"memory": "/a/b", "cpu": "/", "cpuacct": "/", "": "/c"}


def test_a_cgroup_of_ours_lies_below_our_own(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    assert _base(tmp_path, "/own", "f") == tmp_path / "own" / "f"
    assert _base(tmp_path, "/not/there", "f") == tmp_path / "f"


def test_both_versions_of_cgroups_get_the_same_limits() -> None:
    limits = Limits(memory_mb=10, pids=20, cpus=0.5)
    first = {
        name.strip("?"): value for one in ("memory", "pids", "cpu") for name, value in _wanted(1, one, limits).items()
    }
    second = {name.strip("?"): value for name, value in _wanted(2, "unified", limits).items()}
    assert first["memory.limit_in_bytes"] == second["memory.max"] == str(10 << 20)
    assert first["pids.max"] == second["pids.max"] == "22"
    assert first["cpu.cfs_quota_us"] == "50000"
    assert second["cpu.max"] == "50000 100000"


def test_a_cgroup_is_made_where_somebody_took_its_base_away(tmp_path: Path) -> None:
    (folder,) = Cgroups({"memory": tmp_path / "taken"}, 1).make("sbx_1", Limits()).folders
    assert folder.is_dir()


def test_a_cgroup_is_written_and_removed_whole(tmp_path: Path) -> None:
    cgroup = Cgroups({"unified": tmp_path}, 2).make("sbx_1", Limits())
    (folder,) = cgroup.folders
    assert (folder / "memory.max").read_text() == str(512 << 20)
    assert not (folder / "memory.swap.max").exists()  # what this kernel does not have is left out
    assert cgroup.doors == [folder / "cgroup.procs"]
    for file in folder.iterdir():
        file.unlink()
    assert cgroup.remove()
    assert cgroup.remove()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "workspace"
    made.mkdir()
    return made


def measured(folder: Path, most: Most) -> str:
    fd = os.open(folder, os.O_RDONLY)
    try:
        return excess(fd, most)
    finally:
        os.close(fd)


def test_a_workspace_is_measured_in_bytes_files_and_depth(folder: Path) -> None:
    (folder / "a").mkdir()
    (folder / "a" / "f").write_bytes(bytes(3 << 20))
    assert measured(folder, Most(4 << 20, 10)) == ""
    assert "2 MB" in measured(folder, Most(2 << 20, 10))
    assert "1 files" in measured(folder, Most(4 << 20, 1))
    deep = folder
    for _ in range(DEEPEST + 1):
        deep /= "d"
        deep.mkdir()
    assert "deep" in measured(folder, Most(4 << 20, 10_000))


def test_a_hole_and_a_second_name_cost_nothing(folder: Path) -> None:
    with (folder / "hole").open("wb") as file:
        file.truncate(1 << 30)
    (folder / "f").write_bytes(bytes(3 << 20))
    for number in range(5):
        (folder / f"twin{number}").hardlink_to(folder / "f")
    assert measured(folder, Most(4 << 20, 100)) == ""


def test_measuring_follows_no_link(folder: Path) -> None:
    (folder.parent / "large").write_bytes(bytes(3 << 20))
    (folder / "l").symlink_to(folder.parent / "large")
    (folder / "root").symlink_to("/")
    assert measured(folder, Most(1 << 20, 100)) == ""


def test_removing_takes_everything_but_what_links_point_to(folder: Path) -> None:
    kept = folder.parent / "kept"
    kept.mkdir()
    (kept / "f").write_text("kept")
    (folder / "l").symlink_to(kept)
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "l").symlink_to(kept)
    (folder / "a" / "b" / "f").hardlink_to(kept / "f")
    above = os.open(folder.parent, os.O_RDONLY)
    try:
        remove(above, folder.name)
        remove(above, folder.name)
        (folder.parent / "file").write_text("x")
        remove(above, "file")
    finally:
        os.close(above)
    assert [one.name for one in folder.parent.iterdir()] == ["kept"]
    assert (kept / "f").read_text() == "kept"
