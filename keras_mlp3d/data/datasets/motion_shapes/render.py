"""Draws the clips of the motion-shapes data set: a textured shape that performs events.

A frame depends on the scene and on one pose only: the same pose gives the same bytes anywhere in a
clip.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

SHAPES = ("cross", "disc", "ring", "square", "star", "triangle")
TEXTURES = ("checks", "gradient", "noise", "stripes")

# Texture frequencies in cycles per shape radius. No two splits share one. The training bands are
# below and above those of the other splits: these have new textures of the same kind.
TEXTURE_BANDS = {
    "train": ((0.7, 1.1), (1.5, 1.9)),
    "val": ((1.1, 1.3),),
    "test": ((1.3, 1.5),),
}
_BACKGROUND_CYCLES = 3.0  # factor of the frequencies of a background, over half its width


class Pose(NamedTuple):
    """The state that an event changes. The defaults are rest. Lengths are in picture widths."""

    dx: float = 0.0
    dy: float = 0.0
    scale: float = 1.0
    turns: float = 0.0
    opacity: float = 1.0
    stretch: float = 1.0
    shear: float = 0.0
    tint: float = 0.0


def both(one: Pose, other: Pose) -> Pose:
    """Return the pose of two events at once: lengths and turns add up, factors multiply."""
    return Pose(
        one.dx + other.dx,
        one.dy + other.dy,
        one.scale * other.scale,
        one.turns + other.turns,
        one.opacity * other.opacity,
        one.stretch * other.stretch,
        one.shear + other.shear,
        max(one.tint, other.tint),
    )


@dataclasses.dataclass(frozen=True)
class Texture:
    """A field between two colors, over local coordinates."""

    family: str
    waves: np.ndarray  # (n, 3): cycles along u, cycles along v, phase in turns
    colors: np.ndarray  # (2, 3) in [0, 1]

    def evaluate(self, u: np.ndarray, v: np.ndarray, tint: float = 0.0) -> np.ndarray:
        """Return colors (3, h, w) at coordinates. With `tint` 1, they are the opposite colors."""
        if self.family == "gradient":
            field = 0.5 + 0.45 * (self.waves[0][0] * u + self.waves[0][1] * v)
        else:
            waves = [np.sin(2.0 * np.pi * (a * u + b * v + c)) for a, b, c in self.waves]
            if self.family == "stripes":
                field = 0.5 + 0.9 * waves[0]
            elif self.family == "checks":
                field = 0.5 + 1.2 * waves[0] * waves[1]
            else:
                field = 0.5 + 0.3 * sum(waves)
        # The ramp makes every texture asymmetric, so that a half turn never looks like rest.
        ramp = self.waves[0][0] * u + self.waves[0][1] * v
        mix = 0.75 * _unit(field) + 0.25 * _unit(0.5 + 0.4 * ramp)
        colors = self.colors * (1.0 - tint) + (1.0 - self.colors) * tint
        low, high = colors[:, :, None, None]
        return low + mix * (high - low)


@dataclasses.dataclass(frozen=True)
class Body:
    """A shape: place, radius (in picture widths), angle at rest (in turns) and texture."""

    shape: str
    x: float
    y: float
    radius: float
    angle: float
    texture: Texture


@dataclasses.dataclass(frozen=True)
class Scene:
    """A scene: the moving body and the background, uint8 (size, size, 3)."""

    body: Body
    background: np.ndarray


def draw_scene(rng: np.random.Generator, split: str, size: int) -> Scene:
    """Sample a scene from the generator `rng`: textures, the body and up to two still shapes."""
    # Always bright on dark: with contrasts of both signs, a network with random weights would need
    # many more clips before it learns anything.
    background = _draw_texture(rng, split, _colors(rng, 0.02, 0.14))
    grid = (np.arange(size, dtype=np.float32) + 0.5) / size
    y, x = np.meshgrid(grid, grid, indexing="ij")
    cycles = _BACKGROUND_CYCLES
    if background.family == "gradient":
        cycles = 1.0
    colors = background.evaluate((2 * x - 1) * cycles, (2 * y - 1) * cycles)
    picture = np.rint(colors * 255.0).astype(np.uint8).transpose(1, 2, 0).copy()
    for _ in range(rng.integers(0, 3)):
        around = rng.random() * 2 * np.pi
        still = Body(
            shape=str(rng.choice(SHAPES)),
            x=0.5 + 0.4 * np.cos(around),
            y=0.5 + 0.4 * np.sin(around),
            radius=rng.uniform(0.07, 0.12),
            angle=rng.random(),
            texture=_draw_texture(rng, split, _colors(rng, rng.uniform(0.1, 0.5), 0.3)),
        )
        paint(picture, still, Pose())
    body = Body(
        shape=str(rng.choice(SHAPES)),
        x=rng.uniform(0.4, 0.6),
        y=rng.uniform(0.4, 0.6),
        radius=rng.uniform(0.17, 0.23),
        angle=rng.random(),
        texture=_draw_texture(rng, split, _colors(rng, 0.5, 0.45)),
    )
    return Scene(body, picture)


def draw_event(event: str, rng: np.random.Generator, frames: int) -> list[Pose]:
    """Sample the poses of an event; the first and the last of them are exactly at rest."""
    progress = np.arange(frames) / (frames - 1)
    ends = np.clip(np.minimum(progress, 1.0 - progress) / 0.2, 0.0, 1.0)
    window = ends * ends * (3.0 - 2.0 * ends)
    periods = int(rng.integers(1, 3))
    sign = float(rng.choice((-1.0, 1.0)))
    strength = rng.random()
    wave = sign * np.sin(2 * np.pi * periods * progress) * window
    eased = progress * progress * (3.0 - 2.0 * progress)
    if event == "swing_x":
        poses = [Pose(dx=d) for d in (0.16 + 0.08 * strength) * wave]
    elif event == "swing_y":
        poses = [Pose(dy=d) for d in (0.16 + 0.08 * strength) * wave]
    elif event == "pulse":
        poses = [Pose(scale=s) for s in (1.45 + 0.15 * strength) ** wave]
    elif event == "spin":
        if rng.random() < 0.5:
            turns = sign * eased % 1.0
        else:
            turns = (0.2 + 0.12 * strength) / np.sqrt(periods) * wave
        poses = [Pose(turns=a) for a in turns]
    elif event == "blink":
        dip = np.sin(np.pi * periods * progress) ** 2
        poses = [Pose(opacity=o) for o in 1.0 - (0.9 + 0.1 * strength) * dip]
    elif event == "circle":
        angle = 2 * np.pi * periods * eased
        reach, start = 0.09 + 0.03 * strength, 2 * np.pi * rng.random()
        away, along = reach * (1.0 - np.cos(angle)), sign * reach * np.sin(angle)
        cos, sin = np.cos(start), np.sin(start)
        poses = [
            Pose(dx=a * cos - b * sin, dy=a * sin + b * cos)
            for a, b in zip(away, along, strict=True)
        ]
    elif event == "squash":
        poses = [Pose(stretch=s) for s in (1.6 + 0.2 * strength) ** wave]
    elif event == "tilt":
        poses = [Pose(shear=s) for s in (0.8 + 0.3 * strength) * wave]
    else:
        dip = np.sin(np.pi * periods * progress) ** 2
        poses = [Pose(tint=t) for t in (0.9 + 0.1 * strength) * dip]
    # The formulas end at rest up to rounding, but equal clips must be equal to the bit.
    poses[0] = poses[-1] = Pose()
    return [Pose(*map(float, pose)) for pose in poses]


def draw_frame(scene: Scene, pose: Pose) -> np.ndarray:
    """Return the scene with its body in `pose`, uint8 (size, size, 3)."""
    picture = scene.background.copy()
    paint(picture, scene.body, pose)
    return picture


def paint(picture: np.ndarray, body: Body, pose: Pose) -> None:
    """Paint the body over the uint8 picture, in place, with smooth edges of one pixel."""
    size = picture.shape[0]
    radius = body.radius * pose.scale * size
    x, y = (body.x + pose.dx) * size, (body.y + pose.dy) * size
    reach = 1.3 * radius * max(pose.stretch, 1.0 / pose.stretch) * (1.0 + abs(pose.shear)) + 2.0
    rows = slice(max(0, int(y - reach)), max(0, min(size, int(y + reach) + 1)))
    columns = slice(max(0, int(x - reach)), max(0, min(size, int(x + reach) + 1)))
    v = (np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + 0.5 - y) / radius
    u = (np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] + 0.5 - x) / radius
    v, u = v.astype(np.float32), u.astype(np.float32)
    # Stretch and shear are along the picture's axes, before the rotation into the body's frame.
    u = (u - pose.shear * v) / pose.stretch
    v = v * pose.stretch
    angle = 2 * np.pi * (body.angle + pose.turns)
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    u, v = u * cos + v * sin, v * cos - u * sin
    alpha = _unit(0.5 - radius * _distance(body.shape, u, v)) * pose.opacity
    colors = body.texture.evaluate(u, v, pose.tint) * 255.0
    target = picture[rows, columns].transpose(2, 0, 1)
    target[...] = np.rint(target + alpha * (colors - target))


def _unit(values):
    return np.minimum(np.maximum(values, 0.0), 1.0)


def _distance(shape, u, v):
    """Return the distance to the edge in radii, negative inside; accurate near the edge."""
    if shape == "disc":
        return np.hypot(u, v) - 0.95
    if shape == "ring":
        return np.abs(np.hypot(u, v) - 0.72) - 0.3
    if shape == "square":
        return np.maximum(np.abs(u), np.abs(v)) - 0.82
    if shape == "triangle":
        return np.maximum(np.abs(u) * 0.866 + v * 0.5, -v) - 0.58
    if shape == "cross":
        a, b = np.abs(u), np.abs(v)
        return np.maximum(np.minimum(a, b) - 0.4, np.maximum(a, b) - 1.0)
    rho, theta = np.hypot(u, v), np.arctan2(v, u)
    return 0.75 * (rho - 0.8 - 0.27 * np.cos(5.0 * theta))


def _draw_texture(rng, split, colors):
    family = str(rng.choice(TEXTURES))
    bands = TEXTURE_BANDS[split]
    low, high = bands[rng.integers(len(bands))]
    first = rng.random()
    count = 5 if family == "noise" else 2
    if family == "noise":
        angles = rng.random(count)
    else:
        angles = np.array([first, first + 0.25])
    cycles = rng.uniform(low, high, size=count if family == "noise" else 1)
    directions = np.stack([np.cos(2 * np.pi * angles), np.sin(2 * np.pi * angles)], axis=1)
    waves = np.concatenate([directions * cycles[:, None], rng.random((count, 1))], axis=1)
    return Texture(family, waves.astype(np.float32), colors)


def _colors(rng, darkest, spread):
    """Return two colors of one hue: the first about as bright as `darkest`, the second brighter."""
    hue = rng.random(3)
    hue = (hue - hue.mean()) * 0.45
    low = rng.uniform(darkest, darkest + 0.08)
    pair = np.stack([low + hue * 0.5, low + spread * rng.uniform(0.8, 1.0) + hue])
    return np.clip(pair, 0.0, 1.0).astype(np.float32)
