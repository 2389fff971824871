"""3D Slicer's markups: read as Slicer shows them, written as it opens them, refused where doubtful."""

from __future__ import annotations

import copy
import json

import jsonschema
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flr_volumetry.errors import FlrError, InputError, OutputError
from flr_volumetry.io import (
    CurveKind,
    MarkupCurve,
    MarkupLine,
    MarkupPlane,
    MarkupPoints,
    MarkupSurface,
    read_markups,
    write_markups,
)
from flr_volumetry.io.markups.writing import SCHEMA

FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])
SPACES = ("LPS", "RAS")
NUMBERS = {"type": "array", "items": {"type": "number"}}


def numbers(count):
    """JSON schema of a list of so many numbers."""
    return {**NUMBERS, "minItems": count, "maxItems": count}


# What version 1.0.3 of the published schema asks for, in the words of this test.
CONTRACT = {
    "type": "object",
    "required": ["@schema", "markups"],
    "properties": {
        "@schema": {"type": "string", "pattern": r"markups-schema-v1\.\d+\.\d+\.json#$"},
        "markups": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["type", "coordinateSystem", "coordinateUnits", "controlPoints"],
                "properties": {
                    "type": {"enum": ["Fiducial", "Line", "Curve", "ClosedCurve", "Plane"]},
                    "name": {"type": "string"},
                    "coordinateSystem": {"const": "LPS"},
                    "coordinateUnits": {"const": "mm"},
                    "locked": {"type": "boolean"},
                    "fixedNumberOfControlPoints": {"type": "boolean"},
                    "labelFormat": {"type": "string"},
                    "lastUsedControlPointNumber": {"type": "integer"},
                    "planeType": {"const": "pointNormal"},
                    "sizeMode": {"const": "absolute"},
                    "autoScalingSizeFactor": {"type": "number"},
                    "center": numbers(3),
                    "normal": numbers(3),
                    "size": numbers(3),
                    "planeBounds": numbers(4),
                    "objectToBase": numbers(16),
                    "baseToNode": numbers(16),
                    "orientation": numbers(9),
                    "measurements": {"type": "array"},
                    "display": {
                        "type": "object",
                        "properties": {"visibility": {"type": "boolean"}, "color": numbers(3)},
                    },
                    "controlPoints": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["id", "label", "position", "orientation", "positionStatus"],
                            "properties": {
                                "id": {"type": "string"},
                                "label": {"type": "string"},
                                "description": {"type": "string"},
                                "associatedNodeID": {"type": "string"},
                                "position": numbers(3),
                                "orientation": numbers(9),
                                "selected": {"type": "boolean"},
                                "locked": {"type": "boolean"},
                                "visibility": {"type": "boolean"},
                                "positionStatus": {"const": "defined"},
                            },
                        },
                    },
                },
                "if": {"properties": {"type": {"const": "Plane"}}},
                "then": {"required": ["planeType", "baseToNode", "objectToBase", "planeBounds", "sizeMode"]},
            },
        },
    },
}


def turn(seed):
    """A turn, from three random numbers."""
    from scipy.spatial.transform import Rotation

    return Rotation.random(random_state=seed).as_matrix()


def points_of(positions, **more):
    """Control points as Slicer lists them."""
    return [
        {
            "id": str(n),
            "label": f"F-{n}",
            "position": list(map(float, p)),
            "positionStatus": "defined",
            **more,
        }
        for n, p in enumerate(positions, start=1)
    ]


def document(*entries, schema=SCHEMA):
    return {"@schema": schema, "markups": list(entries)}


def put(tmp_path, content, name="cut.mrk.json"):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def refused(tmp_path, content, name="cut.mrk.json"):
    """Reason for which a file is refused; its message names the file."""
    path = put(tmp_path, content, name)
    with pytest.raises(FlrError) as caught:
        read_markups(path)
    assert str(path) in caught.value.message
    return caught.value.reason


def entry(kind, positions, space="LPS", **more):
    """A markup whose points are given in LPS, written in either way."""
    sign = np.array([1, 1, 1]) if space == "LPS" else np.array([-1, -1, 1])
    points = points_of(np.asarray(positions, dtype=float) * sign)
    return {"type": kind, "coordinateSystem": space, "controlPoints": points, **more}


