"""What help shows of a command."""

from pathlib import Path

import pytest
import typer.main
from typer import BadParameter

from freehold.cli.main import build
from freehold.cli.wording import worded


@pytest.mark.parametrize(
    ("words", "usage"),
    [
        (["approval", "approve"], "freehold approval approve [OPTIONS] APPROVAL"),
        (["audit", "verify"], "freehold audit verify [OPTIONS] [FILE]"),
        (["message", "send"], "freehold message send [OPTIONS] AGENT TEXT"),
    ],
)
def test_help_spells_what_is_needed_in_capitals_and_no_type_of_a_flag(
    words: list[str], usage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = worded(typer.main.get_command(build(words[0])))
    command([*words, "--help"], prog_name="freehold", standalone_mode=False)
    shown = capsys.readouterr().out
    assert usage in shown
    assert "<bool>" not in shown


def test_instructions_from_a_file_that_is_not_there_are_asked_for_plainly(tmp_path: Path) -> None:
    command = worded(typer.main.get_command(build("agent")))
    words = [
        "agent",
        "create",
        "ada",
        "--tenant",
        "acme",
        "--model",
        "rehearsal",
        "--instructions",
        f"@{tmp_path}/gone",
    ]
    with pytest.raises(BadParameter, match="gone cannot be read as text"):
        command(words, prog_name="freehold", standalone_mode=False)
