"""Classifies videos: views of each, their scores averaged, the best classes.

Source: section 3.4; three crops: section 4.2.
"""

import dataclasses
import errno
import os

import numpy as np

from keras_mlp3d.data.datasets.check_file import reason_of
from keras_mlp3d.data.video.records import is_record
from keras_mlp3d.data.video.remote import is_remote
from keras_mlp3d.data.video.sources import is_path, is_source, source_name
from keras_mlp3d.inference.score_views import check_model, score_views


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What a network says of one video.

    Args:
        path: The video file, as it was given. A source that is no file has a name here: "bytes",
            "frames", or its own.
        labels: Names of the classes with the highest scores, the best first; "class 7" if the
            model has no names.
        scores: Their scores, between 0 and 1; all classes together would add up to 1.
        frame_indices: Which frames of the video were seen, int64 (clips, T).
        frame_times: When these frames are shown, in seconds from the first frame of the video,
            float64 (clips, T). None if nothing tells, as for frames without a rate.
        error: "", or why the video could not be read: then there are no labels, scores and frames.

    Example:

    >>> Prediction("a.mp4", ("jump", "run"), (0.75, 0.25), np.array([[0, 2, 4, 6]]))
    Prediction(path='a.mp4', labels=('jump', 'run'), scores=(0.75, 0.25))
    """

    path: str
    labels: tuple[str, ...]
    scores: tuple[float, ...]
    frame_indices: np.ndarray = dataclasses.field(repr=False, compare=False)
    frame_times: np.ndarray | None = dataclasses.field(default=None, repr=False, compare=False)
    error: str = ""

    def __repr__(self):
        said = f"labels={self.labels}, scores={self.scores}"
        return f"Prediction(path={self.path!r}, {f'error={self.error!r}' if self.error else said})"


def classify(
    model,
    sources,
    clips=1,
    crops=3,
    top_k=5,
    batch_size=8,
    converter=None,
    fps=None,
    on_error="raise",
):
    """Classifies videos, one after the other; memory does not grow with their number or length.

    Crops that are all the same picture, as those of square videos are, are computed once.

    Args:
        model: `MLP3D`, `TwoPathMLP3D`, `FrameCycleMLP`, or `CycleMLP`, which sees each frame of a
            clip by itself.
        sources: A video, or a list of videos. Each is a file, a folder of numbered JPEG pictures,
            the bytes of a video file, a binary file object, or frames in memory: a uint8 array
            (T, H, W, 3), RGB, or `data.Frames`. A list of uint8 arrays (H, W, 3) is one video.
        clips: Clips evenly sampled from each video.
        crops: Square crops along the longer side of each clip.
        top_k: How many classes to name, at most.
        batch_size: Largest number of views, for `CycleMLP` of frames, that the model sees at once.
        converter: None for `model.converter`, or the `data.VideoConverter` that makes the clips.
        fps: Frames per second of sources that do not say, frames in memory and folders of
            pictures; None if `frame_times` are not needed.
        on_error: What an unreadable video does. "raise": its error is raised at once, and the
            results of the videos before it are lost. "report": it gets a `Prediction` without
            labels whose `error` says why, and the next video follows; for many videos.

    Returns:
        List of `Prediction`, one for each source and in their order.

    Raises:
        ValueError: If an argument is wrong, there is no converter, or its clips do not fit the
            model. With `on_error="raise"`, also `data.VideoError`, a `ValueError` that names the
            video that cannot be read.
        FileNotFoundError: With `on_error="raise"`, if a video does not exist; noticed before any is
            read.

    Source:
        Section 3.4 and section 4.2: three crops along the longer side, scores averaged over all
        views; one clip for Something-Something, four for Kinetics.

    Example:

    >>> from keras_mlp3d.models import MLP3D
    >>> model = MLP3D.from_preset("mlp3d_nano", load_weights=False)
    >>> last_second = [np.zeros((48, 64, 3), "uint8") for _ in range(40)]
    >>> [prediction] = classify(model, last_second, top_k=2, fps=40)
    >>> len(prediction.labels), prediction.frame_indices.shape, prediction.frame_times.max().item()
    (2, (1, 32), 0.975)
    >>> classify(model, ["absent.mp4"], on_error="report")
    [Prediction(path='absent.mp4', error='no such video file')]
    """
    check_model(model)
    sources = _listed(sources)
    for name, value in (
        ("clips", clips),
        ("crops", crops),
        ("top_k", top_k),
        ("batch_size", batch_size),
    ):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"{name} must be a positive integer, got {value!r}.")
    is_number = isinstance(fps, int | float | np.number) and not isinstance(fps, bool)
    if fps is not None and not (is_number and 0 < fps < float("inf")):
        raise ValueError(f"fps must be a positive number or None, got {fps!r}.")
    if on_error not in ("raise", "report"):
        raise ValueError(f'on_error must be "raise" or "report", got {on_error!r}.')
    converter = converter or getattr(model, "converter", None)
    if converter is None:
        raise ValueError(
            f"{model.name} has no converter that turns a video into clips: pass "
            "converter=keras_mlp3d.data.VideoConverter(num_frames=..., image_size=(..., ...))."
        )
    if on_error == "raise":
        _check_exist(sources)
    predictions = []
    for place, source in enumerate(sources):
        try:
            views = converter.read(source, clips=clips, crops=crops, fps=fps)
        # Whatever it is: it is said of this video.
        except Exception as error:
            if on_error == "raise":
                if len(sources) > 1:
                    error.add_note(
                        f"It is number {place + 1} of {len(sources)} videos; with "
                        'on_error="report" the others are classified all the same.'
                    )
                raise
            nothing = np.zeros((0, 0), "int64")
            name = source_name(source)
            predictions.append(Prediction(name, (), (), nothing, error=reason_of(error)))
            continue
        scores = _scores(model, views.frames, clips, crops, batch_size)
        predictions.append(_prediction(model, source, scores, views, top_k))
    return predictions


def _scores(model, views, clips, crops, batch_size):
    """The softmax scores (classes,), averaged over all views."""
    by_clip = views.reshape(clips, crops, *views.shape[1:])
    if all(np.array_equal(by_clip[:, 0], by_clip[:, crop]) for crop in range(1, crops)):
        views = by_clip[:, 0]
    return score_views(model, views, batch_size).mean(axis=0)


def _prediction(model, source, scores, views, top_k):
    best, names = np.argsort(-scores, kind="stable")[:top_k], model.class_names
    return Prediction(
        source_name(source),
        tuple(f"class {place}" if names is None else names[place] for place in best),
        tuple(float(scores[place]) for place in best),
        views.frame_indices,
        views.frame_times,
    )


def _listed(sources):
    """Returns a list of sources, whose only item a single one is."""
    # An array of one axis is no video: a column of a table, whose items are sources.
    is_column = getattr(sources, "ndim", None) == 1 and not isinstance(sources, memoryview)
    if is_source(sources) and not is_column:
        return [sources]
    try:
        if isinstance(sources, dict):
            raise TypeError
        listed = list(sources)
    except TypeError:
        listed = None
    wrong = [sources] if listed is None else [item for item in listed if not is_source(item)]
    if wrong:
        raise ValueError(
            "sources must be a video or a list of videos, each a path, bytes, a binary file object "
            "or frames: a uint8 array (T, H, W, 3) or a list of uint8 arrays (H, W, 3); got "
            f"{type(wrong[0]).__name__} {wrong[0]!r:.80}."
        )
    return listed


def _check_exist(sources):
    """Notices missing files before hours of work."""
    for source in sources:
        if is_path(source) and not is_remote(source) and not is_record(source):
            path = os.fsdecode(source)
            if not os.path.exists(path):
                raise FileNotFoundError(errno.ENOENT, "no such video file", path)
