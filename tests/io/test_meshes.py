"""Cutting surfaces in mesh files: the same solid out of every format, and no damaged one out of any."""

from __future__ import annotations

import resource
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from flr_volumetry.errors import FlrError, OutputError
from flr_volumetry.io import Space, read_surface, write_surface
from flr_volumetry.resection import TriangleSurface
from tests.io.mesh_files import (
    MAKERS,
    ellipsoid,
    obj,
    ply_ascii,
    ply_binary,
    signed_volume,
    stl_ascii,
    stl_binary,
    vtk_legacy,
    vtp,
)

POINTS, TRIANGLES = ellipsoid()
SQUARES = [(0, 1, 2, 3), (0, 1, 2), (4, 3, 2, 1, 0)]
FLAT = np.array([(0, 0, 0), (9, 0, 0), (9, 8, 0), (0, 8, 0), (-3, 4, 0)], dtype=float)


def put(tmp_path, suffix, data):
    """Write a file and return its path."""
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(data)
    return path


def refused(path, **choice):
    """Return the reason for which a file is refused, and check that its message names it."""
    with pytest.raises(FlrError) as caught:
        read_surface(path, **choice)
    assert str(path) in caught.value.message
    return caught.value.reason


@pytest.mark.parametrize("kind", MAKERS)
def test_every_format_gives_the_same_corners_in_the_same_order(tmp_path, kind):
    """Exactly, and with the side that faces outwards facing outwards."""
    suffix, make = MAKERS[kind]

    surface = read_surface(put(tmp_path, suffix, make(POINTS, TRIANGLES)))

    assert np.array_equal(surface.vertices_mm[surface.triangles], POINTS[TRIANGLES])
    assert len(surface.vertices_mm) == len(POINTS)
    assert signed_volume(surface.vertices_mm, surface.triangles) == pytest.approx(
        signed_volume(POINTS, TRIANGLES), rel=1e-12
    )
    assert 0.8 < signed_volume(POINTS, TRIANGLES) / (4 / 3 * np.pi * 31 * 29 * 17) < 1
    assert not surface.vertices_mm.flags.writeable


@pytest.mark.parametrize("kind", [k for k in MAKERS if not k.startswith("stl")])
def test_polygons_are_divided_from_their_first_corner(tmp_path, kind):
    """A square, a triangle and a pentagon, whose areas are known and which keep their side."""
    suffix, make = MAKERS[kind]

    surface = read_surface(put(tmp_path, suffix, make(FLAT, SQUARES)))

    assert surface.triangles.tolist() == [
        [0, 1, 2],
        [0, 2, 3],
        [0, 1, 2],
        [4, 3, 2],
        [4, 2, 1],
        [4, 1, 0],
    ]
    corners = surface.vertices_mm[surface.triangles]
    areas = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] / 2
    assert areas[:2].sum() == 72
    assert areas[2] == 36
    assert areas[3:].sum() == -84


def test_rows_of_different_lengths_are_not_taken_for_a_table(tmp_path):
    """Fifteen numbers, as three rows of five would have, and the same second number in each of these."""
    faces = [(0, 1, 2, 3), (0, 1, 2), (4, 0, 2, 1, 3)]

    surface = read_surface(put(tmp_path, ".ply", ply_ascii(FLAT, faces)))

    assert surface.triangles.tolist() == [[0, 1, 2], [0, 2, 3], [0, 1, 2], [4, 0, 2], [4, 2, 1], [4, 1, 3]]


@pytest.mark.parametrize("make", [lambda p, f: vtk_legacy(p, f, binary=True, strips=True), None])
def test_strips_turn_by_turns(tmp_path, make):
    """Every triangle of a flat strip faces the way the first does."""
    points = np.array([(x, y, 0) for x in range(5) for y in (0, 1)], dtype=float)
    strips = [tuple(range(1, 10)), (4, 5, 6)]
    data = make(points, strips) if make else vtp(points, strips, strips=True)

    surface = read_surface(put(tmp_path, ".vtk", data))

    corners = surface.vertices_mm[surface.triangles]
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2]
    assert len(facing) == 8
    assert (facing[:7] == facing[0]).all()
    assert (facing[:7] == 1).all()
    assert facing[7] == -1


