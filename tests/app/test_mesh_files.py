"""Meshes of the sample: closed, of the masks' volumes, where the patient lies, named."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from flr_volumetry.app.cli import main
from flr_volumetry.io import read_label_map, read_surface

trimesh = pytest.importorskip("trimesh")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("meshes") / "demo"
    done = CliRunner().invoke(main, ["demo", "--out", str(out), "--meshes", "--no-dicom"])
    assert done.exit_code == 0, done.output
    return out


@pytest.fixture(scope="module")
def listed(folder):
    return json.loads((folder / "meshes" / "index.json").read_text())


def test_every_piece_has_its_mesh_and_the_report_lists_it(folder, listed):
    files = {entry["file"] for entry in listed["surfaces"]}
    assert {"liver.stl", "remnant.stl", "resected_2.stl", "resected_3.stl"} <= files
    assert {"lesion_1.stl", "cut.stl"} <= files
    assert {"portal_vein.stl", "hepatic_veins.stl"} <= files
    outputs = {o["path"] for o in json.loads((folder / "report.json").read_text())["outputs"]}
    assert {f"meshes/{name}" for name in (*files, "case.glb", "index.json")} <= outputs
    assert (listed["space"], listed["unit"]) == ("LPS", "mm")


def test_meshes_are_closed_and_of_the_masks_volumes(folder, listed):
    """Another library finds no hole, and the volumes of report.json to 0.1 %."""
    report = json.loads((folder / "report.json").read_text())
    expected = {"liver.stl": report["volumes"]["total_ml"], "remnant.stl": report["volumes"]["remnant_ml"]}
    for number, stage in enumerate(report["stages"], start=2):
        expected[f"resected_{number}.stl"] = stage["resected_ml"]
    for lesion in report["lesions"]:
        expected[f"lesion_{lesion['number']}.stl"] = lesion["ml"]
    for entry in listed["surfaces"]:
        mesh = trimesh.load(folder / "meshes" / entry["file"])
        assert mesh.is_watertight == entry["closed"] == (entry["role"] != "cut")
        if entry["closed"]:
            assert mesh.volume / 1000 == pytest.approx(entry["ml"], rel=1e-5)
        if entry["file"] in expected:
            assert mesh.volume / 1000 == pytest.approx(expected[entry["file"]], rel=1e-3)


def test_stl_says_lps_and_lies_where_the_mask_lies(folder):
    """As the header says, and as this program reads it back: its box is that of the remnant's voxels."""
    path = folder / "meshes" / "remnant.stl"
    assert b"SPACE=LPS" in path.read_bytes()[:80]
    surface = read_surface(path)
    labels = read_label_map(folder / "partition.nii.gz")
    centres = labels.grid.centres_mm(np.argwhere(labels.voxels == 1))
    for end in (np.min, np.max):
        assert end(surface.vertices_mm, axis=0) == pytest.approx(end(centres, axis=0), abs=2.0)


def test_glb_holds_all_of_them_named_coloured_and_of_true_size(folder, listed):
    scene = trimesh.load(folder / "meshes" / "case.glb")
    names = [entry["name"] for entry in listed["surfaces"]]
    assert set(scene.graph.nodes_geometry) == set(names)
    by_name = {entry["name"]: entry for entry in listed["surfaces"]}
    for node in scene.graph.nodes_geometry:
        matrix, key = scene.graph[node]
        mesh = scene.geometry[key].copy()
        mesh.apply_transform(matrix)
        if by_name[node]["closed"]:
            assert mesh.volume * 1e6 == pytest.approx(by_name[node]["ml"], rel=1e-4)
    remnant = next(e["name"] for e in listed["surfaces"] if e["role"] == "remnant")
    shown = scene.geometry[remnant].visual.material.baseColorFactor
    assert shown[3] == 255


def test_two_masks_of_one_structure_do_not_replace_each_other():
    from flr_volumetry.app.mesh_files import _named_apart
    from flr_volumetry.report.scene import Role, Surface3D
    from flr_volumetry.report.solids import Solid

    solid = Solid(np.eye(3), np.array([[0, 1, 2]]))
    twice = [Surface3D("portal_vein", "Portal vein", Role.VESSEL, solid, "#000000", 1.0, True)] * 2
    assert [key for key, _ in _named_apart(twice)] == ["portal_vein", "portal_vein_2"]
