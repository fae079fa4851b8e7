"""The tests that need no backend: `make test` runs them once, and not once per backend.

A test is here if it computes nothing with Keras: no operation, no variable, no question which
backend it is. `no_backend` makes each of these an error while such a test runs, on whatever backend
it runs, so a path that is listed here wrongly fails. A file that is not listed runs on every
backend.
"""

import contextlib
import importlib
import inspect

import keras

#: {file or folder under `tests`: why no backend can change its results}.
PATHS = {
    "_utils/test_checks.py": "checks of arguments: plain Python",
    "_utils/test_child_process.py": "child processes: plain Python",
    "_utils/test_compile_cache.py": "settings of JAX, and processes of their own",
    "_utils/test_find_videos.py": "lists folders",
    "_utils/test_openmp.py": "variables, and processes of their own",
    "_utils/test_one_writer.py": "locks of folders",
    "_utils/test_ordered_map.py": "threads",
    "_utils/test_printable.py": "text",
    "_utils/test_progress.py": "text",
    "_utils/test_ray_cluster.py": "numbers of processors",
    "_utils/test_recent.py": "a dictionary",
    "app/test_example_clips.py": "lists folders",
    "app/test_launch.py": "arguments; no network is built",
    "app/test_limits.py": "reads packets of videos",
    "app/test_networks.py": "threads, with an object in place of each network",
    "app/test_pictures.py": "NumPy, text, and Matplotlib from plain arrays",
    "app/test_space.py": "text",
    "cli/test_app.py": "parses arguments",
    "cli/test_check_videos.py": "decodes videos",
    "cli/test_inputs.py": "parses arguments",
    "cli/test_pixel_statistics.py": "decodes videos",
    "cli/test_results_file.py": "result files",
    "cli/test_shard.py": "writes shards of pictures",
    "data/augment": "NumPy: a loader's threads augment, not a network",
    "data/datasets": "folders, tables, shards and rendered videos: NumPy and PyAV",
    "data/loading/test_clip_cache.py": "memory of NumPy arrays",
    "data/loading/test_pixel_statistics.py": "decodes videos",
    "data/loading/test_clip_source.py": "rows to NumPy arrays",
    "data/video": "decoding: NumPy and PyAV",
    "docs/test_docstrings_of_the_site.py": "text",
    "docs/test_set_address.py": "text",
    "docs/test_site.py": "pages, built in processes of their own",
    "hub/test_local_folder.py": "names of folders",
    "hub/test_metadata.py": "text",
    "hub/test_model_card.py": "text",
    "hub/test_client.py": "talks with a server",
    "hub/test_converted.py": "files of a cache",
    "hub/test_download.py": "downloads of files",
    "hub/test_transfer_limits.py": "talks with a server",
    "hub/test_upload.py": "uploads of files",
    "hub/test_web_download.py": "downloads of files",
    "inference/test_dataset_output.py": "files of a folder",
    "inference/test_average_precision.py": "arithmetic on scores: NumPy",
    "inference/test_evaluation.py": "arithmetic on scores: NumPy",
    "inference/test_wrong_answers.py": "pictures of videos: NumPy and PyAV",
    "inference/test_work_list.py": "names of files",
    "models/test_schedule.py": "text to a schedule",
    "plots/test_average_precision.py": "Matplotlib, from plain arrays",
    "plots/test_confusion.py": "Matplotlib, from plain arrays",
    "plots/test_plots.py": "Matplotlib, from plain arrays",
    "plots/test_search_plots.py": "Matplotlib, from plain arrays",
    "plots/test_wrong_answers.py": "Matplotlib, from plain arrays",
    "search/test_compare.py": "arithmetic on accuracies",
    "search/test_correlation.py": "ranks of numbers",
    "search/test_greedy.py": "the search against a table of scores",
    "search/test_scorer.py": "the scores of a function in place of a network",
    "search/test_space.py": "lists of candidates",
    "training/test_tensorboard.py": "TensorBoard's files",
    "training/test_recipe.py": "recipes as files",
    "training/test_recipe_rules.py": "values of recipes",
    "test_annotations.py": "signatures",
    "test_backend_free.py": "this list",
    "test_docstrings.py": "text",
    "test_documents.py": "text",
    "test_english.py": "text",
    "test_measures.py": "counts of files and lines",
}

#: Files in the folders above that every backend runs: {path: why}.
EXCEPT = {
    "data/augment/test_batch_steps.py": "compares with Keras's own label smoothing",
    "data/datasets/test_shard.py": "compares loaders of each kind",
    "data/datasets/test_unicode_classes.py": "builds networks",
}


def is_listed(path, paths):
    """Whether a file (relative to `tests`, with forward slashes) or a folder of it is listed."""
    return any(path == listed or path.startswith(f"{listed}/") for listed in paths)


def needs_no_backend(path):
    """Whether `PATHS` lists a file and `EXCEPT` does not."""
    return is_listed(path, PATHS) and path not in EXCEPT


class BackendUsed(AssertionError):
    """A test that is said to need no backend computed with it."""


@contextlib.contextmanager
def no_backend():
    """Within it, every operation and variable of Keras raises `BackendUsed`."""
    with contextlib.ExitStack() as stack:
        for owner, name in _entrances():
            original = inspect.getattr_static(owner, name)
            setattr(owner, name, _refuse(f"{getattr(owner, '__name__', owner)}.{name}"))
            stack.callback(setattr, owner, name, original)
        yield


def _entrances():
    """(module or class, name) of whatever Keras's operations go through on their way."""
    backend = importlib.import_module("keras.src.backend")
    for module in ("core", "image", "linalg", "math", "nn", "numpy", "random", "rnn"):
        inner = getattr(backend, module)
        for name, value in vars(inner).items():
            if inspect.isfunction(value) and not name.startswith("_"):
                yield inner, name
    for name in ("cast", "convert_to_numpy", "convert_to_tensor", "shape"):
        yield backend, name
    variable = importlib.import_module("keras.src.backend.common.variables")
    yield variable.Variable, "__init__"
    yield keras.backend, "backend"
    yield keras.config, "backend"


def _refuse(name):
    def refuse(*args, **kwargs):
        raise BackendUsed(
            f"{name} was called by a test that needs no backend by "
            "tests/backend_free.py: take its file out of the list, and every backend runs it"
        )

    return refuse
