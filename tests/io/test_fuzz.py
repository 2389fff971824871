"""Damaged files: a right volume, a caveat or an FlrError; never anything else, never for long."""

from __future__ import annotations

import gzip
import os
import random
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flr_volumetry.errors import FlrError
from flr_volumetry.io import inspect, read_image, read_masks
from tests.io.bounds import Bounds
from tests.io.dicom_files import SeriesSpec, write_enhanced, write_slices
from tests.io.geometry import AFFINES, values
from tests.io.test_nrrd_metaimage import MHA, NRRD

EXAMPLES = int(os.environ.get("FLR_FUZZ_EXAMPLES", "80"))
SINGLY, BATCH = 60, 50
REAL_EXAMPLES = max(10, EXAMPLES // 40)
"""Real files are larger, and there are many kinds of them."""
SAMPLE = Path(__file__).resolve().parents[2] / "sample_data"
REAL = [
    *("seg_labelmap_sparse_ppv5", "ct_160_slices_missing", "ct_descending_multi_acq", "ct_two_scouts"),
    *("nrrd_slicer_seg_overlapping", "mr_rescale_varies_per_slice", "seg_not_byte_aligned_23x38"),
    *("mr_oblique_reversed_hitachi", "enh_mr_emri_small", "mr_sagittal_rle", "mr_sagittal_jpegls"),
    *("seg_with_sr_volume", "seg_partial_overlaps", "charset_names", "rts_malformed_contour"),
    *("enh_mr_philips_fmri_4d", "nii_no_orientation_codes"),
]
"""The small ones of the awkward files, one of each kind of thing."""
FEW = 6
NAMES = ["a", "a.nii", "a.nii.gz", "a.nrrd", "a.mha", "a.zip"]
STARTS = [b"", b"\0" * 128 + b"DICM", b"\x08\0\x05\0", b"NRRD0004\n", b"\x1f\x8b\x08\0", b"NDims = 3\n"]


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    """One small, sound file or series of each kind, by name: a list of (file name, bytes)."""
    root = tmp_path_factory.mktemp("seeds")
    found = {}
    for name, syntax in {
        "explicit": "1.2.840.10008.1.2.1",
        "implicit": "1.2.840.10008.1.2",
        "big": "1.2.840.10008.1.2.2",
        "deflated": "1.2.840.10008.1.2.1.99",
        "rle": "1.2.840.10008.1.2.5",
        "jpegls": "1.2.840.10008.1.2.4.80",
    }.items():
        paths = write_slices(root / name, values((8, 9, 3)), AFFINES["axial"], SeriesSpec(syntax=syntax))
        found[name] = [(path.name, path.read_bytes()) for path in paths]
    stored = values((8, 9, 3), np.uint16, low=0, high=99)
    frames = [(stored[:, :, k], {"position": (0, 0, k), "time": 1}) for k in range(3)]
    found["enhanced"] = [("e.dcm", write_enhanced(root / "e.dcm", frames, AFFINES["axial"]).read_bytes())]
    image = nib.Nifti1Image(values((8, 9, 3)) % 3, np.eye(4))
    nib.save(image, root / "a.nii")
    raw = (root / "a.nii").read_bytes()
    nib.save(nib.Nifti2Image(values((8, 9, 3)), np.eye(4)), root / "b.nii")
    found["nifti"] = [("a.nii", raw)]
    found["nifti2"] = [("b.nii", (root / "b.nii").read_bytes())]
    found["nifti gz"] = [("a.nii.gz", gzip.compress(raw))]
    data = values().tobytes(order="F")
    found["nrrd"] = [("a.nrrd", NRRD.format(space="LPS", endian="little", encoding="raw").encode() + data)]
    found["mha"] = [("a.mha", MHA.format(msb="False", packed="False").encode() + data)]
    return found


KINDS = ["flip", "ones", "cut", "drop", "repeat", "swap", "drop tag", "swap tags"]


@st.composite
def damages(draw):
    """What to do to a file: (operation, where as a fraction, amount)."""
    # Half of the damage falls into the first part of the file, where the header is.
    where = st.one_of(st.floats(0, 1), st.floats(0, 0.6).map(lambda x: x * x))
    return draw(
        st.lists(st.tuples(st.sampled_from(KINDS), where, st.integers(1, 255)), min_size=1, max_size=4)
    )


def drawn_damages(rng):
    """The same, drawn without hypothesis, whose drawing takes longer than the reading."""

    def where():
        return rng.random() if rng.random() < 0.5 else (0.6 * rng.random()) ** 2

    return [(rng.choice(KINDS), where(), rng.randint(1, 255)) for _ in range(rng.randint(1, 4))]


def elements_in(data):
    """Where the elements of an explicit little endian data set begin and end, as far as that is plain."""
    pos, found = 132 if data[128:132] == b"DICM" else len(data), []
    while pos + 12 <= len(data) and data[pos + 4 : pos + 6].isalpha():
        (length,), head = struct.unpack_from("<H", data, pos + 6), 8
        if bytes(data[pos + 4 : pos + 6]) in {b"OB", b"OW", b"SQ", b"UN", b"UT"}:
            (length,), head = struct.unpack_from("<I", data, pos + 8), 12
        if pos + head + length > len(data):
            break
        found.append((pos, pos + head + length))
        pos += head + length
    return found


def _damage_tags(out, kind, where, amount):
    """Leave out one element, or give two elements each other's tag."""
    found = elements_in(out)
    if not found:
        return
    start, end = found[int(where * (len(found) - 1))]
    if kind == "drop tag":
        del out[start:end]
        return
    other = found[amount % len(found)][0]
    out[start : start + 4], out[other : other + 4] = out[other : other + 4], out[start : start + 4]


def apply(data: bytes, steps) -> bytes:
    out = bytearray(data)
    for kind, where, amount in steps:
        at = int(where * max(len(out) - 1, 0))
        if not out:
            break
        if kind in {"drop tag", "swap tags"}:
            _damage_tags(out, kind, where, amount)
        elif kind == "flip":
            out[at] ^= amount
        elif kind == "ones":
            out[at : at + 4] = b"\xff" * len(out[at : at + 4])
        elif kind == "cut":
            del out[at:]
        elif kind == "drop":
            del out[at : at + amount]
        elif kind == "repeat":
            out[at:at] = out[at : at + amount]
        else:
            out[at : at + 2] = out[at : at + 2][::-1]
    return bytes(out)


def fuzzed(hold, number, examples):
    """Call ``hold(n, steps)`` with a number below `number` and damages, so many times.

    Hypothesis draws a few inputs itself and makes them small where they fail, and the seeds of
    whole batches. They are the same each time, unless a number of examples is set.
    """
    settled = settings(
        deadline=None,
        database=None,
        derandomize="FLR_FUZZ_EXAMPLES" not in os.environ,
        suppress_health_check=list(HealthCheck),
    )
    singly = min(examples, SINGLY)

    @settings(settled, max_examples=singly)
    @given(n=st.integers(0, number - 1), steps=damages())
    def one(n, steps):
        hold(n, steps)

    @settings(settled, max_examples=-(-(examples - singly) // BATCH) or 1)
    @given(seed=st.integers(0, 1 << 30))
    def batch(seed):
        rng = random.Random(seed)
        for _ in range(BATCH):
            hold(rng.randrange(number), drawn_damages(rng))

    one()
    if examples > singly:
        batch()


def readers(folder):
    """All ways to read a folder."""
    return (lambda: read_image(folder), lambda: read_masks(folder, threshold=0.5), lambda: inspect(folder))


def damaged_again_and_again(files, folder, kind, examples=EXAMPLES):
    """Damage one of several files, read them all, and hold that to the bounds; many times."""
    bounds = Bounds(kind)
    size = sum(len(data) for _, data in files)

    def hold(number, steps):
        for index, (name, data) in enumerate(files):
            (folder / name).write_bytes(apply(data, steps) if index == number else data)
        bounds.hold(size, *readers(folder))

    try:
        fuzzed(hold, len(files), examples)
    finally:
        bounds.close()


@pytest.mark.parametrize(
    "kind",
    ["explicit", "implicit", "big", "deflated", "rle", "jpegls", "enhanced"]
    + ["nifti", "nifti2", "nifti gz", "nrrd", "mha"],
)
def test_a_damaged_file_is_refused_or_read_but_nothing_else(seeds, tmp_path_factory, kind):
    damaged_again_and_again(seeds[kind], tmp_path_factory.mktemp("fuzz"), kind)


def test_a_damaged_sample_is_refused_or_read_but_nothing_else(tmp_path_factory):
    """Three slices and a mask of the bundled patient."""
    paths = [*sorted((SAMPLE / "ct").iterdir())[40:43], SAMPLE / "masks" / "tumour1.nii.gz"]
    files = [(path.name, path.read_bytes()) for path in paths]
    damaged_again_and_again(files, tmp_path_factory.mktemp("fuzz"), "sample", REAL_EXAMPLES)


@pytest.mark.parametrize("case", REAL)
def test_a_damaged_awkward_file_is_refused_or_read_but_nothing_else(real_data, tmp_path_factory, case):
    """Files that scanners and programs wrote, which are awkward before any damage."""
    paths = sorted(p for p in (real_data / "torture" / case).rglob("*") if p.is_file())
    folder = tmp_path_factory.mktemp("fuzz")
    files = [(f"{n}{path.suffix}", path.read_bytes()) for n, path in enumerate(paths[:FEW])]
    damaged_again_and_again(files, folder, case, REAL_EXAMPLES)


@given(data=st.binary(max_size=400), name=st.sampled_from(NAMES))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("start", STARTS)
def test_noise_is_refused(tmp_path, start, data, name):
    path = tmp_path / name
    path.write_bytes(start + data)

    with pytest.raises(FlrError):
        read_image(path)


def test_a_header_that_claims_more_than_its_file_allocates_nothing(tmp_path):
    """32767 cubed voxels in a file of a kilobyte are refused before memory is asked for."""
    image = nib.Nifti1Image(values((8, 9, 3)), np.eye(4))
    nib.save(image, tmp_path / "a.nii.gz")
    raw = bytearray(gzip.decompress((tmp_path / "a.nii.gz").read_bytes()))
    raw[42:48] = np.array([0x7FFF] * 3, "<i2").tobytes()
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(bytes(raw)))

    with pytest.raises(FlrError) as caught:
        read_image(tmp_path / "a.nii.gz")
    assert caught.value.reason == "truncated"
