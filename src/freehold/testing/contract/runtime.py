"""What every runtime driver must do."""

import asyncio
import socket
from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import Final

import pytest

from freehold.core.errors import FreeholdError, Invalid, NotFound, Unavailable
from freehold.sandboxes.runtime import Guest, Port, RuntimeDriver, SandboxSpec
from freehold.testing.contract.workspace import SOON, WorkspaceContract, shell

SERVER: Final = (
    "import socket; s = socket.create_server(('127.0.0.1', {port})); print('up', flush=True); "
    "c = s.accept()[0]; c.sendall(c.recv(100).upper()); c.close()"
)


def spec(name: str = "sbx_1", *, tenant: str = "ten_1", uid: int = 1, workspace: str = "agt_1") -> SandboxSpec:
    """Return a sandbox to test with."""
    return SandboxSpec(id=name, tenant=tenant, uid=uid, workspace=workspace)


class RuntimeContract(WorkspaceContract):
    """Subclass this, return a driver with nothing awake, and let pytest collect the class."""

    @abstractmethod
    def driver(self) -> RuntimeDriver:
        """Return a driver whose folders are empty."""

    @pytest.fixture
    async def runtime(self) -> AsyncIterator[RuntimeDriver]:
        runtime = self.driver()
        yield runtime
        await runtime.close()

    @pytest.fixture
    async def guest(self, runtime: RuntimeDriver) -> Guest:
        return await runtime.wake(spec())

    async def test_a_command_ends_with_its_output_and_its_exit_status(self, guest: Guest) -> None:
        ended = await shell(guest, "echo out; echo err >&2; exit 3")
        assert (ended.exit, ended.stdout, ended.stderr) == (3, b"out\n", b"err\n")
        assert not any((ended.cut, ended.timed_out, ended.interrupted, ended.repeated))

    async def test_a_program_that_does_not_exist_is_exit_127(self, guest: Guest) -> None:
        ended = await guest.run(["no-such-program"])
        assert ended.exit == 127
        assert b"no-such-program" in ended.stderr

    async def test_a_command_killed_by_a_signal_says_which(self, guest: Guest) -> None:
        assert (await shell(guest, "kill -TERM $$")).exit == -15

    async def test_a_command_reads_its_standard_input_to_the_end(self, guest: Guest) -> None:
        data = bytes(range(256)) * 4096
        assert (await guest.run(["cat"], stdin=data, cap=len(data))).stdout == data

    async def test_a_command_without_input_finds_its_end(self, guest: Guest) -> None:
        assert (await guest.run(["cat"])).stdout == b""

    async def test_output_is_told_while_the_command_runs(self, guest: Guest) -> None:
        seen: list[tuple[str, bytes]] = []
        first = asyncio.Event()

        def tell(source: str, data: bytes) -> None:
            seen.append((source, data))
            first.set()

        script = "echo one; while [ ! -e go ]; do sleep 0.01; done; echo two >&2"
        running = asyncio.create_task(guest.run(["sh", "-c", script], on_output=tell))
        await asyncio.wait_for(first.wait(), SOON)
        assert seen == [("out", b"one\n")]
        await guest.write_file("go", b"")
        await running
        assert seen == [("out", b"one\n"), ("err", b"two\n")]

    async def test_output_beyond_the_cap_is_counted_and_thrown_away(self, guest: Guest) -> None:
        ended = await shell(guest, "yes | head -c 5000000; echo end >&2", cap=1000)
        assert ended.cut
        assert len(ended.stdout) + len(ended.stderr) == 1000
        assert ended.printed == 5_000_004

    async def test_a_command_that_takes_too_long_is_killed_with_all_it_started(self, guest: Guest) -> None:
        ended = await shell(guest, "sleep 987 & echo $! > pid; sleep 987", timeout=0.3)
        assert ended.timed_out
        assert ended.exit == -9
        assert await self._is_gone(guest, await guest.read_file("pid"))

    async def test_a_cancelled_command_is_killed_with_all_it_started(self, guest: Guest) -> None:
        running = asyncio.create_task(shell(guest, "sleep 987 & echo $! > pid.new; mv pid.new pid; sleep 987"))
        pid = await self._when_there(guest, "pid")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert await self._is_gone(guest, pid)

    async def test_what_a_command_leaves_running_ends_with_it(self, guest: Guest) -> None:
        await shell(guest, "sleep 987 & echo $! > pid")
        assert await self._is_gone(guest, await guest.read_file("pid"))

    async def test_several_commands_run_side_by_side(self, guest: Guest) -> None:
        first = asyncio.create_task(shell(guest, "while [ ! -e b ]; do sleep 0.01; done; touch a; echo first"))
        second = asyncio.create_task(shell(guest, "touch b; while [ ! -e a ]; do sleep 0.01; done; echo second"))
        ended = await asyncio.wait_for(asyncio.gather(first, second), SOON)
        assert [one.stdout for one in ended] == [b"first\n", b"second\n"]

    async def test_a_terminal_is_one_when_asked_for(self, guest: Guest) -> None:
        script = "test -t 0 && test -t 1 && test -t 2 && stty size && echo oops >&2"
        ended = await guest.run(["sh", "-c", script], tty=True)
        assert ended.exit == 0
        assert ended.stdout == b"40 120\r\noops\r\n"
        assert (await shell(guest, "test -t 1")).exit == 1

    async def test_a_command_that_cannot_be_one_is_refused(self, guest: Guest) -> None:
        for argv in ([], [""], ["a\0b"], ["x" * 2_000_000]):
            with pytest.raises(Invalid):
                await guest.run(argv)
        assert (await guest.run(["true"])).exit == 0

    async def test_a_command_with_a_key_runs_once_and_answers_the_same_again(self, guest: Guest) -> None:
        script = "echo x >> count; wc -l < count; echo err >&2; exit 4"
        first = await guest.run(["sh", "-c", script], key="run_1/1/1/1")
        again = await guest.run(["sh", "-c", script], key="run_1/1/1/1")
        other = await guest.run(["sh", "-c", script], key="run_1/1/1/2")
        assert (first.stdout, again.stdout, other.stdout) == (b"1\n", b"1\n", b"2\n")
        assert (again.exit, again.stderr, again.repeated, first.repeated) == (4, b"err\n", True, False)

    async def test_a_command_with_a_key_answers_the_same_after_a_sleep(self, runtime: RuntimeDriver) -> None:
        guest = await runtime.wake(spec())
        await guest.run(["sh", "-c", "echo once"], key="k")
        await runtime.sleep("sbx_1")
        again = await (await runtime.wake(spec("sbx_2"))).run(["sh", "-c", "echo twice"], key="k")
        assert again.stdout == b"once\n"

    async def test_a_command_that_was_interrupted_is_not_begun_again(self, runtime: RuntimeDriver) -> None:
        guest = await runtime.wake(spec())
        running = asyncio.create_task(guest.run(["sh", "-c", "echo x >> begun; sleep 987"], key="k"))
        await self._when_there(guest, "begun")
        await runtime.sleep("sbx_1")
        with pytest.raises(Unavailable):
            await running
        guest = await runtime.wake(spec("sbx_2"))
        assert (await guest.run(["sh", "-c", "echo x >> begun"], key="k")).interrupted
        assert await guest.read_file("begun") == b"x\n"

    async def test_a_command_that_was_given_up_is_told_as_interrupted(self, runtime: RuntimeDriver) -> None:
        guest = await runtime.wake(spec())
        running = asyncio.create_task(guest.run(["sh", "-c", "echo x >> begun; sleep 987"], key="k"))
        await self._when_there(guest, "begun")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await guest.run(["true"])  # by its answer the one before it is over
        again = await (await runtime.wake(spec("sbx_2"))).run(["sh", "-c", "echo x >> begun"], key="k")
        assert again.interrupted
        assert await guest.read_file("begun") == b"x\n"

    async def test_a_stream_carries_bytes_both_ways(self, guest: Guest) -> None:
        stream = await guest.stream(["cat"])
        data = bytes(range(256)) * 8192

        async def feed() -> None:
            await stream.write(data)
            await stream.finish()

        feeding = asyncio.create_task(feed())
        came = b""
        while piece := await stream.read():
            came += piece
        await feeding
        await stream.close()
        assert came == data

    async def test_a_stream_nobody_reads_stops_and_does_not_flood(self, guest: Guest) -> None:
        stream = await guest.stream(["yes"])
        assert (await guest.run(["echo", "still here"])).stdout == b"still here\n"
        await stream.close()

    async def test_a_stream_reaches_a_port_inside(self, guest: Guest, unused_port: int) -> None:
        server = await guest.stream(["python3", "-c", SERVER.format(port=unused_port)])
        assert await asyncio.wait_for(server.read(), SOON) == b"up\n"
        stream = await guest.stream(Port(number=unused_port))
        await stream.write(b"hello")
        assert await asyncio.wait_for(stream.read(), SOON) == b"HELLO"
        await stream.close()
        await server.close()

    async def test_a_stream_to_nobody_says_so(self, guest: Guest) -> None:
        stream = await guest.stream(["no-such-program"])
        with pytest.raises(FreeholdError):
            await stream.read()

    async def test_a_workspace_outlives_its_sandbox(self, runtime: RuntimeDriver) -> None:
        await (await runtime.wake(spec())).write_file("kept", b"1")
        await runtime.sleep("sbx_1")
        assert await (await runtime.wake(spec("sbx_2"))).read_file("kept") == b"1"

    async def test_waking_and_sleeping_twice_is_once(self, runtime: RuntimeDriver) -> None:
        await runtime.wake(spec())
        guest = await runtime.wake(spec())
        assert [one.id for one in await runtime.look()] == ["sbx_1"]
        assert (await guest.run(["true"])).exit == 0
        await runtime.sleep("sbx_1")
        await runtime.sleep("sbx_1")
        assert await runtime.look() == []

    async def test_a_sandbox_put_to_sleep_answers_that_it_is_gone(self, runtime: RuntimeDriver) -> None:
        guest = await runtime.wake(spec())
        running = asyncio.create_task(guest.run(["sleep", "987"]))
        await guest.run(["true"])
        await runtime.sleep("sbx_1")
        for question in (running, guest.run(["true"])):
            with pytest.raises(Unavailable) as died:
                await question
            assert died.value.code == "sandbox_died"

    async def test_a_sandbox_that_is_hung_up_on_ends(self, runtime: RuntimeDriver) -> None:
        await (await runtime.wake(spec())).close()
        async with asyncio.timeout(SOON):
            while await runtime.look():  # noqa: ASYNC110 - a driver tells nobody
                await asyncio.sleep(0.01)

    async def test_a_destroyed_workspace_is_gone_and_may_be_destroyed_again(self, runtime: RuntimeDriver) -> None:
        guest = await runtime.wake(spec())
        await shell(guest, "mkdir -p a/b/c; touch a/b/c/f; ln -s /etc a/l; chmod 0 a/b")
        for _ in range(2):
            await runtime.destroy(tenant="ten_1", workspace="agt_1")
        assert await runtime.look() == []
        assert await (await runtime.wake(spec())).list_files() == []

    async def test_many_wake_at_once(self, runtime: RuntimeDriver) -> None:
        names = [f"sbx_{number}" for number in range(8)]
        guests = await asyncio.gather(*(runtime.wake(spec(name, workspace=f"agt_{name[4:]}")) for name in names))
        ended = await asyncio.gather(*(guest.run(["echo", name]) for guest, name in zip(guests, names, strict=True)))
        assert [one.stdout.decode().strip() for one in ended] == names
        assert sorted(one.id for one in await runtime.look()) == names

    async def test_it_says_what_is_wrong_in_words_with_a_remedy(self, runtime: RuntimeDriver) -> None:
        for finding in await runtime.check():
            assert finding.what
            assert finding.remedy
            assert not finding.fatal

    async def _is_gone(self, guest: Guest, pid: bytes) -> bool:
        alive = f"kill -0 {int(pid)} 2>/dev/null && ! grep -q 'State:.Z' /proc/{int(pid)}/status"
        script = f"for i in $(seq 100); do {alive} || exit 0; sleep 0.02; done; exit 1"
        return (await shell(guest, script)).exit == 0

    async def _when_there(self, guest: Guest, name: str) -> bytes:
        async with asyncio.timeout(SOON):
            while True:
                try:
                    return await guest.read_file(name)
                except NotFound:
                    await asyncio.sleep(0.01)

    @pytest.fixture
    def unused_port(self) -> int:
        with socket.create_server(("127.0.0.1", 0)) as server:
            return int(server.getsockname()[1])
