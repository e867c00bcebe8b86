"""What every suite shares: the rule that nothing is skipped where it must not be, and the time each suite may take."""

from collections import Counter
from pathlib import Path

import hypothesis
import pytest

BUDGETS = {
    "unit": 60,
    "rules": 60,
    "property": 30,
    "contract": 90,
    "journey": 240,
    "browser": 90,
    "identity": 30,
    "clients": 60,
    "mcp": 60,
    "chaos": 120,
    "security": 120,
}
"""Seconds each suite may take without its long tests, on two cores; CONTRIBUTING says the same."""

hypothesis.settings.register_profile("freehold", deadline=None, print_blob=True)
hypothesis.settings.load_profile("freehold")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--nothing-skipped", action="store_true", help="fail when a test was skipped")


def suite_of(nodeid: str) -> str:
    """Return the suite a test belongs to: the folder under tests/."""
    parts = Path(nodeid.partition("::")[0]).parts
    return parts[1] if len(parts) > 2 and parts[0] == "tests" else ""


def seconds_per_suite(reporter: pytest.TerminalReporter) -> Counter[str]:
    """Add up what the tests of each suite took, set-up and tear-down included."""
    spent: Counter[str] = Counter()
    for reports in reporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                spent[suite_of(report.nodeid)] += report.duration  # type: ignore[assignment]
    return spent


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    spent = seconds_per_suite(terminalreporter)
    short = "not long" in str(config.option.markexpr)
    for suite, seconds in sorted(spent.items()):
        over = short and seconds > BUDGETS.get(suite, seconds)
        note = f"  (over its budget of {BUDGETS[suite]} s)" if over else ""
        terminalreporter.write_line(f"{suite or 'other'}: {seconds:.1f} s of tests{note}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.option.nothing_skipped and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
