"""How many workers there is room for, what they get, and what is said without Ray."""

import errno
import sys

import pytest
from fake_ray import FakeRay

from keras_mlp3d._utils import ray_cluster
from keras_mlp3d._utils.ray_cluster import (
    connected,
    import_ray,
    number_of_workers,
    raise_said,
    room_for_workers,
    said_error,
    worker_environment,
)


def test_without_ray_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError) as caught, connected("local"):
        pass
    assert str(caught.value) == "Ray is not installed: pip install 'keras-mlp3d[ray]'"
    monkeypatch.setitem(sys.modules, "ray", FakeRay())  # without its part for data
    with pytest.raises(ImportError, match="Ray is not installed"):
        import_ray()


@pytest.mark.parametrize(
    ("cpus", "gpus", "room"),
    [(1, 0, 22), (4, 0, 5), (7, 0, 2), (1, 1, 4), (8, 3, 1), (0.5, 0.25, 16), (17, 0, 0)],
)
def test_workers_are_counted_machine_by_machine(cpus, gpus, room):
    """A worker does not span machines: 16 + 6 CPUs hold two workers of 7, not three."""
    assert room_for_workers(FakeRay((16, 4), (6, 0)), cpus, gpus) == room


def test_fractions_that_add_up_to_a_whole_count():
    assert room_for_workers(FakeRay((1, 0)), 0.1, 0) == 10


def test_a_worker_for_which_no_machine_is_large_enough():
    ray = FakeRay((2, 0), (2, 0))
    with pytest.raises(ValueError, match=r"needs 3 CPUs and 0 GPUs, .* in all it has 4 CPUs"):
        number_of_workers(ray, None, 3, 0)
    assert number_of_workers(ray, 5, 3, 0) == 5  # the cluster may grow
    assert number_of_workers(ray, None, 1, 0) == 4


def test_a_connection_is_used_and_kept(monkeypatch):
    ray = FakeRay()
    monkeypatch.setattr(ray_cluster, "import_ray", lambda: ray)
    with connected() as one, connected("auto") as other:
        assert one is other is ray
    with pytest.raises(ValueError, match="address must be None, as this process is connected"):
        connected("head:6379").__enter__()
    assert ray.started == []


def test_a_cluster_of_ones_own_is_small_and_ends(monkeypatch):
    ray = FakeRay()
    ray.is_initialized = lambda: False
    monkeypatch.setattr(ray_cluster, "import_ray", lambda: ray)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(KeyError), connected():
        raise KeyError
    [options, end] = ray.started
    assert end == "shutdown"
    assert options["address"] == "local"
    assert options["include_dashboard"] is False
    assert options["object_store_memory"] == 200 * 2**20
    assert not ray_cluster.os.path.exists(options["_temp_dir"])


def test_a_slow_start_is_tried_again(monkeypatch):
    ray = FakeRay()
    ray.is_initialized = lambda: False
    monkeypatch.setattr(ray_cluster, "import_ray", lambda: ray)
    failures = [Exception("timed out")]

    def init(**options):
        ray.started.append(options["_temp_dir"])
        if failures:
            raise failures.pop()

    ray.init = init
    with connected("local"):
        pass
    one, after_one, other, end = ray.started
    assert (after_one, end) == ("shutdown", "shutdown")
    assert one != other
    failures += [Exception("timed out")] * 3
    with pytest.raises(RuntimeError, match="Ray does not start on this machine: timed out"):
        connected("local").__enter__()


def test_no_cluster_at_an_address(monkeypatch):
    ray = FakeRay()
    ray.is_initialized = lambda: False

    def init(**options):
        assert options["address"] == "head:6379"
        raise ConnectionError("refused")

    ray.init = init
    monkeypatch.setattr(ray_cluster, "import_ray", lambda: ray)
    with pytest.raises(ConnectionError, match="no Ray cluster answers at 'head:6379': refused"):
        connected("head:6379").__enter__()


def test_workers_have_the_backend_of_the_caller_and_few_threads():
    environment = worker_environment("jax", 3)
    assert environment["KERAS_BACKEND"] == "jax"
    threads = {name for name, value in environment.items() if value == "3"}
    assert {"OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "NPROC"} <= threads - {
        "TF_CPP_MIN_LOG_LEVEL"
    }


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (ValueError("clips too long"), ValueError, "clips too long"),
        (OSError(errno.ENOSPC, "No space", "a"), OSError, r"\[Errno 28\] No space: 'a'"),
        (FileNotFoundError("gone"), FileNotFoundError, "gone"),
        (ZeroDivisionError("by zero"), RuntimeError, "ZeroDivisionError: by zero"),
    ],
)
def test_an_error_of_a_worker_arrives_with_its_kind(error, kind, text):
    with pytest.raises(kind, match=f"^{text}$"):
        raise_said(*said_error(error))
