"""Augmentation pixel by pixel: one frame or clip as nested loops over plain numbers."""

import math

import numpy as np

FILL = (124, 116, 104)


def grey(pixel):
    """(77 R + 150 G + 29 B) / 256, rounded."""
    red, green, blue = map(int, pixel)
    return (77 * red + 150 * green + 29 * blue + 128) // 256


def blend(base, value, factor):
    """base + factor / 64 (value - base), rounded, from 0 to 255."""
    return min(max(base + math.floor((value - base) * factor / 64 + 0.5), 0), 255)


def each_value(clip, function):
    """`function(value, channel)` of every value of a clip."""
    result = np.empty_like(clip)
    for place in np.ndindex(clip.shape):
        result[place] = function(int(clip[place]), place[-1])
    return result


def each_frame(clip, function):
    """`function(frame)` of every frame."""
    return np.stack([function(frame) for frame in clip])


def auto_contrast(clip, _):
    """Each channel's range over the whole clip becomes 0 to 255."""
    lows = [int(clip[..., c].min()) for c in range(3)]
    highs = [int(clip[..., c].max()) for c in range(3)]

    def stretch(value, channel):
        low, high = lows[channel], highs[channel]
        return value if low == high else math.floor((value - low) * 255 / (high - low) + 0.5)

    return each_value(clip, stretch)


def equalize(clip, _):
    """A value becomes the number of smaller ones over a step, from a half step up."""
    tables = []
    for channel in range(3):
        values = sorted(clip[..., channel].ravel().tolist())
        step = (len(values) - values.count(values[-1])) // 255
        table = list(range(256))
        if step:
            for value in range(256):
                smaller = sum(other < value for other in values)
                table[value] = min((smaller + step // 2) // step, 255)
        tables.append(table)
    return each_value(clip, lambda value, channel: tables[channel][value])


def invert(clip, _):
    """255 less the value."""
    return each_value(clip, lambda value, _: 255 - value)


def posterize(clip, bits):
    """The highest bits."""
    step = 2 ** (8 - bits)
    return each_value(clip, lambda value, _: value // step * step)


def solarize(clip, threshold):
    """Bright values inverted."""
    return each_value(clip, lambda value, _: value if value < threshold else 255 - value)


def solarize_add(clip, added):
    """Dark values brightened."""
    return each_value(clip, lambda value, _: min(value + added, 255) if value < 128 else value)


def brightness(clip, factor):
    """Blend with black."""
    return each_value(clip, lambda value, _: blend(0, value, factor))


def contrast(clip, factor):
    """Blend with the clip's mean gray."""
    pixels = clip.reshape(-1, 3)
    total = sum(77 * int(r) + 150 * int(g) + 29 * int(b) for r, g, b in pixels)
    mean = math.floor(total / 256 / len(pixels) + 0.5)
    return each_value(clip, lambda value, _: blend(mean, value, factor))


def color(clip, factor):
    """Blend with the pixel's own gray."""
    result = np.empty_like(clip)
    for place in np.ndindex(clip.shape[:3]):
        result[place] = [blend(grey(clip[place]), int(value), factor) for value in clip[place]]
    return result


def sharpness(clip, factor):
    """Blend with the 3 x 3 mean, middle times five; the rim stays."""

    def frame_of(frame):
        result = frame.copy()
        for row in range(1, frame.shape[0] - 1):
            for column in range(1, frame.shape[1] - 1):
                for channel in range(3):
                    value = int(frame[row, column, channel])
                    around = frame[row - 1 : row + 2, column - 1 : column + 2, channel]
                    smooth = math.floor((int(around.sum()) + 4 * value) / 13 + 0.5)
                    result[row, column, channel] = blend(smooth, value, factor)
        return result

    return each_frame(clip, frame_of)


def warp(clip, source_of):
    """Reads the pixel at (x, y) from the middle at `source_of(x, y)`, bilinearly, 16ths."""
    height, width = clip.shape[1:3]
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2

    def frame_of(frame):
        def pixel(row, column):
            inside = 0 <= row < height and 0 <= column < width
            return frame[row, column].astype(float) if inside else np.array(FILL, float)

        result = np.empty_like(frame)
        for row in range(height):
            for column in range(width):
                x, y = source_of(column - middle_x, row - middle_y)
                x = math.floor((x + middle_x) * 16 + 0.5) / 16
                y = math.floor((y + middle_y) * 16 + 0.5) / 16
                left, top = math.floor(x), math.floor(y)
                right_part, low_part = x - left, y - top
                value = (
                    (1 - low_part) * (1 - right_part) * pixel(top, left)
                    + (1 - low_part) * right_part * pixel(top, left + 1)
                    + low_part * (1 - right_part) * pixel(top + 1, left)
                    + low_part * right_part * pixel(top + 1, left + 1)
                )
                result[row, column] = np.floor(value + 0.5)
        return result

    return each_frame(clip, frame_of)


def rotate(clip, degrees):
    """Turned counter-clockwise about the middle."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return warp(clip, lambda x, y: (cos * x - sin * y, sin * x + cos * y))


def shear_x(clip, factor):
    """Rows moved by their height."""
    return warp(clip, lambda x, y: (x + factor * y, y))


def shear_y(clip, factor):
    """Columns moved by their place."""
    return warp(clip, lambda x, y: (x, factor * x + y))


def translate_x(clip, part):
    """Moved sideways by whole pixels."""
    pixels = math.floor(part * clip.shape[2] + 0.5)
    return warp(clip, lambda x, y: (x + pixels, y))


def translate_y(clip, part):
    """Moved up or down by whole pixels."""
    pixels = math.floor(part * clip.shape[1] + 0.5)
    return warp(clip, lambda x, y: (x, y + pixels))


def mirror(clip):
    """Column w - 1 - x at column x."""
    result = np.empty_like(clip)
    for t, row, column in np.ndindex(clip.shape[:3]):
        result[t, row, column] = clip[t, row, clip.shape[2] - 1 - column]
    return result


def resize(frame, height, width):
    """Triangle filter as wide as the reduction, first down the columns, then along the rows."""

    def weights(old, new):
        matrix, scale = np.zeros((new, old)), max(old / new, 1.0)
        for i in range(new):
            middle = (i + 0.5) * old / new - 0.5
            for place in range(-old, 2 * old):
                weight = max(1 - abs(place - middle) / scale, 0)
                matrix[i, min(max(place, 0), old - 1)] += weight
        return matrix / matrix.sum(axis=1, keepdims=True)

    down, along = weights(frame.shape[0], height), weights(frame.shape[1], width)
    return np.einsum("ij,jkc,lk->ilc", down, frame.astype(float), along)


def mix(clip, partner, share):
    """share / 256 of a clip and the rest of its partner, rounded."""
    result = np.empty_like(clip)
    for place in np.ndindex(clip.shape):
        value = (share * int(clip[place]) + (256 - share) * int(partner[place])) / 256
        result[place] = math.floor(value + 0.5)
    return result


def at_speed(clip, speed, drawn):
    """The clip at a speed, begun at the moment that a number in [0, 1) says; and that moment."""
    frames = len(clip)
    begin = drawn * (frames - frames * speed)
    shown = []
    for place in range(frames):
        moment = math.floor(begin + (place + 0.5) * speed)
        shown.append(clip[min(max(moment, 0), frames - 1)])
    return np.stack(shown), begin
