"""Evaluates a network on a data set, by the averaged scores of all views.

Source: section 4.2 (scores averaged over clips and three crops).
"""

import contextlib
import logging
from collections.abc import Callable

import keras
import numpy as np

from keras_mlp3d._utils.checks import check_integer
from keras_mlp3d._utils.ordered_map import default_workers
from keras_mlp3d.data import Manifest, VideoConverter
from keras_mlp3d.data.datasets.manifest import check_manifest
from keras_mlp3d.inference.decode_ahead import decode_ahead
from keras_mlp3d.inference.evaluation import Evaluation, VideoResult
from keras_mlp3d.inference.multi_label_evaluation import (
    MultiLabelEvaluation,
    MultiLabelResult,
)
from keras_mlp3d.inference.score_views import check_model, score_batch
from keras_mlp3d.models import CycleMLP
from keras_mlp3d.models.network_checks import check_label_kind

_logger = logging.getLogger("keras_mlp3d")


def evaluate(
    model: keras.Model,
    manifest: Manifest,
    clips: int = 1,
    crops: int = 1,
    batch_size: int = 8,
    converter: VideoConverter | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Evaluation:
    """Evaluate the accuracy of a model on the videos of a manifest.

    The scores of a video are averaged over its views, clips times crops, and the class with the
    highest average is the answer. If videos may have several labels, the result has average
    precisions instead, and the model must have `activation="sigmoid"`.

    No video is replaced or left out: an unreadable video, whether a file, a record of a shard or a
    video in memory, counts as wrong and is listed with its name and the reason. There are also
    accuracies of the decoded videos only. Of a damaged video, the frames before the damage are
    used, as in `classify`.

    Threads decode while the model computes. Memory is bounded for any number of videos and views:
    to about 1 GiB of pixels, or a single clip with its crops if that is more. Views of several
    videos share batches of one shape, so that a backend compiles once. Except for rounding, the
    result does not depend on `batch_size` or `workers`.

    Args:
        model: `MLP3D`, `TwoPathMLP3D`, `FrameCycleMLP`, or `CycleMLP`, which classifies each frame
            of a clip.
        manifest: `data.Manifest`. Its classes must be those of the model or some of them, in any
            order: they are matched by name. If the model has no class names, the number and the
            order of the classes must be the model's.
        clips: Number of clips per video, evenly sampled.
        crops: Number of square crops per clip, along its longer side.
        batch_size: Largest number of inputs per batch: views, or frames for `CycleMLP`.
        converter: `data.VideoConverter` that makes the clips. Defaults to `model.converter`.
        workers: Number of threads that decode. Defaults to the number of processors, at most eight.
        progress: None, or a function that is called after each video with the number of videos done
            and the number of all videos.

    Returns:
        `Evaluation`, or, if videos may have several labels, the `MultiLabelEvaluation` of them.

    Raises:
        ValueError: If an argument is wrong, there is no converter, its clips do not fit the model,
            the model's outputs are not finite, it does not know classes of the manifest, or
            only one of both has several classes per video.

    Source:
        Section 4.2: scores averaged over clips and three crops along the longer side;
        one clip for Something-Something, four for Kinetics.

    Example:

    >>> import tempfile
    >>> from keras_mlp3d.data import read_manifest
    >>> from keras_mlp3d.data.datasets.motion_shapes import write_motion_shapes
    >>> from keras_mlp3d.models import MLP3D
    >>> names = ["blink_then_spin", "spin_then_blink"]
    >>> task = {"num_classes": 2, "class_names": names}
    >>> model = MLP3D.from_preset("mlp3d_nano", load_weights=False, **task)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_motion_shapes(folder, num_clips=2, classes=names)
    ...     evaluation = evaluate(model, read_manifest(folder, "test"), batch_size=2)
    >>> evaluation.expected, evaluation.decoded, evaluation.failed, evaluation.top5
    (2, 2, (), 1.0)
    """
    check_model(model)
    for name, value in (("clips", clips), ("crops", crops), ("batch_size", batch_size)):
        check_integer(name, value)
    if workers is not None:
        check_integer("workers", workers)
    check_manifest(manifest)
    check_label_kind(model, manifest.multi_label)
    labels, class_names = _classes(model, manifest)
    converter = converter or getattr(model, "converter", None)
    if converter is None:
        raise ValueError(
            f"{model.name} has no converter that turns a video into clips: pass "
            "converter=keras_mlp3d.data.VideoConverter(num_frames=..., image_size=(..., ...))."
        )
    frames = converter.num_frames if isinstance(model, CycleMLP) else 1
    views = clips * crops * frames
    batches = _Batches(model, converter, batch_size, len(manifest) * views)
    decoded = decode_ahead(manifest.rows, converter, clips, crops, workers or default_workers(8))
    with contextlib.closing(decoded):  # an error ends the threads too
        results = _score_videos(
            decoded,
            batches,
            views,
            (lambda done: progress(done, len(manifest))) if progress else lambda done: None,
        )
    gone = [(name, "the data set lists it, and no file was found") for name in manifest.not_found]
    about = {"digest": manifest.digest, "split": manifest.split, "clips": clips, "crops": crops}
    make = _several if manifest.multi_label else _single
    return make(manifest.rows, labels, results, gone, class_names, about)


def _single(rows, labels, results, gone, class_names, about):
    failed, predictions = list(gone), []
    for row, label, result in zip(rows, labels, results, strict=True):
        if isinstance(result, str):
            failed.append((row.name, result))
        else:
            predictions.append(_result(row, label, result))
    counts = np.bincount(labels, minlength=len(class_names))
    return Evaluation(class_names, counts, tuple(predictions), tuple(failed), **about)


def _several(rows, labels, results, gone, class_names, about):
    failed, failed_labels, predictions = [], [], []
    for row, label, result in zip(rows, labels, results, strict=True):
        if isinstance(result, str):
            failed.append((row.name, result))
            failed_labels.append(label)
        else:
            source = None if isinstance(row.path, str) else row.path
            predictions.append(
                MultiLabelResult(row.name, row.start, row.end, label, result, source)
            )
    counts = np.zeros(len(class_names), "int64")
    for label in labels:
        counts[list(label)] += 1
    return MultiLabelEvaluation(
        class_names,
        counts,
        tuple(predictions),
        tuple(failed + gone),
        failed_labels=tuple(failed_labels),
        **about,
    )


def _score_videos(decoded, batches, views, progress):
    """Return for each video its mean scores (classes,), or the reason why it is unreadable.

    Args:
        decoded: Iterator from `decode_ahead`.
        batches: `_Batches` of the model.
        views: Number of inputs of the model per video.
        progress: Function that is called with the number of videos done.
    """
    results, open_sums = {}, {}

    def take(scored):
        for number, weight, scores in scored:
            if number in results:  # a later part of it is unreadable
                continue
            total, seen = open_sums.get(number, (0.0, 0))
            total, seen = total + weight * scores, seen + weight
            if seen < views:
                open_sums[number] = total, seen
                continue
            open_sums.pop(number, None)
            results[number] = total / views
            progress(len(results))

    for number, found, weight in decoded:
        if not isinstance(found, str):
            take(batches.add(found, number, weight))
        elif number not in results:
            open_sums.pop(number, None)
            results[number] = found
            progress(len(results))
    take(batches.rest())
    return [results[number] for number in sorted(results)]


class _Batches:
    """Collects inputs of the model in batches of one shape, and scores each full batch."""

    def __init__(self, model, converter, batch_size, most):
        self._by_frame = isinstance(model, CycleMLP)
        shape = (*converter.image_size, 3)
        shape = shape if self._by_frame else (converter.num_frames, *shape)
        # The smallest batch size that needs no further batch: the last one has little padding.
        size = -(-most // -(-most // batch_size))
        self._model, self._owners = model, []
        self._batch = np.zeros((size, *shape), "uint8")
        model.check_input(self._batch)

    def add(self, views, number, weight):
        """Add views (V, ...) of a video; yield (video, weight, scores) of all that are scored."""
        if self._by_frame:
            views = views.reshape(-1, *views.shape[2:])
        while len(views):
            filled = len(self._owners)
            taken = views[: len(self._batch) - filled]
            self._batch[filled : filled + len(taken)] = taken
            self._owners += [(number, weight)] * len(taken)
            views = views[len(taken) :]
            if len(self._owners) == len(self._batch):
                yield from self.rest()

    def rest(self):
        """Score a batch, padded if needed; yield (video, weight, scores) of its inputs."""
        if self._owners:
            self._batch[len(self._owners) :] = self._batch[0]
            scores = score_batch(self._model, self._batch)
            owners, self._owners = self._owners, []
            for (number, weight), row in zip(owners, scores, strict=False):
                yield number, weight, row


def _result(row, label, scores):
    order = np.argsort(-scores, kind="stable")
    best, rank = int(order[0]), int(np.flatnonzero(order == label)[0]) + 1
    source = None if isinstance(row.path, str) else row.path
    score = float(scores[best])
    return VideoResult(row.name, row.start, row.end, label, best, score, rank, source)


def _classes(model, manifest):
    """Return the labels of the manifest's rows in the model's order, and the names in it."""
    names, known = tuple(manifest.class_names), model.class_names
    if known is None:
        if len(names) != model.num_classes:
            raise ValueError(
                f"The manifest must have the {model.num_classes} classes of {model.name}, which "
                f"has no class names, got {len(names)} classes."
            )
        known = names
    if not set(names) <= set(known):
        raise ValueError(
            f"The manifest's classes must be those of {model.name}, or some of them; not known to "
            f"the model: {_some(set(names) - set(known))}; not in the manifest: "
            f"{_some(set(known) - set(names))}."
        )
    if len(names) < len(known):
        _logger.warning(
            "%s has no videos of %d of the %d classes of %s, such as %s",
            manifest.split, len(known) - len(names), len(known), model.name,
            _some(set(known) - set(names)),
        )  # fmt: skip
    place = {name: number for number, name in enumerate(known)}
    places = [place[name] for name in names]
    if manifest.multi_label:
        labels = [tuple(sorted(places[label] for label in row.label)) for row in manifest.rows]
        return labels, tuple(known)
    return [places[row.label] for row in manifest.rows], tuple(known)


def _some(names):
    """Return a few of the names, as text."""
    shown = ", ".join(repr(name) for name in sorted(names)[:5]) or "none"
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
