"""The site of the documentation builds without a warning, holds every public name, and asks no one.

mkdocs runs in a process of its own, as `make docs` runs it.
"""

import html.parser
import os
import re
import subprocess
import sys

import pytest
from test_docstrings import public_objects


def build(config, to):
    """Builds a site strictly; gives the exit status and what was printed."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(config)]
    done = subprocess.run(
        [*command, "-d", str(to)],
        cwd=config.parent,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def site(pytestconfig, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    status, printed = build(pytestconfig.rootpath / "mkdocs.yml", folder)
    assert status == 0, printed
    assert "WARNING" not in printed
    return folder


class Page(html.parser.HTMLParser):
    """The anchors of a page, and the addresses that a browser fetches to show it."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.fetched = set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.anchors |= {values["id"]} if "id" in values else set()
        if tag != "a" and values.get("rel") not in ("canonical", "next", "prev"):
            self.fetched += [values[name] for name in ("src", "href") if values.get(name)]


def test_every_public_name_has_an_entry(site):
    anchors = set().union(*(Page(path).anchors for path in (site / "api").glob("*.html")))
    public = public_objects()
    assert len(public) > 150
    for name, value in public.items():
        # A function with the name of its file, or a late import, has the anchor of its own module.
        own = f"{value.__module__}.{value.__qualname__}"
        late = name.replace("data.motion_shapes", "data.datasets.motion_shapes")
        assert anchors & {f"keras_mlp3d.{name}", own, f"keras_mlp3d.{late}"}, name


def test_examples_and_sources_of_docstrings_are_set(site):
    text = (site / "api" / "layers.html").read_text(encoding="utf-8")
    assert "&gt;&gt;&gt; </span>" in text, "examples are code"
    assert "<strong>Source:</strong> Section 3.3" in text
    assert 'href="../reading.html#how-this-package-reads-the-paper"' in text
    assert "<blockquote>" not in text, "a prompt outside of a code block"


def test_the_help_of_every_command_is_there(site):
    text = (site / "commands.html").read_text(encoding="utf-8")
    for command in ("predict", "train", "evaluate", "search", "export", "upload"):
        assert f"usage: keras-mlp3d {command}" in text


def test_nothing_is_fetched_from_elsewhere(site):
    """Privacy: a reader's browser asks the site alone, for fonts and programs too."""
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 25
    for path in pages:
        fetched = Page(path).fetched
        assert fetched
        outside = [address for address in fetched if re.match(r"(https?:)?//", address)]
        assert not outside, f"{path.relative_to(site)}: {outside}"
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"url\(['\"]?(https?:)?//|@import", text), sheet


#: What makes a build fail, as the text of a page, and what mkdocs then says of it.
BROKEN = {
    "gone": ("[other](gone_page.md)", "'gone_page.md'"),
    "anchor": ("[other](index.md#gone)", "'#gone'"),
    "own_anchor": ("[here](#gone_too)", "'#gone_too'"),
    "absolute": ("[other](/index.md)", "'/index.md'"),
    "folder": ("[other](index/)", "'index/'"),
}


def test_broken_links_and_forgotten_pages_fail(pytestconfig, tmp_path):
    """The test of the test: with the settings of mkdocs.yml, and without its plugins."""
    pages = tmp_path / "docs"
    pages.mkdir()
    names = ["index.md", *(f"{name}.md" for name in BROKEN)]
    for name in names:
        (pages / name).write_text("# A page\n\n[here](index.md#a-page)\n")
    config = tmp_path / "mkdocs.yml"
    settings = {"INHERIT": pytestconfig.rootpath / "mkdocs.yml", "docs_dir": "docs"}
    settings |= {"hooks": [], "plugins": [], "theme": {"name": "mkdocs"}, "nav": names}
    config.write_text("\n".join(f"{name}: {value}" for name, value in settings.items()))
    status, printed = build(config, tmp_path / "site")
    assert status == 0, printed
    for name, (text, _) in BROKEN.items():
        (pages / f"{name}.md").write_text(f"# A page\n\n{text}\n")
    (pages / "forgotten.md").write_text("# In no navigation\n")
    status, printed = build(config, tmp_path / "site")
    assert status != 0
    said = [line for line in printed.splitlines() if "WARNING" in line or "forgotten" in line]
    for name, (_, words) in BROKEN.items():
        assert any(f"'{name}.md'" in line and words in line for line in said), (name, printed)
    assert any("forgotten.md" in line for line in said), printed
