"""How a layer calls the layers that it is made of."""

from keras_mlp3d.ops import is_eager_torch


def call_sublayer(layer, inputs, *others):
    """Returns `layer(inputs, *others)`.

    Eagerly on PyTorch, Keras's checks and bookkeeping around one call take some 0.2 ms, longer
    than many a small product. The layer around has been through them already, so there its parts
    are entered behind them, unless their dtype policy differs or they are quantised.

    Args:
        layer: Built layer that has no losses and does not ask for `training`.
        inputs: Tensor of the compute dtype of the calling layer.
        *others: Further tensors.
    """
    if is_eager_torch() and layer.quantization_mode is None:
        policy = layer.dtype_policy
        same = policy.compute_dtype == str(inputs.dtype).removeprefix("torch.")
        if same and policy.compute_dtype == policy.variable_dtype:
            return layer.call(inputs, *others)
    return layer(inputs, *others)
