"""Counts what makes the package large or small to read: files, lines, and helpers in many copies.

    python benchmarks/measures.py [REVISION ...]

Without a revision the working tree is counted. With several, a column each: `python
benchmarks/measures.py v0.1 HEAD`. Nothing is imported; only `git show` runs.
"""

import argparse
import ast
import collections
import io
import pathlib
import re
import subprocess
import tarfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = "keras_mlp3d/"
#: The network proper: what a newcomer reads to know MLP-3D, from pixels to logits.
NETWORK = (
    *("ops/", "layers/", "models/_network.py", "models/mlp3d_backbone.py", "models/mlp3d.py"),
    "models/schedule.py",
)
#: With the other networks, weights that move between them, and presets.
MODELS = ("ops/", "layers/", "models/")
DATA_PACKAGES = ("video", "datasets", "loading", "augment")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)
#: {helper: what a file that has a copy of it contains, in whole lines}.
COPIES = {
    "checks of a positive integer": r"isinstance\([^)\n]*\b(?:bool|int)\b"
    r".*(?:\n.*){0,2}<=?\s*[01]\b"
    r"|Error\((?:[^()]|\n)*?(?:positive integer|whole number)"
    r"|def _?check(?:ed)?_(?:integers?|whole|count|positive)\b",
    "writing beside and renaming": r"\bos\.(?:replace|rename)\(",
    "bounded queues of threads": r"\bThreadPoolExecutor\(|\bqueue\.Queue\(|\bthreading\.Thread\(",
    "progress bars": r"\\r|isatty\(\)",
}


def working_tree():
    """Return {path: text} of the package's Python files as they are now."""
    return {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted((ROOT / PACKAGE).rglob("*.py"))
    }


def revision(name):
    """Return {path: text} of the package's Python files in a git revision."""
    command = ["git", "-C", str(ROOT), "archive", name, PACKAGE]
    content = subprocess.run(command, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return {
            member.name: archive.extractfile(member).read().decode("utf-8")
            for member in archive.getmembers()
            if member.isfile() and member.name.endswith(".py")
        }


def lines_of(text):
    """Return the number of lines."""
    return len(text.splitlines())


def code_lines_of(text):
    """Return the number of lines without blank ones, comments and docstrings."""
    tree = ast.parse(text)
    said = set()
    for node in ast.walk(tree):
        if ast.get_docstring(node, clean=False) if isinstance(node, DOCUMENTED) else None:
            said.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return sum(
        bool(line.strip()) and not line.strip().startswith("#") and number not in said
        for number, line in enumerate(text.splitlines(), start=1)
    )


def measures(files):
    """Return {measure: number or text} of a package's files."""
    files = {path.removeprefix(PACKAGE): text for path, text in files.items()}
    found = {}
    for name, places in (("network proper", NETWORK), ("layers and models", MODELS)):
        inside = [path for path in files if path.startswith(places)]
        found[f"{name}, files"] = len(inside)
        found[f"{name}, lines"] = sum(lines_of(files[path]) for path in inside)
        found[f"{name}, lines of code"] = sum(code_lines_of(files[path]) for path in inside)
    for name in DATA_PACKAGES:
        inside = [path for path in files if path.startswith(f"data/{name}/")]
        found[f"data/{name}, files"] = sum(path.count("/") == 2 for path in inside)
    for helper, pattern in COPIES.items():
        found[f"files with {helper}"] = sum(
            bool(re.search(pattern, text)) for text in files.values()
        )
    lengths = collections.Counter({path: lines_of(text) for path, text in files.items()})
    found["files"], found["lines"] = len(files), lengths.total()
    found["files over 350 lines"] = sum(length > 350 for length in lengths.values())
    found["files under 40 lines"] = sum(
        length < 40 for path, length in lengths.items() if not path.endswith("__init__.py")
    )
    for place, (path, length) in enumerate(lengths.most_common(5), start=1):
        found[f"longest file, {place}"] = f"{length} {path}"
    return found


def table(columns):
    """Return a text with a row per measure and a column per revision."""
    rows = [["", *columns]]
    rows += [
        [name, *(str(found[name]) for found in columns.values())]
        for name in next(iter(columns.values()))
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def main(arguments=None):
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("revisions", nargs="*", help="git revisions; the working tree if none")
    names = parser.parse_args(arguments).revisions
    columns = {name: measures(revision(name)) for name in names}
    print(table(columns or {"working tree": measures(working_tree())}))


if __name__ == "__main__":
    main()
