"""The cache of converted weights: made once, by one process, and noticed if it was changed."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import pytest
from hub.release_server import cache  # noqa: F401

from keras_mlp3d import hub
from keras_mlp3d.hub import HubError, converted_preset, read_preset

WEIGHTS = b"weights of the test"

PROCESS = """
import pathlib, sys, time
sys.path.insert(0, sys.argv[1])
from hub.test_converted import convert
from keras_mlp3d.hub import converted_preset, read_preset

def slow(folder):
    pathlib.Path("converting").touch()
    time.sleep(1)
    convert(folder)

print(converted_preset(read_preset("cyclemlp_b1_imagenet"), slow).folder)
"""


def convert(folder, weights=WEIGHTS):
    """Writes what a conversion leaves."""

    def write(new):
        (new / hub.WEIGHTS).write_bytes(weights)
        hub.write_json(new / hub.CONFIG, hub.serialized("CycleMLP", {"channels": [1, 2, 3, 4]}))
        sums = {hub.WEIGHTS: hub.file_sha256(new / hub.WEIGHTS)}
        metadata = {"sha256": sums, "source": "the test", "license": "of the cache", "macs": 3}
        hub.write_json(new / hub.METADATA, metadata)

    hub.write_preset(folder, write)


def refuse(folder):
    raise AssertionError("converted a second time")


@pytest.fixture
def preset():
    return read_preset("cyclemlp_b1_imagenet")


@pytest.fixture
def folder(preset, cache):  # noqa: F811
    """The folder of the cache with the converted preset."""
    folder = converted_preset(preset, convert).folder
    assert folder.is_relative_to(cache)
    return folder


def test_later_loads_convert_nothing(preset, folder):
    found = converted_preset(preset, refuse)
    assert (found.folder, found.handle) == (folder, preset.handle)
    assert (found.folder / found.weights_name(hub.WEIGHTS)).read_bytes() == WEIGHTS
    assert found.sha256 == {hub.WEIGHTS: hub.file_sha256(folder / hub.WEIGHTS)}
    assert not found.is_converted


def test_of_the_cache_only_the_weights_and_their_origin_are_used(preset, folder):
    found = converted_preset(preset, refuse)
    assert found.config == preset.config
    assert (found.metadata["source"], found.metadata["weights"]) == ("the test", "bundled")
    assert (found.metadata["license"], found.macs) == ("mit", preset.macs)


def flip(folder):
    content = bytearray((folder / hub.WEIGHTS).read_bytes())
    content[3] ^= 1
    (folder / hub.WEIGHTS).write_bytes(content)


def edit(folder, **changes):
    metadata = json.loads((folder / hub.METADATA).read_bytes())
    (folder / hub.METADATA).write_text(json.dumps({**metadata, **changes}))


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def link(path, target):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    path.symlink_to(target)


TAMPERED = {
    "one bit of the weights": flip,
    "truncated weights": lambda folder: (folder / hub.WEIGHTS).write_bytes(WEIGHTS[:5]),
    "no weights": lambda folder: (folder / hub.WEIGHTS).unlink(),
    "weights are a folder": lambda folder: (
        (folder / hub.WEIGHTS).unlink(),
        (folder / hub.WEIGHTS).mkdir(),
    ),
    "no metadata": lambda folder: (folder / hub.METADATA).unlink(),
    "damaged metadata": lambda folder: (folder / hub.METADATA).write_text("{"),
    "another sum": lambda folder: edit(folder, sha256={hub.WEIGHTS: "0" * 64}),
    "no sum": lambda folder: edit(folder, sha256={}),
    "a sum that is none": lambda folder: edit(folder, sha256={hub.WEIGHTS: 3}),
    "the sum of another file": lambda folder: edit(folder, sha256={"../x": "0" * 64}),
    "a foreign file": lambda folder: ((folder / "x").touch(), flip(folder)),
    "nothing but the folder": lambda folder: [path.unlink() for path in folder.iterdir()],
    # Nobody writes to these pipes: who reads them waits for ever.
    "weights are a pipe": lambda folder: pipe(folder / hub.WEIGHTS),
    "metadata are a pipe": lambda folder: pipe(folder / hub.METADATA),
    "weights without an end": lambda folder: link(folder / hub.WEIGHTS, "/dev/zero"),
    "a link to another folder": lambda folder: link(folder, folder.parents[1]),
    "a link to nothing": lambda folder: link(folder, folder.parents[1] / "absent"),
    "a file": lambda folder: (shutil.rmtree(folder), folder.write_text("a file")),
}


@pytest.mark.parametrize("tamper", TAMPERED.values(), ids=TAMPERED)
def test_a_cache_that_was_changed_is_made_again(preset, folder, tamper, caplog):
    tamper(folder)
    found = converted_preset(preset, convert)
    assert (found.folder / hub.WEIGHTS).read_bytes() == WEIGHTS
    [record] = caplog.records
    assert "not as they were written, and are converted again" in record.getMessage()
    assert str(folder) in record.getMessage()
    assert converted_preset(preset, refuse).folder == folder


def test_of_a_link_only_the_link_is_removed(preset, folder, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    link(folder, tmp_path / "mine")
    converted_preset(preset, convert)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
    assert not folder.is_symlink()


def test_what_cannot_be_removed(preset, folder, monkeypatch):
    def fail(path):
        raise PermissionError(13, "Permission denied", "README.md")

    flip(folder)
    monkeypatch.setattr(shutil, "rmtree", fail)
    with pytest.raises(HubError, match=r"cannot be written .*README\.md.*set HF_HOME") as caught:
        converted_preset(preset, convert)
    assert str(folder) in str(caught.value)


def test_a_lock_that_is_none(preset, folder):
    flip(folder)
    (folder.parent / "lock").unlink(missing_ok=True)
    (folder.parent / "lock").mkdir()
    with pytest.raises(HubError, match=r"cannot be written .*set HF_HOME"):
        converted_preset(preset, convert)


def test_if_it_cannot_be_made_again_nothing_is_loaded(preset, folder):
    def fail(folder):
        raise HubError("no network")

    flip(folder)
    for _ in range(2):
        with pytest.raises(HubError, match="no network"):
            converted_preset(preset, fail)


def test_a_conversion_that_leaves_nothing(preset, cache):  # noqa: F811
    with pytest.raises(HubError, match="changed while 'cyclemlp_b1_imagenet' was loaded"):
        converted_preset(preset, lambda folder: None)


def test_another_version_of_the_preset_has_another_folder(preset, folder):
    preset.config["depths"] = [1, 1, 1, 1]
    with pytest.raises(AssertionError, match="converted a second time"):
        converted_preset(preset, refuse)


def test_a_cache_that_cannot_be_written(preset, cache):  # noqa: F811
    cache.write_text("a file")
    with pytest.raises(HubError, match=r"cannot be written .*set HF_HOME"):
        converted_preset(preset, convert)


def test_only_built_in_presets_name_an_address(preset, tmp_path):
    assert preset.is_converted
    assert preset.download_bytes == 4 * preset.parameter_count
    inflated = read_preset("mlp3d_xs_imagenet")
    assert inflated.download_bytes == preset.download_bytes
    assert read_preset("cyclemlp_b1").download_bytes is None
    shutil.copytree(preset.folder, tmp_path / "copy")
    copied = read_preset(tmp_path / "copy")
    assert copied.weights == preset.weights
    assert not copied.is_converted
    with pytest.raises(FileNotFoundError, match="lacks its weights"):
        copied.weights_file(hub.WEIGHTS)


def test_two_processes_convert_once(preset, cache, tmp_path):  # noqa: F811
    """This process asks while another one converts."""
    tests = str(pathlib.Path(__file__).parent.parent)
    environment = {**os.environ, "HF_ASSETS_CACHE": str(cache), "KERAS_BACKEND": "numpy"}
    command = [sys.executable, "-c", PROCESS, tests]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    ) as other:
        while not (tmp_path / "converting").exists():
            assert other.poll() is None
            time.sleep(0.01)
        assert not list(cache.rglob(hub.WEIGHTS))
        found = converted_preset(preset, refuse)
        printed = other.communicate()[0]
    assert other.returncode == 0
    assert printed.strip() == str(found.folder)
    assert (found.folder / hub.WEIGHTS).read_bytes() == WEIGHTS
