"""The page of `keras-mlp3d app` as a Hugging Face Space: this file, requirements.txt and README.md.

The page itself is `keras_mlp3d.app`. A folder `clips` next to this file, such as a copy of
`examples/clips` with its README.md, becomes the examples; without one there are none.
"""

import os
import pathlib

# A Space shows what is served at this address of its container.
HOST, PORT = "0.0.0.0", 7860


def main() -> None:
    """Serve the page until the Space stops."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    from keras_mlp3d import app

    clips = pathlib.Path(__file__).resolve().parent / "clips"
    app.launch(host=HOST, port=PORT, examples=clips if clips.is_dir() else None)


if __name__ == "__main__":
    main()
