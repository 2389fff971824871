"""The example notebooks run, show pictures, and are kept without what a machine made of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
pytestmark = pytest.mark.filterwarnings("default")


def test_there_are_two():
    assert [path.stem for path in NOTEBOOKS] == ["first_case", "plans_and_cohorts"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert set(notebook.metadata.language_info) == {"name"}


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def run(request, tmp_path_factory):
    """Run a notebook in a fresh kernel, away from the checkout."""
    notebook = nbformat.read(request.param, as_version=4)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("MPLBACKEND", None)
    client = nbclient.NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path_factory.mktemp("notebook"))}},
    )
    client.execute(env=environment)
    return request.param.stem, notebook


def _shown(notebook):
    """The data of everything displayed, and all that was printed."""
    outputs = [out for cell in notebook.cells if cell.cell_type == "code" for out in cell.outputs]
    data = [out["data"] for out in outputs if "data" in out]
    said = "".join(out["text"] for out in outputs if out.output_type == "stream" and out.name == "stdout")
    return data, said


def test_it_runs_and_shows_pictures(run):
    """No cell fails; outcomes, livers and partitions come with their pictures."""
    name, notebook = run
    data, said = _shown(notebook)
    pages = [part["text/html"] for part in data if "text/html" in part]
    assert len([page for page in pages if "data:image/png;base64," in page]) >= 2
    if name == "first_case":
        assert any("Future liver remnant 522 mL, 32.7 %" in page for page in pages)
        assert "report.html\nreport.json\nreport.pdf" in said
        assert "V17c  clear_above" in said
        assert "FUTURE LIVER REMNANT" in said.upper().split("REPORT.PDF")[1]
        assert len(pages) == 3, "what is written to a file is not displayed"
    else:
        assert "wedge, then right liver 521.8 mL 32.7% 3 of 3" in " ".join(said.split())
        assert "'case_id': 'margin 10 mm'" in said
        assert any("image/png" in part for part in data)


def test_with_ipyniivue_the_case_is_shown_in_3d(run):
    pytest.importorskip("ipyniivue")
    name, notebook = run
    data, _ = _shown(notebook)
    widgets = [part for part in data if "application/vnd.jupyter.widget-view+json" in part]
    assert len(widgets) == (1 if name == "first_case" else 0)
