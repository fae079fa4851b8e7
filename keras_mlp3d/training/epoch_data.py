"""Which clips an epoch of a data set has, and those that an interruption has left of it."""

import keras


class RestOfEpoch(keras.utils.PyDataset):
    """A view of a data set that begins some batches into the epoch.

    Args:
        data: Keras data set whose batches can be had by number.
        first: How many batches are left out, less than there are.

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

    def __init__(self, data, first):
        if not 0 <= first < len(data):
            raise ValueError(
                f"first must be from 0 to below the {len(data)} batches of an epoch, got {first!r}."
            )
        super().__init__()
        self.data, self.first = data, first

    def __len__(self):
        return len(self.data) - self.first

    def __getitem__(self, index):
        return self.data[self.first + index]

    def on_epoch_begin(self):
        """Tells the data set, as Keras would."""
        self.data.on_epoch_begin()

    def on_epoch_end(self):
        """Tells the data set, as Keras would."""
        self.data.on_epoch_end()


class EpochOfData(keras.callbacks.Callback):
    """Tells a data set which epoch begins, whatever Keras has read of it before.

    Args:
        data: Data set whose attribute `epoch` decides its clips.

    Example:

    >>> from types import SimpleNamespace
    >>> data = SimpleNamespace(epoch=0)
    >>> EpochOfData(data).on_epoch_begin(3)
    >>> data.epoch
    3
    """

    def __init__(self, data):
        super().__init__()
        self.data = data

    def on_epoch_begin(self, epoch, logs=None):
        self.data.epoch = epoch
