"""Plans that cannot be carried out, and one that holds every kind of cut, through the command line."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from click.testing import CliRunner

from flr_volumetry.app.cli import main
from flr_volumetry.io import write_surface
from flr_volumetry.resection import TriangleSurface
from tests.livers import CENTRE, RADIUS_MM, ball_liver

LESIONS = [((-24.0, 14.0, 12.0), 7.0), ((25.0, -16.0, -14.0), 6.0)]
RIGHT = (CENTRE - (40, 0, 0)).tolist()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Masks of a ball with eight segments, and meshes."""
    where = tmp_path_factory.mktemp("cuts")
    liver = ball_liver("axial", lesions=LESIONS, segments=True, scale=1.6)
    ras = np.diag([-1.0, -1, 1, 1]) @ liver.grid.affine

    def save(name, voxels):
        nib.save(nib.Nifti1Image(voxels.astype(np.uint8), ras), where / f"{name}.nii.gz")

    save("liver", liver.voxels)
    save("segments", liver.segments)
    x = np.arange(liver.grid.shape[0])[:, None, None]
    save("half_segments", liver.segments * (x < liver.grid.shape[0] // 2 + 8))
    for lesion in liver.lesions:
        whole = np.zeros(liver.grid.shape, dtype=bool)
        whole[lesion.box] = lesion.voxels
        save(f"lesion{lesion.number}", whole)
    stray = np.zeros(liver.grid.shape, dtype=bool)
    stray[:2, :2, :2] = True
    save("stray", stray)
    save("remnant", liver.voxels & (liver.segments <= 4))
    at = np.array([(y, z) for y in (-80.0, 80) for z in (-80.0, 80)])
    flat = np.column_stack([np.zeros(4), at])
    write_surface(where / "sheet.stl", TriangleSurface(CENTRE + flat, [(0, 2, 1), (1, 2, 3)]))
    write_surface(where / "small.stl", TriangleSurface(CENTRE + 0.4 * flat, [(0, 2, 1), (1, 2, 3)]))
    corners = CENTRE - (25, 0, 0) + 70 * np.array([(0, 0, 0), (0, 1, 0), (0, 0, 1), (-1, 0, 0)])
    pyramid = [(0, 2, 1), (0, 1, 3), (1, 2, 3)]
    write_surface(where / "open.stl", TriangleSurface(corners, pyramid))
    return where


def run(folder, out, resections, *, segments="segments", masks="", command="run", words=()):
    stages = "".join(f"\n[[stage]]\nresections = [\n{cuts}]\n" for cuts in resections)
    text = (
        '[case]\nid = "bad"\n\n[masks]\nliver = "liver.nii.gz"\n'
        'lesions = ["lesion1.nii.gz", "lesion2.nii.gz"]\n'
        f'segments = "{segments}.nii.gz"\n{masks}\n{stages}'
    )
    (folder / "case.toml").write_text(text)
    return CliRunner().invoke(main, [command, str(folder / "case.toml"), "--out", str(out), *words])


def ring(*, crossing=False, radius=RADIUS_MM):
    turn = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    if crossing:
        turn[[3, 9]] = turn[[9, 3]]
    points = CENTRE + radius * np.stack([0 * turn, np.cos(turn), np.sin(turn)], axis=1)
    return json.dumps(np.round(points, 3).tolist())


def curve(**shape):
    return f'{{ kind = "curve", points_mm = {ring(**shape)}, towards_mm = {RIGHT} }},\n'


def plane(x_mm, normal="[-1, 0, 0]"):
    return f'{{ kind = "plane", point_mm = {[float(CENTRE[0] + x_mm), 0.0, 0.0]}, normal = {normal} }},\n'


TERRITORY = '{ kind = "territory", structure = "portal_vein", branches = ["1.7"] },\n'


@pytest.mark.parametrize(
    ("cut", "masks", "reason", "said"),
    [
        (plane(-90.0), "", "removes_nothing", ""),
        (plane(90.0), "", "removes_everything", ""),
        (plane(0.0, "[0, 0, 0]"), "", "zero_normal", ""),
        (curve(crossing=True), "", "self_crossing_curve", "cross"),
        (curve(radius=20.0), "", "curve_inside_liver", ""),
        (curve(radius=150.0), "", "curve_off_liver", "mm off the liver"),
        (
            f'{{ kind = "surface", file = "small.stl", towards_mm = {RIGHT} }},\n',
            "",
            "surface_leaks",
            "mm",
        ),
        ('{ kind = "surface", file = "open.stl" },\n', "", "", "which side goes"),
        (TERRITORY, 'portal_vein = "stray.nii.gz"', "", "portal vein"),
        (TERRITORY, "", "no_vessel", "portal"),
        ('{ kind = "wedge", lesions = [3], margin_mm = 5 },\n', "", "unknown_lesion", "lesion 3"),
        ('{ kind = "hepatectomy", name = "right_lobectomy" },\n', "", "", "ambiguous"),
    ],
)
def test_what_cannot_be_carried_out_is_refused_by_name(folder, tmp_path, cut, masks, reason, said):
    done = run(folder, tmp_path / "out", [cut], masks=masks)
    assert done.exit_code == 1
    assert reason in done.stderr
    assert said in done.stderr
    assert done.stderr.count("\n") <= 3
    assert not (tmp_path / "out").exists()


def test_a_map_that_leaves_liver_out_says_how_much_and_can_be_filled(folder, tmp_path):
    cut = '{ kind = "segments", segments = [5, 6, 7, 8] },\n'
    done = run(folder, tmp_path / "out", [cut], segments="half_segments")
    assert done.exit_code == 0, done.stderr
    document = json.loads((tmp_path / "out" / "report.json").read_text())
    (said,) = [c["message"] for c in document["caveats"] if c["code"] == "liver_without_segment"]
    bare = next(s["ml"] for s in document["segments"] if s["segment"] == 0)
    assert f"{bare:.1f} of the liver's" in said
    done = run(folder, tmp_path / "two", [cut], segments="half_segments", masks="fill_segments = true")
    filled = json.loads((tmp_path / "two" / "report.json").read_text())
    codes = {c["code"] for c in filled["caveats"]}
    assert "segments_filled" in codes
    assert "liver_without_segment" not in codes
    left = next(s["ml"] for s in filled["segments"] if s["segment"] == 0)
    assert 0 < left < bare


def test_a_lesion_that_no_plan_reaches_is_named_by_the_search(folder, tmp_path):
    done = run(
        folder,
        tmp_path / "out",
        [plane(0.0)],
        command="search",
        words=["--no-wedges", "--no-ablations", "--margin", "30"],
    )
    assert done.exit_code == 1
    assert "lesion_not_reachable" in done.stderr
    assert "lesion 1 (lesion1)" in done.stderr
    assert not (tmp_path / "out").exists()


def test_every_kind_of_cut_in_two_stages_divides_the_liver_once(folder, tmp_path):
    """Each piece is what its resection finds left; together they are the liver, to the voxel."""
    at = np.linspace(-80, 80, 4)
    patch = [[[float(CENTRE[0] - 44), float(CENTRE[1] + y), float(CENTRE[2] + z)] for y in at] for z in at]
    beyond = (CENTRE - (50, 0, 0)).tolist()
    planes = (
        f"{{ point_mm = {(CENTRE + (0, 30, 0)).tolist()}, normal = [0, 1, 0] }}, "
        f"{{ point_mm = {(CENTRE + (0, 0, 30)).tolist()}, normal = [0, 0, 1] }}"
    )
    first = [
        '{ kind = "wedge", lesions = [2], margin_mm = 4 },\n',
        '{ kind = "ablation", lesions = [1], margin_mm = 3 },\n',
        f'{{ kind = "surface", control_mm = {json.dumps(patch)}, towards_mm = {beyond} }},\n',
        f'{{ kind = "planes", planes = [{planes}], combine = "all" }},\n',
    ]
    second = [
        f'{{ kind = "plane", point_mm = {(CENTRE + (0, 0, 48)).tolist()}, normal = [0, 0, 1] }},\n',
        '{ kind = "segments", segments = [6] },\n',
        curve(),
        '{ kind = "hepatectomy", name = "seg_2" },\n',
    ]
    done = run(folder, tmp_path / "out", ["".join(first), "".join(second)])
    assert done.exit_code == 0, done.stderr
    document = json.loads((tmp_path / "out" / "report.json").read_text())
    volumes = document["volumes"]
    pieces = nib.load(next((tmp_path / "out").glob("**/*partition*.nii.gz")))
    labels = np.asarray(pieces.dataobj)
    liver = np.asarray(nib.load(folder / "liver.nii.gz").dataobj) > 0
    assert np.array_equal(labels > 0, liver)
    assert set(np.unique(labels)) == set(range(10))
    together = volumes["remnant_ml"] + volumes["resected_ml"] + volumes["ablated_ml"]
    assert together == pytest.approx(volumes["total_ml"], abs=1e-9)
    assert np.count_nonzero(labels == 1) * volumes["voxel_ml"] == pytest.approx(volumes["remnant_ml"])
    assert [len(stage["resections"]) for stage in document["plan"]] == [4, 4]


def test_everything_but_an_imported_remnant_goes(folder, tmp_path):
    done = run(folder, tmp_path / "out", ['{ kind = "remnant_mask", file = "remnant.nii.gz" },\n'])
    assert done.exit_code == 0, done.stderr
    document = json.loads((tmp_path / "out" / "report.json").read_text())
    segments = {s["segment"]: s for s in document["segments"]}
    assert all(segments[n]["remnant_ml"] == segments[n]["ml"] for n in range(1, 5))
    assert all(segments[n]["remnant_ml"] == 0 for n in range(5, 9))
