"""Average precision: how well the scores of a class put its videos before all other videos."""

import numpy as np
from numpy.typing import ArrayLike

_CHUNK = 2**22  # numbers in memory at once, of weights of several resamples


def average_precision(labels: ArrayLike, scores: ArrayLike, unscored: int = 0) -> float | None:
    """Return the average precision of the scores of a class.

    The videos are ranked by their scores. The precision of a rank is the share of the class's
    videos among all videos up to it; the average precision is its mean over the ranks of the
    class's videos. Videos with equal scores share the last of their ranks, so that their order does
    not matter. It is 1 if all videos of the class are before all other videos.

    Args:
        labels: Whether each video has the class: booleans, or 0 and 1 (videos,).
        scores: Its score of each video, finite numbers (videos,).
        unscored: Number of further videos of the class that have no score. They count as not found:
            with precision 0.

    Returns:
        From 0 to 1, or None if no video has the class.

    Raises:
        ValueError: If the arrays are not as above.

    Example:

    >>> average_precision([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1])
    0.8333333333333333
    >>> average_precision([0, 0], [0.5, 0.1]) is None
    True
    """
    are, values = np.asarray(labels), np.asarray(scores, "float64")
    if are.ndim != 1 or are.shape != values.shape or not np.isin(are, (0, 1)).all():
        raise ValueError(
            "labels and scores must be as many booleans and numbers, one per video, got shapes "
            f"{are.shape} and {values.shape}."
        )
    if not np.isfinite(values).all():
        raise ValueError("scores must be finite numbers.")
    ones = np.ones((1, len(values)))
    [found] = _weighted(are.astype(bool), values, ones, np.array([float(unscored)]))
    return None if np.isnan(found) else float(found)


def mean_average_precision_interval(
    labels: np.ndarray, scores: np.ndarray, is_scored: np.ndarray, resamples: int = 1000
) -> tuple[float, float] | None:
    """Return the 95 % interval of the mean average precision, by the percentile bootstrap.

    The videos are sampled again with replacement, with seed 0, and the mean is taken over the
    classes that have a video in the sample.

    Args:
        labels: Whether each video has each class, bool (videos, classes).
        scores: float64 (videos, classes); those of videos without a score are ignored.
        is_scored: Whether each video has scores, bool (videos,). The other videos count as not
            found.
        resamples: Number of samples.

    Returns:
        (lower, upper), or None if there is no video with a label.

    Source:
        B. Efron, "Bootstrap methods: another look at the jackknife", 1979.

    Example:

    >>> labels = np.array([[1], [0], [1], [0]], bool)
    >>> scores = np.array([[0.9], [0.1], [0.8], [0.2]])
    >>> mean_average_precision_interval(labels, scores, np.ones(4, bool))
    (1.0, 1.0)
    """
    videos = len(labels)
    if not labels.any():
        return None
    rng, means = np.random.default_rng(0), []
    step = max(1, _CHUNK // videos)
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        drawn = rng.integers(videos, size=(count, videos))
        weights = np.stack([np.bincount(row, minlength=videos) for row in drawn]).astype("float64")
        each = [
            _weighted(
                labels[is_scored, k],
                scores[is_scored, k],
                weights[:, is_scored],
                weights[:, ~is_scored] @ labels[~is_scored, k].astype("float64"),
            )
            for k in np.flatnonzero(labels.any(axis=0))
        ]
        means.append(_mean_of_numbers(np.stack(each)))
    found = np.concatenate(means)
    low, high = np.percentile(found[~np.isnan(found)], [2.5, 97.5])
    return float(low), float(high)


def _mean_of_numbers(values):
    """Return the mean over the first axis without NaN; NaN if there is nothing else."""
    there = ~np.isnan(values)
    counts = there.sum(axis=0)
    total = np.where(there, values, 0.0).sum(axis=0)
    return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)


def _weighted(labels, scores, weights, unscored):
    """Return the average precisions (resamples,) of weighted videos; NaN if none has the class.

    Args:
        labels: bool (videos,)
        scores: float64 (videos,)
        weights: How often each video is in each sample, float64 (resamples, videos).
        unscored: Number of videos of the class without a score in each sample (resamples,).
    """
    order = np.argsort(-scores, kind="stable")
    labels, scores, weights = labels[order], scores[order], weights[:, order]
    hits = np.cumsum(weights * labels, axis=1)
    total = (hits[:, -1] if len(scores) else 0.0) + unscored
    ends = np.flatnonzero(np.append(scores[1:] != scores[:-1], True)) if len(scores) else []
    hits, seen = hits[:, ends], np.cumsum(weights, axis=1)[:, ends]
    gained = np.diff(hits, axis=1, prepend=0.0)
    found = (gained * hits / np.maximum(seen, 1.0)).sum(axis=1)
    return np.where(total > 0, found / np.maximum(total, 1.0), np.nan)
