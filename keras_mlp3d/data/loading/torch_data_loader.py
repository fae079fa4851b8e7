"""Whether a PyTorch `DataLoader` is asking for a batch, without importing PyTorch."""

import sys


def in_torch_worker() -> bool:
    """Return whether this is a worker process of a PyTorch DataLoader."""
    data = sys.modules.get("torch.utils.data")
    return data is not None and data.get_worker_info() is not None


def in_data_loader() -> bool:
    """Return whether a PyTorch DataLoader without workers requests a batch by its number."""
    fetch = sys.modules.get("torch.utils.data._utils.fetch")
    by_number = getattr(getattr(fetch, "_MapDatasetFetcher", None), "fetch", None)
    if by_number is None:
        return False
    # Keras also uses a DataLoader, but requests the next batch, not a number.
    frame = sys._getframe(1)
    while frame is not None and frame.f_code is not by_number.__code__:
        frame = frame.f_back
    return frame is not None
