"""Mean average precision while a network is trained, from counts per score."""

from typing import Any

import keras
from keras import ops

from keras_mlp3d._utils.checks import check_integer
from keras_mlp3d._utils.types import Tensor

_LIMIT = 10.0  # logits beyond it are in the first or the last bin


@keras.saving.register_keras_serializable(package="keras_mlp3d")
class MeanAveragePrecision(keras.metrics.Metric):
    """Mean over the classes of the average precision of their scores, for `compile`.

    For a network with `activation="sigmoid"`, whose clips may have several classes. Scores are
    counted in bins of equal width between the logits -10 and 10, and scores in one bin count as
    equal, so that memory does not grow with the number of clips and counts of several devices add
    up. `inference.average_precision` is exact. Classes without a clip are left out; without any
    clip of any class, the result is 0.

    Args:
        num_classes: Number of classes.
        num_bins: Number of bins.
        name: Name of the metric.
        dtype: Its dtype.

    Input shape:
        Labels and scores (B, num_classes). Labels above one half, as after mixing or smoothing,
        count as 1.

    Raises:
        ValueError: If an argument is wrong.

    Example:

    >>> metric = MeanAveragePrecision(num_classes=2)
    >>> metric.update_state([[1, 0], [0, 0], [1, 0]], [[0.9, 0.5], [0.8, 0.5], [0.7, 0.1]])
    >>> round(float(metric.result()), 4)
    0.8333
    """

    def __init__(
        self,
        num_classes: int,
        num_bins: int = 400,
        name: str = "mean_average_precision",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.num_classes = check_integer("num_classes", num_classes)
        self.num_bins = check_integer("num_bins", num_bins, 2)
        shape = (self.num_bins * self.num_classes,)
        self.hits = self.add_variable(shape, "zeros", name="hits")
        self.seen = self.add_variable(shape, "zeros", name="seen")

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> None:
        """Count the scores of a batch.

        Args:
            y_true: Labels (B, num_classes).
            y_pred: Scores from 0 to 1 (B, num_classes).
            sample_weight: None, or the weight of each clip (B,).
        """
        scores = ops.clip(ops.cast(y_pred, self.dtype), 1e-6, 1 - 1e-6)
        places = (ops.log(scores) - ops.log1p(-scores)) / _LIMIT
        bins = ops.cast(ops.floor((places + 1) / 2 * self.num_bins), "int32")
        bins = ops.clip(bins, 0, self.num_bins - 1) * self.num_classes
        bins = ops.reshape(bins + ops.arange(self.num_classes, dtype="int32"), (-1,))
        weights = ops.ones_like(scores)
        if sample_weight is not None:
            weights *= ops.reshape(ops.cast(sample_weight, self.dtype), (-1, 1))
        hits = weights * ops.cast(ops.cast(y_true, self.dtype) > 0.5, self.dtype)
        for variable, values in ((self.seen, weights), (self.hits, hits)):
            sums = ops.segment_sum(ops.reshape(values, (-1,)), bins, variable.shape[0])
            variable.assign(variable + sums)

    def result(self) -> Tensor:
        """Return the mean average precision of all batches so far."""
        shape = (self.num_bins, self.num_classes)
        hits = ops.flip(ops.reshape(ops.convert_to_tensor(self.hits), shape), axis=0)
        seen = ops.flip(ops.reshape(ops.convert_to_tensor(self.seen), shape), axis=0)
        precision = ops.cumsum(hits, axis=0) / ops.maximum(ops.cumsum(seen, axis=0), 1e-7)
        total = ops.sum(hits, axis=0)
        found = ops.sum(hits * precision, axis=0) / ops.maximum(total, 1e-7)
        there = ops.cast(total > 0, self.dtype)
        return ops.sum(found * there) / ops.maximum(ops.sum(there), 1.0)

    def get_config(self) -> dict[str, Any]:
        sizes = {"num_classes": self.num_classes, "num_bins": self.num_bins}
        return {**super().get_config(), **sizes}
