"""The two steps of a search in a folder: training of the supernet, then the greedy choice.

Source: section 3.4.
"""

import hashlib
import json
import logging
import pathlib
from collections.abc import Callable
from typing import Any

import keras

from keras_mlp3d import hub
from keras_mlp3d._utils.atomic_write import write_whole
from keras_mlp3d._utils.one_writer import only_writer
from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.data import Manifest
from keras_mlp3d.hub.files import read_json
from keras_mlp3d.models import MLP3D
from keras_mlp3d.models.switchable import sample_blocks
from keras_mlp3d.search.greedy import greedy
from keras_mlp3d.search.refinement import Refinement
from keras_mlp3d.search.result import SearchResult
from keras_mlp3d.search.schedule_cost import ScheduleCost
from keras_mlp3d.search.scorer import Scorer
from keras_mlp3d.search.space import SearchSpace
from keras_mlp3d.search.supernet import supernet
from keras_mlp3d.training import (
    Recipe,
    clip_converter,
    data_change,
    data_identity,
    load_weights,
    make_loaders,
    network_options,
    set_random_seed,
    train,
    video_list,
)
from keras_mlp3d.training.run_folder import RunFolder, set_aside

RESULT = "result.json"
_SUPERNET, _SETTINGS, _TRACE = "supernet", "search.json", "trace.jsonl"
_VIDEOS, _MAX_VIDEOS_BYTES = "validation.json", 2**28
#: What follows from a supernet, of which nothing may be left next to another one.
_OF_A_SUPERNET = ("preset", RESULT, "*.png", "refined", _VIDEOS, "trace*.jsonl", _SETTINGS)

_logger = logging.getLogger("keras_mlp3d")


def train_supernet(
    preset: StrPath,
    space: SearchSpace,
    recipe: Recipe,
    training: Manifest,
    folder: StrPath,
    from_scratch: bool = False,
    workers: int = 2,
    verbose: str | int = "auto",
    **train_options: Any,
) -> MLP3D:
    """Train a supernet whose blocks are sampled at random at every step: step 1 of a search.

    It is trained in `folder/supernet` by `training.train`: an interrupted training is resumed, a
    finished one is only read, and another space, recipe or data is refused. The weights are those
    of the last epoch, because candidates are compared in step 2 only.

    Args:
        preset: Built-in name, directory or "hf://" address. It decides the size and the converter.
            The training starts from its weights if it has any.
        space: `SearchSpace`.
        recipe: `training.Recipe`.
        training: `data.Manifest` to train on.
        folder: Folder of the search; made if it is missing.
        from_scratch: Whether to ignore the preset's weights.
        workers: Number of decoding threads.
        verbose: As in `fit`.
        **train_options: Further arguments of `training.train`.

    Returns:
        The supernet, an `MLP3D`.

    Raises:
        ValueError: If a group size of the space does not divide the clips, or the folder is of
            another run.

    Source:
        Section 3.4.

    Example:

    >>> from keras_mlp3d.data import Manifest, VideoRow
    >>> from keras_mlp3d.training import Recipe
    >>> data = Manifest([VideoRow("a.mp4", 0)], ["run"], "train")
    >>> space, recipe = SearchSpace(group_sizes=(1, 16)), Recipe.load("motion_shapes")
    >>> train_supernet("mlp3d_nano", space, recipe, data, "run")
    Traceback (most recent call last):
    ...
    ValueError: Clips of 32 frames, 8 tokens in time, refuse the candidates short_range:16, \
long_range:16, shift_window:16; group sizes that do: 1, 2, 4, 8.
    """
    training.check_one_label("A search")
    if recipe.lora_rank is not None:
        raise ValueError(
            f"A supernet has no adapters: lora_rank must be None, got {recipe.lora_rank}."
        )
    folder = pathlib.Path(folder)
    settings = {
        "preset": str(preset),
        "from_scratch": from_scratch or hub.read_preset(preset).weights == "none",
        "space": space.to_dict(),
    }
    names = list(training.class_names)
    model = _build(settings, recipe, names, settings["from_scratch"])
    identity = {"model": settings, **data_identity(training, None)}
    data, _ = make_loaders(recipe, training, None, model.converter, workers)
    (folder / _SUPERNET).mkdir(parents=True, exist_ok=True)
    chosen = {name: train_options.get(name, False) for name in ("anew", "accept_changed_data")}
    run = RunFolder(folder / _SUPERNET, recipe, identity, **chosen)
    if run.is_new and any(any(folder.glob(name)) for name in _OF_A_SUPERNET):
        aside = set_aside(folder, _OF_A_SUPERNET)
        _logger.warning("The files of the earlier search are now in %s", aside)
    train(model, recipe, data, None, folder / _SUPERNET, identity, verbose, **train_options)
    content = {**settings, "recipe": recipe.to_dict(), "class_names": names}
    _write_json(folder / _SETTINGS, content, indent=2)
    return model