def slicer_plane(kind, space, *, seed=1, offset=True):
    """A plane as Slicer writes it, and where Slicer shows it: (entry, point and normal in LPS).

    Slicer works in RAS; its LPS files have x and y of points and the first two rows of both matrices
    with the sign changed.
    """
    rng = np.random.default_rng(seed)
    points = rng.uniform(-90, 90, (1 if kind == "pointNormal" else 3 if kind == "threePoints" else 6, 3))
    base = np.eye(4)
    if kind == "threePoints":
        x, other = points[1] - points[0], points[2] - points[0]
        z = np.cross(x, other)
        base[:3, :3] = np.stack([x, np.cross(z, x), z], axis=1)
        base[:3, :3] /= np.linalg.norm(base[:3, :3], axis=0)
        base[:3, 3] = points[0]
    elif kind == "planeFit":
        base[:3, :3] = turn(seed)
        within = points * [1, 1, 0]
        within[:, :2] -= within[:, :2].mean(axis=0)
        points = within @ base[:3, :3].T + [5.0, -60.0, 12.5]
        base[:3, 3] = points.mean(axis=0)
    else:
        base[:3, :3] = turn(seed)
        base[:3, 3] = points[0]
    within = np.eye(4)
    if offset:
        within[:3, :3] = turn(seed + 100)
        within[:3, 3] = [3.0, -7.0, 11.0]
    shown = base @ within
    flip = FLIP if space == "LPS" else np.eye(4)
    written = {
        "type": "Plane",
        "coordinateSystem": space,
        "planeType": kind,
        "controlPoints": points_of(points @ flip[:3, :3]),
        "center": (flip @ shown)[:3, 3].tolist(),
        "normal": (flip @ shown)[:3, 2].tolist(),
        "objectToBase": (flip @ within).ravel().tolist(),
        "baseToNode": (flip @ base).ravel().tolist(),
        "planeBounds": [-30.0, 50.0, -20.0, 25.0],
        "size": [80.0, 45.0, 0.0],
    }
    return written, (FLIP @ shown)[:3, 3], (FLIP @ shown)[:3, 2]


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("kind", ["pointNormal", "threePoints", "planeFit"])
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("left_out", [(), ("center",), ("normal",), ("center", "normal"), ("baseToNode",)])
def test_a_plane_lies_where_slicer_shows_it(tmp_path, space, kind, seed, left_out):
    """Of every kind, with the object turned and shifted against its base, from what the file has."""
    told = kind != "planeFit" or "baseToNode" not in left_out
    written, point, normal = slicer_plane(kind, space, seed=seed, offset=told)
    for key in left_out:
        del written[key]

    (plane,) = read_markups(put(tmp_path, document(written)))

    assert isinstance(plane, MarkupPlane)
    assert plane.normal == pytest.approx(normal, abs=1e-9)
    assert (plane.point_mm - point) @ normal == pytest.approx(0, abs=1e-9)
    assert plane.size_mm == (80.0, 45.0)
    assert plane.name == "cut"


@pytest.mark.parametrize("space", SPACES)
def test_old_planes_are_of_three_points(tmp_path, space):
    """Files from before there were kinds: origin the first point, z by the right hand."""
    positions = [(10, 20, 30), (14, 20, 30), (10, 25, 30)]

    (plane,) = read_markups(put(tmp_path, document(entry("Plane", positions, space, size=[0, 0, 0]))))

    assert plane.point_mm.tolist() == [10, 20, 30]
    assert plane.normal.tolist() == [0, 0, 1]
    assert plane.size_mm is None


def test_a_plane_by_hand_needs_no_more_than_centre_and_normal(tmp_path):
    """Neither points nor matrices; the normal of any length."""
    by_hand = {
        "type": "Plane",
        "planeType": "pointNormal",
        "center": [1, 2, 3],
        "normal": [0, 3, 4],
        "size": [9, 8],
    }

    (plane,) = read_markups(put(tmp_path, document(by_hand)))

    assert plane.point_mm.tolist() == [1, 2, 3]
    assert plane.normal.tolist() == [0, 0.6, 0.8]
    assert plane.size_mm == (9.0, 8.0)


