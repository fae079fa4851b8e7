"""Batches of a manifest's clips for `fit`; needs no TensorFlow."""

import numpy as np

from keras_mlp3d.data.loading.aligned import join_aligned
from keras_mlp3d.data.loading.clip_source import ClipSource
from keras_mlp3d.data.loading.read_ahead import ReadAhead


class VideoLoader(ReadAhead):
    """The clips of a manifest as batches for `fit`, `evaluate` and `predict`, on every backend.

    It hands out what `make_dataset` with the same arguments hands out. The order of batches is
    decided here: pass `fit` `shuffle=False`.

    Args:
        manifest: A `Manifest`.
        converter: A `VideoConverter`.
        batch_size: Clips a batch, over all shards together.
        training: Whether clips are shuffled, frames and crops drawn at random, incomplete batches
            left out and unreadable videos skipped.
        augment: None, or an `Augmenter`, for training.
        seed: A whole number from 0. The same (seed, epoch, index) gives the same clip.
        shard: `(index, count)`: which part of every batch this process reads.
        one_hot: Whether labels are float32 `(B, classes)`, as mixed ones always are.
        workers: Threads that decode.
        max_queue_size: Batches decoded ahead of the one handed out.
        unreadable: `"error"`, or `"count"`, outside training: the clip of an unreadable video is
            black, and batches have a third part, weights float32 `(B,)`, 0 for it and 1 for others.

    Output shape: `(clips, labels)`: uint8 `(B, T, H, W, 3)`, and int32 `(B,)` or,
        with `one_hot` or where the augmenter mixes labels, float32 `(B, classes)`.

    Attributes: `source`, the `ClipSource`, which counts unreadable videos; `epoch`, which may be
        set, to resume.

    Raises:
        ValueError: An argument is not as above. Batches raise `VideoError`, naming the file, for
            a video that cannot be read, outside training.

    Example:

    >>> import pathlib, tempfile
    >>> from keras_mlp3d.data import Manifest, VideoConverter, VideoRow, motion_shapes
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = motion_shapes.write_motion_shapes(folder, num_clips=20)
    ...     videos = sorted(pathlib.Path(folder).rglob("*.mp4"))
    ...     rows = tuple(VideoRow(str(path), label) for label, path in enumerate(videos[:2]))
    ...     manifest = Manifest(rows, ("first", "second"), "train")
    ...     data = VideoLoader(manifest, VideoConverter(num_frames=4, image_size=(32, 32)), 2)
    ...     clips, labels = data[0]
    >>> clips.shape, labels.tolist()
    ((2, 4, 32, 32, 3), [0, 1])
    """

    def __init__(
        self,
        manifest,
        converter,
        batch_size=8,
        training=False,
        augment=None,
        seed=0,
        shard=(0, 1),
        one_hot=False,
        workers=2,
        max_queue_size=2,
        unreadable="error",
    ):
        super().__init__(workers, max_queue_size)
        self.source = ClipSource(
            manifest, converter, batch_size, training, augment, seed, shard, one_hot, unreadable
        )

    def __len__(self):
        return self.source.num_batches

    def _jobs(self, epoch, index):
        return [(self.source.clips, epoch, row) for row in self.source.rows(epoch, index)]

    def _join(self, epoch, index, results):
        clips, labels = zip(*results, strict=True)
        return self.source.finish(epoch, index, join_aligned(clips), np.concatenate(labels))
