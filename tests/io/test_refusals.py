"""Each thing that is no volume is refused with its own reason, and names what was found."""

from __future__ import annotations

import contextlib
import os
import zipfile

import numpy as np
import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from flr_volumetry.errors import FlrError, InputError, UnreadableError
from flr_volumetry.io import inspect, read_image, read_mask
from tests.io.dicom_files import CT, MR, SECONDARY_CAPTURE, SeriesSpec, write_enhanced, write_slices
from tests.io.geometry import AFFINES, lattice, values


def refusal(path, **options):
    with pytest.raises(FlrError) as caught:
        read_image(path, **options)
    return caught.value


def _position(ds, z):
    ds.ImagePositionPatient = [0, 0, f"{z:g}"]


def write(folder, edit=None, shape=(7, 6, 5), **options):
    return write_slices(folder, values(shape), AFFINES["axial"], SeriesSpec(edit=edit, **options))


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_slice_removed_from_a_series_is_missed(tmp_path, missing):
    write(tmp_path / "s")[missing].unlink()

    error = refusal(tmp_path)

    assert error.reason == "missing_slice"
    assert "1 slices are missing" in error.message
    assert f"im{missing - 1:04d}.dcm and im{missing + 1:04d}.dcm" in error.message


def test_one_slice_of_four_hundred_is_missed(tmp_path):
    write(tmp_path / "s", shape=(2, 2, 400))[200].unlink()

    assert refusal(tmp_path).reason == "missing_slice"


@pytest.mark.parametrize(
    "heights",
    [(0, 5, 10, 20), (0, 1, 2, 3.5), (0, 2, 3, 5.5), (0, 5, 10, 15.5), (0, 1, 2, 3.25, 4.25, 5.25)],
)
def test_uneven_steps_are_refused(tmp_path, heights):
    """Instance numbers run on, so nothing is missing; the spacing is not even."""
    write(tmp_path / "s", lambda ds, k: _position(ds, heights[k]), shape=(7, 6, len(heights)))

    assert refusal(tmp_path).reason == "irregular_spacing"


def test_slices_that_wander_sideways_are_refused(tmp_path):
    def edit(ds, k):
        ds.ImagePositionPatient = [[0, 0, 3, 0, 0][k], 0, 2 * k]

    write(tmp_path / "s", edit)

    assert refusal(tmp_path).reason == "irregular_spacing"


def test_two_different_images_at_one_position_are_refused(tmp_path):
    write(tmp_path / "s", lambda ds, k: _position(ds, 2 * min(k, 3)))

    assert refusal(tmp_path).reason == "duplicate_positions"


def test_two_directions_in_one_series_are_refused(tmp_path):
    def edit(ds, k):
        if k == 2:
            ds.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]

    write(tmp_path / "s", edit)

    error = refusal(tmp_path)

    assert error.reason == "mixed_orientation"
    assert "im0002.dcm" in error.message


@pytest.mark.parametrize(
    "change",
    [
        {"PixelSpacing": [0.7, 0.9]},
        {"FrameOfReferenceUID": "1.2.99"},
        {"Rows": 3, "Columns": 14},
    ],
)
def test_a_series_of_mixed_geometry_is_refused(tmp_path, change):
    def edit(ds, k):
        if k == 3:
            for name, value in change.items():
                setattr(ds, name, value)

    write(tmp_path / "s", edit)

    assert refusal(tmp_path).reason == "mixed_geometry"


@pytest.mark.parametrize("name", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
def test_a_series_without_geometry_is_refused(tmp_path, name):
    write(tmp_path / "s", lambda ds, k: delattr(ds, name) if k == 1 else None)

    error = refusal(tmp_path)

    assert error.reason == "missing_geometry"
    assert "1 of 5 images" in error.message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ImageOrientationPatient", [1, 0, 0, 0.5, 0.5, 0]),
        ("ImageOrientationPatient", [2, 0, 0, 0, 1, 0]),
        ("PixelSpacing", [0, 1]),
        ("ImagePositionPatient", [1e30, 0, 0]),
    ],
)
def test_impossible_geometry_is_refused(tmp_path, name, value):
    write(tmp_path / "s", lambda ds, k: setattr(ds, name, value))

    assert refusal(tmp_path).reason == "missing_geometry"