@pytest.mark.parametrize("kind", ["pointNormal", "threePoints", "planeFit"])
def test_a_plane_that_contradicts_itself_is_refused(tmp_path, kind):
    """Centre off the plane, or normal turned, by more than a tenth; by less they are taken."""
    for moved, turned, sound in ((0.3, 0, False), (0, 0.3, False), (0.05, 0.05, True)):
        written, point, normal = slicer_plane(kind, "LPS")
        across = np.cross(normal, [1.0, 0, 0])
        across /= np.linalg.norm(across)
        written["center"] = (point + moved * normal + 40 * across).tolist()
        angle = np.radians(turned)
        written["normal"] = (np.cos(angle) * normal + np.sin(angle) * across).tolist()
        if not sound:
            assert refused(tmp_path, document(written)) == "contradictory_plane"
        else:
            (plane,) = read_markups(put(tmp_path, document(written)))
            assert plane.normal == pytest.approx(normal, abs=1e-9)
    written["normal"] = (-normal).tolist()
    assert refused(tmp_path, document(written)) == "contradictory_plane"


@pytest.mark.parametrize("space", SPACES)
def test_lines_points_and_curves_come_in_lps(tmp_path, space):
    """Several in one file, named by it, by themselves, and in order."""
    rows = np.array([(1.5, -2.0, 3.25), (40.0, 50.0, -60.0), (7.0, 8.0, 9.0)])
    path = put(
        tmp_path,
        document(
            entry("Line", rows[:2], space),
            entry("Fiducial", rows, space, name="landmarks"),
            entry("Curve", rows, space, name=" "),
            entry("ClosedCurve", rows, space, curveType="linear"),
        ),
        "plan 7.MRK.JSON",
    )

    line, points, curve, ring = read_markups(path)

    assert isinstance(line, MarkupLine)
    assert np.array_equal(line.points_mm, rows[:2])
    assert isinstance(points, MarkupPoints)
    assert np.array_equal(points.points_mm, rows)
    assert points.labels == ("F-1", "F-2", "F-3")
    assert points.at("F-2").tolist() == rows[1].tolist()
    assert isinstance(curve, MarkupCurve)
    assert (curve.closed, curve.kind) == (False, CurveKind.SPLINE)
    assert (ring.closed, ring.kind) == (True, CurveKind.LINEAR)
    assert [m.name for m in (line, points, curve, ring)] == ["plan 7 1", "landmarks", "plan 7 3", "plan 7 4"]
    assert not any(m.points_mm.flags.writeable for m in (line, points, curve, ring))


def test_axes_and_units_as_slicer_understands_them(tmp_path):
    """Nothing said is LPS and mm; 0 is RAS, 1 is LPS; anything else is refused."""
    for stated, x in ((None, 1), ("LPS", 1), ("RAS", -1), (0, -1), (1, 1), ("0", -1), ("1", 1)):
        one = {"type": "Fiducial", "controlPoints": points_of([(1, 2, 3)])}
        if stated is not None:
            one["coordinateSystem"] = stated
        (points,) = read_markups(put(tmp_path, document(one)))
        assert points.points_mm[0].tolist() == [x, 2 * x, 3]
    for stated in ("lps", "IJK", "", 2, True, None, ["LPS"], 1.0):
        assert refused(tmp_path, document({**one, "coordinateSystem": stated})) == "unknown_space"
    assert read_markups(put(tmp_path, document({**one, "coordinateUnits": ["mm", "UCUM", "millimeter"]})))
    for units in ("um", "cm", "", ["mm"], ["um", "UCUM", "x"], None, 1):
        assert refused(tmp_path, document({**one, "coordinateUnits": units})) == "unknown_unit"


