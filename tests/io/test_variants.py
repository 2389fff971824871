"""Awkward DICOM files, one peculiarity each: read exactly, told, or refused."""

from __future__ import annotations

import gzip
import struct
import time
import zipfile

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate
from pydicom.fileset import FileSet
from pydicom.sequence import Sequence

from flr_volumetry.errors import FlrError
from flr_volumetry.io import inspect, read_image, scan
from flr_volumetry.io.dicom.frames import SPLIT_KEYS
from tests.io.dicom_files import ENHANCED_MR, SeriesSpec, write_enhanced, write_slices
from tests.io.geometry import AFFINES, values

AFFINE = AFFINES["gantry tilt"]
EXPLICIT, IMPLICIT, BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
DEFLATED, RLE, JPEG_LS, JPEG_2000 = (f"1.2.840.10008.1.2.{n}" for n in ("1.99", "5", "4.80", "4.91"))


def series(folder, stored=None, affine=AFFINE, **spec):
    stored = values() if stored is None else stored
    write_slices(folder, stored, affine, SeriesSpec(**spec))
    return stored


def same(folder, stored, affine=AFFINE, **chosen):
    image = read_image(folder, **chosen)
    np.testing.assert_array_equal(image.voxels, stored)
    np.testing.assert_allclose(image.grid.affine, affine, atol=1e-5)
    return {caveat.code for caveat in image.caveats}


def refused(folder, reason):
    with pytest.raises(FlrError) as caught:
        read_image(folder)
    assert caught.value.reason == reason
    entries = [item for item in inspect(folder).items if item.kind.value == "image"]
    assert entries
    assert all(item.reason for item in entries)


def private_sequence(*, undefined):
    """A sequence that nobody knows, whose item holds pixels of its own."""
    inner, item = Dataset(), Dataset()
    inner.add_new(0x00091001, "LO", "x" * 7)
    item.Rows, item.Columns, item.BitsAllocated = 2, 2, 8
    item.SamplesPerPixel, item.PhotometricInterpretation = 1, "MONOCHROME2"
    item.PixelRepresentation, item.BitsStored, item.HighBit = 0, 8, 7
    item.PixelData = b"\1\2\3\4"
    item["PixelData"].VR = "OB"
    made = Sequence([inner, item])
    made.is_undefined_length = undefined
    for part in made:
        part.is_undefined_length_sequence_item = undefined
    return made


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, DEFLATED, RLE, JPEG_LS])
@pytest.mark.parametrize("undefined", [True, False])
def test_sequences_of_strangers_before_the_pixels_are_stepped_over(tmp_path, syntax, undefined):
    def edit(ds, k):
        ds.add_new(0x00090010, "LO", "STRANGER")
        ds.add_new(0x00091002, "SQ", private_sequence(undefined=undefined))
        ds.IconImageSequence = private_sequence(undefined=undefined)
        ds.add_new(0x00091003, "OB", b"\xfe\xff\x00\xe0" * 3)

    stored = series(tmp_path, syntax=syntax, edit=edit)
    assert same(tmp_path, stored) == set()


def element(tag, vr, data, *, big=False):
    order = ">" if big else "<"
    return struct.pack(order + "HH2sH", tag >> 16, tag & 0xFFFF, vr, len(data)) + data


@pytest.mark.parametrize("syntax", [EXPLICIT, BIG])
@pytest.mark.parametrize("preamble", [True, False])
def test_group_lengths_and_files_without_a_preamble_are_read(tmp_path, syntax, preamble):
    stored = series(tmp_path, syntax=syntax)
    big = syntax == BIG
    for path in tmp_path.iterdir():
        data = path.read_bytes()
        start = data.index(element(0x00080008, b"CS", b"", big=big)[:6])
        length = element(0x00080000, b"UL", struct.pack(">I" if big else "<I", 999), big=big)
        path.write_bytes((data[:start] if preamble else b"") + length + data[start:])
    assert same(tmp_path, stored) == set()


