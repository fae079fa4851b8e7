"""A PyTorch network written directly from the paper's listing, for comparison with ours.

It is a first implementation without tricks: a 3-D convolution for the tubelets, Cycle FC by
gathering each channel from its position, Algorithm 1 for time mixing with unshared weights.
"""

import itertools

import torch
from torch import nn

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class PlainCycleFC(nn.Module):
    """Gathers every channel from its own position, then one linear layer."""

    def __init__(self, channels, axis, kernel_size=3):
        super().__init__()
        self.axis, self.linear = axis, nn.Linear(channels, channels)
        half = kernel_size // 2
        self.register_buffer("offsets", (torch.arange(channels) + half) % kernel_size - half)

    def forward(self, x):
        length, channels = x.shape[self.axis], x.shape[-1]
        at = torch.arange(length)[:, None] + self.offsets[None, :]
        inside = (at >= 0) & (at < length)
        shape = [1, 1, 1, 1, channels]
        shape[self.axis] = length
        index = at.clamp(0, length - 1).reshape(shape).expand_as(x)
        return self.linear(torch.gather(x, self.axis, index) * inside.reshape(shape))


class PlainTimeMixing(nn.Module):
    """Algorithm 1."""

    def __init__(self, channels, kind, size):
        super().__init__()
        self.kind, self.size = kind, size
        out = channels if kind == "shift_token" else size * channels
        self.linear = nn.Linear(size * channels, out)

    def forward(self, x):
        x = x.permute(0, 2, 3, 1, 4)  # the listing's (H, W, T, C)
        batch, height, width, time, channels = x.shape
        size = self.size
        if self.kind == "shift_token":
            x = self.linear(torch.cat([x.roll(i, 3) for i in range(size)], dim=4))
        else:
            if self.kind == "shift_window":
                x = x.roll(size // 2, 3)
            if self.kind == "long_range":
                x = x.reshape(batch, height, width, size, -1, channels).transpose(3, 4)
            x = self.linear(x.reshape(batch, height, width, -1, size * channels))
            if self.kind == "long_range":
                x = x.reshape(batch, height, width, -1, size, channels).transpose(3, 4)
            x = x.reshape(batch, height, width, time, channels)
            if self.kind == "shift_window":
                x = x.roll(-(size // 2), 3)
        return x.permute(0, 3, 1, 2, 4)


class PlainBlock(nn.Module):
    """Eq. (1), with split attention for the weighted summation of Eq. (2)."""

    def __init__(self, channels, kind, size, ratio=4):
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(channels, eps=1e-5) for _ in range(2))
        self.branches = nn.ModuleList(
            [
                PlainCycleFC(channels, 3),
                PlainCycleFC(channels, 2),
                PlainTimeMixing(channels, kind, size),
            ]
        )
        self.weigh = nn.Sequential(
            nn.Linear(channels, channels // 4), nn.GELU(), nn.Linear(channels // 4, 3 * channels)
        )
        self.project = nn.Linear(channels, channels)
        self.mlp = nn.Sequential(
            nn.Linear(channels, ratio * channels), nn.GELU(), nn.Linear(ratio * channels, channels)
        )

    def forward(self, x):
        normed = self.norm1(x)
        mixed = torch.stack([branch(normed) for branch in self.branches])
        weights = self.weigh(mixed.sum(0).mean((1, 2, 3))).reshape(len(x), -1, 3).softmax(-1)
        weights = weights.permute(2, 0, 1)[:, :, None, None, None, :]
        x = x + self.project((mixed * weights).sum(0))
        return x + self.mlp(self.norm2(x))


class PlainMLP3D(nn.Module):
    """The whole network on pixel values (B, T, H, W, 3), 0..255."""

    def __init__(self, channels, depths, schedule, num_classes):
        super().__init__()
        self.embed = nn.Conv3d(3, channels[0], (4, 7, 7), stride=4, padding=(0, 2, 2))
        mixings = iter(schedule)
        self.stages = nn.ModuleList(
            nn.Sequential(*[PlainBlock(c, *self._next(mixings)) for _ in range(depth)])
            for c, depth in zip(channels, depths, strict=True)
        )
        self.transitions = nn.ModuleList(
            nn.Conv3d(a, b, (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))
            for a, b in itertools.pairwise(channels)
        )
        self.norm, self.head = (
            nn.LayerNorm(channels[-1], eps=1e-5),
            nn.Linear(channels[-1], num_classes),
        )

    @staticmethod
    def _next(mixings):
        mixing = next(mixings)
        return mixing.kind, mixing.group_size

    def forward(self, clip):
        x = (clip.float() / 255 - torch.tensor(MEAN)) / torch.tensor(STD)
        x = self.embed(x.permute(0, 4, 1, 2, 3)).permute(0, 2, 3, 4, 1)
        for i, stage in enumerate(self.stages):
            if i:
                x = self.transitions[i - 1](x.permute(0, 4, 1, 2, 3)).permute(0, 2, 3, 4, 1)
            x = stage(x)
        return self.head(self.norm(x).mean((1, 2, 3)))