def test_points_without_a_place(tmp_path):
    """A preview goes with the mouse and is passed over; an undefined one is missed where all are needed."""
    rows = np.array([(1.0, 2, 3), (40, 50, -60), (7, 8, 9), (1, 5, 1)])
    for status, reason in (("preview", ""), ("undefined", "unfinished")):
        for kind, count in (("Line", 2), ("Curve", 3), ("ClosedCurve", 3), ("Plane", 3)):
            one = entry(kind, rows[: count + 1])
            one["controlPoints"][1].update(positionStatus=status, position="")
            if reason:
                assert refused(tmp_path, document(one)) == reason
            else:
                (read,) = read_markups(put(tmp_path, document(one)))
                assert kind == "Plane" or np.array_equal(read.points_mm, rows[[0, *range(2, count + 1)]])
        one = entry("Fiducial", rows)
        one["controlPoints"][1].update(positionStatus=status, position="")
        (read,) = read_markups(put(tmp_path, document(one)))
        assert read.labels == ("F-1", "F-3", "F-4")
        assert np.array_equal(read.points_mm, rows[[0, 2, 3]])
        for point in one["controlPoints"]:
            point["positionStatus"] = status
        assert refused(tmp_path, document(one)) == "too_few_points"
    one = entry("ClosedCurve", rows[:3])
    one["controlPoints"][2]["positionStatus"] = "preview"
    assert refused(tmp_path, document(one)) == "too_few_points"
    one["controlPoints"][2]["positionStatus"] = "somewhere"
    assert refused(tmp_path, document(one)) == "bad_points"
    del one["controlPoints"][2]["positionStatus"]
    assert read_markups(put(tmp_path, document(one)))
    del one["controlPoints"][2]["position"]
    assert refused(tmp_path, document(one)) == "bad_numbers"


RING = np.array([(30.0, 0, 0), (0, 30, 5), (-30, 0, 0), (0, -30, -5)])


def test_curves_go_through_their_points_as_slicer_draws_them():
    """Ten points a way; a closed one smooth all round; an open one with no slope at its ends."""
    for closed in (True, False):
        curve = MarkupCurve("c", RING, closed)
        drawn = curve.drawn_mm()
        assert len(drawn) == (40 if closed else 31)
        assert drawn[::10] == pytest.approx(RING, abs=1e-12)
    # A uniform periodic cubic spline through the corners of a square, at 1/10 of the first way, by hand:
    # slopes at the corners are (p[i+1] - p[i-1]) * 3/4 for this arrangement.
    slope = 0.75 * (np.roll(RING, -1, 0) - np.roll(RING, 1, 0))
    t = 0.1
    by_hand = (
        (2 * t**3 - 3 * t**2 + 1) * RING[0]
        + (t**3 - 2 * t**2 + t) * slope[0]
        + (3 * t**2 - 2 * t**3) * RING[1]
        + (t**3 - t**2) * slope[1]
    )
    assert MarkupCurve("c", RING, closed=True).drawn_mm()[1] == pytest.approx(by_hand, abs=0.5)
    two = MarkupCurve("c", RING[:2], closed=False).drawn_mm()
    u = np.arange(11)[:, None] / 10
    assert two == pytest.approx(RING[0] + (3 * u**2 - 2 * u**3) * (RING[1] - RING[0]), abs=1e-12)


def test_a_closed_spline_has_no_corner_and_turns_with_its_points():
    """Second differences across the join are as small as elsewhere; another first point, the same curve."""
    dense = MarkupCurve("c", RING, closed=True).drawn_mm(200)
    steps = np.diff(np.vstack([dense, dense[:2]]), axis=0)
    bends = np.linalg.norm(np.diff(steps, axis=0), axis=1)
    assert bends.max() < 2 * bends.mean()
    turned = MarkupCurve("c", np.roll(RING, -1, axis=0), closed=True).drawn_mm(200)
    assert turned == pytest.approx(np.roll(dense, -200, axis=0), abs=1e-9)
    backwards = MarkupCurve("c", RING[::-1], closed=True).drawn_mm(200)
    assert np.roll(backwards[::-1], -199, axis=0) == pytest.approx(dense, abs=1e-9)


def test_straight_curves_are_straight():
    ring = MarkupCurve("c", RING, True, CurveKind.LINEAR).drawn_mm(4)
    assert len(ring) == 16
    assert ring[::4] == pytest.approx(RING, abs=1e-12)
    assert ring[14] == pytest.approx((RING[3] + RING[0]) / 2, abs=1e-12)
    line = MarkupCurve("c", RING, False, CurveKind.LINEAR).drawn_mm(4)
    assert len(line) == 13
    assert line[-1] == pytest.approx(RING[3], abs=1e-12)
    assert line[9] == pytest.approx(RING[2] + (RING[3] - RING[2]) / 4, abs=1e-12)


