"""The model card: it says what the preset's files say, and nothing in them can break it."""

import re

import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard

from keras_mlp3d.hub.model_card import model_card, with_address

METADATA = {
    "keras_mlp3d_version": "0.1.0",
    "keras_version": "3.15.0",
    "class_name": "MLP3D",
    "parameter_count": 1234567,
    "date_saved": "2025-01-02",
    "description": "A small network.\n\nIts second paragraph.",
    "macs": 11_500_000_000,
    "clip": {"frames": 64, "size": [128, 160], "sampling": "uniform"},
    "weights": "bundled",
    "sha256": {},
    "metrics": [
        {
            "name": "top-1 accuracy",
            "value": 0.9125,
            "dataset": "motion_shapes",
            "split": "validation",
            "command": "keras-mlp3d evaluate --preset x",
        }
    ],
    "training": {"command": "keras-mlp3d train r.json", "data": "generated", "hardware": "1 CPU"},
    "license": "Apache-2.0",
    "source": "trained from scratch",
}
CONFIG = {
    "registered_name": "keras_mlp3d>MLP3DBackbone",
    "config": {
        "depths": [1, 2],
        "schedule": [["short_range", 4], ["shift_token", 2], ["full", None]],
    },
}
TASK = {"registered_name": "keras_mlp3d>MLP3D", "config": {"class_names": ["left", "right"]}}
CONVERTER = {"config": {"num_frames": 8, "image_size": [32, 32], "crop": "center"}}
HOSTILE = [
    "a | b",
    "line\n---\nlicense: mit\n---\n# heading",
    "```\n# out of the fence\n````",
    "<script>alert(1)</script></details>",
    "[text](javascript:x) ![x](y)",
    "- item",
    "# heading",
    "1. item",
    "key: {value: [1",
    "\\",
    "\u2028\u202ebidi\r\x00",
    "\ud800",
    "*bold* _it_ ~s~ $m$ &amp;",
]


def front_matter(card):
    match = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    return yaml.safe_load(match[1]), card[match.end() :]


