"""Every kind of awkward series, all else drawn at random: each is read exactly or refused by its reason.

The orientation, tilt, spacing, type of numbers, bit depth, rescaling, transfer syntax, order and names of the
files must not matter to what a series is. ``FLR_KINDS_SEEDS`` says how many times each kind is drawn.
"""

from __future__ import annotations

import gzip
import itertools
import os
import zipfile
from dataclasses import dataclass, field, replace

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from flr_volumetry.errors import FlrError
from flr_volumetry.images import Grid
from flr_volumetry.io import inspect, read_image, read_mask
from tests.io.dicom_files import (
    CT,
    ENHANCED_MR,
    MR,
    SECONDARY_CAPTURE,
    SeriesSpec,
    ds_text,
    write_enhanced,
    write_slices,
)
from tests.io.geometry import lattice, rotation
from tests.io.mask_files import RoiSpec, SegSpec, write_rtstruct, write_seg, write_segnrrd
from tests.io.test_rtstruct import in_patient
from tests.io.test_segnrrd import keys

SEEDS = range(int(os.environ.get("FLR_KINDS_SEEDS", "2")))
RAS = np.diag([-1.0, -1, 1, 1])
SYNTAXES = [
    *("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"),
    *("1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"),
]
NUMBERS = [
    (np.int16, 16, -2000, 3000),
    (np.int16, 12, -2048, 2048),
    (np.uint16, 12, 0, 4096),
    (np.uint16, 16, 0, 65536),
    (np.uint8, 8, 0, 256),
]
RESCALINGS = [(1, -1024), (1, 0), (2, 3), (0.5, 0.25), (-1, 0)]


@dataclass
class Drawn:
    """A series drawn at random, before anything is wrong with it."""

    rng: np.random.Generator
    affine: np.ndarray
    stored: np.ndarray
    spec: SeriesSpec
    names: list[str] = field(default_factory=list)

    @property
    def values(self):
        return self.stored * np.float64(self.spec.slope) + self.spec.intercept

    def write(self, folder, **change):
        """Write it under random names, and return the paths in the order of the slices."""
        spec = replace(self.spec, **change)
        paths = write_slices(folder, self.stored, self.affine, spec)
        order = self.rng.permutation(len(paths))
        return [path.rename(path.with_name(f"{spec.suffix}{order[n]:03d}")) for n, path in enumerate(paths)]


def drawn(seed, slices=7):
    rng = np.random.default_rng(seed)
    dtype, bits, low, high = NUMBERS[rng.integers(len(NUMBERS))]
    shear = rng.uniform(-0.4, 0.4, 2) * 2 if rng.random() < 0.5 else (0.0, 0.0)
    spacing = (*rng.uniform(0.4, 2, 2), rng.uniform(0.6, 5))
    turn = rotation(rng.normal(size=3), rng.uniform(-180, 180))
    affine = lattice(turn, spacing, rng.uniform(-300, 300, 3), shear)
    slope, intercept = RESCALINGS[rng.integers(len(RESCALINGS))]
    spec = SeriesSpec(
        *((CT, "CT") if rng.random() < 0.5 else (MR, "MR")),
        syntax=SYNTAXES[rng.integers(len(SYNTAXES))],
        bits_stored=bits,
        slope=slope,
        intercept=intercept,
        frame="1.2.3.9" if rng.random() < 0.7 else "",
        suffix="",
    )
    shape = (int(rng.integers(32, 40)), int(rng.integers(32, 40)), slices)
    return Drawn(rng, affine, np.asfortranarray(rng.integers(low, high, shape).astype(dtype)), spec)


def same(image, case, part=slice(None)):
    affine = case.affine.copy()
    first = range(case.stored.shape[2])[part][0]
    affine[:3, 3] += first * affine[:3, 2]
    np.testing.assert_allclose(image.grid.affine, affine, atol=2e-4)
    assert image.grid.voxel_mm3 == pytest.approx(abs(np.linalg.det(affine[:3, :3])), rel=1e-4)
    np.testing.assert_allclose(image.voxels, case.values[:, :, part], rtol=1e-6, atol=1e-6)


