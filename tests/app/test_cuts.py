"""Cuts drawn elsewhere, named in a case file: one flat cut said in every way there is, and every refusal."""

import hashlib
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from flr_volumetry.anatomy import Structure
from flr_volumetry.app.case import make_case
from flr_volumetry.app.load import imported_remnants, load_case
from flr_volumetry.app.run import run_case
from flr_volumetry.app.vessels import with_case_territories
from flr_volumetry.app.write import write_outcome
from flr_volumetry.errors import CaseError, FlrError, LiverError, PlanError
from flr_volumetry.io import (
    MarkupCurve,
    MarkupLine,
    MarkupPlane,
    MarkupPoints,
    MarkupSurface,
    plan_markups,
    read_markups,
    read_mask,
    write_markups,
    write_surface,
)
from flr_volumetry.resection import (
    Combine,
    Plane,
    PlaneResection,
    ResectionPlan,
    SegmentResection,
    Stage,
    SurfaceResection,
    TerritoryResection,
    TriangleSurface,
    resect,
)
from flr_volumetry.resection.surfaces import BezierSurface, ClosedCurve
from flr_volumetry.territories import find_territories

SAMPLE = Path(__file__).resolve().parents[2] / "sample_data"
RIGHT = (-120.0, -20.0, 10.0)
"""A point on the side that goes: right of the cut at x = -50.3 mm."""
AT = -50.3
# Larger than the liver, in the plane of the cut.
SQUARE = np.array([(AT, -150, -150), (AT, 150, -150), (AT, 150, 150), (AT, -150, 150)], dtype=float)
FAR = SQUARE - [200, 0, 0]
BOX = TriangleSurface(
    np.vstack([SQUARE, FAR]),
    # Facing outwards: two triangles for each of six sides.
    [(0, 1, 2), (0, 2, 3), (4, 6, 5), (4, 7, 6)]
    + [t for a in range(4) for b in [(a + 1) % 4] for t in ((a, 4 + a, 4 + b), (a, 4 + b, b))],
)
SHEET = TriangleSurface(SQUARE, [(0, 1, 2), (0, 2, 3)])
GRID = np.array([[(AT, y, z) for y in np.linspace(-150, 150, 4)] for z in np.linspace(-150, 150, 4)])


@cache
def ring():
    """Points on the sample liver's surface, all round the plane of the cut."""
    liver = read_mask(SAMPLE / "masks" / "liver.nii.gz")
    places = liver.grid.centres_mm(np.argwhere(liver.voxels))
    section = places[np.abs(places[:, 0] - AT) < 1.2][:, 1:]
    middle = section.mean(axis=0)
    away = section - middle
    angle, radius = np.arctan2(away[:, 1], away[:, 0]), np.linalg.norm(away, axis=1)
    points = []
    for a in np.linspace(-np.pi, np.pi, 24, endpoint=False):
        near = np.abs(np.angle(np.exp(1j * (angle - a)))) < 0.05
        r = radius[near].max() + 2
        points.append([AT, float(middle[0] + r * np.cos(a)), float(middle[1] + r * np.sin(a))])
    return points


THREE = SQUARE[:3] * [1, 0.3, 0.3]


def case_of(*resections, folder):
    return make_case(
        {
            "case": {"id": "drawn"},
            "masks": {"liver": str(SAMPLE / "masks" / "liver.nii.gz")},
            "stage": [{"resections": list(resections)}],
        },
        folder=folder,
        where="case.toml",
    )


