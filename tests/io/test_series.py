"""DICOM series come back with the affine and the values they were written with."""

from __future__ import annotations

import hashlib
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from flr_volumetry.errors import AmbiguousError
from flr_volumetry.io import read_image, scan
from tests.io.dicom_files import MR, SeriesSpec, write_enhanced, write_slices
from tests.io.geometry import AFFINES, lattice, rotation, values


@pytest.mark.parametrize("name", AFFINES)
def test_a_series_keeps_its_place_and_its_values_on_every_grid(tmp_path, name):
    stored = values()
    write_slices(tmp_path / "s", stored, AFFINES[name], SeriesSpec(intercept=-1024))

    image = read_image(tmp_path / "s")

    assert image.grid.shape == stored.shape
    np.testing.assert_allclose(image.grid.affine, AFFINES[name], atol=1e-6)
    assert image.voxels.dtype == np.int16
    assert image.voxels.flags.f_contiguous
    np.testing.assert_array_equal(image.voxels, stored - 1024)
    assert image.caveats == ()


def test_a_tilted_gantry_is_kept_as_shear_and_its_volume_is_the_determinant(tmp_path):
    write_slices(tmp_path / "s", values(), AFFINES["gantry tilt"])

    grid = read_image(tmp_path / "s").grid

    assert grid.voxel_mm3 == pytest.approx(0.8 * 0.9 * 3.0)
    assert grid.tilt_deg == pytest.approx(np.degrees(np.arctan2(0.75, 3.0)), abs=1e-3)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_order_orientation_type_rescale_and_syntax_comes_back(tmp_path_factory, data):
    """The property of issue 3: written in any way, read as the same affine and values."""
    folder = tmp_path_factory.mktemp("property")
    angle = data.draw(st.floats(-180, 180))
    axis = data.draw(st.sampled_from([(1, 0, 0), (0, 1, 1), (1, 2, 3), (0, 0, 1)]))
    spacing = tuple(data.draw(st.sampled_from([0.5, 0.703125, 1.0, 3.0])) for _ in range(3))
    shear = data.draw(st.sampled_from([(0.0, 0.0), (0.0, 0.4), (-0.2, 0.1)]))
    affine = lattice(rotation(axis, angle), spacing, (-10.5, 20.25, 300.0), shear)
    dtype, stored_bits = data.draw(
        st.sampled_from([(np.int16, 16), (np.uint16, 12), (np.uint16, 16), (np.uint8, 8)])
    )
    high = 2**stored_bits - 1 if dtype != np.int16 else 1200
    low = 0 if dtype != np.int16 else -1200
    stored = values((33, 34, 4), dtype, data.draw(st.integers(0, 99)), low, high)
    slope, intercept = data.draw(st.sampled_from([(1, -1024), (2, 5), (0.25, 0.5), (1, 0)]))
    syntax = data.draw(
        st.sampled_from(
            ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"]
            + ["1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"]
        )
    )
    spec = SeriesSpec(syntax=syntax, bits_stored=stored_bits, slope=slope, intercept=intercept)
    paths = write_slices(folder / "s", stored, affine, spec)
    for number, k in enumerate(data.draw(st.permutations(range(4)))):
        paths[k].rename(paths[k].with_name(f"{number}"))

    image = read_image(folder / "s")

    np.testing.assert_allclose(image.grid.affine, affine, atol=1e-4)
    np.testing.assert_allclose(image.voxels, stored * np.float64(slope) + intercept, rtol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "low", "high", "intercept", "kind"),
    [
        (np.uint16, 0, 4096, -1024, np.int16),
        (np.uint16, 0, 65536, -32768, np.int16),
        (np.uint16, 0, 65536, 0, np.float32),
        (np.int16, -32768, 32768, -1024, np.float32),
        (np.int16, -32768, 0, 32768, np.int16),
        (np.int32, -70000, 70000, 0, np.float32),
        (np.uint32, 0, 32767, 0, np.int16),
        (np.int8, -128, 128, 3, np.int16),
    ],
)
def test_values_are_int16_where_all_fit_and_float32_elsewhere(tmp_path, dtype, low, high, intercept, kind):
    stored = values(dtype=dtype, low=low, high=high)
    stored.flat[0], stored.flat[1] = low, high - 1
    bits = stored.dtype.itemsize * 8
    write_slices(tmp_path / "s", stored, AFFINES["axial"], SeriesSpec(bits_stored=bits, intercept=intercept))

    image = read_image(tmp_path / "s")

    assert image.voxels.dtype == kind
    np.testing.assert_array_equal(image.voxels, stored.astype(np.int64) + intercept)


