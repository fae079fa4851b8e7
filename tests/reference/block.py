"""The MLP-3D block (section 3.2, Eq. (1)), as it works in inference."""

from reference.basics import layer_norm, part
from reference.channel_mlp import channel_mlp
from reference.token_mixing import token_mixing


def block(x, weights, kind, size, **options):
    """Y = TokenMixing(LN(X)) + X; Z = ChannelMLP(LN(Y)) + Y."""
    normed = layer_norm(x, part(weights, "token_norm"))
    y = token_mixing(normed, part(weights, "token_mixing"), kind, size, **options) + x
    return (
        channel_mlp(layer_norm(y, part(weights, "channel_norm")), part(weights, "channel_mlp")) + y
    )
