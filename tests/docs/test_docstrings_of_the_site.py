"""`docs/docstrings.py` turns the house's docstrings into Markdown, and loses no word of them."""

import doctest
import importlib.util
import re

import pytest


@pytest.fixture(scope="module")
def module(pytestconfig):
    path = pytestconfig.rootpath / "docs" / "docstrings.py"
    spec = importlib.util.spec_from_file_location("docstrings_of_the_site", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DOCSTRING = """Adds.

Args:
    x: A number.

Call arguments:
    inputs: Tokens
        (B, T).
    training: Whether it trains.

Input shape:
    (B, T),
    or (T,)

Source:
    Eq. (1); docs/reading.md (block).

Example:

>>> add(1)
2

>>> add(2)
3

The end: of it."""


def test_a_docstring_becomes_markdown(module):
    assert module.to_markdown(DOCSTRING) == (
        "Adds.\n\nArgs:\n    x: A number.\n\n"
        "**Call arguments:**\n\n- `inputs`: Tokens\n    (B, T).\n"
        "- `training`: Whether it trains.\n\n"
        "**Input shape:** (B, T), or (T,)\n\n"
        "**Source:** Eq. (1); [how we read the paper][how-this-package-reads-the-paper] (block)."
        "\n\n**Example:**\n\n```pycon\n>>> add(1)\n2\n\n>>> add(2)\n3\n```\n\nThe end: of it."
    )


def test_no_example_is_lost(module, pytestconfig):
    """Every docstring of the package keeps its examples, and each of its words."""
    import ast

    count = 0
    for path in sorted((pytestconfig.rootpath / "keras_mlp3d").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ClassDef | ast.FunctionDef) or not ast.get_docstring(node):
                continue
            before = ast.get_docstring(node)
            after = module.to_markdown(before)
            fences = "\n\n".join(re.findall(r"```pycon\n(.*?)\n```", after, re.S))
            parser = doctest.DocTestParser()
            examples = [(e.source, e.want) for e in parser.get_examples(before)]
            assert [(e.source, e.want) for e in parser.get_examples(fences)] == examples, node.name
            count += len(examples)
    assert count > 500


def test_its_own_example_runs(module):
    assert doctest.testmod(module).attempted
    assert not doctest.testmod(module).failed