def test_attributes_of_unknown_representation_are_read_by_their_bytes(tmp_path):
    def edit(ds, k):
        for name in ("ImagePositionPatient", "ImageOrientationPatient", "RescaleIntercept"):
            text = "\\".join(map(str, np.atleast_1d(ds[name].value)))
            ds.add_new(ds[name].tag, "UN", text.encode() + b" " * (len(text) % 2))

    assert same(tmp_path, series(tmp_path, edit=edit)) == set()


@pytest.mark.parametrize("syntax", [EXPLICIT, JPEG_LS])
def test_what_follows_the_pixels_is_no_part_of_them(tmp_path, syntax):
    stored = series(tmp_path, syntax=syntax)
    for path in tmp_path.iterdir():
        padding = struct.pack("<HH2sHI", 0xFFFC, 0xFFFC, b"OB", 0, 64) + b"\1" * 64
        path.write_bytes(path.read_bytes() + padding)
    assert same(tmp_path, stored) == set()


@pytest.mark.parametrize("size", [(8, 6, 3), (7, 5, 3)])
@pytest.mark.parametrize("vr", ["OB", "OW"])
def test_bytes_in_words_of_big_endian_are_turned_back(tmp_path, size, vr):
    """PS3.5, annex A.3: OW is swapped in twos, OB is not."""
    stored = values(size, np.uint8, low=0, high=256)

    def edit(ds, k):
        data = np.frombuffer(ds.PixelData, np.uint8)
        data = np.concatenate([data, np.zeros(len(data) % 2, np.uint8)])
        ds.PixelData = (data.reshape(-1, 2)[:, ::-1] if vr == "OW" else data).tobytes()
        ds["PixelData"].VR = vr

    series(tmp_path, stored, syntax=BIG, bits_stored=8, edit=edit)
    assert same(tmp_path, stored) == set()


@pytest.mark.parametrize("what", ["localizer", "colour"])
def test_a_picture_of_another_kind_in_the_series_is_kept_apart(tmp_path, what):
    stored = series(tmp_path)

    def edit(ds, k):
        ds.SOPInstanceUID = f"9.9.{k}"
        if what == "localizer":
            ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
            ds.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
        else:
            ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
            ds.BitsAllocated = ds.BitsStored = 8
            ds.HighBit, ds.PixelData = 7, bytes(ds.Rows * ds.Columns * 3 + 1)

    series(tmp_path / "more", values((7, 6, 1)), suffix=".x", edit=edit)
    assert same(tmp_path, stored) == {"series_left_out"}
    assert same(tmp_path, stored, series="1.2.3.1.1") == set()


def parts(folder, numbers, total=2):
    """An enhanced image in several files; returns its voxels."""
    stored = values((7, 6, 6), np.uint16, low=0, high=4000)
    for part in numbers:
        ks = range(3 * part, 3 * part + 3)
        frames = [(stored[:, :, k], {"position": AFFINE[:3, 3] + k * AFFINE[:3, 2]}) for k in ks]
        extra = {
            "ConcatenationUID": "1.2.3.4",
            "InConcatenationNumber": part + 1,
            "InConcatenationTotalNumber": total,
            "ConcatenationFrameOffsetNumber": 3 * part,
        }
        write_enhanced(folder / f"p{part}.dcm", frames, AFFINE, SeriesSpec(ENHANCED_MR, "MR", extra=extra))
    return stored


def test_an_image_in_several_files_is_joined(tmp_path):
    assert same(tmp_path, parts(tmp_path, [1, 0])) == set()


def test_an_image_of_which_one_file_is_not_there_is_refused(tmp_path):
    parts(tmp_path, [0])
    refused(tmp_path, "missing_slice")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("lost", [0, 1])