def section(card, title):
    return card.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def rows(text):
    """The cells of the first table, its header and rule left out; escaped pipes are no borders."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def test_front_matter():
    header, _ = front_matter(model_card(METADATA, CONFIG, TASK, CONVERTER))
    assert header == {
        "library_name": "keras",
        "license": "apache-2.0",
        "pipeline_tag": "video-classification",
        "tags": ["mlp-3d", "keras", "video-classification"],
        "model-index": [
            {
                "name": "MLP3D",
                "results": [
                    {
                        "task": {"type": "video-classification"},
                        "dataset": {
                            "name": "motion_shapes",
                            "type": "motion_shapes",
                            "split": "validation",
                        },
                        "metrics": [
                            {"name": "top-1 accuracy", "type": "accuracy", "value": 0.9125}
                        ],
                    }
                ],
            }
        ],
    }


def test_the_hub_reads_the_metrics():
    metrics = [
        *METADATA["metrics"],
        {"name": "top-5 accuracy", "value": 0.99, "dataset": "my own videos"},
        {"value": 1},
        {"name": "unmeasured", "value": None},
    ]
    card = ModelCard(model_card(METADATA | {"metrics": metrics}, CONFIG, TASK, CONVERTER))
    assert [
        (r.metric_type, r.metric_value, r.dataset_type, r.dataset_name, r.dataset_split)
        for r in card.data.eval_results
    ] == [
        ("accuracy", 0.9125, "motion_shapes", "motion_shapes", "validation"),
        ("top-5-accuracy", 0.99, "my-own-videos", "my own videos", None),
        ("other", 1, "other", "unnamed", None),
    ]
    assert card.data.model_name == "MLP3D"
    assert ModelCard(model_card(METADATA | {"metrics": []}, CONFIG)).data.eval_results is None


@pytest.mark.parametrize(
    "value", [np.float64(0.25), np.float32(0.25), np.array(0.25), np.float16(0.25)]
)
def test_numbers_of_numpy_are_plain_in_yaml(value):
    metadata = METADATA | {"metrics": [METADATA["metrics"][0] | {"value": value}]}
    card = model_card(metadata | {"parameter_count": np.int64(1234567)}, CONFIG, TASK)
    assert ModelCard(card).data.eval_results[0].metric_value == 0.25
    assert rows(section(card, "Results"))[0][1] == "0.25"
    assert rows(section(card, "Size"))[0] == ["parameters", "1,234,567"]


def test_another_address():
    card = model_card(METADATA, CONFIG, TASK, CONVERTER, 'a "quoted\\" folder')
    moved = with_address(card, "hf://someone/net")
    assert moved == model_card(METADATA, CONFIG, TASK, CONVERTER, "hf://someone/net")
    assert with_address("no snippet", "hf://someone/net") == "no snippet"


@pytest.mark.parametrize(
    ("license_text", "expected"),
    [
        (None, {}),
        ("MIT", {"license": "mit"}),
        ("Only for research", {"license": "other", "license_name": "Only for research"}),
        ("x\n---\ny: 1", {"license": "other", "license_name": "x --- y: 1"}),
    ],
)
def test_license(license_text, expected):
    header, _ = front_matter(model_card({"license": license_text}, CONFIG))
    found = {key: value for key, value in header.items() if key.startswith("license")}
    assert found == expected


def test_datasets_are_names_of_the_hub_only():
    names = ["user/kinetics-400", "a b", "x\ny: 1", "../x/y", 7, "ucf101"]
    header, _ = front_matter(model_card(METADATA | {"datasets": names}, CONFIG))
    assert header["datasets"] == ["user/kinetics-400", "ucf101"]


def test_everything_is_told():
    card = model_card(METADATA, CONFIG, TASK, CONVERTER, "hf://someone/net")
    assert "A small network.\n\nIts second paragraph." in card
    assert 'keras_mlp3d.MLP3D.from_preset("hf://someone/net")' in section(card, "Use")
    assert "keras_mlp3d.inference.classify(" in section(card, "Use")
    assert rows(section(card, "Size")) == [
        ["parameters", "1,234,567"],
        ["multiply-accumulates of one clip", "11.50 × 10⁹"],
    ]
    assert rows(section(card, "Clip")) == [
        ["frames", "64"],
        ["height × width", "128 × 160"],
        ["sampling of frames", "uniform"],
        ["crop", "center"],
    ]
    assert rows(section(card, "Schedule")) == [
        ["1", "1", r"short\_range", "4"],
        ["2", "2", r"shift\_token", "2"],
        ["3", "2", "full", "all"],
    ]
    assert rows(section(card, "Labels")) == [["0", "left"], ["1", "right"]]
    for part in ("1 CPU", "generated", "keras-mlp3d train r.json"):
        assert part in section(card, "Training")
    for part in ("0.1.0", "3.15.0", "2025-01-02", "trained from scratch", "Apache-2.0"):
        assert part in section(card, "Origin")
    assert "Qiu, Zhaofan and Yao, Ting and Ngo, Chong-Wah and Mei, Tao" in section(card, "Citation")


def test_results_only_where_measured():
    card = model_card(METADATA, CONFIG, TASK)
    assert rows(section(card, "Results")) == [
        ["top-1 accuracy", "0.9125", r"motion\_shapes", "validation"]
    ]
    assert "keras-mlp3d evaluate --preset x" in section(card, "Results")
    assert "unmeasured" not in card
    no_values = [[{"name": "top-1", "value": v}] for v in (float("nan"), "0.9", None, True)]
    for metrics in ([], None, "0.9", *no_values):
        results = section(model_card(METADATA | {"metrics": metrics}, CONFIG, TASK), "Results")
        assert "unmeasured" in results
        assert not rows(results)


def card_of(label):
    """A card with this text wherever a text of the preset's files goes."""
    metric = {"name": label, "value": 1.0, "dataset": label, "split": label, "command": "c"}
    metadata = METADATA | {
        "keras_version": label,
        "date_saved": label,
        "description": label,
        "clip": {"frames": 8, "sampling": label},
        "metrics": [metric],
        "training": {"data": label, "hardware": label},
        "source": label,
    }
    config = {"config": {"depths": [1], "schedule": [[label, label]]}}
    task = {"config": {"class_names": [label, "right"]}}
    return model_card(metadata, config, task, {"crop": label}, label)


CODE = re.compile(r"^(`{3,})[a-z]*\n(.*?)\n\1$", re.DOTALL | re.MULTILINE)


def structure(card):
    """Of each line outside of code: what makes it a block, and its markup that is not escaped."""
    found, card = [], front_matter(card)[1]
    for line in CODE.sub("code", card).split("\n"):
        block = re.match(r"#+ |\||[-+*] |\d+[.)] |[-=]{3,}|", line)[0]
        found.append((block, re.findall(r"[`*_<>|~$&\[\]]", re.sub(r"\\.", "", line))))
    return found


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_stays_text(hostile):
    card = card_of(hostile)
    assert card.encode().decode() == card
    assert structure(card) == structure(card_of("plain"))
    header, plain = front_matter(card)[0], front_matter(card_of("plain"))[0]
    [index], [plain_index] = header.pop("model-index"), plain.pop("model-index")
    assert header == plain
    assert index["name"] == plain_index["name"]
    [result], [plain_result] = index["results"], plain_index["results"]
    for part in ("task", "dataset"):
        assert result[part].keys() == plain_result[part].keys()
    assert re.fullmatch(r"[\w./-]+", result["dataset"]["type"])
    assert re.fullmatch(r"[\w./-]+", result["metrics"][0]["type"])
    assert result["metrics"][0]["value"] == 1.0
    snippet = CODE.search(card)[2]
    assert len(snippet.splitlines()) == 4
    compile(snippet, "snippet", "exec")


