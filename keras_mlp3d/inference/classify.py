"""Classifies videos: views of each, their scores averaged, the best classes.

Source: section 3.4.
"""

import dataclasses
import errno
import os

import numpy as np

from keras_mlp3d.inference.score_views import check_model, score_views


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What a network says of one video.

    Args:
        path: The video file, as it was given.
        labels: Names of the classes with the highest scores, the best first; "class 7" where the
            model has no names.
        scores: Their scores, between 0 and 1; all classes together would add up to 1.
        frame_indices: Which frames of the video were seen, int64 (clips, T).

    Example:

    >>> Prediction("a.mp4", ("jump", "run"), (0.75, 0.25), np.array([[0, 2, 4, 6]]))
    Prediction(path='a.mp4', labels=('jump', 'run'), scores=(0.75, 0.25))
    """

    path: str
    labels: tuple[str, ...]
    scores: tuple[float, ...]
    frame_indices: np.ndarray = dataclasses.field(repr=False, compare=False)


def classify(model, paths, clips=1, crops=3, top_k=5, batch_size=8, converter=None):
    """Classifies videos, one after the other; memory does not grow with their number or length.

    Crops that are all the same picture, as those of square videos are, are computed once.

    Args:
        model: `MLP3D`, `TwoPathMLP3D`, `FrameCycleMLP`, or `CycleMLP`, which sees each frame of a
            clip by itself.
        paths: Video files, or a single one.
        clips: Clips evenly sampled from each video.
        crops: Square crops along the longer side of each clip.
        top_k: How many classes to name, at most.
        batch_size: Largest number of views, for `CycleMLP` of frames, that the model sees at once.
        converter: None for `model.converter`, or the `data.VideoConverter` that makes the clips.

    Returns:
        List of `Prediction`, one for each path and in their order.

    Raises:
        ValueError: If an argument is wrong, there is no converter, or its clips do not fit the
            model. A video that cannot be read is a `data.VideoError`, a `ValueError` that names
            it; to go on with the others, call this function for each video by itself, which
            costs no time.
        FileNotFoundError: If a video does not exist; noticed before any is read.

    Source:
        Section 3.4: three crops along the longer side, scores averaged over all views; one clip
        for Something-Something, four for Kinetics.

    Example:

    >>> import os, tempfile
    >>> from keras_mlp3d.data.datasets.motion_shapes import write_motion_shapes
    >>> from keras_mlp3d.models import MLP3D
    >>> model = MLP3D.from_preset("mlp3d_nano", load_weights=False)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_motion_shapes(folder, num_clips=1, classes=["spin_then_blink"])
    ...     video = os.path.join(folder, "spin_then_blink", "00000.mp4")
    ...     [prediction] = classify(model, video, top_k=2)
    >>> len(prediction.labels), prediction.frame_indices.shape
    (2, (1, 32))
    """
    check_model(model)
    paths = _checked_paths(paths)
    if isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 1:
        raise ValueError(f"top_k must be a positive integer, got {top_k!r}.")
    converter = converter or getattr(model, "converter", None)
    if converter is None:
        raise ValueError(
            f"{model.name} has no converter that turns a video into clips: pass "
            "converter=keras_mlp3d.data.VideoConverter(num_frames=..., image_size=(..., ...))."
        )
    return [
        _classify_one(model, path, converter, clips, crops, top_k, batch_size) for path in paths
    ]


def _classify_one(model, path, converter, clips, crops, top_k, batch_size):
    views, frame_indices = converter.views(path, clips=clips, crops=crops)
    by_clip = views.reshape(clips, crops, *views.shape[1:])
    if all(np.array_equal(by_clip[:, 0], by_clip[:, crop]) for crop in range(1, crops)):
        views = by_clip[:, 0]
    scores = score_views(model, views, batch_size).mean(axis=0)
    best = np.argsort(-scores, kind="stable")[:top_k]
    names = model.class_names
    return Prediction(
        path,
        tuple(f"class {place}" if names is None else names[place] for place in best),
        tuple(float(scores[place]) for place in best),
        frame_indices,
    )


def _checked_paths(paths):
    """Returns a list of file names that exist."""
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    try:
        paths = [os.fsdecode(path) for path in paths]
    except TypeError as error:
        raise ValueError(
            f"paths must be file names (str or PathLike), or one of them: {error}."
        ) from None
    for path in paths:
        if not os.path.exists(path):
            raise FileNotFoundError(errno.ENOENT, "no such video file", path)
    return paths
