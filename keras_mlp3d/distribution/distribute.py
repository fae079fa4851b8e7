"""Training on several devices, in one process or in many, with one call on every backend."""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np

from keras_mlp3d._utils.checks import check_integer
from keras_mlp3d.distribution._tensorflow import shard_of_tf_config

_current: "Distribution | None" = None


@dataclasses.dataclass(frozen=True)
class Distribution:
    """How many devices share a training, and which part of it is this process's.

    Args:
        num_replicas: Number of devices, over all processes.
        shard: `(index, count)`: number of this process, from 0, and how many processes there are.
            For `data.VideoLoader` and `data.make_dataset`, whose batch size is the sum over all
            processes.
        add_up: None for one process, or a function that returns the sum of an array over the
            processes. All processes must call it.
        apart: Whether each process counts its metrics separately, as on PyTorch.

    Example:

    >>> two_hosts = Distribution(num_replicas=8, shard=(1, 2))
    >>> two_hosts.is_chief, two_hosts.check_batch_size(512)
    (False, None)
    """

    num_replicas: int = 1
    shard: tuple[int, int] = (0, 1)
    add_up: Callable[[np.ndarray | np.floating], np.ndarray] | None = dataclasses.field(
        default=None, repr=False
    )
    apart: bool = dataclasses.field(default=False, repr=False)

    @property
    def is_chief(self) -> bool:
        """Whether this is the process that writes files and prints."""
        return self.shard[0] == 0

    def barrier(self) -> None:
        """Wait until every process has called it."""
        self.any(False)

    def any(self, value: bool) -> bool:
        """Return whether a value is true in any process. All processes must call it.

        Args:
            value: The value of this process.
        """
        return bool(self.sum(value))

    def sum(self, value: float) -> float:
        """Return the sum of a number over the processes. All processes must call it.

        Args:
            value: The number of this process.
        """
        return value if self.add_up is None else float(self.add_up(np.float32(value)))

    def metric_sums(self, model: keras.Model) -> list:
        """Return the sums that loss and metrics hold, over all processes.

        All processes must call it.

        Args:
            model: Compiled model.

        Returns:
            A list with the values of each variable, as numbers or nested lists.
        """
        sums = [keras.ops.convert_to_numpy(value) for value in model.metrics_variables]
        return [(self.add_up(value) if self.apart else value).tolist() for value in sums]

    def add_metric_sums(self, model: keras.Model, sums: Sequence) -> None:
        """Add sums to those that loss and metrics hold.

        Args:
            model: Compiled model.
            sums: What `metric_sums` returned.
        """
        share = 1 / self.shard[1] if self.apart else 1
        for variable, value in zip(model.metrics_variables, sums, strict=True):
            # TensorFlow's strategies refuse `assign_add` outside of a step.
            variable.assign(keras.ops.convert_to_numpy(variable) + np.array(value) * share)

    def check_batch_size(self, batch_size: int) -> None:
        """Check that a batch divides over the devices.

        Args:
            batch_size: Clips per batch, over all processes.

        Raises:
            ValueError: If it does not divide.
        """
        if batch_size % self.num_replicas:
            below = batch_size - batch_size % self.num_replicas
            raise ValueError(
                f"A batch of {batch_size} does not divide over {self.num_replicas} devices: take "
                f"{f'{below} or ' if below else ''}{below + self.num_replicas}."
            )


def current_distribution() -> Distribution:
    """Return the `Distribution` of the enclosing `distribute`, or that of one device.

    Example:

    >>> current_distribution()
    Distribution(num_replicas=1, shard=(0, 1))
    """
    return _current or Distribution()


