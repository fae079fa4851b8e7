"""One spelling, and plain words: what a reader of the package sees is scanned for the others.

Scanned are comments, docstrings and other strings of the package, the benchmarks and the examples,
docstrings and comments of the tests, names, and the documents. Identifiers count too: `colour` in a
name is as much a second spelling as in a sentence.
"""

import ast
import io
import json
import pathlib
import re
import tokenize

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")

#: British spelling (a regular expression) -> American.
SPELLINGS = {
    r"colour": "color",
    r"behaviour": "behavior",
    r"neighbour": "neighbor",
    r"favour": "favor",
    r"labell(?:ed|ing)": "labeled, labeling",
    r"modell(?:ed|ing)": "modeled, modeling",
    r"cancell(?:ed|ing)\b": "canceled, canceling",
    r"grey": "gray",
    r"centre": "center",
    r"\bmetres?\b": "meter",
    r"(?:optim|initial|serial|normal|quant|organ|recogn|general|minim|maxim|util|real|summar|"
    r"special|character|emphas|categor|random|visual|token|synchron|parallel|factor|regular|custom|"
    r"standard|apolog|local|stabil|equal|penal|final|memor|prior|author)is(?:e|es|ed|er|ers|ing|"
    r"ation|ations|able)(?![a-z])": "-ize",
    r"analys(?:e|ed|es|ing)\b": "analyze",
    r"\bdefence\b": "defense",
    r"\bartefact": "artifact",
    r"\bspoilt\b": "spoiled",
}
#: Phrase that must be read twice (a regular expression) -> what is said instead.
PHRASES = {
    r"\banew\b": "again, from scratch",
    r"\bg(?:o|oes|one|oing) on\b(?! to\b)": "resume, continue",
    r"\bbut (?:for|that)\b(?! all| this)": "except",
    r"\bcut short\b": "truncated",
    r"\bwhat cannot be read\b": "unreadable",
    r"\bwhoever\b": "anyone who, or the subject itself",
    r"\bstands? beside\b": "is next to",
    r"\blies? in\b": "is in",
    r"\bof equal ones\b": "ties go to the first",
    r"\b(?:the|these|those|every|each|a|of) rooms?\b": "package",
    r"\breceived\b": "got",
}
#: (part of a path, word): what stays, with the reason.
ALLOWED = {
    # A command-line option and an argument of a public function: their names are the interface.
    ("keras_mlp3d/cli/", "anew"): "`--anew` is an option that scripts use",
    ("keras_mlp3d/search/", "anew"): "`anew` is an argument of `find_schedule`",
    ("keras_mlp3d/training/", "anew"): "`anew` is an argument of `train`",
    ("CHANGELOG.md", "anew"): "it names the option",
    ("tests/", "anew"): "tests of that option and argument",
    # This file and the list of words name what they forbid.
    ("tests/test_english.py", ""): "it names what it forbids",
}


def python_files():
    for folder in ("keras_mlp3d", "benchmarks", "docs", "examples", "tests"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def texts_of_python(source, only_prose):
    """[(line, text)] of comments, strings and names; `only_prose`: comments and docstrings."""
    found = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kinds = (tokenize.COMMENT,) if only_prose else (tokenize.COMMENT, tokenize.NAME)
        if token.type in kinds:
            found.append((token.start[0], token.string))
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        if only_prose and isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            node = body[0].value
        elif only_prose:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append((node.lineno, node.value))
    return found


def texts():
    """Yields (path, line, text) of everything that is scanned."""
    for path in python_files():
        name = path.relative_to(ROOT).as_posix()
        source = path.read_text(encoding="utf-8")
        for line, text in texts_of_python(source, only_prose=name.startswith("tests/")):
            yield name, line, text
    for path in [ROOT / name for name in DOCUMENTS] + sorted((ROOT / "docs").rglob("*.md")):
        name = path.relative_to(ROOT).as_posix()
        for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            yield name, line, text
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        name = path.relative_to(ROOT).as_posix()
        for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"], 1):
            yield name, number, "".join(cell["source"])


def findings(words, entries):
    """["path:line: words found -> what is said instead"] in scanned texts."""
    found = set()
    for pattern, better in words.items():
        expression = re.compile(pattern, re.IGNORECASE)
        for path, line, text in entries:
            for match in expression.finditer(" ".join(text.split())):
                word = match[0]
                if not any(part in path and allowed in word.lower() for part, allowed in ALLOWED):
                    found.add(f"{path}:{line}: {word!r}; say: {better}")
    return sorted(found)


@pytest.fixture(scope="module")
def entries():
    found = list(texts())
    assert len(found) > 10_000
    return found


def test_american_spelling(entries):
    found = findings(SPELLINGS, entries)
    assert not found, "\n".join(found)


def test_plain_words(entries):
    found = findings(PHRASES, entries)
    assert not found, "\n".join(found)


def test_what_is_allowed_is_there(entries):
    """An exception that nothing needs any more is taken out."""
    for part, word in ALLOWED:
        assert any(part in path and word in text.lower() for path, _, text in entries), part


def test_each_kind_of_text_is_scanned():
    """The test of the test."""
    source = (
        '"""Colour of the module."""\n'
        "# The behaviour of a comment.\n"
        "optimiser = 'a string, received'\n"
        "def f(colours):\n"
        '    """Normalises anew,\n\n    but for the room that stands beside."""\n'
        '    return f"{optimiser} whoever goes on\n with it"\n'.replace("\n with", " with")
    )
    entries = [("file.py", *entry) for entry in texts_of_python(source, only_prose=False)]
    spelled = {found.split("'")[1].lower() for found in findings(SPELLINGS, entries)}
    assert spelled == {"colour", "behaviour", "optimiser", "normalises"}
    worded = {found.split("'")[1].lower() for found in findings(PHRASES, entries)}
    assert worded == {
        *("received", "anew", "but for", "the room", "stands beside", "whoever", "goes on"),
    }
    prose = [("tests/x.py", *entry) for entry in texts_of_python(source, only_prose=True)]
    assert {text for _, _, text in prose if "received" in text} == set()
    assert len(prose) == 3
    assert (
        findings({"capitalis": "capitaliz"}, [("a", 1, "raises otherwise precise promised")]) == []
    )
    assert findings(SPELLINGS, [("a", 1, "raises otherwise precise promised size prize")]) == []
