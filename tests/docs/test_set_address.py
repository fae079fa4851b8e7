"""`docs/set_address.py` sets the repository's address everywhere, and can change it again."""

import importlib.util
import json
import re
import shutil
import tomllib

import pytest
import yaml

FILES = ("README.md", "pyproject.toml", "CITATION.cff", "mkdocs.yml")
ADDRESS, OTHER = "https://github.com/someone/keras-mlp3d", "https://github.com/another/mlp3d.keras"


@pytest.fixture
def module(pytestconfig):
    path = pytestconfig.rootpath / "docs" / "set_address.py"
    spec = importlib.util.spec_from_file_location("set_address", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(pytestconfig, tmp_path):
    for name in FILES:
        shutil.copy(pytestconfig.rootpath / name, tmp_path / name)
    shutil.copytree(pytestconfig.rootpath / "notebooks", tmp_path / "notebooks")
    return tmp_path


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def badges(checkout):
    """{notebook: where its badge leads}."""
    found = {}
    for path in sorted((checkout / "notebooks").glob("*.ipynb")):
        first = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
        [found[path.name]] = re.findall(r"colab-badge\.svg\)\]\((.*?)\)", first)
        assert ("Upload" in first) == found[path.name].endswith(".com/")
    return found


def test_an_address_is_set_everywhere(module, checkout):
    changed = module.set_address(ADDRESS, checkout)
    assert set(FILES) <= set(changed)
    assert module.current_address(checkout) == ADDRESS
    readme = (checkout / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"(!?)\[[^\]]*\]\(([^)]*)\)", readme)
    assert len(links) > 15
    for picture, link in links:
        assert link.startswith(f"{ADDRESS}/{'raw' if picture else 'blob'}/main/"), link
    for name, link in badges(checkout).items():
        place = "https://colab.research.google.com/github/someone/keras-mlp3d/blob/main/notebooks/"
        assert link == place + name
    urls = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]["urls"]
    assert urls["Issues"] == f"{ADDRESS}/issues"
    assert urls["Paper"].startswith("https://")
    assert yaml.safe_load((checkout / "CITATION.cff").read_text())["repository-code"] == ADDRESS
    assert f"\nrepo_url: {ADDRESS}\n" in (checkout / "mkdocs.yml").read_text()


def test_it_is_set_once_and_can_be_changed(module, checkout):
    module.set_address(ADDRESS, checkout)
    assert module.set_address(ADDRESS, checkout) == []
    module.set_address(OTHER, checkout)
    assert not [path for path, content in contents(checkout).items() if ADDRESS.encode() in content]
    module.set_address(ADDRESS, checkout)
    once = contents(checkout)
    module.set_address(OTHER, checkout)
    module.set_address(ADDRESS, checkout)
    assert contents(checkout) == once


@pytest.mark.parametrize("wrong", ["http://github.com/a/b", "https://github.com/a/b/", "a/b", ""])
def test_a_wrong_address_changes_nothing(module, checkout, wrong):
    before = contents(checkout)
    with pytest.raises(ValueError, match=r"https://github\.com/OWNER/NAME"):
        module.set_address(wrong, checkout)
    assert contents(checkout) == before


def test_the_repository_names_one_address_or_none(module, pytestconfig):
    root = pytestconfig.rootpath
    address = module.current_address(root)
    links = re.findall(r"\]\(([^)]*)\)", (root / "README.md").read_text(encoding="utf-8"))
    assert {link.startswith(f"{address}/") for link in links} == {address is not None}
    cited = yaml.safe_load((root / "CITATION.cff").read_text()).get("repository-code")
    assert cited == address
