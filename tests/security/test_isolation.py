"""What code inside a sandbox finds: no network, nobody else, no way up. Asked from inside, of every way to make one."""

import contextlib
import errno
import os
import platform
import socket

import pytest

from freehold.core.errors import FreeholdError
from tests.security.sandboxes import ROOT, UID_BASE, Ground, calls, data, ground, python, seen_from_here, shell

__all__ = ["data", "ground"]
pytestmark = pytest.mark.bwrap
CLONE_NEWUSER = 0x10000000


async def test_there_is_no_network(ground: Ground) -> None:
    guest = await ground.wake()
    interfaces = (await shell(guest, "tail -n +3 /proc/net/dev | cut -d: -f1")).stdout.split()
    assert interfaces == [b"lo"]
    script = (
        "import socket\ntry:\n socket.create_connection(('192.0.2.1', 80), 3)\nexcept OSError as e:\n print(e.errno)"
    )
    assert (await python(guest, script)).stdout.strip() == str(errno.ENETUNREACH).encode()


async def test_what_listens_on_this_host_is_not_there(ground: Ground) -> None:
    guest = await ground.wake()
    name = f"\0freehold-probe-{os.getpid()}"
    with socket.create_server(("127.0.0.1", 0)) as inet, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(name)
        unix.listen()
        script = (
            "import socket\n"
            f"print(socket.socket().connect_ex(('127.0.0.1', {inet.getsockname()[1]})))\n"
            f"print(socket.socket(socket.AF_UNIX).connect_ex({name!r}))"
        )
        ended = await python(guest, script)
    assert ended.stdout.split() == [str(errno.ECONNREFUSED).encode()] * 2


FAMILIES = {"netlink": (16, 3), "vsock": (40, 1), "alg": (38, 5), "packet": (17, 3), "can": (29, 3), "xdp": (44, 3)}


async def test_a_socket_that_reaches_elsewhere_cannot_be_made(ground: Ground) -> None:
    wanted = [(41, 198, family, kind, 0) for family, kind in FAMILIES.values()]
    said = await calls(await ground.wake(), *wanted, (41, 198, 2, 3, 1))  # inet, raw, icmp
    assert said == [errno.EAFNOSUPPORT] * len(FAMILIES) + [errno.EPERM]


async def test_another_tenants_files_are_not_there(ground: Ground) -> None:
    mine, other = await ground.wake(1), await ground.wake(2)
    await other.write_file("canary-of-two", b"theirs")
    script = f"ls {ground.data} /work/../tenants /proc/1/root/home /root /home 2>&1; find / -name 'canary*' 2>/dev/null"
    assert b"canary" not in (await shell(mine, script)).stdout
    assert ground.workspace(2).joinpath("canary-of-two").read_bytes() == b"theirs"


async def test_a_tenants_workspace_is_closed_to_other_users(ground: Ground) -> None:
    await ground.wake(1)
    await ground.wake(2)
    abouts = [ground.workspace(number).stat() for number in (1, 2)]
    assert [about.st_mode & 0o777 for about in abouts] == [0o700, 0o700]
    if UID_BASE is not None:
        assert [about.st_uid for about in abouts] == [UID_BASE + 1, UID_BASE + 2]


async def test_this_host_sees_a_user_per_tenant_and_namespaces_apart(ground: Ground) -> None:
    await ground.wake(1)
    (outer,) = ground.processes()
    assert seen_from_here(outer) == (os.geteuid() if UID_BASE is None else UID_BASE + 1, [])


async def test_other_processes_are_not_there(ground: Ground) -> None:
    guest = await ground.wake()
    ended = await python(guest, "import os; print(*[p for p in os.listdir('/proc') if p.isdigit()])")
    assert len(ended.stdout.split()) == 2  # the guest, and the one that asks
    assert (await shell(guest, f"kill -0 {os.getpid()}")).exit != 0
    assert (await shell(guest, f"cat /proc/{os.getpid()}/environ")).exit != 0


async def test_nothing_but_the_workspace_and_tmp_can_be_written(ground: Ground) -> None:
    guest = await ground.wake()
    for folder in ("/", "/usr", "/usr/bin", "/etc", "/freehold", "/dev", "/proc", "/var", "/freehold/freehold/guest"):
        ended = await shell(guest, f"touch {folder}/probe 2>/dev/null; ln -s x {folder}/probe2 2>/dev/null")
        assert ended.exit != 0, folder
    assert (await shell(guest, "echo 1 > /proc/sys/kernel/hostname")).exit != 0
    assert (await shell(guest, "echo b > /proc/sysrq-trigger")).exit != 0
    assert (await shell(guest, "touch /tmp/a /var/tmp/b /work/c /dev/shm/d")).exit == 0


