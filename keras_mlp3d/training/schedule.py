"""The learning rate over a training: linear warm-up, then a cosine to zero.

Source: section 3.4.
"""

import keras


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
