"""Real scans and the torture set: outcome, grid, values and reason as established by other readers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from flr_volumetry.errors import AmbiguousError, FlrError
from flr_volumetry.io import inspect, read_image, read_label_map, read_masks, scan

GRID_ATOL_MM = 1e-3
IMAGE_KINDS = {"series", "enhanced", "nifti", "junk", "dicomdir"}
CASES = {
    **dict.fromkeys(
        [
            *("ct_gantry_tilt_4slices", "ct_descending_multi_acq", "mr_rescale_varies_per_slice"),
            *("mr_oblique_reversed_hitachi", "mr_sagittal_jpegls", "mr_sagittal_rle"),
            *("ct_totalsegmentator_blank_uids", "ct_3slice_liver_reversed"),
        ],
        "volume",
    ),
    "ct_gantry_tilt_missing_slice": "missing_slice",
    "ct_spacing_5_5_10": "irregular_spacing",
    "ct_same_position_x4": "duplicate_positions",
    "ct_160_slices_missing": "missing_slice",
    "ct_two_scouts": "mixed_orientation",
    "mr_3plane_localizers": "mixed_orientation",
    "mr_rgb_series": "not_grayscale",
    "ct_single_slice": "single_slice",
    "mr_truncated_pixeldata": "truncated",
    "mr_mosaic_siemens": "mosaic",
    "dicomdir_mixed_patients": "multiple_patients",
    "junk_not_dicom": "no_images",
    "charset_names": "no_images",
    "enh_mr_emri_small": "missing_geometry",
    "enh_mr_philips_fmri_4d": "several_series",
    "nii_sheared_q_ne_s": "sform_qform_disagree",
    "nii_no_orientation_codes": "unknown_orientation",
    "nii_4d": "four_d",
    "nrrd_4d_no_space": "unknown_orientation",
}


@pytest.fixture(scope="module")
def manifest(real_data):
    cases = json.loads((real_data / "torture" / "manifest.json").read_text(encoding="utf-8"))["cases"]
    return {case["id"]: case for case in cases}


def folder_of(real_data: Path, case: dict) -> Path:
    folder = real_data / "torture" / case["id"]
    return folder / next(iter(case["expected"]["files"])) if case["kind"] in {"nifti", "nrrd"} else folder


@pytest.mark.parametrize("name", CASES)
def test_the_torture_case_comes_out_as_the_manifest_says(real_data, manifest, name):
    case = manifest[name]
    path = folder_of(real_data, case)
    if CASES[name] != "volume":
        assert not case["reason"] or CASES[name] in {case["reason"], "several_series"}
        with pytest.raises(FlrError) as caught:
            read_image(path)
        assert caught.value.reason == CASES[name]
        return
    expected = case["expected"]["grid"]
    image = read_image(path)

    assert list(image.grid.shape) == expected["columns_rows_slices"]
    steps = np.array(expected["index_to_lps_columns"]).reshape(3, 3)
    np.testing.assert_allclose(image.grid.affine[:3, :3], steps, atol=GRID_ATOL_MM)
    np.testing.assert_allclose(image.grid.affine[:3, 3], expected["origin_lps"], atol=GRID_ATOL_MM)
    assert image.grid.voxel_mm3 == pytest.approx(expected["voxel_mm3"], abs=1e-3)
    assert image.grid.tilt_deg == pytest.approx(expected["tilt_deg"], abs=0.05)
    values = image.voxels.astype(np.float64)
    assert values.sum() == pytest.approx(expected["values"]["sum"], rel=1e-7)
    assert values.min() == pytest.approx(expected["values"]["min"], abs=1e-3)
    assert values.max() == pytest.approx(expected["values"]["max"], abs=1e-3)


def test_every_image_case_of_the_manifest_is_tested(manifest):
    named = {name for name, case in manifest.items() if case["kind"] in IMAGE_KINDS}

    assert named - set(CASES) == {"enh_mr_philips_8frames", "nii_label_pair"}


def test_eight_enhanced_frames_are_one_volume(real_data, manifest):
    expected = manifest["enh_mr_philips_8frames"]["expected"]["grids"]["IM-0001-0170-0001.dcm"]
    image = read_image(real_data / "torture" / "enh_mr_philips_8frames")

    assert list(image.grid.shape) == expected["columns_rows_slices"]
    np.testing.assert_allclose(image.grid.affine[:3, 3], expected["origin_lps"], atol=GRID_ATOL_MM)
    assert image.grid.voxel_mm3 == pytest.approx(expected["voxel_mm3"], abs=1e-4)
    # The manifest gives stored values; the file rescales them by 1080 / 254.
    rescaled = image.voxels.astype(np.float64)
    slope = rescaled.max() / expected["stored_values"]["max"]
    assert rescaled.sum() == pytest.approx(expected["stored_values"]["sum"] * slope, rel=1e-6)


def test_time_points_of_one_enhanced_file_are_offered_separately(real_data, manifest):
    case = manifest["enh_mr_philips_fmri_4d"]["expected"]
    found = scan(real_data / "torture" / "enh_mr_philips_fmri_4d").images()

    assert len(found) == case["split_into"]
    for item in found:
        assert list(item.stack.grid.shape) == case["each_columns_rows_slices"]
        assert item.stack.grid.voxel_mm3 == pytest.approx(case["voxel_mm3"], rel=2e-4)


def test_the_one_volume_among_mixed_patients_is_read_once_it_is_named(real_data):
    folder = real_data / "torture" / "dicomdir_mixed_patients"
    with pytest.raises(AmbiguousError, match="2 patients"):
        read_image(folder)

    assert read_image(folder, series="1").grid.shape == (16, 16, 5)
    assert {"dicomdir", "multiple_patients"} <= {c.code for c in inspect(folder).caveats}


def test_a_totalsegmentator_pair_is_read_exactly(real_data, manifest):
    expected = manifest["nii_label_pair"]["expected"]["files"]
    folder = real_data / "torture" / "nii_label_pair"

    image = read_image(folder / "example_ct_sm.nii.gz")
    masks = read_masks(folder / "example_seg.nii.gz")

    assert image.voxels.sum(dtype=np.int64) == expected["example_ct_sm.nii.gz"]["values"]["sum"]
    assert {name: mask.count for name, mask in masks.items()} == expected["example_seg.nii.gz"]["labels"]
    assert masks["5"].grid.matches(image.grid)


def test_nothing_in_the_torture_set_stops_an_inspection(real_data):
    answer = inspect(real_data / "torture").to_json()

    assert len(answer["items"]) > 80
    json.dumps(answer, allow_nan=False)


def test_ircad17_has_its_published_volumes(real_data):
    image = read_image(real_data / "ircad17" / "PATIENT_DICOM")
    masks = read_masks(real_data / "ircad17" / "MASKS_DICOM", grid=image.grid)

    assert {name: round(mask.ml, 1) for name, mask in masks.items()} == {
        "liver": 1860.6,
        "livertumor1": 85.6,
        "livertumor2": 78.6,
        "portalvein": 47.5,
        "venoussystem": 110.3,
    }
    assert image.grid.shape == (512, 512, 119)
    assert masks["liver"].grid.matches(image.grid)
    assert masks["liver"].caveats == ()


@pytest.mark.parametrize(
    ("path", "shape", "spacing", "padding"),
    [
        ("crlm1004/image", (512, 512, 41), (0.796875, 0.796875, 5.0), -3024),
        ("hcc048/sample_data", (512, 512, 89), (0.703125, 0.703125, 2.5), -3024),
    ],
)
def test_the_two_tcia_scans_are_read(real_data, path, shape, spacing, padding):
    image = read_image(real_data / path)

    assert image.grid.shape == shape
    assert image.grid.spacing_mm == pytest.approx(spacing)
    assert image.padding == padding
    assert image.voxels.dtype == np.int16


def test_couinaud_maps_hold_eight_segments_that_make_the_liver(real_data):
    folder = real_data / "couinaud" / "3Dircadb-17"
    labels = read_label_map(folder / "label.nii.gz")

    assert np.unique(labels.voxels).tolist() == list(range(9))
    # 0.743 x 0.743 x 1.6 mm, the DICOM series' own; the sum of its segments is the liver.
    assert labels.grid.voxel_mm3 == pytest.approx(0.743 * 0.743 * 1.6, rel=1e-4)
    assert np.count_nonzero(labels.voxels) * labels.grid.voxel_ml == pytest.approx(1860, abs=5)
