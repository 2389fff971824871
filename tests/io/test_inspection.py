"""`inspect`: what is there, read or refused, in the shape machines rely on."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from flr_volumetry.app.inspect import inspection_table, render_inspection
from flr_volumetry.io import inspect
from tests.io.dicom_files import SeriesSpec, write_slices
from tests.io.geometry import AFFINES, values

ITEM_KEYS = {
    *("path", "kind", "status", "reason", "message", "modality", "series_uid", "shape", "spacing_mm"),
    *("voxel_mm3", "affine_lps", "tilt_deg", "segments"),
}


@pytest.fixture
def folder(tmp_path):
    write_slices(tmp_path / "ct", values(), AFFINES["gantry tilt"])
    other = SeriesSpec(series="1.2.9", number=2)
    write_slices(tmp_path / "gap", values(), AFFINES["axial"], other)[2].unlink()
    labels = np.zeros((6, 5, 4), np.uint8)
    labels[1:4, 1:3, 1:3], labels[4:, 3:, :] = 1, 4
    image = nib.Nifti1Image(labels, np.diag([-2.0, -2, 2, 1]))
    nib.save(image, tmp_path / "segments.nii.gz")
    nib.save(nib.Nifti1Image(values() + 5000, np.eye(4)), tmp_path / "scan.nii.gz")
    (tmp_path / "notes.txt").write_text("nothing")
    return tmp_path


def by_name(folder):
    items = inspect([folder]).to_json()["items"]
    return {item["path"].replace("\\", "/").rsplit("/", 1)[-1]: item for item in items}


def test_the_json_has_exactly_the_promised_shape(folder):
    answer = inspect([folder]).to_json()

    assert set(answer) == {"items", "caveats"}
    assert all(set(item) == ITEM_KEYS for item in answer["items"])
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    for item in answer["items"]:
        assert item["kind"] in {"image", "masks", "other"}
        assert item["status"] in {"ok", "refused"}


def test_a_series_is_described_in_column_row_slice_order(folder):
    item = by_name(folder)["ct"]

    assert (item["kind"], item["status"], item["reason"], item["message"]) == ("image", "ok", None, None)
    assert (item["modality"], item["series_uid"], item["shape"]) == ("CT", "1.2.3.1.1", [7, 6, 5])
    np.testing.assert_allclose(item["affine_lps"], AFFINES["gantry tilt"], atol=1e-6)
    assert item["voxel_mm3"] == pytest.approx(0.8 * 0.9 * 3)
    assert item["spacing_mm"] == pytest.approx([0.8, 0.9, np.hypot(3, 0.75)])
    assert item["tilt_deg"] == pytest.approx(14.036, abs=1e-3)
    assert item["segments"] == []


def test_a_refused_series_says_why(folder):
    item = by_name(folder)["gap"]

    assert (item["kind"], item["status"], item["reason"]) == ("image", "refused", "missing_slice")
    assert "missing" in item["message"]
    assert item["shape"] is None


def test_a_label_map_is_told_from_a_scan_and_counted(folder):
    items = by_name(folder)

    assert items["scan.nii.gz"]["kind"] == "image"
    assert items["segments.nii.gz"]["kind"] == "masks"
    assert items["segments.nii.gz"]["segments"] == [
        {"name": "1", "number": 1, "voxels": 12, "ml": pytest.approx(0.096), "code": None},
        {"name": "4", "number": 4, "voxels": 16, "ml": pytest.approx(0.128), "code": None},
    ]


def test_other_files_are_named(folder):
    item = by_name(folder)["notes.txt"]

    assert (item["kind"], item["status"], item["reason"]) == ("other", "refused", "not_an_image")


def test_a_mask_stored_as_a_dicom_series_is_masks(tmp_path):
    inside = np.zeros((9, 8, 7), np.uint8)
    inside[2:6, 3:6, 1:4] = 255
    write_slices(tmp_path / "liver", inside, AFFINES["axial"], SeriesSpec(bits_stored=8))

    item = by_name(tmp_path)["liver"]

    assert item["kind"] == "masks"
    assert [(s["name"], s["voxels"]) for s in item["segments"]] == [("liver", 36)]


def test_progress_reaches_the_number_of_files(folder):
    seen = []
    inspect([folder], progress=lambda done, all_: seen.append((done, all_)))

    assert seen[0] == (0, 12)
    assert seen[-1] == (12, 12)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_table_fits_and_names_each_thing(folder, width):
    text = render_inspection(inspect([folder]), width=width)

    assert max(map(len, text.splitlines())) <= width
    assert "refused" in text
    assert "slices are missing" in " ".join(text.split())
    assert inspection_table(inspect([folder])).row_count == 5


def test_patients_are_counted_in_a_caveat(tmp_path):
    write_slices(tmp_path / "a", values(), AFFINES["axial"])
    write_slices(tmp_path / "b", values(), AFFINES["axial"], SeriesSpec(patient="P2", series="1.9"))

    assert [c["code"] for c in inspect(tmp_path).to_json()["caveats"]] == ["multiple_patients"]
