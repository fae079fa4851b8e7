"""What each value of a recipe may be, and which values contradict each other."""

import math

from keras_mlp3d.data.video.sampling import SAMPLINGS

DTYPES = ("float32", "bfloat16", "mixed_bfloat16", "mixed_float16")
CLIP_BY = ("global", "variable")
UNMEASURED = "unmeasured"
RECEIPT_KEYS = ("command", "result", "hardware")
TUBELET_FRAMES = 4


def _is_whole(least):
    return lambda value: type(value) is int and value >= least


def _is_number(value):
    # Whole numbers of float fields are floats by now, but for those too large to be one exactly.
    return type(value) is float and math.isfinite(value)


def _is_within(low, high, open_low=False, open_high=False):
    def check(value):
        return (
            _is_number(value)
            and (low < value if open_low else low <= value)
            and (value < high if open_high else value <= high)
        )

    return check


def _is_text(value):
    return isinstance(value, str) and bool(value.strip())


def _is_size(value):
    return isinstance(value, tuple) and len(value) == 2 and all(map(_is_whole(32), value))


def _is_betas(value):
    inside = _is_within(0, 1, open_high=True)
    return isinstance(value, tuple) and len(value) == 2 and all(map(inside, value))


def _is_receipt(value):
    return value == UNMEASURED or (
        isinstance(value, dict)
        and set(value) == set(RECEIPT_KEYS)
        and all(map(_is_text, value.values()))
    )


def _is_named_options(value):
    return isinstance(value, dict) and all(map(_is_text, value))


def _or_none(check):
    return lambda value: value is None or check(value)


_WHOLE, _POSITIVE = "a whole number of at least {}", "a number above 0"
_RATE = "a number from 0 to below 1"

#: Field -> (whether a value is allowed, what is allowed in words).
RULES = {
    "receipt": (
        _is_receipt,
        f"an object of the texts {', '.join(RECEIPT_KEYS)}, or {UNMEASURED!r}",
    ),
    "name": (_is_text, "a text"),
    "description": (lambda value: isinstance(value, str), "a text"),
    "num_frames": (
        _or_none(lambda value: _is_whole(1)(value) and value % TUBELET_FRAMES == 0),
        f"a multiple of {TUBELET_FRAMES}, the frames of a tubelet, or null",
    ),
    "image_size": (_or_none(_is_size), "[height, width] in pixels, each at least 32, or null"),
    "sampling": (
        lambda value: value is None or value in SAMPLINGS,
        f"one of {list(SAMPLINGS)}, or null",
    ),
    "frame_stride": (_or_none(_is_whole(1)), f"{_WHOLE.format(1)}, or null"),
    "augmentation": (_is_named_options, "an object of named options"),
    "label_smoothing": (_is_within(0, 1, open_high=True), _RATE),
    "batch_augmentation": (_is_whole(1), _WHOLE.format(1)),
    "learning_rate": (_is_within(0, math.inf, open_low=True), _POSITIVE),
    "reference_batch_size": (_is_whole(1), _WHOLE.format(1)),
    "weight_decay": (_is_within(0, 1), "a number from 0 to 1"),
    "clip_norm": (_or_none(_is_within(0, math.inf, open_low=True)), f"{_POSITIVE}, or null"),
    "clip_by": (lambda value: value in CLIP_BY, f"one of {list(CLIP_BY)}"),
    "betas": (_is_betas, "two numbers from 0 to below 1"),
    "epochs": (_is_whole(1), _WHOLE.format(1)),
    "warmup_epochs": (_is_within(0, math.inf), "a number of at least 0"),
    "batch_size": (_is_whole(1), _WHOLE.format(1)),
    "gradient_accumulation": (_is_whole(1), _WHOLE.format(1)),
    "ema_momentum": (
        _or_none(_is_within(0, 1, open_low=True, open_high=True)),
        "a number between 0 and 1, or null",
    ),
    "layer_decay": (
        _or_none(_is_within(0, 1, open_low=True)),
        "a number above 0 and at most 1, or null",
    ),
    "frozen_stages": (lambda value: _is_whole(0)(value) and value <= 4, "a whole number, 0 to 4"),
    "drop_path_rate": (_or_none(_is_within(0, 1, open_high=True)), f"{_RATE}, or null"),
    "dropout": (_or_none(_is_within(0, 1, open_high=True)), f"{_RATE}, or null"),
    "dtype": (lambda value: value in DTYPES, f"one of {list(DTYPES)}"),
    "remat": (lambda value: type(value) is bool, "true or false"),
    "random_mixing": (_is_within(0, 1), "a probability, 0 to 1"),
    "max_group_size": (_or_none(_is_whole(1)), f"{_WHOLE.format(1)}, or null"),
    "seed": (lambda value: _is_whole(0)(value) and value < 2**31, "a whole number below 2^31"),
}


def contradiction(recipe):
    """Returns a sentence on values of the recipe that do not go together, or None."""
    if recipe.warmup_epochs >= recipe.epochs:
        return (
            f"warmup_epochs={recipe.warmup_epochs} leaves none of the epochs={recipe.epochs} for "
            "the cosine; choose fewer."
        )
    if recipe.sampling not in (None, "dense") and recipe.frame_stride not in (None, 1):
        return (
            f"frame_stride={recipe.frame_stride} has no meaning for sampling="
            f"{recipe.sampling!r}, which takes frames from the whole video; set it to 1 or the "
            "sampling to 'dense'."
        )
    if recipe.random_mixing and recipe.max_group_size is None:
        return (
            f"random_mixing={recipe.random_mixing} needs max_group_size, the largest group size "
            "that it may draw."
        )
    if recipe.max_group_size is not None and recipe.num_frames is not None:
        tokens = recipe.num_frames // TUBELET_FRAMES
        if recipe.max_group_size > tokens:
            return (
                f"max_group_size={recipe.max_group_size} is more than the {tokens} tokens in time "
                f"of num_frames={recipe.num_frames}."
            )
    if recipe.frozen_stages == 4 and recipe.layer_decay is not None:
        return (
            "layer_decay has nothing to act on where frozen_stages=4 leaves the classifier alone "
            "to be trained; set one of them to null or 0."
        )
    return None
