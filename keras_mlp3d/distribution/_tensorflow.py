"""Several devices on TensorFlow, of one process or of many."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

from keras_mlp3d._utils.keras_patches import (
    one_training_on_tensorflow,
    replaced,
    strategy_for_keras,
)

#: Seconds without a heartbeat after which TensorFlow gives a process up. TensorFlow's own limit of
#: 10 seconds is too short for a busy machine: if one process gets no processor for that long, all
#: end with "Collective ops is aborted". Closed connections still tell at once that one has ended.
_PATIENCE = 600


@contextlib.contextmanager
def set_up(devices: int | None) -> Iterator[tuple[int, tuple[int, int], Callable | None]]:
    """Yield the number of devices, `Distribution.shard` and `Distribution.add_up`."""
    import tensorflow as tf

    shard = shard_of_tf_config()
    if shard[1] > 1:
        strategy = _multi_worker(tf, devices)
    else:
        names = _names(tf, devices)
        if len(names) == 1:
            yield 1, shard, None
            return
        strategy = strategy_for_keras(tf, tf.distribute.MirroredStrategy)(names)
    with strategy.scope(), replaced(one_training_on_tensorflow(tf)):
        yield strategy.num_replicas_in_sync, shard, _sum(tf, strategy) if shard[1] > 1 else None


def shard_of_tf_config() -> tuple[int, int]:
    """Return this worker's number and their count by TF_CONFIG. A chief is the first worker."""
    text = os.environ.get("TF_CONFIG")
    if not text:
        return 0, 1
    try:
        config = json.loads(text)
        cluster, task = config.get("cluster", {}), config.get("task", {})
        chiefs, workers = (len(cluster.get(job, ())) for job in ("chief", "worker"))
        if chiefs + workers < 2:
            return 0, 1
        job, index = task["type"], int(task["index"])
        place = index if job == "chief" else chiefs + index
        if job not in ("chief", "worker") or not 0 <= place < chiefs + workers:
            raise ValueError(f"the task {job} {index} is not in the cluster")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f'TF_CONFIG must be {{"cluster": {{"worker": ["host:port", ...]}}, "task": {{"type": '
            f'"worker", "index": 0}}}}, got {text!r}: {error}.'
        ) from error
    return place, chiefs + workers


def _multi_worker(tf: Any, devices: int | None) -> Any:
    gpus = len(tf.config.list_physical_devices("GPU"))
    if gpus > 1 or devices not in (None, 1):
        raise ValueError(
            f"devices={devices} and {gpus} visible GPUs, but each of several processes on "
            "TensorFlow uses one device: give each process its own GPU with CUDA_VISIBLE_DEVICES, "
            "and omit devices."
        )

    strategy: Any = strategy_for_keras(tf, tf.distribute.MultiWorkerMirroredStrategy)

    class LocalBatches(strategy):
        """Takes a worker's data as its part of the batch, not as the whole batch."""

        def experimental_distribute_dataset(self, dataset, options=None):
            return self.distribute_datasets_from_function(lambda context: dataset)

    from tensorflow.python.eager import context

    try:
        with replaced([(context.Context, "configure_coordination_service", _patient)]):
            return LocalBatches()
    except RuntimeError as error:
        raise RuntimeError(
            "With several processes, distribute must be called before anything else of "
            f"TensorFlow: before models and tensors. {error}"
        ) from error


def _patient(configure):
    def configure_patiently(self, *args, **kwargs):
        configure(self, *args, **{"heartbeat_timeout_in_ms": 1000 * _PATIENCE, **kwargs})

    return configure_patiently


def _names(tf, devices):
    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if devices is not None and devices > len(found):
        raise ValueError(
            f"devices={devices}, but TensorFlow has {len(found)}: "
            f"{', '.join(device.name for device in found)}. "
            "tf.config.set_logical_device_configuration divides one into several."
        )
    return [device.name for device in found[:devices]]


def _sum(tf, strategy):
    @tf.function
    def add(array):
        replica = tf.distribute.get_replica_context()
        # The copy lies on the replica's device; the argument is on none, which is refused.
        return replica.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(array))

    return lambda array: strategy.run(add, (tf.constant(array),)).numpy()
