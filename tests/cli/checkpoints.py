"""Checkpoints of a CycleMLP of any size, in the form of the public ones."""

import numpy as np


def state_dict(channels, depths, ratios, classes, seed=0):
    """Returns {key: float32 array} with random weights; names and shapes of the public files."""
    rng = np.random.default_rng(seed)
    state = {}

    def add(module, *shape, bias=True):
        state[f"{module}.weight"] = 0.1 * rng.standard_normal(shape).astype("float32")
        if bias:
            state[f"{module}.bias"] = 0.1 * rng.standard_normal(shape[0]).astype("float32")

    add("patch_embed.proj", channels[0], 3, 7, 7)
    for stage, (wide, depth, ratio) in enumerate(zip(channels, depths, ratios, strict=True)):
        if stage:
            add(f"network.{2 * stage - 1}.proj", wide, channels[stage - 1], 3, 3)
        for block in range(depth):
            name = f"network.{2 * stage}.{block}"
            add(f"{name}.norm1", wide)
            add(f"{name}.norm2", wide)
            steps = (np.arange(wide) + 1) % 3 - 1
            for layer, axis in (("sfc_h", 1), ("sfc_w", 0)):
                add(f"{name}.attn.{layer}", wide, wide, 1, 1)
                offset = np.zeros((1, 2 * wide, 1, 1), "float32")
                offset[0, axis::2, 0, 0] = steps
                state[f"{name}.attn.{layer}.offset"] = offset
            add(f"{name}.attn.mlp_c", wide, wide, bias=False)
            add(f"{name}.attn.reweight.fc1", wide // 4, wide)
            add(f"{name}.attn.reweight.fc2", 3 * wide, wide // 4)
            add(f"{name}.attn.proj", wide, wide)
            add(f"{name}.mlp.fc1", ratio * wide, wide)
            add(f"{name}.mlp.fc2", wide, ratio * wide)
    add("norm", channels[3])
    add("head", classes, channels[3])
    return state
