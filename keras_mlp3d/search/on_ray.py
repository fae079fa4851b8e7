"""Trainings that do not depend on one another, on the machines of a Ray cluster."""

import contextlib
import math
import os
import pathlib
import secrets
from collections.abc import Iterable, Iterator
from typing import Any

import keras

from keras_mlp3d._utils.atomic_write import write_whole
from keras_mlp3d._utils.checks import check_number
from keras_mlp3d._utils.ray_cluster import (
    connected,
    number_of_workers,
    raise_said,
    said_error,
    worker_environment,
)
from keras_mlp3d.search.trainer import Schedule, Trainer
from keras_mlp3d.training import TrainingInterrupted

#: How often a training is resumed whose worker was killed.
_RETRIES = 3
_SECONDS = 0.5  # between two looks at `stop`


@contextlib.contextmanager
def on_ray(
    trainer: Trainer,
    jobs: Iterable[tuple[Schedule, int]],
    address: str | None = None,
    cpus_per_worker: float = 1,
    gpus_per_worker: float = 0,
) -> Iterator["RayTrainer"]:
    """Give trainings to the workers of a Ray cluster, each a process of its own.

    They begin at once, as many at a time as there are CPUs and GPUs for. Each has its own folder,
    as without Ray, and is resumed from there: if its worker is killed, and by the next call, with
    Ray or without. If the block ends early, the trainings that run end with a checkpoint.

    Args:
        trainer: The `Trainer`. All machines must see its folder, its preset and the videos, under
            the same names.
        jobs: `(schedule, seed)` of each training. Equal ones are trained once.
        address: "local" for worker processes on this machine, "auto", HOST:PORT or "ray://...".
            Defaults to the connection that Ray has in this process, else the cluster of
            RAY_ADDRESS, else "local".
        cpus_per_worker: CPUs per training, and threads of an operation.
        gpus_per_worker: GPUs per training.

    Yields:
        `RayTrainer`, which takes the place of the trainer in `compare` and `correlation`.

    Raises:
        ValueError: If an argument is wrong, or no machine has so many CPUs or GPUs.
        ImportError: If Ray is not installed: `pip install 'keras-mlp3d[ray]'`.

    Example:

    >>> with on_ray(None, [], cpus_per_worker=0):
    ...     pass
    Traceback (most recent call last):
    ...
    ValueError: cpus_per_worker must be a number above 0, got 0.
    """
    check_number("cpus_per_worker", cpus_per_worker, above=0)
    check_number("gpus_per_worker", gpus_per_worker, minimum=0)
    with connected(address) as ray:
        pathlib.Path(trainer.folder).mkdir(parents=True, exist_ok=True)
        workers = number_of_workers(ray, None, cpus_per_worker, gpus_per_worker)
        threads = max(1, math.floor(cpus_per_worker))
        train = ray.remote(
            num_cpus=cpus_per_worker,
            num_gpus=gpus_per_worker,
            max_calls=1,  # a process per training: nothing is left over from the one before
            max_retries=_RETRIES,
            runtime_env={"env_vars": worker_environment(keras.backend.backend(), threads)},
        )(_train)
        running = RayTrainer(ray, train, trainer, jobs, workers)
        try:
            yield running
        finally:
            running.close()