def carried_out(case):
    """Read the case and cut: what is left, as voxels."""
    loaded = load_case(case)
    partition = resect(loaded.liver, case.plan(loaded.files))
    return loaded, partition


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A folder with the cut in every kind of file."""
    folder = tmp_path_factory.mktemp("drawn")
    write_markups(folder / "plane.mrk.json", [MarkupPlane("flat", SQUARE.mean(axis=0), (-2, 0, 0))])
    write_markups(folder / "left.mrk.json", [MarkupPlane("flat", SQUARE.mean(axis=0), (1, 0, 0))])
    ras = json.loads((folder / "plane.mrk.json").read_text().replace('"LPS"', '"RAS"'))
    one = ras["markups"][0]
    for values in (one["center"], one["normal"], one["controlPoints"][0]["position"]):
        values[:2] = [-values[0], -values[1]]
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    for key in ("baseToNode", "objectToBase"):
        one[key] = (flip @ np.array(one[key]).reshape(4, 4)).ravel().tolist()
    (folder / "ras.mrk.json").write_text(json.dumps(ras))
    write_markups(
        folder / "several.mrk.json",
        [
            MarkupPoints("three", THREE, ("a", "b", "c")),
            MarkupCurve("round", ring(), closed=True),
            MarkupCurve("open", ring(), closed=False),
            MarkupLine("line", ring()[:2]),
            MarkupSurface("patch", GRID),
            MarkupPlane("twice", (0, 0, 0), (0, 0, 1)),
            MarkupPlane("twice", (0, 0, 0), (0, 1, 0)),
            MarkupPoints("four", SQUARE, ("",) * 4),
        ],
    )
    write_markups(folder / "sixteen.mrk.json", [MarkupPoints("p", GRID.reshape(-1, 3), ("",) * 16)])
    fine = np.array([[(AT, y, z) for y in np.linspace(-150, 150, 5)] for z in np.linspace(-150, 150, 6)])
    write_markups(folder / "thirty.mrk.json", [MarkupPoints("p", fine.reshape(-1, 3), ("",) * 30)])
    write_markups(folder / "patch.mrk.json", [MarkupSurface("patch", GRID)])
    write_surface(folder / "sheet.stl", SHEET)
    write_surface(folder / "box.ply", BOX)
    write_surface(folder / "inwards.ply", BOX.flipped())
    silent = (folder / "sheet.stl").read_bytes().replace(b"SPACE=LPS", b"SPACELESS")
    (folder / "silent.stl").write_bytes(silent)
    return folder


@pytest.fixture(scope="module")
def truth(drawn):
    """What the plane itself leaves, and the liver."""
    plane = {"kind": "plane", "point_mm": [AT, 0.0, 0.0], "normal": [-1.0, 0.0, 0.0]}
    _, partition = carried_out(case_of(plane, folder=drawn))
    assert 300 < partition.remnant.ml < 1300
    return partition.labels


WAYS = {
    "markup of a plane": {"kind": "markup", "file": "plane.mrk.json"},
    "markup of a plane, RAS": {"kind": "markup", "file": "ras.mrk.json"},
    "markup of a plane, with the side": {"kind": "markup", "file": "left.mrk.json", "towards_mm": RIGHT},
    "markup of a plane, by name": {"kind": "markup", "file": "plane.mrk.json", "name": "flat"},
    "three points": {"kind": "markup", "file": "several.mrk.json", "name": "three", "towards_mm": RIGHT},
    "markup of a ring": {"kind": "markup", "file": "several.mrk.json", "name": "round", "towards_mm": RIGHT},
    "markup of a patch": {"kind": "markup", "file": "several.mrk.json", "name": "patch", "towards_mm": RIGHT},
    "mesh": {"kind": "surface", "file": "sheet.stl", "towards_mm": RIGHT},
    "mesh that states no axes": {
        "kind": "surface",
        "file": "silent.stl",
        "space": "LPS",
        "towards_mm": RIGHT,
    },
    "closed mesh": {"kind": "surface", "file": "box.ply"},
    "closed mesh that faces inwards": {"kind": "surface", "file": "inwards.ply"},
    "closed mesh, with the side": {"kind": "surface", "file": "inwards.ply", "towards_mm": RIGHT},
    "sixteen points": {"kind": "surface", "file": "sixteen.mrk.json", "towards_mm": RIGHT},
    "thirty points": {
        "kind": "surface",
        "file": "thirty.mrk.json",
        "rows": 6,
        "columns": 5,
        "towards_mm": RIGHT,
    },
    "patch in a file": {"kind": "surface", "file": "patch.mrk.json", "towards_mm": RIGHT},
    "control points": {"kind": "surface", "control_mm": GRID.tolist(), "towards_mm": RIGHT},
    "control points by their order": {"kind": "surface", "control_mm": GRID.tolist()},
    "curve": {"kind": "curve", "points_mm": "ring", "towards_mm": RIGHT},
}


@pytest.mark.parametrize("way", WAYS)
def test_one_flat_cut_is_the_same_however_it_is_said(drawn, truth, way):
    """To the voxel."""
    loaded, partition = carried_out(case_of(plain(WAYS[way]), folder=drawn))

    assert np.array_equal(partition.labels, truth)
    files = {i.path: i for i in loaded.inputs if i.role == "cut, stage 1"}
    named = WAYS[way].get("file")
    assert set(files) == ({named} if named else set())
    if named:
        assert files[named].sha256 == hashlib.sha256((drawn / named).read_bytes()).hexdigest()
        assert files[named].description


def plain(value):
    """As TOML gives it: lists, not tuples; the ring in the place of its name."""
    if isinstance(value, str):
        return {"ring": ring(), "three of it": ring()[:3], "one of it": ring()[:1] * 5}.get(value, value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def test_the_other_side_goes_where_the_point_lies_on_it(drawn, truth):
    """With the point on the left, everything that stayed goes."""
    left = [60.0, 0.0, 0.0]
    for way in ("mesh", "closed mesh, with the side", "curve", "control points", "three points"):
        _, partition = carried_out(case_of(plain({**WAYS[way], "towards_mm": left}), folder=drawn))
        assert np.array_equal(partition.labels == 1, truth == 2), way


def test_a_file_is_read_once_and_told_once(drawn):
    """Two planes of one file: both are carried out, one input."""
    both = [
        {"kind": "markup", "file": "several.mrk.json", "name": "three", "towards_mm": list(RIGHT)},
        {"kind": "markup", "file": "several.mrk.json", "name": "patch", "towards_mm": [60.0, 0.0, 0.0]},
    ]
    case = case_of(*both, folder=drawn)
    loaded = load_case(case)
    assert [i.path for i in loaded.inputs if i.role.startswith("cut")] == ["several.mrk.json"]
    assert case.plan().stages[0].resections
    with pytest.raises(PlanError, match="leaves no liver"):
        resect(loaded.liver, case.plan(loaded.files))


@pytest.mark.parametrize(
    ("resection", "error", "said"),
    [
        ({"kind": "surface"}, CaseError, "a surface needs file"),
        (
            {"kind": "surface", "file": "a.stl", "control_mm": GRID.tolist()},
            CaseError,
            "a surface needs file",
        ),
        ({"kind": "surface", "control_mm": GRID.tolist(), "space": "RAS"}, CaseError, "are for a file"),
        ({"kind": "surface", "control_mm": GRID.tolist(), "rows": 4}, CaseError, "are for a file"),
        (
            {"kind": "surface", "control_mm": [[[0.0, 0, 0]] * 4] * 3 + [[[0.0, 0, 0]] * 5]},
            CaseError,
            "every row",
        ),
        ({"kind": "surface", "control_mm": GRID[:3].tolist()}, PlanError, "4 x 4"),
        ({"kind": "surface", "file": "sheet.stl"}, CaseError, "sheet.stl does not say which side goes"),
        ({"kind": "surface", "file": "sheet.stl", "towards_mm": [AT, 0, 0]}, PlanError, "sheet.stl: "),
        ({"kind": "surface", "file": "sheet.stl", "rows": 4, "towards_mm": RIGHT}, CaseError, "is a mesh"),
        ({"kind": "surface", "file": "sheet.stl", "space": "RAS"}, FlrError, "sheet.stl says that it counts"),
        ({"kind": "surface", "file": "silent.stl", "towards_mm": RIGHT}, FlrError, "does not say whether"),
        ({"kind": "surface", "file": "none.stl"}, FlrError, "none.stl does not exist"),
        ({"kind": "surface", "file": "sixteen.mrk.json"}, CaseError, "does not say which side goes"),
        ({"kind": "surface", "file": "sixteen.mrk.json", "space": "RAS"}, CaseError, "leave out space"),
        ({"kind": "surface", "file": "sixteen.mrk.json", "rows": 4}, CaseError, "rows = ... and columns"),
        ({"kind": "surface", "file": "sixteen.mrk.json", "rows": 4, "columns": 5}, CaseError, "20"),
        ({"kind": "surface", "file": "thirty.mrk.json", "towards_mm": RIGHT}, CaseError, "30 control points"),
        ({"kind": "surface", "file": "plane.mrk.json"}, CaseError, "holds no list of control points"),
        ({"kind": "surface", "file": "patch.mrk.json", "rows": 4, "columns": 4}, CaseError, "no list"),
        ({"kind": "surface", "file": "several.mrk.json"}, CaseError, "holds 8 markups; choose one"),
        ({"kind": "surface", "file": "sheet.stl", "space": "IJK"}, CaseError, "'LPS' or 'RAS'"),
        ({"kind": "markup", "file": "sheet.stl"}, CaseError, 'use kind = "surface"'),
        ({"kind": "markup", "file": "none.mrk.json"}, FlrError, "none.mrk.json does not exist"),
        (
            {"kind": "markup", "file": "several.mrk.json"},
            CaseError,
            "8 markups; choose.*'three', 'round'",
        ),
        (
            {"kind": "markup", "file": "several.mrk.json", "name": "twice"},
            CaseError,
            "2 markups with",
        ),
        (
            {"kind": "markup", "file": "several.mrk.json", "name": "none"},
            CaseError,
            "0 markups with",
        ),
        ({"kind": "markup", "file": "several.mrk.json", "name": "line"}, CaseError, "which divides nothing"),
        ({"kind": "markup", "file": "several.mrk.json", "name": "open"}, CaseError, "which divides nothing"),
        ({"kind": "markup", "file": "several.mrk.json", "name": "four"}, CaseError, "has 4 points"),
        ({"kind": "markup", "file": "several.mrk.json", "name": "three"}, CaseError, "which side goes"),
        ({"kind": "markup", "file": "several.mrk.json", "name": "round"}, CaseError, "which side goes"),
        (
            {"kind": "markup", "file": "plane.mrk.json", "towards_mm": [AT, 5.0, 5.0]},
            PlanError,
            "plane.mrk.json: towards_mm lies in the plane",
        ),
        (
            {"kind": "markup", "file": "several.mrk.json", "name": "three", "towards_mm": [AT, 5.0, 5.0]},
            PlanError,
            "several.mrk.json: towards_mm lies in the plane",
        ),
        ({"kind": "curve", "points_mm": "three of it", "towards_mm": RIGHT}, CaseError, "points_mm"),
        ({"kind": "curve", "points_mm": "ring"}, CaseError, "towards_mm: this key is required"),
        ({"kind": "curve", "points_mm": "one of it", "towards_mm": RIGHT}, PlanError, "at least 4 points"),
        ({"kind": "territory", "structure": "ivc", "branches": [1]}, CaseError, "'portal_vein' or"),
        ({"kind": "territory", "structure": "portal_vein", "branches": []}, CaseError, "branches"),
        ({"kind": "territory", "structure": "portal_vein"}, CaseError, "branches, or lesions and margin_mm"),
        (
            {"kind": "territory", "structure": "portal_vein", "branches": [1], "lesions": [1]},
            CaseError,
            "branches, or lesions and margin_mm",
        ),
        ({"kind": "territory", "structure": "portal_vein", "lesions": [1]}, CaseError, "margin_mm"),
        (
            {"kind": "territory", "structure": "portal_vein", "lesions": [1], "margin_mm": -1},
            PlanError,
            "margin",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(drawn, resection, error, said):
    """Where the file cannot tell, before anything is read; else by the file's name."""
    with pytest.raises(error, match=said):
        carried_out(case_of(plain(resection), folder=drawn))


