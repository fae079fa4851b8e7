"""Remote paths through `tf.io.gfile`, here on TensorFlow's own `ram://`."""

import pathlib
import subprocess
import sys
import tomllib

import numpy as np
import pytest
from data.make_videos import moving_frames, write_lossless
from packaging.requirements import Requirement

from keras_mlp3d._utils import remote
from keras_mlp3d.data import (
    Manifest,
    ShardError,
    VideoConverter,
    VideoError,
    VideoLoader,
    VideoRow,
    check_videos,
    probe_video,
    read_csv,
    read_manifest,
    read_shards,
    read_video,
    write_shards,
)

tf = pytest.importorskip("tensorflow")
CONVERTER = VideoConverter(3, (32, 32))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with videos in class folders, a CSV and shards, and the address of its copy."""
    folder = tmp_path_factory.mktemp("remote")
    for number, name in enumerate(("videos/jump", "videos/run", "videos/run/.hidden")):
        (folder / name).mkdir(parents=True)
        write_lossless(folder / name / f"{number}.mkv", moving_frames(10 + number, 32, 40))
    (folder / "videos" / "notes.txt").write_text("no video")
    manifest = read_manifest(folder / "videos")
    manifest.write_csv(folder / "train.csv")
    write_shards(manifest, folder / "shards", quality=1)
    address = f"ram://{folder.name}"
    for path in folder.rglob("*"):
        if path.is_file():
            place = f"{address}/{path.relative_to(folder).as_posix()}"
            tf.io.gfile.makedirs(place.rpartition("/")[0])
            tf.io.gfile.copy(str(path), place, overwrite=True)
    return folder, address


@pytest.mark.parametrize("source", ["videos", "videos/", "train.csv", "shards"])
def test_every_source_reads_as_it_does_here(data, source):
    folder, address = data
    here, there = read_manifest(folder / source), read_manifest(f"{address}/{source}")
    assert (there.class_names, there.labels.tolist()) == (("jump", "run"), [0, 1])
    assert all(row.path.startswith(f"{address}/") for row in there.rows)
    assert there.digest == here.digest
    assert there.missing() == ()
    for row, other in zip(here.rows, there.rows, strict=True):
        np.testing.assert_array_equal(CONVERTER(row.path), CONVERTER(other.path))
        assert probe_video(row.path) == probe_video(other.path)
    options = {"batch_size": 2, "training": True}
    clips = VideoLoader(here, CONVERTER, **options)[0][0]
    np.testing.assert_array_equal(VideoLoader(there, CONVERTER, **options)[0][0], clips)
    assert [check.error for check in check_videos(there, workers=1)] == ["", ""]


def test_rows_may_be_remote_in_a_csv_here(data, tmp_path):
    _, address = data
    (tmp_path / "a.csv").write_text(f"path,label\n{address}/videos/run/1.mkv,run\n")
    row = read_csv(tmp_path / "a.csv").rows[0]
    assert read_video(row.path)[0].shape == (11, 32, 40, 3)


def test_shards_are_verified_there(data):
    _, address = data
    assert len(read_shards(f"{address}/shards", verify=True)) == 2
    assert len(read_shards(f"{address}/shards/train.shards.json")) == 2
    path = f"{address}/spoilt/train-00000-of-00001.tfrecord"
    for name in ("train.shards.json", "train-00000-of-00001.tfrecord"):
        tf.io.gfile.makedirs(f"{address}/spoilt")
        tf.io.gfile.copy(f"{address}/shards/{name}", f"{address}/spoilt/{name}", overwrite=True)
    manifest = read_shards(f"{address}/spoilt")
    content = remote.read_bytes(path)
    tf.io.gfile.remove(path)  # ram:// appends to what is there
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(content[:-50])
    with pytest.raises(ShardError, match="it is truncated"):
        read_shards(f"{address}/spoilt")
    with pytest.raises(ShardError, match=r"spoilt/train-00000-of-00001\.tfrecord"):
        [read_video(row.path) for row in manifest.rows]


def test_what_is_not_there_is_named(data, monkeypatch):
    _, address = data
    with pytest.raises(VideoError, match=f"{address}/a.mp4.*does not exist") as info:
        read_video(f"{address}/a.mp4")
    assert info.value.path == f"{address}/a.mp4"
    with pytest.raises(VideoError, match="cannot be opened as a video"):
        read_video(f"{address}/train.csv")
    with pytest.raises(FileNotFoundError, match=f"there is none at {address}/no"):
        read_manifest(f"{address}/no")
    with pytest.raises(FileNotFoundError, match="a CSV file"):
        read_csv(f"{address}/no.csv")
    with pytest.raises(FileNotFoundError, match=r"val\.shards\.json does not exist"):
        read_shards(f"{address}/shards", "val")
    monkeypatch.setattr(remote.read_bytes, "__defaults__", (0, None, 100))
    with pytest.raises(VideoError, match="more than 100 are refused"):
        read_video(f"{address}/videos/run/1.mkv")


def test_an_unreadable_remote_training_video_is_replaced(data):
    _, address = data
    rows = [VideoRow(f"{address}/gone.mp4", 0), VideoRow(f"{address}/videos/run/1.mkv", 1)]
    loader = VideoLoader(Manifest(rows, ["a", "b"], "train"), CONVERTER, 2, training=True)
    assert loader[0][1].tolist() == [1, 1]
    assert list(loader.source.unreadable) == [f"{address}/gone.mp4"]


def test_a_scheme_that_nobody_knows_says_what_to_install(monkeypatch):
    monkeypatch.setattr(remote, "_PYTHON", (3, 12, 9))
    with pytest.raises(ImportError, match=r"nobody:// needs tensorflow-io.*keras-mlp3d\[io\]"):
        read_video("nobody://bucket/a.mp4")


def test_a_python_without_tensorflow_io_is_named(monkeypatch):
    """The extra `io` is empty there, so `pip install` of it would change nothing."""
    monkeypatch.setattr(remote, "_PYTHON", (3, 13, 1))
    with pytest.raises(ImportError) as info:
        read_video("nobody://bucket/a.mp4")
    assert str(info.value) == (
        "nobody://bucket/a.mp4 cannot be read: nobody:// needs tensorflow-io, which is not "
        "installed or does not know it: there is no tensorflow-io for Python 3.13.1, where the "
        "extra [io] is empty; use Python 3.11 or 3.12, or copy the files to a local folder"
    )
    assert remote._what_to_install("gs") == "pip install keras-mlp3d[tensorflow]"
    monkeypatch.setattr(remote, "_PYTHON", (3, 12, 9))
    assert remote._what_to_install("s3") == "pip install keras-mlp3d[io]"


def test_the_extra_is_empty_where_the_error_says_so(pytestconfig):
    project = tomllib.loads((pytestconfig.rootpath / "pyproject.toml").read_text())["project"]
    requirements = [Requirement(text) for text in project["optional-dependencies"]["io"]]
    for version in ("3.11", "3.12", "3.13", "3.14"):
        environment = {"python_version": version, "python_full_version": f"{version}.0"}
        installed = [item for item in requirements if item.marker.evaluate(environment)]
        numbers = tuple(map(int, version.split(".")))
        assert bool(installed) == (numbers < remote._NO_TENSORFLOW_IO), version


def test_without_tensorflow_it_says_what_to_install():
    code = (
        "import sys\nsys.modules['tensorflow'] = None\n"
        "from keras_mlp3d._utils import remote\n"
        "try:\n    remote.read_bytes('s3://a/b.mp4')\n"
        "except ImportError as error:\n    print(error)\n"
    )
    root = pathlib.Path(remote.__file__).parents[2]
    environment = {"PYTHONPATH": str(root), "PATH": "", "KERAS_BACKEND": "jax"}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout.startswith("s3:// needs TensorFlow, which is not installed: ")
    assert remote._what_to_install("s3") in result.stdout
