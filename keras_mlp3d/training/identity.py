"""What a run trains: the network, and the videos of its loaders."""

import hashlib
import json
from typing import Any

import keras

from keras_mlp3d.data import Manifest
from keras_mlp3d.models.preset_model import PresetModel
from keras_mlp3d.training.changed_videos import data_identity


def identity_of(model: keras.Model, training: Any, validation: Any) -> dict[str, Any]:
    """Return the `identity` of a run, from the objects that `train` is given.

    Args:
        model: The network. Its class, its arguments without names, and the shapes of its weights
            are compared; not its weights, of which those of a new classifier are random.
        training: The loader of the training videos. If it has no manifest, videos are not compared.
        validation: None, or the loader of the validation videos.

    Example:

    >>> from keras_mlp3d import MLP3D
    >>> first, second = (MLP3D.from_preset("mlp3d_nano", load_weights=False) for _ in range(2))
    >>> identity_of(first, None, None) == identity_of(second, None, None)
    True
    """
    shapes = [list(variable.shape) for variable in model.variables]
    # Not `get_config`: Keras serializes inner networks in it, and imports TensorFlow for that.
    objects = model.preset_objects() if isinstance(model, PresetModel) else None
    content = [shapes, _without_names(objects)]
    digest = hashlib.sha256(json.dumps(content, default=str, sort_keys=True).encode()).hexdigest()
    identity: dict[str, Any] = {"model": {"class": type(model).__name__, "sha256": digest}}
    manifest = _manifest_of(training)
    if manifest is not None:
        identity.update(data_identity(manifest, _manifest_of(validation)))
    return identity


def _manifest_of(loader: Any) -> Manifest | None:
    manifest = getattr(getattr(loader, "source", None), "manifest", None)
    return manifest if isinstance(manifest, Manifest) else None


def _without_names(config: Any) -> Any:
    """Return a configuration without the names of models, which Keras numbers in each process."""
    if isinstance(config, dict):
        return {key: _without_names(value) for key, value in config.items() if key != "name"}
    if isinstance(config, list | tuple):
        return [_without_names(value) for value in config]
    return config