def test_files_that_a_dicomdir_lists_and_that_are_not_there_are_told(tmp_path, lost, zipped):
    stored = series(tmp_path / "in")
    medium = FileSet()
    for path in sorted((tmp_path / "in").iterdir()):
        ds = dcmread(path)
        ds.StudyID, ds.StudyTime, ds.PatientName, ds.AccessionNumber = "1", "120000", "x", "1"
        ds.save_as(path)
        medium.add(path)
    out = tmp_path / "out"
    medium.write(out)
    last = next(i.path for i in medium if dcmread(i.path).InstanceNumber == stored.shape[2])
    medium._stage["t"].cleanup()
    place, expected = out, {"dicomdir"}
    if lost:
        (out / last).unlink()
        stored, expected = stored[:, :, :-1], {"dicomdir", "dicomdir_files_missing"}
    if zipped:
        place = tmp_path / "out.zip"
        with zipfile.ZipFile(place, "w") as archive:
            for path in out.rglob("*"):
                archive.write(path, path.relative_to(tmp_path))
    assert same(place, stored) == expected
    if not zipped:
        assert same(out / "DICOMDIR", stored) == expected


def test_an_archive_with_litter_is_read_and_one_with_two_files_of_a_name_is_not(tmp_path):
    stored = series(tmp_path / "in")
    place = tmp_path / "a.zip"
    paths = sorted((tmp_path / "in").iterdir())
    with zipfile.ZipFile(place, "w") as archive:
        for n, path in enumerate(paths):
            archive.write(path, f"größe/{n}/{path.name}")
            archive.writestr(f"__MACOSX/größe/{n}/._{path.name}", b"\0\5\26\7")
            archive.writestr(f"größe/{n}/.DS_Store", b"x")
    assert same(place, stored) == set()
    with zipfile.ZipFile(place, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.write(paths[1], f"größe/0/{paths[0].name}")
    with pytest.raises(FlrError, match="two files of one name"):
        read_image(place)


@pytest.mark.parametrize(("tag", "old"), [(0x00281053, b"1.0 "), (0x00281052, b"0.0 ")])
@pytest.mark.parametrize("value", [b"1,5 ", b"1\\2 ", b"nan "])
def test_a_rescaling_that_is_no_number_is_refused(tmp_path, tag, old, value):
    series(tmp_path)
    path = tmp_path / "im0002.dcm"
    data = path.read_bytes()
    assert element(tag, b"DS", old) in data
    path.write_bytes(data.replace(element(tag, b"DS", old), element(tag, b"DS", value)))
    refused(tmp_path, "bad_rescale")


@pytest.mark.parametrize("rescaling", [(1, -1024), (2, 0)])
def test_a_slice_without_the_rescaling_of_the_others_is_refused(tmp_path, rescaling):
    def edit(ds, k):
        if k == 1:
            del ds.RescaleSlope, ds.RescaleIntercept

    series(tmp_path, slope=rescaling[0], intercept=rescaling[1], edit=edit)
    refused(tmp_path, "bad_rescale")


def test_a_slice_without_a_rescaling_that_changes_nothing_is_read(tmp_path):
    def edit(ds, k):
        if k == 1:
            del ds.RescaleSlope, ds.RescaleIntercept

    assert same(tmp_path, series(tmp_path, edit=edit)) == set()


def test_an_intercept_without_a_slope_is_added(tmp_path):
    def edit(ds, k):
        if k == 1:
            del ds.RescaleSlope

    stored = series(tmp_path, intercept=-1000, edit=edit)
    assert same(tmp_path, stored - 1000) == set()


def test_values_that_may_be_signed_are_told(tmp_path):
    def edit(ds, k):
        del ds.PixelRepresentation

    stored = series(tmp_path, values(dtype=np.uint16, low=0, high=4000), edit=edit)
    assert same(tmp_path, stored) == {"signedness_unknown"}


def test_a_representation_of_two_is_refused(tmp_path):
    def edit(ds, k):
        ds.PixelRepresentation = 2

    series(tmp_path, edit=edit)
    refused(tmp_path, "unsupported_pixels")


@pytest.mark.parametrize(("extra", "expected"), [(1, set()), (2, {"extra_pixels"}), (70, {"extra_pixels"})])
def test_pixels_beyond_the_size_of_the_image_are_told(tmp_path, extra, expected):
    def edit(ds, k):
        ds.PixelData += b"\7" * extra

    stored = values((7, 7, 3), np.uint8, low=0, high=256) if extra == 1 else values()
    series(tmp_path, stored, bits_stored=stored.dtype.itemsize * 8, edit=edit)
    assert same(tmp_path, stored) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("RescaleType", "HU", set()),
        ("RescaleType", "US", {"not_hounsfield"}),
        ("RescaleType", "MGML", {"not_hounsfield"}),
        ("ImageType", ["DERIVED", "SECONDARY", "AXIAL", "MIP"], {"projection"}),
        ("ImageType", ["DERIVED", "SECONDARY", "PROJECTION IMAGE"], {"projection"}),
        ("GantryDetectorTilt", "20", set()),
        ("SpacingBetweenSlices", "-9", set()),
        ("SliceThickness", "40", set()),
        ("SliceLocation", "5", set()),
        ("InstanceNumber", "1", set()),
    ],
)
def test_what_a_header_says_besides_is_told_or_not_trusted(tmp_path, name, value, expected):
    """Geometry comes from orientation and positions; no other attribute moves a slice."""
    stored = series(tmp_path, edit=lambda ds, k: setattr(ds, name, value))
    assert same(tmp_path, stored) == expected