def test_each_slice_has_its_own_rescaling(tmp_path):
    stored = values(dtype=np.uint16, low=0, high=900)

    def edit(ds, k):
        ds.RescaleSlope, ds.RescaleIntercept = 0.5 + k, -k

    write_slices(tmp_path / "s", stored, AFFINES["axial"], SeriesSpec(MR, "MR", edit=edit))

    k = np.arange(5)
    np.testing.assert_array_equal(read_image(tmp_path / "s").voxels, stored * (0.5 + k) - k)


def test_the_unit_vectors_are_used_where_the_header_rounds_them(tmp_path):
    """Direction cosines written with three decimals do not change the volume of a voxel."""

    def edit(ds, k):
        ds.ImageOrientationPatient = [f"{float(x):.3f}" for x in ds.ImageOrientationPatient]

    affine = lattice(rotation([0, 0, 1], 33.3), (0.8, 0.9, 2.0), (5, -60, 7))
    write_slices(tmp_path / "s", values(), affine, SeriesSpec(edit=edit))

    assert read_image(tmp_path / "s").grid.voxel_mm3 == pytest.approx(0.8 * 0.9 * 2.0, rel=2e-6)


def test_the_step_comes_from_all_positions_when_each_is_rounded(tmp_path):
    """Positions with one decimal: the 0.625 mm step is right over the whole stack."""

    def edit(ds, k):
        ds.ImagePositionPatient = [0, 0, f"{0.625 * k:.1f}"]

    affine = lattice(np.eye(3), (1, 1, 0.625), (0, 0, 0))
    write_slices(tmp_path / "s", values((4, 4, 41)), affine, SeriesSpec(edit=edit))

    assert read_image(tmp_path / "s").grid.spacing_mm[2] == pytest.approx(0.625, abs=1e-9)


def test_source_says_where_the_image_came_from(tmp_path):
    paths = write_slices(
        tmp_path / "s", values(), AFFINES["axial"], SeriesSpec(extra={"AcquisitionDate": "20210304"})
    )
    digests = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths)

    source = read_image(tmp_path / "s").source

    assert source.sha256 == hashlib.sha256("".join(f"{d}\n" for d in digests).encode()).hexdigest()
    assert (source.modality, source.patient_id, source.n_files) == ("CT", "P1", 5)
    assert (source.study_uid, source.series_uid) == ("1.2.3.1", "1.2.3.1.1")
    assert (source.description, source.acquired, source.path) == ("series 1", "20210304", str(tmp_path / "s"))
    assert read_image(tmp_path / "s").grid.frame_of_reference_uid == "1.2.3.9"


def test_nested_folders_names_without_extension_and_foreign_letters_are_read(tmp_path):
    paths = write_slices(tmp_path / "Säule" / "静脈", values(), AFFINES["axial"], SeriesSpec(suffix=""))
    (paths[0].parent / "deeper").mkdir()
    paths[3].rename(paths[0].parent / "deeper" / paths[3].name)
    (tmp_path / "notes.txt").write_text("not an image")

    np.testing.assert_array_equal(read_image(tmp_path).voxels, values())


