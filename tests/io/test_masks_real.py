"""Every mask of the torture set: voxel counts to the voxel, volumes, and refusals by reason."""

from __future__ import annotations

import json

import numpy as np
import pytest

from flr_volumetry.errors import FlrError
from flr_volumetry.io import inspect, read_image, read_mask, read_masks

SEGS = [
    *(
        "seg_liver_bitpacked",
        "seg_partial_overlaps",
        "seg_labelmap_sparse_ppv5",
        "seg_not_byte_aligned_23x38",
    ),
    "seg_with_sr_volume",
]
REFUSED = {
    "seg_fractional_true": "seg_image_ct_true_fractional.dcm",
    "seg_tiled_microscopy": "",
    "seg_frames_mismatch_1frame": "liver_1frame.dcm",
    "rts_malformed_contour": "template_RS.dcm",
    "rts_keyhole_or_hole_small": "rt.dcm",
    "nrrd_4d_no_space": "EclipseProstate_Bladder_Union_PTV.seg.nrrd",
}
OTHERS = {
    "ct_ibsi1_phantom_rtstruct",
    "rts_4slice_body_cord",
    "nrrd_slicer_seg",
    "nrrd_slicer_seg_overlapping",
}


@pytest.fixture(scope="module")
def cases(real_data):
    listed = json.loads((real_data / "torture" / "manifest.json").read_text(encoding="utf-8"))["cases"]
    return {case["id"]: case for case in listed}


def test_every_case_of_masks_is_tested(cases):
    masks = {
        name for name, case in cases.items() if case["kind"] in {"seg", "rtstruct"} or name.startswith("nrrd")
    }

    assert masks == {*SEGS, *REFUSED, *OTHERS}


@pytest.mark.parametrize("name", SEGS)
def test_segments_have_the_voxels_of_the_manifest(real_data, cases, name):
    (file, expected), *_ = cases[name]["expected"]["segments"].items()
    path = next((real_data / "torture" / name).rglob(file))
    (item,) = inspect(path).to_json()["items"]

    assert item["status"] == "ok"
    assert {str(s["number"]): s["voxels"] for s in item["segments"]} == expected["voxels"]
    assert item["voxel_mm3"] == pytest.approx(expected["voxel_mm3"], abs=1e-6)
    assert {str(s["number"]): s["ml"] * 1000 for s in item["segments"]} == pytest.approx(expected["mm3"])


@pytest.mark.parametrize("name", ["seg_liver_bitpacked", "seg_not_byte_aligned_23x38"])
def test_segments_lie_on_the_scan_they_were_drawn_on(real_data, name):
    folder = real_data / "torture" / name
    image = read_image(folder / ("ct-3slice" if name == "seg_liver_bitpacked" else "image"))
    mask = read_mask(next(p for p in folder.iterdir() if p.suffix in {".dcm", ".seg"}), grid=image.grid)

    assert mask.grid is image.grid
    assert mask.caveats == ()
    assert mask.count == {"seg_liver_bitpacked": 107098, "seg_not_byte_aligned_23x38": 322}[name]
    if name == "seg_not_byte_aligned_23x38":
        reference = read_mask(folder / "nrrd" / "label.nrrd", grid=image.grid)
        np.testing.assert_array_equal(mask.voxels, reference.voxels)


def test_overlapping_segments_are_those_of_the_reference_voxel_by_voxel(real_data):
    folder = real_data / "torture" / "seg_partial_overlaps"
    masks = list(read_masks(folder / "partial_overlaps.dcm").values())
    for file, labels in {1: (1, 4, 5), 2: (2,), 3: (3,)}.items():
        for label in labels:
            reference = read_mask(folder / f"partial_overlaps-{file}.nrrd", labels=label, grid=masks[0].grid)
            np.testing.assert_array_equal(masks[label - 1].voxels, reference.voxels)


def test_a_volume_agrees_with_the_report_that_states_it(real_data, cases):
    (mask,) = read_masks(real_data / "torture" / "seg_with_sr_volume" / "seg.dcm").values()

    assert mask.ml == pytest.approx(cases["seg_with_sr_volume"]["expected"]["reference_ml_from_sr"], abs=1e-3)


def test_a_fractional_object_is_read_once_a_threshold_is_given(real_data, cases):
    mask = read_mask(real_data / "torture" / "seg_fractional_true", threshold=1 / 255)

    assert (
        mask.count
        == cases["seg_fractional_true"]["expected"]["segments"]["seg_image_ct_true_fractional.dcm"]["voxels"][
            "1"
        ]
    )


@pytest.mark.parametrize("name", REFUSED)
def test_what_must_be_refused_is_refused_by_its_reason(real_data, cases, name):
    path = real_data / "torture" / name / REFUSED[name]
    with pytest.raises(FlrError) as caught:
        read_masks(path)

    assert caught.value.reason == cases[name]["reason"]
    items = inspect(path).to_json()["items"]
    assert {(i["status"], i["reason"]) for i in items} == {("refused", cases[name]["reason"])}


def test_the_ibsi_phantom_is_the_official_mask_voxel_for_voxel(real_data):
    folder = real_data / "torture" / "ct_ibsi1_phantom_rtstruct"
    image = read_image(folder / "image")
    mask = read_mask(folder / "image" / "DCM_RS_00060.dcm", segment="GTV-1", grid=image.grid)
    official = read_mask(folder / "mask.nii", grid=image.grid)

    assert mask.count == 125256
    np.testing.assert_array_equal(mask.voxels, official.voxels)
    assert mask.caveats == ()


def test_body_and_cord_have_the_voxels_of_an_independent_rasteriser(real_data):
    masks = read_masks(real_data / "torture" / "rts_4slice_body_cord")

    assert {name: mask.count for name, mask in masks.items()} == {"BODY": 163768, "SpinalCord": 654}
    assert all(mask.caveats == () for mask in masks.values())


def test_a_hole_has_its_area_once_the_frame_is_ignored(real_data, cases):
    """The structure set names another frame of reference; without one the contours are taken as they lie."""
    from flr_volumetry.images import Grid

    folder = real_data / "torture" / "rts_keyhole_or_hole_small"
    scan = read_image(folder).grid
    mask = read_mask(folder / "rt.dcm", grid=Grid(scan.shape, scan.affine))
    pixel = scan.spacing_mm[0] * scan.spacing_mm[1]

    expected = cases["rts_keyhole_or_hole_small"]["expected"]["if_forced"]["xor_mm2"]
    assert mask.count * pixel == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("name", ["nrrd_slicer_seg", "nrrd_slicer_seg_overlapping"])
def test_slicer_segments_have_the_voxels_of_the_manifest(real_data, cases, name):
    ((file, said),) = cases[name]["expected"]["files"].items()
    masks = read_masks(real_data / "torture" / name / file)

    assert {n: mask.count for n, mask in masks.items()} == said["segments"]["counts"]
    for mask in masks.values():
        assert mask.grid.voxel_mm3 == pytest.approx(said["segments"]["voxel_mm3"], abs=1e-4)
        assert mask.caveats == ()