def test_other_modalities_may_rescale_to_anything(tmp_path):
    stored = series(tmp_path, modality="MR", edit=lambda ds, k: setattr(ds, "RescaleType", "US"))
    assert same(tmp_path, stored) == set()


def test_no_pixels_at_all_are_cut_short(tmp_path):
    def edit(ds, k):
        if k == 1:
            ds.PixelData = b""

    series(tmp_path, edit=edit)
    refused(tmp_path, "truncated")


def test_one_image_without_a_place_is_not_left_out(tmp_path):
    def edit(ds, k):
        if k == 4:
            del ds.ImagePositionPatient

    series(tmp_path, edit=edit)
    refused(tmp_path, "missing_geometry")


@pytest.mark.parametrize("number", ["5", "4.80", "4.90"])
@pytest.mark.parametrize("cut", [1, 8, 9, 30])
@pytest.mark.parametrize("zipped", [True, False])
def test_compressed_pixels_without_their_end_are_refused_before_they_are_decoded(
    tmp_path, number, cut, zipped
):
    series(tmp_path / "in", values((32, 32, 5)), syntax=f"1.2.840.10008.1.2.{number}")
    path = tmp_path / "in" / "im0002.dcm"
    path.write_bytes(path.read_bytes()[:-cut])
    place = tmp_path / "in"
    if zipped:
        place = tmp_path / "a.zip"
        with zipfile.ZipFile(place, "w") as archive:
            for file in (tmp_path / "in").iterdir():
                archive.write(file, file.name)
    refused(place, "truncated")


