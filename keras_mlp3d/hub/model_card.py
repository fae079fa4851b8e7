"""The model card of a preset: its README.md on the Hugging Face Hub.

Everything in it comes from the preset's own files, which may come from anywhere. So every text is
escaped: a label cannot become a table cell, a heading, HTML or YAML.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from keras_mlp3d._utils.printable import printable

_TASKS = {
    "CycleMLP": "image-classification",
    "FrameCycleMLP": "video-classification",
    "MLP3D": "video-classification",
    "TwoPathMLP3D": "video-classification",
    "MLP3DBackbone": "video-classification",
}
_LICENSE_ID = re.compile(r"[a-z0-9][a-z0-9.+-]*")
_FOLD_ABOVE = 30

_UNPRINTABLE = re.compile(
    r"[\x00-\x20\x7f-\xa0\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+"
)
_MARKUP = re.compile(r"[\\`*_\[\]<>|~$&]")
_LINE_START = re.compile(r"^(?:[-+=#]|\d+[.)](?= |$))")

_DATASET_ID = re.compile(r"(?:[A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*", re.ASCII)

_CITATION = """\
```bibtex
@inproceedings{qiu2022mlp3d,
  title     = {{MLP-3D}: A {MLP}-like {3D} Architecture with Grouped Time Mixing},
  author    = {Qiu, Zhaofan and Yao, Ting and Ngo, Chong-Wah and Mei, Tao},
  booktitle = {Proceedings of the IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year      = {2022}
}
```"""


def model_card(
    metadata: Mapping[str, Any],
    config: Mapping[str, Any],
    task: Mapping[str, Any] | None = None,
    converter: Mapping[str, Any] | None = None,
    uri_hint: str | None = None,
) -> str:
    """Writes the model card of a preset.

    A section whose keys are absent is left out. The results are those in the metadata that have a
    value; without one, the card says that the accuracy is unmeasured.

    Args:
        metadata: Content of the preset's `metadata.json`.
        config: Content of its `config.json`.
        task: Content of its `task.json`, or None.
        converter: Content of its `video_converter.json`, or None.
        uri_hint: None, or where the preset will be found, such as "hf://user/repo".

    Returns:
        The text of README.md: YAML front matter, then Markdown.

    Example:

    >>> card = model_card({"class_name": "MLP3D", "parameter_count": 12}, {"config": {}})
    >>> card.splitlines()[:3]
    ['---', 'library_name: keras', 'pipeline_tag: video-classification']
    """
    class_name = metadata.get("class_name")
    if not isinstance(class_name, str) or class_name not in _TASKS:
        class_name = "MLP3D"
    title = f"# {class_name}"
    sections = [
        _front_matter(metadata, class_name) + "\n" + title,
        _paragraphs(metadata.get("description")),
        _usage(metadata, class_name, task, uri_hint),
        _sizes(metadata),
        _clip(metadata, converter),
        _results(metadata),
        _training(metadata),
        *_schedules(config),
        _labels(task),
        _origin(metadata),
        "## Citation\n\n" + _CITATION,
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _front_matter(metadata: Mapping[str, Any], class_name: str) -> str:
    from huggingface_hub import ModelCardData

    fields: dict[str, Any] = {}
    if metadata.get("license"):
        name = _line(metadata["license"])
        if _LICENSE_ID.fullmatch(name.lower()):
            fields["license"] = name.lower()
        else:
            # The Hub refuses names that it does not know, except in this form.
            fields |= {"license": "other", "license_name": name}
    datasets = [name for name in _list(metadata.get("datasets")) if isinstance(name, str)]
    datasets = [name for name in datasets if _DATASET_ID.fullmatch(name)]
    tags = ["cyclemlp"] if class_name in ("CycleMLP", "FrameCycleMLP") else ["mlp-3d"]
    data = ModelCardData(
        library_name="keras",
        pipeline_tag=_TASKS[class_name],
        tags=[*tags, "keras", _TASKS[class_name]],
        datasets=datasets or None,
        **fields,
    )
    return f"---\n{data.to_yaml()}\n---\n"


def _usage(metadata: Mapping[str, Any], class_name: str, task: Any, uri_hint: str | None) -> str:
    architecture = metadata.get("weights") == "none"
    arguments = json.dumps(_line(uri_hint or "path/to/preset"), ensure_ascii=False)
    if architecture:
        arguments += ", load_weights=False"
    lines = ["import keras_mlp3d", "", f"model = keras_mlp3d.{class_name}.from_preset({arguments})"]
    if class_name == "CycleMLP":
        lines.append("logits = model(images)  # (batch, height, width, 3), values from 0 to 255")
    elif task is None:
        lines.append("tokens = model(clips)  # (batch, time, height, width, 3), values 0 to 255")
    elif architecture:
        lines.append("logits = model(clips)  # (batch, time, height, width, 3), values 0 to 255")
    else:
        lines.append('predictions = keras_mlp3d.inference.classify(model, ["video.mp4"])')
    section = "## Use\n\n```python\n" + "\n".join(lines) + "\n```"
    if architecture:
        section += "\n\nThis preset is an architecture without weights: the model starts untrained."
    return section


def _sizes(metadata: Mapping[str, Any]) -> str:
    what = "image" if metadata.get("class_name") == "CycleMLP" else "clip"
    rows = []
    if _is_number(metadata.get("parameter_count")):
        rows.append(("parameters", f"{metadata['parameter_count']:,}"))
    if _is_number(metadata.get("macs")):
        rows.append(
            (f"multiply-accumulates of one {what}", f"{metadata['macs'] / 1e9:.2f} × 10⁹"),
        )
    return "## Size\n\n" + _table(("", ""), rows) if rows else ""


def _clip(metadata: Mapping[str, Any], converter: Any) -> str:
    clip = _dict(metadata.get("clip"))
    settings = _dict(converter)
    settings = _dict(settings.get("config")) or settings
    size = clip.get("size", settings.get("image_size"))
    stated = [
        ("frames", clip.get("frames", settings.get("num_frames"))),
        ("height × width", " × ".join(str(side) for side in _list(size)) or None),
        ("sampling of frames", clip.get("sampling", settings.get("sampling"))),
        ("crop", settings.get("crop")),
    ]
    rows = [(name, _text(value)) for name, value in stated if value is not None]
    return "## Clip\n\n" + _table(("", ""), rows) if rows else ""


def _results(metadata: Mapping[str, Any]) -> str:
    metrics = [_dict(metric) for metric in _list(metadata.get("metrics"))]
    metrics = [metric for metric in metrics if _is_number(metric.get("value"))]
    if not metrics:
        return "## Results\n\nThe accuracy of this preset is unmeasured."
    rows = [
        (
            _text(metric.get("name", "")),
            f"{metric['value']:.6g}",
            _text(metric.get("dataset", "")),
            _text(metric.get("split", "")),
        )
        for metric in metrics
    ]
    commands = [str(metric["command"]) for metric in metrics if metric.get("command")]
    section = "## Results\n\n" + _table(("metric", "value", "data set", "split"), rows)
    for command in dict.fromkeys(commands):
        section += "\n\nMeasured with:\n\n" + _code_block(command)
    return section


def _training(metadata: Mapping[str, Any]) -> str:
    training = metadata.get("training")
    if not training:
        return ""
    if not isinstance(training, dict):
        return "## Training\n\n" + _paragraphs(training)
    parts = ["## Training"]
    parts += [
        f"- {name}: {_text(training[key])}"
        for key, name in (("data", "Data"), ("hardware", "Hardware"))
        if training.get(key)
    ]
    if training.get("command"):
        parts.append("\nTrained with:\n\n" + _code_block(training["command"]))
    return "\n".join([parts[0], "", *parts[1:]])


def _schedules(config: Any) -> Iterator[str]:
    """Yields one section per backbone: its blocks with their kinds of grouped time mixing."""
    for path, backbone in _backbones(_dict(config)):
        pairs = [pair for pair in _list(backbone["schedule"]) if len(_list(pair)) == 2]
        depths = [depth for depth in _list(backbone.get("depths")) if type(depth) is int]
        stages = [""] * len(pairs)
        if sum(depths) == len(pairs) and min(depths, default=0) > 0:  # before any list is made
            stages = [str(stage) for stage, depth in enumerate(depths, 1) for _ in range(depth)]
        rows = [
            (str(block), stage, _text(kind), "all" if size is None else _text(size))
            for block, (stage, (kind, size)) in enumerate(zip(stages, pairs, strict=True), 1)
        ]
        if rows:
            title = "## Schedule" + (f" ({_text(path)} path)" if path else "")
            columns = ("block", "stage", "kind of time mixing", "group size")
            yield title + "\n\n" + _fold(_table(columns, rows), len(rows), "blocks")


def _backbones(
    node: dict[str, Any], path: str = "", depth: int = 0
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields (path of a two-path network or "", dict with a schedule), at up to 8 levels."""
    if "schedule" in node:
        yield path, node
    elif depth < 8:
        for key, value in node.items():
            inner = key if key in ("appearance", "motion") else path
            yield from _backbones(_dict(value), inner, depth + 1)


