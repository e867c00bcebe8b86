"""
What a process counts of itself, and how that is told: Prometheus' text format, written without its library.

Every metric there is stands in `METRICS`, with its unit in its name and its labels; a name or a label that does not
stand there is a bug and raises. Labels take only values of small, known sets, so what is told never grows with use:
that of a tenant is told only where an operator wants it. Counters begin at nothing with the process.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock
from types import MappingProxyType
from typing import Final, final

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
QUICK: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds of what should be over in a moment."""
SLOW: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0, 21_600.0, 86_400.0)
"""Seconds of what may have waited for a person."""


class Shape(StrEnum):
    """What a number does: it only grows, it goes up and down, or it is spread over buckets."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One thing that is counted."""

    shape: Shape
    says: str
    by: str
    """Which process tells it."""
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()


def _counter(by: str, says: str, *labels: str) -> Metric:
    return Metric(shape=Shape.COUNTER, says=says, by=by, labels=labels)


def _gauge(by: str, says: str, *labels: str) -> Metric:
    return Metric(shape=Shape.GAUGE, says=says, by=by, labels=labels)


def _seconds(by: str, says: str, *labels: str, bounds: tuple[float, ...] = QUICK) -> Metric:
    return Metric(shape=Shape.HISTOGRAM, says=says, by=by, labels=labels, bounds=bounds)


METRICS: Final[Mapping[str, Metric]] = MappingProxyType(
    {
        "freehold_http_requests_total": _counter(
            "web", "Requests that were answered, by the first digit of the status.", "method", "status"
        ),
        "freehold_http_request_seconds": _seconds("web", "Time until the head of an answer was sent.", "method"),
        "freehold_duplicates_suppressed_total": _counter(
            "web, gateway", "Repeats under a key that were told what is there and did nothing.", "kind"
        ),
        "freehold_runs": _gauge("web", "Runs that are not over, by state.", "state"),
        "freehold_tenant_runs": _gauge(
            "web", "Runs of a tenant that are not over; only with FREEHOLD_METRICS_TENANTS.", "tenant", "state"
        ),
        "freehold_queue_oldest_seconds": _gauge("web", "How long the run has queued that has queued longest."),
        "freehold_workers": _gauge("web", "Workers that joined and did not leave."),
        "freehold_lease_age_seconds": _gauge("web", "Time since the sign of life of the worker silent for longest."),
        "freehold_run_duration_seconds": _seconds(
            "worker", "Time from the making of a run to its end.", "state", bounds=SLOW
        ),
        "freehold_queue_wait_seconds": _seconds(
            "worker", "Time from when a segment could begin until it did.", bounds=SLOW
        ),
        "freehold_step_seconds": _seconds("worker", "Time that a step of a run took.", "kind", bounds=SLOW),
        "freehold_segments_under_way": _gauge("worker", "Segments that are being carried out."),
        "freehold_model_call_seconds": _seconds(
            "gateway", "Time from the hold of a call's money until it was settled.", "ended", bounds=SLOW
        ),
        "freehold_model_charged_usd_total": _counter("gateway", "What calls of models were charged, in US dollars."),
        "freehold_effects_total": _counter("gateway", "Effects that a worker proposed, by what became of them.", "state"),
        "freehold_process_start_time_seconds": _gauge("all", "When the process began, in seconds since 1970."),
        "freehold_process_cpu_seconds_total": _counter("all", "Time of processors that the process took."),
        "freehold_process_resident_memory_bytes": _gauge("all", "Memory of the process that is not swapped out."),
    }
)  # fmt: skip


@dataclass(slots=True)
class _Spread:
    """A histogram's buckets, from which what is told is summed up."""

    counts: list[int]
    sum: float = 0.0


@final
class Metrics:
    """The numbers of one process; may be told from any thread."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self._lock = Lock()
        self._values: dict[str, dict[tuple[str, ...], float]] = {}
        self._spreads: dict[str, dict[tuple[str, ...], _Spread]] = {}

    def count(self, name: str, by: float = 1, **labels: str) -> None:
        """Let a counter grow."""
        key = _key(name, labels)
        with self._lock:
            values = self._values.setdefault(name, {})
            values[key] = values.get(key, 0) + by

    def set(self, name: str, value: float, **labels: str) -> None:
        """Let a gauge, or a counter that somebody else keeps, stand at `value`."""
        key = _key(name, labels)
        with self._lock:
            self._values.setdefault(name, {})[key] = value

    def forget(self, name: str) -> None:
        """Let nothing be told of a metric until it is set again: what a label named may be gone."""
        with self._lock:
            self._values.pop(name, None)

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Put a time into its bucket; one below nothing, by a clock that was set back, is nothing."""
        key, bounds, seconds = _key(name, labels), METRICS[name].bounds, max(seconds, 0.0)
        with self._lock:
            spread = self._spreads.setdefault(name, {}).setdefault(key, _Spread([0] * (len(bounds) + 1)))
            spread.counts[bisect_left(bounds, seconds)] += 1
            spread.sum += seconds

    def value(self, name: str, **labels: str) -> float:
        """Return where a counter or a gauge stands; nothing where it never moved."""
        return self._values.get(name, {}).get(_key(name, labels), 0)

    def text(self) -> str:
        """Return all there is to tell, in Prometheus' text format."""
        with self._lock:
            return "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        for name, metric in METRICS.items():
            values, spreads = self._values.get(name), self._spreads.get(name)
            if values or spreads:
                yield f"# HELP {name} {metric.says}"
                yield f"# TYPE {name} {metric.shape}"
            for key, value in sorted((values or {}).items()):
                yield f"{name}{_labels(metric.labels, key)} {_number(value)}"
            for key, spread in sorted((spreads or {}).items()):
                yield from _spread(name, metric, key, spread)


def _spread(name: str, metric: Metric, key: tuple[str, ...], spread: _Spread) -> Iterator[str]:
    total = 0
    for bound, count in zip((*map(_number, metric.bounds), "+Inf"), spread.counts, strict=True):
        total += count
        yield f"{name}_bucket{_labels((*metric.labels, 'le'), (*key, bound))} {total}"
    yield f"{name}_sum{_labels(metric.labels, key)} {_number(spread.sum)}"
    yield f"{name}_count{_labels(metric.labels, key)} {total}"


def _key(name: str, labels: Mapping[str, str]) -> tuple[str, ...]:
    wanted = METRICS[name].labels
    if set(wanted) != labels.keys():
        raise LookupError(f"{name} has the labels {wanted}, not {sorted(labels)}.")
    return tuple(labels[label] for label in wanted)


def _labels(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    spelt = ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))
    return f"{{{spelt}}}" if spelt else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
