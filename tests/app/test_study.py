"""A folder that holds a scan and everything drawn on it: one case file, its remnant as the plan."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from flr_volumetry.app.cli import main
from tests.io import test_structures as collection

CASE = """
[case]
id = "collection"
[study]
path = "patient"
[[stage]]
name = "as planned"
resections = [{ kind = "remnant_mask" }]
"""


@pytest.fixture
def patient(tmp_path, monkeypatch):
    """A patient of the Colorectal-Liver-Metastases collection's shape, as large as a person."""
    affine = collection.AFFINE.copy()
    affine[:3, :3] *= (
        900.0 / (abs(np.linalg.det(affine[:3, :3])) * collection.phantom()[1].sum() / 1000)
    ) ** (1 / 3)
    monkeypatch.setattr(collection, "AFFINE", affine)
    masks = collection.collection(tmp_path / "patient", stray=False)
    voxel_ml = abs(np.linalg.det(affine[:3, :3])) / 1000
    return tmp_path, masks, voxel_ml


def run(folder, text):
    (folder / "case.toml").write_text(text)
    return CliRunner().invoke(
        main, ["run", str(folder / "case.toml"), "--out", str(folder / "out")], catch_exceptions=False
    )


def test_the_studys_own_remnant_is_the_plan(patient):
    """Liver, remnant and both lesions as drawn, to the voxel; the acquisition that the masks refer to."""
    folder, masks, voxel_ml = patient

    result = run(folder, CASE)

    assert result.exit_code == 0, result.stderr
    report = json.loads((folder / "out" / "report.json").read_text())
    volumes = report["volumes"]
    tumour = masks[5] | masks[6]
    assert volumes["total_ml"] == pytest.approx(masks[1].sum() * voxel_ml)
    assert volumes["remnant_ml"] == pytest.approx(masks[2].sum() * voxel_ml)
    assert volumes["remnant_functional_ml"] == pytest.approx((masks[2] & ~tumour).sum() * voxel_ml)
    assert [lesion["name"] for lesion in report["lesions"]] == ["Tumor_1", "Tumor_2"]
    assert [lesion["cleared"] for lesion in report["lesions"]] == [True, False]
    assert report["stages"][0]["resections"] == ["all but the imported remnant"]
    assert {i["role"] for i in report["provenance"]["inputs"]} >= {
        "image",
        "liver",
        "lesion 1",
        "portal vein",
    }


def test_a_mask_inside_a_file_of_several_is_chosen_by_name(patient):
    """The same case written out mask by mask."""
    folder, masks, voxel_ml = patient
    seg = '{ path = "patient/SEG/1-1.dcm", segment = "%s" }'
    text = (
        '[case]\nid = "x"\n[masks]\n'
        f"liver = {seg % 'Liver'}\nlesions = [{seg % 'Tumor_1'}, {seg % 'Tumor_2'}]\n[[stage]]\n"
        f'resections = [{{ kind = "remnant_mask", file = {seg % "Liver Remnant"} }}]\n'
    )

    result = run(folder, text)

    assert result.exit_code == 0, result.stderr
    report = json.loads((folder / "out" / "report.json").read_text())
    assert report["volumes"]["remnant_ml"] == pytest.approx(masks[2].sum() * voxel_ml)
    assert "no_image" in {c["code"] for c in report["caveats"]}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('path = "patient"', 'path = "patient/CT"', "no_structures"),
        ('path = "patient"', 'path = "nowhere"', "not_found"),
        ("[study]", "[masks]\nliver = 'x'\n[study]", "study_and_masks"),
    ],
)
def test_a_study_that_lacks_what_is_needed_is_refused(patient, old, new, reason):
    """No masks, no folder, or two ways to say the same."""
    folder, _, _ = patient
    result = run(folder, CASE.replace(old, new))
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    if reason != "no_structures":
        assert f"[{reason}]" in result.stderr


def test_a_remnant_without_a_file_or_a_study_is_refused(patient):
    """There is nothing that it could be."""
    folder, _, _ = patient
    text = (
        '[case]\nid = "x"\n[masks]\nliver = { path = "patient/SEG/1-1.dcm", segment = "Liver" }\n'
        '[[stage]]\nresections = [{ kind = "remnant_mask" }]\n'
    )
    assert "[no_remnant]" in run(folder, text).stderr
