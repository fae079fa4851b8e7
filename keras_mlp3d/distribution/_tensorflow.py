"""Several devices on TensorFlow, of one process or of many."""

import contextlib
import json
import os

from keras_mlp3d._utils.keras_patches import (
    one_training_on_tensorflow,
    replaced,
    strategy_for_keras,
)


@contextlib.contextmanager
def set_up(devices):
    """Yields the number of replicas, (worker, their number) and the sum over workers."""
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


def shard_of_tf_config():
    """Returns (index, count) of the workers in TF_CONFIG; a chief among them comes first."""
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


def _multi_worker(tf, devices):
    gpus = len(tf.config.list_physical_devices("GPU"))
    if gpus > 1 or devices not in (None, 1):
        raise ValueError(
            f"devices={devices}, and this is one of several processes on TensorFlow, of which each "
            f"takes one device ({gpus} GPUs are visible here): give each its own with "
            "CUDA_VISIBLE_DEVICES, and leave devices out."
        )

    class LocalBatches(strategy_for_keras(tf, tf.distribute.MultiWorkerMirroredStrategy)):
        """Takes each worker's data as its own part of the batch, rather than all of it."""

        def experimental_distribute_dataset(self, dataset, options=None):
            return self.distribute_datasets_from_function(lambda context: dataset)

    try:
        return LocalBatches()
    except RuntimeError as error:
        raise RuntimeError(
            "distribute must be called before anything else of TensorFlow in a run of several "
            f"processes: before models and tensors. {error}"
        ) from error


def _names(tf, devices):
    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if devices is not None and devices > len(found):
        raise ValueError(
            f"devices={devices}, and TensorFlow has {len(found)}: "
            f"{', '.join(device.name for device in found)}. "
            "tf.config.set_logical_device_configuration makes several of one."
        )
    return [device.name for device in found[:devices]]


def _sum(tf, strategy):
    @tf.function
    def add(array):
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, array)

    return lambda array: strategy.run(add, (tf.constant(array),)).numpy()
