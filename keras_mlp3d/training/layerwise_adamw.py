"""AdamW with a learning rate for each layer, for fine-tuning."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class LayerwiseAdamW(keras.optimizers.AdamW):
    """A `keras.optimizers.AdamW` that multiplies the learning rate of some layers' variables.

    Weight decay goes by the multiplied learning rate, as it does in AdamW. Clipping by the global
    norm sees all variables together, which one optimiser for each layer could not.

    Args:
        learning_rate: Learning rate or schedule, before the multiplication.
        multipliers: {layer name: factor}. A variable goes by the first part of its path that is
            named here, and by 1 where none is.
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

    def __init__(self, learning_rate=0.001, multipliers=None, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        factors = {}
        for name, factor in (multipliers or {}).items():
            number = isinstance(factor, int | float) and not isinstance(factor, bool)
            if not number or not factor >= 0:
                raise ValueError(
                    f"The factor of {name!r} must be a number of at least 0, got {factor!r}."
                )
            factors[name] = float(factor)
        self.multipliers = factors
        self._multiplier_of = {}

    def build(self, var_list):
        if self.built:
            return
        for variable in var_list:
            parts = getattr(variable, "path", variable.name).split("/")
            named = (self.multipliers[part] for part in parts if part in self.multipliers)
            self._multiplier_of[self._var_key(variable)] = next(named, 1.0)
        super().build(var_list)

    def multiplier(self, variable):
        """Returns the factor of a variable that the optimizer was built with.

        Args:
            variable: The variable.
        """
        return self._multiplier_of[self._var_key(variable)]

    # Keras decays all variables at one learning rate, so it is done variable by variable below.
    def _apply_weight_decay(self, variables):
        pass

    def update_step(self, gradient, variable, learning_rate):
        rate = ops.cast(learning_rate, variable.dtype) * self.multiplier(variable)
        if self._use_weight_decay(variable):
            self.assign_sub(variable, variable * (rate * self.weight_decay))
        super().update_step(gradient, variable, rate)

    def get_config(self):
        return {**super().get_config(), "multipliers": dict(self.multipliers)}
