"""What both verifiers say about an exported record; and how a record is tampered with."""

import re
from pathlib import Path
from typing import Any

import pytest

from freehold.audit.canonical import canonical
from freehold.audit.chain import line_hash
from freehold.audit.verifying import verify_file
from tools import verify_audit

Lines = list[dict[str, Any]]


def judged(file: Path, key: str, anchors: Path | None, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return what both verifiers say, which is the same to the letter."""
    found = verify_file(file, key=key, anchor_file=anchors)
    capsys.readouterr()
    stated = [str(file), "--key", key, *(["--anchor", str(anchors)] if anchors else [])]
    code = verify_audit.main(stated)
    said = capsys.readouterr().out.splitlines()
    assert code == (0 if found.ok else 1)
    told = [line for line in said if re.match(r"(row|anchor) \d+: ", line)]
    assert told == list(found.faults)
    assert [line.removeprefix("note: ") for line in said if line.startswith("note: ")] == list(found.notes)
    assert any(line.startswith("whole: ") for line in said) == found.ok
    return told


def write(file: Path, lines: Lines) -> Path:
    file.write_bytes(b"".join(canonical(line) + b"\n" for line in lines))
    return file


def mended(line: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Change a line and mend its hash."""
    changed = line | changes
    return changed | {"hash": line_hash(changed)}