def load_supernet(folder: StrPath) -> tuple[MLP3D, SearchSpace, str]:
    """Load the supernet of a search whose step 1 is finished.

    Args:
        folder: Folder of the search.

    Returns:
        The supernet, its `SearchSpace`, and the preset that it was built from.

    Raises:
        ValueError: If there is no finished supernet in the folder, or a file is damaged.

    Example:

    >>> load_supernet("no/such/search")
    Traceback (most recent call last):
    ...
    ValueError: 'no/such/search' holds no trained supernet: search.json is missing.
    """
    path = pathlib.Path(folder) / _SETTINGS
    if not path.is_file():
        raise ValueError(f"{str(folder)!r} holds no trained supernet: {_SETTINGS} is missing.")
    settings = read_json(path)
    try:
        recipe, names = Recipe.from_dict(settings["recipe"]), settings["class_names"]
        model = _build(settings, recipe, names, from_scratch=True)
        space = SearchSpace.from_dict(settings["space"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {type(error).__name__} {error}.") from error
    load_weights(path.parent / _SUPERNET / "best.npz", model)
    return model, space, settings["preset"]


def _build(settings, recipe, class_names, from_scratch):
    """Return the supernet that a search's settings describe."""
    stored = hub.read_preset(settings["preset"])
    if stored.converter is None:
        raise ValueError(f"The preset {stored.handle!r} has no converter from videos to clips.")
    converter = clip_converter(hub.make_converter(stored.converter), recipe)
    space = SearchSpace.from_dict(settings["space"])
    space.check(converter.num_frames)
    # The space decides what a block may choose, and how often.
    recipe = recipe.replace(random_mixing=0.0, max_group_size=None)
    set_random_seed(recipe.seed)
    return supernet(
        settings["preset"],
        space,
        num_classes=len(class_names),
        class_names=class_names,
        load_weights=not from_scratch,
        converter=converter,
        activation=None,
        **network_options(recipe, converter.num_frames),
    )


def find_schedule(
    model: MLP3D,
    space: SearchSpace,
    validation: Manifest,
    folder: StrPath,
    repeats: int = 3,
    alpha: float = 5e-3,
    seed: int = 0,
    batch_size: int = 8,
    max_bytes: int = 2 * 2**30,
    workers: int | None = None,
    anew: bool = False,
    decoding: Callable[[int, int], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
    accept_changed_data: bool = False,
    tie: float | None = None,
    refine: Refinement | None = None,
) -> tuple[SearchResult, Scorer]:
    """Score candidates with a supernet's weights and choose greedily: step 2 of a search.

    Every score is written to `folder/trace.jsonl` at once, and the result to
    `folder/result.json`. An interrupted search is resumed; the trace of other weights, videos,
    space or seed is refused. If as few videos are gone or new as `training.train` allows, the log
    names them, the trace is renamed, and all scores are computed again on the present videos.

    Args:
        model: A trained supernet.
        space: Its `SearchSpace`.
        validation: `data.Manifest` that candidates are scored on.
        folder: Existing folder of the search.
        repeats: Number of repeats.
        alpha: Weight α of the cost in GMACs; see `greedy`.
        seed: Seed of the search; see `greedy`.
        batch_size: Largest number of clips per batch.
        max_bytes: Largest number of bytes of clips kept in memory; see `Scorer`.
        workers: Number of decoding threads; None for one per processor, at most eight.
        anew: Whether the trace of another search is moved aside instead of refused.
        decoding: None, or a function of the number of videos decoded and the number of all.
        progress: None, or a function of the number of candidates done and the number of all.
        accept_changed_data: Whether any change of the videos is accepted.
        tie: None, or a confidence such as 0.95, for the cheapest of candidates that tie; see
            `greedy`.
        refine: None, or the `Refinement` of `model`, which is trained on between the blocks. The
            model ends with the weights of the best repeat.

    Returns:
        `SearchResult` and the `Scorer`.

    Raises:
        ValueError: If an argument is wrong, the trace is of another search, another process
            searches in the folder, or a score is not finite.

    Source:
        Section 3.4.

    Example:

    >>> import tempfile
    >>> from keras_mlp3d.data import motion_shapes, read_manifest
    >>> names = ["blink_then_spin", "spin_then_blink"]
    >>> space = SearchSpace(("shift_token",), (1, 2))
    >>> model = supernet("mlp3d_nano", space, num_classes=2, class_names=names)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     videos, run = f"{folder}/videos", folder
    ...     _ = motion_shapes.write_motion_shapes(videos, num_clips=2, classes=names)
    ...     data = read_manifest(videos, "val")
    ...     result, scorer = find_schedule(model, space, data, run, repeats=1)
    >>> len(result.schedule), scorer.expected
    (4, 2)
    """
    folder = pathlib.Path(folder)
    videos = video_list(validation)
    replaced = _changed(folder, videos, accept_changed_data)
    scorer = Scorer(model, validation, batch_size, None, max_bytes, workers, decoding)
    shape = (model.converter.num_frames, *model.converter.image_size, 3)
    if refine is not None:
        refine(0, (None,) * sum(model.backbone.depths))  # the first weights
    identity = {
        "validation": validation.digest,
        "weights": weights_digest(model),
        "batch_size": batch_size,
    }
    if refine is not None:
        identity["refinement"] = refine.identity
    with only_writer(folder):
        if anew:
            chosen = {"repeats": repeats, "alpha": alpha, "seed": seed, "tie": tie}
            _set_result_aside(folder, {**identity, **chosen})
        result = greedy(
            scorer.right,
            space,
            sum(model.backbone.depths),
            repeats=repeats,
            alpha=alpha,
            seed=seed,
            cost=ScheduleCost(model, space, shape),
            trace=folder / _TRACE,
            identity=identity,
            anew=anew or replaced,
            progress=progress,
            equal=lambda mixing: space.first_equal(mixing, model.converter.num_frames),
            tie=tie,
            before_block=refine,
        )
        if refine is not None:
            refine(result.best, (*result.schedule[:-1], None))
            sample_blocks(model.backbone, [True] * len(result.schedule))
        if read_json(folder / _VIDEOS, _MAX_VIDEOS_BYTES)["digest"] != videos["digest"]:
            _write_json(folder / _VIDEOS, videos)
        content = {**result.to_dict(), **identity, "expected": scorer.expected, "tie": tie}
        failed = [list(pair) for pair in scorer.failed]
        _write_json(folder / RESULT, {**content, "failed": failed}, indent=1)
    return result, scorer


def _set_result_aside(folder, identity):
    """Move the result of another search, and what was made of it, into a sub-folder."""
    path = folder / RESULT
    if not path.exists():
        return
    try:
        before = read_json(path)
    except ValueError:  # it is damaged, and so of no search that can be resumed
        before = dict.fromkeys(identity)
    now = json.loads(json.dumps(identity))
    if any(name in before and before[name] != value for name, value in now.items()):
        aside = set_aside(folder, ("preset", RESULT, "*.png"))
        _logger.warning("The result of the earlier search is now in %s", aside)


def _changed(folder, videos, accept):
    """Return the names in a trace's identity that may differ as the videos changed a little."""
    path = folder / _VIDEOS
    if not path.exists():
        _write_json(path, videos)
        return ()
    try:
        before = read_json(path, _MAX_VIDEOS_BYTES)
        if before["digest"] == videos["digest"]:
            return ()
        change = data_change(before, videos)
    except (KeyError, ValueError) as error:
        _logger.warning("%s is damaged, so changes of the videos are unknown: %s", path, error)
        _write_json(path, videos)
        return ()
    if not change.is_small and not (accept and change.classes is None):
        return ()  # the trace refuses the change
    _logger.warning(
        "The validation videos of %s changed: %s. All scores are computed again", folder, change
    )
    return ("validation",)


def _write_json(path, content, indent=None):
    text = json.dumps(content, indent=indent, allow_nan=False) + "\n"
    write_whole(path, text.encode(), alone=True)


def weights_digest(model: keras.Model) -> str:
    """Return the SHA-256 of a model's trained weights, in hexadecimal digits."""
    digest = hashlib.sha256()
    for weight in model.trainable_weights:
        digest.update(keras.ops.convert_to_numpy(weight).astype("float32").tobytes())
    return digest.hexdigest()
