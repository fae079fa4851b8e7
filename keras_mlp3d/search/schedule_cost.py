"""Cost of a schedule with or without undecided blocks, without building its network.

Source: section 3.4, Eq. (6).
"""

import math
from collections.abc import Sequence

from keras_mlp3d.cost import count
from keras_mlp3d.models import MLP3D, Mixing, MLP3DBackbone
from keras_mlp3d.search.space import SearchSpace

_ONE = "short_range:1"  # S = 1: time mixing with one matrix per token
_MIXING = "/mix_time"


class ScheduleCost:
    """GMACs per clip, for any choices of a network's blocks.

    `cost.count` counts the network once with S = 1 everywhere. A block with group size S then costs
    (S - 1) times its one matrix more. An undecided block costs the mean over the candidates of the
    space.

    Args:
        model: `MLP3D`, ordinary or a supernet; its own schedule has no effect.
        space: `SearchSpace` from which undecided blocks are sampled.
        input_shape: (frames, height, width, 3) of one clip.

    Attributes:
        params: Parameters of the network with S = 1 everywhere.

    Raises:
        ValueError: If the clip does not fit the network.

    Source:
        Section 3.4, Eq. (6); docs/reading.md (units).

    Example:

    >>> from keras_mlp3d.models import Mixing
    >>> from keras_mlp3d.search import SearchSpace
    >>> model = MLP3D.from_preset("mlp3d_nano", load_weights=False)
    >>> cost = ScheduleCost(model, SearchSpace(), (32, 32, 32, 3))
    >>> one, four = Mixing("short_range", 1), Mixing("shift_token", 4)
    >>> cost((one,) * 4) < cost((four, one, one, None)) < cost((four,) * 4)
    True
    """

    def __init__(self, model: MLP3D, space: SearchSpace, input_shape: Sequence[int]):
        backbone = model.backbone
        twin = MLP3D(
            MLP3DBackbone(backbone.channels, backbone.depths, backbone.mlp_ratios, _ONE),
            model.num_classes,
        )
        counted = count(twin, tuple(input_shape))
        units = [row.macs for row in counted.layers if row.name.endswith(_MIXING)]
        self.params = counted.params
        self._base = counted.macs - sum(units)
        self._units = units
        sizes = [mixing.group_size for mixing in space.mixings]
        self._mean_size = math.fsum(sizes) / len(sizes)

    def __call__(self, choices: Sequence[Mixing | None]) -> float:
        """Return the GMACs per clip.

        Args:
            choices: A `Mixing` per block, or None for an undecided block.

        Raises:
            ValueError: If there is not one choice per block.
        """
        if len(choices) != len(self._units):
            raise ValueError(
                f"choices must have one entry for each of {len(self._units)} blocks, got "
                f"{len(choices)}."
            )
        sizes = [self._mean_size if mixing is None else mixing.group_size for mixing in choices]
        macs = (size * unit for size, unit in zip(sizes, self._units, strict=True))
        return (self._base + math.fsum(macs)) / 1e9
