"""The notebooks run from beginning to end, and the reference pages are built from the docstrings without a warning."""

import os
import pkgutil
import sys
import warnings
from pathlib import Path

import pytest

import resflow_core as rf

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
# The packages, and each module of the library: pdoc looks no further where a package lists its names.
MODULES = [
    found.name
    for found in pkgutil.walk_packages([str(ROOT / "resflow_core")], "resflow_core.")
    if found.name.count(".") == 1 or found.name.startswith("resflow_core.api.")
]
NOTEBOOKS = sorted((ROOT / "docs").glob("*.ipynb"))


def test_there_are_three_notebooks():
    assert [path.stem for path in NOTEBOOKS] == ["beyond-the-plane", "bias-by-hand", "first-flow"]


@pytest.mark.filterwarnings("ignore")  # of Jupyter and zmq
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_draws(path, tmp_path, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    # Its cells run in a process of their own, which finds the core in this tree.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *filter(None, sys.path)]))
    monkeypatch.delenv("MPLBACKEND", raising=False)  # which Streamlit sets where it is imported
    notebook = nbformat.read(path, 4)
    kernel = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=900, kernel_name="python3", resources=kernel).execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert any("image/png" in output.get("data", {}) for cell in code for output in cell.outputs)
    kept = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    assert [bool(cell.outputs) for cell in kept] == [bool(cell.outputs) for cell in code], "run it, and keep it"


def test_the_reference_pages_are_built_without_a_warning(tmp_path):
    import pdoc

    pdoc.render.configure(docformat="google", math=True, show_source=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)
        pdoc.pdoc("resflow_core", *(name for name in MODULES if name.count(".") == 1), output_directory=tmp_path)
    page = (tmp_path / "resflow_core.html").read_text()
    assert all(f'id="{name}"' in page for name in rf.NAMES)
    missing = [name for name in MODULES if not (tmp_path / f"{name.replace('.', '/')}.html").is_file()]
    assert not missing
