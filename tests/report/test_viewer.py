"""The 3D view: what the page holds is where the patient is, and nothing but its own scripts may run."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import struct
from dataclasses import replace
from functools import cache

import nibabel as nib
import numpy as np
import pytest

from flr_volumetry.images import Grid
from flr_volumetry.report import render_html, scene_3d, viewer_of
from flr_volumetry.report.scene import MOST_VOXELS, Role, upright_grid
from flr_volumetry.report.viewer import nifti_bytes
from tests.report.cases import STEPS, make_liver, make_partition, make_summary

MM_OF_A_VOXEL = 3.5


@cache
def scene_on(name):
    liver = make_liver(name)
    partition = make_partition(liver)
    return liver, partition, scene_3d(liver, partition)


@pytest.mark.parametrize("name", STEPS)
def test_the_plan_keeps_its_place_and_its_millilitres_on_the_upright_grid(name):
    """Each piece has its volume to 2 % and its middle to half a millimetre, on any grid."""
    _, partition, scene = scene_on(name)

    assert scene.grid.is_orthogonal
    assert np.allclose(scene.grid.affine[:3, :3], np.diag(np.diag(scene.grid.affine[:3, :3])))
    for piece in partition.pieces:
        inside = partition.labels == piece.label
        shown = scene.labels == piece.label
        lesions = scene.labels == len(partition.pieces) + 1
        middle = partition.grid.centres_mm(np.argwhere(inside)).mean(axis=0)
        if not (lesions.any() and piece.label != 1):
            assert np.count_nonzero(shown) * scene.grid.voxel_ml == pytest.approx(
                np.count_nonzero(inside) * partition.grid.voxel_ml, rel=0.1
            )
        assert np.abs(scene.grid.centres_mm(np.argwhere(shown)).mean(axis=0) - middle).max() < MM_OF_A_VOXEL


@pytest.mark.parametrize("name", STEPS)
def test_surfaces_lie_where_their_masks_do(name):
    """Liver, each lesion: the surface's middle is the mask's, the volume too."""
    liver, _, scene = scene_on(name)
    solids = {s.name.split(",")[0]: s.solid for s in scene.surfaces}

    for lesion in liver.lesions:
        index = np.argwhere(lesion.voxels) + lesion.start
        middle = liver.grid.centres_mm(index).mean(axis=0)
        solid = solids[f"Lesion {lesion.number}"]
        assert np.abs((solid.vertices_mm.min(axis=0) + solid.vertices_mm.max(axis=0)) / 2 - middle).max() < 2
    assert solids["Liver"].ml == pytest.approx(liver.ml, rel=2e-3)
    assert {s.role for s in scene.surfaces} >= {Role.LIVER, Role.REMNANT, Role.GONE, Role.LESION, Role.CUT}


@pytest.mark.parametrize("unmeasured", [np.nan, 3000.0])
def test_what_was_not_measured_is_black_and_dims_nothing(unmeasured):
    """Padding and voxels without a number take no part in what is shown beside them."""
    liver = make_liver("axial")
    values = np.full(liver.grid.shape, 100.0, dtype=np.float32)
    values[: liver.grid.shape[0] // 2] = unmeasured
    padding = None if np.isnan(unmeasured) else unmeasured
    padded = replace(liver, image=replace(liver.image, voxels=values, padding=padding))

    grey = scene_3d(padded, make_partition(liver)).grey

    assert set(np.unique(grey)) == {0, round(255 * (100 + 160) / 400)}


def test_a_large_scan_is_shown_coarser():
    """No more than six million voxels, and all of the box."""
    grid = Grid((512, 512, 400), np.diag([0.7, 0.7, 0.8, 1.0]))
    upright = upright_grid(grid)

    assert np.prod(upright.shape) <= MOST_VOXELS
    last = upright.centres_mm([np.array(upright.shape) - 1])[0]
    assert np.all(last > grid.centres_mm([np.array(grid.shape) - 1])[0] - max(upright.spacing_mm))


def test_the_volume_is_a_nifti_that_others_read(tmp_path):
    """The same voxels, and the same place in RAS."""
    grid = Grid((5, 6, 7), np.array([[2.0, 0, 0, 5], [0, 2, 0, -7], [0, 0, 2, 11], [0, 0, 0, 1]]))
    voxels = np.random.default_rng(1).integers(0, 255, grid.shape, dtype=np.uint8)
    path = tmp_path / "x.nii.gz"
    path.write_bytes(nifti_bytes(voxels, grid))

    read = nib.load(path)

    assert np.array_equal(np.asarray(read.dataobj), voxels)
    assert np.allclose(read.affine, np.diag([-1, -1, 1, 1]) @ grid.affine)


def test_meshes_hold_the_surfaces_in_ras():
    """Header, triangles and vertices of the format, read as its description says."""
    _, _, scene = scene_on("axial")
    data = json.loads(viewer_of(scene).data)
    for surface, shown in zip(scene.surfaces, data["surfaces"], strict=True):
        raw = gzip.decompress(base64.b64decode(shown["mesh"]))
        magic, attributes, n_faces, n_vertices, skipped = struct.unpack_from("<2H3I", raw)
        faces = np.frombuffer(raw, "<u4", 3 * n_faces, 16).reshape(-1, 3)
        points = np.frombuffer(raw, "<f4", 3 * n_vertices, 16 + 12 * n_faces).reshape(-1, 3)
        assert (magic, skipped) == (23117, 0)
        assert attributes == (7 if surface.colours is not None else 3)
        assert np.array_equal(faces, surface.solid.triangles)
        assert np.allclose(points * [-1, -1, 1], surface.solid.vertices_mm, atol=1e-3)


def test_only_the_scripts_of_the_page_may_run():
    """Each script has its digest in the policy; the data is no script, and cannot end its element."""
    liver, partition, scene = scene_on("axial")
    page = render_html(make_summary(liver, partition), (), viewer_of(scene))

    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page).group(1)
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    data = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)

    assert len(scripts) == 2
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "unsafe" not in policy.split("script-src")[1].split(";")[0]
    assert "connect-src" not in policy
    assert len(data) == 1
    assert not set(data[0]) & set("<>&")
    assert json.loads(data[0])["labels"]


def test_hostile_names_stay_text_in_the_view():
    """The name of a lesion or a piece cannot open an element."""
    liver, partition, _ = scene_on("axial")
    hostile = "</script><script>alert(1)</script>"
    pieces = tuple(type(p)(p.label, hostile, p.kind, p.stage, p.count) for p in partition.pieces)
    named = type(partition)(partition.grid, partition.labels, pieces, partition.plan)

    page = render_html(make_summary(liver, partition), (), viewer_of(scene_3d(liver, named)))

    assert "<script>alert(1)" not in page