def test_a_zip_archive_is_read_as_the_folder_it_was_made_of(tmp_path):
    paths = write_slices(tmp_path / "s", values(), AFFINES["axial"])
    with zipfile.ZipFile(tmp_path / "s.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in paths:
            archive.write(path, f"study/{path.name}")
        archive.writestr("__MACOSX/study/._im0000.dcm", b"x" * 200)

    zipped, plain = read_image(tmp_path / "s.zip"), read_image(tmp_path / "s")

    np.testing.assert_array_equal(zipped.voxels, plain.voxels)
    assert zipped.grid.matches(plain.grid)
    assert zipped.source.sha256 == plain.source.sha256


def test_a_header_longer_than_the_first_read_is_read(tmp_path):
    """A private element of 100 kB and nested sequences of undefined length lie before the pixels."""

    def edit(ds, k):
        inner, outer = Dataset(), Dataset()
        inner.is_undefined_length_sequence_item = outer.is_undefined_length_sequence_item = True
        inner.CodeValue = "x"
        outer.PurposeOfReferenceCodeSequence = [inner]
        outer["PurposeOfReferenceCodeSequence"].is_undefined_length = True
        ds.ReferencedImageSequence = [outer]
        ds["ReferencedImageSequence"].is_undefined_length = True
        ds.add_new((0x0019, 0x0010), "LO", "PRIVATE")
        ds.add_new((0x0019, 0x1001), "OB", b"\xfe\xff\x00\xe0" * 25_000)

    for syntax in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"):
        write_slices(tmp_path / syntax, values(), AFFINES["axial"], SeriesSpec(syntax=syntax, edit=edit))

        np.testing.assert_array_equal(read_image(tmp_path / syntax).voxels, values())


def test_a_file_without_preamble_is_read(tmp_path):
    for path in write_slices(tmp_path / "s", values(), AFFINES["axial"]):
        path.write_bytes(path.read_bytes()[132:])

    np.testing.assert_array_equal(read_image(tmp_path / "s").voxels, values())


@pytest.mark.parametrize("true_syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
def test_a_false_transfer_syntax_is_seen_through(tmp_path, true_syntax):
    """Implicit data called explicit, and the contrary, are told apart by their bytes."""
    implicit, explicit = b"1.2.840.10008.1.2\0\0\0", b"1.2.840.10008.1.2.1\0"
    for path in write_slices(tmp_path / "s", values(), AFFINES["axial"], SeriesSpec(syntax=true_syntax)):
        data = path.read_bytes()
        if true_syntax.endswith(".1"):
            data = data.replace(explicit, implicit, 1)
        else:
            data = data.replace(b"\x12\x001.2.840.10008.1.2\0", b"\x14\x001.2.840.10008.1.2.1\0", 1)
            data = (
                data[:140] + (int.from_bytes(data[140:144], "little") + 2).to_bytes(4, "little") + data[144:]
            )
        path.write_bytes(data)

    np.testing.assert_array_equal(read_image(tmp_path / "s").voxels, values())


class TestChoice:
    """Several series in one place are listed, never guessed."""

    @pytest.fixture
    def two(self, tmp_path):
        write_slices(
            tmp_path / "a", values(seed=1), AFFINES["axial"], SeriesSpec(series="1.2.77.1", number=4)
        )
        write_slices(
            tmp_path / "b", values(seed=2), AFFINES["axial"], SeriesSpec(series="1.2.88.2", number=9)
        )
        return tmp_path

    def test_two_series_are_refused_and_listed(self, two):
        with pytest.raises(
            AmbiguousError, match=r"(?s)--series.*1: series 4.*7 x 6 x 5.*2: series 9"
        ) as caught:
            read_image(two)

        assert caught.value.reason == "several_series"

    @pytest.mark.parametrize(
        ("choice", "seed"), [("1.2.88.2", 2), ("77.1", 1), ("1.2.8", 2), ("1", 1), ("2", 2)]
    )
    def test_uid_its_ends_and_the_listed_number_choose(self, two, choice, seed):
        np.testing.assert_array_equal(read_image(two, series=choice).voxels, values(seed=seed))

    @pytest.mark.parametrize(
        ("choice", "reason"), [("1.2.", "several_series"), ("5.5", "unknown_series"), ("3", "unknown_series")]
    )
    def test_a_choice_that_fits_none_or_two_is_refused(self, two, choice, reason):
        with pytest.raises(AmbiguousError) as caught:
            read_image(two, series=choice)

        assert caught.value.reason == reason

    def test_one_volume_beside_a_scout_is_taken_with_a_caveat(self, tmp_path):
        write_slices(tmp_path / "a", values(), AFFINES["axial"])
        write_slices(
            tmp_path / "b", values((7, 6, 1)), AFFINES["sagittal"], SeriesSpec(series="1.2.4", number=2)
        )

        image = read_image(tmp_path)

        np.testing.assert_array_equal(image.voxels, values())
        assert [c.code for c in image.caveats] == ["series_left_out"]
        assert "series 2 (single_slice)" in image.caveats[0].message

    def test_two_patients_are_never_joined(self, tmp_path):
        """Same study and series UID, slices that would make one volume: still two patients."""
        write_slices(tmp_path / "a", values(), AFFINES["axial"])
        above = AFFINES["axial"].copy()
        above[2, 3] += 5 * 2.5
        write_slices(tmp_path / "b", values(), above, SeriesSpec(patient="P2"))

        with pytest.raises(AmbiguousError) as caught:
            read_image(tmp_path)

        assert caught.value.reason == "multiple_patients"

    def test_two_studies_are_never_joined(self, tmp_path):
        write_slices(tmp_path / "a", values(), AFFINES["axial"])
        write_slices(tmp_path / "b", values(), AFFINES["axial"], SeriesSpec(study="1.9"))

        assert len([item for item in scan([tmp_path]).images() if item.is_readable]) == 2


def _phases(tmp_path, tag, edit_values):
    for number, value in enumerate(edit_values):
        shifted = SeriesSpec(MR, "MR", edit=lambda ds, k, v=value: setattr(ds, tag, v))
        write_slices(tmp_path / f"p{number}", values(seed=number), AFFINES["axial"], shifted)


class TestSplit:
    """One series of several phases is split only where it is no volume and its parts are."""

    @pytest.mark.parametrize(
        "tag", ["TemporalPositionIdentifier", "EchoTime", "AcquisitionNumber", "InversionTime"]
    )
    def test_phases_at_the_same_positions_become_volumes_of_their_own(self, tmp_path, tag):
        _phases(tmp_path, tag, [10, 20, 30])

        with pytest.raises(AmbiguousError, match="3 volumes"):
            read_image(tmp_path)
        np.testing.assert_array_equal(read_image(tmp_path, series="2").voxels, values(seed=1))

    def test_two_acquisitions_that_make_one_volume_stay_one(self, tmp_path):
        spec = SeriesSpec(edit=lambda ds, k: setattr(ds, "AcquisitionNumber", 1 + k // 3))
        write_slices(tmp_path / "s", values(), AFFINES["axial"], spec)

        np.testing.assert_array_equal(read_image(tmp_path).voxels, values())

    def test_identical_copies_are_dropped_with_a_caveat(self, tmp_path):
        write_slices(tmp_path / "a", values(), AFFINES["axial"])
        write_slices(tmp_path / "b", values(), AFFINES["axial"])

        image = read_image(tmp_path)

        np.testing.assert_array_equal(image.voxels, values())
        assert [c.code for c in image.caveats] == ["copies_dropped"]

    def test_blank_uids_are_read_by_folder_with_a_caveat(self, tmp_path):
        write_slices(tmp_path / "a", values(seed=1), AFFINES["axial"], SeriesSpec(study="", series=""))
        write_slices(tmp_path / "b", values(seed=2), AFFINES["axial"], SeriesSpec(study="", series=""))

        image = read_image(tmp_path / "a")

        assert [c.code for c in image.caveats] == ["missing_uids"]
        with pytest.raises(AmbiguousError):
            read_image(tmp_path)


class TestEnhanced:
    """Many frames in one file."""

    def frames(self, stored, affine, **says):
        return [
            (stored[:, :, k], {"position": affine[:3, 3] + k * affine[:3, 2], **says})
            for k in range(stored.shape[2])
        ]

    @pytest.mark.parametrize("name", AFFINES)
    @pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.5"])
    def test_frames_in_any_order_become_the_volume(self, tmp_path, name, syntax):
        stored = values(dtype=np.uint16, low=0, high=4000)
        frames = self.frames(stored, AFFINES[name])
        spec = SeriesSpec("1.2.840.10008.5.1.4.1.1.4.1", "MR", syntax)
        path = write_enhanced(tmp_path / "e.dcm", [frames[k] for k in (3, 0, 4, 1, 2)], AFFINES[name], spec)

        image = read_image(path)

        np.testing.assert_allclose(image.grid.affine, AFFINES[name], atol=1e-6)
        np.testing.assert_array_equal(image.voxels, stored)

    def test_rescaling_is_that_of_each_frame(self, tmp_path):
        stored = values(dtype=np.uint16, low=0, high=400)
        frames = self.frames(stored, AFFINES["axial"])
        for k, (_, says) in enumerate(frames):
            says.update(slope=1 + 0.5 * k, intercept=k)
        path = write_enhanced(tmp_path / "e.dcm", frames, AFFINES["axial"])

        k = np.arange(5)
        np.testing.assert_array_equal(read_image(path).voxels, stored * (1 + 0.5 * k) + k)

    def test_time_points_are_volumes_of_their_own(self, tmp_path):
        first, second = (values(dtype=np.uint16, low=0, high=99, seed=s) for s in (1, 2))
        frames = self.frames(first, AFFINES["axial"], time=1) + self.frames(second, AFFINES["axial"], time=2)
        path = write_enhanced(tmp_path / "e.dcm", frames, AFFINES["axial"])

        with pytest.raises(AmbiguousError, match="temporal position"):
            read_image(path)
        np.testing.assert_array_equal(read_image(path, series="2").voxels, second)

    def test_stacks_of_two_directions_are_volumes_of_their_own(self, tmp_path):
        stored = values((6, 6, 5), dtype=np.uint16, low=0, high=99)
        other = lattice(np.array([[0.0, 0, -1], [1, 0, 0], [0, -1, 0]]), (0.8, 0.7, 2.5), (5, 6, 7))
        cosines = (other[:3, :2] / [0.8, 0.7]).T.ravel()
        frames = self.frames(stored, AFFINES["axial"], stack="1")
        frames += self.frames(stored, other, stack="2", orientation=cosines)
        path = write_enhanced(tmp_path / "e.dcm", frames, AFFINES["axial"])

        np.testing.assert_allclose(read_image(path, series="1").grid.affine, AFFINES["axial"], atol=1e-6)
        np.testing.assert_allclose(read_image(path, series="2").grid.affine, other, atol=1e-6)


def test_slices_of_two_echoes_in_one_regular_stack_are_told(tmp_path):
    """Two echoes half a step apart make an even stack of alternating slices: read, but said."""
    spec = SeriesSpec(MR, "MR", edit=lambda ds, k: setattr(ds, "EchoTime", 2.3 + k % 2))
    write_slices(tmp_path / "s", values(), AFFINES["axial"], spec)

    assert [c.code for c in read_image(tmp_path).caveats] == ["mixed_parameters"]


@pytest.mark.parametrize(
    "damage", [b"", b"not a DICOM file", b"\0" * 128 + b"DICM" + b"\x02\0\x10\0UI\x99\x00" + b"x" * 20]
)
def test_a_damaged_file_beside_a_series_is_told(tmp_path, damage):
    """It may be the last slice: the volume is read, and every output shows the caveat."""
    spec = SeriesSpec(suffix=".dcm" if damage else "")
    paths = write_slices(tmp_path / "s", values(), AFFINES["axial"], spec)
    paths[-1].write_bytes(damage)

    image = read_image(tmp_path)

    assert image.grid.shape == (7, 6, 4)
    assert [c.code for c in image.caveats] == ["unreadable_files"]
    assert "im0004" in image.caveats[0].message


def test_an_empty_slice_that_two_phases_share_belongs_to_both(tmp_path):
    """Slices of nothing but air are alike in both phases, and are no copies."""
    for number in (1, 2):
        stored = values(seed=number)
        stored[:, :, 2] = 0
        spec = SeriesSpec(edit=lambda ds, k, n=number: setattr(ds, "AcquisitionNumber", n))
        write_slices(tmp_path / f"p{number}", stored, AFFINES["axial"], spec)

    image = read_image(tmp_path, series="2")

    assert image.grid.shape == (7, 6, 5)
    np.testing.assert_array_equal(image.voxels[:, :, 3], values(seed=2)[:, :, 3])
