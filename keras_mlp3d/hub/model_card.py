"""The model card of a preset: its README.md on the Hugging Face Hub.

Everything in it comes from the preset's own files, and these may come from anywhere: whatever is
put into the text is escaped, so that a label cannot become a table cell, a heading, HTML or YAML.
"""

import json
import re

from keras_mlp3d.hub.markdown import code_block, fold, line, paragraphs, table, text

_TASKS = {
    "CycleMLP": "image-classification",
    "FrameCycleMLP": "video-classification",
    "MLP3D": "video-classification",
    "TwoPathMLP3D": "video-classification",
    "MLP3DBackbone": "video-classification",
}
_LICENSE_ID = re.compile(r"[a-z0-9][a-z0-9.+-]*")
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


def model_card(metadata, config, task=None, converter=None, uri_hint=None):
    """Writes the model card of a preset.

    Absent keys shorten the card. Results stand in it only where the metadata has them with a value;
    otherwise it says that the accuracy is unmeasured.

    Args:
        metadata: dict, the preset's `metadata.json`.
        config: dict, its `config.json`.
        task: dict or None, its `task.json`.
        converter: dict or None, its `video_converter.json`.
        uri_hint: str or None, where the preset will be found, such as `"hf://user/repo"`.

    Returns:
        str, the text of README.md: YAML front matter, then Markdown.

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
        paragraphs(metadata.get("description")),
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


def _front_matter(metadata, class_name):
    from huggingface_hub import ModelCardData

    fields = {}
    if metadata.get("license"):
        name = line(metadata["license"])
        if _LICENSE_ID.fullmatch(name.lower()):
            fields["license"] = name.lower()
        else:
            # The Hub refuses names that it does not know, but for this way.
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


def _usage(metadata, class_name, task, uri_hint):
    architecture = metadata.get("weights") == "none"
    arguments = json.dumps(line(uri_hint or "path/to/preset"), ensure_ascii=False)
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


def _sizes(metadata):
    what = "image" if metadata.get("class_name") == "CycleMLP" else "clip"
    rows = []
    if _is_number(metadata.get("parameter_count")):
        rows.append(("parameters", f"{metadata['parameter_count']:,}"))
    if _is_number(metadata.get("macs")):
        rows.append(
            (f"multiply-accumulates of one {what}", f"{metadata['macs'] / 1e9:.2f} × 10⁹"),
        )
    return rows and "## Size\n\n" + table(("", ""), rows)


def _clip(metadata, converter):
    clip = _dict(metadata.get("clip"))
    settings = _dict(converter)
    settings = _dict(settings.get("config")) or settings
    size = clip.get("size", settings.get("image_size"))
    rows = [
        ("frames", clip.get("frames", settings.get("num_frames"))),
        ("height × width", " × ".join(str(side) for side in _list(size)) or None),
        ("sampling of frames", clip.get("sampling", settings.get("sampling"))),
        ("crop", settings.get("crop")),
    ]
    rows = [(name, text(value)) for name, value in rows if value is not None]
    return rows and "## Clip\n\n" + table(("", ""), rows)


def _results(metadata):
    metrics = [_dict(metric) for metric in _list(metadata.get("metrics"))]
    metrics = [metric for metric in metrics if _is_number(metric.get("value"))]
    if not metrics:
        return "## Results\n\nThe accuracy of this preset is unmeasured."
    rows = [
        (
            text(metric.get("name", "")),
            f"{metric['value']:.6g}",
            text(metric.get("dataset", "")),
            text(metric.get("split", "")),
        )
        for metric in metrics
    ]
    commands = [str(metric["command"]) for metric in metrics if metric.get("command")]
    section = "## Results\n\n" + table(("metric", "value", "data set", "split"), rows)
    for command in dict.fromkeys(commands):
        section += "\n\nMeasured with:\n\n" + code_block(command)
    return section


def _training(metadata):
    training = metadata.get("training")
    if not training:
        return ""
    if not isinstance(training, dict):
        return "## Training\n\n" + paragraphs(training)
    parts = ["## Training"]
    parts += [
        f"- {name}: {text(training[key])}"
        for key, name in (("data", "Data"), ("hardware", "Hardware"))
        if training.get(key)
    ]
    if training.get("command"):
        parts.append("\nTrained with:\n\n" + code_block(training["command"]))
    return "\n".join([parts[0], "", *parts[1:]])


def _schedules(config):
    """Yields one section a backbone: its blocks with their kinds of grouped time mixing."""
    for path, backbone in _backbones(_dict(config)):
        pairs = [pair for pair in _list(backbone["schedule"]) if len(_list(pair)) == 2]
        depths = [depth for depth in _list(backbone.get("depths")) if type(depth) is int]
        stages = [stage for stage, depth in enumerate(depths, 1) for _ in range(depth)]
        if len(stages) != len(pairs):
            stages = [""] * len(pairs)
        rows = [
            (str(block), str(stage), text(kind), "all" if size is None else text(size))
            for block, (stage, (kind, size)) in enumerate(zip(stages, pairs, strict=True), 1)
        ]
        if rows:
            title = "## Schedule" + (f" ({text(path)} path)" if path else "")
            columns = ("block", "stage", "kind of time mixing", "group size")
            yield title + "\n\n" + fold(table(columns, rows), len(rows), "blocks")


def _backbones(node, path="", depth=0):
    """Yields (path of a two-path network or "", dict with a schedule), however deep it lies."""
    if "schedule" in node:
        yield path, node
    elif depth < 8:
        for key, value in node.items():
            inner = key if key in ("appearance", "motion") else path
            yield from _backbones(_dict(value), inner, depth + 1)


def _labels(task):
    settings = _dict(_dict(task).get("config"))
    names = _list(settings.get("class_names"))
    if not names:
        count = settings.get("num_classes")
        return f"## Labels\n\n{count} classes, without names." if _is_number(count) else ""
    rows = [(str(index), text(name)) for index, name in enumerate(names)]
    return "## Labels\n\n" + fold(table(("index", "label"), rows), len(rows), "labels")


def _origin(metadata):
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
    return "\n\n".join(parts)


def _dict(value):
    return value if isinstance(value, dict) else {}


def _list(value):
    return list(value) if isinstance(value, (list, tuple)) else []


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e18
