"""The documents are true: links lead somewhere, drivers are listed, commands exist, budgets agree."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import fields
from typer.core import TyperCommand, TyperGroup

from freehold.settings import Settings
from freehold.web.rates import BURST_SECONDS
from tests.conftest import BUDGETS
from tools.reference.commands import command_line, every_command

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as the usual viewers make them."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    headings = [line.lstrip("#").strip() for line in text.splitlines() if re.match(r"#{1,6} ", line)]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_reached_from_the_readme() -> None:
    reached, open_pages = set(), [ROOT / "README.md"]
    while open_pages:
        page = open_pages.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        links = [link.partition("#")[0] for link in LINK.findall(page.read_text()) if not re.match(r"[a-z]+:", link)]
        open_pages += [(page.parent / link).resolve() for link in links if link]
    assert not [name_of(page) for page in PAGES if page not in reached]


def test_every_driver_is_listed() -> None:
    text = (ROOT / "docs" / "extend" / "drivers.md").read_text()
    folders = [folder for folder in (ROOT / "src" / "freehold" / "drivers").iterdir() if folder.is_dir()]
    drivers = {
        f"{folder.name}/{entry.stem}"
        for folder in folders
        for entry in folder.iterdir()
        if (entry.suffix == ".py" and entry.stem != "__init__") or (entry / "__init__.py").is_file()
    }
    assert not {driver for driver in drivers if f"`{driver}`" not in text}


def test_decisions_are_numbered_without_gaps_and_say_their_price() -> None:
    decisions = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert [int(file.name[:4]) for file in decisions] == list(range(1, len(decisions) + 1))
    for file in decisions:
        text = file.read_text()
        for part in ("Decided ", "**We need**", "**We choose**", "**Because**", "**We pay**", "**We refused**"):
            assert part in text, (file.name, part)


def test_the_budget_of_each_suite_is_the_one_contributing_states() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    stated = {suite: int(seconds) for suite, seconds in re.findall(r"^\| `(\w+)` \| (\d+) s \|", text, re.MULTILINE)}
    assert stated == BUDGETS


def test_every_suite_has_a_budget() -> None:
    assert {file.parent.name for file in (ROOT / "tests").glob("*/test_*.py")} == set(BUDGETS)


def test_the_rates_that_the_page_states_are_the_defaults() -> None:
    text = (ROOT / "docs" / "operate" / "exposing.md").read_text()
    stated = re.findall(r"^\| `FREEHOLD_(RATE_\w+)` \|.*\| (\d+) \| (\d+) \|$", text, re.MULTILINE)
    defaults = {field.name.upper(): field.default for field in fields(Settings) if field.name[:5] == "rate_"}
    assert {name: (int(rate), int(burst)) for name, rate, burst in stated} == {
        name: (rate, rate * BURST_SECONDS) for name, rate in defaults.items()
    }


def test_the_picture_of_the_architecture_fits_150_lines() -> None:
    assert len((ROOT / "ARCHITECTURE.md").read_text().splitlines()) <= 150


def typed(page: Path) -> Iterator[list[str]]:
    """Yield the `freehold` commands that a page tells its reader to type, as words."""
    for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            words = [word for word in shlex.split(line, comments=True) if not re.match(r"[A-Z_]+=", word)]
            if words[:1] == ["freehold"]:
                yield words


def called(words: list[str]) -> TyperCommand | TyperGroup | None:
    known = dict(every_command(command_line()))
    return next((known[" ".join(words[:n])] for n in (4, 3, 2) if " ".join(words[:n]) in known), None)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_page_tells_to_type_exists(page: Path) -> None:
    for words in typed(page):
        command = called(words)
        assert command is not None, words
        options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        used = {word.partition("=")[0] for word in words if word.startswith("--")}
        needed = [
            set(parameter.opts) for parameter in command.params if parameter.required and parameter.opts[0][0] == "-"
        ]
        assert used <= options, words
        assert all(names & set(words) for names in needed), words
