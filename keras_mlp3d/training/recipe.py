"""A recipe: every setting of a training, as data.

Source: sections 3.4 and 4.2.
"""

import copy
import dataclasses
import difflib
import json
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any, Self

from keras_mlp3d._utils.printable import shortened
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.hub.files import read_json
from keras_mlp3d.hub.preset import builtin_folder
from keras_mlp3d.training.recipe_rules import UNMEASURED, normalized, problem
from keras_mlp3d.training.value_rules import shown

#: Fields that do not affect a training.
WORDS = frozenset({"receipt", "name", "description"})


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a network is trained. Equal recipes on equal data give equal runs.

    Args:
        receipt: {"command": ..., "result": ..., "hardware": ...}: a run with this recipe and what
            it reached; or "unmeasured".
        name: Short name.
        description: Purpose, and where the values come from.
        num_frames: Frames per clip, a multiple of 4. None, here and for the next three, for the
            value of the network's preset.
        image_size: (height, width) of a clip in pixels, or None.
        sampling: How frames are sampled from a video, see `data.VideoConverter`, or None.
        frame_stride: Video frames from one clip frame to the next, for "dense" sampling, or None.
        pixel_mean: Mean of red, green and blue, of values 0..1, that the network subtracts; None,
            here and for `pixel_std`, for the value of the network's preset. A network that is
            trained from scratch wants those of its videos, see `data.pixel_statistics`.
        pixel_std: Standard deviation of red, green and blue that the network divides by, or None.
        subtract_mean: Whether the network sees motion alone, each frame minus the mean over time;
            None for the preset's.
        augmentation: Options of `data.Augmenter` by name, such as {"flip": 0.5}.
        label_smoothing: Share of the label that is spread evenly over all classes, in [0, 1).
        batch_augmentation: Augmented copies of each clip in a batch (the paper's reference [16]).
        learning_rate: Peak learning rate at a batch of `reference_batch_size` clips.
        reference_batch_size: Batch size that `learning_rate` is stated for.
        weight_decay: Decoupled weight decay. Biases, norms and other 1-D weights are not decayed.
        clip_norm: None, or the largest norm of the gradient.
        clip_by: "global" for the norm of all gradients together, "variable" for the norm of each
            variable's gradient.
        betas: Decay of AdamW's two moments, each in [0, 1).
        epochs: Passes over the training videos.
        warmup_epochs: Epochs of linear warm-up from zero; the cosine to zero takes the rest.
        batch_size: Different clips per step, over all devices.
        gradient_accumulation: Steps whose gradients are averaged into one update.
        ema_momentum: None, or the momentum per update of the moving average of the weights.
        layer_decay: None, or the factor of the learning rate from one block to the block below.
        frozen_stages: Number of stages that are not trained, nor is the embedding; 0 for none.
        lora_rank: None, or the rank of low-rank adapters, which are then trained together with the
            classifier in place of all weights; see `MLP3D.enable_lora`.
        drop_path_rate: Rate of stochastic depth at the last block; None for the preset's.
        dropout: Dropout rate before the classifier; None for the preset's.
        dtype: Keras dtype policy, such as "mixed_bfloat16".
        remat: Whether activations are computed again in the backward pass instead of stored;
            `keras-mlp3d cost --training --remat` says what a step then takes on PyTorch.
        random_mixing: Probability that a block uses another kind and group size in a step.
        max_group_size: None, or the largest group size that every block's kernel serves.
        seed: Seed of all randomness.

    Raises:
        ValueError: If a value has the wrong type or range, or two values contradict each other.
            The error names the field, what is expected and what came.

    Source:
        Sections 3.4 and 4.2. The description names values that the paper leaves open.

    Example:

    >>> recipe = Recipe.load("something_v2_search")
    >>> recipe.learning_rate, recipe.batch_size, recipe.epochs
    (0.0005, 512, 32)
    >>> recipe.replace(batch_size=16).scaled_learning_rate
    1.5625e-05
    """

    receipt: str | dict
    name: str
    description: str = ""
    num_frames: int | None = None
    image_size: tuple[int, int] | None = None
    sampling: str | None = None
    frame_stride: int | None = None
    pixel_mean: tuple[float, float, float] | None = None
    pixel_std: tuple[float, float, float] | None = None
    subtract_mean: bool | None = None
    augmentation: dict = dataclasses.field(default_factory=dict)
    label_smoothing: float = 0.0
    batch_augmentation: int = 1
    learning_rate: float = 5e-4
    reference_batch_size: int = 512
    weight_decay: float = 0.05
    clip_norm: float | None = None
    clip_by: str = "global"
    betas: tuple[float, float] = (0.9, 0.999)
    epochs: int = 32
    warmup_epochs: float = 1.0
    batch_size: int = 512
    gradient_accumulation: int = 1
    ema_momentum: float | None = None
    layer_decay: float | None = None
    frozen_stages: int = 0
    lora_rank: int | None = None
    drop_path_rate: float | None = None
    dropout: float | None = None
    dtype: str = "float32"
    remat: bool = False
    random_mixing: float = 0.0
    max_group_size: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = normalized(field, getattr(self, field.name))
            object.__setattr__(self, field.name, value)
        if (sentence := problem(self)) is not None:
            raise ValueError(f"Recipe {shown(self.name)}: {sentence}")
        for field in dataclasses.fields(self):  # copies, which nobody else can change
            object.__setattr__(self, field.name, copy.deepcopy(getattr(self, field.name)))

    @property
    def global_batch_size(self) -> int:
        """Different clips per update of the weights."""
        return self.batch_size * self.gradient_accumulation

    @property
    def scaled_learning_rate(self) -> float:
        """Peak learning rate, scaled linearly with the global batch."""
        return self.learning_rate * self.global_batch_size / self.reference_batch_size

    @property
    def measured(self) -> bool:
        """Whether the receipt states what a run with this recipe reached."""
        return self.receipt != UNMEASURED

    @classmethod
    def load(cls, name_or_path: StrPath) -> Self:
        """Read a recipe.

        Args:
            name_or_path: Name of a built-in recipe, or path of a JSON file.

        Raises:
            FileNotFoundError: If there is no such recipe.
            ValueError: If the file is damaged, has unknown keys or no receipt, or a value is
                wrong.
        """
        path = _find(name_or_path)
        try:
            return cls.from_dict(read_json(path))
        except ValueError as error:
            where = "" if str(path) in str(error) else f"{path}: "
            raise ValueError(f"{where}{error}") from error

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Make a recipe from plain values, such as those of a JSON object.

        Args:
            content: {field: value}; missing fields get their defaults.

        Raises:
            ValueError: If a key is unknown, `receipt` or `name` is missing, or a value is wrong.
        """
        _check_known(content)
        for key in ("receipt", "name"):
            if key not in content:
                extra = f" (or the word {UNMEASURED!r})" if key == "receipt" else ""
                raise ValueError(f"The recipe lacks its {key}{extra}.")
        return cls(**content)

    def to_dict(self) -> dict[str, Any]:
        """Return all values as JSON types, for `from_dict`."""
        return json.loads(self.to_json())

    def to_json(self) -> str:
        """Return the text of a JSON file of the recipe, with the receipt first."""
        content = dataclasses.asdict(self)
        return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def replace(self, **changes: Any) -> Self:
        """Return a recipe with other values. Its receipt is "unmeasured" unless it is given too.

        Args:
            **changes: New values by field, such as those of `parse_overrides`.
                "augmentation.<option>" sets a single option of the augmentation.

        Raises:
            ValueError: If a field is unknown, or a value is wrong.
        """
        values = {
            field.name: copy.deepcopy(getattr(self, field.name))
            for field in dataclasses.fields(self)
        }
        plain = {key: value for key, value in changes.items() if "." not in key}
        _check_known(plain)
        values.update(plain)
        for key in set(changes) - set(plain):
            field, _, option = key.partition(".")
            if field != "augmentation" or not option or not isinstance(values[field], dict):
                raise ValueError(
                    f"Only augmentation has options of its own, as in augmentation.flip=0.5, got "
                    f"{key!r}."
                )
            values[field] = {**values[field], option: changes[key]}
        if "receipt" not in changes and not _same(type(self)(**values), self):
            values["receipt"] = UNMEASURED
        return type(self)(**values)

    def differences(self, other: "Recipe") -> dict[str, tuple[Any, Any]]:
        """Return {field: (value here, value in `other`)} of all fields that differ.

        Args:
            other: Another `Recipe`.
        """
        return {
            field.name: (getattr(self, field.name), getattr(other, field.name))
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != getattr(other, field.name)
        }


def list_recipes() -> list[str]:
    """Return the names of the built-in recipes, sorted.

    Example:

    >>> "fine_tune" in list_recipes()
    True
    """
    return sorted(path.stem for path in (builtin_folder() / "recipes").glob("*.json"))


def parse_overrides(texts: Iterable[str]) -> dict[str, Any]:
    """Read "key=value" texts into the arguments of `Recipe.replace`.

    A value is read as JSON if it is valid JSON, else as text.

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


def _find(name_or_path):
    if not isinstance(name_or_path, str | os.PathLike):
        raise ValueError(
            f"name_or_path must be a string or a path, got {type(name_or_path).__name__}."
        )
    name = os.fspath(name_or_path)
    if name in list_recipes():
        return builtin_folder() / "recipes" / f"{name}.json"
    path = pathlib.Path(name)
    if path.is_file():
        return path
    close = difflib.get_close_matches(name, list_recipes(), n=1, cutoff=0.5)
    raise FileNotFoundError(
        f"Unknown recipe {name!r}: neither a built-in name ({', '.join(list_recipes())}) nor an "
        "existing file." + (f" Did you mean {close[0]!r}?" if close else "")
    )


def _check_known(content):
    known = [field.name for field in dataclasses.fields(Recipe)]
    unknown = sorted(map(str, set(content) - set(known)))
    if unknown:
        close = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else f" It has: {', '.join(known)}."
        raise ValueError(f"A recipe has no {', '.join(map(shown, unknown))}.{hint}")


def _same(one, other):
    return not set(one.differences(other)) - WORDS
