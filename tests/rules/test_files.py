"""Rules every source file keeps: it says what it is for, stays small, and takes only names that say something."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "freehold"
LONGEST = 300
LONGER: dict[str, str] = {
    "tools/verify_audit.py": "an outsider takes this one file and runs it alone",
}
"""Files that may be longer, each with its reason."""
VAGUE = {"manager", "handler", "processor", "helper", "util", "common", "misc"}
SPEAKING = {"override", "overload", "fixture"}
"""Decorators of what is described elsewhere."""
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def files(*folders: str) -> list[Path]:
    """Return the Python files below `folders` of the package, or all of them."""
    tops = [SOURCE / folder for folder in folders] or [SOURCE]
    return sorted(file for top in tops for file in top.rglob("*.py"))


def everything() -> list[Path]:
    """Return every Python file of the repository."""
    return files() + sorted(file for top in ("tests", "tools") for file in (ROOT / top).rglob("*.py"))


def is_migration(file: Path) -> bool:
    """A migration lists columns, is read once and never grows: it may be as long as it must."""
    return file.parent.name == "migrations"


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(), filename=str(file))


def imported(file: Path) -> set[str]:
    """Return the top-level names that `file` imports, at any depth."""
    found: set[str] = set()
    for node in ast.walk(parsed(file)):
        match node:
            case ast.Import(names=names):
                found |= {alias.name.split(".")[0] for alias in names}
            case ast.ImportFrom(module=str(module), level=0):
                found.add(module.split(".")[0])
            case _:
                pass
    return found


def public(body: list[ast.stmt], above: str = "") -> Iterator[tuple[str, Definition]]:
    """Yield what `body` offers to others: functions, classes and their methods, but nothing that is inherited."""
    for node in body:
        if not isinstance(node, DEFINITIONS) or node.name.startswith(("_", "test_")):
            continue
        if any(ast.unparse(decorator).split(".")[-1] in SPEAKING for decorator in node.decorator_list):
            continue
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "msgspec.Struct" for base in node.bases):
            continue  # a record of arguments; each field describes itself
        yield above + node.name, node
        if isinstance(node, ast.ClassDef):
            yield from public(node.body, f"{above}{node.name}.")


def words(name: str) -> set[str]:
    """Return the words of an identifier, in lower case and in the singular."""
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().split("_")
    return {part.removesuffix("s") for part in parts} | set(parts)


@pytest.mark.parametrize("file", everything(), ids=name_of)
def test_a_file_says_what_it_is_for_and_stays_small(file: Path) -> None:
    lines = len(file.read_text().splitlines())
    assert ast.get_docstring(parsed(file)), "it has no docstring"
    assert lines <= LONGEST or name_of(file) in LONGER or is_migration(file), f"it has {lines} lines"


@pytest.mark.parametrize("file", files(), ids=name_of)
def test_what_others_may_use_is_documented(file: Path) -> None:
    silent = [name for name, node in public(parsed(file).body) if not ast.get_docstring(node)]
    assert not silent


@pytest.mark.parametrize("file", everything(), ids=name_of)
def test_names_say_something(file: Path) -> None:
    names = {node.name for node in ast.walk(parsed(file)) if isinstance(node, DEFINITIONS)} | set(file.parts[-2:])
    vague = {name for name in names if words(name.removesuffix(".py")) & VAGUE}
    assert not vague


@pytest.mark.parametrize("file", files("core", "guest"), ids=name_of)
def test_core_and_guest_need_only_the_standard_library(file: Path) -> None:
    assert imported(file) <= sys.stdlib_module_names | {"freehold"}


@pytest.mark.parametrize("package", sorted(p.parent for p in SOURCE.rglob("__init__.py")), ids=name_of)
def test_a_package_imports_none_of_its_own_modules(package: Path) -> None:
    own = ".".join(package.relative_to(SOURCE.parent).parts)
    assert not re.search(rf"^\s*(from|import) {re.escape(own)}\b", (package / "__init__.py").read_text(), re.MULTILINE)


def test_every_folder_with_code_is_a_package() -> None:
    folders = {file.parent for file in files() if "migrations" not in file.parts}
    assert not [name_of(folder) for folder in folders if not (folder / "__init__.py").is_file()]
