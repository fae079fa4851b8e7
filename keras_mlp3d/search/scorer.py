"""Scores of candidates: a supernet's accuracy on clips that are decoded once.

Source: section 3.4.
"""

import numpy as np

from keras_mlp3d.data import Manifest
from keras_mlp3d.inference.score_views import score_batch
from keras_mlp3d.search._clips import KeptClips, StreamedClips


class Scorer:
    """Share of clips that a supernet classifies right, for any choices of its blocks.

    One compiled function serves all choices, decided or not: they are values of the supernet, and
    batches have one shape, the last being filled up. Where blocks are undecided, each of them is
    drawn anew for every batch.

    The uint8 clips of a manifest, one from the middle of each video, are decoded once and kept
    where they fit into `max_bytes`; otherwise every score decodes them anew, and takes that much
    longer. A video that cannot be read counts as wrong for all choices alike and is listed.

    Args:
        model: Supernet: a model with a `backbone` that has `candidates` and `set_choices`.
        data: `data.Manifest` with the model's classes in its order, or (clips, labels): arrays
            uint8 (N, T, H, W, 3) and whole numbers (N,).
        batch_size: Largest number of clips that the model sees at once.
        converter: None for `model.converter`, or the `data.VideoConverter` that makes the clips.
        max_bytes: The most that kept clips may take.
        workers: Threads that decode; None for one for each processor, eight at most.
        progress: None, or a function that is called with the number of videos decoded and of all,
            while clips are decoded to be kept.

    Raises:
        ValueError: If an argument is wrong, no clip can be read, the classes differ, or the model's
            outputs are not finite.

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
        model,
        data,
        batch_size=8,
        converter=None,
        max_bytes=2 * 2**30,
        workers=None,
        progress=None,
    ):
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"batch_size must be a positive integer, got {batch_size!r}.")
        self._model = model
        if isinstance(data, Manifest):
            clips = StreamedClips(data, _converter(model, data, converter), workers)
            self._clips = clips.kept(progress) if clips.nbytes <= max_bytes else clips
        else:
            self._clips = KeptClips(*data)
        count = self._clips.expected
        # As many batches as needed, and none larger than that takes: little to fill up.
        self._size = -(-count // -(-count // batch_size))

    @property
    def in_memory(self):
        """Whether the clips are kept."""
        return self._clips.in_memory

    @property
    def expected(self):
        """Number of clips that a score is the share of, those included that cannot be read."""
        return self._clips.expected

    @property
    def failed(self):
        """((path, reason), ...) of the videos that cannot be read; without `in_memory` they are
        known after the first score."""
        return self._clips.failed

    def __call__(self, choices, seed=0):
        """Scores choices.

        Args:
            choices: A `Mixing` for each block, or None where it is undecided.
            seed: Seed of the draws of undecided blocks.

        Returns:
            Share of all clips that are classified right, a number from 0 to 1.

        Raises:
            ValueError: If a choice is none of the supernet's candidates, there is not one for each
                block, or the outputs are not finite.
        """
        backbone = self._model.backbone
        rng, drawn = np.random.default_rng(seed), tuple(backbone.candidates)
        correct = 0
        for clips, labels in self._clips.batches(self._size):
            backbone.set_choices(
                [
                    drawn[rng.integers(len(drawn))] if mixing is None else mixing
                    for mixing in choices
                ]
            )
            classes = score_batch(self._model, clips)[: len(labels)].argmax(axis=1)
            correct += int((classes == labels).sum())
        return correct / self.expected


def _converter(model, manifest, converter):
    converter = converter or getattr(model, "converter", None)
    if converter is None:
        raise ValueError(
            f"{model.name} has no converter that turns a video into clips: pass "
            "converter=keras_mlp3d.data.VideoConverter(num_frames=..., image_size=(..., ...))."
        )
    if model.class_names is not None and tuple(model.class_names) != manifest.class_names:
        raise ValueError(
            f"The manifest's classes must be those of {model.name} in its order: "
            "data.read_manifest(source, class_names=model.class_names) takes them."
        )
    return converter
