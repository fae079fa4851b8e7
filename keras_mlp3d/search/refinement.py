"""Training of a supernet between the blocks of a search, with the decided blocks fixed.

Source: ours. Section 3.4 trains the supernet once, before the first block is decided.
"""

import hashlib
import json
import pathlib
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.data import Manifest
from keras_mlp3d.models import MLP3D, Mixing
from keras_mlp3d.models.switchable import sample_blocks
from keras_mlp3d.search.networks import folder_name
from keras_mlp3d.training import Recipe, data_identity, load_weights, make_loaders, train

_WEIGHTS = "best.npz"


class Refinement:
    """Trains a supernet further whenever a block of a search is decided.

    A supernet's blocks have been trained beside neighbors that were sampled. Once a block is
    decided, the later blocks are trained beside it as it is, and only the undecided ones are
    sampled. Each repeat of a search begins with the first weights.

    A training that is interrupted is resumed, and of a finished one only the weights are read.

    Args:
        model: A trained supernet.
        recipe: `training.Recipe` of each of the trainings; see `refinement_recipe`.
        training: `data.Manifest` that the supernet was trained on.
        folder: Folder of the trainings; made if it is missing.
        workers: Number of decoding threads.
        verbose: As in `fit`.
        stopping: Function that returns a context, which is entered during a training and gives its
            argument `stop`, such as `contextlib.nullcontext`, which gives none.

    Example:

    >>> from keras_mlp3d.data import VideoRow
    >>> from keras_mlp3d.search import SearchSpace, supernet
    >>> space = SearchSpace(("shift_token",), (1, 2))
    >>> model = supernet("mlp3d_nano", space, num_classes=1)
    >>> data = Manifest([VideoRow("a.mp4", 0)], ["run"], "train")
    >>> refine = Refinement(model, Recipe.load("motion_shapes"), data, "run/refined")
    >>> refine(0, (None,) * 4)  # nothing is decided: the first weights
    """

    def __init__(
        self,
        model: MLP3D,
        recipe: Recipe,
        training: Manifest,
        folder: StrPath,
        workers: int = 2,
        verbose: str | int = "auto",
        stopping: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ):
        self._model, self._first = model, model.get_weights()
        # Which blocks are sampled is said by `sample_blocks`.
        self._recipe = recipe.replace(random_mixing=0.0, max_group_size=None)
        self._training = training
        # The trainings of another supernet, recipe or data stay in folders of their own.
        self._folder = pathlib.Path(folder, self._digest()[:12])
        self._workers, self._verbose, self._stopping = workers, verbose, stopping

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the weights, as JSON values."""
        return {"recipe": self._recipe.to_dict(), "training": self._training.digest}

    def _digest(self):
        digest = hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode())
        for weight in self._first:
            digest.update(np.ascontiguousarray(weight).tobytes())
        return digest.hexdigest()

    def __call__(self, repeat: int, choices: Sequence[Mixing | None]) -> None:
        """Give the supernet the weights with which the next block's candidates are scored.

        Args:
            repeat: Number of the repeat, from 0.
            choices: A `Mixing` per decided block, and None for each later one.
        """
        decided = [mixing for mixing in choices if mixing is not None]
        backbone = self._model.backbone
        sample_blocks(backbone, [mixing is None for mixing in choices])
        if not decided:
            self._model.set_weights(self._first)
            return
        name = folder_name(decided, len(decided))
        folder = self._folder / f"repeat{repeat + 1}" / f"block{len(decided)}-{name}"
        if (folder / _WEIGHTS).exists() and not any(folder.glob("checkpoint-*")):
            load_weights(folder / _WEIGHTS, self._model)
            return
        undecided = backbone.candidates[0]
        backbone.set_choices([mixing or undecided for mixing in choices])
        data, _ = make_loaders(
            self._recipe, self._training, None, self._model.converter, self._workers
        )
        identity = {
            "model": {"repeat": repeat, "decided": [str(mixing) for mixing in decided]},
            **data_identity(self._training, None),
        }
        with self._stopping() as stop:
            train(self._model, self._recipe, data, None, folder, identity, self._verbose, stop=stop)
        # The weights are enough: a deep network would fill the disk with its optimizer's state.
        for path in folder.glob("checkpoint-*"):
            path.unlink()
        shutil.rmtree(folder / "logs", ignore_errors=True)


def refinement_recipe(recipe: Recipe, epochs: int) -> Recipe:
    """Return the recipe of the trainings between blocks: a tenth of the learning rate, no warm-up.

    Args:
        recipe: Recipe of the supernet.
        epochs: Epochs after each block.

    Example:

    >>> recipe = refinement_recipe(Recipe.load("motion_shapes"), 1)
    >>> recipe.epochs, recipe.warmup_epochs
    (1, 0.0)
    """
    return recipe.replace(epochs=epochs, warmup_epochs=0.0, learning_rate=recipe.learning_rate / 10)
