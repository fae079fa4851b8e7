"""The MLP-3D network without its classifier.

Source: sections 3.1 and 3.4, Figure 2, Table 1.
"""

from collections.abc import Callable, Sequence
from typing import Any, Self

import keras

from keras_mlp3d import hub
from keras_mlp3d._utils.checks import check_boolean
from keras_mlp3d._utils.types import DType, Tensor
from keras_mlp3d.layers import (
    MLP3DBlock,
    PixelNormalization,
    StageTransition,
    SubtractMean,
    TubeletEmbedding,
    stochastic_depth_rates,
)
from keras_mlp3d.layers.pixels import check_statistics
from keras_mlp3d.models import switchable
from keras_mlp3d.models.dtype_policies import network_policy, settle_policies, stored_policies
from keras_mlp3d.models.network_checks import (
    TUBELET_FRAMES,
    check_clip,
    check_stages,
    static_shape,
    valid_num_frames,
)
from keras_mlp3d.models.preset_model import PresetModel
from keras_mlp3d.models.schedule import Mixing, parse_schedule


def build_stages(
    clip: Tensor,
    channels: Sequence[int],
    depths: Sequence[int],
    mlp_ratios: Sequence[float],
    schedule: Sequence[Mixing],
    drop_path_rate: float,
    dtype: DType,
    window: int,
    time_mixing: Callable[[Mixing], keras.layers.Layer],
    remat: bool = False,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Embed a clip and run the four stages.

    Args:
        clip: Symbolic clip (B, T, H, W, 3), normalized.
        channels: Channels of each stage.
        depths: Blocks of each stage.
        mlp_ratios: Channel MLP ratio of each stage.
        schedule: One `Mixing` per block.
        drop_path_rate: Rate of stochastic depth at the last block.
        dtype: Dtype policy of every layer.
        window: Frames of the embedding's window, and its stride in time.
        time_mixing: Function that returns the time-mixing layer of a `Mixing`.
        remat: Whether blocks compute their activations again in the backward pass.

    Returns:
        Normalized tokens (B, T', H', W', C4), and {"P2": ..., "P5": ...}: the tokens behind each
        stage, without norm.
    """
    rates = stochastic_depth_rates(depths, drop_path_rate)
    mixings = iter(schedule)
    tokens = TubeletEmbedding(
        channels[0],
        window=(window, 7, 7),
        strides=(window, 4, 4),
        padding=(0, 2, 2),
        dtype=dtype,
        name="embedding",
    )(clip)
    pyramid = {}
    for stage in range(4):
        name = f"stage{stage + 1}"
        if stage:
            transition = StageTransition(channels[stage], dtype=dtype, name=f"{name}_transition")
            tokens = transition(tokens)
        for index in range(depths[stage]):
            tokens = MLP3DBlock(
                time_mixing(next(mixings)),
                mlp_ratio=mlp_ratios[stage],
                drop_path_rate=rates[stage][index],
                remat=remat,
                dtype=dtype,
                name=f"{name}_block{index + 1}",
            )(tokens)
        pyramid[f"P{stage + 2}"] = tokens
    tokens = keras.layers.LayerNormalization(epsilon=1e-5, dtype=dtype, name="norm")(tokens)
    return tokens, pyramid


def stage_outputs(model: keras.Model) -> dict[str, Tensor]:
    """Return {"P2": ..., "P5": ...}: the symbolic tokens behind each stage of a network."""
    return {
        f"P{stage + 2}": model.get_layer(f"stage{stage + 1}_block{depth}").output
        for stage, depth in enumerate(model.depths)
    }


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class MLP3DBackbone(PresetModel):
    """Tubelet embedding and four stages of MLP-3D blocks.

    Args:
        channels: Channels of the four stages.
        depths: Number of blocks of the four stages.
        mlp_ratios: Ratio of the channel MLPs, one number or one per stage.
        schedule: Kind and group size of each block's time mixing; see `parse_schedule`.
        share_weights: Whether time mixing shares its weights by time interval, Eq. (5).
        max_group_size: None, or the largest group size that every block's kernel serves.
        drop_path_rate: Rate of stochastic depth at the last block, rising linearly from 0 at the
            first.
        include_rescaling: Whether the input is pixel values 0..255 of any real dtype, which the
            network then normalizes (/255, `pixel_mean` and `pixel_std`). Otherwise the
            input must be normalized so already.
        input_shape: (frames, height, width, 3); None leaves a length open.
        subtract_mean: Whether the network sees motion alone, each frame minus the mean over time,
            as the second path of section 4.3 does.
        candidates: None, or the mixings that each block can be switched to by `set_choices`, in
            the forms of a schedule's entries; every kernel then serves all of them.
        random_mixing: Probability that a block samples another of the candidates for a training
            step.
        remat: Whether the blocks' activations are computed again in the backward pass instead of
            kept: longer steps, and at the peak 64 % less memory on PyTorch, 50 % on TensorFlow, but
            10 % more on JAX, on a CPU (`python benchmarks/training_memory.py --remat --preset
            mlp3d_xs --batch 1`, 64 x 224 x 224). `cost.training_step` counts it.
        pixel_mean: Mean of red, green and blue, of values 0..1, that is subtracted; None for
            ImageNet's.
        pixel_std: Standard deviation of red, green and blue that is divided by; None for
            ImageNet's. See `data.pixel_statistics`.
        dtype: Dtype or dtype policy of the layers, such as "mixed_bfloat16"; or a
            `keras.DTypePolicyMap` by the paths of layers.
        name: Name of the model.

    Attributes:
        pyramid_outputs: {"P2": ..., "P3": ..., "P4": ..., "P5": ...}: symbolic tokens behind each
            stage, for a `keras.Model(backbone.input, backbone.pyramid_outputs)`.

    Input shape:
        (B, T, H, W, 3); T one of `valid_num_frames`, H and W at least 32.

    Output shape:
        Normalized tokens (B, T / 4, H', W', C4), H' and W' being H / 32 and W / 32 rounded up
        or down by the four strides.

    Raises:
        ValueError: If an argument is wrong, or a clip does not fit.

    Source:
        Sections 3.1 and 3.4, Figure 2, Table 1.

    Example:

    >>> backbone = MLP3DBackbone((8, 8, 16, 16), (1, 1, 1, 1), 2, "short_range:2+shift_window:2")
    >>> backbone.valid_num_frames(32)
    [8, 16, 24, 32]
    >>> tuple(backbone(np.zeros((1, 8, 32, 64, 3), "uint8")).shape)
    (1, 2, 1, 2, 16)
    """

    def __init__(
        self,
        channels: Sequence[int],
        depths: Sequence[int],
        mlp_ratios: float | Sequence[float],
        schedule: Any,
        share_weights: bool = True,
        max_group_size: int | None = None,
        drop_path_rate: float = 0.0,
        include_rescaling: bool = True,
        input_shape: Sequence[int | None] = (None, None, None, 3),
        subtract_mean: bool = False,
        candidates: Sequence[Any] | None = None,
        random_mixing: float = 0.0,
        remat: bool = False,
        pixel_mean: Sequence[float] | None = None,
        pixel_std: Sequence[float] | None = None,
        dtype: DType = None,
        name: str | None = None,
    ) -> None:
        channels, depths, mlp_ratios = check_stages(channels, depths, mlp_ratios)
        schedule = parse_schedule(schedule, sum(depths))
        if candidates is not None:
            candidates = parse_schedule(list(candidates), len(candidates))
        elif random_mixing:
            raise ValueError(
                f"random_mixing={random_mixing!r} needs candidates to sample from, got None."
            )
        if not isinstance(input_shape, list | tuple) or len(input_shape) != 4:
            raise ValueError(
                f"input_shape must be (frames, height, width, 3), got {input_shape!r}."
            )
        check_clip((*schedule, *(candidates or ())), (None, *input_shape), "input_shape")
        pixel_mean = check_statistics("pixel_mean", pixel_mean)
        pixel_std = check_statistics("pixel_std", pixel_std)
        policy = network_policy(dtype)
        # Made before `super().__init__`, behind which Keras would wrap its entries.
        config = {
            "channels": channels,
            "depths": depths,
            "mlp_ratios": mlp_ratios,
            "schedule": schedule,
            "share_weights": share_weights,
            "max_group_size": max_group_size,
            "drop_path_rate": drop_path_rate,
            "include_rescaling": check_boolean("include_rescaling", include_rescaling),
            "subtract_mean": check_boolean("subtract_mean", subtract_mean),
            "pixel_mean": pixel_mean,
            "pixel_std": pixel_std,
            "candidates": candidates,
            "random_mixing": random_mixing,
            "remat": check_boolean("remat", remat),
        }

        def time_mixing(mixing: Mixing) -> keras.layers.Layer:
            return switchable.time_mixing(
                mixing, candidates, random_mixing, share_weights, max_group_size, policy
            )

        clip = pixels = keras.Input(tuple(input_shape), dtype="float32", name="clip")
        if include_rescaling:
            normalization = PixelNormalization(pixel_mean, pixel_std, name="normalization")
            pixels = normalization(pixels)
        if subtract_mean:
            pixels = SubtractMean(name="subtract_mean")(pixels)
        tokens, _ = build_stages(
            pixels,
            channels,
            depths,
            mlp_ratios,
            schedule,
            drop_path_rate,
            policy,
            window=TUBELET_FRAMES,
            time_mixing=time_mixing,
            remat=remat,
        )
        super().__init__(inputs=clip, outputs=tokens, name=name)
        settle_policies(self, policy)
        for key, value in config.items():
            setattr(self, key, value)

    @property
    def pyramid_outputs(self) -> dict[str, Tensor]:
        """Symbolic tokens behind each stage: {"P2": ..., "P3": ..., "P4": ..., "P5": ...}."""
        return stage_outputs(self)

    def check_input(self, inputs: Any) -> None:
        """Raise ValueError if clips of this shape do not fit the network and its schedule."""
        check_clip(self._mixings, static_shape(inputs), self.name)

    def valid_num_frames(self, limit: int) -> list[int]:
        """Return the clip lengths in frames, up to `limit`, that the schedule allows.

        Args:
            limit: Largest number of frames asked for.

        Returns:
            Ascending list of integers.

        Example:

        >>> backbone = MLP3DBackbone((8, 8, 8, 8), (1, 1, 1, 1), 2, "long_range:4")
        >>> backbone.valid_num_frames(40)
        [16, 32]
        """
        fixed = self.input_shape[1]
        if fixed is not None:
            return [fixed] if fixed <= limit else []
        return valid_num_frames(self._mixings, limit)

    @property
    def _mixings(self) -> tuple[Mixing, ...]:
        """Every mixing that a clip must fit."""
        return (*self.schedule, *(self.candidates or ()))

    @property
    def choices(self) -> tuple[Mixing, ...]:
        """The schedule in use, as a tuple of `Mixing`: the last one given to `set_choices`."""
        return switchable.choices(self)

    def set_choices(self, schedule: Any) -> None:
        """Switch every block to one of its candidates; compiled functions stay valid.

        Args:
            schedule: In any form that `parse_schedule` reads.

        Raises:
            ValueError: If the network has no candidates, or the schedule names another mixing;
                no block is switched then.

        Source:
            Section 3.4.
        """
        switchable.set_choices(self, schedule)

    @classmethod
    def preset_class_names(cls) -> tuple[str, ...]:
        return ("MLP3DBackbone", "MLP3D")

    @classmethod
    def _from_files(
        cls, files: hub.Preset, num_classes: int | None, overrides: dict[str, Any]
    ) -> Self:
        if num_classes is not None:
            raise ValueError(
                "MLP3DBackbone has no classes: num_classes must be None, got "
                f"{num_classes!r}; load the preset with MLP3D."
            )
        cls.check_overrides(overrides, cls)
        return cls(**{**files.config, **overrides})

    def get_config(self) -> dict[str, Any]:
        candidates = self.candidates
        config = {
            "name": self.name,
            "trainable": self.trainable,
            "channels": list(self.channels),
            "depths": list(self.depths),
            "mlp_ratios": list(self.mlp_ratios),
            "schedule": [[mixing.kind, mixing.group_size] for mixing in self.schedule],
            "share_weights": self.share_weights,
            "max_group_size": self.max_group_size,
            "drop_path_rate": self.drop_path_rate,
            "include_rescaling": self.include_rescaling,
            "input_shape": list(self.input_shape[1:]),
            "subtract_mean": self.subtract_mean,
            "pixel_mean": self.pixel_mean and list(self.pixel_mean),
            "pixel_std": self.pixel_std and list(self.pixel_std),
            "candidates": candidates and [[each.kind, each.group_size] for each in candidates],
            "random_mixing": self.random_mixing,
            "remat": self.remat,
            "dtype": stored_policies(self),
        }
        return self._with_state(config)
