"""NRRD and MetaImage, against SimpleITK as an independent writer."""

from __future__ import annotations

import gzip
import zlib

import numpy as np
import pytest
import SimpleITK as sitk

from flr_volumetry.errors import FlrError
from flr_volumetry.io import read_image, read_label_map
from tests.io.geometry import AFFINES, values


def reason(path):
    with pytest.raises(FlrError) as caught:
        read_image(path)
    return caught.value.reason


@pytest.mark.parametrize("name", ["axial", "flipped", "sagittal", "oblique"])
@pytest.mark.parametrize("ending", ["nrrd", "mha", "nhdr", "mhd"])
@pytest.mark.parametrize("packed", [True, False])
def test_what_simpleitk_writes_is_read(tmp_path, name, ending, packed):
    affine = AFFINES[name]
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image = sitk.GetImageFromArray(values().T)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    path = tmp_path / f"a.{ending}"
    sitk.WriteImage(image, str(path), packed)

    read = read_image(path)

    np.testing.assert_allclose(read.grid.affine, affine, atol=1e-6)
    np.testing.assert_array_equal(read.voxels, values())


NRRD = """NRRD0004
type: short
dimension: 3
space: {space}
sizes: 7 6 5
space directions: (0.8,0,0) (0,0.7,0.2) (0,0,2.5)
kinds: domain domain domain
endian: {endian}
encoding: {encoding}
space origin: (1,2,3)

"""


def nrrd(path, text=NRRD, data=None, *, space="left-posterior-superior", endian="little", encoding="raw"):
    raw = values().tobytes(order="F") if data is None else data
    path.write_bytes(text.format(space=space, endian=endian, encoding=encoding).encode() + raw)
    return path


@pytest.mark.parametrize(
    ("space", "signs"),
    [
        ("left-posterior-superior", (1, 1, 1)),
        ("LPS", (1, 1, 1)),
        ("right-anterior-superior", (-1, -1, 1)),
        ("RAS", (-1, -1, 1)),
        ("left-anterior-superior", (1, -1, 1)),
    ],
)
def test_every_patient_space_is_turned_to_lps_and_a_shear_is_kept(tmp_path, space, signs):
    affine = np.array([[0.8, 0, 0, 1], [0, 0.7, 0, 2], [0, 0.2, 2.5, 3], [0, 0, 0, 1.0]])
    affine[:3] *= np.array(signs)[:, None]

    image = read_image(nrrd(tmp_path / "a.nrrd", space=space))

    np.testing.assert_allclose(image.grid.affine, affine)
    np.testing.assert_array_equal(image.voxels, values())


@pytest.mark.parametrize(
    ("endian", "encoding", "pack"),
    [
        ("big", "raw", lambda raw: np.frombuffer(raw, "<i2").byteswap().tobytes()),
        ("little", "gzip", gzip.compress),
        ("little", "text", lambda raw: " ".join(map(str, np.frombuffer(raw, "<i2"))).encode()),
    ],
)
def test_other_encodings_are_read(tmp_path, endian, encoding, pack):
    data = pack(values().tobytes(order="F"))

    image = read_image(nrrd(tmp_path / "a.nrrd", data=data, endian=endian, encoding=encoding))

    np.testing.assert_array_equal(image.voxels, values())


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("space: {space}\n", "", "unknown_orientation"),
        ("space: {space}", "space dimension: 3", "unknown_orientation"),
        ("space: {space}", "space: scanner-xyz", "unknown_orientation"),
        ("(0,0,2.5)", "none", "missing_geometry"),
        ("(0,0,2.5)", "(0,0,0)", "missing_geometry"),
        ("(0,0,2.5)", "(0,0,nan)", "missing_geometry"),
        ("space origin: (1,2,3)\n", "", "missing_geometry"),
        ("sizes: 7 6 5", "sizes: 7 6 500", "truncated"),
        ("sizes: 7 6 5", "sizes: 7 6 -5", "unreadable"),
        ("sizes: 7 6 5", "sizes: 7 6 x", "unreadable"),
        ("type: short", "type: block", "unsupported_pixels"),
        ("endian: {endian}\n", "", "unreadable"),
        ("encoding: {encoding}", "encoding: zrl", "unreadable"),
    ],
)
def test_an_nrrd_that_cannot_be_placed_or_read_is_refused(tmp_path, old, new, expected):
    assert old in NRRD
    assert reason(nrrd(tmp_path / "a.nrrd", NRRD.replace(old, new))) == expected


