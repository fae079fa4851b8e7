"""`keras-mlp3d predict --camera`: scores of what a camera or a stream shows now."""

import argparse
import contextlib

from keras_mlp3d._utils.printable import one_line
from keras_mlp3d.cli.inputs import CLASSIFIERS, asked_converter, load_model
from keras_mlp3d.cli.terminal import BAD_INPUT, SUCCESS, note, print_error, say
from keras_mlp3d.cli.timeline import HOP, WindowRows, class_names_of

_WINDOW = 2.0


def run_stream(options: argparse.Namespace) -> int:
    """Print and write the scores of the newest window, until the stream ends or Ctrl-C."""
    from keras_mlp3d.data import VideoError
    from keras_mlp3d.inference import classify_stream

    with contextlib.closing(WindowRows(options)) as rows:
        camera = int(options.camera) if options.camera.isdecimal() else options.camera
        model, files = load_model(options.preset, CLASSIFIERS)
        windows = classify_stream(
            model,
            camera,
            _WINDOW if options.window is None else options.window,
            HOP if options.hop is None else options.hop,
            asked_converter(model, files, options),
        )
        names = class_names_of(model)
        if options.json:
            note("reading; Ctrl-C ends it")
        else:
            say(f"{one_line(options.camera)}; Ctrl-C ends it")
        try:
            for window in windows:
                rows.add(options.camera, window, names)
        except VideoError as error:
            rows.write({"path": options.camera, "error": str(error)})
            print_error(error)
            return BAD_INPUT
        finally:
            windows.close()
        return SUCCESS
