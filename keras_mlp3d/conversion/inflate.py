"""From the 2-D network to the 3-D one.

Source: section 4.2, center initialization.
"""

import keras
import numpy as np
from keras import ops

from keras_mlp3d.layers import GroupedTimeMixing
from keras_mlp3d.layers.pixels import IMAGENET_MEAN, IMAGENET_STD
from keras_mlp3d.models import MLP3D, CycleMLP, MLP3DBackbone
from keras_mlp3d.models.dtype_policies import quantized_layers
from keras_mlp3d.models.lora import adapted_layers
from keras_mlp3d.models.transfer import transfer_weights, walk_layers

_STRUCTURE = ("channels", "depths", "mlp_ratios")


def inflate(cycle_mlp: CycleMLP, mlp3d: MLP3D | MLP3DBackbone) -> list[str]:
    """Give an MLP-3D the weights of a CycleMLP, in place: center initialization.

    The kernel of the 2-D embedding becomes that of the tubelet's middle frame (index 2 of 4); the
    other three frames get zeros. In every time mixing, w_0 becomes the 2-D channel mixing; all
    other w_Δ and the bias become zero. All other weights are copied; the head is copied if both
    networks have the same number of classes. So for a clip that repeats one image, the logits are
    those of CycleMLP, whatever the schedule.

    Args:
        cycle_mlp: `CycleMLP` whose weights are read.
        mlp3d: `MLP3D` or `MLP3DBackbone` of the same channels, depths and MLP ratios, with any
            schedule, its time-mixing weights shared or not.

    Returns:
        Paths of the weights of `mlp3d` that keep their own values: those of the head if the
        number of classes differs, otherwise none.

    Raises:
        ValueError: If the networks do not match, one is quantized or has LoRA adapters, or they
            take pixels of different statistics.

    Source:
        Section 4.2; docs/reading.md (center initialization).

    Example:

    >>> sizes = (8, 8, 16, 16), (1, 1, 1, 1), 2
    >>> frame = CycleMLP(*sizes, num_classes=10)
    >>> video = MLP3D(MLP3DBackbone(*sizes, "short_range:2"), num_classes=10)
    >>> inflate(frame, video)
    []
    >>> image = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3))
    >>> clip = np.repeat(image[:, None], 8, axis=1)
    >>> logits = frame.predict(image, verbose=0), video.predict(clip, verbose=0)
    >>> np.allclose(*logits, atol=1e-4)
    True
    """
    if not isinstance(cycle_mlp, CycleMLP):
        raise ValueError(f"cycle_mlp must be a CycleMLP, got {type(cycle_mlp).__name__}.")
    if not isinstance(mlp3d, MLP3D | MLP3DBackbone):
        raise ValueError(f"mlp3d must be an MLP3D or MLP3DBackbone, got {type(mlp3d).__name__}.")
    backbone = mlp3d.backbone if isinstance(mlp3d, MLP3D) else mlp3d
    for name in _STRUCTURE:
        flat, deep = getattr(cycle_mlp, name), getattr(backbone, name)
        if flat != deep:
            raise ValueError(
                f"Both networks must have the same {name}: cycle_mlp has {flat}, mlp3d has {deep}."
            )
    if _pixels(cycle_mlp) != _pixels(backbone):
        raise ValueError(
            "Both networks must take pixels of the same include_rescaling, pixel_mean and "
            f"pixel_std: cycle_mlp has {_pixels(cycle_mlp)}, mlp3d has {_pixels(backbone)}."
        )
    for name, network in (("cycle_mlp", cycle_mlp), ("mlp3d", mlp3d)):
        if quantized_layers(network) or adapted_layers(network):
            raise ValueError(
                f"{name} must have float weights without adapters: {network.name} is quantized, or "
                "has LoRA adapters, which merge_lora() adds to its weights."
            )
    kept = transfer_weights(cycle_mlp, mlp3d)
    embedding = backbone.get_layer("embedding")
    _center(cycle_mlp.get_layer("embedding"), embedding)
    settled = [embedding.kernel.path]
    for layer in walk_layers(backbone):
        if isinstance(layer, GroupedTimeMixing):
            settled.append(layer.kernel.path)
            if layer.bias is not None:
                layer.bias.assign(np.zeros(layer.bias.shape))
                settled.append(layer.bias.path)
    return [path for path in kept if not path.startswith(tuple(settled))]


def _pixels(network: CycleMLP | MLP3DBackbone) -> tuple[object, ...]:
    """Return what a network does with pixels: None for ImageNet's statistics is these."""
    if not network.include_rescaling:
        return (False,)
    return True, network.pixel_mean or IMAGENET_MEAN, network.pixel_std or IMAGENET_STD


def _center(flat: keras.layers.Layer, tubelet: keras.layers.Layer) -> None:
    frames = tubelet.kernel.shape[0]
    kernel = np.zeros(tubelet.kernel.shape, "float32")
    kernel[frames // 2] = ops.convert_to_numpy(ops.cast(flat.kernel, "float32"))[0]
    tubelet.kernel.assign(kernel)