def test_several_volumes_in_an_nrrd_are_refused(tmp_path):
    text = (
        NRRD.replace("dimension: 3", "dimension: 4").replace("7 6 5", "2 7 6 5").replace("(0.8", "none (0.8")
    )
    text = text.replace("kinds: domain", "kinds: list domain")

    assert reason(nrrd(tmp_path / "a.nrrd", text, values().tobytes() * 2)) == "four_d"


MATRIX = "TransformMatrix = 0 1 0 0 0 -1 -1 0 0\n"
MHA = """ObjectType = Image
NDims = 3
BinaryData = True
BinaryDataByteOrderMSB = {msb}
CompressedData = {packed}
TransformMatrix = 0 1 0 0 0 -1 -1 0 0
Offset = 1 2 3
AnatomicalOrientation = ASL
ElementSpacing = 0.8 0.9 2.5
DimSize = 7 6 5
ElementType = MET_SHORT
ElementDataFile = LOCAL
"""


def mha(path, text=MHA, *, msb="False", packed="False"):
    raw = values().tobytes(order="F")
    data = np.frombuffer(raw, "<i2").byteswap().tobytes() if msb == "True" else raw
    data = zlib.compress(data) if packed == "True" else data
    path.write_bytes(text.format(msb=msb, packed=packed).encode() + data)
    return path


@pytest.mark.parametrize("msb", ["True", "False"])
@pytest.mark.parametrize("packed", ["True", "False"])
def test_a_metaimage_is_read_by_the_columns_of_its_matrix(tmp_path, msb, packed):
    """The matrix lists where each axis goes, one axis after the other."""
    text = MHA.replace("AnatomicalOrientation = ASL\n", "")
    image = read_image(mha(tmp_path / "a.mha", text, msb=msb, packed=packed))

    expected = np.array([[0, 0, -2.5, 1], [0.8, 0, 0, 2], [0, -0.9, 0, 3], [0, 0, 0, 1.0]])
    np.testing.assert_allclose(image.grid.affine, expected)
    np.testing.assert_array_equal(image.voxels, values())


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("ASL", "???", ""),
        ("ASL", "PSL", "unknown_orientation"),
        ("ASL", "AIL", "unknown_orientation"),
        (MATRIX, "", ""),
        (MATRIX + "Offset = 1 2 3\nAnatomicalOrientation = ASL\n", "Offset = 1 2 3\n", "unknown_orientation"),
        ("Offset = 1 2 3\n", "", "missing_geometry"),
        ("ElementSpacing = 0.8 0.9 2.5\n", "", "missing_geometry"),
        ("0.8 0.9 2.5", "0.8 0 2.5", "missing_geometry"),
        ("DimSize = 7 6 5", "DimSize = 7 6 900", "truncated"),
        ("NDims = 3", "NDims = 4", "unreadable"),
        ("MET_SHORT", "MET_OTHER", "unsupported_pixels"),
        ("ElementDataFile = LOCAL", "ElementDataFile = ../b.raw", "unreadable"),
        ("ElementType =", "ElementNumberOfChannels = 3\nElementType =", "not_scalar"),
    ],
)
def test_a_metaimage_that_cannot_be_placed_or_read_is_refused(tmp_path, old, new, expected):
    assert old in MHA
    path = mha(tmp_path / "a.mha", MHA.replace(old, new))

    if expected:
        assert reason(path) == expected
    else:
        assert read_image(path).grid.shape == (7, 6, 5)


def test_letters_alone_place_a_metaimage_as_the_matrix_does(tmp_path):
    """ASL: columns from front to back, rows from head to foot, slices from left to right."""
    first = read_image(mha(tmp_path / "a.mha"))
    second = read_image(mha(tmp_path / "b.mha", MHA.replace(MATRIX, "")))

    np.testing.assert_allclose(first.grid.affine, second.grid.affine)


def test_a_label_map_in_nrrd_is_read(tmp_path):
    labels = values((4, 5, 6), np.uint8, 0, 0, 9)
    image = sitk.GetImageFromArray(labels.T)
    sitk.WriteImage(image, str(tmp_path / "a.nrrd"), True)

    np.testing.assert_array_equal(read_label_map(tmp_path / "a.nrrd").voxels, labels)


@pytest.mark.parametrize("ending", ["nrrd", "mha"])
def test_a_single_slice_is_refused(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    sitk.WriteImage(sitk.GetImageFromArray(values((7, 6, 1)).T), str(path))

    assert reason(path) == "single_slice"
