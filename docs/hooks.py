"""What mkdocs adds to the pages while it builds the site: public names, and the commands' help."""

import ast
import os
import pathlib
import re
import subprocess
import sys
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
#: Where a page asks for all public names of a package, and for the help of all commands.
PUBLIC = re.compile(r"<!-- public: ([\w.]+) -->")
COMMANDS = "<!-- the help of every command -->"
#: Prints the help of every command, each after a line that begins with a zero byte.
_PROGRAM = """
import argparse, sys
sys.argv[0] = "keras-mlp3d"
from keras_mlp3d.cli.main import build_parser
parser = build_parser()
[commands] = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
for name, command in commands.choices.items():
    print(f"\\0{name}")
    print(command.format_help())
"""


def public_names(package: str) -> list[str]:
    """Return the classes and functions that a package makes public, without importing it.

    Constants are left out, and what has its entry in another package.

    Args:
        package: Full name, such as "keras_mlp3d.layers".
    """
    file = _path(package) / "__init__.py"
    [public] = [
        ast.literal_eval(node.value)
        for node in _parse(file).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    # `training.distribute` is `distribution.distribute`; what is from `_utils` has no other entry.
    own = (package, "keras_mlp3d._utils")
    return [name for name in public if (_home(name, file) or "").startswith(own)]


def _home(name, file):
    """Return the full name of the module that defines a class or function of a file, or None."""
    body = _parse(file).body
    for node in (*body, *_for_types(body)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return ".".join(file.relative_to(ROOT).with_suffix("").parts)
        if isinstance(node, ast.ImportFrom) and name in [alias.name for alias in node.names]:
            folder = _path(node.module)
            source = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
            return None if source == file else _home(name, source)  # `augment` is a package
    return None


def _for_types(body):
    """Return the statements of `if TYPE_CHECKING:`, the names that a file imports late."""
    for node in body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from node.body


def _parse(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def _path(package):
    return ROOT.joinpath(*package.split("."))


def reference(package: str) -> str:
    """Return the page of a package for mkdocstrings: what it is, then each public name.

    `keras_mlp3d.search.greedy` is a function, and griffe sees the file of that name: its function
    is `keras_mlp3d.search.greedy.greedy`.
    """
    parts = [f"::: {package}\n    options:\n      heading_level: 1\n      members: false"]
    for name in public_names(package):
        file = f"{name}." if (_path(package) / f"{name}.py").is_file() else ""
        parts.append(f"::: {package}.{file}{name}")
    return "\n\n".join(parts)


def command_helps() -> dict[str, str]:
    """Return {command: its help}, at a width of 80 characters whatever the terminal is."""
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "PYTHON_COLORS": "0"}
    printed = subprocess.run(
        [sys.executable, "-c", _PROGRAM], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    if printed.returncode:
        raise RuntimeError(f"the help of the commands could not be made: {printed.stderr}")
    parts = printed.stdout.split("\0")[1:]
    return {name: text.strip() for name, text in (part.split("\n", 1) for part in parts)}


def on_page_markdown(markdown: str, **kwargs: Any) -> str:
    """Put public names and the help of the commands where a page asks for them."""
    if COMMANDS in markdown:
        texts = [f"## {name}\n\n```text\n{text}\n```" for name, text in command_helps().items()]
        markdown = markdown.replace(COMMANDS, "\n\n".join(texts))
    return PUBLIC.sub(lambda found: reference(found[1]), markdown)
