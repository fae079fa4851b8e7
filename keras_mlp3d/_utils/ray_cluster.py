"""Connections to Ray: to a cluster that runs, or to one on this machine for the time of a block."""

import builtins
import contextlib
import logging
import math
import os
import pathlib
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from typing import Any, NoReturn

from keras_mlp3d._utils.ordered_map import default_workers

LOCAL = "local"

_STORE_BYTES = 200 * 2**20  # of a local cluster's shared memory: what is sent is small
#: Ray's sockets are in its temporary folder, and their paths may have about 100 characters.
_LONGEST_FOLDER = 40
_STARTS = 3
_QUIET: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}


def import_ray() -> Any:
    """Return the module `ray`, with `ray.data`.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ImportError("Ray is not installed: pip install 'keras-mlp3d[ray]'") from error
    return ray


@contextlib.contextmanager
def connected(address: str | None = None) -> Iterator[Any]:
    """Yield the module `ray`, connected to a cluster.

    A connection that was made before is used and kept.

    Args:
        address: "local" for a cluster on this machine that ends with the block; "auto", HOST:PORT
            or "ray://..." for a cluster that runs. None for the connection that there is, else the
            cluster of RAY_ADDRESS, else "local".

    Raises:
        ImportError: If Ray is not installed.
        ValueError: If there is a connection and `address` asks for another.
        ConnectionError: If no cluster runs at the address.
        RuntimeError: If Ray does not start on this machine.
    """
    ray = import_ray()
    if ray.is_initialized():
        if address not in (None, "auto"):
            raise ValueError(
                f"address must be None, as this process is connected to Ray already; got "
                f"{address!r}."
            )
        yield ray
        return
    address = address or os.environ.get("RAY_ADDRESS") or LOCAL
    with contextlib.ExitStack() as stack:
        with _same_handler():
            if address == LOCAL:
                _start_here(ray, stack)
            else:
                _connect(ray, address)
        stack.callback(ray.shutdown)
        yield ray


@contextlib.contextmanager
def _same_handler() -> Iterator[None]:
    """Keep what SIGTERM does in this process, which Ray changes when it starts."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def _connect(ray: Any, address: str) -> None:
    try:
        ray.init(address=address, **_QUIET)
    except (ConnectionError, ValueError) as error:
        raise ConnectionError(f"no Ray cluster answers at {address!r}: {error}") from error


def _start_here(ray: Any, stack: contextlib.ExitStack) -> None:
    """Start a small cluster on this machine; its folder is removed at the end."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # its log ends with the cluster
    place = tempfile.gettempdir()
    failed: Exception | None = None
    for _ in range(_STARTS):  # it waits for itself for 30 seconds, too few on a busy machine
        folder = tempfile.mkdtemp(
            prefix="ray-", dir="/tmp" if len(place) > _LONGEST_FOLDER else None
        )
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            ray.init(
                address=LOCAL,
                num_cpus=default_workers(),
                include_dashboard=False,
                object_store_memory=_STORE_BYTES,
                _temp_dir=folder,
                **_QUIET,
            )
            return
        except Exception as error:
            failed = error
            ray.shutdown()
            _end_processes(folder)
    raise RuntimeError(f"Ray does not start on this machine: {failed}") from failed


def _end_processes(folder: str) -> None:
    """End what a failed start has left: Ray's processes that have the folder as an argument."""
    for place in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            is_ours = int(place.name) != os.getpid() and place.stat().st_uid == os.getuid()
            if is_ours and os.fsencode(folder) in (place / "cmdline").read_bytes():
                os.kill(int(place.name), signal.SIGKILL)


def room_for_workers(ray: Any, cpus: float, gpus: float) -> int:
    """Return how many workers the connected machines have CPUs and GPUs for.

    Args:
        ray: The module, connected.
        cpus: CPUs of each worker.
        gpus: GPUs of each worker.
    """
    needs = {"CPU": cpus, "GPU": gpus}
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return sum(
        min(math.floor(machine.get(name, 0) / need + 1e-6) for name, need in needs.items() if need)
        for machine in machines
    )


def number_of_workers(ray: Any, workers: int | None, cpus: float, gpus: float) -> int:
    """Return how many workers to start.

    Args:
        ray: The module, connected.
        workers: What the user asked for, or None for as many as there are CPUs and GPUs for.
        cpus: CPUs of each worker.
        gpus: GPUs of each worker.

    Raises:
        ValueError: If no machine has enough for a worker. A cluster that can grow is asked for
            machines if `workers` is given.
    """
    if workers is not None:
        return workers
    room = room_for_workers(ray, cpus, gpus)
    if not room:
        has = {name: ray.cluster_resources().get(name, 0) for name in ("CPU", "GPU")}
        raise ValueError(
            f"a worker needs {cpus:g} CPUs and {gpus:g} GPUs, and no machine of the Ray cluster "
            f"has them: in all it has {has['CPU']:g} CPUs and {has['GPU']:g} GPUs. Ask for less "
            "per worker, or say the number of workers if the cluster can grow."
        )
    return room


def worker_environment(backend: str, threads: int) -> dict[str, str]:
    """Return the environment variables of a worker: Keras's backend, and how many threads.

    Args:
        backend: Name of Keras's backend.
        threads: Largest number of threads that one operation of a backend may use.
    """
    count = str(threads)
    return {
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "TF_NUM_INTRAOP_THREADS": count,
        "TF_NUM_INTEROP_THREADS": count,
        "NPROC": count,  # JAX's threads on a CPU
    }


def said_error(error: BaseException) -> tuple[str, str]:
    """Return the kind and the text of an error, to be sent from a worker.

    Args:
        error: The error.
    """
    known = (ValueError, FileNotFoundError, ImportError, OSError, MemoryError)
    kind = next((kind for kind in known if isinstance(error, kind)), RuntimeError)
    text = str(error)
    if not isinstance(error, known):
        text = f"{type(error).__name__}: {text}"
    return kind.__name__, text


def raise_said(kind: str, text: str) -> NoReturn:
    """Raise an error that a worker sent with `said_error`.

    Args:
        kind: Its kind.
        text: Its text.
    """
    raise getattr(builtins, kind)(text)
