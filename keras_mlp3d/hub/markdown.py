"""Markdown whose text comes from anywhere and stays text."""

import re
from collections.abc import Sequence
from typing import Any

from keras_mlp3d._utils.printable import printable

_UNPRINTABLE = re.compile(
    r"[\x00-\x20\x7f-\xa0\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+"
)
_MARKUP = re.compile(r"[\\`*_\[\]<>|~$&]")
_LINE_START = re.compile(r"^(?:[-+=#]|\d+[.)](?= |$))")
_FOLD_ABOVE = 30


def line(value: Any) -> str:
    """Return one line of plain text: control characters and line breaks become single spaces."""
    encodable = str(value).encode("utf-8", "replace").decode()  # no file takes a lone surrogate
    return _UNPRINTABLE.sub(" ", encodable).strip()


def text(value: Any) -> str:
    """Return one line of Markdown that shows exactly the words of `value`, also inside a table."""
    escaped = _MARKUP.sub(r"\\\g<0>", line(value))
    return _LINE_START.sub(lambda match: f"{match[0][:-1]}\\{match[0][-1]}", escaped)


def paragraphs(value: Any) -> str:
    """Return the paragraphs of `value`, each on one line; empty for None."""
    blocks = re.split(r"\n\s*\n", str(value or ""))
    return "\n\n".join(text(block) for block in blocks if line(block))


def code_block(value: Any, language: str = "text") -> str:
    """Return a block of code, fenced by more backticks than it has itself."""
    value = "\n".join(printable(row) for row in str(value).split("\n"))
    longest = max((len(run) for run in re.findall(r"`+", value)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{value}\n{fence}"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of cells that are Markdown already."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def fold(markdown: str, count: int, what: str) -> str:
    """Hide a long piece behind a line that says how much there is."""
    if count <= _FOLD_ABOVE:
        return markdown
    return f"<details>\n<summary>{count} {what}</summary>\n\n{markdown}\n\n</details>"
