"""A preset's video converter, made from the arguments that the preset holds."""


def make_converter(config):
    """Returns the `VideoConverter` of a preset.

    Args:
        config: Arguments of the converter, from `video_converter.json`.

    Raises:
        ValueError: If an argument is unknown or wrong.

    Example:

    >>> make_converter({"num_frames": 16, "image_size": [64, 64]}).num_frames
    16
    """
    # Not imported with the package: a network needs no video decoder.
    from keras_mlp3d.data.video.converter import VideoConverter

    return VideoConverter.from_config(config)
