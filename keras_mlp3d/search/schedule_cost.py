"""Cost of a schedule, decided or not, without running or building it.

Source: section 3.4, Eq. (6).
"""

import math

from keras_mlp3d.cost import count
from keras_mlp3d.models import MLP3D, MLP3DBackbone

_ONE = "short_range:1"  # S = 1: time mixing of one matrix a token
_MIXING = "/mix_time"


class ScheduleCost:
    """GMACs of one clip, for any choices of a network's blocks.

    With S = 1 everywhere the network is counted once, as `cost.count` does it; every block then
    costs (S - 1) times its one matrix more. A block that is undecided counts as the mean over the
    space's candidates: what a random draw costs on average.

    Args:
        model: `MLP3D`, an ordinary one or a supernet; its own schedule does not matter.
        space: `SearchSpace` that undecided blocks are drawn from.
        input_shape: (frames, height, width, 3) of one clip.

    Attributes:
        params: Parameters of the network with S = 1 everywhere.

    Raises:
        ValueError: If the clip does not fit the network.

    Source:
        Section 3.4, Eq. (6); the unit and undecided blocks are our reading.

    Example:

    >>> from keras_mlp3d.models import Mixing
    >>> from keras_mlp3d.search import SearchSpace
    >>> model = MLP3D.from_preset("mlp3d_nano", load_weights=False)
    >>> cost = ScheduleCost(model, SearchSpace(), (32, 32, 32, 3))
    >>> one, four = Mixing("short_range", 1), Mixing("shift_token", 4)
    >>> cost((one,) * 4) < cost((four, one, one, None)) < cost((four,) * 4)
    True
    """

    def __init__(self, model, space, input_shape):
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

    def __call__(self, choices):
        """Returns the GMACs of one clip.

        Args:
            choices: A `Mixing` for each block, or None where it is undecided.

        Raises:
            ValueError: If there are not as many as blocks.
        """
        if len(choices) != len(self._units):
            raise ValueError(
                f"There must be one choice for each of {len(self._units)} blocks, got "
                f"{len(choices)}."
            )
        sizes = [self._mean_size if mixing is None else mixing.group_size for mixing in choices]
        macs = (size * unit for size, unit in zip(sizes, self._units, strict=True))
        return (self._base + math.fsum(macs)) / 1e9