def everything():
    """One markup of each kind, with numbers that end nowhere."""
    rng = np.random.default_rng(3)
    return (
        MarkupPlane("Cantlie", rng.normal(size=3) * 70, rng.normal(size=3), (120.5, 80.25)),
        MarkupPlane("no size", rng.normal(size=3) * 70, (0, 0, -5)),
        MarkupLine("line", rng.normal(size=(2, 3)) * 90),
        MarkupCurve("ring", rng.normal(size=(7, 3)) * 90, closed=True),
        MarkupCurve("open", rng.normal(size=(4, 3)) * 90, False, CurveKind.LINEAR),
        MarkupPoints("Lebervenen, ÄÖ", rng.normal(size=(3, 3)) * 90, ("a", "b", "")),
        MarkupSurface("patch", rng.normal(size=(4, 5, 3)) * 90),
    )


def test_what_is_written_keeps_to_the_schema_and_is_read_back_to_the_bit(tmp_path):
    path = tmp_path / "plan.mrk.json"

    write_markups(path, everything())
    back = read_markups(path)

    written = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.validate(written, CONTRACT)
    for before, after in zip(everything(), back, strict=True):
        assert type(before) is type(after)
        assert before.name == after.name
        for name in ("point_mm", "points_mm", "control_mm"):
            if hasattr(before, name):
                assert np.array_equal(getattr(before, name), getattr(after, name))
        for name in ("labels", "closed", "kind"):
            assert getattr(before, name, None) == getattr(after, name, None)
    assert back[0].normal == pytest.approx(everything()[0].normal, abs=1e-15)
    assert back[0].size_mm == (120.5, 80.25)
    assert back[1].normal.tolist() == [0, 0, -1]
    assert back[1].size_mm == (200, 200)


@given(
    normal=st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda n: np.linalg.norm(n) > 1e-3),
    point=st.tuples(*[st.floats(-1e3, 1e3)] * 3),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_written_plane_has_right_handed_axes_for_slicer(tmp_path, normal, point):
    """Whatever its normal: what Slicer reads of it (matrices and point) is the same plane."""
    write_markups(tmp_path / "a.json", [MarkupPlane("p", point, normal)])
    one = json.loads((tmp_path / "a.json").read_text())["markups"][0]
    base = FLIP @ np.array(one["baseToNode"]).reshape(4, 4)
    within = FLIP @ np.array(one["objectToBase"]).reshape(4, 4)
    shown = FLIP @ base @ within

    assert np.array_equal(within, np.eye(4))
    assert shown[:3, :3].T @ shown[:3, :3] == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(shown) == pytest.approx(1, abs=1e-12)
    assert shown[:3, 2] == pytest.approx(np.array(normal) / np.linalg.norm(normal), abs=1e-12)
    assert shown[:3, 3].tolist() == one["controlPoints"][0]["position"] == one["center"] == list(point)
    (back,) = read_markups(tmp_path / "a.json")
    assert back.normal == pytest.approx(np.array(normal) / np.linalg.norm(normal), abs=1e-12)


def test_nothing_is_written_where_it_cannot_be(tmp_path):
    for name, markups, reason in (
        ("a.mrk.json", [], "empty"),
        ("a.fcsv", everything(), "bad_name"),
        ("none/a.json", everything(), "unwritable"),
    ):
        with pytest.raises(OutputError) as caught:
            write_markups(tmp_path / name, markups)
        assert caught.value.reason == reason
    assert list(tmp_path.iterdir()) == []


FCSV = (
    "# Markups fiducial file version = 5.2\n# CoordinateSystem = {}\n"
    "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\n"
    '1,1.5,-2,3,0,0,0,1,1,1,0,"hilum, left",,,2,0\n'
    '2,4,5e1,-6,0,0,0,1,1,1,0,"the ""notch""",,vtkMRMLScalarVolumeNode1\n'
    "\n"
    "3,7,8,9,0,0,0,1,1,1,0,F-3,,,0,0\n"
)