def reason(path):
    with pytest.raises(FlrError) as caught:
        read_image(path)
    images = [i for i in inspect(path).items if i.kind.value == "image"]
    assert len(images) != 1 or images[0].reason == caught.value.reason
    return caught.value.reason


def codes(image):
    return {c.code for c in image.caveats}


def alone(case, folder):
    case.write(folder)
    same(read_image(folder), case)


def number_runs_down(case, folder):
    case.write(folder, edit=lambda ds, k: setattr(ds, "InstanceNumber", 99 - k))
    same(read_image(folder), case)


def acquisitions_of_one_volume(case, folder):
    case.write(folder, edit=lambda ds, k: setattr(ds, "AcquisitionNumber", 1 + (k > 2)))
    image = read_image(folder)
    same(image, case)


def rescaling_of_each_slice(case, folder):
    slopes = case.rng.uniform(0.5, 2, 7).round(3)

    def edit(ds, k):
        ds.RescaleSlope, ds.RescaleIntercept = str(slopes[k]), str(k)

    case.write(folder, edit=edit)
    np.testing.assert_allclose(read_image(folder).voxels, case.stored * slopes + np.arange(7), rtol=1e-6)


def slice_missing(case, folder):
    paths = case.write(folder)
    paths[case.rng.integers(1, 6)].unlink()
    assert reason(folder) == "missing_slice"


def several_missing(case, folder):
    paths = case.write(folder)
    for k in (2, 3, 5):
        paths[k].unlink()
    assert reason(folder) in {"missing_slice", "irregular_spacing"}


def uneven(case, folder):
    """A step half as long again somewhere, the numbers running on."""
    at = case.rng.integers(2, 6)

    def edit(ds, k):
        place = case.affine[:3, 3] + (k + 0.5 * (k >= at)) * case.affine[:3, 2]
        ds.ImagePositionPatient = [ds_text(x) for x in place]

    case.write(folder, edit=edit)
    assert reason(folder) == "irregular_spacing"


def copies(case, folder):
    case.write(folder)
    case.write(folder / "again", edit=lambda ds, k: setattr(ds, "SOPInstanceUID", f"1.2.7.{k}"))
    image = read_image(folder)
    same(image, case)
    assert "copies_dropped" in codes(image)


def conflicting_copies(case, folder):
    case.write(folder)
    other = replace(case, stored=np.ascontiguousarray(case.stored[::-1]))
    for path in other.write(folder / "again")[1:]:
        path.unlink()
    assert reason(folder) == "duplicate_positions"


def two_phases(case, folder):
    second = replace(case, stored=np.ascontiguousarray(case.stored[:, ::-1]))
    name = ["AcquisitionNumber", "TemporalPositionIdentifier", "EchoTime"][case.rng.integers(3)]
    for number, part in enumerate((case, second)):
        part.write(folder, extra={name: number + 1}, suffix=f"{number}-")
    assert reason(folder) == "several_series"
    for number, part in enumerate((case, second), 1):
        same(read_image(folder, series=str(number)), part)


def two_patients(case, folder):
    case.write(folder)
    case.write(folder, patient="P2", suffix="x")
    assert reason(folder) == "multiple_patients"


def two_studies(case, folder):
    case.write(folder)
    case.write(folder, study="1.2.9", suffix="x")
    assert reason(folder) == "several_series"


def mixed_orientation(case, folder):
    def edit(ds, k):
        if k == 3:
            ds.ImageOrientationPatient = [*ds.ImageOrientationPatient[3:], *ds.ImageOrientationPatient[:3]]

    case.write(folder, edit=edit)
    assert reason(folder) == "mixed_orientation"


def single_slice(case, folder):
    for path in case.write(folder)[1:]:
        path.unlink()
    assert reason(folder) == "single_slice"


def cut_short(case, folder):
    path = case.write(folder)[3]
    path.write_bytes(path.read_bytes()[: -int(case.rng.integers(40, 200))])
    assert reason(folder) in {"truncated", "unreadable", "no_pixels"}


