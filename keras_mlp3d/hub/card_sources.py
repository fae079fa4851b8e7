"""The end of a model card: where the weights come from, their license, what to cite."""

from collections.abc import Mapping
from typing import Any

from keras_mlp3d.hub.markdown import code_block, text

_CITATION = """\
@inproceedings{qiu2022mlp3d,
  title     = {{MLP-3D}: A {MLP}-like {3D} Architecture with Grouped Time Mixing},
  author    = {Qiu, Zhaofan and Yao, Ting and Ngo, Chong-Wah and Mei, Tao},
  booktitle = {Proceedings of the IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year      = {2022}
}"""


def origin(metadata: Mapping[str, Any]) -> str:
    """Return the section on where the weights come from and under which license."""
    parts = [
        "## Origin",
        "An implementation in Keras 3 of MLP-3D (Qiu et al., CVPR 2022), whose authors published "
        "no code or weights.",
    ]
    versions = [
        f"{name} {text(metadata[key])}"
        for name, key in (("keras-mlp3d", "keras_mlp3d_version"), ("Keras", "keras_version"))
        if metadata.get(key)
    ]
    date = f" on {text(metadata['date_saved'])}" if metadata.get("date_saved") else ""
    if versions:
        parts.append(f"Saved with {' and '.join(versions)}{date}.")
    if metadata.get("source"):
        parts.append(f"Source: {text(metadata['source'])}")
    if metadata.get("license"):
        parts.append(f"License: {text(metadata['license'])}")
    if metadata.get("notice"):
        parts.append("The weights are under this license:\n\n" + code_block(metadata["notice"]))
    return "\n\n".join(parts)


def citation(metadata: Mapping[str, Any]) -> str:
    """Return the section with the papers to cite."""
    cited = [_CITATION, *filter(None, [metadata.get("citation")])]
    return "\n\n".join(["## Citation", *(code_block(entry, "bibtex") for entry in cited)])