@pytest.mark.parametrize(("stated", "sign"), [("LPS", 1), ("1", 1), ("RAS", -1), ("0", -1)])
def test_tables_of_points(tmp_path, stated, sign):
    """Quoted labels; the third point has no place."""
    (points,) = read_markups(put(tmp_path, FCSV.format(stated), "old.fcsv"))

    assert points.name == "old"
    assert points.labels == ("hilum, left", 'the "notch"')
    assert points.points_mm.tolist() == [[1.5 * sign, -2 * sign, 3], [4 * sign, 50 * sign, -6]]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("{}", "IJK", "unknown_space"),
        ("# CoordinateSystem = {}\n", "", "unknown_space"),
        ("{}", "LPS\n# CoordinateSystem = RAS", "unknown_space"),
        ("fiducial file", "file", "unknown_format"),
        ("1.5", "x", "bad_numbers"),
        ("1.5", "nan", "bad_numbers"),
        ("1.5", "1e9", "unusable_input"),
        ("1.5,-2,3,0,0,0,1,1,1,0,", "1.5,", "bad_numbers"),
        ('left"', "left", "damaged"),
        ("\n1,", "\n#1,", ""),
    ],
)
def test_tables_that_are_doubtful_are_refused(tmp_path, old, new, reason):
    text = FCSV.replace(old, new, 1).replace("{}", "LPS")
    if reason:
        assert refused(tmp_path, text, "a.fcsv") == reason
    else:
        assert read_markups(put(tmp_path, text, "a.fcsv"))[0].labels == ('the "notch"',)
    only = "\n".join(line for line in FCSV.format("LPS").splitlines() if line[:1] in "#3")
    assert refused(tmp_path, only, "b.fcsv") == "too_few_points"
    (tmp_path / "c.fcsv").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError):
        read_markups(tmp_path / "c.fcsv")


GRID = np.random.default_rng(7).uniform(-80, 80, (4, 4, 3))


def test_resections_of_slicer_liver(tmp_path):
    """Control points in rows: its own files (always RAS), its old tables, its markups."""
    own = {
        "schemaVersion": 3,
        "surfaceType": "Bezier",
        "state": "Planning",
        "rows": 4,
        "cols": 4,
        "controlGrid": (GRID * [-1, -1, 1]).ravel().tolist(),
        "resection": {"name": "right"},
    }
    table = FCSV.format("LPS").splitlines()[:3]
    table += [f"{n},{x!r},{y!r},{z!r}" for n, (x, y, z) in enumerate(GRID.reshape(-1, 3).tolist())]
    for name, content in (
        ("a.lrp.json", own),
        ("b.lrp.fcsv", "\n".join(table)),
        ("c.mrk.json", document(entry("BezierSurface", GRID.reshape(-1, 3), "RAS"))),
        ("d.mrk.json", document(entry("Fiducial", GRID.reshape(-1, 3), rows=4, columns=4))),
    ):
        (surface,) = read_markups(put(tmp_path, content, name))
        assert isinstance(surface, MarkupSurface)
        assert np.array_equal(surface.control_mm, GRID)
        assert surface.name == ("right" if name == "a.lrp.json" else name[0])
    oblong = {**own, "schemaVersion": 2, "rows": 2, "cols": 8, "resection": {}}
    (surface,) = read_markups(put(tmp_path, oblong, "a.lrp.json"))
    assert surface.control_mm.shape == (2, 8, 3)
    assert surface.name == "a"
    three = {**own, "rows": 3, "cols": 3, "controlGrid": (GRID[:3, :3] * [-1, -1, 1]).ravel().tolist()}
    (surface,) = read_markups(put(tmp_path, three, "a.lrp.json"))
    u = np.array([0.0, 0.3, 0.8, 1.0])
    square = np.stack([(1 - u) ** 2, 2 * u * (1 - u), u**2])
    cube = np.stack([(1 - u) ** 3, 3 * u * (1 - u) ** 2, 3 * u**2 * (1 - u), u**3])
    assert surface.control_mm.shape == (4, 4, 3)
    assert np.einsum("au,bv,abx->uvx", cube, cube, surface.control_mm) == pytest.approx(
        np.einsum("au,bv,abx->uvx", square, square, GRID[:3, :3]), abs=1e-12
    )
    for change, reason in (
        ({"schemaVersion": 1}, "unread_kind"),
        ({"schemaVersion": True}, "unread_kind"),
        ({"surfaceType": "Nurbs"}, "unread_kind"),
        ({"state": "Init"}, "unfinished"),
        ({"rows": 3}, "bad_numbers"),
        ({"rows": 4.0}, "wrong_grid"),
        ({"rows": 1, "cols": 16}, "wrong_grid"),
        ({"controlGrid": [1e9] * 48}, "unusable_input"),
    ):
        assert refused(tmp_path, {**own, **change}, "a.lrp.json") == reason
    assert refused(tmp_path, "\n".join(table[:-1]), "b.lrp.fcsv") == "wrong_grid"


