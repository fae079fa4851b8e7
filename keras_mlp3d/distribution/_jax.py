"""Several devices on JAX, of one process or of many."""

import contextlib
import os
from collections.abc import Callable, Iterator

import keras

from keras_mlp3d._utils.keras_patches import replaced, whole_batches_on_jax

_ENVIRONMENT = tuple(
    f"KERAS_DISTRIBUTION_{name}" for name in ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID")
)


@contextlib.contextmanager
def set_up(devices: int | None) -> Iterator[tuple[int, tuple[int, int], Callable | None]]:
    """Yield the number of devices, `Distribution.shard` and `Distribution.add_up`."""
    import jax

    _start_processes(jax)
    names = _names(jax, devices)
    shard = jax.process_index(), jax.process_count()
    if len(names) == 1:
        yield 1, shard, None
        return
    distribution = keras.distribution.DataParallel(devices=names, auto_shard_dataset=False)
    with distribution.scope(), replaced(whole_batches_on_jax(len(names) // shard[1], shard[1])):
        yield len(names), shard, _sum if shard[1] > 1 else None


def _start_processes(jax):
    found = {name: os.environ.get(name) for name in _ENVIRONMENT}
    if not any(found.values()) or found[_ENVIRONMENT[1]] == "1" or jax.distributed.is_initialized():
        return
    missing = [name for name, value in found.items() if not value]
    if missing:
        raise ValueError(
            f"{', '.join(missing)} must be set too, for several processes on JAX: the address "
            "host:port of the first process, the number of processes, and the number of this one."
        )
    # How CPUs of several processes communicate. GPUs have their own way.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        keras.distribution.initialize()
    except RuntimeError as error:
        raise RuntimeError(
            "With several processes, distribute must be called before anything else of JAX: "
            f"before models and tensors. {error}"
        ) from error


def _names(jax, devices):
    """Return Keras's names of the devices, process by process."""
    groups = {}
    for device in jax.devices():
        groups.setdefault(device.process_index, []).append(f"{device.platform}:{device.id}")
    least = min(map(len, groups.values()))
    if devices is not None and devices > least:
        raise ValueError(
            f"devices={devices}, but JAX has {least} in this process: "
            f"{', '.join(map(str, jax.local_devices()))}. XLA_FLAGS="
            f"--xla_force_host_platform_device_count={devices} makes that many of the CPU."
        )
    return [name for _, names in sorted(groups.items()) for name in names[: devices or least]]


def _sum(array):
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(array).sum(axis=0)
