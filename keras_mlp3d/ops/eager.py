"""Whether operations run one by one."""

import keras


def is_eager_torch():
    """Returns whether PyTorch runs each operation as it comes, rather than tracing a graph.

    Compilers melt small operations into few passes over memory; here every one is a pass.

    Example:

    >>> is_eager_torch() == (keras.backend.backend() == "torch")
    True
    """
    if keras.config.backend() != "torch":
        return False
    from keras_mlp3d.ops import _torch

    return not _torch.is_compiling()
