"""Imports run one way: every file's, those inside functions too, against the table of rooms."""

import ast
import os
import pathlib
import subprocess
import sys

import keras
import pytest

PACKAGE = pathlib.Path(__file__).resolve().parent.parent / "keras_mlp3d"

#: Package -> what it may import of the others; "data.video.converter" is that module alone.
ALLOWED = {
    "_utils": set(),
    "ops": set(),
    "layers": {"ops"},
    "hub": {"data.video.converter", "version", "_utils"},
    "models": {"layers", "ops", "hub", "version", "_utils"},
    "cost": {"models", "layers", "ops", "_utils"},
    "conversion": {"models", "layers", "ops", "_utils"},
    "data": {"_utils"},
    "inference": {"models", "hub", "data", "_utils"},
    "training": {"models", "hub", "data", "inference", "layers", "version", "_utils"},
    "plots": {"_utils"},
    "search": {
        *("models", "layers", "ops", "cost", "training", "inference", "data", "hub", "_utils")
    },
}
#: The same within `data`: from a file to frames, from a folder to rows, from rows to batches.
ALLOWED_IN_DATA = {
    "video": set(),
    "augment": {"video"},
    "datasets": {"video"},
    "loading": {"video", "augment", "datasets"},
}
#: Rooms that may import what they like; nothing imports them.
TOPS = {"cli"}
#: Other libraries that a room may import, beside the standard library.
LIBRARIES = {
    "ops": {"keras", "numpy"},
    "layers": {"keras", "numpy"},
    "models": {"keras", "numpy"},
    "cost": {"keras", "numpy"},
    "conversion": {"keras", "numpy", "torch", "safetensors", "ml_dtypes"},
    "_utils": {"keras", "tensorflow"},
    "data": {"keras", "numpy", "av", "tensorflow", "tensorflow_io", "google_crc32c"},
    "hub": {"keras", "numpy", "h5py", "huggingface_hub"},
    "inference": {"keras", "numpy"},
    "training": {"jax", "keras", "numpy", "tensorflow", "torch", "tensorboard"},
    "plots": {"numpy", "matplotlib"},
    "search": {"keras", "numpy"},
    "cli": {"keras", "numpy", "matplotlib"},
}
#: The one file for one backend: it is imported late itself.
BACKEND_FILE = PACKAGE / "ops" / "_torch.py"
#: Imported inside a function alone, as only some users have them or need them.
LATE = {
    *("torch", "safetensors", "ml_dtypes", "h5py", "matplotlib", "tensorboard", "tensorflow"),
    *("jax", "tensorflow_io", "google_crc32c"),
}


def source_files():
    return sorted(PACKAGE.rglob("*.py"))


def room_of(path):
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ""


def imports_of(path):
    """[(module in full, line, whether it stands inside a function)] of a file."""
    found = []

    def visit(node, inside):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                found.extend((alias.name, child.lineno, inside) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path}:{child.lineno}: a relative import"
                found.extend(_from_imports(child, inside))
            elif _is_dynamic_import(child):
                name = child.args[0]
                literal = name.value if isinstance(name, ast.Constant) else ast.unparse(name)
                found.append((literal, child.lineno, inside))
            function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            visit(child, inside or function)

    visit(ast.parse(path.read_text(encoding="utf-8")), False)
    return found


def _from_imports(node, inside):
    for alias in node.names:
        full = f"{node.module}.{alias.name}"
        module = PACKAGE.parent.joinpath(*full.split("."))
        is_module = module.with_suffix(".py").is_file() or module.is_dir()
        yield (full if is_module else node.module), node.lineno, inside


def _is_dynamic_import(node):
    return (
        isinstance(node, ast.Call)
        and bool(node.args)
        and ast.unparse(node.func) in ("importlib.import_module", "import_module", "__import__")
    )


