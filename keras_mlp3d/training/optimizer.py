"""The optimizer of a recipe: AdamW, its schedule, and its learning rate per layer.

Source: section 3.4.
"""

import keras

from keras_mlp3d._utils.checks import check_integer, check_number
from keras_mlp3d.training.adamw import AdamW, LayerwiseAdamW
from keras_mlp3d.training.recipe import Recipe
from keras_mlp3d.training.stages import EMBEDDING, find_backbones, is_block, stage_of


def make_optimizer(
    model: keras.Model, recipe: Recipe, steps_per_epoch: int, verbose: bool = True
) -> AdamW:
    """Make the AdamW of a recipe for a model, ready for `model.compile`.

    The learning rate is scaled linearly with the global batch. Step by step it warms up and then
    falls to zero. Weights with one axis (biases, norms) are not decayed. Keras does not save which
    weights these are. To resume a saved training, make the optimizer again and load its state.

    With `ema_momentum` Keras keeps a moving average of the weights and assigns it to the model at
    the end of `fit`; `keras.callbacks.SwapEMAWeights` also evaluates with it. With
    `gradient_accumulation` the average moves every step, with a momentum that amounts to the
    recipe's per update.

    Args:
        model: Built model. Freeze stages before (see `freeze`).
        recipe: A `Recipe`.
        steps_per_epoch: Batches per epoch.
        verbose: Whether to print a line on the learning rate and how it was computed.

    Returns:
        `AdamW`, or `LayerwiseAdamW` with `layer_decay`.

    Raises:
        ValueError: If there are too few steps for the recipe, or an argument is wrong.

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
    steps_per_epoch = check_integer("steps_per_epoch", steps_per_epoch, minimum=0)
    every = recipe.gradient_accumulation
    # Keras evaluates a schedule at the number of steps, even if several steps make one update.
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
        optimizer = AdamW(schedule, **options)
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


def warmup_cosine(
    learning_rate: float, total_steps: int, warmup_steps: int = 0
) -> keras.optimizers.schedules.CosineDecay:
    """Return a schedule that rises linearly from zero and falls along a cosine to zero.

    It is Keras's own `CosineDecay`. The first update has the learning rate 0, and update number
    `warmup_steps` the peak.

    Args:
        learning_rate: Peak learning rate.
        total_steps: Number of updates until the learning rate is zero.
        warmup_steps: How many of them are warm-up.

    Returns:
        `keras.optimizers.schedules.CosineDecay`

    Raises:
        ValueError: If the learning rate is not above 0, or all steps are warm-up.

    Source:
        Section 3.4.

    Example:

    >>> schedule = warmup_cosine(0.1, total_steps=100, warmup_steps=10)
    >>> [round(float(schedule(step)), 3) for step in (0, 5, 10, 55, 100, 500)]
    [0.0, 0.05, 0.1, 0.05, 0.0, 0.0]
    """
    learning_rate = float(check_number("learning_rate", learning_rate, above=0))
    total_steps = check_integer("total_steps", total_steps)
    warmup_steps = check_integer("warmup_steps", warmup_steps, minimum=0, maximum=total_steps - 1)
    if not warmup_steps:
        return keras.optimizers.schedules.CosineDecay(learning_rate, total_steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0, total_steps - warmup_steps, warmup_target=learning_rate, warmup_steps=warmup_steps
    )


def layer_multipliers(model: keras.Model, decay: float) -> dict[str, float]:
    """Return the factor of each layer's learning rate for layer-wise decay.

    The classifier and the last norm have 1, the last block `decay`, the block before it `decay`
    squared, and so on down to the embedding. A transition has the factor of its stage's first
    block.

    Args:
        model: A network of this package, or a model around one.
        decay: Factor from one block to the block below it, above 0 and at most 1.

    Returns:
        {layer name: factor}, for `LayerwiseAdamW`.

    Raises:
        ValueError: If the model has no blocks, or two paths of different depths.

    Example:

    >>> from keras_mlp3d import MLP3DBackbone
    >>> backbone = MLP3DBackbone((8, 8, 8, 8), (1, 1, 1, 1), 2, "shift_token:2")
    >>> factors = layer_multipliers(backbone, 0.5)
    >>> [factors[name] for name in ("stage4_block1", "stage4_transition", "stage3_block1")]
    [0.5, 0.5, 0.25]
    """
    check_number("decay", decay, above=0, maximum=1)
    found = []
    for backbone in find_backbones(model):
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
            "Layer-wise decay needs one factor per layer name, but the paths of "
            f"{model.name!r} differ in depth, which gives some names two."
        )
    return found[0]
