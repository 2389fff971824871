"""Awkward NIfTI, NRRD and MetaImage files, one peculiarity each: read exactly, told, or refused."""

from __future__ import annotations

import gzip
import zipfile

import nibabel as nib
import numpy as np
import pytest

from flr_volumetry.errors import FlrError
from flr_volumetry.io import inspect, read_image, read_masks
from flr_volumetry.io.files import stored
from flr_volumetry.io.voxelfile import partner_of
from tests.io.geometry import values
from tests.io.test_nifti import affine_of, saved
from tests.io.test_nrrd_metaimage import MATRIX, MHA, NRRD, mha, nrrd

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
RAW = values().tobytes(order="F")
AFFINE = np.array([[0.8, 0, 0, 1], [0, 0.7, 0, 2], [0, 0.2, 2.5, 3], [0, 0, 0, 1]])


def reason(path):
    with pytest.raises(FlrError) as caught:
        read_image(path)
    return caught.value.reason


def patch(path, offset, numbers):
    """Write numbers into a header, which nibabel would correct."""
    packed = path.name.endswith(".gz")
    data = bytearray(gzip.decompress(path.read_bytes()) if packed else path.read_bytes())
    data[offset : offset + numbers.nbytes] = numbers.tobytes()
    path.write_bytes(gzip.compress(bytes(data)) if packed else bytes(data))


def codes(path):
    return [caveat.code for caveat in read_image(path).caveats]


class TestNifti:
    """Fields that readers repair without a word."""

    @pytest.mark.parametrize(
        ("slope", "intercept", "expected"),
        [(np.inf, 0, "bad_rescale"), (2, np.nan, "bad_rescale"), (2, np.inf, "bad_rescale"), (0, np.nan, "")],
    )
    def test_rescaling_that_leaves_no_values(self, tmp_path, slope, intercept, expected):
        def edit(header):
            header["scl_slope"], header["scl_inter"] = slope, intercept

        path = saved(tmp_path / "a.nii", values(), affine_of("axial"), edit=edit)

        if expected:
            assert reason(path) == expected
        else:
            np.testing.assert_array_equal(read_image(path).voxels, values())

    @pytest.mark.parametrize(("length", "good"), [(1.0, True), (1.0003, True), (1.002, False), (5.0, False)])
    def test_a_quaternion_that_is_none(self, tmp_path, length, good):
        path = saved(tmp_path / "a.nii", values(), affine_of("axial"), sform=0, qform=1)
        patch(path, 256, np.array([0, 0, length], "<f4"))

        if good:
            assert read_image(path).grid.voxel_mm3 == pytest.approx(0.8 * 0.8 * 2.5, rel=2e-3)
        else:
            assert reason(path) == "missing_geometry"

    @pytest.mark.parametrize("ending", ["nii", "nii.gz"])
    def test_more_voxels_than_the_header_says(self, tmp_path, ending):
        """A row less in the header shifts every row after the first; nothing else shows it."""
        path = saved(tmp_path / f"a.{ending}", values(), affine_of("axial"))
        patch(path, 44, np.array([5], "<i2"))

        assert codes(path) == ["extra_voxels"]
        assert codes(saved(tmp_path / f"b.{ending}", values(), affine_of("axial"))) == []

    def test_a_fourth_dimension_that_is_not_counted(self, tmp_path):
        path = saved(tmp_path / "a.nii", np.zeros((4, 5, 6, 2), np.int16), affine_of("axial"))
        patch(path, 40, np.array([3], "<i2"))

        assert codes(path) == ["extra_voxels"]

    @pytest.mark.parametrize("ending", [".img", ".IMG"])
    def test_a_pair_named_in_capitals(self, tmp_path, ending):
        nib.save(nib.Nifti1Pair(values(), affine_of("axial")), tmp_path / "a.img")
        (tmp_path / "a.hdr").rename(tmp_path / f"b{'.HDR' if ending == '.IMG' else '.hdr'}")
        (tmp_path / "a.img").rename(tmp_path / f"b{ending}")

        np.testing.assert_array_equal(read_image(tmp_path).voxels, values())

    def test_a_pair_with_voxels_nowhere(self, tmp_path):
        nib.save(nib.Nifti1Pair(values(), affine_of("axial")), tmp_path / "a.img")
        data = bytearray((tmp_path / "a.hdr").read_bytes())
        data[108:112] = np.array(np.nan, "<f4").tobytes()
        (tmp_path / "a.hdr").write_bytes(data)

        assert reason(tmp_path) == "unreadable"

    @pytest.mark.parametrize("big", [True, False])
    def test_an_extension_before_the_voxels(self, tmp_path, big):
        image = nib.Nifti1Image(values().astype(">i2" if big else "<i2"), LPS @ affine_of("oblique"))
        header = nib.Nifti1Header(endianness=">" if big else "<")
        header.set_data_dtype("i2")
        image = nib.Nifti1Image(values(), LPS @ affine_of("oblique"), header)
        image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 100))
        nib.save(image, tmp_path / "a.nii")

        np.testing.assert_array_equal(read_image(tmp_path / "a.nii").voxels, values())


