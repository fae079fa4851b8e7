"""Several processes on PyTorch, one a device, as `torchrun` starts them."""

import contextlib
import os
import threading

import keras

from keras_mlp3d.training._replace import replaced

_ENVIRONMENT = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
#: Added to the seeds of each further process, far from what counting up reaches.
_SEED_STEP = 506_952_113


@contextlib.contextmanager
def set_up(devices):
    """Yields the number of processes, (rank, that number) and the sum over them."""
    set_here = [name for name in _ENVIRONMENT if name in os.environ]
    if not set_here:
        if devices not in (None, 1):
            raise ValueError(
                f"PyTorch trains with one process a device, and this is the only one: start the "
                f"script with torchrun --nproc-per-node {devices} for devices={devices}."
            )
        yield 1, (0, 1), None
        return
    missing = [name for name in _ENVIRONMENT if name not in os.environ]
    if missing:
        raise ValueError(
            f"{', '.join(set_here)} are set and {', '.join(missing)} are not: start the script "
            "with torchrun, which sets them all."
        )
    rank, size, local = (int(os.environ[name]) for name in _ENVIRONMENT[:3])
    if devices not in (None, 1, size):
        raise ValueError(
            f"devices={devices}, and torchrun started {size} processes, one a device: leave "
            "devices out."
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
            stack.enter_context(replaced(_replacements(rank)))
        yield lambda array: _sum(torch.as_tensor(array, device=device)).cpu().numpy()


def _sum(tensor):
    from torch import distributed

    tensor = tensor.clone()
    distributed.all_reduce(tensor)
    return tensor


def _replacements(rank):
    """What of Keras is replaced: the same for every model and optimiser."""
    depth = threading.local()
    return [
        # A LossScaleOptimizer applies one inside: the outer one averages, as it looks for infs.
        (keras.optimizers.Optimizer, "apply", lambda old: _averaging(old, depth)),
        (keras.optimizers.LossScaleOptimizer, "apply", lambda old: _averaging(old, depth)),
        (keras.Model, "make_train_function", _from_the_first),
        (keras.Model, "get_metrics_result", _of_all),
        (keras.random.SeedGenerator, "next", lambda old: _of_this_process(old, rank)),
    ]


def _averaging(apply, depth):
    def averaged_apply(self, grads, trainable_variables=None):
        if getattr(depth, "inside", False):
            return apply(self, grads, trainable_variables)
        variables = trainable_variables or self._trainable_variables
        depth.inside = True
        try:
            return apply(self, average(list(grads), list(variables)), trainable_variables)
        finally:
            depth.inside = False

    return averaged_apply


def average(grads, variables):
    """Returns the mean of every gradient over the processes.

    A gradient that some process has none of counts as zeros there; one that none has stays None.
    """
    import torch
    from torch import distributed

    values = [variable.value for variable in variables]
    grads_or_zeros = [
        torch.zeros_like(value) if grad is None else grad
        for grad, value in zip(grads, values, strict=True)
    ]
    averages = [None] * len(grads)
    for dtype in dict.fromkeys(grad.dtype for grad in grads_or_zeros):
        places = [place for place, grad in enumerate(grads_or_zeros) if grad.dtype == dtype]
        parts = [grads_or_zeros[place].reshape(-1) for place in places]
        found = parts[0].new_tensor([float(grads[place] is not None) for place in places])
        message = _sum(torch.cat([*parts, found])) / distributed.get_world_size()
        *parts, found = message.split([*map(len, parts), len(places)])
        for place, part, anywhere in zip(places, parts, found.tolist(), strict=True):
            if anywhere:
                averages[place] = part.view_as(grads_or_zeros[place])
    return averages


def _from_the_first(make_train_function):
    def begin(self, force=False):
        from torch import distributed

        optimizer = [] if self.optimizer is None else self.optimizer.variables
        for variable in [*self.variables, *optimizer]:
            distributed.broadcast(variable.value.detach(), src=0)
        return make_train_function(self, force)

    return begin


def _of_all(get_metrics_result):
    """Metrics of all processes together: what they count is summed for the while."""

    def result_of_all(self):
        import torch

        variables = self.metrics_variables
        if not variables:
            return get_metrics_result(self)
        own = [variable.value.detach().clone() for variable in variables]
        message = _sum(torch.cat([value.double().reshape(-1) for value in own]))
        sums = message.split([value.numel() for value in own])
        try:
            for variable, total in zip(variables, sums, strict=True):
                variable.assign(total.reshape(tuple(variable.shape)))
            results = get_metrics_result(self)
            return {name: torch.as_tensor(value).clone() for name, value in results.items()}
        finally:
            for variable, value in zip(variables, own, strict=True):
                variable.assign(value)

    return result_of_all


def _of_this_process(draw, rank):
    """Seeds that differ, while the state that a checkpoint holds is the same everywhere."""

    def next_seed(self, ordered=True):
        seed = draw(self, ordered)
        return seed + seed.new_tensor([rank * _SEED_STEP % 2**31, 0])

    return next_seed
