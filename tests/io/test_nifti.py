"""NIfTI in and out, against nibabel as an independent reader and writer."""

from __future__ import annotations

import gzip
import hashlib
import struct

import nibabel as nib
import numpy as np
import pytest

from flr_volumetry.errors import FlrError, OutputError
from flr_volumetry.images import Grid, Image, LabelMap, Mask
from flr_volumetry.io import read_image, read_label_map, read_mask, write_image, write_label_map, write_mask
from tests.grids import STEPS
from tests.io.geometry import values

RAS = np.diag([-1.0, -1, 1, 1])


def affine_of(name):
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = STEPS[name], (-30.5, 20, 7)
    return affine


def saved(path, array, affine_lps, *, sform=1, qform=0, version=nib.Nifti1Image, edit=None):
    image = version(array, RAS @ affine_lps)
    image.set_sform(RAS @ affine_lps if sform else None, sform)
    image.set_qform(RAS @ affine_lps, qform, strip_shears=True)
    if edit:
        edit(image.header)
    nib.save(image, path)
    return path


def reason(path, read=read_image):
    with pytest.raises(FlrError) as caught:
        read(path)
    return caught.value.reason


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("version", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
def test_an_sform_is_read_on_every_grid(tmp_path, name, version, ending):
    """Sheared and left-handed lattices too: no array is flipped, no axis lost."""
    path = saved(tmp_path / f"a.{ending}", values(), affine_of(name), version=version)

    image = read_image(path)

    np.testing.assert_allclose(image.grid.affine, affine_of(name), atol=1e-5)
    np.testing.assert_array_equal(image.voxels, values())
    assert image.voxels.flags.f_contiguous
    assert image.source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["axial", "flipped", "sagittal"])
@pytest.mark.parametrize("sform", [0, 2])
def test_a_qform_is_read_as_nibabel_reads_it(tmp_path, name, sform):
    path = saved(tmp_path / "a.nii", values(), affine_of(name), sform=sform, qform=1)

    np.testing.assert_allclose(read_image(path).grid.affine, affine_of(name), atol=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_any_rotation_is_read_from_a_quaternion(tmp_path, seed):
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = rotation @ np.diag([0.7, 0.8, 2.0]), rng.normal(size=3) * 100
    path = saved(tmp_path / "a.nii", values(), affine, sform=0, qform=1)

    np.testing.assert_allclose(read_image(path).grid.affine, affine, atol=1e-4)


@pytest.mark.parametrize("kind", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "f4", "f8", ">i2", ">f4"])
def test_every_type_gives_its_numbers(tmp_path, kind):
    array = values(low=0, high=100).astype(kind)
    header = nib.Nifti1Header(endianness=">" if kind.startswith(">") else "<")
    header.set_data_dtype(np.dtype(kind))
    image = nib.Nifti1Image(array, RAS, header)
    image.set_sform(RAS, 1)
    nib.save(image, tmp_path / "a.nii.gz")

    read = read_image(tmp_path / "a.nii.gz")

    assert read.voxels.dtype == (np.float32 if "f" in kind else np.int16)
    np.testing.assert_array_equal(read.voxels, array)


@pytest.mark.parametrize(
    ("slope", "intercept", "kind"), [(2, -100, np.int16), (0.5, 3, np.float32), (3000, 0, np.float32)]
)
def test_rescaling_is_applied(tmp_path, slope, intercept, kind):
    path = saved(tmp_path / "a.nii", values(), np.eye(4), edit=None)
    data = bytearray(path.read_bytes())
    struct.pack_into("<2f", data, 112, slope, intercept)
    path.write_bytes(data)

    image = read_image(path)

    assert image.voxels.dtype == kind
    np.testing.assert_allclose(image.voxels, values() * float(slope) + intercept)


@pytest.mark.parametrize("slope", [0.0, np.nan])
def test_a_slope_of_nought_or_nan_means_none(tmp_path, slope):
    path = saved(tmp_path / "a.nii", values(), np.eye(4))
    data = bytearray(path.read_bytes())
    struct.pack_into("<2f", data, 112, slope, 7)
    path.write_bytes(data)

    np.testing.assert_array_equal(read_image(path).voxels, values())