@contextlib.contextmanager
def distribute(devices: int | None = None) -> Iterator[Distribution]:
    """Divide each batch of the training inside the `with` over several devices.

    The same global batches give the losses of one device: gradients are averaged over all devices
    before they are clipped, and metrics count all clips. Dropout differs per device. Build,
    compile and fit the model inside; `training.train` works inside too. With one device nothing
    changes.

    | backend | several devices of a process | several processes |
    | --- | --- | --- |
    | TensorFlow | `tf.distribute.MirroredStrategy` | `TF_CONFIG`: `MultiWorkerMirroredStrategy` |
    | JAX | `keras.distribution.DataParallel` | `KERAS_DISTRIBUTION_JOB_ADDRESSES`, \
`_NUM_PROCESSES` and `_PROCESS_ID`: `jax.distributed` |
    | PyTorch | one process per device | `torchrun`: NCCL on GPUs, Gloo on CPUs |

    Every process runs the same script, makes the same calls in the same order, and feeds its own
    part of each batch: pass `shard=distribution.shard` to the loader. Validation is divided too,
    with a loader of `unreadable="count"`, whose batches are filled up to equal sizes with clips of
    weight 0 (`training.make_loaders` makes one); fed whole by each process, it gives the same
    numbers. `inference.evaluate` evaluates all in each process. On PyTorch all processes start
    `fit` from the weights of the first process; on the other backends set Keras's seed. Only the
    first process prints Keras's progress. At the end of the `with` the processes wait for each
    other.

    On PyTorch gradients are averaged as by `DistributedDataParallel`, but in one message after the
    backward pass, because Keras's `fit` (3.15) does not use that class. On TensorFlow gradient
    accumulation is refused, because Keras cannot do it on several devices.

    Args:
        devices: Number of devices of this process; None for all. GPUs or TPUs if there are any,
            else CPUs.

    Yields:
        `Distribution`

    Raises:
        ValueError: If there are fewer devices, or the environment variables of several processes
            are incomplete or those of another backend.
        RuntimeError: If the backend was used before and several processes can no longer be set up,
            or inside another `distribute`.

    Example:

    >>> with distribute(devices=1) as distribution:
    ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    ...     model.compile("sgd", "mse")
    ...     history = model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
    >>> distribution.num_replicas, distribution.shard, distribution.is_chief
    (1, (0, 1), True)
    """
    global _current
    if devices is not None:
        devices = check_integer("devices", devices)
    if _current is not None:
        raise RuntimeError("distribute cannot be used inside another distribute.")
    backend = keras.config.backend()
    _check_launcher(backend)
    if backend == "tensorflow":
        from keras_mlp3d.distribution._tensorflow import set_up
    elif backend == "jax":
        from keras_mlp3d.distribution._jax import set_up
    else:
        from keras_mlp3d.distribution._torch import set_up
    with set_up(devices) as (num_replicas, shard, add_up):
        _current = Distribution(
            num_replicas, shard, add_up, apart=backend == "torch" and add_up is not None
        )
        try:
            with _quiet(not _current.is_chief):
                yield _current
            # The first process serves the others on every backend. If it ended now, an operation
            # that another process has not finished would fail.
            _current.barrier()
        finally:
            _current = None


def _check_launcher(backend):
    """Refuse the environment of another backend, with which each process would train alone."""
    several = {
        "tensorflow": ("TF_CONFIG", shard_of_tf_config()[1]),
        "jax": ("KERAS_DISTRIBUTION_NUM_PROCESSES", None),
        "torch": ("WORLD_SIZE", None),
    }
    own, _ = several.pop(backend)
    for name, count in several.values():
        count = os.environ.get(name, "1") if count is None else str(count)
        if count not in ("", "1") and own not in os.environ:
            raise ValueError(
                f"{name} announces {count} processes, but the backend is {backend}, which reads "
                f"{own}. Set KERAS_BACKEND, or unset {name} to train in this process alone."
            )


@contextlib.contextmanager
def _quiet(quiet):
    """Switch Keras's progress bars off."""
    interactive = keras.config.is_interactive_logging_enabled()
    if quiet:
        keras.config.disable_interactive_logging()
    try:
        yield
    finally:
        if quiet and interactive:
            keras.config.enable_interactive_logging()
