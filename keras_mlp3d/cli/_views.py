"""The options that say which views of a video are looked at."""

import dataclasses

from keras_mlp3d.cli.common import image_size, positive

#: A network on single images sees that many frames of a video, unless told otherwise.
_IMAGE_FRAMES, _IMAGE_SIZE = 16, (224, 224)


def add_view_options(parser, crops):
    """Adds --clips, --crops, --batch-size, --frames and --size.

    Args:
        parser: The command's.
        crops: Default of --crops.
    """
    parser.add_argument(
        "--clips", type=positive, default=1, metavar="N", help="clips a video; default: 1"
    )
    parser.add_argument(
        "--crops", type=positive, default=crops, metavar="N", help=f"crops a clip; default: {crops}"
    )
    parser.add_argument(
        "--batch-size", type=positive, default=8, metavar="N", help="views at once; default: 8"
    )
    parser.add_argument(
        "--frames", type=positive, metavar="N", help="frames of a clip; default: the preset's"
    )
    parser.add_argument(
        "--size", type=image_size, metavar="N|HxW", help="pixels of a clip; default: the preset's"
    )


def asked_converter(model, files, options):
    """Returns what makes the clips: the preset's converter, changed as the options ask."""
    from keras_mlp3d.data import VideoConverter

    asked = {"num_frames": options.frames, "image_size": options.size}
    asked = {name: value for name, value in asked.items() if value is not None}
    converter = getattr(model, "converter", None)
    if converter is not None:
        if "image_size" in asked:
            asked["resize"] = None
        return dataclasses.replace(converter, **asked)
    if files.class_name == "CycleMLP":
        return dataclasses.replace(image_converter(files), **asked)
    if len(asked) < 2:
        raise ValueError(
            f"The preset {files.handle!r} does not say how a video becomes a clip: pass --frames "
            "and --size."
        )
    return VideoConverter(**asked)


def image_converter(files):
    """Returns what makes clips for a network on single images, frame by frame.

    Args:
        files: The preset of a `CycleMLP`.
    """
    from keras_mlp3d.data import VideoConverter

    return VideoConverter(_IMAGE_FRAMES, tuple(files.metadata.get("image_size") or _IMAGE_SIZE))