def test_label_is_shown_as_it_is():
    card = model_card(METADATA, CONFIG, {"config": {"class_names": ["a | b\\", "<b>*x_`y"]}})
    assert rows(section(card, "Labels")) == [["0", r"a \| b\\"], ["1", r"\<b\>\*x\_\`y"]]


def test_command_cannot_leave_its_block():
    metadata = METADATA | {"training": {"command": "x\n```\n# out\n````\ny"}}
    training = section(model_card(metadata, CONFIG), "Training")
    assert "`````text\nx\n```\n# out\n````\ny\n`````" in training


def test_many_labels_are_folded():
    def labels(count):
        task = {"config": {"class_names": [f"label {index}" for index in range(count)]}}
        return section(model_card(METADATA, CONFIG, task), "Labels")

    assert "<details>" not in labels(30)
    assert "<details>\n<summary>31 labels</summary>\n\n|" in labels(31)
    assert rows(labels(31))[-1] == ["30", "label 30"]


def test_labels_without_names():
    card = model_card(METADATA, CONFIG, {"config": {"num_classes": 174, "class_names": None}})
    assert "174 classes" in section(card, "Labels")
    assert "## Labels" not in model_card(METADATA, CONFIG)


def test_architecture_says_that_it_has_no_weights():
    card = model_card(METADATA | {"weights": "none", "metrics": []}, CONFIG, TASK)
    assert "load_weights=False" in section(card, "Use")
    assert "without weights" in section(card, "Use")
    assert "classify" not in section(card, "Use")


@pytest.mark.parametrize(
    ("class_name", "example", "made"),
    [
        ("MLP3DBackbone", (1, 16, 64, 64, 3), 'clips = np.zeros((1, 16, 64, 64, 3), "uint8")'),
        ("TwoPathMLP3D", None, 'clips = np.zeros((1, 64, 128, 160, 3), "uint8")'),
        ("CycleMLP", None, 'images = np.zeros((1, 128, 160, 3), "uint8")'),
    ],
)
def test_a_snippet_makes_its_input(class_name, example, made):
    card = model_card(METADATA | {"class_name": class_name}, CONFIG, example=example)
    assert made in section(card, "Use")
    assert "`import keras_mlp3d` before Keras loads the file" in section(card, "Use")


def test_two_paths_have_two_schedules():
    def path(kind):
        backbone = {"config": {"depths": [1], "schedule": [[kind, 2]]}}
        return {"registered_name": "MLP3D", "config": {"backbone": backbone}}

    config = {"config": {"appearance": path("short_range"), "motion": path("long_range")}}
    card = model_card(METADATA | {"class_name": "TwoPathMLP3D"}, config, TASK)
    assert rows(section(card, "Schedule (appearance path)")) == [["1", "1", r"short\_range", "2"]]
    assert rows(section(card, "Schedule (motion path)")) == [["1", "1", r"long\_range", "2"]]


def test_images_for_the_two_dimensional_network():
    card = model_card(METADATA | {"class_name": "CycleMLP", "clip": None}, {"config": {}})
    header, body = front_matter(card)
    assert header["pipeline_tag"] == "image-classification"
    assert header["tags"] == ["cyclemlp", "keras", "image-classification"]
    assert "keras_mlp3d.CycleMLP.from_preset(" in body
    assert "of one image" in body
    assert "## Schedule" not in body


def test_absent_and_wrong_keys():
    assert "unmeasured" in model_card({}, {})
    wrong = {key: ["wrong", {"a": 1}] for key in METADATA}
    card = model_card(wrong, {"config": {"schedule": ["x", 3, [1]]}}, {"config": 3}, {"config": []})
    assert "unmeasured" in card
    assert "## Size" not in card
    assert "## Schedule" not in card


def test_depths_of_any_size_cost_nothing():
    config = {"config": {"depths": [10**12, 1], "schedule": [["short_range", 2]]}}
    assert rows(section(model_card(METADATA, config), "Schedule")) == [
        ["1", "", r"short\_range", "2"]
    ]


def test_what_others_state_is_theirs_and_no_result():
    entry = {"name": "top-1", "value": 0.5, "dataset": "a|b", "by": "*them*\n# x"}
    broken = [3, {"by": "me"}, {"value": "0.9", "by": "me"}]
    metadata = METADATA | {"metrics": [], "reported": [entry, *broken]}
    metadata |= {"notice": "Copyright\n```\n\x1b[31m", "citation": "@misc{one}"}
    card = model_card(metadata, CONFIG, TASK, CONVERTER)
    results = section(card, "Results")
    assert results.strip().startswith("The accuracy of this preset is unmeasured.")
    assert results.count("Reported by") == 1
    assert "\\*them\\* # x, not measured here: top-1 0.5 on a\\|b." in results
    assert "model-index" not in card
    assert "\x1b" not in card
    assert "````text\nCopyright\n```\n" in section(card, "Origin")
    assert section(card, "Citation").count("```bibtex\n") == 2
