"""A worker process whose runs take two steps that leave a line each; started by the tests beside it."""

import asyncio
import signal
import sys
from pathlib import Path

from freehold import failpoints
from freehold.app.clock import SystemClock
from freehold.app.worker import composed
from freehold.runs.endings import Done, Ending
from freehold.runs.segment import Result, Segment
from freehold.settings import Settings


async def serve(settings: Settings) -> None:
    """Work until told to stop; what was done is to be read in the file `done` of the data folder."""

    def say(line: str) -> None:
        with (settings.data / "done").open("a") as file:
            file.write(f"{line}\n")

    async def body(segment: Segment) -> Ending:
        if segment.run.input == "poison":
            signal.raise_signal(signal.SIGKILL)
        for name in ("one", "two"):

            async def do(name: str = name) -> Result:
                say(f"{segment.run.id} {name}")
                if segment.run.input == "long":
                    try:
                        await asyncio.Event().wait()
                    finally:
                        say(f"{segment.run.id} stopped")
                return {"value": name}

            await segment.step(key=f"{segment.run.id}/1/1/{name}", kind="tool", name=name, do=do)
        return Done("both")

    failpoints.arm(settings.failpoint)
    async with composed(settings, SystemClock(), body=body) as worker:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await worker.work(stop)


if __name__ == "__main__":
    asyncio.run(serve(Settings.read({}, data=Path(sys.argv[1]), test=True, failpoint=sys.argv[2])))
