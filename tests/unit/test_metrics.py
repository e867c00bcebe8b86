"""What a process counts is told so that Prometheus understands it, and never grows by what people do."""

import re
from pathlib import Path
from threading import Thread

import pytest
from prometheus_client.parser import text_string_to_metric_families

from freehold.core.metrics import METRICS, Metrics, Shape

UNITS = ("_seconds", "_total", "_bytes", "_runs", "_workers", "_under_way")


def read(metrics: Metrics) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(metrics.text())
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def test_counters_gauges_and_histograms_are_read_by_a_parser_of_prometheus() -> None:
    metrics = Metrics()
    metrics.count("freehold_http_requests_total", method="GET", status="2xx")
    metrics.count("freehold_http_requests_total", method="GET", status="2xx")
    metrics.set("freehold_queue_oldest_seconds", 1.5)
    for seconds in (0.001, 0.002, 99.0):
        metrics.observe("freehold_http_request_seconds", seconds, method="GET")
    found = read(metrics)
    assert found["freehold_http_requests_total", "GET", "2xx"] == 2
    assert found["freehold_queue_oldest_seconds",] == 1.5
    assert found["freehold_http_request_seconds_bucket", "GET", "0.001"] == 1
    assert found["freehold_http_request_seconds_bucket", "GET", "0.0025"] == 2
    assert found["freehold_http_request_seconds_bucket", "GET", "10"] == 2
    assert found["freehold_http_request_seconds_bucket", "GET", "+Inf"] == 3
    assert found["freehold_http_request_seconds_count", "GET"] == 3
    assert found["freehold_http_request_seconds_sum", "GET"] == pytest.approx(99.003)


def test_each_family_is_helped_and_typed() -> None:
    metrics = Metrics()
    for name, metric in METRICS.items():
        labels = dict.fromkeys(metric.labels, "x")
        if metric.shape is Shape.HISTOGRAM:
            metrics.observe(name, 1.0, **labels)
        else:
            metrics.set(name, 1.0, **labels)
    told = {family.name: family for family in text_string_to_metric_families(metrics.text())}
    for name, metric in METRICS.items():
        family = told[name.removesuffix("_total") if metric.shape is Shape.COUNTER else name]
        assert (family.type, family.documentation) == (metric.shape, metric.says)
        assert name.endswith(UNITS)


@pytest.mark.parametrize("odd", ['a"b', "a\\b", "a\nb"])
def test_odd_values_of_labels_come_back_as_they_were(odd: str) -> None:
    metrics = Metrics()
    metrics.set("freehold_tenant_runs", 1, tenant=odd, state="queued")
    assert read(metrics) == {("freehold_tenant_runs", odd, "queued"): 1}


def test_a_name_or_a_label_that_is_not_known_is_a_bug() -> None:
    with pytest.raises(LookupError):
        Metrics().count("freehold_surprise_total")
    with pytest.raises(LookupError):
        Metrics().count("freehold_http_requests_total", method="GET", status="2xx", tenant="ten_1")


def test_the_page_about_metrics_names_each_with_what_it_says() -> None:
    page = (Path(__file__).parents[2] / "docs" / "operate" / "metrics.md").read_text()
    stated = re.findall(r"^\| `(freehold_\w+)`(?: by ([^|]*))? \| ([^|]*) \| ([^|]*) \|$", page, re.MULTILINE)
    told = [(name, ", ".join(f"`{label}`" for label in one.labels), one.by, one.says) for name, one in METRICS.items()]
    assert stated == told


def test_what_is_forgotten_is_not_told() -> None:
    metrics = Metrics()
    metrics.set("freehold_runs", 1, state="queued")
    metrics.forget("freehold_runs")
    assert metrics.text() == ""


def test_threads_lose_no_count() -> None:
    metrics = Metrics()

    def count() -> None:
        for _ in range(2_000):
            metrics.count("freehold_effects_total", state="done")

    threads = [Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert metrics.value("freehold_effects_total", state="done") == 8_000
