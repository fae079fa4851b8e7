"""Everything that this package changes in Keras, and the fault that makes each change necessary.

Importing this file changes nothing. A patch holds inside a `with`, for one call, or in a subclass.
The faults are those of Keras 3.15; `tests/_utils/test_keras_patches.py` shows each of them on
unpatched Keras, and so fails as soon as a patch can be removed.
"""

import contextlib
import functools
import gc
import sys
import threading
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras

#: One replacement: the owner, the attribute, and a function from the old attribute to the new one.
Replacement = tuple[Any, str, Callable[[Any], Any]]

#: Added to the seeds of every further device, far from what counting up reaches.
_SEED_STEP = 506_952_113


@contextlib.contextmanager
def replaced(replacements: Iterable[Replacement]) -> Iterator[None]:
    """Replace attributes inside the `with` and restore them afterwards."""
    with contextlib.ExitStack() as stack:
        for owner, name, make in replacements:
            own = name in vars(owner)
            old = getattr(owner, name)
            setattr(owner, name, make(old))
            if own:
                stack.callback(setattr, owner, name, old)
            else:
                stack.callback(delattr, owner, name)
        yield


# --- every backend: seeding imports TensorFlow ----------------------------------------------------
# Fault: `keras.utils.set_random_seed` imports TensorFlow if it is installed, on every backend:
# seconds, a log, and most of a GPU's memory. No issue known.


def set_random_seed(seed: int) -> None:
    """Seed Python, NumPy, Keras and the backend, without importing TensorFlow for it.

    A TensorFlow that is already imported, such as for `tf.data`, is seeded too.

    Args:
        seed: An integer.

    Example:

    >>> set_random_seed(1)
    >>> first = np.random.rand()
    >>> set_random_seed(1)
    >>> first == np.random.rand()
    True
    """
    if "tensorflow" in sys.modules:
        keras.utils.set_random_seed(seed)
        return
    from keras.src.utils import rng_utils

    with replaced([(rng_utils, "tf", lambda tf: types.SimpleNamespace(available=False))]):
        keras.utils.set_random_seed(seed)


# --- every backend: quantizing collects garbage per layer -----------------------------------------
# Fault: a layer that is quantized deletes its float kernel, and `Layer.__delattr__` then collects
# the garbage of the whole process: nearly all of the time of `quantize`. No issue known.


@contextlib.contextmanager
def garbage_collected_once() -> Iterator[None]:
    """Collect garbage at the end of the `with`, rather than whenever a layer loses a weight."""
    with replaced([(gc, "collect", lambda collect: lambda *generation: 0)]):
        yield
    gc.collect()


# --- JAX: an error takes the weights --------------------------------------------------------------
# Fault: the JAX trainer empties the model's variables while it runs. An error in `evaluate`, in
# `predict` or in the first step of `fit` leaves them empty: one clip of a wrong length costs the
# model its weights. keras-team/keras pull request 21019 mended the later steps of `fit` only.


def _then_whole(method):
    @functools.wraps(method)
    def run(self, *args, **kwargs):
        try:
            return method(self, *args, **kwargs)
        except BaseException:
            if getattr(self, "_jax_state", None):
                self.jax_state_sync()
                self._jax_state = None
            raise

    return run


class WholeWeights(keras.Model):
    """A `keras.Model` that keeps its weights when `fit`, `evaluate` or `predict` fails."""

    fit = _then_whole(keras.Model.fit)
    evaluate = _then_whole(keras.Model.evaluate)
    predict = _then_whole(keras.Model.predict)

    # The weights stay until newer ones replace them. This takes no memory: a step donates its
    # buffers to the next step, and JAX frees them although the model still refers to them.
    def _purge_model_variables(self, **which):
        pass


# --- TensorFlow: the first step is traced twice ---------------------------------------------------
# Fault: without a strategy, the TensorFlow trainer makes the variables of optimizer and metrics
# while it traces the first step. `tf.function` then traces the step again without them, and the
# first graph gets a condition per variable: half of the time until the first step. No issue known.


