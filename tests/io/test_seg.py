"""DICOM segmentations come back voxel by voxel, however their frames are written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flr_volumetry.errors import FlrError
from flr_volumetry.images import Grid, to_grid
from flr_volumetry.io import inspect, read_label_map, read_mask, read_masks
from tests.io.geometry import AFFINES, lattice, rotation
from tests.io.mask_files import SegSpec, deflate_frames, write_seg

SHAPE = (7, 6, 5)
SYNTAXES = {
    "implicit": "1.2.840.10008.1.2",
    "explicit": "1.2.840.10008.1.2.1",
    "deflated": "1.2.840.10008.1.2.1.99",
}


def blobs(shape=SHAPE, seed=0):
    """Three masks without symmetry, two of them overlapping, none touching every slice alike."""
    rng = np.random.default_rng(seed)
    first = rng.random(shape) < 0.4
    first[:, :, 0] = first[:, :, -1] = False
    first[1, 2, [0, -1]] = True
    second = first & (rng.random(shape) < 0.6)
    third = ~first & (rng.random(shape) < 0.3)
    third[:, :, 1] = False
    return {1: first, 2: second, 7: third}


def as_bool(masks):
    return {name: mask.voxels for name, mask in masks.items()}


def same(masks, expected, grid):
    for name, voxels in expected.items():
        assert masks[name].grid.matches(grid)
        np.testing.assert_array_equal(masks[name].voxels, voxels)
    assert set(masks) == set(expected)


def named(masks):
    return {f"segment {n}": voxels for n, voxels in masks.items()}


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_binary_masks_come_back_with_their_own_grid(tmp_path, affine, syntax):
    masks = blobs()
    path = write_seg(tmp_path / "s.dcm", masks, affine, SegSpec(syntax=syntax))

    read = read_masks(path)

    same(read, named(masks), Grid(SHAPE, affine, "1.2.3.9"))
    assert read["segment 1"].grid.frame_of_reference_uid == "1.2.3.9"
    assert read["segment 1"].grid.voxel_mm3 == pytest.approx(abs(np.linalg.det(affine[:3, :3])))
    assert all(mask.caveats == () for mask in read.values())
    assert read["segment 1"].voxels.flags.f_contiguous
    assert len(read["segment 1"].source.sha256) == 64


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
@pytest.mark.parametrize("how", ["", "c", "r", "cr"])
def test_frames_that_count_from_the_other_end_lie_where_they_say(tmp_path, affine, how):
    masks = blobs()
    path = write_seg(tmp_path / "s.dcm", masks, affine, SegSpec(turn=lambda k: how))
    grid = Grid(SHAPE, affine, "1.2.3.9")

    same(read_masks(path, grid=grid), named(masks), grid)
    own = read_masks(path)
    for name, mask in named(masks).items():
        moved = to_grid(own[name], grid)
        np.testing.assert_array_equal(moved.voxels, mask)
        assert moved.caveats == ()


def test_each_frame_may_be_turned_its_own_way(tmp_path):
    affine = lattice(rotation([1, 2, 3], 33), (0.8, 0.8, 2.0), (5, -60, 7))
    shape = (6, 6, 8)
    masks = blobs(shape)
    hows = ["", "c", "r", "cr", "t", "ct", "rt", "crt"]
    spec = SegSpec(turn=lambda k: hows[k], order=np.random.default_rng(3))
    path = write_seg(tmp_path / "s.dcm", masks, affine, spec)
    grid = Grid(shape, affine, "1.2.3.9")

    same(read_masks(path, grid=grid), named(masks), grid)
    own = read_masks(path)
    same({name: to_grid(mask, grid) for name, mask in own.items()}, named(masks), grid)


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
def test_frames_in_any_order_are_placed_by_position(tmp_path, affine):
    masks = blobs()
    path = write_seg(tmp_path / "s.dcm", masks, affine, SegSpec(order=np.random.default_rng(1)))

    same(read_masks(path), named(masks), Grid(SHAPE, affine, "1.2.3.9"))


@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(2, 6)),
    seed=st.integers(0, 10_000),
    angle=st.floats(-180, 180),
    shear=st.floats(-1, 1),
    how=st.sampled_from(["", "c", "r", "cr"]),
    kind=st.sampled_from(["BINARY", "LABELMAP"]),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_mask_comes_back(tmp_path, shape, seed, angle, shear, how, kind):  # noqa: PLR0917
    """Any size (also rows x columns no multiple of 8), orientation, tilt, turn and order."""
    rng = np.random.default_rng(seed)
    affine = lattice(rotation([1, 2, -1], angle), (0.7, 0.9, 2.0), (10, -20, 30), shear=(shear, 0))
    first = rng.random(shape) < 0.5
    first[0, 0, 0] = first[0, 0, -1] = True
    masks = {3: first, 4: ~first}
    spec = SegSpec(kind=kind, order=rng, turn=lambda k: how)
    path = write_seg(tmp_path / "s.dcm", masks, affine, spec)
    grid = Grid(shape, affine, "1.2.3.9")

    same(read_masks(path, grid=grid), named(masks), grid)


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (5, 3), (23, 38), (8, 8), (7, 1)])
def test_bits_are_unpacked_where_frames_begin_within_a_byte(tmp_path, size):
    masks = {1: np.random.default_rng(5).random((*size, 4)) < 0.5}
    masks[1][0, 0, :] = True
    path = write_seg(tmp_path / "s.dcm", masks, AFFINES["axial"])

    np.testing.assert_array_equal(read_mask(path).voxels, masks[1])


def test_slices_without_a_frame_are_empty_and_keep_their_place(tmp_path):
    mask = np.zeros(SHAPE, bool)
    mask[2:4, 2:4, [0, 1, 4]] = True
    path = write_seg(tmp_path / "s.dcm", {1: mask}, AFFINES["axial"])

    read = read_mask(path)

    np.testing.assert_array_equal(read.voxels, mask)
    assert read.grid.matches(Grid(SHAPE, AFFINES["axial"], "1.2.3.9"))


@pytest.mark.parametrize(
    ("between", "thickness", "slices", "codes"),
    [
        (None, None, [0, 1, 2], ["slice_step_assumed"]),
        (None, None, [0, 1, 4], ["slice_step_assumed"]),
        (None, None, [0, 4], ["slice_step_assumed"]),
        (None, 2.5, [0, 1, 4], []),
        (None, 2.5, [0, 2, 4], ["slice_step_assumed"]),
        (3.1, None, [0, 1, 2, 4], ["spacing_contradicts_positions"]),
        (2.5, None, [0, 2, 4], ["no_neighbouring_slices"]),
        (None, 2.5, [0, 2, 3], []),
    ],
)
def test_the_slice_step_is_that_of_the_positions(tmp_path, between, thickness, slices, codes):
    """SpacingBetweenSlices and SliceThickness only say how many slices are left out."""
    mask = np.zeros(SHAPE, bool)
    mask[2:4, 2:4, slices] = True
    affine = AFFINES["axial"]
    spec = SegSpec(between=between, thickness=thickness)
    read = read_mask(write_seg(tmp_path / "s.dcm", {1: mask}, affine, spec))

    step = 2.5 * (np.diff(slices).min() if between is None else 1)
    assert read.grid.spacing_mm[2] == pytest.approx(step)
    assert read.ml == pytest.approx(4 * len(slices) * 0.8 * 0.7 * step / 1000)
    assert [c.code for c in read.caveats] == codes


def test_frames_too_far_apart_to_tell_the_step_are_refused(tmp_path):
    """Gaps of 2, 1 and 2 slices and no word on the step: it might be that of the scan, or half of it."""
    mask = np.zeros((7, 6, 6), bool)
    mask[2:4, 2:4, [0, 2, 3, 5]] = True
    path = write_seg(tmp_path / "s.dcm", {1: mask}, AFFINES["axial"], SegSpec(between=None))

    with pytest.raises(FlrError, match="does not say how far its slices are apart") as caught:
        read_mask(path)
    assert caught.value.reason == "irregular_spacing"


def test_a_step_that_no_scan_has_is_not_followed(tmp_path):
    """A spacing of almost nothing in a damaged file: its multiples would reach every frame."""
    mask = np.zeros(SHAPE, bool)
    mask[2:4, 2:4] = True
    path = write_seg(tmp_path / "s.dcm", {1: mask}, AFFINES["axial"], SegSpec(between=1e-30))

    read = read_mask(path)
    assert read.grid.spacing_mm[2] == pytest.approx(2.5)
    assert [c.code for c in read.caveats] == ["spacing_contradicts_positions"]


def test_slices_thinner_than_a_millimetre_are_slices_of_their_own(tmp_path):
    affine = lattice(np.eye(3), (0.3, 0.3, 0.4), (1, 2, 3))
    mask = blobs()[1]
    read = read_mask(write_seg(tmp_path / "s.dcm", {1: mask}, affine, SegSpec(between=None)))

    np.testing.assert_array_equal(read.voxels, mask)
    assert read.grid.spacing_mm[2] == pytest.approx(0.4)


def test_what_a_frame_says_of_itself_goes_before_what_all_share(tmp_path):
    def edit(ds):
        from copy import deepcopy

        shared = ds.SharedFunctionalGroupsSequence[0]
        for frame in ds.PerFrameFunctionalGroupsSequence:
            frame.PixelMeasuresSequence = deepcopy(shared.PixelMeasuresSequence)
        shared.PixelMeasuresSequence[0].PixelSpacing = ["9", "9"]

    path = write_seg(tmp_path / "s.dcm", blobs(), AFFINES["axial"], SegSpec(edit=edit))

    same(read_masks(path), named(blobs()), Grid(SHAPE, AFFINES["axial"], "1.2.3.9"))


def test_one_frame_is_as_thick_as_its_file_says(tmp_path):
    mask = np.zeros((4, 4, 1), bool)
    mask[1:3, 1:3] = True
    stated = read_mask(write_seg(tmp_path / "a.dcm", {1: mask}, AFFINES["gantry tilt"]))
    thick = read_mask(
        write_seg(tmp_path / "b.dcm", {1: mask}, AFFINES["axial"], SegSpec(between=None, thickness=4))
    )

    assert stated.grid.slice_distance_mm == pytest.approx(3.0)
    assert stated.caveats == ()
    assert thick.grid.spacing_mm[2] == 4
    assert [c.code for c in thick.caveats] == ["slice_step_assumed"]


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80"])
@pytest.mark.parametrize("padding", [None, 0, 200])
def test_label_maps_hold_their_segments_and_no_background(tmp_path, syntax, padding):
    masks = blobs()
    masks[1] &= ~masks[2]

    def edit(ds):
        if padding is not None:
            ds.PixelPaddingValue = padding
            ds["PixelPaddingValue"].VR = "US"
        if padding == 200:
            pixels = np.frombuffer(ds.PixelData, np.uint8).copy()
            pixels[: 7 * 6][pixels[: 7 * 6] == 0] = 200
            ds.PixelData = pixels.tobytes()

    spec = SegSpec(kind="LABELMAP", edit=edit, syntax=syntax)
    path = write_seg(tmp_path / "s.dcm", masks, AFFINES["axial"], spec)

    read = read_masks(path)

    same(read, named(masks), Grid(SHAPE, AFFINES["axial"], "1.2.3.9"))
    assert all(mask.caveats == () for mask in read.values())


def test_a_declared_background_is_no_segment_and_an_undeclared_value_is_said(tmp_path):
    mask = blobs()[1]
    stray = ~mask
    stray[1:] = False

    def edit(ds):
        ds.SegmentSequence = ds.SegmentSequence[:2]

    spec = SegSpec(
        kind="LABELMAP",
        names={0: "Background", 1: "Liver"},
        codes={0: ("DCM", "125040", "Background")},
        edit=edit,
    )
    path = write_seg(tmp_path / "s.dcm", {0: ~mask & ~stray, 1: mask, 9: stray}, AFFINES["axial"], spec)

    read = read_masks(path)

    assert list(read) == ["Liver"]
    np.testing.assert_array_equal(read["Liver"].voxels, mask)
    assert [c.code for c in read["Liver"].caveats] == ["undeclared_label"]
    assert f"9 ({np.count_nonzero(stray)} voxels)" in read["Liver"].caveats[0].message


def test_a_segment_with_the_number_of_the_padding_is_said_and_not_read(tmp_path):
    masks = blobs()
    masks[1] &= ~masks[2]

    def edit(ds):
        ds.PixelPaddingValue = 7
        ds["PixelPaddingValue"].VR = "US"

    path = write_seg(tmp_path / "s.dcm", masks, AFFINES["axial"], SegSpec(kind="LABELMAP", edit=edit))
    read = read_masks(path)

    assert set(read) == {"segment 1", "segment 2"}
    assert "segment_is_padding" in [c.code for c in read["segment 1"].caveats]


@pytest.mark.parametrize(("threshold", "least"), [(0.5, 128), (1.0, 255), (0.2, 51)])
def test_fractions_become_a_mask_at_the_threshold_asked_for(tmp_path, threshold, least):
    fractions = np.random.default_rng(2).random(SHAPE)
    path = write_seg(tmp_path / "s.dcm", {1: fractions}, AFFINES["axial"], SegSpec(kind="FRACTIONAL"))

    stored = np.rint(fractions * 255).astype(int)
    np.testing.assert_array_equal(read_mask(path, threshold=threshold).voxels, stored >= least)


def test_deflated_frames_are_read(tmp_path):
    masks = {1: blobs()[1]}
    held = []
    path = write_seg(tmp_path / "s.dcm", masks, AFFINES["axial"], SegSpec(keep_empty=True, edit=held.append))
    frames = [np.packbits(masks[1][:, :, k].T.ravel(), bitorder="little").tobytes() for k in range(SHAPE[2])]
    deflate_frames(held[0], path, frames)

    np.testing.assert_array_equal(read_mask(path).voxels, masks[1])


def test_binary_pixels_of_eight_bits_are_read(tmp_path):
    masks = {1: blobs()[1]}

    def edit(ds):
        frames = [masks[1][:, :, k].T for k in range(SHAPE[2])]
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
        ds.PixelData = b"".join((frame * 255).astype(np.uint8).tobytes() for frame in frames)

    path = write_seg(tmp_path / "s.dcm", masks, AFFINES["axial"], SegSpec(keep_empty=True, edit=edit))

    np.testing.assert_array_equal(read_mask(path).voxels, masks[1])


def test_a_segment_is_chosen_by_name_number_or_code(tmp_path):
    masks = blobs()
    spec = SegSpec(
        names={1: "Liver", 2: "7", 7: "Portal"},
        codes={1: ("SCT", "10200004", "Liver"), 7: ("SCT", "32764006", "Portal vein")},
    )
    path = write_seg(tmp_path / "s.dcm", masks, AFFINES["axial"], spec)

    for wanted, number in {
        "liver": 1,
        " LIVER ": 1,
        "1": 1,
        "7": 2,
        "Portal": 7,
        "10200004": 1,
        "SCT:32764006": 7,
    }.items():
        np.testing.assert_array_equal(read_mask(path, segment=wanted).voxels, masks[number])
    np.testing.assert_array_equal(read_mask(path, labels=7).voxels, masks[7])
    joined = read_mask(path, labels=[1, 7])
    np.testing.assert_array_equal(joined.voxels, masks[1] | masks[7])
    assert joined.name == "Liver + Portal"


def test_segments_of_one_name_are_told_apart_by_number(tmp_path):
    masks = blobs()
    spec = SegSpec(names=dict.fromkeys(masks, "Tumor"))
    path = write_seg(tmp_path / "s.dcm", masks, AFFINES["axial"], spec)

    same(
        read_masks(path),
        {f"Tumor [{n}]": voxels for n, voxels in masks.items()},
        Grid(SHAPE, AFFINES["axial"], "1.2.3.9"),
    )
    np.testing.assert_array_equal(read_mask(path, segment="Tumor [7]").voxels, masks[7])


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
def test_names_are_read_in_the_character_set_of_the_file(tmp_path, syntax):
    spec = SegSpec(names={1: "Läsion 肝"}, charset="ISO_IR 192", syntax=syntax)
    path = write_seg(tmp_path / "s.dcm", {1: blobs()[1]}, AFFINES["axial"], spec)

    assert list(read_masks(path)) == ["Läsion 肝"]


def test_overlapping_segments_are_masks_of_their_own_and_no_label_map(tmp_path):
    masks = blobs()
    path = write_seg(tmp_path / "s.dcm", masks, AFFINES["axial"])

    assert (read_masks(path)["segment 1"].voxels & read_masks(path)["segment 2"].voxels).any()
    masks[1] &= ~masks[2]
    labels = read_label_map(write_seg(tmp_path / "l.dcm", masks, AFFINES["axial"]))
    expected = sum(n * mask.astype(int) for n, mask in masks.items())
    np.testing.assert_array_equal(labels.voxels, expected)
    assert labels.names[7] == "segment 7"


def test_an_empty_segment_is_an_empty_mask(tmp_path):
    masks = {1: blobs()[1], 2: np.zeros(SHAPE, bool)}
    read = read_masks(write_seg(tmp_path / "s.dcm", masks, AFFINES["axial"]))

    assert read["segment 2"].count == 0


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
def test_masks_go_onto_a_larger_and_a_smaller_scan_on_the_same_lattice(tmp_path, affine):
    masks = blobs()
    path = write_seg(tmp_path / "s.dcm", masks, affine)
    larger = affine.copy()
    larger[:3, 3] -= affine[:3, :3] @ [2, 1, 3]
    grid = Grid((12, 9, 11), larger, "1.2.3.9")

    read = read_masks(path, grid=grid)

    for number, mask in masks.items():
        voxels = read[f"segment {number}"].voxels
        np.testing.assert_array_equal(voxels[2:9, 1:7, 3:8], mask)
        assert np.count_nonzero(voxels) == np.count_nonzero(mask)
    part = Grid(SHAPE, affine, "1.2.3.9").crop((slice(1, 6), slice(0, 4), slice(0, 5)))
    cut = read_mask(path, segment="segment 1", grid=part)
    np.testing.assert_array_equal(cut.voxels, masks[1][1:6, 0:4])
    assert [c.code for c in cut.caveats] == ["mask_outside_scan"]
    lost = np.count_nonzero(masks[1]) - np.count_nonzero(masks[1][1:6, 0:4])
    assert f"{lost} voxels" in cut.caveats[0].message


def test_a_frame_that_meets_no_slice_is_left_out_and_named(tmp_path):
    masks = {1: np.ones(SHAPE, bool), 2: np.zeros(SHAPE, bool)}
    masks[2][1, 1, 1] = True

    def place(k, corner):
        return corner + [0, 0, 1.1] if k == 3 else corner

    path = write_seg(tmp_path / "s.dcm", masks, AFFINES["axial"], SegSpec(place=place))
    grid = Grid(SHAPE, AFFINES["axial"], "1.2.3.9")
    read = read_masks(path, grid=grid)

    expected = masks[1].copy()
    expected[:, :, 3] = False
    np.testing.assert_array_equal(read["segment 1"].voxels, expected)
    assert [c.code for c in read["segment 1"].caveats] == ["frames_left_out"]
    assert "frame 4; 42 voxels" in read["segment 1"].caveats[0].message
    assert "42 voxels" in read["segment 1"].caveats[0].message
    assert read["segment 2"].caveats == ()


def test_a_segmentation_of_thicker_slices_is_resampled_not_left_with_holes(tmp_path):
    thick = AFFINES["axial"].copy()
    thick[2, 2] = 5.0
    mask = np.ones(SHAPE, bool)
    path = write_seg(tmp_path / "s.dcm", {1: mask}, thick)
    thin = AFFINES["axial"].copy()
    thin[2, 2] = 2.5
    grid = Grid((7, 6, 11), thin, "1.2.3.9")

    read = read_mask(path, grid=grid)

    assert read.voxels[:, :, :9].all()
    assert [c.code for c in read.caveats] == ["mask_resampled"]
    assert read.ml == pytest.approx(mask.size * 0.8 * 0.7 * 5 / 1000, rel=0.11)


def test_a_segmentation_on_another_lattice_is_resampled_and_says_so(tmp_path):
    mask = np.zeros((20, 20, 10), bool)
    mask[4:16, 4:16, 2:8] = True
    path = write_seg(tmp_path / "s.dcm", {1: mask}, AFFINES["oblique"])
    target = AFFINES["oblique"].copy()
    target[:3, :2] *= 0.5
    target[:3, 3] += 0.31
    grid = Grid((40, 40, 10), target, "1.2.3.9")

    read = read_mask(path, grid=grid)

    assert [c.code for c in read.caveats] == ["mask_resampled"]
    assert read.ml == pytest.approx(np.count_nonzero(mask) * 0.8 * 0.9 * 2.0 / 1000, rel=0.02)


def test_positions_rounded_as_scanners_write_them_are_no_reason_to_refuse(tmp_path):
    affine = lattice(rotation([1, 0, 0], 14), (0.8, 0.9, 5 / 3), (1, 2, 3), shear=(0, 0.4))
    shape = (6, 6, 30)
    mask = blobs(shape)[1]
    spec = SegSpec(place=lambda k, corner: np.round(corner, 1))
    path = write_seg(tmp_path / "s.dcm", {1: mask}, affine, spec)

    own = read_mask(path)
    np.testing.assert_array_equal(own.voxels, mask)
    assert own.grid.voxel_mm3 == pytest.approx(abs(np.linalg.det(affine)), rel=5e-3)
    np.testing.assert_array_equal(read_mask(path, grid=Grid(shape, affine)).voxels, mask)


def test_highdicom_writes_what_is_read(tmp_path):
    """An independent writer: BINARY and LABELMAP, with and without empty frames, sagittal and axial."""
    hd = pytest.importorskip("highdicom")
    from pydicom import dcmread
    from pydicom.sr.codedict import codes

    from tests.io.dicom_files import SeriesSpec, write_slices

    for name in ("axial", "sagittal", "oblique"):
        grid = Grid((9, 11, 6), AFFINES[name], "1.2.3.9")
        ct = SeriesSpec(
            extra={
                **{
                    "PatientName": "A^B",
                    "PatientBirthDate": "",
                    "PatientSex": "",
                    "StudyTime": "",
                    "StudyID": "",
                },
                **{"AccessionNumber": "", "ReferringPhysicianName": "", "Manufacturer": "x"},
                "SliceThickness": "1.0",
            }
        )
        paths = write_slices(tmp_path / name, np.zeros(grid.shape, np.int16, order="F"), AFFINES[name], ct)
        masks = blobs(grid.shape)
        masks[2] &= ~masks[1]
        for kind in ("BINARY", "LABELMAP"):
            for omit in (True, False):
                described = [
                    hd.seg.SegmentDescription(n, f"segment {m}", codes.SCT.Organ, codes.SCT.Liver, "MANUAL")
                    for n, m in enumerate(masks, 1)
                ]
                stacked = np.stack([mask.transpose(2, 1, 0) for mask in masks.values()], axis=-1)
                if kind == "BINARY":
                    stacked[..., 1] |= masks[1].transpose(2, 1, 0)
                made = hd.seg.Segmentation(
                    [dcmread(p) for p in reversed(paths)],
                    stacked[::-1].astype(np.uint8) if kind == "BINARY" else _labels(stacked[::-1]),
                    kind,
                    described,
                    *("1.2.3.4", 1, "1.2.3.5", 1, "maker", "model", "1", "1"),
                    omit_empty_frames=omit,
                )
                path = tmp_path / "s.dcm"
                made.save_as(path)
                read = read_masks(path, grid=grid)
                for number, mask in enumerate(masks):
                    inside = stacked[..., number].transpose(2, 1, 0).astype(bool)
                    np.testing.assert_array_equal(read[f"segment {mask}"].voxels, inside)
                    moved = to_grid(read_masks(path)[f"segment {mask}"], grid)
                    np.testing.assert_array_equal(moved.voxels, inside)


def _labels(stacked):
    labels = np.zeros(stacked.shape[:3], np.uint8)
    for n in range(stacked.shape[3]):
        labels[stacked[..., n].astype(bool)] = n + 1
    return labels


def test_an_inspection_counts_the_segments_and_gives_their_codes(tmp_path):
    masks = blobs()
    spec = SegSpec(names={1: "Liver"}, codes={1: ("SCT", "10200004", "Liver")})
    path = write_seg(tmp_path / "s.dcm", masks, AFFINES["gantry tilt"], spec)

    (item,) = inspect(path).to_json()["items"]

    assert item["kind"] == "masks"
    assert item["status"] == "ok"
    assert item["shape"] == list(SHAPE)
    first = item["segments"][0]
    count = int(np.count_nonzero(masks[1]))
    assert (first["name"], first["number"], first["voxels"]) == ("Liver", 1, count)
    assert first["code"] == "SCT:10200004"
    assert first["ml"] == pytest.approx(count * 0.8 * 0.9 * 3 / 1000)