def test_a_single_slice_is_refused(tmp_path):
    write(tmp_path / "s", shape=(7, 6, 1))

    assert refusal(tmp_path).reason == "single_slice"


def test_two_slices_are_read_with_a_caveat(tmp_path):
    write(tmp_path / "s", shape=(7, 6, 2))

    assert [c.code for c in read_image(tmp_path).caveats] == ["two_slices"]


@pytest.mark.parametrize("cut", [1, 2, 50, 84])
def test_pixels_cut_short_are_refused(tmp_path, cut):
    path = write(tmp_path / "s")[2]
    path.write_bytes(path.read_bytes()[:-cut])

    error = refusal(tmp_path)

    assert error.reason == "truncated"
    assert "im0002.dcm" in error.message


def test_a_header_cut_short_is_refused(tmp_path):
    path = write(tmp_path / "s")[2]
    path.write_bytes(path.read_bytes()[:-150])

    assert refusal(tmp_path).reason in {"truncated", "no_pixels"}


@pytest.mark.parametrize("number", ["5", "4.80", "4.90"])
def test_compressed_pixels_cut_short_are_refused(tmp_path, number):
    path = write(tmp_path / "s", syntax=f"1.2.840.10008.1.2.{number}", shape=(40, 36, 5))[2]
    path.write_bytes(path.read_bytes()[:-40])

    assert refusal(tmp_path).reason in {"truncated", "unreadable"}


def test_colour_is_refused(tmp_path):
    def edit(ds, k):
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
        ds.PixelData = bytes(7 * 6 * 2 * 3)

    write(tmp_path / "s", edit, sop_class=SECONDARY_CAPTURE)

    assert refusal(tmp_path).reason == "not_grayscale"


@pytest.mark.parametrize(
    ("sop_class", "modality"),
    [
        (SECONDARY_CAPTURE, "CT"),
        ("1.2.840.10008.5.1.4.1.1.481.2", "RTDOSE"),
        ("1.2.840.10008.5.1.4.1.1.1", "CR"),
    ],
)
def test_objects_that_are_no_slices_are_refused_by_kind(tmp_path, sop_class, modality):
    def edit(ds, k):
        if sop_class == SECONDARY_CAPTURE:
            del ds.ImagePositionPatient

    write(tmp_path / "s", edit, sop_class=sop_class, modality=modality)

    assert refusal(tmp_path).reason == "not_an_image"


def test_a_secondary_capture_is_no_scan_even_with_geometry_but_may_be_masks(tmp_path):
    labels = np.zeros((7, 6, 5), np.uint8)
    labels[2:6, 1:5, 1:4] = 255
    spec = SeriesSpec(sop_class=SECONDARY_CAPTURE, bits_stored=8)
    write_slices(tmp_path / "liver", labels, AFFINES["axial"], spec)

    assert refusal(tmp_path).reason == "not_an_image"
    np.testing.assert_array_equal(read_mask(tmp_path / "liver").voxels, labels > 0)
    (entry,) = inspect(tmp_path).items
    assert (entry.kind.value, entry.status.value) == ("masks", "ok")
    write_slices(tmp_path / "liver", values(), AFFINES["axial"], SeriesSpec(sop_class=SECONDARY_CAPTURE))
    (entry,) = inspect(tmp_path).items
    assert (entry.kind.value, entry.reason) == ("image", "not_an_image")


def test_a_frame_missing_among_many_of_one_file_is_missed(tmp_path):
    """All have the instance number of the file, which does not count them."""
    stored = values((7, 6, 6), np.uint16, low=0, high=9)
    frames = [(stored[:, :, k], {"position": (0, 0, k)}) for k in (0, 1, 2, 4, 5)]
    write_enhanced(tmp_path / "e.dcm", frames, AFFINES["axial"])

    assert refusal(tmp_path).reason == "missing_slice"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "p")

    assert refusal(tmp_path / "p").reason == "not_a_file"
    assert refusal(tmp_path).reason == "no_images"