@pytest.mark.parametrize(("code", "scale"), [(1, 1000.0), (3, 0.001), (0, 1.0)])
def test_other_units_are_converted_with_a_caveat(tmp_path, code, scale):
    def edit(header):
        header["xyzt_units"] = code

    affine = affine_of("axial") @ np.diag([100, 100, 100, 1.0]) if code == 3 else affine_of("axial")
    path = saved(tmp_path / "a.nii", values(), affine, edit=edit)
    image = read_image(path)

    np.testing.assert_allclose(image.grid.affine[:3], affine[:3] * scale, rtol=1e-6)
    assert [c.code for c in image.caveats] == ([] if scale == 1 else ["units_converted"])


class TestRefusals:
    """What does not say where it lies, or holds no single number, is refused."""

    def test_no_orientation_codes(self, tmp_path):
        path = saved(tmp_path / "a.nii", values(), affine_of("axial"), sform=0, qform=0)

        assert reason(path) == "unknown_orientation"

    @pytest.mark.parametrize(("mm", "expected"), [(0.05, ""), (0.3, "sform_qform_differ"), (0.5, "refused")])
    def test_forms_that_disagree(self, tmp_path, mm, expected):
        """0.8 mm voxels: agreement within 0.1 mm, doubt up to half a voxel, then refusal."""

        def edit(header):
            header["qoffset_x"] += mm

        path = saved(tmp_path / "a.nii", values(), affine_of("axial"), qform=1, edit=edit)

        if expected == "refused":
            assert reason(path) == "sform_qform_disagree"
        else:
            image = read_image(path)
            assert [c.code for c in image.caveats] == [expected] * bool(expected)
            np.testing.assert_allclose(image.grid.affine, affine_of("axial"), atol=1e-5)

    def test_forms_that_agree_at_the_origin_only(self, tmp_path):
        """A sheared sform beside a rigid qform: they part with the distance from the first voxel."""
        path = saved(tmp_path / "a.nii", values(), affine_of("gantry tilt"), qform=1)

        assert reason(path) == "sform_qform_disagree"

    @pytest.mark.parametrize(
        ("array", "expected"),
        [
            (np.zeros((4, 5, 6, 2), np.int16), "four_d"),
            (np.zeros((4, 5, 6), np.complex64), "not_scalar"),
            (np.zeros((4, 5, 6), [("R", "u1"), ("G", "u1"), ("B", "u1")]), "not_scalar"),
            (np.zeros((4, 5, 1), np.int16), "single_slice"),
        ],
    )
    def test_what_is_no_single_volume(self, tmp_path, array, expected):
        assert reason(saved(tmp_path / "a.nii", array, np.eye(4))) == expected

    def test_a_trailing_axis_of_one_is_no_time(self, tmp_path):
        path = saved(tmp_path / "a.nii", values()[..., None], np.eye(4))

        np.testing.assert_array_equal(read_image(path).voxels, values())

    @pytest.mark.parametrize("ending", ["nii", "nii.gz"])
    @pytest.mark.parametrize("part", [0.3, 0.9, 0.99])
    def test_a_file_cut_short(self, tmp_path, ending, part):
        path = saved(tmp_path / f"a.{ending}", values((20, 20, 20)), np.eye(4))
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])

        assert reason(path) == "truncated"

    def test_a_damaged_gzip(self, tmp_path):
        path = saved(tmp_path / "a.nii.gz", values((20, 20, 20)), np.eye(4))
        data = bytearray(path.read_bytes())
        data[3000:3100] = b"\xff" * 100
        path.write_bytes(data)

        assert reason(path) in {"unreadable", "truncated"}

    def test_something_else_of_that_name(self, tmp_path):
        (tmp_path / "a.nii.gz").write_bytes(gzip.compress(b"hello" * 1000))

        assert reason(tmp_path / "a.nii.gz") == "unreadable"


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
def test_a_label_map_comes_back_as_written_and_nibabel_agrees(tmp_path, name, ending):
    grid = Grid((6, 5, 4), affine_of(name))
    labels = values(grid.shape, np.uint8, 1, 0, 9)
    path = tmp_path / f"a.{ending}"
    write_label_map(path, LabelMap(grid, labels))

    back, other = read_label_map(path), nib.load(path)

    assert back.grid.matches(grid)
    np.testing.assert_array_equal(back.voxels, labels)
    np.testing.assert_array_equal(np.asarray(other.dataobj), labels)
    np.testing.assert_allclose(RAS @ other.affine, grid.affine, atol=1e-5)
    assert int(other.header["qform_code"]) == int(grid.is_orthogonal)
    if grid.is_orthogonal:
        np.testing.assert_allclose(RAS @ other.get_qform(), grid.affine, atol=1e-4)


