"""Pieces of Markdown whose text comes from anywhere and must stay text."""

import re

FOLD_ABOVE = 30

_UNPRINTABLE = re.compile(
    r"[\x00-\x20\x7f-\xa0\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+"
)
_MARKUP = re.compile(r"[\\`*_\[\]<>|~$&]")
_LINE_START = re.compile(r"^(?:[-+=#]|\d+[.)](?= |$))")


def _writable(value):
    """The text of `value` without the lone surrogates that JSON may carry and no file takes."""
    return str(value).encode("utf-8", "replace").decode()


def line(value):
    """One line of plain text: control characters and line breaks become single spaces."""
    return _UNPRINTABLE.sub(" ", _writable(value)).strip()


def text(value):
    """One line of Markdown that shows exactly the words of `value`, in a table as well."""
    escaped = _MARKUP.sub(r"\\\g<0>", line(value))
    return _LINE_START.sub(lambda match: f"{match[0][:-1]}\\{match[0][-1]}", escaped)


def paragraphs(value):
    """The paragraphs of `value`, each one line; empty for None."""
    blocks = re.split(r"\n\s*\n", str(value or ""))
    return "\n\n".join(text(block) for block in blocks if line(block))


def code_block(value):
    """A block of code, fenced by more backticks than it has itself."""
    value = _writable(value)
    longest = max((len(run) for run in re.findall(r"`+", value)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{value}\n{fence}"


def table(columns, rows):
    """A table of cells that are Markdown already."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def fold(markdown, count, what):
    """Hides a long piece behind a line that says how much there is."""
    if count <= FOLD_ABOVE:
        return markdown
    return f"<details>\n<summary>{count} {what}</summary>\n\n{markdown}\n\n</details>"
