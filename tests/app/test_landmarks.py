"""Planes and segments from landmarks, and vessels followed, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from flr_volumetry.app.cli import main
from flr_volumetry.io import MarkupPlane, read_markups
from flr_volumetry.phantom import sample_patient
from flr_volumetry.territories import LANDMARK_NAMES, Landmark
from tests.territories.marks import true_points

SAMPLE = Path(__file__).resolve().parents[2] / "sample_data"
RIGHT_PERCENT = 100 * 1108.57 / 1651.1
"""Segments 5 to 8 of the sample."""
TRUE = {
    LANDMARK_NAMES[kind][0].upper(): np.round(points, 1).tolist()
    for kind, points in true_points(sample_patient()).items()
}
NOT_FOLLOWED = "[territories]\nfind = false\n"


def case_text(resection, *, landmarks="", masks=("liver",), tail=NOT_FOLLOWED):
    rows = "\n".join(f"{name} = {json.dumps(str(SAMPLE / 'masks' / f'{name}.nii.gz'))}" for name in masks)
    head = f'[case]\nid = "marks"\n\n[masks]\n{rows}\n'
    return f"{head}\n{landmarks}\n{tail}\n[[stage]]\nresections = [{resection}]\n"


def points_table(points=TRUE, more=""):
    rows = "\n".join(f'"{name}" = {json.dumps(rows)}' for name, rows in points.items())
    return f"[landmarks]\n{more}\n[landmarks.points_mm]\n{rows}\n"


def run(folder, text):
    """Run a case file; its exit, and report.json if there is one."""
    (folder / "case.toml").write_text(text)
    out = folder / "out"
    done = CliRunner().invoke(main, ["run", str(folder / "case.toml"), "--out", str(out)])
    return done, json.loads((out / "report.json").read_text()) if done.exit_code == 0 else None


def plane(name, removes="right", more=""):
    return f'{{ kind = "anatomical_plane", name = "{name}", removes = "{removes}"{more} }}'


def resected_percent(document):
    return 100 * document["volumes"]["resected_ml"] / document["volumes"]["total_ml"]


@pytest.mark.parametrize(
    ("cut", "low", "high"),
    [
        (plane("cantlie"), RIGHT_PERCENT - 3, RIGHT_PERCENT + 3),
        (plane("middle_hepatic_vein", "left"), 97 - RIGHT_PERCENT, 103 - RIGHT_PERCENT),
        # The right posterior section, segments 6 and 7, and what lies left of the umbilical fissure.
        (plane("right_hepatic_vein"), 20, 40),
        (plane("umbilical_fissure", "left"), 10, 25),
        (plane("three_landmarks", more=', landmarks = ["GB", "IVC", "MHV"]'), 55, 78),
    ],
)
def test_planes_from_true_landmarks_are_written_to_be_confirmed(tmp_path, cut, low, high):
    """Cut, plan.mrk.json and report.json hold the same plane; pictures and the caveat are there."""
    done, document = run(tmp_path, case_text(cut, landmarks=points_table()))
    assert done.exit_code == 0, done.stderr
    assert low < resected_percent(document) < high
    (markup,) = read_markups(tmp_path / "out" / "plan.mrk.json")
    assert isinstance(markup, MarkupPlane)
    (written,) = document["plan"][0]["resections"][0]["planes"]
    assert markup.normal == pytest.approx(written["normal"], abs=1e-9)
    off = np.subtract(markup.point_mm, written["point_mm"]) @ written["normal"]
    assert off == pytest.approx(0, abs=1e-6)
    said = [c["message"] for c in document["caveats"] if c["code"] == "plane_placed_from_landmarks"]
    assert len(said) == 1
    assert "confirm it on the images" in said[0]
    assert said[0] in done.stdout.replace("\n   ", "") or "confirm it" in " ".join(done.stdout.split())
    assert any("least-squares plane" in m or "least-squares upright plane" in m for m in document["methods"])
    assert any(path["path"].endswith("plan.png") for path in document["outputs"])


def test_a_plane_written_is_the_plan_again(tmp_path):
    """What was placed from anatomy, confirmed in 3D Slicer, cuts the same voxels."""
    (tmp_path / "first").mkdir()
    _, first = run(tmp_path / "first", case_text(plane("cantlie"), landmarks=points_table()))
    again = f'{{ kind = "markup", file = {json.dumps(str(tmp_path / "first" / "out" / "plan.mrk.json"))} }}'
    (tmp_path / "second").mkdir()
    _, second = run(tmp_path / "second", case_text(again))
    assert second["volumes"]["resected_ml"] == first["volumes"]["resected_ml"]
    assert not [c for c in second["caveats"] if c["code"] == "plane_placed_from_landmarks"]


def test_segments_from_landmarks_carry_a_hepatectomy(tmp_path):
    """Without a segment map; labelled approximate, with what is known of the borders."""
    cut = '{ kind = "hepatectomy", name = "right_hepatectomy", caudate = false }'
    done, document = run(tmp_path, case_text(cut, landmarks=points_table(more="segments = true")))
    assert done.exit_code == 0, done.stderr
    assert resected_percent(document) == pytest.approx(RIGHT_PERCENT, abs=3)
    assert [s["segment"] for s in document["segments"]] == list(range(1, 9))
    said = " ".join(c["message"] for c in document["caveats"])
    assert "approximation" in said
    assert "V/VIII" in said


def swapped(points):
    return {name: [[-x, -y, z] for x, y, z in rows] for name, rows in points.items()}


def moved(points, mm):
    return {name: [[x, y, z + mm] for x, y, z in rows] for name, rows in points.items()}


@pytest.mark.parametrize(
    ("cut", "landmarks", "reason"),
    [
        (plane("cantlie"), points_table(swapped(TRUE)), "mirrored_landmarks"),
        (plane("cantlie"), points_table(moved(TRUE, 300.0)), "landmark_outside"),
        (plane("cantlie"), points_table({"GB": TRUE["GB"]}), "missing_landmark"),
        (plane("left_hepatic_vein"), points_table({"IVC": TRUE["IVC"]}), "missing_landmark"),
        (
            plane("three_landmarks", more=', landmarks = ["GB", "IVC", "LV"]'),
            points_table(),
            "missing_landmark",
        ),
        (
            plane("three_landmarks", more=', landmarks = ["GB", "IVC", "xx"]'),
            points_table(),
            "unknown_landmark",
        ),
        (plane("cantlie"), points_table({"spleen": [[0.0, 0.0, 0.0]]}), "unknown_landmark"),
        (plane("cantlie"), "", "no_landmarks"),
        (plane("cantlie"), "[landmarks]\nfile = 'nowhere.mrk.json'\n", ""),
        (plane("three_landmarks"), points_table(), ""),
        (plane("cantlie", more=', landmarks = ["GB", "IVC", "MHV"]'), points_table(), ""),
        (plane("cantlie", removes="top"), points_table(), ""),
        (plane("falciform"), points_table(), ""),
    ],
)
def test_landmarks_that_cannot_be_meant_are_refused(tmp_path, cut, landmarks, reason):
    done, _ = run(tmp_path, case_text(cut, landmarks=landmarks))
    assert done.exit_code == 1
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_vessel_without_a_tree_leaves_a_caveat_and_the_volumes(tmp_path):
    """A portal vein that meets the liver nowhere: no branches, said so, and all else as without."""
    import nibabel as nib

    image = nib.load(SAMPLE / "masks" / "liver.nii.gz")
    stray = np.zeros(image.shape, dtype=np.uint8)
    stray[:3, :3, :3] = 1
    nib.save(nib.Nifti1Image(stray, image.affine), tmp_path / "portal.nii.gz")
    text = case_text(plane("cantlie"), landmarks=points_table(), tail="").replace(
        "[masks]\n", f"[masks]\nportal_vein = {json.dumps(str(tmp_path / 'portal.nii.gz'))}\n"
    )
    done, document = run(tmp_path, text)
    assert done.exit_code == 0, done.stderr
    assert "no_territories" in {c["code"] for c in document["caveats"]}
    assert document["consequences"]["inflow_cut"] is None


def test_followed_vessels_name_branches_that_a_plan_can_ligate(tmp_path):
    """By name through the command line; what goes is what the branch feeds."""
    cut = '{ kind = "territory", structure = "portal_vein", branches = ["left portal vein"] }'
    done, document = run(tmp_path, case_text(cut, masks=("liver", "portal_vein"), tail=""))
    assert done.exit_code == 0, done.stderr
    assert resected_percent(document) == pytest.approx(100 - RIGHT_PERCENT, abs=8)
    unknown = cut.replace("left portal vein", "leftmost portal vein")
    again = tmp_path / "unknown"
    again.mkdir()
    done, _ = run(again, case_text(unknown, masks=("liver", "portal_vein"), tail=""))
    assert done.exit_code == 1
    assert "left portal vein" in done.stderr
    assert Landmark.LEFT_PORTAL.value == "left portal vein"
