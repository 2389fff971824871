"""Values that show themselves in a notebook, and cost nothing elsewhere."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
from dataclasses import replace

import pytest
from PIL import Image as Picture

from flr_volumetry.app.run import Outcome
from flr_volumetry.errors import OutputError
from flr_volumetry.report import notebook, wording
from flr_volumetry.report.scene import scene_3d
from tests.report.cases import make_case

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def case():
    return make_case("axial")


def picture_in(page):
    start = page.index("data:image/png;base64,") + len("data:image/png;base64,")
    return Picture.open(io.BytesIO(base64.b64decode(page[start : page.index('"', start)])))


def test_an_outcome_shows_its_answer_and_its_plan(case):
    liver, partition, summary = case
    page = notebook.outcome_html(summary, liver, partition)
    assert wording.headline(summary) in page
    assert wording.clearance(summary) in page
    for finding in summary.assessment.findings:
        if finding.margin_ml is not None and finding.margin_ml < 0:
            assert finding.rule.id in page
    assert "2 caveats" in page
    assert picture_in(page).width > 600
    assert wording.DISCLAIMER in page


def test_a_liver_shows_its_lesions_and_masks(case):
    liver = case[0]
    page = notebook.liver_html(liver)
    assert wording.ml(liver.ml) in page
    for lesion in liver.lesions:
        assert f"{lesion.number}: {lesion.name}" in page
        assert wording.ml(lesion.mask_ml) in page
    assert "Couinaud segments, scan" in page
    assert picture_in(page).width > 600
    alone = notebook.liver_html(replace(liver, lesions=liver.lesions[:1], segments=None, image=None))
    assert "1 lesion," in alone
    assert "no lesion" in notebook.liver_html(replace(liver, lesions=()))


def test_a_partition_shows_its_pieces(case):
    partition = case[1]
    page = notebook.partition_html(partition)
    for piece in partition.pieces:
        assert piece.title in page
        assert wording.ml(piece.count * partition.grid.voxel_ml) in page
    assert picture_in(page).width > 600


def test_where_no_page_is_shown_one_line_says_what_a_value_is(case):
    """A repr of all facts would fill pages of a notebook."""
    liver, partition, summary = case
    outcome = Outcome(summary, liver, partition)
    assert notebook.in_one_line(outcome) == f"<Outcome of case sample: {wording.headline(summary)}>"
    assert notebook.in_one_line(liver) == f"<Liver of {wording.ml(liver.ml)}, 3 lesions>"
    assert notebook.in_one_line(partition).startswith("<Partition: remnant ")


def test_hostile_names_are_shown_as_text(case):
    liver, partition, summary = case
    pages = (
        notebook.outcome_html(replace(summary, case_id=HOSTILE), liver, partition),
        notebook.liver_html(replace(liver, lesions=(replace(liver.lesions[0], name=HOSTILE),))),
    )
    for page in pages:
        assert HOSTILE not in page
        assert "&lt;script&gt;" in page


def test_the_view_in_3d_holds_the_surfaces_of_the_report(case):
    pytest.importorskip("ipyniivue")
    liver, partition, _ = case
    view = notebook.view_3d(liver, partition)
    surfaces = scene_3d(liver, partition).surfaces
    assert [mesh.name for mesh in view.meshes] == [f"{s.key}.mz3" for s in surfaces]
    assert [mesh.visible for mesh in view.meshes] == [s.shown for s in surfaces]


def test_without_ipyniivue_it_is_said_what_to_install(case, monkeypatch):
    monkeypatch.setattr(notebook, "find_spec", lambda name: None)
    with pytest.raises(OutputError, match="ipyniivue") as refused:
        notebook.view_3d(case[0], case[1])
    assert refused.value.reason == "package_missing"


IN_IPYTHON = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
import flr_volumetry
assert not {"numpy", "matplotlib", "flr_volumetry.report"} & set(sys.modules)
import numpy as np
from flr_volumetry import Grid, Liver, Plane, PlaneResection, ResectionPlan, Stage, resect
inside = np.zeros((20, 20, 20), bool)
inside[4:16, 4:16, 4:16] = True
grid = Grid((20, 20, 20), np.diag([4.0, 4, 4, 1]))
liver = Liver(grid, inside, grid, (0, 0, 0))
assert "matplotlib" not in sys.modules
plan = ResectionPlan((Stage("one", (PlaneResection((Plane((40, 0, 0), (1, 0, 0)),)),)),))
for value in (liver, resect(liver, plan)):
    data, _ = shell.display_formatter.format(value)
    assert "data:image/png;base64," in data["text/html"], data
    assert data["text/plain"].startswith("<" + type(value).__name__), data["text/plain"]
    assert len(data["text/plain"]) < 200
"""


def test_in_ipython_values_show_themselves_and_nothing_is_loaded_before():
    """The package is told by the import; the core's values know nothing of it."""
    pytest.importorskip("IPython")
    done = subprocess.run([sys.executable, "-c", IN_IPYTHON], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
