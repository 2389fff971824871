"""GLB: read back by another library, upright, of true size, with names and colours."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest

from flr_volumetry.io.meshes import MeshPart, glb_bytes

trimesh = pytest.importorskip("trimesh")

# A box 20 mm to the left, 40 mm to the back and 60 mm to the head of (100, -50, 700) LPS.
CORNER_MM = np.array([100.0, -50.0, 700.0])
SIZE_MM = np.array([20.0, 40.0, 60.0])


def box(**more):
    mesh = trimesh.creation.box(extents=SIZE_MM)
    mesh.apply_translation(CORNER_MM + SIZE_MM / 2)
    return MeshPart(
        "a <box>", mesh.vertices, mesh.vertex_normals, mesh.faces.astype(np.int64), (86, 180, 233), **more
    )


def parsed(data):
    assert data[:4] == b"glTF"
    assert int.from_bytes(data[4:8], "little") == 2
    assert int.from_bytes(data[8:12], "little") == len(data)
    length = int.from_bytes(data[12:16], "little")
    assert data[16:20] == b"JSON"
    assert length % 4 == 0
    assert data[20 + length + 4 : 20 + length + 8] == b"BIN\0"
    return json.loads(data[20 : 20 + length])


def test_it_stands_upright_and_in_metres():
    """Left is +X, head +Y, front +Z: turned, not mirrored."""
    scene = trimesh.load(io.BytesIO(glb_bytes([box()], "case")), file_type="glb")
    mesh = scene.to_geometry()
    low, high = CORNER_MM / 1000, (CORNER_MM + SIZE_MM) / 1000
    assert mesh.bounds[0] == pytest.approx([low[0], low[2], -high[1]])
    assert mesh.bounds[1] == pytest.approx([high[0], high[2], -low[1]])
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(np.prod(SIZE_MM) * 1e-9)


def test_vertices_are_stored_in_lps_millimetres_and_it_is_said():
    document = parsed(glb_bytes([box(extras={"role": "liver"})], "case"))
    position = document["accessors"][document["meshes"][0]["primitives"][0]["attributes"]["POSITION"]]
    assert position["min"] == CORNER_MM.tolist()
    assert position["max"] == (CORNER_MM + SIZE_MM).tolist()
    root = document["nodes"][document["scenes"][0]["nodes"][0]]
    assert (root["extras"]["space"], root["extras"]["unit"]) == ("LPS", "mm")
    assert document["nodes"][root["children"][0]]["extras"] == {"role": "liver"}


def test_names_colours_and_opacity_are_kept():
    """Colours are light in glTF: mid grey of sRGB is a fifth of the light."""
    part = box(opacity=0.25)
    document = parsed(glb_bytes([part, box(both_sides=True)], "case"))
    assert [m["name"] for m in document["meshes"]] == ["a <box>", "a <box>"]
    clear, plain = document["materials"]
    assert clear["alphaMode"] == "BLEND"
    assert clear["pbrMetallicRoughness"]["baseColorFactor"][3] == 0.25
    assert "alphaMode" not in plain
    assert plain["doubleSided"]
    red, green, blue, _ = plain["pbrMetallicRoughness"]["baseColorFactor"]
    assert (red, green, blue) == pytest.approx((0.0931, 0.4564, 0.8148), abs=1e-4)


def test_vertices_may_differ_in_colour():
    colours = np.tile(np.array([[188, 0, 255]], dtype=np.uint8), (8, 1))
    document = parsed(glb_bytes([box(colours=colours)], "case"))
    attributes = document["meshes"][0]["primitives"][0]["attributes"]
    assert document["accessors"][attributes["COLOR_0"]]["normalized"]
    scene = trimesh.load(io.BytesIO(glb_bytes([box(colours=colours)], "case")), file_type="glb")
    found = next(iter(scene.geometry.values())).visual.vertex_attributes["color"]
    assert found[0].tolist() == [128, 0, 255, 255]


def test_the_same_parts_give_the_same_bytes():
    assert glb_bytes([box()], "case") == glb_bytes([box()], "case")
