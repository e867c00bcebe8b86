"""What the repository must not contain: addresses of one machine, hosts of registries, traces of how it was made."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Spelt in two halves, so that this file does not find itself.
MACHINE = [r"/work/" + "main", r"/work/" + "shared", "/opt/" + "pypi", "/tmp/" + "fh", "/tmp/" + "probe"]
REGISTRIES = ["pypi" + r"\.org", "pythonhosted" + r"\.org", "registry" + r"\.npmjs", "index" + "-url *="]
MAKING = [r"\bblue" + r"print\b", r"style-" + r"guide\.md", r"\bissue " + r"#?\d", r"\bsub-?" + r"agents? session"]
FORBIDDEN = re.compile("|".join(MACHINE + REGISTRIES + MAKING), re.IGNORECASE)
SECRET = re.compile(r"\b(sk-[A-Za-z0-9]{32,}|ghp_[A-Za-z0-9]{36}|AKIA[A-Z0-9]{16})\b")


def tracked() -> list[Path]:
    """Return the text files under version control."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = [ROOT / name for name in listed.split("\0") if name]
    return [file for file in found if file.is_file() and b"\0" not in file.read_bytes()[:4096]]


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return {str(file.relative_to(ROOT)): file.read_text(errors="replace") for file in tracked()}


def found(texts: dict[str, str], pattern: re.Pattern[str]) -> list[str]:
    return [f"{name}: {hit.group()}" for name, text in texts.items() for hit in pattern.finditer(text)]


def test_the_project_speaks_of_itself_alone(texts: dict[str, str]) -> None:
    assert not found(texts, FORBIDDEN)


def test_no_credential_is_checked_in(texts: dict[str, str]) -> None:
    assert not found(texts, SECRET)


def test_what_is_installed_is_pinned_by_hash(texts: dict[str, str]) -> None:
    for name in ("requirements/runtime.txt", "requirements/dev.txt"):
        packages = re.split(r"\n(?=\S)", texts[name].strip())
        assert packages
        assert all("==" in package and "--hash=sha256:" in package for package in packages)