def test_a_territory_names_its_branches():
    """By number or by name; the liver without territories refuses it."""
    resection = {"kind": "territory", "structure": "portal_vein", "branches": [3, "right"]}
    case = case_of(resection, folder=SAMPLE)
    assert case.plan().stages[0].resections == (TerritoryResection(Structure.PORTAL_VEIN, (3, "right")),)


def test_a_territory_names_lesions_instead():
    """Its branches are found when the plan is carried out."""
    resection = {"kind": "territory", "structure": "hepatic_veins", "lesions": [2, 1], "margin_mm": 5}
    (cut,) = case_of(resection, folder=SAMPLE).plan().stages[0].resections
    assert cut == TerritoryResection(Structure.HEPATIC_VEINS, (), (1, 2), 5.0)


def test_a_plan_is_checked_before_its_files_are_read(tmp_path):
    """What stands for a file lets the rest be checked."""
    case = case_of(
        {"kind": "surface", "file": "none.stl"},
        {"kind": "markup", "file": "none.mrk.json"},
        {"kind": "remnant_mask", "file": "none.nii"},
        {"kind": "segments", "segments": [9]},
        folder=tmp_path,
    )
    with pytest.raises(PlanError, match="from 1 to 8"):
        case.plan()


def test_an_imported_remnant_is_an_input(tmp_path):
    """With its digest."""
    remnant = str(SAMPLE / "masks" / "tumour1.nii.gz")
    case = case_of({"kind": "remnant_mask", "file": remnant}, folder=tmp_path)
    loaded = load_case(case)

    (found,) = imported_remnants(case, case.plan(loaded.files))

    assert (found.role, found.path) == ("remnant, stage 1", remnant)
    assert found.sha256 == hashlib.sha256(Path(remnant).read_bytes()).hexdigest()


