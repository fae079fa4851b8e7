"""Values of a recipe as a person types them: `key=value`."""

import json

from keras_mlp3d.training.value_rules import shortened, shown


def parse_overrides(texts):
    """Reads "key=value" texts into the arguments of `Recipe.replace`.

    A value is read as JSON where it is JSON, and is a text otherwise.

    Args:
        texts: Iterable of texts such as "epochs=3", "image_size=[64, 64]", "clip_norm=null",
            "dtype=mixed_bfloat16" or "augmentation.flip=0.5".

    Returns:
        {key: value}

    Raises:
        ValueError: If a text has no "=" or no key, or two texts set one key.

    Example:

    >>> parse_overrides(["epochs=3", "dtype=mixed_bfloat16", "image_size=[64, 64]"])
    {'epochs': 3, 'dtype': 'mixed_bfloat16', 'image_size': [64, 64]}
    """
    values = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals or not key:
            raise ValueError(f"Expected key=value, for example epochs=3, got {shown(text)}.")
        if key in values:
            both = f"{shown(values[key])} and {shown(value.strip())}"
            raise ValueError(f"{shortened(key)} is set twice: {both}.")
        try:
            values[key] = json.loads(value)
        except (ValueError, RecursionError):
            values[key] = value.strip()
    return values
