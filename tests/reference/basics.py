"""What every twin needs: linear map, GELU, layer norm, softmax, and a look into the weights."""

import math

import numpy as np

EPSILON = 1e-5


def part(weights, name):
    """The weights below `name`, under the rest of their names."""
    prefix = name + "/"
    return {key[len(prefix) :]: value for key, value in weights.items() if key.startswith(prefix)}


def linear(x, weights):
    """x · W + b for row vectors."""
    y = x @ weights["kernel"]
    return y + weights["bias"] if "bias" in weights else y


def gelu(x):
    """Exact GELU: x times the normal distribution function of x."""
    phi = np.vectorize(lambda v: 0.5 * (1 + math.erf(v / math.sqrt(2))))
    return x * phi(x)


def layer_norm(x, weights):
    """Each token by itself: mean 0 and variance 1 over the channels, then scale and shift."""
    y = np.empty_like(x)
    for place in np.ndindex(x.shape[:-1]):
        token = x[place]
        mean = sum(token) / len(token)
        variance = sum((token - mean) ** 2) / len(token)
        y[place] = (token - mean) / math.sqrt(variance + EPSILON)
    return y * weights["gamma"] + weights["beta"]


def softmax(values):
    """exp(v_i) / sum_j exp(v_j) of one vector."""
    powers = np.exp(values - values.max())
    return powers / powers.sum()
