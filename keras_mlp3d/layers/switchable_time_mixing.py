"""Time mixing that can be switched between kinds and group sizes, or sampled in training.

Source: section 3.4 (the supernet of the search), section 4.2 (random change of GTM).
"""

import contextlib
import functools
import random
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
from keras import ops

from keras_mlp3d._utils.checks import check_choice, check_number
from keras_mlp3d._utils.types import Shape, Tensor
from keras_mlp3d.layers.time_mixing import (
    GROUPED_KINDS,
    GroupedTimeMixing,
    check_group_size,
    mix_groups,
)

_KINDS = (*GROUPED_KINDS, "shift_token")


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class SwitchableTimeMixing(GroupedTimeMixing):
    """Mixes tokens in time by one of several kinds and group sizes, all with one shared kernel.

    The one in use is an integer variable that the compiled graph reads. Switching, or sampling
    another, compiles nothing again, and only the one in use is computed.

    Args:
        kind: Kind in use at first; see `GroupedTimeMixing`.
        group_size: Group size in use at first.
        candidates: Pairs (kind, group size) to switch between; the first one in use must be among
            them. "full" is not allowed.
        random_rate: Probability that a training step samples one of the other candidates, all
            equally likely. With n candidates, 1 - 1 / n makes all n equally likely.
        use_bias: Whether to add a bias.
        kernel_initializer: Initializer of the kernel; None for `GlorotUniform`.
        bias_initializer: Initializer of the bias.
        seed: None, or an integer for repeatable samples.
        **kwargs: `name`, `dtype` and other arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: Tokens (B, T', H', W', C).
        training: Whether to sample; otherwise the chosen candidate is computed.

    Attributes:
        kernel: (2 M - 1, C, C), w_Δ at index Δ + M - 1, M being the largest size of all.
        bias: (C,), or None.
        choice: int32 variable: index of the chosen candidate.

    Input shape:
        (B, T', H', W', C); T' divisible by every size of the kinds other than shift-token.

    Output shape:
        (B, T', H', W', C)

    Raises:
        ValueError: If an argument is wrong, or a size does not fit T'.

    Source:
        Section 3.4, section 4.2.

    Example:

    >>> layer = SwitchableTimeMixing("short_range", 1, [("short_range", 1), ("long_range", 2)])
    >>> x = np.ones((1, 4, 2, 2, 3), "float32")
    >>> layer(x).shape == (1, 4, 2, 2, 3)
    True
    >>> layer.choose("long_range", 2)
    >>> layer.chosen
    ('long_range', 2)
    """

    def __init__(
        self,
        kind: str,
        group_size: int,
        candidates: Sequence[tuple[str, int]],
        random_rate: float = 0.0,
        use_bias: bool = True,
        kernel_initializer: Any = None,
        bias_initializer: Any = "zeros",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        pairs = _checked_candidates(candidates)
        if (kind, group_size) not in pairs:
            raise _unknown(kind, group_size, pairs)
        check_number("random_rate", random_rate, 0, 1)
        super().__init__(
            kind,
            group_size,
            share_weights=True,
            max_group_size=max(size for _, size in pairs),
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            **kwargs,
        )
        self.candidates = pairs
        self.random_rate = float(random_rate)
        self.seed = seed
        # In a namespace: PyTorch would make an attribute of its own of a tensor.
        self._sampled = types.SimpleNamespace(candidate=None)
        self.sample_candidate = _SampleCandidate(
            len(pairs),
            self.random_rate,
            seed,
            dtype=self.dtype_policy,
            name="sample_candidate",
        )

    def build(self, input_shape: Shape) -> None:
        for kind, size in self.candidates:
            check_group_size(kind, size, input_shape[1])
        super().build(input_shape)
        first = self.candidates.index((self.kind, self.group_size))
        self.choice = self.add_weight(
            name="choice",
            shape=(),
            dtype="int32",
            initializer=keras.initializers.Constant(first),
            trainable=False,
        )
        # Made once: JAX knows a function that it has traced by its identity.
        self._branches = tuple(self._branch(*candidate) for candidate in self.candidates)

    def choose(self, kind: str, group_size: int) -> None:
        """Switch to one of the candidates.

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
    def chosen(self) -> tuple[str, int]:
        """The candidate in use, as (kind, group size)."""
        return self.candidates[int(ops.convert_to_numpy(self.choice))]

    def sample(self) -> Tensor:
        """Return the index of the candidate for this step: sampled in training, else the choice.

        Returns:
            int32 tensor, for `using`.
        """
        return self.sample_candidate(ops.convert_to_tensor(self.choice))

    @contextlib.contextmanager
    def using(self, candidate: Tensor) -> Iterator[None]:
        """Make calls inside the `with` compute a candidate that was sampled outside.

        Args:
            candidate: What `sample` returned, in the same trace.
        """
        self._sampled.candidate = candidate
        try:
            yield
        finally:
            self._sampled.candidate = None

    # Keras passes `training` on to `sample_candidate`.
    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        time = inputs.shape[1]
        if time is not None:
            for kind, size in self.candidates:
                check_group_size(kind, size, time)
        operands = [inputs, ops.convert_to_tensor(self.kernel)]
        if self.bias is not None:
            operands.append(ops.convert_to_tensor(self.bias))
        candidate = self._sampled.candidate
        if candidate is None:
            candidate = self.sample()
        return ops.switch(candidate, self._branches, *operands)

    def _branch(self, kind: str, size: int) -> Callable[..., Tensor]:
        mix = functools.partial(mix_groups, kind=kind, size=size, center=self.center)
        # JAX would otherwise keep, for all branches, what each keeps for its gradient.
        return keras.remat(mix) if keras.config.backend() == "jax" else mix

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["share_weights"], config["max_group_size"]
        return {
            **config,
            "candidates": [list(pair) for pair in self.candidates],
            "random_rate": self.random_rate,
            "seed": self.seed,
        }


class _SampleCandidate(keras.layers.Layer):
    """Replaces an index by another of `count`, with probability `rate`."""

    def __init__(self, count: int, rate: float, seed: int | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.others, self.rate = count - 1, rate
        # Without a seed, Keras would use the generator of the whole process on PyTorch.
        self.seed_generator = keras.random.SeedGenerator(
            random.randint(1, 10**9) if seed is None else seed
        )
        self.built = True

    def call(self, choice: Tensor, training: bool = False) -> Tensor:
        if not training or not self.others or not self.rate:
            return choice
        uniform = keras.random.uniform((2,), dtype="float32", seed=self.seed_generator)
        step = ops.minimum(ops.cast(uniform[1] * self.others, "int32"), self.others - 1) + 1
        return ops.where(uniform[0] < self.rate, (choice + step) % (self.others + 1), choice)


def _checked_candidates(candidates: Sequence[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    pairs = [(kind, size) for kind, size in candidates]
    if not pairs:
        raise ValueError("candidates must hold at least one (kind, group_size), got none.")
    for kind, size in pairs:
        check_choice("The kind of a candidate", kind, _KINDS)
        check_group_size(kind, size)
    if len({*pairs}) != len(pairs):
        raise ValueError(f"candidates must differ, got {pairs}.")
    return tuple(pairs)


def _unknown(
    kind: str, group_size: int | None, candidates: Sequence[tuple[str, int]]
) -> ValueError:
    known = ", ".join(f"{kind}:{size}" for kind, size in candidates)
    return ValueError(f"{kind}:{group_size} is not a candidate; the candidates are {known}.")
