"""Training on several devices, in one process or in many, with one call on every backend."""

import contextlib
import dataclasses
import os

import keras
import numpy as np

from keras_mlp3d.distribution._tensorflow import shard_of_tf_config

_current = None


@dataclasses.dataclass(frozen=True)
class Distribution:
    """Over how many devices a training is divided, and which part is this process's.

    Args:
        num_replicas: Devices of all processes together.
        shard: `(index, count)`: which of how many processes this is; for `data.VideoLoader` and
            `data.make_dataset`, whose batch size is that of all processes together.
        add_up: None, or a function that returns the sum over the processes of an array that each
            of them gives.
        apart: Whether each process counts metrics by itself, as PyTorch's do.

    Example:

    >>> two_hosts = Distribution(num_replicas=8, shard=(1, 2))
    >>> two_hosts.is_chief, two_hosts.check_batch_size(512)
    (False, None)
    """

    num_replicas: int = 1
    shard: tuple = (0, 1)
    add_up: object = dataclasses.field(default=None, repr=False)
    apart: bool = dataclasses.field(default=False, repr=False)

    @property
    def is_chief(self):
        """Whether this is the process that writes files and prints."""
        return self.shard[0] == 0

    def barrier(self):
        """Returns when all processes are here."""
        self.any(False)

    def any(self, value):
        """Returns whether the value is true in any process; all of them must ask.

        Args:
            value: This process's.
        """
        return bool(self.sum(value))

    def sum(self, value):
        """Returns the sum of a number over the processes; all of them must ask.

        Args:
            value: This process's.
        """
        return value if self.add_up is None else float(self.add_up(np.float32(value)))

    def metric_sums(self, model):
        """Returns the sums that loss and metrics hold, over all processes, as lists; all must ask.

        Args:
            model: Compiled model.
        """
        sums = [keras.ops.convert_to_numpy(value) for value in model.metrics_variables]
        return [(self.add_up(value) if self.apart else value).tolist() for value in sums]

    def add_metric_sums(self, model, sums):
        """Adds to what loss and metrics hold.

        Args:
            model: Compiled model.
            sums: What `metric_sums` returned.
        """
        share = 1 / self.shard[1] if self.apart else 1
        for variable, value in zip(model.metrics_variables, sums, strict=True):
            # An `assign_add` outside of a step is what TensorFlow's strategies refuse here.
            variable.assign(keras.ops.convert_to_numpy(variable) + np.array(value) * share)

    def check_batch_size(self, batch_size):
        """Raises ValueError if batches of all processes together do not divide over the devices.

        Args:
            batch_size: Clips a batch, over all processes together.
        """
        if batch_size % self.num_replicas:
            below = batch_size - batch_size % self.num_replicas
            raise ValueError(
                f"A batch of {batch_size} does not divide over {self.num_replicas} devices: take "
                f"{f'{below} or ' if below else ''}{below + self.num_replicas}."
            )


def current_distribution():
    """Returns the `Distribution` that is in force: that of one device outside `distribute`.

    Example:

    >>> current_distribution()
    Distribution(num_replicas=1, shard=(0, 1))
    """
    return _current or Distribution()


@contextlib.contextmanager
def distribute(devices=None):
    """Divides the training inside the `with` over several devices, each with a part of the batch.

    The same global batches give the losses of one device: gradients are averaged over all devices
    before they are clipped, metrics count all clips, and dropout draws anew on each device. Build
    the model, compile and fit inside; `train` knows of it. On one device it does nothing.

    | backend | several devices of a process | several processes |
    | --- | --- | --- |
    | TensorFlow | `tf.distribute.MirroredStrategy` | `TF_CONFIG`: `MultiWorkerMirroredStrategy` |
    | JAX | `keras.distribution.DataParallel` | `KERAS_DISTRIBUTION_JOB_ADDRESSES`, \
`_NUM_PROCESSES` and `_PROCESS_ID`: `jax.distributed` |
    | PyTorch | one process a device | `torchrun`: NCCL on GPUs, Gloo on CPUs |

    Every process runs the same script, makes the same calls in the same order, and feeds its own
    part of each training batch: give the loader `shard=distribution.shard`. Validation data is
    not divided over processes: each evaluates all of it, as `inference.evaluate` does. The
    network of the first process is the one that PyTorch's processes begin `fit` with; on the
    other backends set Keras's seed. Keras prints in the first process alone.

    On PyTorch gradients are averaged as `DistributedDataParallel` does, but in one message after
    the backward pass: Keras's `fit` does not go through that class (Keras 3.15). On TensorFlow
    Keras cannot accumulate gradients over steps here, and says so.

    Args:
        devices: None for all devices of this process, or how many of them; GPUs or TPUs where
            there are any, else CPUs.

    Yields:
        `Distribution`

    Raises:
        ValueError: If there are fewer devices, or the environment of several processes is
            incomplete or not that of the backend.
        RuntimeError: If the backend is in use already, where that is too late, or inside another
            `distribute`.

    Example:

    >>> with distribute(devices=1) as distribution:
    ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    ...     model.compile("sgd", "mse")
    ...     history = model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
    >>> distribution.num_replicas, distribution.shard, distribution.is_chief
    (1, (0, 1), True)
    """
    global _current
    if devices is not None and (
        isinstance(devices, bool) or not isinstance(devices, int) or devices < 1
    ):
        raise ValueError(f"devices must be None or a whole number of at least 1, got {devices!r}.")
    if _current is not None:
        raise RuntimeError("distribute is in force already; one inside another has no meaning.")
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
        finally:
            _current = None


def _check_launcher(backend):
    """Refuses an environment of another backend: each process would train for itself."""
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
                f"{name} tells of {count} processes, and the backend is {backend}, which is told "
                f"by {own}. Set KERAS_BACKEND, or unset {name} to train on this process alone."
            )


@contextlib.contextmanager
def _quiet(quiet):
    """Keeps Keras's bars from being printed."""
    interactive = keras.config.is_interactive_logging_enabled()
    if quiet:
        keras.config.disable_interactive_logging()
    try:
        yield
    finally:
        if quiet and interactive:
            keras.config.enable_interactive_logging()
