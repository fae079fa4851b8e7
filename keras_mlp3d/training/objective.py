"""What a training minimizes and measures: it follows from the network and the labels."""

from typing import Any

import keras
import numpy as np
from keras.src.trainers.trainer import model_supports_jit

from keras_mlp3d._utils.tensorflow import load_tensorflow
from keras_mlp3d.distribution import current_distribution
from keras_mlp3d.models.network import Network
from keras_mlp3d.models.network_checks import check_classes, check_label_kind, is_multi_label
from keras_mlp3d.training.average_precision import MeanAveragePrecision

#: From this number of steps on, XLA saves more time than it takes to compile them.
STEPS_WORTH_XLA = 300


def check_labels(model: keras.Model, *loaders: Any) -> None:
    """Refuse labels that contradict the network, before the first clip is decoded.

    Args:
        model: The network.
        *loaders: Data sets, or None. Only a `data.VideoLoader` says what its labels are.

    Raises:
        ValueError: If videos may have several labels and the network gives one class, or the other
            way round, or if the classes are not the network's, in its order.
    """
    for loader in loaders:
        source = getattr(loader, "source", None)
        several = getattr(source, "multi_label", None)
        if several is not None:
            check_label_kind(model, several)
        manifest = getattr(source, "manifest", None)
        if manifest is not None:
            check_classes(model, manifest)


def compile_model(
    model: keras.Model, optimizer: keras.Optimizer, training: Any, steps: int
) -> None:
    """Compile a network with the loss and the metric that fit it.

    A network with `activation="sigmoid"` gets the binary cross-entropy of each class and
    `MeanAveragePrecision`. Any other returns logits and gets the cross-entropy and the accuracy.

    Args:
        model: The network.
        optimizer: The optimizer of its training.
        training: The data set to train on.
        steps: Steps of the whole training, which say whether it is worth to have XLA compile it.

    Raises:
        ValueError: If a batch does not divide over the devices, or its labels do not fit.
    """
    _, labels = training[0]
    distribution = current_distribution()
    distribution.check_batch_size(len(labels) * distribution.shard[1])
    loss, metric = _loss_and_metric(model, labels)
    # Weighted, because unreadable validation videos have the weight 0: see `UnreadableVideos`.
    model.compile(
        optimizer, loss, weighted_metrics=[metric], jit_compile=_jit_compile(model, steps)
    )
    # Not `optimizer`: in float16 Keras has wrapped it in one that scales the loss.
    model.optimizer.build(model.trainable_variables)


def _jit_compile(model, steps):
    """Return `jit_compile` of `model.compile`: True where Keras leaves XLA out and it is worth it.

    Keras does so on TensorFlow if there are only processors. There a step takes half the time with
    XLA, and the first one some seconds longer (docs/backends.md).
    """
    if keras.backend.backend() != "tensorflow" or steps < STEPS_WORTH_XLA:
        return "auto"
    # Each candidate of a block would be compiled, and of other models nothing is known.
    layers = model._flatten_layers()
    if not isinstance(model, Network) or any(getattr(each, "candidates", ()) for each in layers):
        return "auto"
    tf = load_tensorflow("The backend is TensorFlow, which is not installed.")
    devices = {device.device_type for device in tf.config.list_physical_devices()}
    alone = devices == {"CPU"} and not tf.distribute.has_strategy()
    return True if alone and model_supports_jit(model) else "auto"


def _loss_and_metric(model, labels):
    mixed = np.ndim(labels) == 2
    if is_multi_label(model):
        if not mixed:
            raise ValueError(
                f"{model.name} has activation='sigmoid', which needs labels of shape (batch, "
                f"classes), got shape {np.shape(labels)}."
            )
        return keras.losses.BinaryCrossentropy(), MeanAveragePrecision(model.num_classes)
    if mixed:
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)
        return loss, keras.metrics.CategoricalAccuracy(name="accuracy")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return loss, keras.metrics.SparseCategoricalAccuracy(name="accuracy")
