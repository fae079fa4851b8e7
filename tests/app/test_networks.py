"""The networks of the page: which, loaded how often, and whose turn it is. None is built."""

import gc
import json
import shutil
import threading
import time

import pytest

from keras_mlp3d import hub, models
from keras_mlp3d.app import Networks, Refused
from keras_mlp3d.app.networks import CLASSIFIERS, bundled_classifiers

A, B = "mlp3d_nano_motion_shapes", "mlp3d_nano_searched"


@pytest.fixture
def loaded(monkeypatch):
    """The presets that were loaded; an object stands for each network."""
    names = []

    def from_preset(files):
        names.append(files.handle)
        return f"network {files.handle}"

    monkeypatch.setattr(models.MLP3D, "from_preset", from_preset)
    return names


def test_the_presets_of_the_package_real_videos_first():
    names = bundled_classifiers()
    assert names[:2] == ["mlp3d_tiny_grid_words", "mlp3d_tiny_radar_gestures"]
    assert {A, B} <= set(names)
    for name in names:
        files = hub.read_preset(name)
        assert files.weights == "bundled"
        assert files.class_name in CLASSIFIERS
    assert Networks().names == tuple(names)


def test_a_preset_is_loaded_once(loaded):
    networks = Networks([A, B, A])
    assert networks.names == (A, B)
    assert loaded == []
    with_threads(lambda: networks.run(A, lambda model: model), 8)
    assert networks.run(B, lambda model: model) == f"network {B}"
    assert loaded == [A, B]


def test_only_the_most_recent_are_kept(loaded):
    networks = Networks([A, B], keep=1)
    for name in (A, A, B, A):
        networks.run(name, lambda model: model)
    assert loaded == [A, B, A]


def test_the_thread_of_a_forgotten_network_ends(loaded):
    networks = Networks([A, B], keep=1)
    thread = networks.run(A, lambda model: threading.current_thread())
    networks.run(B, lambda model: model)
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()


def test_requests_take_turns(loaded):
    """The batches of a long request do not keep a short one waiting until its end."""
    networks, order, begun = Networks([A]), [], threading.Event()

    def batch(name):
        begun.set()
        time.sleep(0.02)
        order.append(name)

    def long():
        for _ in range(20):
            networks.run(A, lambda model: batch("long"))

    thread = threading.Thread(target=long)
    thread.start()
    begun.wait()
    networks.run(A, lambda model: batch("short"))
    thread.join()
    assert order.index("short") <= 3


def test_a_network_that_is_busy_refuses_in_time_and_works_afterwards(loaded):
    networks, free = Networks([A, B]), threading.Event()
    thread = threading.Thread(target=lambda: networks.run(A, lambda model: free.wait(30)))
    thread.start()
    try:
        with pytest.raises(Refused, match=r"no answer in time\. Try again"):
            networks.run(A, lambda model: model, until=time.monotonic() + 0.05)
        assert networks.run(B, lambda model: model) == f"network {B}"  # others are not affected
    finally:
        free.set()
        thread.join()
    assert networks.run(A, lambda model: model) == f"network {A}"


def test_errors_of_the_function_are_the_callers(loaded):
    networks = Networks([A])

    def fail(model):
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        networks.run(A, fail, until=time.monotonic() + 30)


def test_presets_that_the_page_cannot_use(tmp_path):
    for name, part in (
        ("mlp3d_xs", "mlp3d_xs' has no weights. Train it first: keras-mlp3d train"),
        ("cyclemlp_b1", "'cyclemlp_b1' holds a CycleMLP; the page needs MLP3D, "),
        ("absent", "Unknown preset 'absent'"),
    ):
        with pytest.raises(ValueError, match=part):
            Networks([A, name])
    shutil.copytree(hub.read_preset(A).folder, tmp_path / "mine")
    (tmp_path / "mine" / "video_converter.json").unlink()
    with pytest.raises(ValueError, match="does not say how a video becomes a clip"):
        Networks([str(tmp_path / "mine")])
    with pytest.raises(Refused, match="does not offer the preset 'other'"):
        Networks([A]).run("other", print)


def test_classes_without_names_are_numbered(tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(hub.read_preset(A).folder, folder)
    task = json.loads((folder / "task.json").read_text())
    task["config"]["class_names"] = None
    (folder / "task.json").write_text(json.dumps(task))
    networks = Networks([str(folder)])
    assert networks.classes(str(folder))[:2] == ["class 0", "class 1"]
    assert len(networks.classes(str(folder))) == 20


def with_threads(function, count):
    threads = [threading.Thread(target=function) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
