"""Pages and tables in Markdown, and what the source says about itself."""

import ast
import re
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
SOURCE: Final = ROOT / "src" / "freehold"
NOTE: Final = "<!-- Written by `make reference`; edit the code instead. -->"


def page(title: str, *blocks: str) -> str:
    """Put a page together from its blocks."""
    return "\n\n".join([f"# {title}", NOTE, *(block.strip() for block in blocks)]) + "\n"


def rows(head: Iterable[str], body: Iterable[Iterable[object]]) -> str:
    """Return a table."""
    titles = list(head)
    lines = [titles, ["---"] * len(titles), *([_cell(value) for value in row] for row in body)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: object) -> str:
    return re.sub(r"\s+", " ", str(value)).replace("|", "\\|").strip()


def attribute_docs(file: Path, name: str) -> dict[str, str]:
    """Return what the texts below the attributes of class `name` say."""
    tree = ast.parse(file.read_text())
    body = next(node.body for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == name)
    said: dict[str, str] = {}
    for node, after in pairwise(body):
        match node, after:
            case (
                (ast.AnnAssign(target=ast.Name(id=field)) | ast.Assign(targets=[ast.Name(id=field)])),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                said[field] = text
            case _:
                pass
    return said
