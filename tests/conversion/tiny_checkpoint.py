"""A state dict under the names of the public CycleMLP checkpoints, for a tiny network."""

import numpy as np

SIZES = {"channels": (8, 12, 16, 20), "depths": (1, 1, 2, 1), "mlp_ratios": (2, 3, 2, 2)}
CLASSES = 7


def shapes(sizes=SIZES, classes=CLASSES):
    """Returns {key: shape}, written from the description of the checkpoints."""
    channels, depths, ratios = (sizes[name] for name in SIZES)
    table = {"patch_embed.proj": ((channels[0], 3, 7, 7), channels[0])}
    offsets = {}
    for stage, (c, depth, ratio) in enumerate(zip(channels, depths, ratios, strict=True)):
        if stage:
            table[f"network.{2 * stage - 1}.proj"] = ((c, channels[stage - 1], 3, 3), c)
        for block in range(depth):
            name = f"network.{2 * stage}.{block}"
            for norm in ("norm1", "norm2"):
                table[f"{name}.{norm}"] = ((c,), c)
            for fc in ("sfc_h", "sfc_w"):
                table[f"{name}.attn.{fc}"] = ((c, c, 1, 1), c)
                offsets[f"{name}.attn.{fc}.offset"] = (1, 2 * c, 1, 1)
            table[f"{name}.attn.mlp_c"] = ((c, c), None)
            table[f"{name}.attn.reweight.fc1"] = ((c // 4, c), c // 4)
            table[f"{name}.attn.reweight.fc2"] = ((3 * c, c // 4), 3 * c)
            table[f"{name}.attn.proj"] = ((c, c), c)
            table[f"{name}.mlp.fc1"] = ((ratio * c, c), ratio * c)
            table[f"{name}.mlp.fc2"] = ((c, ratio * c), c)
    table["norm"] = ((channels[3],), channels[3])
    table["head"] = ((classes, channels[3]), classes)
    weights = {f"{name}.weight": weight for name, (weight, _) in table.items()}
    biases = {f"{name}.bias": (bias,) for name, (_, bias) in table.items() if bias is not None}
    return weights | biases | offsets


def state_dict(seed=0):
    """Returns {key: float32 array}, random except for the constants `offset`."""
    random = np.random.default_rng(seed)
    state = {key: random.normal(0, 0.2, shape) for key, shape in shapes().items()}
    for key in state:
        if key.endswith("offset"):
            steps = [(channel + 1) % 3 - 1 for channel in range(state[key].shape[1] // 2)]
            # Rows and columns in turn: sfc_h moves along the columns.
            pairs = [(0, step) if "sfc_h" in key else (step, 0) for step in steps]
            state[key] = np.reshape(pairs, state[key].shape)
    return {key: value.astype("float32") for key, value in state.items()}
