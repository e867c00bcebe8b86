"""What help shows of a command."""

import pytest
import typer.main

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