def changed(one, **more):
    return {**copy.deepcopy(one), **more}


def moved(one, **more):
    one = copy.deepcopy(one)
    one["controlPoints"][0].update(more)
    return one


PLANE = slicer_plane("pointNormal", "LPS", offset=False)[0]
THREE = slicer_plane("threePoints", "LPS", offset=False)[0]
FITTED = slicer_plane("planeFit", "LPS", offset=False)[0]
IN_LINE = points_of([(0, 0, 0), (1, 1, 1), (5, 5, 5)])
CURVE = entry("ClosedCurve", RING)


def without(one, *keys):
    return {key: value for key, value in one.items() if key not in keys}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "not_json"),
        ("{", "not_json"),
        ("[1]", "no_markups"),
        ("[" * 100_000, "not_json"),
        ('{"@schema": NaN}', "not_json"),
        ('{"@schema": "a", "@schema": "b"}', "not_json"),
        ('{"n": ' + "9" * 5000 + "}", "not_json"),
        (document(CURVE, schema="https://x/markups-schema-v2.0.0.json#"), "unknown_schema"),
        (document(CURVE, schema=3), "unknown_schema"),
        ({"markups": [CURVE]}, "unknown_schema"),
        (document(), "no_markups"),
        ({"@schema": SCHEMA, "markups": {"a": 1}}, "no_markups"),
        (document([1]), "no_markups"),
        (document(changed(CURVE, type="Angle")), "unread_kind"),
        (document(changed(CURVE, type="ROI")), "unread_kind"),
        (document(changed(CURVE, type="Sphere")), "unread_kind"),
        (document(changed(CURVE, type=["Line"])), "unread_kind"),
        (document(without(CURVE, "type")), "unread_kind"),
        (document(changed(CURVE, curveType="polynomial")), "unread_kind"),
        (document(changed(CURVE, curveType="shortestSurfaceDistance")), "unread_kind"),
        (document(changed(CURVE, curveType=["linear"])), "unread_kind"),
        (document(changed(CURVE, controlPoints="none")), "bad_points"),
        (document(changed(CURVE, controlPoints=[1, 2, 3])), "bad_points"),
        (document(without(CURVE, "controlPoints")), "too_few_points"),
        (document(changed(CURVE, controlPoints=CURVE["controlPoints"][:2])), "too_few_points"),
        (document(changed(CURVE, type="Line")), "too_few_points"),
        (document(changed(CURVE, type="BezierSurface")), "wrong_grid"),
        (document(changed(CURVE, type="Fiducial", rows=2, columns=3)), "wrong_grid"),
        (document(changed(CURVE, type="Fiducial", rows=4)), "wrong_grid"),
        (document(moved(CURVE, position=[1, 2])), "bad_numbers"),
        (document(moved(CURVE, position=[1, 2, "3"])), "bad_numbers"),
        (document(moved(CURVE, position=[1, 2, True])), "bad_numbers"),
        (document(moved(CURVE, position=[1, 2, None])), "bad_numbers"),
        (document(moved(CURVE, position=[1, 2, 10**400])), "bad_numbers"),
        (document(moved(CURVE, position=[1, 2, 1e301])), "bad_numbers"),
        (document(moved(CURVE, position=[1, 2, 1e7])), "unusable_input"),
        (document(changed(PLANE, planeType="box")), "unread_kind"),
        (document(changed(PLANE, planeType=["box"])), "unread_kind"),
        (document(without(PLANE, "baseToNode", "center")), "unfinished"),
        (document(without(PLANE, "baseToNode", "normal")), "unfinished"),
        (document(changed(PLANE, controlPoints=[])), "too_few_points"),
        (document(changed(without(PLANE, "baseToNode", "center"), controlPoints=[])), "too_few_points"),
        (document(changed(PLANE, normal=[0, 0, 0])), "zero_normal"),
        (document(changed(PLANE, center=[0, 0])), "bad_numbers"),
        (document(changed(PLANE, baseToNode=[1.0] * 16)), "bad_matrix"),
        (document(changed(PLANE, baseToNode=[1.0] * 15)), "bad_numbers"),
        (document(changed(PLANE, baseToNode=np.diag([1.0, 1, -1, 1]).ravel().tolist())), "bad_matrix"),
        (document(changed(PLANE, baseToNode=np.diag([1.0, 1, 1, 2]).ravel().tolist())), "bad_matrix"),
        (document(changed(PLANE, objectToBase=np.diag([2.0, 1, 1, 1]).ravel().tolist())), "bad_matrix"),
        (document(changed(PLANE, planeBounds=[1, 2, 3])), "bad_numbers"),
        (document(changed(without(PLANE, "planeBounds"), size="large")), "bad_numbers"),
        (document(changed(THREE, controlPoints=THREE["controlPoints"][:2])), "too_few_points"),
        (document(changed(THREE, controlPoints=THREE["controlPoints"] * 2)), "too_few_points"),
        (
            document(changed(THREE, controlPoints=points_of([(0, 0, 0), (1, 1, 1), (5, 5, 5)]))),
            "collinear_points",
        ),
        (document(changed(THREE, controlPoints=points_of([(1, 1, 1)] * 3))), "collinear_points"),
        (
            document(changed(FITTED, controlPoints=points_of([(0, 0, 0), (1, 1, 1), (5, 5, 5)]))),
            "collinear_points",
        ),
        (document(changed(FITTED, controlPoints=FITTED["controlPoints"][:2])), "too_few_points"),
        (document(without(FITTED, "baseToNode", "normal")), "unfinished"),
        (document(without(slicer_plane("planeFit", "LPS")[0], "baseToNode")), "unfinished"),
    ],
)
def test_what_is_wrong_is_refused_with_its_reason(tmp_path, content, reason):
    assert refused(tmp_path, content) == reason


