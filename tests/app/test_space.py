"""The Hugging Face Space under examples/space: the package's page, with the package's bounds."""

import runpy
import tomllib

import pytest
import yaml

from keras_mlp3d import app

#: What the Space's first line asks for.
EXTRAS = ("app", "jax")


@pytest.fixture
def space(root_dir):
    return root_dir / "examples" / "space"


@pytest.fixture
def project(root_dir):
    return tomllib.loads((root_dir / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_requirements_are_the_bounds_of_the_package(space, project):
    lines = (space / "requirements.txt").read_text(encoding="utf-8").split()
    assert lines[0] == f"{project['name']}[{','.join(EXTRAS)}]"
    extras = [line for extra in EXTRAS for line in project["optional-dependencies"][extra]]
    assert sorted(lines[1:]) == sorted(project["dependencies"] + extras)


def test_the_front_matter_is_that_of_a_space(space, project):
    _, front, text = (space / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    front = yaml.safe_load(front)
    assert front["sdk"] == "gradio"
    assert (space / front["app_file"]).is_file()
    assert len(front["short_description"]) <= 60
    assert {"title", "colorFrom", "colorTo", "license"} <= set(front)
    [bound] = [
        line.removeprefix("gradio>=")
        for line in project["optional-dependencies"]["app"]
        if line.startswith("gradio>=")
    ]
    assert _version(front["sdk_version"]) >= _version(bound)
    assert _version(front["python_version"]) >= _version(
        project["requires-python"].removeprefix(">=")
    )
    assert "examples/clips" in text


@pytest.mark.parametrize("with_clips", [False, True])
def test_it_launches_the_package_s_page(space, tmp_path, monkeypatch, with_clips):
    got = {}
    monkeypatch.setattr(app, "launch", lambda **options: got.update(options))
    copy = tmp_path / "app.py"
    copy.write_bytes((space / "app.py").read_bytes())
    if with_clips:
        (tmp_path / "clips").mkdir()
    runpy.run_path(str(copy), run_name="__main__")
    clips = tmp_path / "clips" if with_clips else None
    assert got == {"host": "0.0.0.0", "port": 7860, "examples": clips}


def _version(text):
    return tuple(map(int, text.split(".")))
