"""What the README says: its main job runs, and its table is the presets' own."""

import re
import shutil

import keras_mlp3d as km
from keras_mlp3d.data.datasets.motion_shapes import write_motion_shapes


def readme(root_dir):
    return (root_dir / "README.md").read_text(encoding="utf-8")


def test_the_main_job_runs_as_written(root_dir, tmp_path, monkeypatch):
    code = re.search(r"```python\n(.*?)```", readme(root_dir), re.DOTALL).group(1)
    assert "fit(videos, epochs=10)" in code
    classes = ("circle_then_tilt", "tilt_then_circle")
    for split, clips in (("train", 8), ("val", 4)):  # as the next section asks for
        folder = tmp_path / "my_videos" / split
        write_motion_shapes(folder, split=split, num_clips=clips, classes=classes)
    shutil.copy(folder / classes[0] / "00000.mp4", tmp_path / "clip.mp4")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(code.replace("epochs=10", "epochs=1"), names)
    again = km.MLP3D.from_preset("my_preset")
    assert again.class_names == list(classes)
    assert "folders `train` and `val`, each with one folder per class" in readme(root_dir)


def test_the_table_of_presets_is_theirs(root_dir):
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*)$", readme(root_dir), re.MULTILINE))
    assert sorted(rows) == km.list_presets()
    for name, row in rows.items():
        preset = km.hub.read_preset(name)
        assert f" {preset.parameter_count:,} |" in row
        assert f" {preset.macs / 1e9:.2f} |" in row


def test_the_links_lead_somewhere(root_dir):
    links = re.findall(r"\]\(([^)#]+)\)", readme(root_dir))
    assert links
    for link in links:
        assert (root_dir / link).exists(), link


def test_small_networks_are_made_as_written(root_dir, tmp_path, monkeypatch):
    section = readme(root_dir).split("## Small: int8 and LoRA")[1].split("\n## ")[0]
    blocks = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert len(blocks) == 2
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks:
        exec(block, names)
    assert km.MLP3D.from_preset("small").get_layer("head").quantization_mode == "int8"
    assert (tmp_path / "mine.lora.h5").exists()


def test_the_export_is_made_as_written(root_dir, tmp_path, monkeypatch):
    """On PyTorch, as the section installs it; every backend's formats have tests of their own."""
    section = readme(root_dir).split("## Export")[1].split("\n## ")[0]
    assert "keras-mlp3d[torch,export]" in section
    (block,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(block, {"model": km.MLP3D.from_preset("mlp3d_nano_motion_shapes")})
    assert {path.name for path in tmp_path.iterdir()} == {
        "model.onnx",
        "model.onnx.json",
        "model.onnx.example.py",
    }
