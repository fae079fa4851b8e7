"""`export`, which every network has: formats for programs without Keras."""

from keras_mlp3d._utils.types import StrPath
from keras_mlp3d.export import Exported, export_model
from keras_mlp3d.models.network import Network


class Exportable(Network):
    """A network that can be exported."""

    def export(
        self,
        filepath: StrPath,
        format: str = "tf_saved_model",
        batch: int | None = None,
        frames: int | None = None,
        size: tuple[int, int] | None = None,
        preprocessing: bool = False,
        clips: int = 1,
        crops: int = 1,
        int8: bool = False,
    ) -> Exported:
        """Export the network for programs without Keras: whole and proven, or not at all.

        What was made is run in its own runtime at two shapes and compared with the network. Next to
        the artifact are `NAME.json` (labels, converter, shapes) and `NAME.example.py`, a program
        that runs it.

        Args:
            filepath: New or earlier artifact, ending in .onnx, .xml, .tflite or .pt2; a folder for
                "tf_saved_model".
            format: "tf_saved_model", "onnx", "openvino", "litert" or "torch".
            batch: Inputs per batch. None leaves it open, as all formats can.
            frames: Frames per clip. None leaves it open, as all formats can, or is the number that
                the network was built for. None for `CycleMLP`.
            size: (height, width) in pixels. None leaves it open, or is the size that the network
                was built for.
            preprocessing: Whether the artifact takes the uint8 frames (T, H, W, 3) of one upright
                video, of any number and size, as "frames", samples, resizes and crops them as the
                network's converter does, and returns scores (num_classes,) from 0 to 1 as "scores".
                They add up to 1, except those of a network with `activation="sigmoid"`, which
                scores each class by itself.
            clips: Number of clips per video, with `preprocessing`.
            crops: Number of crops per clip, with `preprocessing`.
            int8: Whether weights become int8, for "onnx" and "litert".

        Returns:
            `export.Exported`, which says what was written.

        Raises:
            ValueError: If an argument is wrong, the backend in use cannot make the format, or the
                network is quantized, has candidates to switch between, or is not of dtype float32.
            ImportError: If a package is missing; the message has the `pip install` line.
            export.ExportError: If the artifact cannot be made, has operators outside the format's
                standard set, is refused by its runtime, or computes something else: differs by
                more than 1e-4 of the logits' spread (0.1 with `int8`).

        Example:

        >>> model = CycleMLP.from_preset("cyclemlp_nano", load_weights=False)
        >>> model.export("model.txt", format="txt")
        Traceback (most recent call last):
        ...
        ValueError: format must be one of 'tf_saved_model', 'onnx', 'openvino', 'litert', \
'torch', got 'txt'.
        """
        return export_model(
            self, filepath, format, batch, frames, size, preprocessing, clips, crops, int8
        )
