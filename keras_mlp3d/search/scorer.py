"""Scores of candidates: a supernet's accuracy on clips of the validation videos.

Source: section 3.4.
"""

from collections.abc import Callable, Sequence

import numpy as np

from keras_mlp3d._utils.checks import check_integer
from keras_mlp3d.data import Manifest, VideoConverter
from keras_mlp3d.inference.score_views import score_batch
from keras_mlp3d.models import MLP3D, Mixing
from keras_mlp3d.models.network_checks import check_classes
from keras_mlp3d.search.clips import KeptClips, StreamedClips


class Scorer:
    """Share of clips that a supernet classifies correctly, for any choices of its blocks.

    One compiled function serves all choices, because they are values of the supernet and all
    batches have one shape (the last batch is padded). Undecided blocks are sampled again for every
    batch.

    The clips of a manifest are uint8, one from the middle of each video. If they fit into
    `max_bytes`, they are decoded once and kept in memory; else they are decoded again for every
    score, which takes longer. An unreadable video counts as wrong for all choices.

    Args:
        model: Supernet: a model with a `backbone` that has `candidates` and `set_choices`.
        data: `data.Manifest` with the model's classes in its order, or (clips, labels): arrays
            uint8 (N, T, H, W, 3) and integers (N,).
        batch_size: Largest number of clips per batch.
        converter: None for `model.converter`, or the `data.VideoConverter` that makes the clips.
        max_bytes: Largest number of bytes of clips kept in memory.
        workers: Number of decoding threads; None for one per processor, at most eight.
        progress: None, or a function of the number of videos decoded and the number of all, called
            while the clips to keep are decoded.

    Raises:
        ValueError: If an argument is wrong, all videos are unreadable, the classes differ, or the
            model's outputs are not finite.

    Source:
        Section 3.4.

    Example:

    >>> from keras_mlp3d.search import SearchSpace, supernet
    >>> space = SearchSpace(("shift_token",), (1, 2))
    >>> model = supernet("mlp3d_nano", space, num_classes=2)
    >>> scorer = Scorer(model, (np.zeros((3, 8, 32, 32, 3), "uint8"), [0, 1, 1]))
    >>> round(3 * scorer((space.mixings[0], None, None, None), seed=0)) in (1, 2)
    True
    """

    def __init__(
        self,
        model: MLP3D,
        data: Manifest | tuple[np.ndarray, Sequence[int]],
        batch_size: int = 8,
        converter: VideoConverter | None = None,
        max_bytes: int = 2 * 2**30,
        workers: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ):
        batch_size = check_integer("batch_size", batch_size)
        self._model = model
        if isinstance(data, Manifest):
            data.check_one_label("A score of schedules")
            clips = StreamedClips(data, _converter(model, data, converter), workers)
            self._clips = clips.kept(progress) if clips.nbytes <= max_bytes else clips
        else:
            self._clips = KeptClips(*data)
        count = self._clips.expected
        # As few batches as possible, and then as small as possible: little padding.
        self._size = -(-count // -(-count // batch_size))

    @property
    def in_memory(self) -> bool:
        """Whether the clips are kept in memory."""
        return self._clips.in_memory

    @property
    def expected(self) -> int:
        """Number of clips, unreadable videos included, that a score is a share of."""
        return self._clips.expected

    @property
    def failed(self) -> tuple[tuple[str, str], ...]:
        """((path, reason), ...) of the unreadable videos.

        They are known after the first score if the clips are not kept in memory.
        """
        return self._clips.failed

    def __call__(self, choices: Sequence[Mixing | None], seed: int = 0) -> float:
        """Score choices.

        Args:
            choices: A `Mixing` per block, or None for an undecided block.
            seed: Seed with which undecided blocks are sampled.

        Returns:
            Share of all clips that are classified correctly, from 0 to 1.

        Raises:
            ValueError: If a choice is not a candidate of the supernet, there is not one per block,
                or the outputs are not finite.
        """
        return int(self.right(choices, seed).sum()) / self.expected

    def right(self, choices: Sequence[Mixing | None], seed: int = 0) -> np.ndarray:
        """Return which clips are classified correctly: bool `(expected,)`, unreadable ones last.

        Args:
            choices: A `Mixing` per block, or None for an undecided block.
            seed: Seed with which undecided blocks are sampled.
        """
        backbone = self._model.backbone
        rng, candidates = np.random.default_rng(seed), tuple(backbone.candidates)
        right = np.zeros(self.expected, bool)
        done = 0
        for clips, labels in self._clips.batches(self._size):
            backbone.set_choices(
                [
                    candidates[rng.integers(len(candidates))] if mixing is None else mixing
                    for mixing in choices
                ]
            )
            classes = score_batch(self._model, clips)[: len(labels)].argmax(axis=1)
            right[done : done + len(labels)] = classes == labels
            done += len(labels)
        return right


def _converter(model, manifest, converter):
    converter = converter or getattr(model, "converter", None)
    if converter is None:
        raise ValueError(
            f"{model.name} has no converter from videos to clips: pass "
            "converter=keras_mlp3d.data.VideoConverter(num_frames=..., image_size=(..., ...))."
        )
    check_classes(model, manifest)
    return converter
