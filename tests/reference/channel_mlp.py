"""Channel MLP (section 3.2): C -> ratio * C -> GELU -> C, on each token by itself."""

from reference.basics import gelu, linear, part


def channel_mlp(x, weights):
    """(..., C) -> (..., C)."""
    return linear(gelu(linear(x, part(weights, "expand"))), part(weights, "reduce"))
