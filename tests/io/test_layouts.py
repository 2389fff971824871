"""Headers that are recognised instead of walked give exactly what a walk gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from flr_volumetry.errors import FlrError
from flr_volumetry.io import scan
from flr_volumetry.io.dicom.header import read_header
from flr_volumetry.io.dicom.layouts import Layouts
from flr_volumetry.io.files import stored
from tests.io.dicom_files import SeriesSpec, write_slices
from tests.io.geometry import AFFINES, values
from tests.io.test_fuzz import apply, damages

SYNTAXES = {
    "explicit": "1.2.840.10008.1.2.1",
    "implicit": "1.2.840.10008.1.2",
    "big": "1.2.840.10008.1.2.2",
    "deflated": "1.2.840.10008.1.2.1.99",
    "rle": "1.2.840.10008.1.2.5",
}


def strange(ds, k):
    """Attributes of several lengths, and sequences of both forms, as scanners write them."""
    ds.SliceLocation, ds.KVP, ds.PatientComments = str(0.5 * k), "120", "x" * (3 * (k % 3))
    item = Dataset()
    item.ReferencedSOPInstanceUID = f"1.2.3.{k}"
    ds.ReferencedImageSequence = Sequence([item, item])
    ds.ReferencedImageSequence.is_undefined_length = k % 2 == 0
    item.is_undefined_length_sequence_item = k % 2 == 0
    ds.add_new(0x00091001, "OB", bytes(range(16)))


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    root = tmp_path_factory.mktemp("layouts")
    found = {}
    for name, syntax in SYNTAXES.items():
        spec = SeriesSpec(syntax=syntax, edit=strange)
        paths = write_slices(root / name, values((5, 4, 12)), AFFINES["oblique"], spec)
        found[name] = [(path, path.read_bytes()) for path in paths]
    return found


@pytest.fixture(scope="module")
def known(series):
    """The layouts of each series."""
    found = {name: Layouts() for name in series}
    for name, files in series.items():
        for path, _ in files:
            outcome(path, found[name])
    return found


def outcome(path, layouts):
    try:
        header = read_header(stored(path), layouts=layouts)
    except FlrError as error:
        return str(error)
    if header is None:
        return None
    return (
        header.attributes,
        header.syntax,
        header.pixel_offset,
        header.pixel_length,
        header.complete,
        header.pixel_vr,
    )


@pytest.mark.parametrize("name", SYNTAXES)
def test_recognised_headers_are_as_walked(series, name):
    layouts = Layouts()
    for path, _ in series[name] * 2:
        assert outcome(path, layouts) == outcome(path, None)
    assert (layouts._hits >= len(series[name])) is (name != "deflated")


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(name=st.sampled_from(sorted(SYNTAXES)), number=st.integers(0, 11), steps=damages())
def test_damaged_headers_are_as_walked(series, known, tmp_path_factory, name, number, steps):
    """A damaged file is never taken for one that it only resembles."""
    path = tmp_path_factory.getbasetemp() / "damaged.dcm"
    layouts = known[name]
    path.write_bytes(apply(series[name][number][1], steps))
    assert outcome(path, layouts) == outcome(path, None)


@pytest.mark.parametrize("kept", [[], ["Rows"], ["Rows", "Columns"]])
def test_headers_of_few_values(tmp_path, kept):
    def edit(ds, k):
        for element in list(ds):
            if element.keyword not in {"PixelData", *kept}:
                del ds[element.tag]

    layouts = Layouts()
    for path in write_slices(tmp_path, values((2, 2, 3)), AFFINES["axial"], SeriesSpec(edit=edit)):
        assert outcome(path, layouts) == outcome(path, None)
    assert (layouts._hits > 0) is (len(kept) > 1)


def test_what_is_not_alike_is_not_remembered_for_ever(tmp_path):
    """Headers that never repeat cost little more than a walk: only some of them are remembered."""

    def edit(ds, k):
        ds.PatientComments = "x" * (2 * k)

    write_slices(tmp_path, np.zeros((2, 2, 120), np.int16), AFFINES["axial"], SeriesSpec(edit=edit))
    layouts = Layouts()
    for path in sorted(tmp_path.iterdir()):
        assert outcome(path, layouts) == outcome(path, None)
    assert layouts._hits == 0
    assert len(layouts._ends) <= 32
    assert len(scan(tmp_path).images()) == 1