@pytest.mark.parametrize("kind", [k for k in MAKERS if not k.startswith("vtp ") or k == "vtp text"])
def test_ras_is_turned_into_lps(tmp_path, kind):
    """Half a turn about the long axis: x and y change their sign, the volume does not."""
    suffix, make = MAKERS[kind]
    data = make(POINTS, TRIANGLES)
    data = data.replace(b"SPACE=LPS", b"SPACE=RAS").replace(b"76 80 83", b"82 65 83")

    surface = read_surface(put(tmp_path, suffix, data))

    assert np.array_equal(surface.vertices_mm[surface.triangles], (POINTS * [-1, -1, 1])[TRIANGLES])
    assert signed_volume(surface.vertices_mm, surface.triangles) > 0


def test_axes_are_never_guessed(tmp_path):
    """Stated by nobody, by the caller, by both, twice, or in an unknown way."""
    silent = put(tmp_path, ".stl", stl_binary(POINTS, TRIANGLES, b"nothing said"))
    assert refused(silent) == "unknown_space"
    lps = read_surface(silent, space=Space.LPS)
    ras = read_surface(silent, space=Space.RAS)
    assert np.array_equal(lps.vertices_mm * [-1, -1, 1], ras.vertices_mm)
    stated = put(tmp_path, ".STL", stl_binary(POINTS, TRIANGLES, b"SPACE=RAS"))
    assert refused(stated, space=Space.LPS) == "contradictory_space"
    assert np.array_equal(read_surface(stated, space=Space.RAS).vertices_mm, ras.vertices_mm)
    for header in (b"SPACE=SCANNER", b"SPACE=LPS SPACE=RAS", b"SPACE=L"):
        assert refused(put(tmp_path, ".stl", stl_binary(POINTS, TRIANGLES, header))) == "unknown_space"
    whole = stl_binary(POINTS, TRIANGLES, b"AEROSPACE=XYZ")
    assert refused(put(tmp_path, ".stl", whole)) == "unknown_space"
    assert read_surface(tmp_path / "cut.stl", space=Space.LPS)
    spaced = read_surface(put(tmp_path, ".stl", stl_binary(POINTS, TRIANGLES, b"space = lps")))
    assert np.array_equal(spaced.vertices_mm, lps.vertices_mm)


def test_no_coordinate_becomes_minus_nought(tmp_path):
    """Turned from RAS, 0 is 0."""
    flat = read_surface(put(tmp_path, ".obj", obj(FLAT, SQUARES)).with_suffix(".obj"))
    turned = read_surface(
        put(tmp_path, ".obj", obj(FLAT, SQUARES).replace(b"SPACE=LPS", b"SPACE=RAS")), space=Space.RAS
    )
    for surface in (flat, turned):
        assert not np.signbit(surface.vertices_mm[surface.vertices_mm == 0]).any()


def test_corners_of_stl_are_merged_where_they_are_the_same_and_only_there(tmp_path):
    """Minus nought is nought; the next float is another place; what lost its area is gone."""
    close = np.nextafter(np.float32(5), np.float32(6))
    corners = np.array(
        [
            [(5, 0, 0), (9, 0, 0), (9, 9, 0)],
            [(9, 9, -0.0), (5, -0.0, 0), (0, 9, 0)],
            [(close, 0, 0), (9, 9, 0), (0, 9, 0)],
            [(5, 0, 0), (9, 9, 9), (5, 0, 0)],
            [(1, 2, 3), (1, 2, 3), (4, 5, 6)],
            [(1, 2, 3), (4, 5, 6), (4, 5, 6)],
        ],
        dtype=np.float64,
    ).reshape(-1, 3)
    data = stl_binary(corners, np.arange(18).reshape(-1, 3))

    surface = read_surface(put(tmp_path, ".stl", data))

    assert surface.triangles.tolist() == [[0, 1, 2], [2, 0, 3], [4, 2, 3]]
    assert surface.vertices_mm[:5].tolist() == [[5, 0, 0], [9, 0, 0], [9, 9, 0], [0, 9, 0], [close, 0, 0]]


