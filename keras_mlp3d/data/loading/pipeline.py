"""Makes tf.data pipelines of a manifest's clips, for every Keras backend."""

from typing import TYPE_CHECKING

import numpy as np

from keras_mlp3d._utils.checks import check_integer
from keras_mlp3d._utils.ordered_map import default_workers
from keras_mlp3d._utils.tensorflow import load_tensorflow
from keras_mlp3d.data.augment import Augmenter
from keras_mlp3d.data.datasets.manifest import Manifest
from keras_mlp3d.data.loading.clip_cache import MAX_CACHE_BYTES
from keras_mlp3d.data.loading.video_loader import VideoLoader
from keras_mlp3d.data.video.converter import VideoConverter

if TYPE_CHECKING:
    import tensorflow as tf


def make_dataset(
    manifest: Manifest,
    converter: VideoConverter,
    batch_size: int = 8,
    training: bool = False,
    augment: Augmenter | None = None,
    seed: int = 0,
    shard: tuple[int, int] = (0, 1),
    one_hot: bool = False,
    first_epoch: int = 0,
    workers: int | None = None,
    random_clips: bool | None = None,
    cache: bool = False,
    max_cache_bytes: int = MAX_CACHE_BYTES,
) -> "tf.data.Dataset":
    """Return a `tf.data.Dataset` of the clips of a manifest, for `fit` on every Keras backend.

    Each pass over it is an epoch, in training with another order and other clips. Its length is
    known. A pass that stops before its last batch does not count: the next pass is the same epoch.
    It returns the same batches as `VideoLoader` with the same arguments. If TensorFlow is not
    Keras's backend, it is prevented from using GPUs.

    Args:
        manifest: `Manifest`.
        converter: `VideoConverter`.
        batch_size: Number of clips per batch, over all shards together.
        training: Whether clips are shuffled, frames and crops sampled at random, incomplete batches
            left out, and unreadable videos replaced.
        augment: None, or an `Augmenter`, for training.
        seed: Integer of at least 0. The same (seed, epoch, index) gives the same clip.
        shard: `(index, count)`: the part of every batch that this process reads.
        one_hot: Whether labels are float32 `(B, classes)`. Mixed labels always are, and so are
            those of videos that may have several: multi-hot, with a 1 for each label.
        first_epoch: Number of the epoch of the first pass, to resume.
        workers: Number of threads that decode. Defaults to the number of processors.
        random_clips: Whether frames and crops are sampled at random in training. Defaults to
            `training`.
        cache: Whether decoded clips are kept in memory; see `VideoLoader`.
        max_cache_bytes: Largest size of the cache.

    Returns:
        Dataset of `(clips, labels)`: uint8 `(B, T, H, W, 3)`, with B fixed in training, and int32
        `(B,)` or, with `one_hot`, if the augmenter mixes labels or if videos may have several,
        float32 `(B, classes)`. Its attribute `source` is the `ClipSource`, which lists unreadable
        videos.

    Raises:
        ImportError: If TensorFlow is not installed. `VideoLoader` does not need it.
        ValueError: If an argument is not as above.

    Example:

    >>> import pathlib, tempfile
    >>> from keras_mlp3d.data import Manifest, VideoConverter, VideoRow, motion_shapes
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = motion_shapes.write_motion_shapes(folder, num_clips=20)
    ...     videos = sorted(pathlib.Path(folder).rglob("*.mp4"))
    ...     rows = tuple(VideoRow(str(path), label) for label, path in enumerate(videos[:2]))
    ...     manifest = Manifest(rows, ("first", "second"), "train")
    ...     converter = VideoConverter(num_frames=4, image_size=(32, 32))
    ...     clips, labels = next(iter(make_dataset(manifest, converter, batch_size=2)))
    >>> tuple(clips.shape), labels.numpy().tolist()
    ((2, 4, 32, 32, 3), [0, 1])
    """
    tf = load_tensorflow(
        "make_dataset needs TensorFlow, which is not installed: "
        "pip install keras-mlp3d[tensorflow-cpu], or use keras_mlp3d.data.VideoLoader"
    )
    workers = default_workers() if workers is None else workers
    loader = VideoLoader(
        manifest,
        converter,
        batch_size,
        training,
        augment,
        seed,
        shard,
        one_hot,
        workers,
        random_clips=random_clips,
        cache=cache,
        max_cache_bytes=max_cache_bytes,
    )
    source = loader.source
    epochs = _Epochs(first_epoch, source.num_batches)
    scalar = tf.TensorSpec((), tf.int64)
    count = len(source.rows(0, 0)) * source.copies if source.training else None
    crop = getattr(source.augment, "crop", None)
    size = (crop and crop.size) or converter.image_size
    clip_shape = (count, converter.num_frames, *size, 3)
    label_shape = (count, len(manifest.class_names)) if source.one_hot else (count,)
    label_type = tf.float32 if source.one_hot else tf.int32

    def read(epoch, batch):
        # Whole batches: a copy of a clip by tf.data takes as long as decoding it.
        clips, labels = tf.numpy_function(
            loader.batch_of, (epoch, batch), (tf.uint8, label_type), stateful=False
        )
        clips.set_shape(clip_shape)
        labels.set_shape(label_shape)
        return epoch, batch, clips, labels

    def epoch_of(epoch):
        batches = tf.data.Dataset.range(source.num_batches)
        return batches.map(lambda batch: read(epoch, batch))

    def hand_out(epoch, batch, clips, labels):
        with tf.control_dependencies(
            [tf.numpy_function(epochs.handed_out, (epoch, batch), tf.int64)]
        ):
            return tf.identity(clips), tf.identity(labels)

    dataset = tf.data.Dataset.from_generator(epochs, output_signature=scalar).flat_map(epoch_of)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(source.num_batches))
    # Prefetched up to here. From here on batch by batch, so that the end of an epoch is known.
    dataset = dataset.prefetch(1).map(hand_out)
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    options.experimental_optimization.inject_prefetch = False
    # There is nothing to tune, and its thread delays the end of an epoch by up to a second.
    options.autotune.enabled = False
    dataset = dataset.with_options(options)
    dataset.source = source
    return dataset


class _Epochs:
    """Numbers the passes: a pass is the next epoch if all batches of the last were returned.

    On JAX and PyTorch, `fit` reads a first batch to build the model, and then starts again.
    """

    def __init__(self, first, num_batches):
        self.next, self.last = check_integer("first_epoch", first, 0), num_batches - 1

    def __call__(self):
        yield self.next

    def handed_out(self, epoch, batch):
        if batch == self.last:
            self.next = int(epoch) + 1
        return np.int64(batch)