@pytest.mark.parametrize("kind", ["nii", "nii of RAS", "nrrd", "mha"])
def test_a_place_that_nobody_set_is_told(tmp_path, kind):
    if kind.startswith("nii"):
        path = saved(tmp_path / "a.nii", values(), np.eye(4) if kind == "nii" else LPS)
    elif kind == "nrrd":
        text = NRRD.replace("(0.8,0,0) (0,0.7,0.2) (0,0,2.5)", "(1,0,0) (0,1,0) (0,0,1)")
        path = nrrd(tmp_path / "a.nrrd", text.replace("(1,2,3)", "(0,0,0)"))
    else:
        text = MHA.replace(MATRIX, "TransformMatrix = 1 0 0 0 1 0 0 0 1\n").replace("ASL", "RAI")
        path = mha(
            tmp_path / "a.mha",
            text.replace("0.8 0.9 2.5", "1 1 1").replace("Offset = 1 2 3", "Offset = 0 0 0"),
        )

    assert codes(path) == ["default_geometry"]
    assert "default_geometry" in [caveat.code for caveat in inspect(path).caveats]


def test_a_mask_in_a_place_that_nobody_set_is_told(tmp_path):
    inside = np.zeros((8, 9, 10), np.uint8)
    inside[2:6, 2:6, 2:6] = 1
    path = saved(tmp_path / "a.nii.gz", inside, np.eye(4))

    (mask,) = read_masks(path).values()
    assert [caveat.code for caveat in mask.caveats] == ["default_geometry"]


class TestNrrd:
    """What the format allows (teem.sourceforge.net/nrrd/format.html)."""

    def same(self, path, affine=AFFINE):
        image = read_image(path)
        np.testing.assert_array_equal(image.voxels, values())
        np.testing.assert_allclose(image.grid.affine, affine)
        assert image.caveats == ()

    @pytest.mark.parametrize("wide", [2, 7, 1 << 20])
    @pytest.mark.parametrize("endian", ["little", "big"])
    def test_hexadecimal_digits(self, tmp_path, wide, endian):
        raw = values().astype("<i2" if endian == "little" else ">i2").tobytes(order="F").hex()
        lines = "\n".join(raw[n : n + wide] for n in range(0, len(raw), wide))
        lines = lines if wide % 2 == 0 else raw.upper()

        self.same(nrrd(tmp_path / "a.nrrd", data=lines.encode(), endian=endian, encoding="hex"))

    @pytest.mark.parametrize(("data", "expected"), [(b"0g" * 420, "unreadable"), (b"00" * 419, "truncated")])
    def test_digits_that_are_none(self, tmp_path, data, expected):
        assert reason(nrrd(tmp_path / "a.nrrd", data=data, encoding="hex")) == expected

    @pytest.mark.parametrize("encoding", ["raw", "gzip", "ascii"])
    @pytest.mark.parametrize(("lines", "skip"), [(0, 5), (2, 0), (2, 5)])
    def test_lines_and_bytes_before_the_voxels(self, tmp_path, encoding, lines, skip):
        raw = " ".join(map(str, values().ravel(order="F"))).encode() if encoding == "ascii" else RAW
        body = b"?" * skip + raw
        body = b"a\nlonger line\n"[: 14 * bool(lines)] + (gzip.compress(body) if encoding == "gzip" else body)
        (tmp_path / "raw").mkdir()
        (tmp_path / "raw" / "a.raw").write_bytes(body)
        text = NRRD.replace("kinds:", f"line skip: {lines}\nbyte skip: {skip}\ndata file: raw/a.raw\nkinds:")

        self.same(nrrd(tmp_path / "a.nhdr", text, b"", encoding=encoding))

    @pytest.mark.parametrize(
        ("tail", "encoding", "good"), [(b"", "raw", 1), (b"", "gzip", 0), (b"", "raw", 0)]
    )
    def test_a_skip_to_the_end(self, tmp_path, tail, encoding, good):
        (tmp_path / "a.raw").write_bytes((b"?" * 77 + RAW) if good else RAW[:-1])
        text = NRRD.replace("kinds:", "byte skip: -1\ndatafile: ./a.raw\nkinds:")
        path = nrrd(tmp_path / "a.nhdr", text, tail, encoding=encoding)

        if good:
            self.same(path)
        else:
            assert reason(path) == "unreadable"

    @pytest.mark.parametrize("line", ["line skip: -1", "line skip: 900", "byte skip: -2", "byte skip: 1 2"])
    def test_skips_that_are_none(self, tmp_path, line):
        assert reason(nrrd(tmp_path / "a.nrrd", NRRD.replace("kinds:", f"{line}\nkinds:"))) == "unreadable"

    @pytest.mark.parametrize(
        ("unit", "scale"),
        [('"mm"', 1), ('"cm"', 10), ('"parsec"', 0), ('"mm" "mm" "cm"', 0)],
    )
    def test_other_units_than_millimetres(self, tmp_path, unit, scale):
        text = unit if unit.count('"') > 2 else " ".join([unit] * 3)
        path = nrrd(tmp_path / "a.nrrd", NRRD.replace("kinds:", f"space units: {text}\nkinds:"))

        if scale:
            self.same(path, np.diag([scale, scale, scale, 1]) @ AFFINE)
        else:
            assert reason(path) == "missing_geometry"

    @pytest.mark.parametrize("where", [0, 3])
    def test_an_axis_of_one(self, tmp_path, where):
        sizes, steps = ["7", "6", "5"], ["(0.8,0,0)", "(0,0.7,0.2)", "(0,0,2.5)"]
        sizes.insert(where, "1")
        steps.insert(where, "none")
        text = NRRD.replace("dimension: 3", "dimension: 4").replace("7 6 5", " ".join(sizes))
        text = text.replace("(0.8,0,0) (0,0.7,0.2) (0,0,2.5)", " ".join(steps)).replace(
            "kinds: d", "kinds: list d"
        )

        self.same(nrrd(tmp_path / "a.nrrd", text))

    @pytest.mark.parametrize("name", ["../a.raw", "/etc/hostname", "LIST", "a%d.raw 1 5 1", "b.raw", ""])
    def test_voxels_that_lie_elsewhere(self, tmp_path, name):
        (tmp_path / "in").mkdir()
        (tmp_path / "a.raw").write_bytes(RAW)
        path = nrrd(tmp_path / "in" / "a.nhdr", NRRD.replace("kinds:", f"data file: {name}\nkinds:"), b"")

        assert reason(path) == "unreadable"

    def test_more_voxels_than_the_header_says(self, tmp_path):
        assert codes(nrrd(tmp_path / "a.nrrd", NRRD.replace("7 6 5", "7 5 5"))) == ["extra_voxels"]

    @pytest.mark.parametrize("kind", ["vector", "RGB-color", "3-color", "list"])
    def test_several_values_for_each_voxel_are_refused_by_inspection_too(self, tmp_path, kind):
        text = NRRD.replace("dimension: 3", "dimension: 4").replace("7 6 5", "3 7 6 5")
        text = text.replace("directions: ", "directions: none ").replace("kinds: d", f"kinds: {kind} d")
        path = nrrd(tmp_path / "a.nrrd", text, RAW * 3)

        assert reason(path) == ("four_d" if kind == "list" else "not_scalar")
        assert inspect(path).items[0].status.value == "refused"

    @pytest.mark.parametrize("text", ["1.5", "99999", "x"])
    def test_text_that_is_no_number_of_its_type(self, tmp_path, text):
        data = b"1 " * 209 + text.encode()

        assert reason(nrrd(tmp_path / "a.nrrd", data=data, encoding="ascii")) == "unreadable"


