"""
What a model call costs on its way through the gateway, beside plain proxies and, if it is there, LiteLLM.

Rounds are interleaved, so that whatever else the machine does meets all of them; each figure is a median of rounds.
"""

import contextlib
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.bench import peers
from tests.bench.measuring import Figure, figure, percentile
from tests.bench.peers import Peer

ROUNDS: Final = 5
STARTS: Final = 5
CALLS, STREAMS = 2_000, 300
SLOW_CALLS, SLOW_STREAMS = 60, 16
"""For LiteLLM, which takes as long for these."""
WARM_UP: Final = 200
RATE, RATED = 40.0, 200
PACED: Final = 20
MICRO: Final = 1_000_000


@dataclass
class Rounds:
    """What the rounds of one peer measured."""

    json: list[float] = field(default_factory=list)
    """Microseconds of a processor for a call."""
    stream: list[float] = field(default_factory=list)
    """The same for a stream."""
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    """Milliseconds until the first event of a paced stream."""
    second: list[float] = field(default_factory=list)
    rss: float = 0.0


def measure(folder: Path) -> list[Figure]:
    """Return the figures of our gateway and its peers."""
    started = [peers.start_seconds(folder / f"start{number}") for number in range(STARTS)]
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(peers.provider())
        ways = [peers.direct(upstream)]
        ways += [stack.enter_context(way(folder / name, upstream)) for name, way in _there().items()]
        told = {way.name: Rounds() for way in ways}
        for way in ways:
            way.calls(min(WARM_UP, _many(way, CALLS)))
            way.calls(_many(way, 100), stream=True, at_once=8)
        for number in range(ROUNDS):
            for way in ways:
                print(f"  round {number + 1}: {way.name}", file=sys.stderr, flush=True)
                _round(way, told[way.name])
        for way in ways:
            told[way.name].rss = way.rss_mb()
    return [*_figures(told), figure("gateway: start until it can be called", statistics.median(started), "s", STARTS, goal=1.5)]  # fmt: skip


def _there() -> dict[str, Callable[[Path, int], contextlib.AbstractContextManager[Peer]]]:
    found: dict[str, Callable[[Path, int], contextlib.AbstractContextManager[Peer]]] = {
        "nginx": peers.nginx,
        "caddy": peers.caddy,
        "freehold": peers.freehold,
    }
    if peers.LITELLM.exists() and "--peers" in sys.argv:
        found["litellm"] = peers.litellm
    return found


def _many(way: Peer, calls: int) -> int:
    if way.name != "LiteLLM":
        return calls
    return SLOW_CALLS if calls == CALLS else min(calls, SLOW_STREAMS)


def _round(way: Peer, told: Rounds) -> None:
    calls, streams = _many(way, CALLS), _many(way, STREAMS)
    told.json.append(_cost(way, calls, lambda: way.calls(calls)))
    told.stream.append(_cost(way, streams, lambda: way.calls(streams, stream=True, at_once=8)))
    rated = way.calls(RATED, rate=RATE).milliseconds
    told.p50.append(percentile(rated, 50))
    told.p99.append(percentile(rated, 99))
    model = way.paced
    told.first.append(percentile(way.calls(PACED, rate=10.0, stream=True, model=model).first, 50))


def _cost(way: Peer, count: int, act: Callable[[], object]) -> float:
    before = way.cpu()
    act()
    return (way.cpu() - before) / count * MICRO


def _figures(told: dict[str, Rounds]) -> list[Figure]:
    ours, plain, nothing = told["Freehold"], told["Caddy"], told["direct"]
    middle = statistics.median
    json, stream = middle(ours.json), middle(ours.stream)
    figures = [
        _ratio("model call: processor time as a multiple of Caddy's", ours.json, plain.json, goal=4),
        _ratio("model stream of 52 events: the same", ours.stream, plain.stream, goal=2.5),
    ]
    for name, peer in told.items():
        if name in {"nginx", "Caddy", "LiteLLM"}:
            value = round(middle(peer.json), 1), round(middle(peer.stream), 1)
            figures += [
                figure(f"model call: processor time, beside {name}", json, "µs", CALLS * ROUNDS, peer=name, peer_value=value[0]),
                figure(f"model stream of 52 events: processor time, beside {name}", stream, "µs", STREAMS * ROUNDS, peer=name, peer_value=value[1]),
            ]  # fmt: skip
            figures += [
                figure(f"model call: added by {name} at {RATE:g} a second, p50", middle(peer.p50) - middle(nothing.p50), "ms", RATED * ROUNDS),
            ]  # fmt: skip
    if "LiteLLM" in told:
        slow = told["LiteLLM"]
        figures += [
            _ratio("model call: processor time of LiteLLM as a multiple of ours (at least 50)", slow.json, ours.json),
            _ratio("model stream of 52 events: the same", slow.stream, ours.stream),
            figure("LiteLLM: memory", slow.rss, "MB", 1),
        ]
    added50, added99 = middle(ours.p50) - middle(nothing.p50), middle(ours.p99) - middle(nothing.p99)
    later = middle(ours.first) - middle(nothing.first)
    return [
        *figures,
        figure(f"model call: added at {RATE:g} a second, p50", added50, "ms", RATED * ROUNDS, goal=2),
        figure(f"model call: added at {RATE:g} a second, p99", added99, "ms", RATED * ROUNDS),
        figure("model stream: first event later than direct, p50", later, "ms", PACED * ROUNDS, goal=15),
        figure("gateway: memory after these calls", ours.rss, "MB", 1, goal=130),
    ]


def _ratio(name: str, mine: list[float], others: list[float], goal: float | None = None) -> Figure:
    ratios = [one / other for one, other in zip(mine, others, strict=True)]
    return figure(name, statistics.median(ratios), "x", len(ratios), goal=goal)