def colour(case, folder):
    def edit(ds, k):
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
        ds.BitsAllocated = ds.BitsStored = 8
        ds.HighBit, ds.PixelData = 7, bytes(ds.Rows * ds.Columns * 3 + (ds.Rows * ds.Columns * 3) % 2)

    case.write(folder, edit=edit, syntax="1.2.840.10008.1.2.1", sop_class=SECONDARY_CAPTURE)
    assert reason(folder) == "not_grayscale"


def secondary_capture(case, folder):
    """With or without geometry."""
    bare = case.rng.random() < 0.5
    edit = (lambda ds, k: delattr(ds, "ImagePositionPatient")) if bare else None
    case.write(folder, edit=edit, sop_class=SECONDARY_CAPTURE)
    assert reason(folder) == "not_an_image"


def dose(case, folder):
    case.write(folder, sop_class="1.2.840.10008.5.1.4.1.1.481.2", modality="RTDOSE")
    assert reason(folder) == "not_an_image"


def blank_uids(case, folder):
    case.write(folder, study="", series="")
    image = read_image(folder)
    same(image, case)
    assert "missing_uids" in codes(image)


def in_an_archive(case, folder):
    paths = case.write(folder / "bäuche" / "größe 1")
    place = folder / "bäuche.zip"
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in paths:
            archive.write(path, path.relative_to(folder))
    same(read_image(place), case)


def padded(case, folder):
    case.stored[:3] = value = case.stored.min()
    kind = "SS" if case.stored.dtype.kind == "i" else "US"
    case.write(folder, edit=lambda ds, k: ds.add_new(0x00280120, kind, int(value)))
    image = read_image(folder)
    same(image, case)
    outside = image.voxels == image.padding
    np.testing.assert_array_equal(outside, case.stored == value)
    assert len(image.measured(np.ones(image.grid.shape, bool))) == np.count_nonzero(~outside)


KINDS = [
    *(alone, number_runs_down, acquisitions_of_one_volume, rescaling_of_each_slice, slice_missing),
    *(several_missing, uneven, copies, conflicting_copies, two_phases, two_patients, two_studies),
    *(mixed_orientation, single_slice, cut_short, colour, secondary_capture, dose, blank_uids),
    *(in_an_archive, padded),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_series_is_what_it_is_however_it_is_written(tmp_path, kind, seed):
    kind(drawn(1000 * seed + KINDS.index(kind)), tmp_path / "s")


def frames_of(case, ks, **says):
    places = [case.affine[:3, 3] + k * case.affine[:3, 2] for k in ks]
    return [(case.stored[:, :, k], {"position": p, **says}) for k, p in zip(ks, places, strict=True)]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("by", ["time", "stack"])
def test_volumes_in_one_file_of_frames_are_offered_apart(tmp_path, seed, by):
    """Frames in any order, each with its own rescaling; one of them missing is seen in each volume."""
    case = drawn(seed)
    case.spec = replace(case.spec, sop_class=ENHANCED_MR, modality="MR", slope=1, intercept=0)
    other = replace(case, stored=np.ascontiguousarray(case.stored[::-1]))
    frames = [
        frame
        for number, part in enumerate((case, other), 1)
        for frame in frames_of(
            part, range(7), slope=number, intercept=-number, **{by: number if by == "time" else str(number)}
        )
    ]
    frames = [frames[n] for n in case.rng.permutation(len(frames))]
    path = write_enhanced(tmp_path / "e.dcm", frames, case.affine, case.spec)
    assert reason(path) == "several_series"
    for number, part in enumerate((case, other), 1):
        image = next(
            found
            for found in (read_image(path, series=n) for n in "12")
            if np.array_equal(found.voxels, part.stored * float(number) - number)
        )
        np.testing.assert_allclose(image.grid.affine, case.affine, atol=2e-4)
    write_enhanced(path, frames_of(case, [0, 1, 2, 4, 5, 6]), case.affine, case.spec)
    assert reason(path) == "missing_slice"


def squares(mask, affine):
    """A contour around each voxel."""
    corners = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)])
    return [in_patient(affine, corners + (i, j), k) for i, j, k in np.argwhere(mask)]


