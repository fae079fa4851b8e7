"""Networks for video of other libraries, and ours, as PyTorch modules with random weights.

The others are `swin3d_t`, `mvit_v2_s`, `s3d` and `r2plus1d_18` of torchvision, and VideoMAE (small)
of transformers, built from a configuration: nothing is downloaded. MViT and VideoMAE fix their
positions when they are built, so they are built for the size of the clips.
"""

import contextlib
import dataclasses
import importlib.util
from collections.abc import Callable
from typing import Any

TORCHVISION = ("swin3d_t", "mvit_v2_s", "s3d", "r2plus1d_18")
TRANSFORMERS = ("videomae_small",)
PEERS = (*TORCHVISION, *TRANSFORMERS)


@dataclasses.dataclass
class Network:
    """A network, and how it is called.

    Args:
        module: `torch.nn.Module`.
        clips: Function that makes a batch of clips in the layout of the network.
        call: Function of (clips, training) that returns the logits.
    """

    module: Any
    clips: Callable
    call: Callable


def library_of(name):
    """Return the library that a network needs, or None for ours."""
    if name in TORCHVISION:
        return "torchvision"
    return "transformers" if name in TRANSFORMERS else None


def missing(names):
    """Return None, or an error line that says which networks need a library that is missing."""
    lines = []
    for library in ("torchvision", "transformers"):
        without = [name for name in names if library_of(name) == library]
        if without and importlib.util.find_spec(library) is None:
            lines.append(f"{', '.join(without)}: {library} is not installed")
    if not lines:
        return None
    return (
        f"{'; '.join(lines)}. `make bench-peers` installs both in an environment of its own; "
        "or choose with --networks."
    )


def build(name, size, classes=400):
    """Build a network with random weights.

    Args:
        name: One of `PEERS`, or a preset of ours.
        size: (frames, height, width) of the clips.
        classes: Number of classes.

    Returns:
        `Network`, on the CPU if it is a peer.
    """
    if name in TORCHVISION:
        module = _from_torchvision(name, size, classes)
        return Network(module, lambda batch: _floats(batch, 3, *size), _calls(module))
    if name in TRANSFORMERS:
        module = _videomae(size, classes)
        call = _calls(module)
        return Network(
            module,
            lambda batch: _floats(batch, size[0], 3, *size[1:]),
            lambda clips, training: call(clips, training).logits,
        )
    import keras_mlp3d as km

    module = km.MLP3D.from_preset(
        name, load_weights=False, num_classes=classes, input_shape=(*size, 3)
    )
    return Network(
        module,
        lambda batch: _pixels(batch, size),
        lambda clips, training: module(clips, training=training),
    )


def _floats(*shape):
    import torch

    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def _pixels(batch, size):
    import torch

    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (batch, *size, 3), dtype=torch.uint8, generator=generator)


def _calls(module):
    def call(clips, training):
        module.train(training)
        return module(clips)

    return call


def _from_torchvision(name, size, classes):
    allow_torchvision()
    from torchvision.models import video

    if name != "mvit_v2_s":
        return getattr(video, name)(weights=None, num_classes=classes)
    from torchvision.models.video import mvit

    # `mvit_v2_s` itself takes no size: its class gets the one of the clips.
    original = mvit.MViT
    sizes = {"temporal_size": size[0], "spatial_size": size[1:]}
    mvit.MViT = lambda **options: original(**{**options, **sizes})
    try:
        return video.mvit_v2_s(weights=None, num_classes=classes)
    finally:
        mvit.MViT = original


def allow_torchvision():
    """Let a torchvision that was built for CUDA be imported with a PyTorch that was not.

    The operators of its detection networks cannot be loaded then, and the import would fail as it
    refers to two of them. They are declared here. The networks for video use none.
    """
    import torch

    names = ("nms", "qnms")
    if torch.version.cuda is None and not hasattr(torch.ops.torchvision, names[0]):
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in names:
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _declared.append(library)


#: PyTorch forgets the operators of a library that nothing refers to.
_declared = []


def _videomae(size, classes):
    if importlib.util.find_spec("torchvision") is not None:
        allow_torchvision()  # transformers imports it if it is there
    from transformers import VideoMAEConfig, VideoMAEForVideoClassification

    frames, height, width = size
    if height != width:
        raise ValueError(f"VideoMAE takes square clips only, not {height} x {width}")
    return VideoMAEForVideoClassification(
        VideoMAEConfig(
            image_size=height,
            num_frames=frames,
            hidden_size=384,
            num_hidden_layers=12,
            num_attention_heads=6,
            intermediate_size=1536,
            num_labels=classes,
        )
    )


def count_macs(run):
    """Return the multiply-accumulates of a call, forward and backward, counted by PyTorch.

    Attention is written out while it is counted: the counter does not know the fused operator of
    the CPU.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with contextlib.ExitStack() as stack:
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        stack.enter_context(counter)
        run()
    return counter.get_total_flops() // 2
