"""Segmentations that cannot be placed, or contradict themselves, are refused with their reason."""

from __future__ import annotations

import numpy as np
import pytest

from flr_volumetry.errors import FlrError, FrameError
from flr_volumetry.images import Grid
from flr_volumetry.io import inspect, read_label_map, read_mask, read_masks
from tests.io.geometry import AFFINES
from tests.io.mask_files import SegSpec, write_seg
from tests.io.test_seg import SHAPE, blobs

AXIAL = AFFINES["axial"]


def refused(path, **options):
    with pytest.raises(FlrError) as caught:
        read_masks(path, **options)
    return caught.value


def more_frames(ds):
    ds.NumberOfFrames = int(ds.NumberOfFrames) + 1


def no_frames(ds):
    del ds.NumberOfFrames


def more_pixels(ds):
    ds.PixelData += b"\0" * 10


def fewer_pixels(ds):
    ds.PixelData = ds.PixelData[:8]


def tiled(ds):
    ds.DimensionOrganizationType = "TILED_SPARSE"


def no_position(ds):
    del ds.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence


def no_orientation(ds):
    for item in ds.PerFrameFunctionalGroupsSequence:
        del item.PlaneOrientationSequence


def no_spacing(ds):
    del ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence


def no_number(ds):
    del ds.PerFrameFunctionalGroupsSequence[2].SegmentIdentificationSequence


def undeclared(ds):
    ds.PerFrameFunctionalGroupsSequence[2].SegmentIdentificationSequence[0].ReferencedSegmentNumber = 5


def twice(ds):
    ds.SegmentSequence[1].SegmentNumber = 1


def none(ds):
    ds.SegmentSequence = []


def same_place(ds):
    frames = ds.PerFrameFunctionalGroupsSequence
    frames[1].PlanePositionSequence = frames[0].PlanePositionSequence


def askew(ds):
    ds.PerFrameFunctionalGroupsSequence[1].PlaneOrientationSequence[0].ImageOrientationPatient = [
        *(0.8, 0.6, 0, -0.6, 0.8, 0),
    ]


def far_away(ds):
    ds.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0].ImagePositionPatient = [0, 0, 99999]


def other_kind(ds):
    ds.SegmentationType = "SURFACE"


def wide(ds):
    ds.BitsAllocated = 32


def coloured(ds):
    ds.SamplesPerPixel = 3


def no_pixels(ds):
    del ds.PixelData


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (more_frames, "inconsistent_frames"),
        (no_frames, "inconsistent_frames"),
        (more_pixels, "inconsistent_frames"),
        (fewer_pixels, "truncated"),
        (tiled, "tiled"),
        (no_position, "missing_geometry"),
        (no_orientation, "missing_geometry"),
        (no_spacing, "missing_geometry"),
        (no_number, "missing_segment_number"),
        (undeclared, "inconsistent_segments"),
        (twice, "inconsistent_segments"),
        (none, "inconsistent_segments"),
        (same_place, "duplicate_positions"),
        (askew, "mixed_orientation"),
        (far_away, "irregular_spacing"),
        (other_kind, "unsupported_masks"),
        (wide, "unsupported_pixels"),
        (coloured, "unsupported_pixels"),
        (no_pixels, "no_pixels"),
    ],
)
def test_what_contradicts_itself_is_refused(tmp_path, edit, reason):
    path = write_seg(tmp_path / "s.dcm", blobs(), AXIAL, SegSpec(edit=edit))
    error = refused(path)

    assert error.reason == reason
    assert str(path) in error.message
    (item,) = inspect(path).to_json()["items"]
    assert (item["status"], item["reason"]) == ("refused", reason)


def test_fractions_are_refused_without_a_threshold(tmp_path):
    fractions = np.random.default_rng(2).random(SHAPE)
    path = write_seg(tmp_path / "s.dcm", {1: fractions}, AXIAL, SegSpec(kind="FRACTIONAL"))

    assert refused(path).reason == "fractional"
    assert "threshold" in refused(path).message


def test_a_binary_object_of_several_values_is_refused(tmp_path):
    def edit(ds):
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
        ds.PixelData = bytes(range(SHAPE[0] * SHAPE[1])) * int(ds.NumberOfFrames)

    path = write_seg(tmp_path / "s.dcm", {1: blobs()[1]}, AXIAL, SegSpec(edit=edit))

    assert refused(path).reason == "not_binary"


