"""Stored bits to numbers: sign, high bits, padding, polarity, compression."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate, generate_frames

from flr_volumetry.errors import UnreadableError
from flr_volumetry.io import read_image, scan
from flr_volumetry.io.dicom.codecs import fragments
from tests.io.dicom_files import SeriesSpec, write_slices
from tests.io.geometry import AFFINES, values


def read(folder, stored, **options):
    write_slices(folder / "s", stored, AFFINES["axial"], SeriesSpec(**options))
    return read_image(folder / "s")


def test_twelve_signed_bits_are_extended_by_their_sign(tmp_path):
    """Bits above the twelfth are left at 0 by some writers; -1 is then stored as 0x0FFF."""
    numbers = values(low=-2048, high=2048)
    image = read(
        tmp_path,
        (numbers & 0x0FFF).view(np.uint16),
        bits_stored=12,
        extra={"PixelRepresentation": 1},
    )

    np.testing.assert_array_equal(image.voxels, numbers)
    assert image.caveats == ()


@pytest.mark.parametrize("slope", [1, 2, 0.5])
def test_overlay_bits_above_those_stored_are_ignored_with_a_caveat(tmp_path, slope):
    numbers = values(dtype=np.uint16, low=0, high=4096)
    image = read(tmp_path, numbers | 0x4000, bits_stored=12, slope=slope)

    np.testing.assert_array_equal(image.voxels, numbers * slope)
    assert [c.code for c in image.caveats] == ["stray_bits"]


def test_a_high_bit_above_the_stored_ones_shifts_the_value_down(tmp_path):
    """Twelve bits stored in the upper part of sixteen, as old scanners did."""
    numbers = values(dtype=np.uint16, low=0, high=4096)
    image = read(tmp_path, numbers << 4, bits_stored=12, extra={"HighBit": 15})

    np.testing.assert_array_equal(image.voxels, numbers)


def test_padding_is_given_after_rescaling(tmp_path):
    image = read(tmp_path, values(), intercept=-1024, extra={"PixelPaddingValue": -2000})

    assert image.padding == -3024


def test_unsigned_padding_is_read_as_unsigned(tmp_path):
    stored = values(dtype=np.uint16, low=0, high=4000)

    def edit(ds, k):
        ds.add_new("PixelPaddingValue", "US", 40000)

    assert read(tmp_path, stored, edit=edit, intercept=-1024).padding == 40000 - 1024


def test_a_range_of_padding_becomes_one_value(tmp_path):
    stored = values(low=-100, high=100)
    stored[0, :3, 0] = [-2000, -1995, -1990]
    extra = {"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1990}

    image = read(tmp_path, stored, extra=extra)

    assert image.padding == -2000
    np.testing.assert_array_equal(image.voxels[0, :3, 0], [-2000, -2000, -2000])
    np.testing.assert_array_equal(image.voxels[1:], stored[1:])


def test_a_range_of_padding_beyond_16_bits_is_kept(tmp_path):
    stored = values(dtype=np.uint16, low=0, high=4000)
    stored[0, :2, 0] = [40000, 40005]

    def edit(ds, k):
        ds.add_new("PixelPaddingValue", "US", 40000)
        ds.add_new("PixelPaddingRangeLimit", "US", 40010)

    image = read(tmp_path, stored, edit=edit)

    assert image.padding == 40000
    np.testing.assert_array_equal(image.voxels[0, :2, 0], [40000, 40000])


def test_padding_without_voxels_need_not_fit_16_bits(tmp_path):
    """Slices that differ in what they call padding, one of them beyond int16."""

    def edit(ds, k):
        ds.add_new("PixelPaddingValue", "US", 62512 if k == 0 else 9999)

    image = read(tmp_path, values(dtype=np.uint16, low=0, high=4000), edit=edit)

    np.testing.assert_array_equal(image.voxels, values(dtype=np.uint16, low=0, high=4000))


def test_padding_is_one_value_though_rescaling_differs(tmp_path):
    stored = values(low=0, high=100)
    stored[2, 2, :] = -5

    def edit(ds, k):
        ds.RescaleSlope, ds.PixelPaddingValue = 1 + k / 3, -5

    image = read(tmp_path, stored, edit=edit)

    assert (image.voxels[2, 2] == image.padding).all()
    assert np.count_nonzero(image.voxels == image.padding) == 5


def test_fractional_padding_equals_its_voxels(tmp_path):
    stored = values(low=0, high=100)
    stored[1, 1, 1] = -5
    image = read(tmp_path, stored, slope=0.1, extra={"PixelPaddingValue": -5})

    assert image.voxels[1, 1, 1] == image.padding


def test_monochrome1_keeps_its_measured_values(tmp_path):
    """PS3.3 C.7.6.3.1.2: the inversion is of the display, after all rescaling; HU stay HU."""
    image = read(tmp_path, values(), intercept=-24, extra={"PhotometricInterpretation": "MONOCHROME1"})

    np.testing.assert_array_equal(image.voxels, values() - 24)
    assert [c.code for c in image.caveats] == ["monochrome1"]


def test_a_ct_without_rescale_and_a_lossy_one_say_so(tmp_path):
    image = read(tmp_path, values(), slope=None, extra={"LossyImageCompression": "01"})

    assert {c.code for c in image.caveats} == {"no_rescale", "lossy"}


@pytest.mark.parametrize("number", ["5", "4.80", "4.90", "1.99"])
@pytest.mark.parametrize(("dtype", "bits"), [(np.int16, 16), (np.uint16, 12), (np.uint8, 8), (np.int16, 12)])
def test_every_lossless_syntax_gives_the_stored_values(tmp_path, number, dtype, bits):
    signed = dtype == np.int16
    stored = values((40, 36, 3), dtype, 0, -(2 ** (bits - 1)) if signed else 0, 2 ** (bits - signed))
    image = read(tmp_path, stored, syntax=f"1.2.840.10008.1.2.{number}", bits_stored=bits)

    np.testing.assert_array_equal(image.voxels, stored)


def _as_jpeg(folder, syntax, **options):
    """Rewrite a folder of slices as JPEG, for which pydicom has no encoder."""
    from imagecodecs import jpeg8_encode

    for path in folder.iterdir():
        ds = dcmread(path)
        frame = np.ascontiguousarray(ds.pixel_array.view(np.uint16))
        ds.PixelData = encapsulate([jpeg8_encode(frame, bitspersample=ds.BitsStored, **options)])
        ds["PixelData"].VR = "OB"
        ds.file_meta.TransferSyntaxUID = f"1.2.840.10008.1.2.4.{syntax}"
        ds.save_as(path)


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize(("syntax", "predictor"), [(57, 4), (70, 1)])
def test_lossless_jpeg_gives_the_stored_values(tmp_path, syntax, predictor, bits):
    stored = values((36, 40, 3), dtype=np.uint16, low=0, high=1 << bits)
    write_slices(tmp_path / "s", stored, AFFINES["axial"], SeriesSpec(bits_stored=bits))
    _as_jpeg(tmp_path / "s", syntax, lossless=True, predictor=predictor)

    image = read_image(tmp_path / "s")

    np.testing.assert_array_equal(image.voxels, stored)
    assert image.caveats == ()


def test_lossy_jpeg_of_twelve_bits_is_read_with_a_caveat(tmp_path):
    ramp = np.add.outer(np.arange(40), np.add.outer(np.arange(48), np.arange(3))) * 20
    write_slices(tmp_path / "s", ramp.astype(np.uint16), AFFINES["axial"], SeriesSpec(bits_stored=12))
    _as_jpeg(tmp_path / "s", 51, level=95)

    image = read_image(tmp_path / "s")

    assert np.abs(image.voxels - ramp).max() <= 25
    assert [c.code for c in image.caveats] == ["lossy"]


@pytest.mark.parametrize(
    "damage", [b"", b"\xff\xd8", b"\xff\xd8\xff\xc3\x00\x0b\x10\xff\xff\xff\xff\x01" + bytes(90)]
)
def test_damaged_jpeg_is_refused(tmp_path, damage):
    """Cut to nothing, cut after its start, or of 65535 x 65535 pixels."""
    write_slices(tmp_path / "s", values((36, 40, 3), dtype=np.uint16, low=0, high=4000), AFFINES["axial"])
    _as_jpeg(tmp_path / "s", 70, lossless=True)
    for path in (tmp_path / "s").iterdir():
        ds = dcmread(path)
        ds.PixelData = encapsulate([damage or b"\0\0"])
        ds.save_as(path)

    with pytest.raises(UnreadableError, match="cannot be decoded"):
        read_image(tmp_path / "s")


@pytest.mark.parametrize("number", ["4.80", "4.90", "5"])
def test_a_compressed_frame_of_another_size_is_refused(tmp_path, number):
    syntax = f"1.2.840.10008.1.2.{number}"
    for path in write_slices(
        tmp_path / "s", values((36, 40, 3)), AFFINES["axial"], SeriesSpec(syntax=syntax)
    ):
        ds = dcmread(path)
        ds.Rows, ds.Columns = 48, 40
        ds.save_as(path)

    with pytest.raises(UnreadableError, match=r"48 x 40|cannot be decoded"):
        read_image(tmp_path / "s")


def test_a_frame_in_several_fragments_is_joined(tmp_path):
    stored = values((40, 36, 3))
    for path in write_slices(
        tmp_path / "s", stored, AFFINES["axial"], SeriesSpec(syntax="1.2.840.10008.1.2.4.80")
    ):
        ds = dcmread(path)
        frame = next(generate_frames(ds.PixelData, number_of_frames=1))
        ds.PixelData = encapsulate([frame], fragments_per_frame=4)
        ds.save_as(path)

    header = scan(tmp_path).images()[0].headers[0]

    assert len(fragments(header)) == 1
    np.testing.assert_array_equal(read_image(tmp_path).voxels, stored)


def test_memory_stays_near_the_array(tmp_path):
    """Reading takes the array, and little besides: slices are not kept twice."""
    import tracemalloc

    stored = values((128, 128, 60))
    write_slices(tmp_path / "s", stored, AFFINES["axial"])
    read_image(tmp_path / "s")
    tracemalloc.start()
    image = read_image(tmp_path / "s")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < image.voxels.nbytes + 3_000_000


def test_a_run_length_segment_longer_than_its_frame_is_refused(tmp_path):
    """The codec panics on some such frames; that comes out as a refusal, not as a crash."""
    stored = values((8, 9, 3))
    for path in write_slices(
        tmp_path / "s", stored, AFFINES["axial"], SeriesSpec(syntax="1.2.840.10008.1.2.5")
    ):
        ds = dcmread(path)
        segment = bytes([127]) + bytes(128)
        head = np.array([2, 64, 64 + 2 * len(segment)] + [0] * 13, "<u4").tobytes()
        ds.PixelData = encapsulate([head + segment * 4])
        ds.save_as(path)

    with pytest.raises(UnreadableError, match="cannot be decoded"):
        read_image(tmp_path)
