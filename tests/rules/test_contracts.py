"""The import contracts hold, and each of them notices the breach it is there for."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

BREACHES = {
    "layers": ("core/seeded.py", "import freehold.settings"),
    "circles": ("store/seeded/a.py", "import freehold.store.seeded.b"),
    "drivers-apart": ("drivers/model/seeded_a.py", "import freehold.drivers.model.seeded_b"),
    "drivers-picked": ("cli/seeded.py", "import freehold.drivers"),
    "vault": ("app/seeded.py", "import freehold.vault"),
    "gateway": ("app/seeded.py", "import freehold.gateway.tables"),
    "guest": ("guest/seeded.py", "import freehold.core.errors"),
    "core": ("core/seeded.py", "import socket"),
    "loop": ("runs/seeded.py", "import pydantic_ai"),
    "engine": ("runs/seeded.py", "import dbos"),
}
"""Contract, and a file that breaks it."""

COMPANIONS = {
    "circles": {"store/seeded/__init__.py": "", "store/seeded/b.py": "import freehold.store.seeded.a"},
    "drivers-apart": {"drivers/model/seeded_b.py": ""},
}


def lint(folder: Path, *contracts: str) -> subprocess.CompletedProcess[str]:
    """Run the contracts over the package in `folder`."""
    chosen = [word for contract in contracts for word in ("--contract", contract)]
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", program, "--no-logo", "--no-cache", "--config", str(ROOT / "pyproject.toml"), *chosen],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},  # noqa: TID251 - another process gets ours
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_contract_is_kept() -> None:
    done = lint(ROOT / "src")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("contract", BREACHES)
def test_a_breach_is_noticed(contract: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src" / "freehold", tmp_path / "freehold", ignore=shutil.ignore_patterns("__pycache__"))
    name, line = BREACHES[contract]
    for file, text in {name: line, **COMPANIONS.get(contract, {})}.items():
        path = tmp_path / "freehold" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    done = lint(tmp_path, contract)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "BROKEN" in done.stdout
    assert "seeded" in done.stdout
