"""What the README says: its main job runs, its figures are those of the pages, and it is short."""

import ast
import re
import shutil

import keras_mlp3d as km
from keras_mlp3d.data.datasets.motion_shapes import write_motion_shapes

#: Words of the README, tables included, blocks of code excluded.
MOST_WORDS = 700


def readme(root_dir):
    return (root_dir / "README.md").read_text(encoding="utf-8")


def main_job(root_dir):
    [code] = re.findall(r"```python\n(.*?)```", readme(root_dir), re.DOTALL)
    return code


def test_the_main_job_runs_as_written(root_dir, tmp_path, monkeypatch):
    code = main_job(root_dir)
    assert "epochs=10)" in code
    classes = ("circle_then_tilt", "tilt_then_circle")
    for split, clips in (("train", 8), ("val", 4)):
        folder = tmp_path / "my_videos" / split
        write_motion_shapes(folder, split=split, num_clips=clips, classes=classes)
    shutil.copy(folder / classes[0] / "00000.mp4", tmp_path / "clip.mp4")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(code.replace("epochs=10", "epochs=1"), names)
    again = km.MLP3D.from_preset("my_preset")
    assert again.class_names == list(classes)


def test_it_is_read_in_a_minute(root_dir):
    prose = re.sub(r"```.*?```", "", readme(root_dir), flags=re.DOTALL)
    assert len(prose.split()) <= MOST_WORDS
    assert len(ast.parse(main_job(root_dir)).body) == 8
    for command in ("make demo", "make test", "make docs"):
        assert f"`{command}`" in prose


def test_the_table_of_presets_is_theirs(root_dir):
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*)$", readme(root_dir), re.MULTILINE))
    assert len(rows) >= 5
    assert set(rows) <= set(km.list_presets())
    for name, row in rows.items():
        preset = km.hub.read_preset(name)
        assert f" {preset.parameter_count:,} |" in row
        assert f" {preset.macs / 1e9:.2f} |" in row
        assert (preset.weights == "bundled") == row.endswith(" bundled |")


def test_the_status_of_weights_is_true(root_dir):
    text = readme(root_dir)
    bundled = [name for name in km.list_presets() if km.hub.read_preset(name).weights == "bundled"]
    assert "- four small networks in the package" in text
    assert len(bundled) == 4


def test_its_figures_are_those_of_the_pages(root_dir):
    """Each has a command that exists, and stands in the page of all figures too."""
    section = readme(root_dir).split("## Five figures")[1].split("\n## ")[0]
    rows = re.findall(r"^\d\. (.*?)(?=^\d\. |\Z)", section, re.DOTALL | re.MULTILINE)
    assert len(rows) == 5
    measured = (root_dir / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    for row in rows:
        words = row.split("`")[0]
        figures = re.findall(r"(?<![\w.])\d+\.\d+(?:e-\d)?(?!\w)", words)
        assert figures
        for figure in figures:
            assert figure in measured, figure
        commands = re.findall(r"`python (benchmarks/\w+\.py)", row)
        assert commands or "The same with `--data" in row
        for path in commands:
            assert (root_dir / path).exists(), path


def test_the_links_lead_somewhere(root_dir):
    links = re.findall(r"\]\(([^)#]+)\)", readme(root_dir))
    assert len(links) > 15
    for link in links:
        # Absolute as soon as the repository has an address, see docs/set_address.py.
        path = re.sub(r"^https://github\.com/[^/]+/[^/]+/(?:blob|raw)/main/", "", link)
        assert (root_dir / path).exists(), link
