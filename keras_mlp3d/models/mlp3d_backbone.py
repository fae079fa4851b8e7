"""The MLP-3D network without its classifier.

Source: sections 3.1 and 3.4, Figure 2, Table 1.
"""

import math

import keras

from keras_mlp3d.layers import MLP3DBlock, SubtractMean
from keras_mlp3d.models._network import (
    build_stages,
    check_frames,
    check_network,
    check_parameter_bound,
    normalised_pixels,
    policy_config,
    static_shape,
)
from keras_mlp3d.models.preset_model import PresetModel
from keras_mlp3d.models.schedule import Mixing, parse_schedule
from keras_mlp3d.ops import GROUPED_KINDS

TUBELET_FRAMES = 4


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class MLP3DBackbone(PresetModel):
    """Tubelet embedding and four stages of MLP-3D blocks.

    Args:
        channels: Channels of the four stages.
        depths: Number of blocks of the four stages.
        mlp_ratios: Ratio of the channel MLPs, one number or one for each stage.
        schedule: Kind and group size of each block's time mixing; see `parse_schedule`.
        share_weights: Whether time mixing shares its weights by time interval, Eq. (5).
        max_group_size: None, or the largest group size that every block's kernel serves.
        drop_path_rate: Rate of stochastic depth at the last block, rising linearly from 0 at the
            first.
        include_rescaling: Whether the input is pixel values 0..255 of any real dtype, which the
            network then normalises (/255, ImageNet mean and standard deviation). Otherwise the
            input must be normalised already.
        input_shape: (frames, height, width, 3); None leaves a length open.
        subtract_mean: Whether the network sees motion alone, each frame minus the mean over time,
            as the second path of section 4.3 does.
        candidates: None, or the mixings that each block can be switched to by `set_choices`, in
            the forms of a schedule's entries; every kernel then serves all of them.
        random_mixing: Probability that a block draws another of the candidates for a training
            step.
        remat: Whether the blocks' activations are computed again in the backward pass instead of
            kept: less memory, longer steps.
        dtype: Dtype or dtype policy of the layers, such as "mixed_bfloat16".
        name: Name of the model.

    Attributes:
        pyramid_outputs: {"P2": ..., "P3": ..., "P4": ..., "P5": ...}: symbolic tokens behind each
            stage, for a `keras.Model(backbone.input, backbone.pyramid_outputs)`.

    Input shape:
        (B, T, H, W, 3); T one of `valid_num_frames`, H and W at least 32.

    Output shape:
        Normalised tokens (B, T / 4, H', W', C4), H' and W' being H / 32 and W / 32 rounded up
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
        channels,
        depths,
        mlp_ratios,
        schedule,
        share_weights=True,
        max_group_size=None,
        drop_path_rate=0.0,
        include_rescaling=True,
        input_shape=(None, None, None, 3),
        subtract_mean=False,
        candidates=None,
        random_mixing=0.0,
        remat=False,
        dtype=None,
        name=None,
    ):
        channels, depths, mlp_ratios = check_network(channels, depths, mlp_ratios)
        schedule = parse_schedule(schedule, sum(depths))
        if candidates is not None:
            candidates = parse_schedule(list(candidates), len(candidates))
        elif random_mixing:
            raise ValueError(
                f"random_mixing={random_mixing!r} needs candidates to draw from, got None."
            )
        if not isinstance(input_shape, list | tuple) or len(input_shape) != 4:
            raise ValueError(
                f"input_shape must be (frames, height, width, 3), got {input_shape!r}."
            )
        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        # Set before `super().__init__`: tracking of attributes begins there, and would wrap them.
        config = {
            "channels": channels,
            "depths": depths,
            "mlp_ratios": mlp_ratios,
            "schedule": schedule,
            "share_weights": share_weights,
            "max_group_size": max_group_size,
            "drop_path_rate": drop_path_rate,
            "include_rescaling": include_rescaling,
            "subtract_mean": subtract_mean,
            "candidates": candidates,
            "random_mixing": random_mixing,
            "remat": remat,
        }
        check_clip((*schedule, *(candidates or ())), (None, *input_shape), "input_shape")
        time = input_shape[0] and input_shape[0] // TUBELET_FRAMES
        check_parameter_bound(
            channels, depths, mlp_ratios, schedule, share_weights, max_group_size, time
        )
        clip = keras.Input(tuple(input_shape), dtype="float32", name="clip")
        pixels = normalised_pixels(clip) if include_rescaling else clip
        if subtract_mean:
            pixels = SubtractMean(name="subtract_mean")(pixels)
        tokens, pyramid = build_stages(
            pixels,
            channels,
            depths,
            mlp_ratios,
            schedule,
            drop_path_rate,
            policy,
            window=TUBELET_FRAMES,
            share_weights=share_weights,
            max_group_size=max_group_size,
            candidates=candidates,
            random_mixing=random_mixing,
            remat=remat,
        )
        super().__init__(inputs=clip, outputs=tokens, name=name)
        self.dtype_policy = policy
        self._pyramid = pyramid
        for key, value in config.items():
            setattr(self, key, value)

    @property
    def pyramid_outputs(self):
        """Symbolic tokens behind each stage: {"P2": ..., "P3": ..., "P4": ..., "P5": ...}."""
        return dict(self._pyramid)  # what Keras tracks is no plain dict, which JAX insists on

    def check_input(self, inputs):
        """Raises ValueError if clips of this shape do not fit the network and its schedule."""
        check_clip(self._mixings, static_shape(inputs), self.name)

    @property
    def _mixings(self):
        """Every mixing that a clip must fit."""
        return (*self.schedule, *(self.candidates or ()))

    @property
    def choices(self):
        """The schedule in use, as a tuple of `Mixing`: the last one given to `set_choices`."""
        if self.candidates is None:
            return self.schedule
        chosen = (block.token_mixing.mix_time.chosen for block in self._blocks)
        return tuple(Mixing(*pair) for pair in chosen)

    def set_choices(self, schedule):
        """Switches every block to one of its candidates; compiled functions go on serving.

        Args:
            schedule: In any form that `parse_schedule` reads.

        Raises:
            ValueError: If the network has no candidates, or the schedule names another mixing;
                no block is switched then.

        Source:
            Section 3.4.
        """
        schedule = parse_schedule(schedule, sum(self.depths))
        if self.candidates is None:
            raise ValueError(f"{self.name} has no candidates to choose from; give it some.")
        allowed = [{*self.candidates, own} for own in self.schedule]
        for block, mixing in enumerate(schedule):
            if mixing not in allowed[block]:
                known = ", ".join(map(str, self.candidates))
                raise ValueError(f"{mixing} is no candidate of block {block}; those are {known}.")
        for block, mixing in zip(self._blocks, schedule, strict=True):
            block.token_mixing.mix_time.choose(mixing.kind, mixing.group_size)

    @property
    def _blocks(self):
        return [layer for layer in self.layers if isinstance(layer, MLP3DBlock)]

    @classmethod
    def preset_class_names(cls):
        return ("MLP3DBackbone", "MLP3D")

    @classmethod
    def _from_files(cls, files, num_classes, overrides):
        if num_classes is not None:
            raise ValueError(
                "MLP3DBackbone has no classes: num_classes must be None, got "
                f"{num_classes!r}; load the preset with MLP3D."
            )
        cls.check_overrides(overrides, cls)
        return cls(**{**files.config, **overrides})

    def valid_num_frames(self, limit):
        """Returns the clip lengths in frames, up to `limit`, that the schedule allows.

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

    def get_config(self):
        return {
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
            "candidates": self.candidates
            and [[mixing.kind, mixing.group_size] for mixing in self.candidates],
            "random_mixing": self.random_mixing,
            "remat": self.remat,
            "dtype": policy_config(self.dtype_policy),
        }


def valid_num_frames(schedule, limit):
    """Returns the clip lengths up to `limit` whose tokens in time every group size divides."""
    return [
        TUBELET_FRAMES * time
        for time in range(1, limit // TUBELET_FRAMES + 1)
        if all(mixing.divides(time) for mixing in schedule)
    ]


def check_clip(schedule, shape, name):
    """Refuses a clip (B, T, H, W, 3) that the network or its schedule cannot take."""
    check_frames(name, shape, "(batch, frames, height, width, 3)")
    frames = shape[1]
    if frames is None:
        return
    time, left = divmod(frames, TUBELET_FRAMES)
    if left or not time or not all(mixing.divides(time) for mixing in schedule):
        sizes = {mixing.group_size for mixing in schedule if mixing.kind in GROUPED_KINDS}
        step = TUBELET_FRAMES * math.lcm(*sizes)
        lengths = ", ".join(str(step * count) for count in range(1, 9))
        raise ValueError(
            f"{name}: a clip of {frames} frames does not fit the schedule (tubelets of "
            f"{TUBELET_FRAMES} frames, group sizes {sorted(sizes)}); valid numbers of frames are "
            f"the multiples of {step}: {lengths} and so on."
        )