@given(corners=hnp.arrays(np.float32, (12, 3), elements=st.sampled_from([-1.5, 0.0, 2.0, 7.25])))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_merging_keeps_every_triangle_with_three_corners(tmp_path, corners):
    """Against one corner after the other; points in the order in which they first come."""
    kept, points = [], []
    for triangle in corners.astype(float).reshape(-1, 3, 3).tolist():
        for corner in triangle:
            if corner not in points:
                points.append(corner)
        if len({tuple(c) for c in triangle}) == 3:
            kept.append([points.index(c) for c in triangle])
    path = put(tmp_path, ".stl", stl_binary(corners, np.arange(12).reshape(-1, 3)))
    if not kept:
        assert refused(path) == "empty_surface"
        return

    surface = read_surface(path)

    assert surface.triangles.tolist() == kept
    assert surface.vertices_mm.tolist() == points


@pytest.mark.parametrize(
    "text",
    [
        # As VTK 9 writes a tetrahedron: base64 with its length in one, and packed with the lengths apart.
        "BAAAAExQUwA=|MAAAAAAAAAAAAAAAAAAAAAAAKEEAAAAAAAAAAAAAAAAAAKJBAAAAAAAAAAAAAAAAAADwwQ==|"
        "YAAAAAAAAAAAAAAAAgAAAAAAAAABAAAAAAAAAAAAAAAAAAAAAQAAAAAAAAADAAAAAAAAAAEAAAAAAAAAAgAAAAAAAAADAAAA"
        "AAAAAAIAAAAAAAAAAAAAAAAAAAADAAAAAAAAAA==|IAAAAAMAAAAAAAAABgAAAAAAAAAJAAAAAAAAAAwAAAAAAAAA|UInt32|",
        "AQAAAAAAAAAAgAAAAAAAAAQAAAAAAAAADAAAAAAAAAA=eF7zCQhmAAACygDw|AQAAAAAAAAAAgAAAAAAAADAAAAAAAAAAFQAAAA"
        "AAAAA=eF5jYEAGGo4oXIZFaPwPBwEgNwL+|AQAAAAAAAAAAgAAAAAAAAGAAAAAAAAAAHwAAAAAAAAA=eF5jYIAAJijNyIAKYHxm"
        "ND5MPUwcxocBmDgAA3AAEw==|AQAAAAAAAAAAgAAAAAAAACAAAAAAAAAAEwAAAAAAAAA=eF5jZoAANijNCaV5oDQAAgAAHw==|"
        'UInt64| compressor="vtkZLibDataCompressor"',
    ],
)
def test_arrays_as_vtk_itself_writes_them(tmp_path, text):
    space, points, corners, ends, head, packed = text.split("|")
    array = '<DataArray type="{}" Name="{}" format="binary">\n{}\n</DataArray>'
    data = (
        f'<VTKFile type="PolyData" version="1.0" byte_order="LittleEndian" header_type="{head}"{packed}>'
        f"<PolyData><FieldData>{array.format('String', 'SPACE', space)}</FieldData>"
        f'<Piece NumberOfPoints="4" NumberOfPolys="4"><Points>{array.format("Float32", "Points", points)}'
        f"</Points><Polys>{array.format('Int64', 'connectivity', corners)}"
        f"{array.format('Int64', 'offsets', ends)}</Polys></Piece></PolyData></VTKFile>"
    )

    surface = read_surface(put(tmp_path, ".vtp", data.encode()))

    assert surface.vertices_mm.tolist() == [[0, 0, 0], [10.5, 0, 0], [0, 20.25, 0], [0, 0, -30]]
    assert surface.triangles.tolist() == [[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]]