class TracedOnce(keras.Model):
    """A `keras.Model` of one output that makes all variables before a step is traced."""

    def make_train_function(self, force: bool = False) -> Any:
        if _on_tensorflow_alone(self) and not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        return super().make_train_function(force)

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        if not _on_tensorflow_alone(self):
            super()._maybe_symbolic_build(iterator=iterator, data_batch=data_batch)
            return
        if data_batch is None:  # reads no batch, which a generator would not give again
            data_batch = getattr(
                getattr(iterator, "_distributed_dataset", None), "element_spec", ()
            )
        labels = data_batch[1] if len(data_batch) > 1 else None
        shape = getattr(labels, "shape", None)
        if shape is None or getattr(shape, "rank", 0) is None or isinstance(self.output, dict):
            return  # Keras makes the variables when it traces
        labels = keras.KerasTensor(tuple(shape), keras.backend.standardize_dtype(labels.dtype))
        for part in (self._compile_metrics, self._compile_loss):
            if part is not None and not part.built:
                part.build(labels, self.output)


def _on_tensorflow_alone(model):
    return keras.config.backend() == "tensorflow" and model._distribute_strategy is None


# --- JAX: a batch must divide over the devices ----------------------------------------------------
# Fault: under `keras.distribution.DataParallel` a batch that does not divide over the devices, such
# as the last one of an evaluation, is an error. keras-team/keras issue 21167.


def whole_batches_on_jax(local_devices: int, processes: int) -> list[Replacement]:
    """Put a batch that does not divide over the devices on all of them, undivided.

    Args:
        local_devices: Devices of this process.
        processes: Number of processes.
    """
    from keras.src.backend.jax import distribution_lib

    def make(distribute_data_input):
        def distribute_rows(rows, layout, *args, **kwargs):
            if len(rows) % local_devices:
                return _on_every_device(rows, layout, processes)
            return distribute_data_input(rows, layout, *args, **kwargs)

        return distribute_rows

    return [(distribution_lib, "distribute_data_input", make)]


def _on_every_device(rows, layout, processes):
    import jax
    from jax.experimental import multihost_utils

    if processes > 1:
        multihost_utils.assert_equal(
            rows,
            f"A batch of {len(rows)} clips per process does not divide over its devices: choose "
            "another batch size.",
        )
    mesh = getattr(layout, "backend_layout", layout).mesh
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    return jax.make_array_from_process_local_data(whole, rows)


# --- PyTorch: `fit` knows of one process only -----------------------------------------------------
# Faults: under `torchrun` every process trains for itself. Gradients are not averaged, each process
# starts from its own weights and reports its own metrics, and all drop out the same units.
# keras-team/keras issue 23418; `keras.distribution.DataParallel` on PyTorch would end all four.


def one_training_on_torch(rank: int) -> list[Replacement]:
    """Make `fit` in the processes of a `torch.distributed` group one training.

    Args:
        rank: Number of this process in the group.
    """
    depth = threading.local()
    return [
        # A LossScaleOptimizer applies an inner optimizer. The outer one averages, as it looks for
        # infinities first.
        (keras.optimizers.Optimizer, "apply", lambda old: _averaging(old, depth)),
        (keras.optimizers.LossScaleOptimizer, "apply", lambda old: _averaging(old, depth)),
        (keras.Model, "make_train_function", _from_the_first),
        (keras.Model, "get_metrics_result", _of_all_processes),
        (keras.random.SeedGenerator, "next", lambda old: _of_this_process(old, rank)),
    ]


def sum_on_torch(tensor: Any) -> Any:
    """Return the sum of a tensor over the processes."""
    from torch import distributed

    tensor = tensor.clone()
    distributed.all_reduce(tensor)
    return tensor


def _averaging(apply, depth):
    def averaged_apply(self, grads, trainable_variables=None):
        if getattr(depth, "inside", False):
            return apply(self, grads, trainable_variables)
        variables = trainable_variables or self._trainable_variables
        depth.inside = True
        try:
            return apply(self, _average(list(grads), list(variables)), trainable_variables)
        finally:
            depth.inside = False

    return averaged_apply