def outlines(mask, affine):
    """A contour around each run of voxels along a row."""
    found = []
    for j, k in itertools.product(range(mask.shape[1]), range(mask.shape[2])):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], mask[:, j, k].astype(int), [0]])))
        for a, b in edges.reshape(-1, 2) - 0.5:
            found.append(in_patient(affine, [(a, j - 0.5), (b, j - 0.5), (b, j + 0.5), (a, j + 0.5)], k))
    return found


def as_nifti(path, mask, affine):
    nib.save(nib.Nifti1Image(mask.astype(np.uint8), RAS @ affine), path)
    return path


def as_nrrd(path, mask, affine):
    """By SimpleITK where it can say the lattice; by hand on a sheared one."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image = sitk.GetImageFromArray(mask.T.astype(np.uint8))
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    try:
        image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
        sitk.WriteImage(image, str(path))
    except RuntimeError:
        steps = " ".join(f"({','.join(map(repr, map(float, column)))})" for column in affine[:3, :3].T)
        origin = ",".join(map(repr, map(float, affine[:3, 3])))
        head = (
            "NRRD0004\ntype: uchar\ndimension: 3\nspace: LPS\n"
            f"sizes: {' '.join(map(str, mask.shape))}\nspace directions: {steps}\n"
            f"kinds: domain domain domain\nencoding: gzip\nspace origin: ({origin})\n\n"
        )
        path.write_bytes(head.encode() + gzip.compress(mask.astype(np.uint8).tobytes(order="F")))
    return path


def as_slices(folder, mask, affine):
    spec = SeriesSpec(series="1.2.77", bits_stored=8, slope=None)
    write_slices(folder, mask.astype(np.uint8) * 255, affine, spec)
    return folder


WAYS = {
    "SEG": lambda at, mask, affine: write_seg(at / "m.dcm", {1: mask}, affine, SegSpec(names={1: "m"})),
    "label map": lambda at, mask, affine: write_seg(
        at / "m.dcm", {1: mask}, affine, SegSpec("LABELMAP", {1: "m"})
    ),
    "RTSTRUCT": lambda at, mask, affine: write_rtstruct(at / "m.dcm", [RoiSpec("m", outlines(mask, affine))]),
    "RTSTRUCT of squares": lambda at, mask, affine: write_rtstruct(
        at / "m.dcm", [RoiSpec("m", squares(mask, affine))]
    ),
    "NIfTI": lambda at, mask, affine: as_nifti(at / "m.nii.gz", mask, affine),
    "NRRD": lambda at, mask, affine: as_nrrd(at / "m.nrrd", mask, affine),
    "seg.nrrd": lambda at, mask, affine: write_segnrrd(
        at / "m.seg.nrrd", [mask.astype(np.uint8)], affine, keys(("m", 1, 0))
    ),
    "slices": lambda at, mask, affine: as_slices(at / "m", mask, affine),
}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_mask_is_the_same_in_every_format(tmp_path, seed):
    """Written in every way on one random lattice, tilted ones too, and put onto the scan's grid."""
    rng = np.random.default_rng(seed)
    affine = drawn(seed).affine
    mask = rng.random((*rng.integers(3, 11, 2), 6)) < 0.4
    mask[0, 0, 0] = mask[-1, -1, -1] = True
    grid = Grid(mask.shape, affine, "1.2.3.9")
    for name, write in WAYS.items():
        place = tmp_path / name
        place.mkdir()
        read = read_mask(write(place, mask, affine), grid=grid)
        np.testing.assert_array_equal(read.voxels, mask, err_msg=name)
        assert read.ml == pytest.approx(mask.sum() * abs(np.linalg.det(affine[:3, :3])) / 1000), name
        assert {c.code for c in read.caveats} <= {"moved_by_whole_voxels", "no_frame_of_reference"}, name