class RayTrainer:
    """Trainings on a Ray cluster, as `on_ray` yields it. A call waits for one of them.

    Args:
        ray: The module, connected.
        train: The remote function.
        trainer: The `Trainer`.
        jobs: `(schedule, seed)` of each training.
        workers: Largest number of trainings at a time.

    Example:

    >>> RayTrainer.__call__.__defaults__  # the seed, as in `Trainer`
    (0,)
    """

    def __init__(
        self,
        ray: Any,
        train: Any,
        trainer: Trainer,
        jobs: Iterable[tuple[Schedule, int]],
        workers: int,
    ) -> None:
        self._ray, self._train, self._trainer, self._workers = ray, train, trainer, workers
        self._stop_file = pathlib.Path(os.path.abspath(trainer.folder), f".stop-{_token()}")
        self._job = {
            "here": os.getcwd(),
            "folder": os.path.abspath(trainer.folder),
            "stop": os.fspath(self._stop_file),
            "dtype": keras.config.dtype_policy().name,
        }
        self._options = ray.put(_arguments(trainer))
        # By their folders, as two names may stand for the same training.
        waiting: dict[pathlib.Path, tuple[Schedule, int]] = {}
        for job in jobs:
            waiting.setdefault(trainer.run_folder(*job), job)
        self._waiting = list(waiting.items())
        self._running: dict[Any, pathlib.Path] = {}
        self._results: dict[pathlib.Path, tuple[str, Any]] = {}
        self._submit()

    def gmacs(self, schedule: Schedule) -> float:
        """Return the GMACs per clip.

        Args:
            schedule: As for `Trainer.gmacs`.
        """
        return self._trainer.gmacs(schedule)

    def __call__(self, schedule: Schedule, seed: int = 0) -> float:
        """Wait for a training and return its accuracy, as `Trainer` does.

        Args:
            schedule: As for `Trainer`.
            seed: As for `Trainer`.

        Raises:
            ValueError: As for `Trainer`; or if it is none of the trainings.
            TrainingInterrupted: If `Trainer.stop` returns true, after all trainings that run have
                written a checkpoint.
            RuntimeError: If its worker was killed four times.
        """
        folder = self._trainer.run_folder(schedule, seed)
        if folder not in {*self._results, *self._running.values(), *dict(self._waiting)}:
            raise ValueError(f"{folder.name} is none of the trainings that were given to Ray.")
        while folder not in self._results:
            self._wait(_SECONDS)
            stop = self._trainer.stop
            if stop is not None and stop():
                done = len(self._results)
                self.close()
                raise TrainingInterrupted(f"Stopped after {done} trainings.")
        kind, value = self._results[folder]
        if kind == "interrupted":
            raise TrainingInterrupted(value)
        if kind != "done":
            raise_said(kind, f"{folder.name}: {value}")
        return value

    def close(self) -> None:
        """End the trainings that run, with a checkpoint; the others do not begin."""
        self._waiting = []
        if self._running:
            write_whole(self._stop_file, b"")
        try:
            while self._running:
                self._wait(None)
        finally:
            self._stop_file.unlink(missing_ok=True)

    def _submit(self) -> None:
        while self._waiting and len(self._running) < self._workers:
            folder, (schedule, seed) = self._waiting.pop(0)
            task = self._train.remote(self._job, self._options, schedule, seed)
            self._running[task] = folder

    def _wait(self, seconds: float | None) -> None:
        """Take the results of trainings that have ended, and let others begin."""
        ended, _ = self._ray.wait(list(self._running), num_returns=1, timeout=seconds)
        for task in ended:
            folder = self._running.pop(task)
            try:
                self._results[folder] = self._ray.get(task)
            except self._ray.exceptions.RayError as error:
                text = f"its worker was killed {_RETRIES + 1} times ({_first_line(error)})"
                self._results[folder] = "RuntimeError", text
        self._submit()


#: Attributes of a trainer that its caller sets.
_CHOICES = ("accept_changed_data", "anew")


def _arguments(trainer: Trainer) -> dict[str, Any]:
    """Return the arguments with which a worker makes the trainer again."""
    names = ("preset", "recipe", "training", "validation", "from_scratch", "frames_preset")
    arguments = {name: getattr(trainer, name) for name in (*names, "workers")}
    return {**arguments, **{name: getattr(trainer, name) for name in _CHOICES}}


def _train(
    job: dict[str, Any], options: dict[str, Any], schedule: Schedule, seed: int
) -> tuple[str, Any]:
    """Train one network, in a worker; an error is returned as its kind and text."""
    try:
        if not os.path.isdir(job["here"]) or not os.path.isdir(job["folder"]):
            raise FileNotFoundError(
                f"the folders {job['here']} and {job['folder']} must be on the machines of all "
                "workers"
            )
        os.chdir(job["here"])  # the paths of videos and presets stay as they are in the run's files
        keras.config.set_dtype_policy(job["dtype"])
        options = dict(options)
        choices = {name: options.pop(name) for name in _CHOICES}
        trainer = Trainer(**options, folder=job["folder"], verbose=0)
        for name, chosen in choices.items():
            setattr(trainer, name, chosen)
        trainer.stop = lambda: os.path.exists(job["stop"])
        return "done", trainer(schedule, seed)
    except TrainingInterrupted as stopped:
        return "interrupted", str(stopped)
    except Exception as error:
        return said_error(error)


def _token() -> str:
    return secrets.token_hex(4)


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0]
