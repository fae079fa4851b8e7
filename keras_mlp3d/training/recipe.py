"""A recipe: everything that decides how a network is trained, as data.

Source: sections 3.4 and 4.2.
"""

import copy
import dataclasses
import difflib
import json
import os
import pathlib

from keras_mlp3d.hub.files import read_json
from keras_mlp3d.hub.preset import builtin_folder
from keras_mlp3d.training.recipe_rules import UNMEASURED, normalized, problem
from keras_mlp3d.training.value_rules import shortened, shown

#: Fields that change nothing in a training.
WORDS = frozenset({"receipt", "name", "description"})


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a network is trained; equal recipes, data and seeds give equal runs.

    Args:
        receipt: {"command": ..., "result": ..., "hardware": ...}: what was run with it and what it
            gave; or "unmeasured".
        name: Short name.
        description: What it is for and where its values come from.
        num_frames: Frames of a clip, a multiple of 4; None for the network's own, as for the
            three that follow.
        image_size: (height, width) of a clip in pixels, or None.
        sampling: How frames are taken from a video, see `data.VideoConverter`, or None.
        frame_stride: Video frames from one clip frame to the next, for "dense" sampling, or None.
        augmentation: Options of `data.Augmenter` by name, such as {"flip": 0.5}.
        label_smoothing: Share of the label spread evenly over all classes, in [0, 1).
        batch_augmentation: Augmented copies of each clip in a batch, reference [16].
        learning_rate: Peak learning rate at a batch of `reference_batch_size` clips.
        reference_batch_size: Batch that `learning_rate` is stated for.
        weight_decay: Decoupled weight decay; none on biases, norms and other 1-D weights.
        clip_norm: None, or the largest norm of the gradient.
        clip_by: Whether that is the norm of all gradients together, "global", or of each
            variable's alone, "variable".
        betas: Decay of AdamW's two moments, each in [0, 1).
        epochs: Passes over the training videos.
        warmup_epochs: Epochs of linear warm-up from zero; the cosine to zero takes the rest.
        batch_size: Different clips of one step on all devices together.
        gradient_accumulation: Steps whose gradients are averaged into one update.
        ema_momentum: None, or the momentum per update of the moving average of the weights.
        layer_decay: None, or the factor of the learning rate from one block to the one below it.
        frozen_stages: 0, or how many stages, the embedding included, are not trained.
        drop_path_rate: Rate of stochastic depth at the last block; None for the network's own.
        dropout: Rate in front of the classifier; None for the network's own.
        dtype: Keras dtype policy, such as "mixed_bfloat16".
        remat: Whether activations are computed again in the backward pass instead of kept.
        random_mixing: Probability that a block draws another kind and group size for a step.
        max_group_size: None, or the largest group size that every block's kernel serves.
        seed: Seed of every draw.

    Raises:
        ValueError: If a value has the wrong type or range, or two contradict each other; the error
            says which, what it may be, and what it is.

    Source:
        Sections 3.4 and 4.2; values that the paper leaves open are named in the description.

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
    drop_path_rate: float | None = None
    dropout: float | None = None
    dtype: str = "float32"
    remat: bool = False
    random_mixing: float = 0.0
    max_group_size: int | None = None
    seed: int = 0

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = normalized(field, getattr(self, field.name))
            object.__setattr__(self, field.name, value)
        if (sentence := problem(self)) is not None:
            raise ValueError(f"Recipe {shown(self.name)}: {sentence}")
        for field in dataclasses.fields(self):  # nobody else holds what it is made of
            object.__setattr__(self, field.name, copy.deepcopy(getattr(self, field.name)))

    @property
    def global_batch_size(self):
        """Different clips behind one update of the weights."""
        return self.batch_size * self.gradient_accumulation

    @property
    def scaled_learning_rate(self):
        """Peak learning rate, scaled linearly with the global batch."""
        return self.learning_rate * self.global_batch_size / self.reference_batch_size

    @property
    def measured(self):
        """Whether the receipt states what a run with this recipe gave."""
        return self.receipt != UNMEASURED

    @classmethod
    def load(cls, name_or_path):
        """Reads a recipe.

        Args:
            name_or_path: Name of a built-in recipe, or path of a JSON file.

        Raises:
            FileNotFoundError: If there is no such recipe.
            ValueError: If the file is damaged, has unknown keys or lacks its receipt, or a value
                is wrong.
        """
        path = _find(name_or_path)
        try:
            return cls.from_dict(read_json(path))
        except ValueError as error:
            where = "" if str(path) in str(error) else f"{path}: "
            raise ValueError(f"{where}{error}") from error

    @classmethod
    def from_dict(cls, content):
        """Makes a recipe from plain values, such as a JSON object.

        Args:
            content: {field: value}; what is left out keeps its default.

        Raises:
            ValueError: If a key is unknown, `receipt` or `name` is missing, or a value is wrong.
        """
        _check_known(content)
        for key in ("receipt", "name"):
            if key not in content:
                extra = f" (or the word {UNMEASURED!r})" if key == "receipt" else ""
                raise ValueError(f"The recipe lacks its {key}{extra}.")
        return cls(**content)

    def to_dict(self):
        """Returns all values, lists and numbers as JSON has them; `from_dict` takes them back."""
        return json.loads(self.to_json())

    def to_json(self):
        """Returns the recipe as the text of a JSON file, its receipt first."""
        content = dataclasses.asdict(self)
        return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def replace(self, **changes):
        """Returns a recipe with other values; its receipt then is "unmeasured" unless given too.

        Args:
            **changes: New values by field; "augmentation.<option>" sets one option and leaves the
                others, as `parse_overrides` gives it.

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
                    f"Only augmentation has options of its own, as in augmentation.flip=0.5; got "
                    f"{key!r}."
                )
            values[field] = {**values[field], option: changes[key]}
        if "receipt" not in changes and not _same(type(self)(**values), self):
            values["receipt"] = UNMEASURED
        return type(self)(**values)

    def differences(self, other):
        """Returns {field: (value here, value there)} of all fields that differ.

        Args:
            other: Another `Recipe`.
        """
        return {
            field.name: (getattr(self, field.name), getattr(other, field.name))
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != getattr(other, field.name)
        }


def list_recipes():
    """Returns the names of the built-in recipes, sorted.

    Example:

    >>> "fine_tune" in list_recipes()
    True
    """
    return sorted(path.stem for path in (builtin_folder() / "recipes").glob("*.json"))


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


def _find(name_or_path):
    if not isinstance(name_or_path, str | os.PathLike):
        raise ValueError(
            f"A recipe is named by a string or a path, got {type(name_or_path).__name__}."
        )
    name = os.fspath(name_or_path)
    if name in list_recipes():
        return builtin_folder() / "recipes" / f"{name}.json"
    path = pathlib.Path(name)
    if path.is_file():
        return path
    close = difflib.get_close_matches(name, list_recipes(), n=1, cutoff=0.5)
    raise FileNotFoundError(
        f"Unknown recipe {name!r}: neither a built-in name ({', '.join(list_recipes())}) nor a "
        "file that exists." + (f" Did you mean {close[0]!r}?" if close else "")
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
