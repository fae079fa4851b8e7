"""AdamW in fewer passes over the weights on PyTorch, and with a learning rate per layer.

Source: section 3.4; Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_mlp3d._utils.checks import check_number
from keras_mlp3d._utils.types import Tensor
from keras_mlp3d.training import _torch

#: The class that `keras.optimizers.AdamW(...)` makes an object of.
_KerasAdamW: Any = keras.optimizers.AdamW
if keras.config.backend() == "torch":
    _KerasAdamW = _torch.KerasAdamW


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class AdamW(_KerasAdamW):
    """`keras.optimizers.AdamW`, whose step on PyTorch reads and writes the weights fewer times.

    The results and the state are those of Keras. On a CPU, one pass of PyTorch's fused AdamW
    replaces some ten of Keras; elsewhere, clipping by the global norm, the update and the moving
    average of the weights are each a few calls for all weights together. On JAX and TensorFlow,
    with weights or gradients that are not dense float32, and with `amsgrad`, it is Keras's own.

    Args:
        learning_rate: Learning rate or schedule.
        **kwargs: Arguments of `keras.optimizers.AdamW`.

    Example:

    >>> optimizer = AdamW(0.1, weight_decay=0.5)
    >>> weight = keras.Variable([1.0])
    >>> optimizer.apply([ops.convert_to_tensor([0.0])], [weight])
    >>> print(np.round(np.array(ops.convert_to_numpy(weight)), 3))
    [0.95]
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 0.001,
        **kwargs: Any,
    ):
        super().__init__(learning_rate=learning_rate, **kwargs)

    def _factor(self, variable: keras.Variable) -> float:
        """Return the factor of a variable's learning rate."""
        return 1.0

    def _clip_gradients(self, grads: list[Tensor]) -> list[Tensor]:
        largest = None if self.clipnorm else self.global_clipnorm
        if largest and _torch.updates_together(grads):
            return _torch.clip_by_global_norm(grads, largest)
        return super()._clip_gradients(grads)

    # On PyTorch the weights are decayed where they are updated.
    def _apply_weight_decay(self, variables: list[keras.Variable]) -> None:
        if keras.config.backend() != "torch":
            super()._apply_weight_decay(variables)

    def _backend_update_step(
        self, grads: list[Tensor], trainable_variables: list[keras.Variable], learning_rate: Any
    ) -> None:
        if keras.config.backend() != "torch":
            super()._backend_update_step(grads, trainable_variables, learning_rate)
            return
        known = not self.amsgrad and self.beta_1 < 1 and self.beta_2 < 1
        if not known or not _torch.updates_together([*trainable_variables, *grads]):
            self._update_as_keras(grads, trainable_variables, learning_rate)
            return
        groups: dict[tuple[float, bool], list[tuple[Tensor, ...]]] = {}
        for grad, variable in zip(grads, trainable_variables, strict=True):
            state = (self._momentums, self._velocities)
            index = self._get_variable_index(variable)
            tensors = (variable.value, grad, *(each[index].value for each in state))
            rule = (self._factor(variable), self._use_weight_decay(variable))
            groups.setdefault(rule, []).append(tensors)
        for (factor, decays), members in groups.items():
            _torch.update(
                *map(list, zip(*members, strict=True)),
                iterations=ops.convert_to_tensor(self.iterations),
                rate=learning_rate * factor,
                decay=(self.weight_decay or 0.0) * decays,
                betas=(self.beta_1, self.beta_2),
                epsilon=self.epsilon,
            )

    def _update_as_keras(self, grads, variables, learning_rate):
        """Update the weights on PyTorch by Keras's code."""
        super()._apply_weight_decay(variables)
        super()._backend_update_step(grads, variables, learning_rate)

    def _update_model_variables_moving_average(
        self, trainable_variables: list[keras.Variable]
    ) -> None:
        if not self.use_ema or not _torch.updates_together(trainable_variables):
            super()._update_model_variables_moving_average(trainable_variables)
            return
        averages = self._model_variables_moving_average
        kept = [place for place, average in enumerate(averages) if average is not None]
        _torch.move_averages(
            [averages[place].value for place in kept],
            [trainable_variables[place].value for place in kept],
            ops.convert_to_tensor(self.iterations),
            self.ema_momentum,
        )


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class LayerwiseAdamW(AdamW):
    """An `AdamW` that multiplies the learning rate of some layers.

    As in AdamW, weight decay is proportional to the learning rate, here the multiplied one.
    Clipping by the global norm covers all variables together, which one optimizer per layer could
    not do.

    Args:
        learning_rate: Learning rate or schedule, before the multiplication.
        multipliers: {layer name: factor}. A variable has the factor of the first part of its path
            that is a key here, else 1.
        **kwargs: Arguments of `keras.optimizers.AdamW`.

    Raises:
        ValueError: If a factor is not a number of at least 0.

    Example:

    >>> optimizer = LayerwiseAdamW(1e-3, {"embedding": 0.5})
    >>> weight = keras.Variable([1.0], name="embedding")
    >>> optimizer.build([weight])
    >>> optimizer.multiplier(weight)
    0.5
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 0.001,
        multipliers: Mapping[str, float] | None = None,
        **kwargs: Any,
    ):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.multipliers = {
            name: float(check_number(f"The factor of {name!r}", factor, minimum=0))
            for name, factor in (multipliers or {}).items()
        }
        self._multiplier_of = {}

    def build(self, var_list: Sequence[keras.Variable]) -> None:
        if self.built:
            return
        for variable in var_list:
            parts = getattr(variable, "path", variable.name).split("/")
            named = (self.multipliers[part] for part in parts if part in self.multipliers)
            self._multiplier_of[self._var_key(variable)] = next(named, 1.0)
        super().build(var_list)

    def multiplier(self, variable: keras.Variable) -> float:
        """Return the factor of a variable that the optimizer was built with.

        Args:
            variable: The variable.
        """
        return self._multiplier_of[self._var_key(variable)]

    def _factor(self, variable):
        return self.multiplier(variable)

    # Keras decays all variables with one learning rate. `update_step` does it per variable instead.
    def _apply_weight_decay(self, variables):
        pass

    def _update_as_keras(self, grads, variables, learning_rate):
        for grad, variable in zip(grads, variables, strict=True):
            self.update_step(grad, variable, learning_rate)

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        rate = ops.cast(learning_rate, variable.dtype) * self.multiplier(variable)
        if self._use_weight_decay(variable):
            self.assign_sub(variable, variable * (rate * self.weight_decay))
        super().update_step(gradient, variable, rate)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "multipliers": dict(self.multipliers)}
