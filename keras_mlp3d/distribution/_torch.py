"""Several processes on PyTorch, one per device, as started by `torchrun`."""

import contextlib
import os
from collections.abc import Callable, Iterator

import keras

from keras_mlp3d._utils.keras_patches import one_training_on_torch, replaced, sum_on_torch

_ENVIRONMENT = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@contextlib.contextmanager
def set_up(devices: int | None) -> Iterator[tuple[int, tuple[int, int], Callable | None]]:
    """Yield the number of devices, `Distribution.shard` and `Distribution.add_up`."""
    set_here = [name for name in _ENVIRONMENT if name in os.environ]
    if not set_here:
        if devices not in (None, 1):
            raise ValueError(
                f"devices={devices}, but this is the only process, and PyTorch trains with one "
                f"process per device: start the script with torchrun --nproc-per-node {devices}."
            )
        yield 1, (0, 1), None
        return
    missing = [name for name in _ENVIRONMENT if name not in os.environ]
    if missing:
        raise ValueError(
            f"{', '.join(set_here)} are set, but {', '.join(missing)} are not: start the script "
            "with torchrun, which sets them all."
        )
    rank, size, local = (int(os.environ[name]) for name in _ENVIRONMENT[:3])
    if devices not in (None, 1, size):
        raise ValueError(
            f"devices={devices}, but torchrun started {size} processes, one per device: omit "
            "devices."
        )
    with _process_group(rank, size, local) as add_up:
        yield size, (rank, size), add_up


@contextlib.contextmanager
def _process_group(rank, size, local):
    import torch
    from torch import distributed

    wanted = os.environ.get("KERAS_TORCH_DEVICE", "cuda")
    on_gpu = torch.cuda.is_available() and wanted.startswith("cuda")
    if on_gpu and local >= torch.cuda.device_count():
        raise ValueError(
            f"torchrun started more processes than the {torch.cuda.device_count()} GPUs here: "
            "lower --nproc-per-node."
        )
    with contextlib.ExitStack() as stack:
        device = torch.device(f"cuda:{local}" if on_gpu else "cpu")
        if on_gpu:
            torch.cuda.set_device(device)
            stack.enter_context(keras.device(f"gpu:{local}"))
        distributed.init_process_group(
            "nccl" if on_gpu else "gloo",
            rank=rank,
            world_size=size,
            device_id=device if on_gpu else None,
        )
        stack.callback(distributed.destroy_process_group)
        if size > 1:
            stack.enter_context(replaced(one_training_on_torch(rank)))
        yield lambda array: sum_on_torch(torch.as_tensor(array, device=device)).cpu().numpy()