def test_files_that_are_not_there_or_too_large(tmp_path, monkeypatch):
    with pytest.raises(InputError) as caught:
        read_markups(tmp_path / "none.mrk.json")
    assert caught.value.reason == "not_found"
    monkeypatch.setattr("flr_volumetry.io.markups.files.MAX_FILE_BYTES", 50)
    assert refused(tmp_path, document(CURVE)) == "too_large"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: MarkupPlane("p", (0, 0, 0), (0, 0, 0)), "zero_normal"),
        (lambda: MarkupPlane("p", (0, 0), (0, 0, 1)), "unusable_input"),
        (lambda: MarkupPlane("p", (0, 0, np.inf), (0, 0, 1)), "unusable_input"),
        (lambda: MarkupPlane("p", "abc", (0, 0, 1)), "unusable_input"),
        (lambda: MarkupLine("l", RING), "too_few_points"),
        (lambda: MarkupCurve("c", RING[:1], closed=False), "too_few_points"),
        (lambda: MarkupCurve("c", RING[:2], closed=True), "too_few_points"),
        (lambda: MarkupPoints("f", RING, ("a",)), "unusable_input"),
        (lambda: MarkupPoints("f", RING, tuple("aabc")).at("a"), "unknown_point"),
        (lambda: MarkupPoints("f", RING, tuple("aabc")).at("d"), "unknown_point"),
        (lambda: MarkupPoints("f", RING, tuple("abcd")).grid_mm(3, 2), "wrong_grid"),
        (lambda: MarkupSurface("s", RING), "unusable_input"),
        (lambda: MarkupSurface("s", RING[None]), "unusable_input"),
        (lambda: MarkupSurface("s", np.zeros((2, 2, 2))), "unusable_input"),
    ],
)
def test_values_that_cannot_be_are_refused(make, reason):
    with pytest.raises(InputError) as caught:
        make()
    assert caught.value.reason == reason


def test_points_as_a_grid():
    points = MarkupPoints("f", GRID.reshape(-1, 3), ("",) * 16)
    assert np.array_equal(points.grid_mm(2, 8), GRID.reshape(2, 8, 3))