def _labels(task: Any) -> str:
    settings = _dict(_dict(task).get("config"))
    names = _list(settings.get("class_names"))
    if not names:
        count = settings.get("num_classes")
        return f"## Labels\n\n{count} classes, without names." if _is_number(count) else ""
    rows = [(str(index), _text(name)) for index, name in enumerate(names)]
    return "## Labels\n\n" + _fold(_table(("index", "label"), rows), len(rows), "labels")


def _origin(metadata: Mapping[str, Any]) -> str:
    parts = [
        "## Origin",
        "An implementation in Keras 3 of MLP-3D (Qiu et al., CVPR 2022), whose authors published "
        "no code or weights.",
    ]
    versions = [
        f"{name} {_text(metadata[key])}"
        for name, key in (("keras-mlp3d", "keras_mlp3d_version"), ("Keras", "keras_version"))
        if metadata.get(key)
    ]
    date = f" on {_text(metadata['date_saved'])}" if metadata.get("date_saved") else ""
    if versions:
        parts.append(f"Saved with {' and '.join(versions)}{date}.")
    if metadata.get("source"):
        parts.append(f"Source: {_text(metadata['source'])}")
    if metadata.get("license"):
        parts.append(f"License: {_text(metadata['license'])}")
    return "\n\n".join(parts)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e18