def test_labels_above_255_are_written_as_uint16(tmp_path):
    grid = Grid((3, 3, 2), np.eye(4))
    labels = np.zeros(grid.shape, np.uint32)
    labels[1, 1, 1] = 700
    write_label_map(tmp_path / "a.nii.gz", LabelMap(grid, labels))

    back = read_label_map(tmp_path / "a.nii.gz")

    assert back.voxels.dtype == np.uint16
    assert back.voxels[1, 1, 1] == 700


@pytest.mark.parametrize("order", ["F", "C"])
def test_masks_and_images_come_back_whatever_their_memory_order(tmp_path, order):
    grid = Grid((6, 5, 4), affine_of("oblique"))
    inside = np.array(values(grid.shape) > 0, order=order)
    write_mask(tmp_path / "m.nii.gz", Mask(grid, inside))
    write_image(tmp_path / "i.nii", Image(grid, np.array(values(grid.shape), order=order)))

    np.testing.assert_array_equal(read_mask(tmp_path / "m.nii.gz").voxels, inside)
    np.testing.assert_array_equal(read_image(tmp_path / "i.nii").voxels, values(grid.shape))


def test_writing_replaces_whole_or_leaves_what_was(tmp_path):
    mask = Mask(Grid((3, 3, 2), np.eye(4)), np.ones((3, 3, 2), bool))
    target = tmp_path / "m.nii.gz"
    target.write_bytes(b"old")

    write_mask(target, mask)

    assert read_mask(target).count == 18
    assert [path.name for path in tmp_path.iterdir()] == ["m.nii.gz"]


@pytest.mark.parametrize("name", ["nowhere/m.nii.gz", "m.txt", "m.nii.xz"])
def test_what_cannot_be_written_is_said(tmp_path, name):
    mask = Mask(Grid((3, 3, 2), np.eye(4)), np.ones((3, 3, 2), bool))

    with pytest.raises(OutputError):
        write_mask(tmp_path / name, mask)
    assert list(tmp_path.iterdir()) == []


def test_a_pair_of_files_is_read(tmp_path):
    image = nib.Nifti1Pair(values(), RAS @ affine_of("oblique"))
    image.set_sform(image.affine, 1)
    nib.save(image, tmp_path / "a.hdr")

    np.testing.assert_array_equal(read_image(tmp_path / "a.hdr").voxels, values())
    (tmp_path / "a.img").unlink()
    assert reason(tmp_path / "a.hdr") == "unreadable"


@pytest.mark.parametrize("mirrored", [True, False])
def test_a_quaternion_says_whether_the_grid_is_mirrored(tmp_path, mirrored):
    affine = np.diag([0.7, 0.8, -2.0 if mirrored else 2.0, 1])
    path = saved(tmp_path / "a.nii", values(), affine, sform=0, qform=1)

    np.testing.assert_allclose(read_image(path).grid.affine, affine, atol=1e-5)


def test_a_gzip_of_several_members_is_read(tmp_path):
    """As bgzip writes them; here the header itself is spread over three."""
    raw = saved(tmp_path / "a.nii", values(), np.eye(4)).read_bytes()
    parts = (raw[:100], raw[100:200], raw[200:])
    (tmp_path / "b.nii.gz").write_bytes(b"".join(gzip.compress(part) for part in parts))

    np.testing.assert_array_equal(read_image(tmp_path / "b.nii.gz").voxels, values())
