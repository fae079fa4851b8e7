"""`python -m keras_mlp3d`: the same as the command `keras-mlp3d`."""

import sys

from keras_mlp3d.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
