"""Segmentations in every syntax their pixels are found in: the same masks as written."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRBigEndian, RLELossless

from flr_volumetry.errors import FlrError
from flr_volumetry.images import Grid
from flr_volumetry.io import read_mask, read_masks
from tests.io.geometry import AFFINES
from tests.io.mask_files import SegSpec, write_seg
from tests.io.test_seg import blobs, named, same

AFFINE = AFFINES["gantry tilt"]
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
RLE, JPEG_LS, JPEG_2000, LOSSY_2000 = (f"1.2.840.10008.1.2.{n}" for n in ("5", "4.80", "4.90", "4.91"))


def saved(path, ds, syntax):
    ds.file_meta.TransferSyntaxUID = syntax
    ds.save_as(path, implicit_vr=False, little_endian=True, force_encoding=True)


@pytest.mark.parametrize("vr", ["OB", "OW"])
@pytest.mark.parametrize("shape", [(7, 6, 5), (8, 8, 4), (3, 3, 3)])
@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_big_endian(tmp_path, vr, shape, kind):
    """PS3.5, annex A.3: words are turned in twos, bytes are not."""
    masks = {n: mask for n, mask in blobs(shape).items() if kind == "BINARY" or n != 2}

    def edit(ds):
        data = ds.PixelData + b"\0" * (len(ds.PixelData) % 2)
        ds.PixelData = np.frombuffer(data, "<u2").astype(">u2").tobytes() if vr == "OW" else data
        ds["PixelData"].VR = vr

    path = write_seg(tmp_path / "s.dcm", masks, AFFINE, SegSpec(kind, edit=edit, syntax=ExplicitVRBigEndian))

    same(read_masks(path), named(masks), Grid(shape, AFFINE, "1.2.3.9"))


@pytest.mark.parametrize("syntax", [ExplicitVRBigEndian, EXPLICIT])
@pytest.mark.parametrize("vr", ["OW", "OB"])
def test_labels_of_sixteen_bits(tmp_path, syntax, vr):
    masks = {n: mask for n, mask in blobs().items() if n != 2}

    def edit(ds):
        labels = np.frombuffer(ds.PixelData, np.uint8)[: ds.NumberOfFrames * ds.Rows * ds.Columns].astype(
            "<u2"
        )
        labels[labels == 7] = 700
        ds.SegmentSequence[1].SegmentNumber = 700
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
        ds.PixelData = labels.tobytes()
        ds["PixelData"].VR = vr

    path = write_seg(tmp_path / "s.dcm", masks, AFFINE, SegSpec("LABELMAP", edit=edit, syntax=syntax))

    same(read_masks(path), named(masks), Grid((7, 6, 5), AFFINE, "1.2.3.9"))


ENCODERS = {
    JPEG_LS: imagecodecs.jpegls_encode,
    JPEG_2000: lambda frame: imagecodecs.jpeg2k_encode(frame, level=0, reversible=True, codecformat="j2k"),
    LOSSY_2000: lambda frame: imagecodecs.jpeg2k_encode(frame, level=0, reversible=True, codecformat="j2k"),
}


@pytest.mark.parametrize("syntax", ENCODERS)
@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP", "FRACTIONAL"])
def test_compressed_numbers(tmp_path, syntax, kind):
    """One number for each pixel, as some writers make of single bits too."""
    shape = (40, 33, 4)
    rng = np.random.default_rng(1)
    masks = {n: mask for n, mask in blobs(shape).items() if kind == "BINARY" or n != 2}
    if kind == "FRACTIONAL":
        masks = {n: mask * rng.integers(128, 256, shape) / 255 for n, mask in masks.items()}
    path = write_seg(tmp_path / "s.dcm", masks, AFFINE, SegSpec(kind, keep_empty=True))
    ds = dcmread(path)
    count = ds.NumberOfFrames * ds.Rows * ds.Columns
    flat = np.frombuffer(ds.PixelData, np.uint8)
    flat = np.unpackbits(flat, bitorder="little", count=count) if kind == "BINARY" else flat[:count]
    frames = flat.reshape(ds.NumberOfFrames, ds.Rows, ds.Columns)
    ds.PixelData = encapsulate([ENCODERS[syntax](np.ascontiguousarray(frame)) for frame in frames])
    ds["PixelData"].is_undefined_length = True
    ds["PixelData"].VR = "OB"
    saved(path, ds, syntax)

    read = read_masks(path, threshold=0.5)
    same(read, named({n: mask >= 0.5 for n, mask in masks.items()}), Grid(shape, AFFINE, "1.2.3.9"))


def packbits(data):
    """Runs of bytes as RLE writes them (PS3.5, annex G), with one segment and literal runs only."""
    body = b"".join(bytes([len(data[n : n + 128]) - 1]) + data[n : n + 128] for n in range(0, len(data), 128))
    header = np.array([1, 64, *[0] * 14], "<u4").tobytes()
    return header + body + b"\0" * (len(body) % 2)


@pytest.mark.parametrize("shape", [(7, 6, 5), (16, 9, 3)])
def test_run_lengths_of_single_bits(tmp_path, shape):
    masks = {1: blobs(shape)[1]}
    path = write_seg(tmp_path / "s.dcm", masks, AFFINE, SegSpec(keep_empty=True))
    ds = dcmread(path)
    frames = [np.packbits(masks[1][:, :, k].T.ravel(), bitorder="little").tobytes() for k in range(shape[2])]
    ds.PixelData = encapsulate([packbits(frame) for frame in frames])
    ds["PixelData"].is_undefined_length = True
    ds["PixelData"].VR = "OB"
    saved(path, ds, RLELossless)

    np.testing.assert_array_equal(read_mask(path).voxels, masks[1])


def test_pixels_that_are_not_as_their_syntax_says_are_refused(tmp_path):
    path = write_seg(tmp_path / "s.dcm", {1: blobs()[1]}, AFFINE, SegSpec())
    data = path.read_bytes()
    old, new = b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0"
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))

    with pytest.raises(FlrError) as caught:
        read_mask(path)
    assert caught.value.reason == "unsupported_syntax"


@pytest.mark.parametrize(
    ("kind", "syntax"),
    [
        *(("BINARY", syntax) for syntax in (IMPLICIT, EXPLICIT, JPEG_2000)),
        *(("LABELMAP", syntax) for syntax in (IMPLICIT, EXPLICIT, RLE, JPEG_LS, JPEG_2000)),
        *(("FRACTIONAL", syntax) for syntax in (IMPLICIT, EXPLICIT, RLE, JPEG_LS, JPEG_2000)),
    ],
)
def test_highdicom_in_every_syntax_that_it_writes(tmp_path, kind, syntax):
    """An independent writer."""
    hd = pytest.importorskip("highdicom")
    from pydicom.sr.codedict import codes

    from tests.io.dicom_files import SeriesSpec, write_slices

    shape = (34, 35, 5)
    grid = Grid(shape, AFFINES["oblique"], "1.2.3.9")
    names = ("PatientName", "PatientBirthDate", "PatientSex", "StudyTime", "StudyID", "AccessionNumber")
    extra = {**dict.fromkeys((*names, "ReferringPhysicianName"), ""), "SliceThickness": "1.0"}
    paths = write_slices(tmp_path / "ct", np.zeros(shape, np.int16), grid.affine, SeriesSpec(extra=extra))
    masks = {n: mask for n, mask in blobs(shape).items() if n != 2}
    described = [
        hd.seg.SegmentDescription(n, f"segment {m}", codes.SCT.Organ, codes.SCT.Liver, "MANUAL")
        for n, m in enumerate(masks, 1)
    ]
    stacked = np.stack([mask.transpose(2, 1, 0) for mask in masks.values()], axis=-1)
    labels = (stacked * np.arange(1, 1 + len(masks))).sum(axis=-1).astype(np.uint8)
    values = {
        "LABELMAP": labels,
        "BINARY": stacked.astype(np.uint8),
        "FRACTIONAL": stacked.astype(np.float32),
    }
    made = hd.seg.Segmentation(
        [dcmread(path) for path in paths],
        np.ascontiguousarray(values[kind]),
        kind,
        described,
        *("1.2.3.4", 1, "1.2.3.5", 1, "maker", "model", "1", "1"),
        transfer_syntax_uid=syntax,
    )
    made.save_as(tmp_path / "s.dcm")

    read = read_masks(tmp_path / "s.dcm", grid=grid, threshold=0.5)
    same(read, named(masks), grid)