def test_pieces_of_a_vtp_are_one_surface(tmp_path):
    """The points of the second are counted behind those of the first."""
    one = vtp(FLAT, SQUARES[:2]).decode()
    start, stop = one.index("<Piece"), one.index("</PolyData>")
    data = one[:stop] + one[start:stop] + one[stop:]

    surface = read_surface(put(tmp_path, ".vtp", data.encode()))

    assert surface.triangles.tolist() == [[0, 1, 2], [0, 2, 3], [0, 1, 2], [5, 6, 7], [5, 7, 8], [5, 6, 7]]
    far = data[: data.rindex("0 1 2 3 0 1 2")] + data[data.rindex("0 1 2 3 0 1 2") :].replace(
        "2 3 0", "2 5 0"
    )
    assert refused(put(tmp_path, ".vtp", far.encode())) == "bad_index"
    near = data.replace("0 1 2 3 0 1 2", "0 1 2 5 0 1 2", 1)
    assert refused(put(tmp_path, ".vtp", near.encode())) == "bad_index"


def test_fields_of_legacy_files_may_state_the_axes_and_must_not_contradict(tmp_path):
    """As VTK keeps strings, long ones too, in text and in bytes."""
    note = b"y" * 300
    for binary in (True, False):
        plain = vtk_legacy(POINTS, TRIANGLES, binary=binary).replace(b"SPACE=LPS", b"quietly")
        texts = b"\xc3LPS" + b"\x81\x2c" + note + b"\n" if binary else b"LPS\n" + note + b"\n"
        field = b"FIELD FieldData 2\nSPACE 1 1 string\n" + texts[:4]
        field += b"\nnote 1 1 string\n" + texts[4:]
        data = plain.replace(b"FIELD FieldData 1\n", field + b"FIELD FieldData 1\n", 1)

        assert len(read_surface(put(tmp_path, ".vtk", data)).triangles) == len(TRIANGLES)
        assert refused(put(tmp_path, ".vtk", data.replace(b"quietly", b"SPACE=RAS", 1))) == "unknown_space"


@pytest.mark.parametrize("suffix", [".stl", ".ply", ".PLY"])
def test_what_is_written_is_read_back(tmp_path, suffix):
    """PLY to the bit; STL to the rounding of float32; LPS stated; another file replaced."""
    points = POINTS + 1e-7
    path = put(tmp_path, suffix, b"something else")

    write_surface(path, TriangleSurface(points, TRIANGLES))
    back = read_surface(path)

    exact = suffix != ".stl"
    assert np.abs(back.vertices_mm[back.triangles] - points[TRIANGLES]).max() <= (0 if exact else 1e-5)
    assert b"SPACE=LPS" in path.read_bytes()[:200]
    assert not path.read_bytes().startswith(b"solid")
    if suffix == ".stl":
        facet = np.frombuffer(path.read_bytes(), "<f4", 12, 84)
        a, b, c = facet[3:].reshape(3, 3).astype(float)
        normal = np.cross(b - a, c - a)
        assert facet[:3] == pytest.approx(normal / np.linalg.norm(normal), abs=1e-5)


def test_a_triangle_without_area_is_written_with_a_normal_of_nought(tmp_path):
    write_surface(tmp_path / "a.stl", TriangleSurface([(0, 0, 0), (1, 0, 0), (2, 0, 0)], [(0, 1, 2)]))

    assert np.frombuffer((tmp_path / "a.stl").read_bytes(), "<f4", 3, 84).tolist() == [0, 0, 0]


def test_other_endings_are_not_written(tmp_path):
    with pytest.raises(OutputError) as caught:
        write_surface(tmp_path / "cut.obj", TriangleSurface(POINTS, TRIANGLES))
    assert caught.value.reason == "bad_name"


