"""Real accuracy of a schedule: that of its network, trained separately."""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Sequence
from typing import TypeAlias

from keras_mlp3d import hub
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.cost import count
from keras_mlp3d.data import Manifest
from keras_mlp3d.inference import evaluate
from keras_mlp3d.models import MLP3D, CycleMLP, FrameCycleMLP, Mixing, parse_schedule
from keras_mlp3d.search.networks import folder_name
from keras_mlp3d.training import (
    Recipe,
    clip_converter,
    data_identity,
    make_loaders,
    network_options,
    set_random_seed,
    train,
)

_EVALUATION = "evaluation.json"

#: As `parse_schedule` takes it; None for the 2-D network.
Schedule: TypeAlias = str | Sequence[Mixing | str] | None


class Trainer:
    """Trains networks of one size with different schedules, each in its own folder.

    An interrupted training is resumed; of a finished training only the result is read. If recipe,
    data or preset differ from those of a folder, it is refused. A few videos may be gone or new, as
    in `training.train`.

    Args:
        preset: Built-in name, directory or "hf://" address. It decides the size and the converter.
            The training starts from its weights if it has any.
        recipe: `training.Recipe`.
        training: `data.Manifest` to train on.
        validation: `data.Manifest` with the same classes to measure on.
        folder: Folder of all runs; made if it is missing.
        from_scratch: Whether to ignore the preset's weights.
        frames_preset: None, or the preset of a `CycleMLP` whose weights the 2-D network starts
            from. Without it, the 2-D network has the preset's size and random weights.
        workers: Number of decoding threads.
        verbose: As in `fit`.

    Attributes:
        stop: None, or a function without arguments. If it returns true, the present training ends
            with a checkpoint, as in `train`.
        accept_changed_data: Whether trainings resume however much the videos have changed, as in
            `train`.
        anew: Whether the files of other trainings in the folders are moved aside, as in `train`.

    Raises:
        ValueError: If the manifests differ in their classes, or the preset has no converter.

    Example:

    >>> import tempfile
    >>> from keras_mlp3d.data import VideoRow, Manifest
    >>> from keras_mlp3d.training import Recipe
    >>> data = [Manifest([VideoRow("a.mp4", 0)], ["run"], split) for split in ("train", "val")]
    >>> trainer = Trainer("mlp3d_nano", Recipe.load("motion_shapes"), *data, folder="runs")
    >>> round(trainer.gmacs("shift_token:2"), 4), trainer.run_folder("shift_token:2", 0).name
    (0.0107, 'ST2-seed0')
    """

    def __init__(
        self,
        preset: StrPath,
        recipe: Recipe,
        training: Manifest,
        validation: Manifest,
        folder: StrPath,
        from_scratch: bool = False,
        frames_preset: StrPath | None = None,
        workers: int = 2,
        verbose: str | int = "auto",
    ) -> None:
        if training.class_names != validation.class_names:
            odd = sorted({*training.class_names} ^ {*validation.class_names})
            raise ValueError(
                "training and validation must have the same classes in the same order, but only "
                f"one of them has {', '.join(map(repr, odd[:5])) or 'this order'}."
            )
        for manifest in (training, validation):
            manifest.check_one_label("A comparison of schedules")
        stored = hub.read_preset(preset)
        if stored.converter is None:
            raise ValueError(f"The preset {stored.handle!r} has no converter from videos to clips.")
        self.preset, self.frames_preset, self.recipe = preset, frames_preset, recipe
        self.training, self.validation = training, validation
        self.folder, self.workers, self.verbose = pathlib.Path(folder), workers, verbose
        self.from_scratch = from_scratch or stored.weights == "none"
        self.stop: Callable[[], bool] | None = None
        self.accept_changed_data = self.anew = False
        self._stored, self.depth = stored, sum(stored.size.depths)
        self.converter = clip_converter(hub.make_converter(stored.converter), recipe)

    def __call__(self, schedule: Schedule, seed: int = 0) -> float:
        """Train a schedule's network and measure its best epoch on the validation videos.

        Args:
            schedule: As `parse_schedule` takes it; None for the 2-D network, CycleMLP on each
                frame.
            seed: Seed of the training, which replaces the recipe's.

        Returns:
            Top-1 accuracy with one center clip per video. The epoch is chosen on the same videos.

        Raises:
            ValueError: If the folder is of another run, or the schedule is not valid.
            TrainingInterrupted: If `stop` returns true.
        """
        folder = self.run_folder(schedule, seed)
        recipe = self._recipe(schedule).replace(seed=seed)
        set_random_seed(seed)
        model = self.model(schedule)
        identity = {
            "model": {
                "preset": str(self.preset if schedule is not None else self.frames_preset),
                "from_scratch": self.from_scratch,
                "schedule": schedule and self._texts(schedule),
            },
            **data_identity(self.training, self.validation),
        }
        data = make_loaders(recipe, self.training, self.validation, self.converter, self.workers)
        train(
            model,
            recipe,
            *data,
            folder,
            identity,
            self.verbose,
            stop=self.stop,
            anew=self.anew,
            accept_changed_data=self.accept_changed_data,
        )
        return self._measured(model, folder / _EVALUATION)

    def _recipe(self, schedule):
        """Return the recipe, for the 2-D network without what it does not have."""
        if schedule is not None:
            return self.recipe
        return self.recipe.replace(
            random_mixing=0.0, max_group_size=None, remat=False, subtract_mean=None
        )

    def model(self, schedule: Schedule) -> MLP3D | FrameCycleMLP:
        """Return the untrained network of a schedule.

        Args:
            schedule: As `parse_schedule` takes it; None for the 2-D network.

        Raises:
            ValueError: If the schedule is not valid, or all networks start from the preset's
                weights and there is no `frames_preset` for the 2-D network.
        """
        if schedule is None:
            return self._frames_model()
        return MLP3D.from_preset(
            self.preset,
            load_weights=not self.from_scratch,
            schedule=schedule,
            activation=None,
            **self._task(),
            **network_options(self.recipe, self.converter.num_frames),
        )

    def _task(self):
        names = list(self.training.class_names)
        return {"num_classes": len(names), "class_names": names, "converter": self.converter}

    def _frames_model(self):
        overrides = network_options(self._recipe(None), self.converter.num_frames)
        if self.frames_preset is not None:
            weights = hub.read_preset(self.frames_preset).weights != "none"
            load_weights = weights and not self.from_scratch
            return FrameCycleMLP.from_preset(
                self.frames_preset, load_weights=load_weights, **self._task(), **overrides
            )
        if not self.from_scratch:
            raise ValueError(
                f"All networks start from the weights of {self._stored.handle!r}. For the 2-D "
                "network pass frames_preset, a preset of CycleMLP, or from_scratch=True for all."
            )
        stored, task = self._stored, self._task()
        values = {
            "drop_path_rate": stored.drop_path_rate,
            "dropout": (stored.task or {}).get("dropout", 0.5),
            **overrides,
        }
        converter, size = task.pop("converter"), dataclasses.asdict(stored.size)
        return FrameCycleMLP(CycleMLP(**size, **task, **values), converter=converter)

    def gmacs(self, schedule: Schedule) -> float:
        """Return the GMACs per clip.

        Args:
            schedule: As `parse_schedule` takes it; None for the 2-D network.
        """
        return count(self.model(schedule), self.clip_shape).macs / 1e9

    @property
    def clip_shape(self) -> tuple[int, int, int, int]:
        """(frames, height, width, 3) of a clip."""
        return (self.converter.num_frames, *self.converter.image_size, 3)

    def run_folder(self, schedule: Schedule, seed: int) -> pathlib.Path:
        """Return the folder of a schedule's run.

        Args:
            schedule: As `parse_schedule` takes it; None for the 2-D network.
            seed: Seed of the training.
        """
        return self.folder / f"{folder_name(schedule, self.depth)}-seed{seed}"

    def _texts(self, schedule):
        return [str(mixing) for mixing in parse_schedule(schedule, self.depth)]

    def _measured(self, model, path):
        """Return the accuracy on these videos, from the run's folder or measured now."""
        if path.exists():
            content = json.loads(path.read_text(encoding="utf-8"))
            if content.get("digest") == self.validation.digest:
                return content["top1"]
        evaluation = evaluate(model, self.validation, workers=self.workers)
        evaluation.write_json(path)
        return evaluation.top1
