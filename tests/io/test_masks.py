"""Masks and label maps: named, whole, exact."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from flr_volumetry.errors import FlrError
from flr_volumetry.images import Grid
from flr_volumetry.io import read_label_map, read_mask, read_masks
from flr_volumetry.io.labels import count_labels
from tests.io.dicom_files import SeriesSpec, write_slices
from tests.io.geometry import AFFINES, values

SHAPE = (9, 8, 7)


def nifti(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(array, np.diag([-1.0, -1, 2, 1]))
    image.set_sform(image.affine, 1)
    nib.save(image, path)
    return path


def ball(label=1, dtype=np.uint8):
    array = np.zeros(SHAPE, dtype, order="F")
    array[2:6, 3:6, 1:4] = label
    return array


def two_labels(dtype=np.uint8):
    array = ball(dtype=dtype)
    array[6:8, 1:4, 4:6] = 5
    return array


def reason(read, *arguments, **options):
    with pytest.raises(FlrError) as caught:
        read(*arguments, **options)
    return caught.value


@pytest.mark.parametrize(
    ("dtype", "label"),
    [(dtype, label) for dtype in ("u1", "i2", "u2", "i4", "f4", "f8") for label in (1, 255)] + [("i1", 1)],
)
def test_a_binary_file_is_one_mask_named_by_the_file(tmp_path, dtype, label):
    path = nifti(tmp_path / "left liver.nii.gz", ball(label, np.dtype(dtype)))

    masks = read_masks(path)

    assert list(masks) == ["left liver"]
    np.testing.assert_array_equal(masks["left liver"].voxels, ball() == 1)
    assert masks["left liver"].ml == pytest.approx(36 * 2 / 1000)
    assert masks["left liver"].name == "left liver"
    assert masks["left liver"].voxels.flags.f_contiguous
    # A bool whose byte is not 0 or 1 breaks sums and views made of it.
    assert masks["left liver"].voxels.view(np.uint8).max() == 1


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "f4"])
def test_each_label_is_a_mask_named_by_its_number(tmp_path, dtype):
    masks = read_masks(nifti(tmp_path / "m.nii.gz", two_labels(np.dtype(dtype))))

    assert {name: mask.count for name, mask in masks.items()} == {"1": 36, "5": 12}
    np.testing.assert_array_equal(masks["5"].voxels, two_labels() == 5)


def test_a_single_label_that_is_no_plain_mask_keeps_its_number(tmp_path):
    """A file holding only label 5 of a scheme is not "the" mask."""
    assert list(read_masks(nifti(tmp_path / "m.nii.gz", ball(5)))) == ["5"]


def test_an_empty_mask_is_there_and_empty(tmp_path):
    assert read_masks(nifti(tmp_path / "m.nii.gz", ball(0)))["m"].count == 0


@pytest.mark.parametrize(
    "spoil",
    [
        lambda a: a.astype("f4") * 0.5,
        lambda a: a.astype("f4") + np.float32(1e-3),
        lambda a: a.astype("i2") - 1,
        lambda a: a.astype("i4") * 70000,
        lambda a: np.where(a == 1, np.nan, 0.0),
        lambda a: np.where(a == 1, np.inf, 0.0),
    ],
)
@pytest.mark.parametrize("read", [read_masks, read_mask, read_label_map])
def test_anything_but_whole_numbers_is_refused(tmp_path, spoil, read):
    assert reason(read, nifti(tmp_path / "m.nii.gz", spoil(ball()))).reason == "not_a_label_map"


def test_a_scan_given_as_a_mask_is_refused(tmp_path):
    scan = np.arange(9 * 8 * 13, dtype=np.uint16).reshape(9, 8, 13)

    assert "936" not in str(reason(read_masks, nifti(tmp_path / "m.nii.gz", scan)).reason)
    assert reason(read_masks, nifti(tmp_path / "m.nii.gz", scan)).reason == "not_a_label_map"


def test_a_slope_that_leaves_whole_numbers_is_applied(tmp_path):
    path = nifti(tmp_path / "m.nii", two_labels())
    data = bytearray(path.read_bytes())
    data[112:120] = np.array([2, 0], "<f4").tobytes()
    path.write_bytes(data)

    assert {name: mask.count for name, mask in read_masks(path).items()} == {"2": 36, "10": 12}


class TestOneStructure:
    """`read_mask` takes one structure and never guesses which."""

    @pytest.fixture
    def path(self, tmp_path):
        return nifti(tmp_path / "m.nii.gz", two_labels())

    def test_several_labels_and_no_choice_are_listed(self, path):
        error = reason(read_mask, path)

        assert error.reason == "several_masks"
        assert "1, 5" in error.message

    @pytest.mark.parametrize(("labels", "count"), [(5, 12), ([5], 12), ([1, 5], 48), ((5, 1), 48)])
    def test_labels_choose_and_join(self, path, labels, count):
        assert read_mask(path, labels=labels).count == count

    def test_segment_chooses_by_name(self, path):
        assert read_mask(path, segment="5").count == 12

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({"labels": 2}, "unknown_label"),
            ({"labels": [1, 7]}, "unknown_label"),
            ({"labels": []}, "unknown_label"),
            ({"segment": "liver"}, "unknown_segment"),
            ({"segment": "1", "labels": 1}, "misuse"),
        ],
    )
    def test_a_choice_that_is_not_there_is_refused(self, path, options, expected):
        assert reason(read_mask, path, **options).reason == expected

    def test_a_choice_out_of_many_labels_is_that_label(self, tmp_path):
        path = nifti(tmp_path / "m.nii.gz", values(SHAPE, np.uint16, 0, 0, 400))
        array = values(SHAPE, np.uint16, 0, 0, 400)
        some = [int(n) for n in np.unique(array)[3:6]]

        np.testing.assert_array_equal(read_mask(path, labels=some).voxels, np.isin(array, some))

    def test_one_file_of_a_folder_is_chosen_by_name(self, tmp_path):
        nifti(tmp_path / "f" / "liver.nii.gz", ball())
        nifti(tmp_path / "f" / "Tumour.nii.gz", (two_labels() == 5).astype(np.uint8))

        assert read_mask(tmp_path / "f", segment="tumour").count == 12
        assert reason(read_mask, tmp_path / "f").reason == "several_masks"


def test_a_folder_of_files_gives_all_masks_by_name(tmp_path):
    nifti(tmp_path / "liver.nii.gz", ball())
    nifti(tmp_path / "deeper" / "segments.nii", two_labels())

    masks = read_masks(tmp_path)

    assert {name: mask.count for name, mask in masks.items()} == {
        "liver": 36,
        "segments:1": 36,
        "segments:5": 12,
    }


def test_two_masks_of_one_name_are_refused(tmp_path):
    nifti(tmp_path / "a" / "liver.nii.gz", ball())
    nifti(tmp_path / "b" / "liver.nii.gz", ball())

    assert reason(read_masks, tmp_path).reason == "same_name"


def test_dicom_series_that_hold_masks_are_named_by_their_folders(tmp_path):
    """As 3D-IRCADb ships them: 8 bits, value 255, one folder and one series each."""
    for number, (name, value) in enumerate([("liver", 255), ("tumour 1", 1), ("vein", 40)]):
        spec = SeriesSpec(series=f"1.2.{number + 1}", frame="", bits_stored=8)
        write_slices(tmp_path / "MASKS" / name, ball(value), AFFINES["gantry tilt"], spec)

    masks = read_masks(tmp_path / "MASKS")

    assert sorted(masks) == ["liver", "tumour 1", "vein"]
    assert {mask.count for mask in masks.values()} == {36}
    np.testing.assert_array_equal(masks["liver"].voxels, ball() == 1)
    np.testing.assert_allclose(masks["liver"].grid.affine, AFFINES["gantry tilt"], atol=1e-6)
    assert masks["liver"].source.n_files == 7
    assert read_mask(tmp_path / "MASKS" / "liver").count == 36


def test_a_mask_is_put_onto_the_grid_given(tmp_path):
    path = nifti(tmp_path / "m.nii.gz", ball())
    grid = Grid((9, 8, 3), np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 2, 2], [0, 0, 0, 1]]))

    mask = read_mask(path, grid=grid)

    assert mask.grid is grid or mask.grid.matches(grid)
    np.testing.assert_array_equal(mask.voxels, ball()[:, :, 1:4] == 1)
    assert read_label_map(path, grid=grid).grid.shape == (9, 8, 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [1, 7, 8, 9, 100_000, 300_001])
def test_labels_are_counted_as_numpy_counts_them(dtype, size):
    """Eight voxels at a time, across chunk ends and the odd voxels at the end."""
    labels = np.random.default_rng(size).integers(0, 200, size).astype(dtype)
    labels[: size // 2] = 0
    expected = {int(n): int(c) for n, c in zip(*np.unique(labels, return_counts=True), strict=True) if n}

    assert count_labels(labels) == expected


@pytest.mark.parametrize("place", [0, 7, 8, 8 * (1 << 15), 8 * (1 << 15) + 3])
def test_a_single_voxel_is_counted_wherever_it_lies(place):
    labels = np.zeros(9 * (1 << 15), np.uint8)
    labels[place] = 3

    assert count_labels(labels) == {3: 1}