def test_an_archive_beside_other_files_says_to_name_it(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x", "y")

    assert "only where it is named itself" in inspect(tmp_path).items[0].message


def test_a_localizer_is_refused_even_if_its_slices_are_parallel(tmp_path):
    write(tmp_path / "s", extra={"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]})

    assert refusal(tmp_path).reason == "not_an_image"


@pytest.mark.parametrize("way", ["image type", "private tag"])
def test_a_mosaic_is_refused(tmp_path, way):
    def edit(ds, k):
        if way == "image type":
            ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
        else:
            ds.add_new((0x0019, 0x0010), "LO", "SIEMENS MR HEADER")
            ds.add_new((0x0019, 0x100A), "US", 42)

    write(tmp_path / "s", edit, sop_class=MR, modality="MR")

    assert refusal(tmp_path).reason == "mosaic"


def test_frames_without_functional_groups_are_refused(tmp_path):
    def edit(ds, k):
        del ds.PerFrameFunctionalGroupsSequence, ds.SharedFunctionalGroupsSequence

    stored = values(dtype=np.uint16, low=0, high=9)
    frames = [(stored[:, :, k], {"position": (0, 0, k)}) for k in range(5)]
    spec = SeriesSpec("1.2.840.10008.5.1.4.1.1.4.1", "MR", edit=edit)
    write_enhanced(tmp_path / "e.dcm", frames, AFFINES["axial"], spec)

    assert refusal(tmp_path).reason == "missing_geometry"


def test_fewer_frames_described_than_said_are_refused(tmp_path):
    def edit(ds, k):
        ds.PerFrameFunctionalGroupsSequence = ds.PerFrameFunctionalGroupsSequence[:-1]

    stored = values(dtype=np.uint16, low=0, high=9)
    frames = [(stored[:, :, k], {"position": (0, 0, k)}) for k in range(5)]
    spec = SeriesSpec("1.2.840.10008.5.1.4.1.1.4.1", "MR", edit=edit)
    write_enhanced(tmp_path / "e.dcm", frames, AFFINES["axial"], spec)

    assert refusal(tmp_path).reason == "inconsistent_frames"


def test_a_classic_image_of_many_frames_is_refused(tmp_path):
    def edit(ds, k):
        ds.NumberOfFrames = 2
        ds.PixelData = ds.PixelData * 2

    write(tmp_path / "s", edit)

    assert refusal(tmp_path).reason == "missing_geometry"


def test_twice_the_pixels_that_the_header_says_are_refused(tmp_path):
    write(tmp_path / "s", lambda ds, k: setattr(ds, "PixelData", ds.PixelData * 2))

    assert refusal(tmp_path).reason == "inconsistent_frames"


def test_half_an_acquisition_is_not_offered_as_a_volume(tmp_path):
    """A gap between two acquisitions is a gap, not two volumes."""
    heights = (0, 2, 4, 10, 12, 14)

    def edit(ds, k):
        _position(ds, heights[k])
        ds.AcquisitionNumber, ds.InstanceNumber = 1 + k // 3, heights[k] // 2

    write(tmp_path / "s", edit, shape=(7, 6, 6))

    assert refusal(tmp_path).reason == "missing_slice"


@pytest.mark.parametrize(
    ("tag", "value", "reason"),
    [
        ("RescaleSlope", 0, "bad_rescale"),
        ("RescaleSlope", "1e300", "bad_rescale"),
        ("BitsStored", 17, "unsupported_pixels"),
        ("BitsAllocated", 12, "unsupported_pixels"),
    ],
)
def test_pixels_that_mean_nothing_are_refused(tmp_path, tag, value, reason):
    write(tmp_path / "s", lambda ds, k: setattr(ds, tag, value))

    assert refusal(tmp_path).reason == reason


def test_an_unknown_syntax_is_refused(tmp_path):
    def edit(ds, k):
        ds.NumberOfFrames = 1

    for path in write(tmp_path / "s", edit, syntax="1.2.840.10008.1.2.5"):
        path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.5\0", b"1.2.840.10008.1.2.6\0", 1))

    assert refusal(tmp_path).reason == "unsupported_syntax"


def test_an_empty_folder_and_a_missing_path_say_so(tmp_path):
    assert refusal(tmp_path).reason == "no_images"
    assert refusal(tmp_path / "nowhere").reason == "not_found"
    assert isinstance(refusal(tmp_path / "nowhere"), UnreadableError)


def test_a_folder_of_other_files_says_what_they_are(tmp_path):
    (tmp_path / "a.txt").write_text("hello" * 100)

    error = refusal(tmp_path)

    assert error.reason == "no_images"
    assert "a.txt is no image" in error.message


def test_a_damaged_archive_is_refused(tmp_path):
    (tmp_path / "s.zip").write_bytes(b"PK\x03\x04" + b"\0" * 100)

    assert isinstance(refusal(tmp_path / "s.zip"), InputError)


def test_the_refusal_chosen_by_uid_is_that_of_the_series(tmp_path):
    write(tmp_path / "s")[2].unlink()
    write_slices(tmp_path / "t", values(), AFFINES["axial"], SeriesSpec(CT, series="1.2.5"))

    assert refusal(tmp_path, series="1.2.3.1.1").reason == "missing_slice"


def test_a_tilted_series_with_a_slice_missing_is_refused(tmp_path):
    affine = lattice(np.eye(3), (1, 1, 3), (0, 0, 0), shear=(0, 1))
    write_slices(tmp_path / "s", values(), affine)[2].unlink()

    assert refusal(tmp_path).reason == "missing_slice"


def test_a_direction_one_degree_off_is_refused(tmp_path):
    def edit(ds, k):
        if k == 4:
            ds.ImageOrientationPatient = ["0.99985", "0.01745", "0", "-0.01745", "0.99985", "0"]

    write(tmp_path / "s", edit)

    assert refusal(tmp_path).reason == "mixed_orientation"


def test_a_missing_slice_is_seen_where_instance_numbers_run_down(tmp_path):
    write(tmp_path / "s", lambda ds, k: setattr(ds, "InstanceNumber", 99 - k))[2].unlink()

    assert refusal(tmp_path).reason == "missing_slice"


def test_two_acquisitions_end_to_end_with_other_steps_are_not_split(tmp_path):
    """Each half would be even by itself, but neither shows the organ."""
    heights = (0, 2, 4, 6, 11, 16, 21)

    def edit(ds, k):
        _position(ds, heights[k])
        ds.AcquisitionNumber = 1 + (k > 3)

    write(tmp_path / "s", edit, shape=(7, 6, 7))

    assert refusal(tmp_path).reason == "irregular_spacing"


def test_pixels_shorter_than_they_should_be_are_not_filled_from_what_follows(tmp_path):
    def edit(ds, k):
        ds.PixelData = ds.PixelData[:-2]
        ds.DataSetTrailingPadding = bytes(64)

    write(tmp_path / "s", edit)

    assert refusal(tmp_path).reason == "truncated"


@pytest.mark.parametrize("tag", [0x00280010, 0x00280100, 0x00280101, 0x00280103, 0x00281052, 0x00281053])
def test_a_sequence_where_a_number_belongs_is_no_traceback(tmp_path, tag):
    """Of a damaged header: refused, or read by what else it says; nothing else comes out."""

    def edit(ds, _):
        ds.pop(tag, None)
        ds.add(DataElement(tag, "SQ", Sequence([Dataset()])))

    write(tmp_path / "s", edit)

    with contextlib.suppress(FlrError):
        assert read_image(tmp_path).grid.shape == (7, 6, 5)