def _average(grads, variables):
    """Return the mean of every gradient over the processes, in one message per dtype.

    A gradient that is missing in some processes counts as zero there; one that is missing in all of
    them stays None.
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
        message = sum_on_torch(torch.cat([*parts, found])) / distributed.get_world_size()
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


def _of_all_processes(get_metrics_result):
    """Return metrics whose variables hold the sums of all processes while a result is made."""

    def result_of_all(self):
        import torch

        variables = self.metrics_variables
        if not variables:
            return get_metrics_result(self)
        own = [variable.value.detach().clone() for variable in variables]
        message = sum_on_torch(torch.cat([value.double().reshape(-1) for value in own]))
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


def _of_this_process(next_seed_of, rank):
    """Return seeds that differ per process; the generator's state, which is saved, does not."""

    def next_seed(self, ordered=True):
        seed = next_seed_of(self, ordered)
        return seed + seed.new_tensor([rank * _SEED_STEP % 2**31, 0])

    return next_seed


# --- TensorFlow: Keras under a `tf.distribute` strategy -------------------------------------------
# Faults: gradients are clipped per replica and summed afterwards (no issue known for Keras 3);
# gradient accumulation fails with an error about `merge_call` (keras-team/keras issue 20582); all
# replicas drop out the same units (issue 20611).


def one_training_on_tensorflow(tf: Any) -> list[Replacement]:
    """Make `fit` under a strategy sum gradients before it clips, and drop out per replica.

    Args:
        tf: The module `tensorflow`.
    """
    depth = threading.local()
    optimizer = keras.optimizers.Optimizer
    return [
        (optimizer, "apply", lambda old: _summing(tf, old, depth)),
        (keras.optimizers.LossScaleOptimizer, "apply", lambda old: _summing(tf, old, depth)),
        (optimizer, "_all_reduce_sum_gradients", lambda old: lambda self, pairs: pairs),
        (keras.random.SeedGenerator, "next", lambda old: _of_this_replica(tf, old)),
    ]


def _summing(tf, apply, depth):
    def summed_apply(self, grads, trainable_variables=None):
        replica = tf.distribute.get_replica_context()
        if replica is None or getattr(depth, "inside", False):
            return apply(self, grads, trainable_variables)
        if getattr(self, "inner_optimizer", self).gradient_accumulation_steps:
            raise ValueError(
                "Keras cannot accumulate gradients on several devices with TensorFlow. Use "
                "gradient_accumulation_steps=None with larger batches, or another backend."
            )
        found = [grad for grad in grads if grad is not None]
        sums = iter(replica.all_reduce(tf.distribute.ReduceOp.SUM, found))
        depth.inside = True
        try:
            summed = [None if grad is None else next(sums) for grad in grads]
            return apply(self, summed, trainable_variables)
        finally:
            depth.inside = False

    return summed_apply


def _of_this_replica(tf, next_seed_of):
    """Return seeds that differ per replica; the generator's state, which is saved, does not."""

    def next_seed(self, ordered=True):
        seed = next_seed_of(self, ordered)
        replica = tf.distribute.get_replica_context()
        if replica is None:
            return seed
        place = tf.cast(replica.replica_id_in_sync_group, seed.dtype)
        return seed + tf.stack([place * _SEED_STEP, tf.zeros_like(place)])

    return next_seed


# Faults: Keras's trainer asks a strategy for two means that it refuses. One is the mean of clips,
# for their shape, whose parts differ in shape if the batch does not divide (no issue known). The
# other, with several processes, is the mean of scalars over an axis (keras-team/keras issue 20585).


def strategy_for_keras(tf: Any, base: type) -> type:
    """Return a subclass of a strategy that answers Keras's trainer.

    Args:
        tf: The module `tensorflow`.
        base: The class of strategy.
    """

    class Strategy(base):
        def reduce(self, reduce_op, value, axis=None):
            if axis is None and isinstance(value, tuple | list | dict):
                return keras.tree.map_structure(
                    lambda part: self.experimental_local_results(part)[0], value
                )
            scalar = isinstance(value, tf.Tensor) and value.shape.rank == 0
            return super().reduce(reduce_op, value, axis=None if scalar else axis)

    return Strategy
