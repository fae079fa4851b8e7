"""Docstrings in the form that mkdocstrings reads: an extension of griffe, named in mkdocs.yml.

The house's docstrings are Google's, with more headings (`Source`, `Input shape`, `Example` and
others) and with examples that are not indented. What griffe does not know becomes Markdown here.
"""

import re
from typing import Any

import griffe

#: Headings with text or a list of names below them, which griffe would show as boxes.
TEXTS = ("Source", "Input shape", "Output shape", "Call arguments")
#: How a docstring points to the page that says how the paper is read, and its anchor.
READING = "docs/reading.md", "[how we read the paper][how-this-package-reads-the-paper]"

_PROMPT = re.compile(r"^>>> ")


def to_markdown(docstring: str) -> str:
    """Return a docstring with its examples in fences, and with `TEXTS` as paragraphs.

    >>> to_markdown("Source:\\n    Eq. (1).\\n\\nExample:\\n\\n>>> 1 + 1\\n2").splitlines()
    ['**Source:** Eq. (1).', '', '**Example:**', '', '```pycon', '>>> 1 + 1', '2', '```']
    """
    blocks = re.split(r"\n\s*\n", docstring.replace(*READING))
    found, fenced = [], False
    for block in blocks:
        heading = block.split(":")[0]
        if heading in TEXTS:
            found.append(_paragraph(heading, block[len(heading) + 1 :]))
        elif _PROMPT.match(block):
            if fenced:  # an example continues after an empty line
                found[-1] = found[-1].removesuffix("\n```") + f"\n\n{block}\n```"
            else:
                found.append(f"```pycon\n{block}\n```")
        else:
            found.append("**Example:**" if block.strip() == "Example:" else block)
        fenced = bool(_PROMPT.match(block))
    return "\n\n".join(found)


def _paragraph(heading, text):
    """Return `**Heading:** text`, or a list if the text has a name and a colon in each entry."""
    lines = [line for line in text.splitlines() if line.strip()]
    indent = min(len(line) - len(line.lstrip()) for line in lines)
    lines = [line[indent:] for line in lines]
    if heading != "Call arguments":
        return f"**{heading}:** {' '.join(line.strip() for line in lines)}"
    entries = re.sub(r"^(\w+):", r"- `\1`:", "\n".join(lines), flags=re.M)
    return f"**{heading}:**\n\n{entries}"


class HouseDocstrings(griffe.Extension):
    """Gives griffe each docstring as `to_markdown` writes it."""

    def on_object(self, *, obj: griffe.Object, loader: griffe.GriffeLoader, **kwargs: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = to_markdown(obj.docstring.value)
