"""Every notebook runs from top to bottom, and keeps the outputs of a run without errors."""

import os
import pathlib
import re

import nbclient
import nbformat
import pytest

NOTEBOOKS = sorted((pathlib.Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))

#: What each of them prints, as a pattern; chance is one in four for the second, in six for the
#: third.
SAID = {
    "01_quickstart": r"seven -> \('seven'",
    "02_fine_tune": r"top-1 (0\.[6-9]|1\.0)\d, 95 % interval",
    "03_search": r"found: V (0\.[5-9]|1\.0)\d",
}


def test_there_are_notebooks():
    assert [path.stem for path in NOTEBOOKS] == ["01_quickstart", "02_fine_tune", "03_search"]
    assert set(SAID) == {path.stem for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore")  # of the kernel's machinery, not of the notebook
def test_notebook_runs(path, tmp_path, monkeypatch):
    # The kernel starts in the notebook's folder and inherits this process's backend.
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(path.parent.parent)]))
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    )
    client.execute()
    printed = "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])
    )
    assert re.search(SAID[path.stem], printed), printed


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_keeps_its_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells), "run it and keep its outputs"
    kinds = {output.output_type for cell in cells for output in cell.outputs}
    assert "error" not in kinds
    assert any("image/png" in o.get("data", {}) for cell in cells for o in cell.outputs)
