"""Prints what each backend can export, as the Markdown table of docs/export.md.

    python benchmarks/export_matrix.py [PRESET]

Each backend runs in a process of its own. Per cell: version, open axes, largest difference as a
part of the logits' spread, size and processor seconds; or the sentence of refusal.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

BACKENDS = ("tensorflow", "jax", "torch")
DEFAULT = "mlp3d_nano_motion_shapes"


def cell(model, path, format, options):
    """Return the columns of one export, or one column with the sentence of refusal."""
    start = time.process_time()
    try:
        exported = model.export(path, format, **options)
    except (ValueError, RuntimeError) as error:
        return str(error)
    return " | ".join(
        (
            exported.version,
            ", ".join(exported.open_axes) or "none",
            f"{exported.largest_difference:.1e}",
            f"{exported.size / 1e6:.2f} MB",
            f"{time.process_time() - start:.0f} s",
        )
    )


def rows_of_backend(preset):
    """Print the rows of the backend in use."""
    import keras_mlp3d as km
    from keras_mlp3d.export import FORMATS, INT8_FORMATS, formats

    import keras

    model = km.MLP3D.from_preset(preset)
    backend = keras.backend.backend()
    with tempfile.TemporaryDirectory() as folder:
        for format, ending in FORMATS.items():
            kinds = {"": {}}
            if format in formats():
                kinds[" with preprocessing"] = {"preprocessing": True}
                if format in INT8_FORMATS:
                    frames, size = model.converter.num_frames, model.converter.image_size
                    kinds[" int8"] = {"int8": True, "frames": frames, "size": size}
            for kind, options in kinds.items():
                path = pathlib.Path(folder) / f"model{kind.replace(' ', '_')}{ending}"
                print(
                    f"| {backend} | {format}{kind} | {cell(model, path, format, options)} |",
                    flush=True,
                )


def main():
    """Run itself once per backend."""
    preset = sys.argv[1] if len(sys.argv) > 1 else DEFAULT
    if "KERAS_BACKEND" in os.environ:
        rows_of_backend(preset)
        return
    print("| backend | format | version | open axes | difference | size | time |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for backend in BACKENDS:
        environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        subprocess.run([sys.executable, __file__, preset], env=environment, check=True)


if __name__ == "__main__":
    main()