def test_frames_of_stray_positions_are_refused_without_the_scan(tmp_path):
    def place(k, corner):
        return corner + [0, 0, 1.1] if k == 3 else corner

    path = write_seg(tmp_path / "s.dcm", {1: np.ones(SHAPE, bool)}, AXIAL, SegSpec(place=place))

    assert refused(path).reason == "irregular_spacing"
    assert "scan" in refused(path).message


def test_a_frame_beside_the_others_is_refused(tmp_path):
    def place(k, corner):
        return corner + [3.0, 0, 0] if k == 3 else corner

    path = write_seg(tmp_path / "s.dcm", {1: np.ones(SHAPE, bool)}, AXIAL, SegSpec(place=place))

    assert refused(path).reason == "irregular_spacing"
    assert "frame 4 " in refused(path).message


def test_a_single_frame_without_thickness_is_refused(tmp_path):
    mask = np.ones((4, 4, 1), bool)
    path = write_seg(tmp_path / "s.dcm", {1: mask}, AXIAL, SegSpec(between=None))

    assert refused(path).reason == "single_slice"
    placed = read_mask(path, grid=Grid((4, 4, 3), AXIAL, "1.2.3.9"))
    assert placed.voxels.sum(axis=(0, 1)).tolist() == [16, 0, 0]


def test_another_frame_of_reference_is_refused(tmp_path):
    path = write_seg(tmp_path / "s.dcm", blobs(), AXIAL)
    with pytest.raises(FrameError) as caught:
        read_masks(path, grid=Grid(SHAPE, AXIAL, "1.2.3.10"))

    assert caught.value.reason == "wrong_frame_of_reference"
    assert read_masks(path, grid=Grid(SHAPE, AXIAL))


def test_a_segmentation_far_from_the_scan_is_refused(tmp_path):
    path = write_seg(tmp_path / "s.dcm", {1: np.ones(SHAPE, bool)}, AXIAL)
    beside = AXIAL.copy()
    beside[0, 3] += 0.8 * 20

    for shift in (beside, beside + np.array([[0, 0, 0, 0.3]] * 3 + [[0] * 4])):
        with pytest.raises(FlrError) as caught:
            read_masks(path, grid=Grid(SHAPE, shift, "1.2.3.9"))
        assert caught.value.reason == "no_overlap"


def test_a_wish_that_fits_nothing_or_several_is_refused_with_what_there_is(tmp_path):
    spec = SegSpec(names={1: "Tumor", 2: "Tumor", 7: "Liver"})
    path = write_seg(tmp_path / "s.dcm", blobs(), AXIAL, spec)
    for options, reason in [
        ({"segment": "spleen"}, "unknown_segment"),
        ({"labels": 3}, "unknown_segment"),
        ({"labels": [1, 3]}, "unknown_segment"),
        ({"segment": "Tumor"}, "several_masks"),
        ({"segment": "SCT:85756007"}, "several_masks"),
        ({}, "several_masks"),
    ]:
        with pytest.raises(FlrError) as caught:
            read_mask(path, **options)
        assert caught.value.reason == reason
        assert "Liver" in caught.value.message or "it has 1, 2, 7" in caught.value.message


def test_overlapping_segments_are_no_label_map(tmp_path):
    path = write_seg(tmp_path / "s.dcm", blobs(), AXIAL)
    with pytest.raises(FlrError) as caught:
        read_label_map(path)

    assert caught.value.reason == "overlapping_segments"


def test_two_objects_of_one_name_in_a_folder_are_told_apart(tmp_path):
    write_seg(tmp_path / "a.dcm", {1: blobs()[1]}, AXIAL, SegSpec(names={1: "Liver"}))
    write_seg(tmp_path / "b.dcm", {1: blobs()[2]}, AXIAL, SegSpec(names={1: "Liver"}, series="1.2.3.1.67"))

    assert set(read_masks(tmp_path)) == {"a.dcm:Liver", "b.dcm:Liver"}
    with pytest.raises(FlrError) as caught:
        read_mask(tmp_path, segment="Liver")
    assert caught.value.reason == "several_masks"
