"""The clips of an epoch: its number for the data set, and the rest of an interrupted epoch."""

from typing import Any

import keras


class EpochOfData(keras.callbacks.Callback):
    """Tells a data set which epoch begins, whatever Keras has read from it before.

    Args:
        data: Data set whose attribute `epoch` decides its clips.

    Example:

    >>> from types import SimpleNamespace
    >>> data = SimpleNamespace(epoch=0)
    >>> EpochOfData(data).on_epoch_begin(3)
    >>> data.epoch
    3
    """

    def __init__(self, data: Any):
        super().__init__()
        self.data = data

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.data.epoch = epoch


class RestOfEpoch(keras.utils.PyDataset):
    """A view of a data set without the first batches of the epoch.

    Args:
        data: Keras data set whose batches can be indexed.
        first: Number of batches left out, less than the epoch has.

    Raises:
        ValueError: If no batch is left.

    Example:

    >>> class Numbers(keras.utils.PyDataset):
    ...     def __len__(self):
    ...         return 5
    ...     def __getitem__(self, index):
    ...         return np.array([10 * index])
    >>> rest = RestOfEpoch(Numbers(), 3)
    >>> len(rest), rest[0].tolist(), rest[1].tolist()
    (2, [30], [40])
    """

    def __init__(self, data: keras.utils.PyDataset, first: int):
        if not 0 <= first < len(data):
            raise ValueError(
                f"first must be from 0 to below the {len(data)} batches of an epoch, got {first!r}."
            )
        super().__init__()
        self.data, self.first = data, first

    def __len__(self) -> int:
        return len(self.data) - self.first

    def __getitem__(self, index: int) -> tuple:
        return self.data[self.first + index]

    def on_epoch_begin(self) -> None:
        """Forward Keras's call to the data set."""
        self.data.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Forward Keras's call to the data set."""
        self.data.on_epoch_end()
