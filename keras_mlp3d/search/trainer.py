"""Real accuracy of a schedule: its network, trained by itself."""

import dataclasses
import json
import pathlib

from keras_mlp3d import hub
from keras_mlp3d.cost import count
from keras_mlp3d.inference import evaluate
from keras_mlp3d.models import MLP3D, CycleMLP, FrameCycleMLP, parse_schedule
from keras_mlp3d.search.networks import short_name
from keras_mlp3d.training import (
    clip_converter,
    data_identity,
    make_loaders,
    network_options,
    set_random_seed,
    train,
)

_EVALUATION = "evaluation.json"


class Trainer:
    """Trains networks of one size that differ in their schedules, each in a folder of its own.

    A training that was interrupted is resumed; one that is finished is only read. Recipe, data
    and preset must be what they were, or the folder is refused; of the videos a few may be gone
    or new, as for `training.train`.

    Args:
        preset: Built-in name, directory or "hf://" address: size, converter and, where it has any,
            weights that the training starts from.
        recipe: `training.Recipe`.
        training: `data.Manifest` to train on.
        validation: `data.Manifest` of the same classes to measure on.
        folder: Folder of all runs; made where it is missing.
        from_scratch: Whether the preset's weights are left alone.
        frames_preset: None, or the preset of a `CycleMLP` whose weights the 2-D network starts
            from; without, it is one of the preset's size with random weights.
        workers: Threads that decode.
        verbose: As in `fit`.

    Attributes: `stop`, None or a function without arguments, as `train` takes it: where it returns
        true, the training at work ends behind a checkpoint. `accept_changed_data`, as `train` takes
        it: whether trainings resume however much the videos have changed.

    Raises:
        ValueError: If the manifests differ in their classes, or the preset makes no clips.

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
        preset,
        recipe,
        training,
        validation,
        folder,
        from_scratch=False,
        frames_preset=None,
        workers=2,
        verbose="auto",
    ):
        if training.class_names != validation.class_names:
            odd = sorted({*training.class_names} ^ {*validation.class_names})
            raise ValueError(
                "training and validation must have the same classes in the same order; only one "
                f"of them has {', '.join(map(repr, odd[:5])) or 'this order'}."
            )
        stored = hub.read_preset(preset)
        if stored.converter is None:
            raise ValueError(f"The preset {stored.handle!r} does not say how clips are made.")
        self.preset, self.frames_preset, self.recipe = preset, frames_preset, recipe
        self.training, self.validation = training, validation
        self.folder, self.workers, self.verbose = pathlib.Path(folder), workers, verbose
        self.from_scratch = from_scratch or stored.weights == "none"
        self.stop, self.accept_changed_data = None, False
        self._stored, self.depth = stored, sum(stored.size.depths)
        self.converter = clip_converter(hub.make_converter(stored.converter), recipe)

    def __call__(self, schedule, seed=0):
        """Trains a schedule's network and measures its best epoch on the validation videos.

        Args:
            schedule: As `parse_schedule` takes it; None for the 2-D network, CycleMLP on each
                frame.
            seed: Seed of the training; it takes the place of the recipe's.

        Returns:
            Top-1 accuracy, one centre clip a video. The epoch is chosen on the same videos.

        Raises:
            ValueError: If a folder is of another run, or the schedule cannot be read.
            TrainingInterrupted: If `stop` says so.
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
        options = {"stop": self.stop, "accept_changed_data": self.accept_changed_data}
        train(model, recipe, *data, folder, identity, self.verbose, **options)
        return self._measured(model, folder / _EVALUATION)

    def _recipe(self, schedule):
        """The recipe, for the 2-D network without what it has no place for."""
        if schedule is not None:
            return self.recipe
        return self.recipe.replace(random_mixing=0.0, max_group_size=None, remat=False)

    def model(self, schedule):
        """Returns the untrained network of a schedule.

        Args:
            schedule: As `parse_schedule` takes it; None for the 2-D network.

        Raises:
            ValueError: If the schedule cannot be read, or all networks start from the preset's
                weights and there is no `frames_preset` for the 2-D one.
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
                f"All networks start from the weights of {self._stored.handle!r}; for the 2-D one "
                "pass frames_preset, a preset of CycleMLP, or from_scratch=True for all."
            )
        stored, task = self._stored, self._task()
        values = {
            "drop_path_rate": stored.drop_path_rate,
            "dropout": (stored.task or {}).get("dropout", 0.5),
            **overrides,
        }
        converter, size = task.pop("converter"), dataclasses.asdict(stored.size)
        return FrameCycleMLP(CycleMLP(**size, **task, **values), converter=converter)

    def gmacs(self, schedule):
        """Returns the GMACs of one clip.

        Args:
            schedule: As `parse_schedule` takes it; None for the 2-D network.
        """
        return count(self.model(schedule), self.clip_shape).macs / 1e9

    @property
    def clip_shape(self):
        """(frames, height, width, 3) of one clip."""
        return (self.converter.num_frames, *self.converter.image_size, 3)

    def run_folder(self, schedule, seed):
        """Returns the folder of a schedule's run.

        Args:
            schedule: As `parse_schedule` takes it; None for the 2-D network.
            seed: Seed of the training.
        """
        name = short_name(schedule, self.depth).replace(" = ", "").replace(" ", "")
        return self.folder / f"{name}-seed{seed}"

    def _texts(self, schedule):
        return [str(mixing) for mixing in parse_schedule(schedule, self.depth)]

    def _measured(self, model, path):
        """The accuracy on these videos that the run's folder has, or that is measured now."""
        if path.exists():
            content = json.loads(path.read_text(encoding="utf-8"))
            if content.get("digest") == self.validation.digest:
                return content["top1"]
        evaluation = evaluate(model, self.validation, workers=self.workers)
        evaluation.write_json(path)
        return evaluation.top1
