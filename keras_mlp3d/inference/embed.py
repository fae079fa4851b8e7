"""Features of videos: what a network computes before its classifier, for search and clustering.

Source: section 3.1: tokens averaged over space and time.
"""

import dataclasses
import weakref
from typing import Any

import keras
import numpy as np

from keras_mlp3d.data.video.converter import VideoConverter
from keras_mlp3d.data.video.sources import source_name
from keras_mlp3d.inference.read_sources import converter_of, different_views, read_sources
from keras_mlp3d.models import MLP3D, CycleMLP, FrameCycleMLP, MLP3DBackbone, TwoPathMLP3D

#: Model -> its variables, and the part of it that computes features, which is compiled once.
_parts: "weakref.WeakKeyDictionary[keras.Model, tuple[list[int], keras.Model]]" = (
    weakref.WeakKeyDictionary()
)


@dataclasses.dataclass(frozen=True)
class Embedding:
    """The features of one video.

    Args:
        path: The video file, as passed, or the name of a source that is no file.
        features: float32 (C,); empty if the video is unreadable.
        error: "", or why the video is unreadable.

    Example:

    >>> Embedding("a.mp4", np.zeros(4, "float32")).features.shape
    (4,)
    """

    path: str
    features: np.ndarray = dataclasses.field(repr=False, compare=False)
    error: str = ""


def embed(
    model: keras.Model,
    sources: Any,
    clips: int = 1,
    crops: int = 1,
    batch_size: int = 8,
    converter: VideoConverter | None = None,
    fps: float | None = None,
    on_error: str = "raise",
) -> list[Embedding]:
    """Compute a vector per video: the mean of its tokens, which a classifier would be given.

    It is averaged over all views of a video. A two-path network gives the vectors of both paths,
    one after the other; a network on images the mean over the frames of a clip.

    Args:
        model: `MLP3D`, `MLP3DBackbone`, `TwoPathMLP3D`, `FrameCycleMLP` or `CycleMLP`.
        sources: A video, or a list of videos, as `classify` takes them.
        clips: Number of clips per video, evenly sampled.
        crops: Number of square crops per clip, along its longer side.
        batch_size: Largest number of views, or frames for a network on images, per batch.
        converter: `data.VideoConverter` that makes the clips. Defaults to `model.converter`.
        fps: Frames per second of sources that have none.
        on_error: "raise" raises the error of an unreadable video at once. "report" gives it an
            `error` and no features, and the next video follows.

    Returns:
        List of `Embedding`, one per source, in their order.

    Raises:
        ValueError: If an argument is wrong, features are not finite numbers, or, with
            `on_error="raise"`, a video is unreadable (`data.VideoError`).
        FileNotFoundError: With `on_error="raise"`, if a video does not exist.

    Source:
        Section 3.1.

    Example:

    >>> model = MLP3D.from_preset("mlp3d_nano", load_weights=False)
    >>> [found] = embed(model, np.zeros((40, 48, 64, 3), "uint8"))
    >>> found.features.shape == (model.backbone.channels[-1],)
    True
    """
    features_of = _features_of(model)
    converter = converter_of(model, converter)
    embeddings = []
    for source, views in read_sources(sources, converter, clips, crops, batch_size, fps, on_error):
        name = source_name(source)
        if isinstance(views, str):
            embeddings.append(Embedding(name, np.zeros(0, "float32"), views))
            continue
        inputs = different_views(views.frames, clips, crops)
        model.check_input(inputs[0] if isinstance(model, CycleMLP) else inputs)
        if isinstance(model, CycleMLP | FrameCycleMLP):
            inputs = inputs.reshape(-1, *inputs.shape[2:])
        batches = [
            np.asarray(features_of.predict_on_batch(inputs[start : start + batch_size]))
            for start in range(0, len(inputs), batch_size)
        ]
        features = np.concatenate(batches).astype("float64").mean(axis=0).astype("float32")
        if not np.isfinite(features).all():
            raise ValueError(
                f"{model.name} returns features that are not finite numbers: its weights are "
                "unusable."
            )
        embeddings.append(Embedding(name, features))
    return embeddings


def _features_of(model: keras.Model) -> keras.Model:
    """Return the part of a model from its input to what the classifier is given."""
    known = (MLP3D, MLP3DBackbone, TwoPathMLP3D, FrameCycleMLP, CycleMLP)
    if not isinstance(model, known):
        raise ValueError(
            f"model must be an {', '.join(cls.__name__ for cls in known[:-1])} or "
            f"{known[-1].__name__}, got {type(model).__name__}."
        )
    # Quantization and adapters put other variables into the layers.
    variables = [id(variable) for variable in model.variables]
    if model not in _parts or _parts[model][0] != variables:
        _parts[model] = variables, _part(model)
    return _parts[model][1]


def _part(model: keras.Model) -> keras.Model:
    if isinstance(model, FrameCycleMLP):
        return _part(model.cycle_mlp)
    if isinstance(model, TwoPathMLP3D):
        clip = keras.Input(model.input_shape[1:], dtype="float32")
        moving = model.get_layer("motion_view")(clip)
        both = [_part(model.appearance)(clip), _part(model.motion)(moving)]
        return keras.Model(clip, keras.layers.Concatenate(dtype="float32")(both))
    if isinstance(model, MLP3DBackbone):
        return keras.Model(model.input, keras.ops.mean(model.output, axis=(1, 2, 3)))
    return keras.Model(model.input, model.get_layer("pooling").output)