@pytest.mark.parametrize("kind", MAKERS)
def test_a_file_cut_short_is_refused(tmp_path, kind):
    """Wherever it ends before its last number."""
    suffix, make = MAKERS[kind]
    data = make(POINTS, TRIANGLES)
    end = {"obj": len(data) - 5, "vtk": data.rfind(b"POINT_DATA") - 3}.get(kind[:3], len(data) - 30)
    whole = read_surface(put(tmp_path, suffix, data))

    for stop in [*range(0, end, max(1, end // 60)), end]:
        path = put(tmp_path, suffix, data[:stop])
        if kind == "stl text" and 0 < data.rfind(b"endsolid", 0, stop) > data.rfind(b"facet", 0, stop):
            # Between two solids, a text may well end.
            assert len(read_surface(path).triangles) == len(TRIANGLES) // 2
        elif kind == "obj":
            # A text of lines has no end of its own; what is there is read, never more.
            try:
                assert len(read_surface(path).triangles) < len(whole.triangles) + 1
            except FlrError:
                continue
        else:
            refused(path)


PLY = ply_binary(FLAT, SQUARES)
TEXT = ply_ascii(FLAT, SQUARES)
VTK = vtk_legacy(FLAT, SQUARES, binary=False)
VTK5 = vtk_legacy(FLAT, SQUARES, binary=False, version="5.1")
VTP = vtp(FLAT, SQUARES)
OBJ = obj(FLAT, SQUARES)
STL = stl_ascii(FLAT, np.array([(0, 1, 2), (0, 2, 3)]))
HUGE = b"4000000000"


@pytest.mark.parametrize(
    ("suffix", "data", "reason"),
    [
        (".txt", b"hello", "unknown_format"),
        (".stl", b"", "truncated"),
        (".stl", b"hello" * 40, "truncated"),
        (".stl", stl_binary(FLAT, []), "empty_surface"),
        (".stl", stl_binary(POINTS, TRIANGLES) + b"\0", "truncated"),
        (".stl", stl_binary(POINTS * np.nan, TRIANGLES), "bad_coordinates"),
        (".stl", stl_binary(POINTS * 1e5, TRIANGLES), "bad_coordinates"),
        (".stl", STL.replace(b"endfacet", b"endface"), "damaged"),
        (".stl", STL.replace(b"vertex 9.0", b"vertex nan", 1), "not_numbers"),
        (".stl", STL.replace(b"vertex 9.0", b"vertex 9_0", 1), "not_numbers"),
        (".stl", STL.replace(b"vertex 9.0", b"vertex", 1), "damaged"),
        (".stl", STL.replace(b"endloop", b"vertex 1 2 3\nendloop", 1), "damaged"),
        (".stl", STL.replace(b"endsolid", b"solid", 1), "truncated"),
        (".stl", STL.replace(b"solid", b"solid\nsolid", 1), "truncated"),
        (".stl", STL.replace(b"\nsolid", b"\nfacet\nsolid", 1), "damaged"),
        (".stl", STL + b"facet", "damaged"),
        (".stl", b"solid a SPACE=LPS\nendsolid", "empty_surface"),
        (".ply", PLY.replace(b"uchar int", b"uchar foo"), "damaged"),
        (".ply", PLY.replace(b"uchar int", b"float int"), "damaged"),
        (".ply", PLY.replace(b"float z", b"float y"), "damaged"),
        (".ply", PLY.replace(b"float z", b"float w"), "damaged"),
        (".ply", PLY.replace(b"element vertex", b"element corner"), "damaged"),
        (".ply", PLY.replace(b"vertex_indices", b"neighbours"), "damaged"),
        (".ply", PLY.replace(b"end_header", b"headerend"), "truncated"),
        (".ply", PLY.replace(b"binary_little_endian", b"binary_middle_endian"), "damaged"),
        (".ply", PLY.replace(b"vertex 5", b"vertex " + HUGE), "truncated"),
        (".ply", PLY.replace(b"face 3", b"face " + HUGE), "truncated"),
        (".ply", PLY.replace(b"face 3", b"face -1"), "damaged"),
        (".ply", PLY.replace(b"face 3", b"face 2"), "damaged"),
        (".ply", PLY + b"x", "damaged"),
        (".ply", PLY.replace(b"element face", b"property list int int a\nelement face"), "truncated"),
        (".ply", PLY[:-4] + struct.pack("<i", 5), "bad_index"),
        (".ply", PLY[:-4] + struct.pack("<i", -1), "bad_index"),
        (".ply", ply_binary(FLAT, [(0, 1), (1, 2, 3)]), "bad_polygon"),
        (".ply", ply_binary(FLAT, []), "empty_surface"),
        (
            ".ply",
            ply_binary(FLAT, []).replace(b"element face", b"element tristrips 1\nelement face"),
            "unsupported",
        ),
        (".ply", TEXT.replace(b"face 3", b"face " + HUGE), "truncated"),
        (".ply", TEXT.replace(b"vertex 5", b"vertex " + HUGE), "truncated"),
        (".ply", TEXT.replace(b"face 3", b"face 2"), "damaged"),
        (".ply", TEXT.replace(b"4 0 1 2 3", b"4 0 1 2 x"), "not_numbers"),
        (".ply", TEXT.replace(b"4 0 1 2 3", b"4 0 1 2 3.5"), "bad_index"),
        (".ply", TEXT.replace(b"4 0 1 2 3", b"-4 0 1 2 3"), "damaged"),
        (".ply", TEXT.replace(b"4 0 1 2 3", b"1e300 0 1 2 3"), "bad_index"),
        (".ply", TEXT.replace(b"9.0", b"1e999", 1), "bad_coordinates"),
        (".ply", TEXT.replace(b"element face", b"property list uchar int n\nelement face"), "unsupported"),
        (".obj", OBJ.replace(b"f ", b"curv2 ", 1), "damaged"),
        (".obj", OBJ.replace(b"v 9.0", b"v x", 1), "not_numbers"),
        (".obj", OBJ.replace(b"v 9.0", b"v nan", 1), "bad_coordinates"),
        (".obj", OBJ.replace(b"v 9.0", b"v", 1), "truncated"),
        (".obj", OBJ.replace(b"v 9.0 0.0 0.0", b"v 9 0 0 2", 1), "unsupported"),
        (".obj", OBJ.replace(b"f 1//1", b"f 0//1", 1), "bad_index"),
        (".obj", OBJ.replace(b"f 1//1", b"f 6//1", 1), "bad_index"),
        (".obj", OBJ.replace(b"f 1//1", b"f -6//1", 1), "bad_index"),
        (".obj", OBJ.replace(b"f 1//1", b"f x//1", 1), "bad_index"),
        (".obj", OBJ.replace(b"f 1//1", b"f 99999999999999999999//1", 1), "bad_index"),
        (".obj", OBJ + b"f 1 2", "bad_polygon"),
        (".obj", OBJ + b"f 1 2 \\", "truncated"),
        (".obj", b"# SPACE=LPS\nv 1 2 3\n", "empty_surface"),
        (".vtk", VTK.replace(b"Version 4.2", b"Version 7.2"), "damaged"),
        (".vtk", VTK.replace(b"ASCII", b"ASCIT"), "damaged"),
        (".vtk", VTK.replace(b"POLYDATA", b"UNSTRUCTURED_GRID"), "not_a_surface"),
        (".vtk", VTK.replace(b"POINTS 5", b"POINTS " + HUGE), "truncated"),
        (".vtk", VTK.replace(b"POINTS 5", b"POINTS 5e0"), "damaged"),
        (".vtk", VTK.replace(b"POINTS 5 float", b"POINTS 5 string"), "damaged"),
        (".vtk", VTK.replace(b"POINTS 5 float", b"POINTS 4 float"), "damaged"),
        (".vtk", VTK.replace(b"POINTS 5 float", b"POINTS 6 float"), "not_numbers"),
        (".vtk", VTK.replace(b"POLYGONS 3 15", b"POLYGONS 2 15"), "bad_polygon"),
        (".vtk", VTK.replace(b"POLYGONS 3 15", b"POLYGONS 3 14"), "bad_polygon"),
        (".vtk", VTK.replace(b"4 0 1 2 3 3", b"9 0 1 2 3 3"), "bad_polygon"),
        (".vtk", VTK.replace(b"4 0 1 2 3 3", b"4 0 1 2 9 3"), "bad_index"),
        (".vtk", VTK.replace(b"4 0 1 2 3 3", b"4 0 1 2 -3 3"), "bad_index"),
        (".vtk", VTK.replace(b"4 0 1 2 3 3", b"-4 0 1 2 3 3"), "bad_polygon"),
        (".vtk", vtk_legacy(FLAT, [(0, 1, 2, 4), (1, 2)], binary=False), "bad_polygon"),
        (".vtk", VTK.replace(b"TimeValue 1 1 double", b"TimeValue 1 double"), "truncated"),
        (".vtk", VTK.replace(b"TimeValue 1 1 double", b"TimeValue 9999 9999 string"), "truncated"),
        (".vtk", VTK.replace(b"POLYGONS", b"HEXAGONS"), "damaged"),
        (".vtk", VTK5.replace(b"OFFSETS", b"BEGINS"), "truncated"),
        (".vtk", VTK5.replace(b"\n0 4 7 12", b"\n1 4 7 12"), "bad_polygon"),
        (".vtk", VTK5.replace(b"\n0 4 7 12", b"\n0 4 7 11"), "bad_polygon"),
        (".vtk", VTK5.replace(b"\n0 4 7 12", b"\n0 7 4 12"), "bad_polygon"),
        (".vtk", VTK[: VTK.index(b"POINTS")], "truncated"),
        (".vtk", VTK.replace(b"DATASET", b"\0" * 3000 + b"DATASET"), "damaged"),
        (".vtp", VTP.replace(b"PolyData>", b"PolyDate>", 1), "damaged"),
        (".vtp", VTP.replace(b'type="PolyData"', b'type="UnstructuredGrid"'), "not_a_surface"),
        (".vtp", b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><VTKFile/>", "damaged"),
        (".vtp", VTP.replace(b"LittleEndian", b"Endian"), "damaged"),
        (".vtp", VTP.replace(b"UInt64", b"UInt16"), "damaged"),
        (".vtp", VTP.replace(b'Points="5"', b'Points="' + HUGE + b'"'), "truncated"),
        (".vtp", VTP.replace(b'Points="5"', b'Points="-5"'), "damaged"),
        (".vtp", VTP.replace(b'Points="5"', b'Points="4"'), "truncated"),
        (".vtp", VTP.replace(b'Polys="3"', b'Polys="x"'), "damaged"),
        (".vtp", VTP.replace(b'Polys="3"', b'Polys="0"'), "empty_surface"),
        (".vtp", VTP.replace(b'Name="offsets"', b'Name="ends"'), "truncated"),
        (".vtp", VTP.replace(b'"Float32"', b'"Float16"'), "damaged"),
        (".vtp", VTP.replace(b'format="ascii"', b'format="odd"'), "damaged"),
        (".vtp", VTP.replace(b'format="ascii"', b'format="appended" offset="0"'), "truncated"),
        (".vtp", VTP.replace(b"76 80 83 0", b"376 80 83 0"), "unknown_space"),
        (".vtp", VTP.replace(b"76 80 83 0", b"0"), "unknown_space"),
        (
            ".vtp",
            vtp(FLAT, SQUARES, mode="raw", packed=True).replace(b"vtkZLib", b"vtkLZ4"),
            "unsupported",
        ),
    ],
)
def test_what_is_wrong_is_refused_with_its_reason(tmp_path, suffix, data, reason):
    assert refused(put(tmp_path, suffix, data)) == reason


def packed_array(count, *sizes, data=b""):
    """A packed array of points that says so much of itself, appended."""
    head = np.array([count, *sizes], "<u8").tobytes()
    text = (
        '<VTKFile type="PolyData" byte_order="LittleEndian" header_type="UInt64" '
        'compressor="vtkZLibDataCompressor"><PolyData><Piece NumberOfPoints="5" NumberOfPolys="1"><Points>'
        '<DataArray type="Float64" format="appended" offset="0"/></Points></Piece></PolyData>'
        '<AppendedData encoding="raw">_'
    )
    return text.encode() + head + data + b"</AppendedData></VTKFile>"


@pytest.mark.parametrize(
    ("head", "data", "reason"),
    [
        ((2**40, 64, 0, 5), b"", "damaged"),
        ((3, 64, 0, 5), b"", "truncated"),
        ((1, 2**40, 0, 5), b"12345", "too_large"),
        ((1, 64, 65, 5), b"12345", "too_large"),
        ((1, 120, 0, 5), b"12345", "damaged"),
        ((1, 120, 0, 2**63), b"12345", "truncated"),
        ((2, 120, 0, 2**63, 2**63 + 5), b"12345", "damaged"),
        ((1, 120, 0, 11), b"x\x9c\x03\x00\x00\x00\x00\x01123", "damaged"),
        ((0, 120, 0), b"", "truncated"),
    ],
)
def test_packed_arrays_that_lie_of_their_size_are_refused(tmp_path, head, data, reason):
    assert refused(put(tmp_path, ".vtp", packed_array(*head, data=data)), space=Space.LPS) == reason


def test_a_bomb_unpacks_to_no_more_than_it_says(tmp_path):
    """A block of 64 bytes that holds a hundred megabytes is stopped at 65."""
    import zlib

    small = zlib.compress(bytes(100 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    reason = refused(put(tmp_path, ".vtp", packed_array(1, 64, 0, len(small), data=small)), space=Space.LPS)

    assert reason == "damaged"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024


def test_base64_that_is_none_is_refused(tmp_path):
    good = vtp(FLAT, SQUARES, mode="binary", head="<u4")
    at = good.index(b'"Points" format') + 40
    assert refused(put(tmp_path, ".vtp", good[:at] + b"*" + good[at + 1 :])) == "damaged"
    assert refused(put(tmp_path, ".vtp", good[:at] + good[at + 20 :])) in ("truncated", "damaged")


@pytest.mark.parametrize("size", [70, 701, 5000])
@pytest.mark.parametrize("kind", [k for k in MAKERS if "text" in k])
def test_text_is_read_the_same_in_pieces_of_any_size(tmp_path, monkeypatch, kind, size):
    """Wherever a piece ends: within a number, behind it, between two facets."""
    for home in ("parts", "vtk"):
        monkeypatch.setattr(f"flr_volumetry.io.meshes.{home}.CHUNK_BYTES", size)
    suffix, make = MAKERS[kind]

    surface = read_surface(put(tmp_path, suffix, make(POINTS, TRIANGLES)))

    assert np.array_equal(surface.vertices_mm[surface.triangles], POINTS[TRIANGLES])
    if kind == "vtk 4.2 text":
        endless = VTK.replace(b"POINTS 5 float\n0.0", b"POINTS 5 float\n" + b"0" * 3 * size)
        assert refused(put(tmp_path, ".vtk", endless)) in ("truncated", "damaged", "not_numbers")


def test_what_is_not_there_or_too_large_is_refused(tmp_path, monkeypatch):
    assert refused(tmp_path / "none.stl") == "not_found"
    assert refused(tmp_path) == "not_a_file"
    monkeypatch.setattr("flr_volumetry.io.meshes.files.MAX_FILE_BYTES", 100)
    assert refused(put(tmp_path, ".stl", stl_binary(POINTS, TRIANGLES))) == "too_large"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", ["stl", "ply", "vtk 4.2", "vtp appended"])
def test_no_number_is_a_coordinate_however_it_is_written(tmp_path, kind):
    """A quiet NaN, a signalling one, an infinity."""
    suffix, make = MAKERS[kind]
    mark = np.float32(1234.5)
    points = POINTS.copy()
    points[4, 1] = mark
    order = ">" if kind in ("vtk 4.2", "vtp appended") else "<"
    for bits in (0x7FC00000, 0x7FA00001, 0xFF800000):
        data = make(points, TRIANGLES).replace(struct.pack(order + "f", mark), struct.pack(order + "I", bits))
        assert refused(put(tmp_path, suffix, data)) == "bad_coordinates"
