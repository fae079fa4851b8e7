"""benchmarks/measures.py counts what it says it counts."""

import importlib.util

import pytest


@pytest.fixture(scope="module")
def measures(request):
    path = request.config.rootpath / "benchmarks" / "measures.py"
    spec = importlib.util.spec_from_file_location("measures", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_small_package(measures):
    files = {
        "layers/a.py": "a = 1\n" * 400,
        "models/preset_model.py": "import os\nos.replace(a, b)\n",
        "models/b.py": "if isinstance(n, bool) or not isinstance(n, int) or n < 1:\n    pass\n",
        "data/video/c.py": "import threading\nthreading.Thread(target=f)\n",
        "data/datasets/motion/d.py": "",
        "_utils/checks.py": "def check_integer(name, value): ...\n",
        "_utils/e.py": "print('\\r', end='')\n",
    }
    found = measures.measures({f"keras_mlp3d/{path}": text for path, text in files.items()})
    assert found["network proper, files"] == 1
    assert found["network proper, lines"] == 400
    assert found["layers and models, files"] == 3
    assert found["layers and models, lines of code"] == 404
    assert found["data/video, files"] == 1
    assert found["data/datasets, files"] == 0
    assert found["files with checks of a positive integer"] == 2
    assert found["files with writing beside and renaming"] == 1
    assert found["files with bounded queues of threads"] == 1
    assert found["files with progress bars"] == 1
    assert found["files over 350 lines"] == 1
    assert found["longest file, 1"] == "400 layers/a.py"


def test_lines_of_code(measures):
    text = '"""Module."""\n\n# note\ndef f():\n    """Says\n    it."""\n    return 1  # one\n'
    assert measures.code_lines_of(text) == 2


def test_the_table_of_the_working_tree(measures, capsys):
    measures.main([])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["working", "tree"]
    assert all(line.rstrip() == line for line in lines)
    assert int(lines[1].split()[-1]) > 5


@pytest.mark.parametrize("columns", [1, 2])
def test_a_column_per_revision(measures, columns):
    found = {f"r{k}": {"files": k, "longest file, 1": "9 a.py"} for k in range(columns)}
    assert measures.table(found).splitlines()[1].split() == ["files", *map(str, range(columns))]
