"""Classifies videos: averages the scores of several views and names the best classes.

Source: section 4.2 (scores averaged over clips and three crops).
"""

import dataclasses
from typing import Any

import keras
import numpy as np

from keras_mlp3d._utils.checks import check_integer
from keras_mlp3d.data.video.converter import VideoConverter, Views
from keras_mlp3d.data.video.sources import source_name
from keras_mlp3d.inference.read_sources import converter_of, different_views, read_sources
from keras_mlp3d.inference.score_views import check_model, score_views
from keras_mlp3d.models.network_checks import is_multi_label


@dataclasses.dataclass(frozen=True)
class Prediction:
    """Prediction of a network for one video.

    Args:
        path: The video file, as passed. For a source that is no file, its name: "bytes", "frames",
            or that of the source.
        labels: Names of the classes with the highest scores, the best first, such as "class 7" if
            the model has no names.
        scores: Scores of these classes, from 0 to 1. The scores of all classes add up to 1, except
            those of a model with `activation="sigmoid"`, which are independent of each other.
        frame_indices: Numbers of the frames that the network saw, int64 (clips, T).
        frame_times: Seconds at which these frames are shown, from the first frame of the video on,
            float64 (clips, T). None if unknown, as for frames without a rate.
        error: "", or why the video is unreadable. It then has no labels, scores and frames.
        multi_label: Whether the model scores each class by itself: several of `labels` may be
            right, or none.

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
    multi_label: bool = dataclasses.field(default=False, repr=False)

    def __repr__(self) -> str:
        said = f"labels={self.labels}, scores={self.scores}"
        return f"Prediction(path={self.path!r}, {f'error={self.error!r}' if self.error else said})"


def classify(
    model: keras.Model,
    sources: Any,
    clips: int = 1,
    crops: int = 3,
    top_k: int = 5,
    batch_size: int = 8,
    converter: VideoConverter | None = None,
    fps: float | None = None,
    on_error: str = "raise",
) -> list[Prediction]:
    """Classify videos one by one. Memory does not grow with their number or length.

    If all crops are the same picture, as in square videos, they are computed once.

    Args:
        model: `MLP3D`, `TwoPathMLP3D`, `FrameCycleMLP`, or `CycleMLP`, which classifies each frame
            of a clip.
        sources: A video, or a list of videos. Each is a file, a folder of numbered JPEG pictures,
            the bytes of a video file, a binary file object, or frames in memory: a uint8 array
            (T, H, W, 3), RGB, or `data.Frames`. A list of uint8 arrays (H, W, 3) is one video.
        clips: Number of clips per video, evenly sampled.
        crops: Number of square crops per clip, along its longer side.
        top_k: Largest number of classes to name. A model with `activation="sigmoid"` names as many,
            however low their scores are: a video may have several of them, or none.
        batch_size: Largest number of inputs per batch: views, or frames for `CycleMLP`.
        converter: `data.VideoConverter` that makes the clips. Defaults to `model.converter`.
        fps: Frames per second of sources that have none: frames in memory and folders of pictures.
            Needed for `frame_times` only.
        on_error: What happens at an unreadable video. "raise": its error is raised at once, and the
            results of the videos before it are lost. "report": its `Prediction` has no labels and
            an `error` that says why, and the next video follows.

    Returns:
        List of `Prediction`, one per source, in their order.

    Raises:
        ValueError: If an argument is wrong, there is no converter, or its clips do not fit the
            model. With `on_error="raise"`, also `data.VideoError`, a `ValueError` that names an
            unreadable video.
        FileNotFoundError: With `on_error="raise"`, if a video does not exist. This is checked
            before any video is read.

    Source:
        Section 4.2: scores averaged over clips and three crops along the longer side;
        one clip for Something-Something, four for Kinetics.

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
    check_integer("top_k", top_k)
    converter = converter_of(model, converter)
    predictions = []
    for source, views in read_sources(sources, converter, clips, crops, batch_size, fps, on_error):
        predictions.append(classify_views(model, source, views, clips, crops, top_k, batch_size))
    return predictions


def classify_views(
    model: keras.Model,
    source: Any,
    views: Views | str,
    clips: int,
    crops: int,
    top_k: int,
    batch_size: int,
) -> Prediction:
    """Return the prediction for a video that is read already.

    Args:
        model: As for `classify`.
        source: The video.
        views: Its views, or why it is unreadable.
        clips: Number of clips.
        crops: Number of crops per clip.
        top_k: Largest number of classes to name.
        batch_size: Largest number of inputs per batch.
    """
    if isinstance(views, str):
        return Prediction(source_name(source), (), (), np.zeros((0, 0), "int64"), error=views)
    different = different_views(views.frames, clips, crops)
    scores = score_views(model, different, batch_size).mean(axis=0)
    best, names = np.argsort(-scores, kind="stable")[:top_k], model.class_names
    return Prediction(
        source_name(source),
        tuple(f"class {place}" if names is None else names[place] for place in best),
        tuple(float(scores[place]) for place in best),
        views.frame_indices,
        views.frame_times,
        multi_label=is_multi_label(model),
    )
