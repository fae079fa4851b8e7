"""tf.data pipelines of a manifest's clips, for every Keras backend."""

import os

import numpy as np

from keras_mlp3d._utils.checks import checked_whole
from keras_mlp3d._utils.tensorflow import load_tensorflow
from keras_mlp3d.data.loading.clip_cache import MAX_CACHE_BYTES
from keras_mlp3d.data.loading.video_loader import VideoLoader


def make_dataset(
    manifest,
    converter,
    batch_size=8,
    training=False,
    augment=None,
    seed=0,
    shard=(0, 1),
    one_hot=False,
    first_epoch=0,
    workers=None,
    random_clips=None,
    cache=False,
    max_cache_bytes=MAX_CACHE_BYTES,
):
    """Returns a `tf.data.Dataset` of the clips of a manifest, for `fit` on every Keras backend.

    One pass over it is an epoch, of exact length; the next pass is the next epoch, in training with
    another order and other clips. A pass that stops before its last batch does not count: the next
    one is the same epoch. It gives the batches that `VideoLoader` with the same arguments gives.
    If TensorFlow is not Keras's backend, it is told to take no GPU.

    Args:
        manifest: A `Manifest`.
        converter: A `VideoConverter`.
        batch_size: Clips per batch, over all shards together.
        training: Whether clips are shuffled, frames and crops sampled at random, incomplete batches
            left out and unreadable videos skipped.
        augment: None, or an `Augmenter`, for training.
        seed: A whole number from 0. The same (seed, epoch, index) gives the same clip.
        shard: `(index, count)`: which part of every batch this process reads.
        one_hot: Whether labels are float32 `(B, classes)`, as mixed labels always are.
        first_epoch: Number of the epoch that the first pass is, to resume.
        workers: Videos decoded at a time. Defaults to the number of processors.
        random_clips: Whether frames and crops are sampled at random in training. Defaults to
            `training`.
        cache: Whether decoded clips are kept in memory; see `VideoLoader`.
        max_cache_bytes: Largest size of the cache.

    Returns:
        A dataset of `(clips, labels)`: uint8 `(B, T, H, W, 3)`, B fixed in training, and int32
        `(B,)` or, with `one_hot` or if the augmenter mixes labels, float32 `(B, classes)`. Its
        attribute `source` is the `ClipSource`, which counts unreadable videos.

    Raises:
        ImportError: If TensorFlow is not installed; `VideoLoader` needs none.
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
    workers = os.cpu_count() if workers is None else workers
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
    clip_shape = (count, converter.num_frames, *converter.image_size, 3)
    label_shape = (count, len(manifest.class_names)) if source.one_hot else (count,)
    label_type = tf.float32 if source.one_hot else tf.int32

    def read(epoch, batch):
        # Whole batches: each copy that tf.data would make of a clip costs as much as decoding it.
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
    # Read ahead up to here; from here on, batch by batch, so that the epoch can be told.
    dataset = dataset.prefetch(1).map(hand_out)
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    options.experimental_optimization.inject_prefetch = False
    # There is nothing to tune, and its thread makes an epoch wait up to a second for its end.
    options.autotune.enabled = False
    dataset = dataset.with_options(options)
    dataset.source = source
    return dataset


class _Epochs:
    """Numbers the passes: a pass is the next epoch when all batches of the last were handed out.

    `fit` reads a first batch to build the model, on JAX and PyTorch, and then starts again.
    """

    def __init__(self, first, num_batches):
        self.next, self.last = checked_whole("first_epoch", first, 0), num_batches - 1

    def __call__(self):
        yield self.next

    def handed_out(self, epoch, batch):
        if batch == self.last:
            self.next = int(epoch) + 1
        return np.int64(batch)