# --- Markdown whose text comes from anywhere and stays text ---------------------------------


def _line(value: Any) -> str:
    """One line of plain text: control characters and line breaks become single spaces."""
    text = str(value).encode("utf-8", "replace").decode()  # no file takes a lone surrogate
    return _UNPRINTABLE.sub(" ", text).strip()


def _text(value: Any) -> str:
    """One line of Markdown that shows exactly the words of `value`, also inside a table."""
    escaped = _MARKUP.sub(r"\\\g<0>", _line(value))
    return _LINE_START.sub(lambda match: f"{match[0][:-1]}\\{match[0][-1]}", escaped)


def _paragraphs(value: Any) -> str:
    """The paragraphs of `value`, each on one line; empty for None."""
    blocks = re.split(r"\n\s*\n", str(value or ""))
    return "\n\n".join(_text(block) for block in blocks if _line(block))


def _code_block(value: Any) -> str:
    """A block of code, fenced by more backticks than it has itself."""
    value = "\n".join(printable(line) for line in str(value).split("\n"))
    longest = max((len(run) for run in re.findall(r"`+", value)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{value}\n{fence}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _fold(markdown: str, count: int, what: str) -> str:
    """Hides a long piece behind a line that says how much there is."""
    if count <= _FOLD_ABOVE:
        return markdown
    return f"<details>\n<summary>{count} {what}</summary>\n\n{markdown}\n\n</details>"