DIFFERENCES = {
    "acquisition time": lambda ds, n: setattr(ds, "AcquisitionTime", f"1200{n:02d}"),
    "tube voltage": lambda ds, n: setattr(ds, "KVP", 80 + 60 * n),
    "kernel": lambda ds, n: setattr(ds, "ConvolutionKernel", f"B{3 + n}0f"),
    "diffusion direction": lambda ds, n: setattr(
        ds, "DiffusionGradientOrientation", [1.0 - n, float(n), 0.0]
    ),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_two_volumes_that_differ_in_one_attribute_are_offered_apart(tmp_path, name):
    stored = [values(seed=n) for n in range(2)]
    for n in range(2):
        series(
            tmp_path / str(n),
            stored[n],
            suffix=f"{n}.dcm",
            edit=lambda ds, k, n=n: (DIFFERENCES[name](ds, n), setattr(ds, "SOPInstanceUID", f"5.{n}.{k}")),
        )
    refused_or_split = inspect(tmp_path).items
    assert [item.status.value for item in refused_or_split] == ["ok", "ok"]
    with pytest.raises(FlrError, match=name) as caught:
        read_image(tmp_path)
    assert caught.value.reason == "several_series"
    for n in range(2):
        same(tmp_path, stored[n], series=str(n + 1))


def test_times_do_not_make_two_volumes_of_uneven_slices(tmp_path):
    """Even and odd slices of an interleaved scan have two times, and one slice is missing."""
    folder = tmp_path / "in"
    series(folder, values((7, 6, 9)), edit=lambda ds, k: setattr(ds, "AcquisitionTime", f"12000{k % 2}"))
    (folder / "im0001.dcm").unlink()
    for path in folder.iterdir():
        ds = dcmread(path)
        del ds.InstanceNumber
        ds.save_as(path)
    with pytest.raises(FlrError) as caught:
        read_image(tmp_path)
    assert caught.value.reason in {"missing_slice", "irregular_spacing"}


@pytest.mark.parametrize("steps", [(0, 3, 5, 8, 10, 13), (0, 2, 5, 7, 10, 12)])
def test_uneven_slices_are_not_taken_apart_by_their_times(tmp_path, steps):
    """Every second one would make an even volume of half the slices."""

    def edit(ds, k):
        ds.AcquisitionTime = f"12000{k % 2}"
        ds.ImagePositionPatient = [float(x) for x in AFFINE[:3, 3] + steps[k] * AFFINE[:3, 2]]

    series(tmp_path, values((7, 6, 6)), edit=edit)
    refused(tmp_path, "irregular_spacing")


def test_two_slices_at_two_times_are_offered_apart(tmp_path):
    for n in range(2):
        edit = DIFFERENCES["acquisition time"]
        series(tmp_path / str(n), values((7, 6, 2), seed=n), edit=lambda ds, k, n=n, edit=edit: edit(ds, n))
    assert [item.grid.shape for item in inspect(tmp_path).items] == [(7, 6, 2)] * 2


def test_frames_that_differ_only_along_a_dimension_are_offered_apart(tmp_path):
    stored = values((7, 6, 8), np.uint16, low=0, high=4000)
    places = [AFFINE[:3, 3] + (k // 2) * AFFINE[:3, 2] for k in range(8)]
    frames = [(stored[:, :, k], {"position": places[k]}) for k in range(8)]

    def edit(ds, _):
        for k, item in enumerate(ds.PerFrameFunctionalGroupsSequence):
            # Beyond 65535, the index is told by its upper half alone.
            item.FrameContentSequence[0].DimensionIndexValues = [1, k // 2 + 1, (k % 2) << 16]

    write_enhanced(tmp_path / "e.dcm", frames, AFFINE, SeriesSpec(ENHANCED_MR, "MR", edit=edit))
    for n in range(2):
        same(tmp_path, stored[:, :, n::2], series=str(n + 1))


@pytest.mark.parametrize(("syntax", "zipped"), [(DEFLATED, False), (EXPLICIT, True), (RLE, True)])
def test_many_packed_frames_are_unpacked_once(tmp_path, syntax, zipped):
    """Once for each frame took time with the square of their number."""
    stored = values((64, 64, 300), np.uint16, low=0, high=4000)
    frames = [(stored[:, :, k], {"position": AFFINE[:3, 3] + k * AFFINE[:3, 2]}) for k in range(300)]
    path = write_enhanced(tmp_path / "e.dcm", frames, AFFINE, SeriesSpec(ENHANCED_MR, "MR", syntax=syntax))
    if zipped:
        path = tmp_path / "e.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(tmp_path / "e.dcm", "e.dcm")
    began = time.process_time()
    assert same(path, stored) == set()
    assert time.process_time() - began < 5


def test_loss_that_only_the_pixels_show_is_told(tmp_path):
    """JPEG 2000 of the irreversible wavelet, under the syntax that allows both, and no word of it."""

    def packed(*, reversible):
        def edit(ds, k):
            frame = np.frombuffer(ds.PixelData, np.uint16).reshape(ds.Rows, ds.Columns)
            data = imagecodecs.jpeg2k_encode(
                frame, level=0 if reversible else 60, reversible=reversible, codecformat="j2k"
            )
            ds.PixelData = encapsulate([data])
            ds["PixelData"].is_undefined_length = True
            ds["PixelData"].VR = "OB"

        return edit

    for reversible in (True, False):
        folder = tmp_path / str(reversible)
        stored = values((32, 32, 3), np.uint16, low=0, high=4000)
        raw_series(folder, stored, JPEG_2000, packed(reversible=reversible))
        codes = {c.code for c in read_image(folder).caveats}
        assert codes == (set() if reversible else {"lossy"})


def raw_series(folder, stored, syntax, edit):
    """Slices whose pixels `edit` has encoded already."""
    folder.mkdir()
    write_slices(folder, stored, AFFINE)
    for k, path in enumerate(sorted(folder.iterdir())):
        ds = dcmread(path)
        edit(ds, k)
        ds.file_meta.TransferSyntaxUID = syntax
        FileDataset(path, ds, file_meta=ds.file_meta, preamble=b"\0" * 128).save_as(path)


def test_eight_bits_of_jpeg_in_a_header_of_sixteen_keep_their_values(tmp_path):
    def edit(ds, k):
        frame = np.frombuffer(ds.PixelData, np.uint16).reshape(ds.Rows, ds.Columns).astype(np.uint8)
        ds.PixelData = encapsulate([imagecodecs.jpegls_encode(frame)])
        ds["PixelData"].is_undefined_length = True
        ds["PixelData"].VR, ds.BitsStored, ds.HighBit = "OB", 12, 11

    stored = values((16, 16, 3), np.uint16, low=0, high=256)
    raw_series(tmp_path / "in", stored, JPEG_LS, edit)
    assert same(tmp_path, stored) == set()


@pytest.mark.parametrize("syntax", ["1.2.840.113619.5.2", RLE])
def test_pixels_that_are_not_as_their_syntax_says_are_refused(tmp_path, syntax):
    """GE's private syntax has pixels of the other byte order; RLE has fragments."""
    raw_series(tmp_path / "in", values(), EXPLICIT, lambda ds, k: None)
    for path in (tmp_path / "in").iterdir():
        data = path.read_bytes()
        old = element(0x00020010, b"UI", b"1.2.840.10008.1.2.1\0")
        new = element(0x00020010, b"UI", syntax.encode() + b"\0" * (len(syntax) % 2))
        path.write_bytes(data.replace(old, new))
    with pytest.raises(FlrError, match="must lie in fragments"):
        read_image(tmp_path)


def test_a_copy_in_another_syntax_is_dropped_and_one_of_other_values_is_refused(tmp_path):
    stored = series(tmp_path / "a")
    series(tmp_path / "b", syntax=JPEG_LS)
    assert same(tmp_path, stored) == {"copies_dropped"}
    stored[3, 2, 1] += 1
    series(tmp_path / "b", stored, syntax=JPEG_LS)
    refused(tmp_path, "duplicate_positions")


@pytest.mark.parametrize("damage", ["zeros", "gzip"])
def test_a_slice_that_was_not_copied_as_it_is_is_told(tmp_path, damage):
    stored = series(tmp_path)
    last = tmp_path / "im0004.dcm"
    if damage == "zeros":
        (tmp_path / "im0004").write_bytes(bytes(last.stat().st_size))
    else:
        (tmp_path / "im0004.gz").write_bytes(gzip.compress(last.read_bytes()))
    last.unlink()
    assert same(tmp_path, stored[:, :, :-1]) == {"unreadable_files"}


def test_every_slice_has_all_the_keys_by_which_a_series_is_split(tmp_path):
    series(tmp_path / "classic")
    parts(tmp_path / "enhanced", [0, 1])
    for name in ("classic", "enhanced"):
        frames = scan(tmp_path / name).images()[0].stack.frames
        assert {len(frame.keys) for frame in frames} == {len(SPLIT_KEYS)}
