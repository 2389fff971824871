"""Damaged files: a right volume, a caveat or an FlrError; never anything else, never for long."""

from __future__ import annotations

import contextlib
import gzip
import os
import resource
import time
import warnings

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flr_volumetry.errors import FlrError
from flr_volumetry.io import inspect, read_image, read_masks
from tests.io.dicom_files import SeriesSpec, write_enhanced, write_slices
from tests.io.geometry import AFFINES, values
from tests.io.test_nrrd_metaimage import MHA, NRRD

MAX_SECONDS = 10
EXAMPLES = int(os.environ.get("FLR_FUZZ_EXAMPLES", "120"))
MAX_GROWTH_KB = 500 * 1024
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


@st.composite
def damages(draw):
    """What to do to a file: (operation, where as a fraction, amount)."""
    kinds = st.sampled_from(["flip", "ones", "cut", "drop", "repeat", "swap"])
    # Half of the damage falls into the first part of the file, where the header is.
    where = st.one_of(st.floats(0, 1), st.floats(0, 0.6).map(lambda x: x * x))
    return draw(st.lists(st.tuples(kinds, where, st.integers(1, 255)), min_size=1, max_size=4))


def apply(data: bytes, steps) -> bytes:
    out = bytearray(data)
    for kind, where, amount in steps:
        at = int(where * max(len(out) - 1, 0))
        if not out:
            break
        if kind == "flip":
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


@pytest.mark.parametrize(
    "kind",
    ["explicit", "implicit", "big", "deflated", "rle", "jpegls", "enhanced"]
    + ["nifti", "nifti2", "nifti gz", "nrrd", "mha"],
)
def test_a_damaged_file_is_refused_or_read_but_nothing_else(seeds, tmp_path_factory, kind):
    folder = tmp_path_factory.mktemp("fuzz")
    files = seeds[kind]

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize="FLR_FUZZ_EXAMPLES" not in os.environ,
        suppress_health_check=list(HealthCheck),
    )
    @given(number=st.integers(0, len(files) - 1), steps=damages())
    def run(number, steps):
        for index, (name, data) in enumerate(files):
            (folder / name).write_bytes(apply(data, steps) if index == number else data)
        began = time.monotonic()
        for read in (read_image, read_masks, inspect):
            with contextlib.suppress(FlrError):
                read(folder)
        assert time.monotonic() - began < MAX_SECONDS

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MAX_GROWTH_KB


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