async def test_nothing_of_this_hosts_own_root_is_there(ground: Ground) -> None:
    guest = await ground.wake()
    top = set((await shell(guest, "ls -A /")).stdout.decode().split())
    assert top == {"bin", "dev", "etc", "freehold", "lib", "lib64", "proc", "sbin", "tmp", "usr", "var", "work"}
    etc = set((await shell(guest, "ls -A /etc")).stdout.decode().split())
    trusted = {"pki", "ssl"}  # certificates that say who is who outside, and no key of ours
    assert etc <= {"alternatives", "group", "hosts", "ld.so.cache", "nsswitch.conf", "passwd"} | trusted
    keys = await shell(guest, "grep -rlE 'PRIVATE KEY' /etc/ssl /etc/pki 2>/dev/null | wc -l")
    assert keys.stdout.split() == [b"0"]
    assert (await shell(guest, "cut -d: -f1 /etc/passwd")).stdout.split() == [b"root", b"agent"]


async def test_there_are_no_capabilities_and_no_way_to_gain_any(ground: Ground) -> None:
    status = (await shell(await ground.wake(), "cat /proc/self/status")).stdout.decode()
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(facts[name], 16) == 0, name
    assert facts["NoNewPrivs"] == "1"
    assert facts["Seccomp"] == "2"
    assert facts["Uid"].split() == ["1000"] * 4
    assert facts["Groups"].split() in ([], ["1000"], ["65534"])


async def test_namespaces_cannot_be_nested(ground: Ground) -> None:
    guest = await ground.wake()
    flags = "for f in -Ur -m -n -p -i -u -C -T; do unshare $f true 2>/dev/null && echo $f; done"
    assert (await shell(guest, flags)).stdout == b""
    said = await calls(guest, (56, 220, CLONE_NEWUSER | 17, 0, 0, 0, 0), (435, 435, 0, 0), (308, 268, 0, 0))
    assert said == [errno.EPERM, errno.ENOSYS, errno.EPERM]
    assert (await shell(guest, "mount -t tmpfs none /tmp")).exit != 0
    assert (await shell(guest, "chroot /work true")).exit != 0


FORBIDDEN = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "init_module": (175, 105),
    "kexec_load": (246, 104),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "sethostname": (170, 161),
    "quotactl": (179, 60),
    "acct": (163, 89),
    "unshare": (272, 97),
    "memfd_secret": (447, 447),
}


async def test_a_system_call_nobody_needs_is_refused(ground: Ground) -> None:
    said = await calls(await ground.wake(), *((*numbers, 0, 0, 0, 0) for numbers in FORBIDDEN.values()))
    assert [name for name, number in zip(FORBIDDEN, said, strict=True) if number != errno.EPERM] == []


async def test_calls_by_other_numbers_kill_or_do_not_exist(ground: Ground) -> None:
    guest = await ground.wake()
    no_randomisation, typing_for_others = (135, 92, 0x0040000), (16, 29, 0, 0x5412, 0)
    said = await calls(guest, (100_000, 100_000), no_randomisation, typing_for_others)
    assert said == [errno.ENOSYS, errno.EPERM, errno.EPERM]
    if platform.machine() == "x86_64":
        assert await calls(guest, (0x40000000 + 39, 0)) == [-31]  # getpid by the second numbering: SIGSYS


async def test_what_people_need_works(ground: Ground) -> None:
    guest = await ground.wake()
    threads = "import threading, subprocess; t = [threading.Thread(target=print, args=(i,)) for i in range(9)]; "
    threads += (
        "[x.start() for x in t]; [x.join() for x in t]; print(subprocess.run(['awk', 'BEGIN{print 7}']).returncode)"
    )
    assert (await python(guest, threads)).stdout.split()[-1] == b"0"
    assert (
        await shell(guest, "git init -q r && cd r && git -c user.name=a -c user.email=b commit -q --allow-empty -m x")
    ).exit == 0
    assert (await shell(guest, "id -un; hostname; cd; pwd")).stdout.split() == [b"agent", b"sandbox", b"/work"]


