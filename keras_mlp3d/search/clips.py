"""The clips that candidates are scored on: kept in memory, or decoded again for every score."""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from keras_mlp3d._utils.ordered_map import default_workers
from keras_mlp3d.data import Manifest, VideoConverter
from keras_mlp3d.inference.decode_ahead import decode_ahead


class KeptClips:
    """Clips in memory.

    Args:
        clips: uint8 (N, T, H, W, 3).
        labels: Integers (N,).
        failed: ((path, reason), ...) of the unreadable videos.
    """

    in_memory = True

    def __init__(
        self,
        clips: np.ndarray,
        labels: np.ndarray | Sequence[int],
        failed: tuple[tuple[str, str], ...] = (),
    ):
        self.clips, self.labels = np.asarray(clips), np.asarray(labels)
        self.failed = failed
        if self.clips.ndim != 5 or self.clips.dtype != np.uint8 or not len(self.clips):
            raise ValueError(
                "clips must be uint8 (N, T, H, W, 3) with at least one clip, got "
                f"{self.clips.dtype} {self.clips.shape}."
            )
        if self.labels.shape != self.clips.shape[:1] or self.labels.dtype.kind not in "iu":
            raise ValueError(
                f"labels must be {len(self.clips)} integers, one per clip, got "
                f"{self.labels.dtype} {self.labels.shape}."
            )
        self.expected = len(self.clips) + len(failed)

    def batches(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (clips, labels). There are `size` clips; those beyond the labels are padding."""
        for start in range(0, len(self.clips), size):
            labels = self.labels[start : start + size]
            yield _filled(self.clips[start : start + size], size), labels


class StreamedClips:
    """Clips of a manifest's videos, decoded again in every iteration.

    Args:
        manifest: `data.Manifest`.
        converter: `data.VideoConverter`.
        workers: Number of decoding threads; None for one per processor, at most eight.
    """

    in_memory = False

    def __init__(self, manifest: Manifest, converter: VideoConverter, workers: int | None = None):
        self._manifest, self._converter = manifest, converter
        self._workers = workers or default_workers(8)
        reason = "the data set lists it, and no file was found"
        self._absent = tuple((name, reason) for name in manifest.not_found)
        self.failed = self._absent
        self.expected = len(manifest) + len(manifest.not_found)

    @property
    def nbytes(self) -> int:
        """Size of all clips in bytes."""
        size = math.prod(self._converter.image_size) * 3
        return len(self._manifest) * self._converter.num_frames * size

    def batches(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (clips, labels). There are `size` clips; those beyond the labels are padding."""
        clips, labels = [], []
        for clip, label in self._decoded():
            clips.append(clip)
            labels.append(label)
            if len(clips) == size:
                yield np.stack(clips), np.array(labels)
                clips, labels = [], []
        if clips:
            yield _filled(np.stack(clips), size), np.array(labels)

    def kept(self, progress: Callable[[int, int], None] | None = None) -> KeptClips:
        """Decode all clips and return them as `KeptClips`.

        Args:
            progress: None, or a function of the number of videos done and the number of all.
        """
        shape = (self._converter.num_frames, *self._converter.image_size, 3)
        clips, labels = np.empty((len(self._manifest), *shape), "uint8"), []
        for clip, label in self._decoded(progress):
            clips[len(labels)] = clip
            labels.append(label)
        return KeptClips(clips[: len(labels)], labels, self.failed)

    def _decoded(self, progress=None):
        """Yield (clip, label) of each readable video, and list the unreadable ones."""
        rows, failed, read = self._manifest.rows, [], 0
        decoded = decode_ahead(rows, self._converter, 1, 1, self._workers)
        with contextlib.closing(decoded):
            for number, found, _ in decoded:
                if isinstance(found, str):
                    failed.append((rows[number].name, found))
                else:
                    read += 1
                    yield found[0], rows[number].label
                if progress is not None:
                    progress(number + 1, len(rows))
        self.failed = (*self._absent, *failed)
        if not read:
            raise ValueError(
                f"All {len(failed)} videos are unreadable, such as {failed[0][0]!r}: "
                f"{failed[0][1]}."
            )


def _filled(clips, size):
    missing = size - len(clips)
    return np.concatenate([clips, np.repeat(clips[:1], missing, axis=0)]) if missing else clips
