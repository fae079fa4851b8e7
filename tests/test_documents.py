"""The documents for people name files and decisions that exist."""

import pathlib
import re
import tomllib

import pytest
import yaml

import keras_mlp3d

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "keras_mlp3d"
#: A path in a document: a file, or a folder that ends in a slash.
PATH = re.compile(r"`([\w./*]+(?:\.py|\.md|\.json|/))`")
MENTION = re.compile(r"docs/reading\.md(?: \(([^)]*)\))?")


def decisions():
    """{name: text} of docs/reading.md, the names in lower case."""
    text = (ROOT / "docs" / "reading.md").read_text(encoding="utf-8")
    found = re.findall(r"^\*\*\d+\. (.*?)\.\*\*(.*?)(?=^\*\*|^## |\Z)", text, re.M | re.S)
    return {name.lower(): body for name, body in found}


def names_mentioned(text):
    """The decisions that a text names, "" for a mention without a name."""
    for names in MENTION.findall(" ".join(text.split())):
        yield from (name.strip().lower() for name in names.split(","))


def missing_paths(text, folder):
    """Paths in a document, relative to a folder, that do not exist."""
    return [path for path in PATH.findall(text) if "*" not in path and not (folder / path).exists()]


def test_decisions_are_numbered_without_a_gap():
    text = (ROOT / "docs" / "reading.md").read_text(encoding="utf-8")
    numbers = [int(number) for number in re.findall(r"^\*\*(\d+)\. ", text, re.M)]
    assert numbers == list(range(1, len(decisions()) + 1))
    assert len(numbers) >= 30


@pytest.mark.parametrize("name", decisions())
def test_a_decision_names_the_files_that_carry_it_out(name):
    text = decisions()[name]
    assert PATH.findall(text), "it names no file"
    assert not missing_paths(text, PACKAGE)


def test_docstrings_name_decisions_that_exist():
    known, count = decisions(), 0
    for path in sorted(PACKAGE.rglob("*.py")):
        for name in names_mentioned(path.read_text(encoding="utf-8")):
            count += 1
            assert name in known, f"{path.relative_to(ROOT)} names docs/reading.md ({name})"
    assert count


def test_mentions_are_seen():
    """The test of the test."""
    text = "docs/reading.md (Time bias, layout\n    of the kernel); docs/reading.md"
    text += " (pixels). docs/reading.md"
    assert list(names_mentioned(text)) == ["time bias", "layout of the kernel", "pixels", ""]


def contributing():
    return (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def rows(text):
    """The cells of each row of the table in a text."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines[2:]]


def test_the_map_names_every_package_and_files_that_exist():
    section = contributing().split("## The map\n")[1].split("\n## ")[0]
    named = [path for row in rows(section) for path in re.findall(r"`([\w/]+)`", row[0])]
    for path in named:
        assert (ROOT / path).exists(), path
    packages = {path.parent.relative_to(ROOT) for path in PACKAGE.glob("*/__init__.py")}
    assert packages <= set(map(pathlib.Path, named)) | {pathlib.Path("keras_mlp3d/data")}


def test_the_papers_parts_are_where_the_map_says():
    table = rows((ROOT / "docs" / "paper_to_code.md").read_text(encoding="utf-8"))
    assert len(table) >= 15
    for part, code in table:
        paths = re.findall(r"`([\w./*]+)`", code)
        assert paths, part
        for path in paths:
            place = ROOT if path.startswith("presets/") else PACKAGE
            assert list(place.glob(path.rstrip("/"))), f"{part}: {path}"


def test_other_files_named_in_contributing_exist():
    outside = contributing()
    # A name without a folder is that of a file that a preset, or any folder, may have.
    for path in [name for name in PATH.findall(outside) if "/" in name or name.endswith(".md")]:
        assert (ROOT / path).exists() or (PACKAGE / path).exists(), path


def test_make_targets_that_are_named_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w-]+):", makefile, re.M))
    named = set(re.findall(r"make ([a-z][\w-]*)", contributing()))
    assert {"test", "test-quick", "test-oldest", "lint", "demo", "docs"} <= named
    assert named <= targets


def citation():
    return yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_the_citation_is_of_this_version_and_of_the_paper():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = citation()
    assert found["cff-version"] == "1.2.0"
    assert found["version"] == keras_mlp3d.__version__
    assert found["license"] == project["license"]
    [paper] = found["references"]
    assert [author["family-names"] for author in paper["authors"]] == ["Qiu", "Yao", "Ngo", "Mei"]
    assert (paper["year"], paper["start"], paper["end"]) == (2022, 3052, 3062)
    assert paper["url"] == project["urls"]["Paper"]
