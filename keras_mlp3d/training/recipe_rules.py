"""What each value of a recipe may be, and which values contradict each other, as two tables."""

import dataclasses
import difflib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from keras_mlp3d._utils.printable import shortened
from keras_mlp3d.data import Augmenter, VideoConverter
from keras_mlp3d.data.video.sampling import SAMPLINGS
from keras_mlp3d.training.value_rules import (
    Flag,
    Number,
    OneOf,
    OrNone,
    Rule,
    Several,
    Text,
    Whole,
    shown,
)

if TYPE_CHECKING:
    from keras_mlp3d.training.recipe import Recipe

DTYPES = ("float32", "bfloat16", "mixed_bfloat16", "mixed_float16")
CLIP_BY = ("global", "variable")
UNMEASURED = "unmeasured"
RECEIPT_KEYS = ("command", "result", "hardware")
TUBELET_FRAMES = 4
#: Arguments of an `Augmenter` that are fields of a recipe, or follow from the data set.
_NOT_AUGMENTATION = ("batch_augmentation", "label_smoothing", "num_classes")


@dataclasses.dataclass(frozen=True)
class Receipt:
    """What a run gave, in words, or that nothing was measured."""

    each: Text

    def allows(self, value: Any) -> bool:
        if isinstance(value, dict):
            return set(value) == set(RECEIPT_KEYS) and all(map(self.each.allows, value.values()))
        return isinstance(value, str) and value == UNMEASURED

    @property
    def words(self) -> str:
        return f"an object of the texts {', '.join(RECEIPT_KEYS)}, or {UNMEASURED!r}"


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Steps of an `Augmenter` by name, each with what its class accepts."""

    words = "an object of named options"

    @property
    def options(self) -> tuple[str, ...]:
        names = (field.name for field in dataclasses.fields(Augmenter))
        return tuple(name for name in names if name not in _NOT_AUGMENTATION)

    def allows(self, value: Any) -> bool:
        return isinstance(value, dict) and all(isinstance(name, str) for name in value)

    def problem_in(self, value: dict) -> str | None:
        """Return a sentence on a wrong option, or None."""
        for name, option in value.items():
            if name in _NOT_AUGMENTATION:
                return f"augmentation.{name} must be left out: the recipe or the data decides it."
            if name not in self.options:
                close = difflib.get_close_matches(name, self.options, n=1)
                hint = f"Did you mean {close[0]!r}? " if close else ""
                return (
                    f"augmentation has no {shown(name)}. {hint}It has: {', '.join(self.options)}."
                )
            try:
                Augmenter.from_config({name: option})
            except (ValueError, TypeError, OverflowError) as error:
                reason = str(error).removeprefix(f"{name}: ").rstrip(".")
                return f"augmentation.{name} is {shown(option)}: {shortened(reason, 300)}."
        return None


COLORS = "[red, green, blue], of pixel values divided by 255"
_MANY = 2**16  # clips in a batch
_RATE, _MOMENTUM = Number(0, 0.99), Number(0, 0.999999)  # above these, float32 rounds to 1
_AUGMENTATION = Augmentation()

#: Field -> what it may be.
RULES: dict[str, Rule] = {
    "receipt": Receipt(Text(10_000)),
    "name": Text(100),
    "description": Text(10_000, may_be_empty=True),
    "num_frames": OrNone(Whole(TUBELET_FRAMES, 4096, multiple=TUBELET_FRAMES)),
    "image_size": OrNone(Several(2, Whole(32, 4096), "[height, width] in pixels")),
    "sampling": OrNone(OneOf(SAMPLINGS)),
    "frame_stride": OrNone(Whole(1, 10_000)),
    "pixel_mean": OrNone(Several(3, Number(0, 1), COLORS)),
    "pixel_std": OrNone(Several(3, Number(0, 1, above=True), COLORS)),
    "subtract_mean": OrNone(Flag()),
    "augmentation": _AUGMENTATION,
    "label_smoothing": _RATE,
    "batch_augmentation": Whole(1, 64),
    "learning_rate": Number(1e-12, 10),
    "reference_batch_size": Whole(1, 2**20),
    "weight_decay": Number(0, 1),
    "clip_norm": OrNone(Number(1e-6, 1e6)),
    "clip_by": OneOf(CLIP_BY),
    "betas": Several(2, _MOMENTUM, "two numbers"),
    "epochs": Whole(1, 100_000),
    "warmup_epochs": Number(0, 100_000),
    "batch_size": Whole(1, _MANY),
    "gradient_accumulation": Whole(1, _MANY),
    "ema_momentum": OrNone(Number(0, _MOMENTUM.most, above=True)),
    "layer_decay": OrNone(Number(0.01, 1)),
    "frozen_stages": Whole(0, 4),
    "lora_rank": OrNone(Whole(1, 1024)),
    "drop_path_rate": OrNone(_RATE),
    "dropout": OrNone(_RATE),
    "dtype": OneOf(DTYPES),
    "remat": Flag(),
    "random_mixing": Number(0, 1),
    "max_group_size": OrNone(Whole(1, 1024)),
    "seed": Whole(0, 2**31 - 1),
}

# Relations ---------------------------------------------------------------------------------------


def _warmup(recipe):
    if recipe.warmup_epochs >= recipe.epochs:
        return (
            f"warmup_epochs={recipe.warmup_epochs:g} leaves none of the epochs={recipe.epochs} for "
            "the cosine; choose a smaller number."
        )
    return None


def stride_fault(sampling: str | None, frame_stride: int | None) -> str | None:
    """Return why a stride has no meaning for a kind of sampling, or None."""
    if sampling not in (None, "dense") and frame_stride not in (None, 1):
        return (
            f"frame_stride={frame_stride} has no meaning for sampling={sampling!r}, which takes "
            "frames from the whole video; set frame_stride to 1 or sampling to 'dense'."
        )
    return None


def _stride(recipe):
    return stride_fault(recipe.sampling, recipe.frame_stride)


def _clip_bytes(recipe):
    try:
        VideoConverter(recipe.num_frames or 1, recipe.image_size or (32, 32))
    except ValueError as error:
        return str(error)
    return None


def _copies(recipe):
    try:
        Augmenter.from_config(augmenter_config(recipe))
    except ValueError as error:
        reason = str(error).rstrip(".")
        return f"batch_augmentation={recipe.batch_augmentation}: {reason} in augmentation."
    return None


def _crop_size(recipe):
    size = getattr(Augmenter.from_config(dict(recipe.augmentation)).crop, "size", None)
    if size is not None and min(size) < 32:
        return f"augmentation.crop.size must be at least 32 x 32 pixels, got {list(size)}."
    return None


def _scaled_rate(recipe):
    rate, most = recipe.scaled_learning_rate, RULES["learning_rate"].most
    batch = f"a batch of {recipe.global_batch_size}"
    if rate > most:
        return (
            f"learning_rate={recipe.learning_rate:g} at a batch of reference_batch_size="
            f"{recipe.reference_batch_size} is {rate:g} at {batch}, more than {most:g}."
        )
    if rate * recipe.weight_decay >= 1:
        return (
            f"weight_decay={recipe.weight_decay:g} times the learning rate {rate:g} at {batch} "
            "leaves nothing of a weight in one step; their product must be below 1."
        )
    return None


def _random_mixing(recipe):
    if recipe.random_mixing and recipe.max_group_size is None:
        return (
            f"random_mixing={recipe.random_mixing:g} needs max_group_size, the largest group size "
            "that it may choose."
        )
    return None


def _group_size(recipe):
    if recipe.max_group_size is None or recipe.num_frames is None:
        return None
    tokens = recipe.num_frames // TUBELET_FRAMES
    if recipe.max_group_size > tokens:
        return (
            f"max_group_size={recipe.max_group_size} is more than the {tokens} tokens in time "
            f"of num_frames={recipe.num_frames}."
        )
    return None


def _layer_decay(recipe):
    if recipe.frozen_stages == 4 and recipe.layer_decay is not None:
        return (
            "layer_decay has nothing to act on if frozen_stages=4 leaves only the classifier to "
            "be trained; set layer_decay to null or frozen_stages to less."
        )
    return None


def _lora(recipe):
    if recipe.lora_rank is not None and recipe.frozen_stages:
        return (
            f"lora_rank={recipe.lora_rank} freezes all weights except its adapters; set "
            f"frozen_stages to 0, got {recipe.frozen_stages}."
        )
    return None


#: Fields -> function of a recipe: a sentence on how they contradict each other, or None.
RELATIONS: dict[tuple[str, ...], Callable[["Recipe"], str | None]] = {
    ("warmup_epochs", "epochs"): _warmup,
    ("sampling", "frame_stride"): _stride,
    ("num_frames", "image_size"): _clip_bytes,
    ("batch_augmentation", "augmentation", "label_smoothing"): _copies,
    ("augmentation",): _crop_size,
    (
        *("learning_rate", "reference_batch_size", "batch_size", "gradient_accumulation"),
        "weight_decay",
    ): _scaled_rate,
    ("random_mixing", "max_group_size"): _random_mixing,
    ("max_group_size", "num_frames"): _group_size,
    ("frozen_stages", "layer_decay"): _layer_decay,
    ("lora_rank", "frozen_stages"): _lora,
}


def problem(recipe: "Recipe") -> str | None:
    """Return a sentence on the first value of a recipe that is wrong, or None."""
    for name, rule in RULES.items():
        value = getattr(recipe, name)
        if not rule.allows(value):
            given = list(value) if isinstance(value, tuple) else value  # as JSON has it
            return f"{name} must be {rule.words}, got {shown(given)}."
    sentence = _AUGMENTATION.problem_in(recipe.augmentation)
    if sentence is not None:
        return sentence
    return next(filter(None, (relation(recipe) for relation in RELATIONS.values())), None)


def augmenter_config(recipe: "Recipe") -> dict[str, Any]:
    """Return the configuration of a recipe's `Augmenter`."""
    copies = recipe.batch_augmentation
    return {
        **recipe.augmentation,
        "batch_augmentation": None if copies == 1 else copies,
        "label_smoothing": recipe.label_smoothing,
    }


_FLOATS = ("betas", "pixel_mean", "pixel_std")


def normalized(field: dataclasses.Field, value: Any) -> Any:
    """Return one form of equal values: lists as tuples, integers in float fields as floats."""
    if field.name in ("image_size", *_FLOATS) and isinstance(value, list):
        value = tuple(value)
    if field.name in _FLOATS and isinstance(value, tuple):
        return tuple(map(_as_float, value))
    return _as_float(value) if field.type in (float, float | None) else value


def _as_float(value):
    # An integer that no float holds exactly stays an integer, and is refused.
    return float(value) if type(value) is int and abs(value) < 2**53 else value