class TestMetaImage:
    """What MetaIO writes."""

    def test_numbers_as_text(self, tmp_path):
        path = tmp_path / "a.mha"
        text = MHA.replace("BinaryData = True", "BinaryData = False").format(msb="False", packed="False")
        path.write_bytes(text.encode() + " ".join(map(str, values().ravel(order="F"))).encode())

        np.testing.assert_array_equal(read_image(path).voxels, values())

    @pytest.mark.parametrize(
        ("size", "expected"), [("-1", ""), ("33", ""), ("-2", "unreadable"), ("x", "unreadable")]
    )
    def test_a_header_before_the_voxels(self, tmp_path, size, expected):
        (tmp_path / "a.raw").write_bytes(b"?" * 33 + RAW)
        text = MHA.replace("ElementDataFile = LOCAL", f"HeaderSize = {size}\nElementDataFile = ./a.raw")
        path = tmp_path / "a.mhd"
        path.write_bytes(text.format(msb="False", packed="False").encode())

        if expected:
            assert reason(path) == expected
        else:
            np.testing.assert_array_equal(read_image(path).voxels, values())


def test_a_file_larger_than_memory_is_refused(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.nii", values(), affine_of("axial"))

    def none(*_args, **_kwargs):
        raise MemoryError

    monkeypatch.setattr("flr_volumetry.io.voxelfile.np.zeros", none)
    assert reason(path) == "too_large"


def test_a_partner_inside_an_archive_is_not_looked_for(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.nhdr", NRRD.replace("kinds:", "data file: a.raw\nkinds:"))
        archive.writestr("a.raw", RAW)

    assert reason(tmp_path / "a.zip") != ""
    with pytest.raises(FlrError):
        partner_of(stored(tmp_path / "a.zip"), "a\0b")
