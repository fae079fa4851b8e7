"""Time mixing whose kind and group size are a choice, or drawn at random in training.

Source: section 3.4 (the supernet of the search), section 4.2 (random change of GTM).
"""

import functools
import random

import keras
from keras import ops

from keras_mlp3d.layers.grouped_time_mixing import GroupedTimeMixing
from keras_mlp3d.ops import GROUPED_KINDS, check_group_size, mix_groups

_KINDS = (*GROUPED_KINDS, "shift_token")


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class ChosenTimeMixing(GroupedTimeMixing):
    """Mixes tokens in time by one of several kinds and group sizes, all with one shared kernel.

    Which one is an integer variable that the compiled graph reads: another choice, or another
    draw, compiles nothing anew, and only the one in use is computed.

    Args:
        kind: Kind chosen at first; see `GroupedTimeMixing`.
        group_size: Group size chosen at first.
        candidates: Pairs (kind, group size) to choose from; the first choice must be among them.
            "full" cannot be.
        random_rate: Probability that a training step draws one of the other candidates, each as
            likely. With n candidates, 1 - 1 / n makes all equally likely.
        use_bias: Whether to add a bias.
        kernel_initializer: Initialiser of the kernel; None for `GlorotUniform`.
        bias_initializer: Initialiser of the bias.
        seed: None or an integer that fixes the draws.
        **kwargs: `name`, `dtype` and other arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: Tokens (B, T', H', W', C).
        candidate: None, or what `draw` returned, where it must be drawn outside of what is
            computed again in the backward pass.
        training: Whether to draw; otherwise the choice is what is computed.

    Attributes:
        kernel: (2 M - 1, C, C), w_Δ at index Δ + M - 1, M being the largest size of all.
        bias: (C,), or None.
        choice: int32 variable: index of the candidate that is chosen.

    Input shape:
        (B, T', H', W', C); T' divisible by every size of the kinds other than shift-token.

    Output shape:
        (B, T', H', W', C)

    Raises:
        ValueError: If an argument is wrong, or a size does not fit T'.

    Source:
        Section 3.4, section 4.2.

    Example:

    >>> layer = ChosenTimeMixing("short_range", 1, [("short_range", 1), ("long_range", 2)])
    >>> x = np.ones((1, 4, 2, 2, 3), "float32")
    >>> layer(x).shape == (1, 4, 2, 2, 3)
    True
    >>> layer.choose("long_range", 2)
    >>> layer.chosen
    ('long_range', 2)
    """

    def __init__(
        self,
        kind,
        group_size,
        candidates,
        random_rate=0.0,
        use_bias=True,
        kernel_initializer=None,
        bias_initializer="zeros",
        seed=None,
        **kwargs,
    ):
        candidates = _checked_candidates(candidates)
        if (kind, group_size) not in candidates:
            raise _unknown(kind, group_size, candidates)
        number = isinstance(random_rate, int | float) and not isinstance(random_rate, bool)
        if not number or not 0 <= random_rate <= 1:
            raise ValueError(f"random_rate must be from 0 to 1, got {random_rate!r}.")
        super().__init__(
            kind,
            group_size,
            share_weights=True,
            max_group_size=max(size for _, size in candidates),
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            **kwargs,
        )
        self.candidates = candidates
        self.random_rate = float(random_rate)
        self.seed = seed
        self.draw_candidate = _DrawCandidate(
            len(candidates),
            self.random_rate,
            seed,
            dtype=self.dtype_policy,
            name="draw_candidate",
        )

    def build(self, input_shape):
        for kind, size in self.candidates:
            check_group_size(kind, size, input_shape[1])
        super().build(input_shape)
        self.choice = self.add_weight(
            name="choice",
            shape=(),
            dtype="int32",
            initializer=keras.initializers.Constant(
                self.candidates.index((self.kind, self.group_size))
            ),
            trainable=False,
        )
        # Made once: JAX knows a function that it has traced by its identity.
        self._branches = tuple(self._branch(*candidate) for candidate in self.candidates)

    def choose(self, kind, group_size):
        """Makes one of the candidates the choice.

        Args:
            kind: Its kind.
            group_size: Its group size.

        Raises:
            ValueError: If there is no such candidate.
        """
        if (kind, group_size) not in self.candidates:
            raise _unknown(kind, group_size, self.candidates)
        self.choice.assign(self.candidates.index((kind, group_size)))

    @property
    def chosen(self):
        """The candidate that is chosen, as (kind, group size)."""
        return self.candidates[int(ops.convert_to_numpy(self.choice))]

    # `training` is there for Keras, which hands it on to `draw_candidate`.
    def call(self, inputs, candidate=None, training=False):
        time = inputs.shape[1]
        if time is not None:
            for kind, size in self.candidates:
                check_group_size(kind, size, time)
        operands = [inputs, ops.convert_to_tensor(self.kernel)]
        if self.bias is not None:
            operands.append(ops.convert_to_tensor(self.bias))
        candidate = self.draw() if candidate is None else candidate
        return ops.switch(candidate, self._branches, *operands)

    def _branch(self, kind, size):
        mix = functools.partial(mix_groups, kind=kind, size=size, center=self.max_group_size - 1)
        # What each branch keeps for the gradient, JAX would otherwise keep for all of them.
        return keras.remat(mix) if keras.config.backend() == "jax" else mix

    def draw(self):
        """Returns the index of the candidate for this step: drawn in training, else the choice.

        Returns:
            int32 tensor, for the argument `candidate` of a call.
        """
        return self.draw_candidate(ops.convert_to_tensor(self.choice))

    def get_config(self):
        config = super().get_config()
        del config["share_weights"], config["max_group_size"]
        return {
            **config,
            "candidates": [list(pair) for pair in self.candidates],
            "random_rate": self.random_rate,
            "seed": self.seed,
        }


class _DrawCandidate(keras.layers.Layer):
    """Draws another of `count` indices than the given one, with probability `rate`."""

    def __init__(self, count, rate, seed, **kwargs):
        super().__init__(**kwargs)
        self.others, self.rate = count - 1, rate
        # Keras's, without a seed, would draw on PyTorch from the generator of the whole process.
        self.seed_generator = keras.random.SeedGenerator(
            random.randint(1, 10**9) if seed is None else seed
        )
        self.built = True

    def call(self, choice, training=False):
        if not training or not self.others or not self.rate:
            return choice
        draw = keras.random.uniform((2,), dtype="float32", seed=self.seed_generator)
        step = ops.minimum(ops.cast(draw[1] * self.others, "int32"), self.others - 1) + 1
        return ops.where(draw[0] < self.rate, (choice + step) % (self.others + 1), choice)


def _checked_candidates(candidates):
    pairs = [tuple(pair) for pair in candidates]
    if not pairs:
        raise ValueError("candidates must hold at least one (kind, group_size), got none.")
    for kind, size in pairs:
        if kind not in _KINDS:
            raise ValueError(f"A candidate's kind must be one of {list(_KINDS)}, got {kind!r}.")
        check_group_size(kind, size)
    if len({*pairs}) != len(pairs):
        raise ValueError(f"candidates must differ, got {pairs}.")
    return tuple(pairs)


def _unknown(kind, group_size, candidates):
    known = ", ".join(f"{kind}:{size}" for kind, size in candidates)
    return ValueError(f"{kind}:{group_size} is not a candidate; those are {known}.")
