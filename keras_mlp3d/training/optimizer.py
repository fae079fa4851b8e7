"""The optimizer that a recipe asks for: its learning rate over time, and that of each layer.

Source: section 3.4.
"""

import keras
from keras import ops

from keras_mlp3d.training.recipe import Recipe
from keras_mlp3d.training.stages import EMBEDDING, is_block, stage_of, the_backbones


def make_optimizer(model, recipe, steps_per_epoch, verbose=True):
    """Makes AdamW as a recipe says, for this model, ready for `model.compile`.

    The learning rate is scaled linearly with the global batch, warms up and falls to zero, from
    step to step. Weights of one axis (biases, norms) are not decayed; Keras does not
    save which those are, so make the optimizer anew, and load its state into it, to go on with a
    saved training.

    With `ema_momentum` Keras keeps a moving average of the weights and puts it into the model at
    the end of `fit` (`keras.callbacks.SwapEMAWeights` evaluates with it before); with
    `gradient_accumulation` the average moves at every step, by a momentum that gives the recipe's
    over an update.

    Args:
        model: Built model, frozen already where it is to be (see `freeze`).
        recipe: A `Recipe`.
        steps_per_epoch: Batches of one epoch.
        verbose: Whether to print the learning rate and how it came about, in one line.

    Returns:
        `keras.optimizers.AdamW`, or `LayerwiseAdamW` with `layer_decay`.

    Raises:
        ValueError: If these are too few steps for the recipe, or an argument is wrong.

    Source:
        Section 3.4.

    Example:

    >>> from keras_mlp3d import MLP3D
    >>> model = MLP3D.from_preset("mlp3d_nano", load_weights=False)
    >>> optimizer = make_optimizer(model, Recipe.load("something_v2_search"), steps_per_epoch=330)
    Learning rate 0.0005: 0.0005 at a batch of 512, scaled to one of 512; 330 of 10560 steps \
warm up, 37 of 92 weights are decayed by 0.05.
    """
    if not isinstance(recipe, Recipe):
        raise ValueError(f"recipe must be a Recipe, got {type(recipe).__name__}.")
    if isinstance(steps_per_epoch, bool) or not isinstance(steps_per_epoch, int):
        raise ValueError(f"steps_per_epoch must be a whole number, got {steps_per_epoch!r}.")
    every = recipe.gradient_accumulation
    # Keras reads a schedule at the count of steps, also where several of them make one update.
    steps = steps_per_epoch * recipe.epochs
    warmup = round(steps_per_epoch * recipe.warmup_epochs)
    if steps < every or steps <= warmup:
        raise ValueError(
            f"{steps_per_epoch} steps in each of {recipe.epochs} epochs are {steps}, {warmup} of "
            f"them warm-up, and {every} make one update: too few to train with."
        )
    schedule = warmup_cosine(recipe.scaled_learning_rate, steps, warmup)
    options = {
        "weight_decay": recipe.weight_decay,
        "beta_1": recipe.betas[0],
        "beta_2": recipe.betas[1],
        "gradient_accumulation_steps": every if every > 1 else None,
    }
    if recipe.clip_norm is not None:
        name = "global_clipnorm" if recipe.clip_by == "global" else "clipnorm"
        options[name] = recipe.clip_norm
    if recipe.ema_momentum is not None:
        options.update(use_ema=True, ema_momentum=recipe.ema_momentum ** (1 / every))
    if recipe.layer_decay is None:
        optimizer = keras.optimizers.AdamW(schedule, **options)
    else:
        multipliers = layer_multipliers(model, recipe.layer_decay)
        optimizer = LayerwiseAdamW(schedule, multipliers, **options)
    weights = model.trainable_variables
    undecayed = [weight for weight in weights if len(weight.shape) <= 1]
    optimizer.exclude_from_weight_decay(var_list=undecayed)
    if verbose:
        print(
            f"Learning rate {recipe.scaled_learning_rate:.4g}: {recipe.learning_rate:.4g} at a "
            f"batch of {recipe.reference_batch_size}, scaled to one of "
            f"{recipe.global_batch_size}; {warmup} of {steps} steps warm up, "
            f"{len(weights) - len(undecayed)} of {len(weights)} weights are decayed by "
            f"{recipe.weight_decay:.4g}."
        )
    return optimizer


def layer_multipliers(model, decay):
    """Returns the factor of each layer's learning rate in layer-wise decay.

    The classifier and the last norm have 1, the last block `decay`, the block before it `decay`
    squared, and so on down to the embedding; a stage's transition goes with its first block.

    Args:
        model: A network of this package, or a model around one.
        decay: Factor from one block to the one below it, above 0 and at most 1.

    Returns:
        {layer name: factor}, for `LayerwiseAdamW`.

    Raises:
        ValueError: If the model has no blocks, or two paths of it differ in depth.

    Example:

    >>> from keras_mlp3d import MLP3DBackbone
    >>> backbone = MLP3DBackbone((8, 8, 8, 8), (1, 1, 1, 1), 2, "shift_token:2")
    >>> factors = layer_multipliers(backbone, 0.5)
    >>> [factors[name] for name in ("stage4_block1", "stage4_transition", "stage3_block1")]
    [0.5, 0.5, 0.25]
    """
    found = []
    for backbone in the_backbones(model):
        names = [layer.name for layer in backbone.layers]
        places, place = {EMBEDDING: 0}, 0
        for name in names:
            if is_block(name):
                place += 1
                places[name] = place
            elif stage_of(name) is not None:
                places[name] = place + 1
        found.append({name: decay ** (place + 1 - at) for name, at in places.items()})
    if any(other != found[0] for other in found):
        raise ValueError(
            "Layer-wise decay goes by the names of layers, and the paths of this model, of "
            f"different depths, give one name several factors: {model.name!r}."
        )
    return found[0]


def warmup_cosine(learning_rate, total_steps, warmup_steps=0):
    """Returns a schedule that rises linearly from zero and falls along a cosine to zero.

    It is Keras's own `CosineDecay`, so that a saved network loads without this package. The very
    first update has the learning rate 0, and update `warmup_steps` the peak.

    Args:
        learning_rate: Peak learning rate.
        total_steps: Updates of the weights until the learning rate is zero.
        warmup_steps: How many of them are warm-up.

    Returns:
        `keras.optimizers.schedules.CosineDecay`

    Raises:
        ValueError: If the learning rate is not above 0, or the warm-up leaves no step.

    Source:
        Section 3.4.

    Example:

    >>> schedule = warmup_cosine(0.1, total_steps=100, warmup_steps=10)
    >>> [round(float(schedule(step)), 3) for step in (0, 5, 10, 55, 100, 500)]
    [0.0, 0.05, 0.1, 0.05, 0.0, 0.0]
    """
    if not learning_rate > 0:
        raise ValueError(f"learning_rate must be above 0, got {learning_rate!r}.")
    if not 0 <= warmup_steps < total_steps:
        raise ValueError(
            f"warmup_steps must be from 0 to less than total_steps={total_steps}, got "
            f"{warmup_steps!r}."
        )
    if not warmup_steps:
        return keras.optimizers.schedules.CosineDecay(float(learning_rate), total_steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0,
        total_steps - warmup_steps,
        warmup_target=float(learning_rate),
        warmup_steps=warmup_steps,
    )


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class LayerwiseAdamW(keras.optimizers.AdamW):
    """A `keras.optimizers.AdamW` that multiplies the learning rate of some layers' variables.

    Weight decay goes by the multiplied learning rate, as it does in AdamW. Clipping by the global
    norm sees all variables together, which one optimizer for each layer could not.

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