async def test_no_environment_and_no_descriptor_leaks_in(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_SECRET", "canary-in-the-environment")
    reads, writes = os.pipe()
    os.set_inheritable(reads, True)  # noqa: FBT003
    try:
        guest = await ground.wake()
    finally:
        os.close(reads)
        os.close(writes)
    ended = await guest.run(["env"])
    assert {line.split(b"=")[0] for line in ended.stdout.splitlines()} == {b"PATH", b"HOME", b"LANG"}
    own = await python(guest, "import os; print(*sorted(int(f) for f in os.listdir('/proc/self/fd')))")
    assert own.stdout.split()[:3] == [b"0", b"1", b"2"]
    assert len(own.stdout.split()) == 4  # and the folder it reads
    guests = (await shell(guest, "ls -l /proc/1/fd | sed 's/.*-> //' | sort -u")).stdout.decode().split("\n")
    assert {one.split(":")[0] for one in guests if one} <= {"/dev/null", "socket", "pipe", "total 0"}
    everything = "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline /proc/[0-9]*/mountinfo 2>/dev/null | tr '\\0' '\\n'"
    seen = (await shell(guest, everything)).stdout
    assert b"canary" not in seen


async def test_the_guest_cannot_be_killed_from_inside(ground: Ground) -> None:
    guest = await ground.wake()
    await shell(guest, "kill -9 1; kill -STOP 1; kill -TERM 1; kill -9 -1")
    assert (await shell(guest, "echo still here")).stdout == b"still here\n"


async def test_a_link_that_leads_out_leads_nowhere(ground: Ground) -> None:
    guest = await ground.wake()
    secret = ground.data / "secret"
    secret.write_text("canary")
    await shell(guest, f"ln -s {secret} s; ln -s / root; ln -s {ground.data} data; ln -s /proc/1/root/etc/passwd p")
    for path in ("s", "root/etc/passwd", "data/secret", "p"):
        with pytest.raises(FreeholdError):
            await guest.read_file(path)
        with pytest.raises(FreeholdError):
            await guest.write_file(path, b"x")
    assert secret.read_text() == "canary"


async def test_the_mark_of_a_step_is_not_led_elsewhere_by_a_link(ground: Ground) -> None:
    guest = await ground.wake()
    await shell(guest, "mkdir trap; ln -s trap .freehold")
    ended = await guest.run(["echo", "1"], key="k")
    assert ended.stdout == b"1\n"
    assert (await shell(guest, "ls trap")).stdout == b""
    assert (await guest.run(["echo", "2"], key="k")).stdout == b"1\n"


async def test_removing_a_workspace_follows_no_link(ground: Ground) -> None:
    kept = ground.data / "kept"
    kept.mkdir()
    (kept / "file").write_text("kept")
    kept.chmod(0o777)
    guest = await ground.wake()
    await shell(guest, f"ln -s {kept} k; mkdir d; ln -s {kept} d/k; ln -s {kept}/file f; mkdir -m 0 closed")
    deep = "import os\nfor _ in range(1500):\n os.mkdir('d'); os.chdir('d')"
    with contextlib.suppress(FreeholdError):  # so deep that it may be stopped for it
        await python(guest, deep)
    await ground.runtime.destroy(tenant="ten_1", workspace="agt_1")
    assert not ground.workspace().exists()
    assert (kept / "file").read_text() == "kept"


async def test_a_workspace_replaced_by_a_link_is_not_entered(ground: Ground) -> None:
    elsewhere = ground.data / "elsewhere"
    elsewhere.mkdir()
    before = elsewhere.stat()
    place = ground.workspace()
    place.parent.mkdir(parents=True)
    place.symlink_to(elsewhere)
    with pytest.raises(FreeholdError):
        await ground.wake()
    assert elsewhere.stat() == before or not ROOT


@pytest.mark.parametrize("name", ["../ten_1", "ten_1/..", "", "ten_", "TEN_1", "ten_1\n", "ten_" + "1" * 70])
async def test_a_name_that_is_no_id_makes_nothing(ground: Ground, name: str) -> None:
    from freehold.sandboxes.runtime import SandboxSpec  # noqa: PLC0415

    for spec in (
        SandboxSpec(id="sbx_1", tenant=name, uid=1, workspace="agt_1"),
        SandboxSpec(id="sbx_1", tenant="ten_1", uid=1, workspace=name),
        SandboxSpec(id=name, tenant="ten_1", uid=1, workspace="agt_1"),
    ):
        with pytest.raises(FreeholdError):
            await ground.runtime.wake(spec)
    assert ground.processes() == []