def test_a_run_writes_its_cuts_as_markups_that_are_the_plan_again(drawn, truth, tmp_path):
    """plan.mrk.json is listed, holds the plane, and gives the same voxels when it is the plan."""
    ways = plain([WAYS["mesh"], {"kind": "plane", "point_mm": [AT + 30, 0, 0], "normal": [-1, 0, 0]}])
    outcome = run_case(case_of(*ways, folder=drawn))
    write_outcome(outcome, tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report.json").read_text())

    assert "plan.mrk.json" in {o["path"] for o in report["outputs"]}
    assert {"cut, stage 1"} <= {i["role"] for i in report["provenance"]["inputs"]}
    (plane,) = read_markups(tmp_path / "out" / "plan.mrk.json")
    assert plane.name == "stage 1, resection beyond a plane"
    again = [ways[0], {"kind": "markup", "file": str(tmp_path / "out" / "plan.mrk.json")}]
    _, partition = carried_out(case_of(*again, folder=drawn))
    assert np.array_equal(partition.labels, outcome.partition.labels)


def test_plans_without_a_drawn_cut_have_no_markups():
    """And those with several have one each, named by stage, resection and plane."""
    planes = (Plane((0, 0, 0), (0, 0, 1)), Plane((1, 2, 3), (0, 2, 0)))
    mesh = SurfaceResection(SHEET, "sheet.stl")
    rational = SurfaceResection(BezierSurface(GRID, np.full((4, 4), 2.0)), "rational")
    whole = SegmentResection(frozenset({5}))
    assert plan_markups(ResectionPlan((Stage("a", (mesh, whole, rational)),))) == ()
    plan = ResectionPlan(
        (
            Stage("a", (whole, PlaneResection(planes, Combine.ANY))),
            Stage(
                "b",
                (SurfaceResection(ClosedCurve(np.array(ring())), "r"), SurfaceResection(BezierSurface(GRID))),
            ),
        )
    )

    first, second, curve, patch = plan_markups(plan)

    assert (first.name, second.name) == (
        "stage 1, resection beyond any of 2 planes, plane 1",
        "stage 1, resection beyond any of 2 planes, plane 2",
    )
    assert (second.point_mm.tolist(), second.normal.tolist()) == ([1, 2, 3], [0, 1, 0])
    assert (curve.name, patch.name) == ("stage 2, resection beyond r", "stage 2, resection beyond a surface")
    assert curve.closed
    assert np.array_equal(curve.points_mm, ring())
    assert np.array_equal(patch.control_mm, GRID)


def with_vessels(*resections, **tables):
    """A case on the sample's vessels."""
    masks = SAMPLE / "masks"
    return make_case(
        {
            "case": {"id": "vessels"},
            "masks": {key: str(masks / f"{key}.nii.gz") for key in ("liver", "portal_vein", "hepatic_veins")},
            "stage": [{"resections": list(resections)}],
            **tables,
        }
    )


def test_territories_are_found_where_the_plan_names_a_branch_or_the_case_a_root():
    """With find = false only then; from the root given; their branches can be cut."""
    loaded = load_case(with_vessels({"kind": "segments", "segments": [5]}))
    territory = {"kind": "territory", "structure": "portal_vein", "branches": [2]}

    def found(case):
        return with_case_territories(loaded.liver, case)

    off = {"find": False}
    assert found(with_vessels({"kind": "segments", "segments": [5]}, territories=off)) is loaded.liver
    liver = found(with_vessels(territory, territories=off))
    (own,) = liver.territories
    assert own.structure is Structure.PORTAL_VEIN
    case = with_vessels(territory)
    assert resect(liver, case.plan()).pieces[1].count > 0
    vein = next(v for v in loaded.liver.vessels if v.structure is Structure.HEPATIC_VEINS)
    places = loaded.liver.grid.centres_mm(np.argwhere(vein.voxels))
    mouth = places[np.argmax(places[:, 2])].tolist()
    for root in (mouth, [mouth]):
        both = found(with_vessels(territory, territories={**off, "hepatic_root_mm": root}))
        portal, hepatic = both.territories
        assert np.array_equal(portal.labels, own.labels)
        direct = find_territories(loaded.liver, Structure.HEPATIC_VEINS, root_mm=mouth)
        assert np.array_equal(hepatic.labels, direct.labels)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"portal_root_mm": [1.0, 2.0]}, "portal_root_mm"),
        ({"portal_root_mm": []}, "portal_root_mm"),
        ({"portal_root": [1.0, 2.0, 3.0]}, "Did you mean 'portal_root_mm'"),
        ({"weighting": "volume"}, "'wall'"),
    ],
)
def test_wrong_keys_of_the_territories_are_refused(table, said):
    with pytest.raises(CaseError, match=said):
        with_vessels({"kind": "segments", "segments": [5]}, territories=table)


def test_a_root_off_the_vessel_is_refused():
    """By the finder, in its words."""
    case = with_vessels(
        {"kind": "segments", "segments": [5]}, territories={"portal_root_mm": [500.0, 0.0, 0.0]}
    )
    with pytest.raises(LiverError):
        with_case_territories(load_case(case).liver, case)