def test_every_room_is_in_the_table():
    rooms = {room_of(path) for path in source_files()} - {""}
    assert rooms == set(ALLOWED) | TOPS


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_rooms_import_what_the_table_allows(room):
    wrong = []
    for path in source_files():
        if room_of(path) != room:
            continue
        for module, line, _ in imports_of(path):
            if module.split(".")[0] != PACKAGE.name:
                continue
            target = module.removeprefix(PACKAGE.name).lstrip(".")
            allowed = ALLOWED[room] | {room}
            if not any(target == name or target.startswith(name + ".") for name in allowed):
                wrong.append(f"{path.relative_to(PACKAGE)}:{line} imports {module}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("room", sorted(ALLOWED_IN_DATA))
def test_packages_of_data_import_one_way(room):
    wrong, prefix = [], f"{PACKAGE.name}.data."
    for path in sorted((PACKAGE / "data" / room).rglob("*.py")):
        for module, line, _ in imports_of(path):
            target = module.removeprefix(prefix).split(".")[0]
            allowed = not module.startswith(prefix) or target in ALLOWED_IN_DATA[room] | {room}
            # `keras_mlp3d.data` imports them all: taking a name from it would go in a circle.
            if not allowed or module == f"{PACKAGE.name}.data":
                wrong.append(f"{path.relative_to(PACKAGE)}:{line} imports {module}")
    assert not wrong, "\n".join(wrong)


def test_data_has_four_packages_of_at_most_16_files():
    packages = {path.name for path in (PACKAGE / "data").iterdir() if path.is_dir()}
    assert packages - {"__pycache__"} == set(ALLOWED_IN_DATA)
    assert [path.name for path in (PACKAGE / "data").glob("*.py")] == ["__init__.py"]
    for name in ALLOWED_IN_DATA:
        assert len(list((PACKAGE / "data" / name).glob("*.py"))) <= 16, name


@pytest.mark.parametrize("room", sorted(LIBRARIES))
def test_rooms_import_the_libraries_of_the_table(room):
    wrong = []
    for path in source_files():
        if room_of(path) != room or path == BACKEND_FILE:
            continue
        for module, line, inside in imports_of(path):
            library = module.split(".")[0]
            if library in sys.stdlib_module_names or library == PACKAGE.name:
                continue
            where = f"{path.relative_to(PACKAGE)}:{line} imports {module}"
            if library not in LIBRARIES[room]:
                wrong.append(where)
            elif library in LATE and not inside:
                wrong.append(f"{where} at the top of the file")
    assert not wrong, "\n".join(wrong)


def test_the_file_for_one_backend_is_imported_late():
    users = [
        inside
        for path in source_files()
        for module, _, inside in imports_of(path)
        if module == "keras_mlp3d.ops._torch"
    ]
    assert len(users) >= 5
    assert all(users)


def test_nothing_imports_the_tops():
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in source_files()
        if room_of(path) not in TOPS and path.name != "__main__.py"
        for module, line, _ in imports_of(path)
        if any(f"{module}.".startswith(f"{PACKAGE.name}.{top}.") for top in TOPS)
    ]
    assert not wrong, wrong


def test_no_import_is_hidden_from_this_test():
    """Dynamic imports are of the package's own rooms, by a name this test can read or a list."""
    for path in source_files():
        for module, line, _ in imports_of(path):
            readable = module.replace(".", "").replace("_", "").isalnum()
            own = module.startswith(f"f'{PACKAGE.name}.")
            assert readable or own, f"{path}:{line}: {module}"


def test_reader_sees_imports_wherever_they_stand(tmp_path):
    """The test of the test: what the functions above find in a file."""
    (tmp_path / "file.py").write_text(
        "import os, av.video\n"
        "from keras_mlp3d import layers, __version__\n"
        "from keras_mlp3d.layers.cycle_fc import CycleFC\n"
        "def f():\n    class A:\n        from tensorflow import data\n"
        "g = lambda: __import__('torch')\n"
    )
    assert imports_of(tmp_path / "file.py") == [
        ("os", 1, False),
        ("av.video", 1, False),
        ("keras_mlp3d.layers", 2, False),
        ("keras_mlp3d", 2, False),
        ("keras_mlp3d.layers.cycle_fc", 3, False),
        ("tensorflow", 6, True),
        ("torch", 7, True),
    ]


# --- importing the package -----------------------------------------------------------------------

IMPORT = f"""
import keras, sys, time
before = set(sys.modules)
start = time.process_time()
import keras_mlp3d
seconds = time.process_time() - start
added = {{name.split(".")[0] for name in set(sys.modules) - before}}
import {", ".join(f"keras_mlp3d.{room}" for room in sorted(set(ALLOWED) | TOPS))}
print(seconds, "tensorflow" in sys.modules, *sorted(added))
"""


def imported():
    """(seconds, whether TensorFlow is there, libraries that came) of an import in a new process."""
    result = subprocess.run(
        [sys.executable, "-c", IMPORT],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        check=True,
    )
    seconds, tensorflow, *added = result.stdout.split()
    return float(seconds), tensorflow == "True", set(added)


@pytest.fixture(scope="module")
def first_import():
    return imported()


def test_import_is_quick(first_import):
    """Less than 0.2 s of processor time more than Keras alone: the best of up to three runs."""
    runs = [first_import[0]]
    while min(runs) >= 0.2 and len(runs) < 3:
        runs.append(imported()[0])
    assert min(runs) < 0.2, runs


def test_import_loads_no_library_that_a_network_does_not_need(first_import):
    libraries = {
        name
        for name in first_import[2]
        if name not in sys.stdlib_module_names and not name.startswith("_")
    }
    assert libraries <= {PACKAGE.name, "av"}


def test_no_room_loads_tensorflow(first_import):
    assert first_import[1] == (keras.backend.backend() == "tensorflow")
