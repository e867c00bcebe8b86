"""The upstream as a process: prints where it answers, and serves until it is told to stop."""

import argparse
import asyncio
import json
import signal

import uvloop

from freehold.testing.upstream.server import Upstream


async def serve(port: int, remember: int) -> None:
    """Serve until a signal comes."""
    upstream = Upstream(remember=remember)
    await upstream.start(port)
    print(json.dumps({"url": upstream.url, "base_url": upstream.base_url}), flush=True)  # noqa: T201
    over = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    await over.wait()
    await upstream.stop()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="freehold.testing.upstream", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="where to listen on loopback; 0 takes a free one")
    parser.add_argument(
        "--remember", type=int, default=100_000, help="lines of the ledger to keep; sums are always exact"
    )
    stated = parser.parse_args()
    uvloop.run(serve(stated.port, stated.remember))


if __name__ == "__main__":
    main()
