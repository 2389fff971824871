"""3D Slicer's .seg.nrrd: segments by name and layer, never by label alone."""

from __future__ import annotations

import numpy as np
import pytest

from flr_volumetry.errors import FlrError
from flr_volumetry.images import Grid
from flr_volumetry.io import inspect, read_label_map, read_mask, read_masks
from tests.io.geometry import AFFINES
from tests.io.mask_files import write_segnrrd

SHAPE = (7, 6, 5)
TAGS = "|".join(
    [
        "Segmentation.Status:inprogress",
        "TerminologyEntry:Segmentation category and type - 3D Slicer General Anatomy list"
        "~SCT^123037004^Anatomical Structure~SCT^10200004^Liver~SCT^24028007^Right"
        "~Anatomic codes - DICOM master list~SCT^818981001^Abdomen~^^",
        "",
    ]
)


def layers():
    rng = np.random.default_rng(4)
    return [rng.integers(0, 3, SHAPE).astype(np.uint8), rng.integers(0, 2, SHAPE).astype(np.uint8)]


def keys(*segments):
    found = {}
    for n, (name, value, layer) in enumerate(segments):
        said = {
            "ID": f"Segment_{n + 1}",
            "Name": name,
            "LabelValue": value,
            "Layer": layer,
            "Extent": "0 1 0 1 0 1",
        }
        found |= {f"Segment{n}_{key}": str(text) for key, text in said.items() if text is not None}
    return found


TWO = keys(("Liver", 1, 0), ("Tumor 1", 2, 0), ("Remnant", 1, 1))


def reason(*arguments, read=read_masks, **options):
    with pytest.raises(FlrError) as caught:
        read(*arguments, **options)
    return caught.value.reason


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
@pytest.mark.parametrize("space", ["left-posterior-superior", "right-anterior-superior"])
def test_one_value_in_two_layers_is_two_segments(tmp_path, affine, space):
    first, second = layers()
    path = write_segnrrd(tmp_path / "s.seg.nrrd", [first, second], affine, TWO, space=space)

    read = read_masks(path)

    for name, expected in {"Liver": first == 1, "Tumor 1": first == 2, "Remnant": second == 1}.items():
        np.testing.assert_array_equal(read[name].voxels, expected)
        assert read[name].grid.matches(Grid(SHAPE, affine))
        assert read[name].voxels.flags.f_contiguous
        assert read[name].caveats == ()
    assert list(read) == ["Liver", "Tumor 1", "Remnant"]


def test_one_layer_needs_no_list_axis(tmp_path):
    first, _ = layers()
    path = write_segnrrd(
        tmp_path / "s.seg.nrrd", [first], AFFINES["oblique"], keys(("A", 2, 0), ("B", 1, None))
    )

    read = read_masks(path)

    np.testing.assert_array_equal(read["A"].voxels, first == 2)
    np.testing.assert_array_equal(read["B"].voxels, first == 1)
    np.testing.assert_array_equal(read_mask(path, segment="b").voxels, first == 1)
    np.testing.assert_array_equal(read_mask(path, labels=2).voxels, first == 1)
    np.testing.assert_array_equal(read_label_map(path).voxels, np.array([0, 2, 1])[first])


def test_values_that_no_segment_declares_are_said(tmp_path):
    first, _ = layers()
    path = write_segnrrd(tmp_path / "s.seg.nrrd", [first], AFFINES["axial"], keys(("Liver", 1, 0)))
    (caveat,) = read_masks(path)["Liver"].caveats

    assert caveat.code == "undeclared_label"
    assert f"2 ({np.count_nonzero(first == 2)} voxels)" in caveat.message


def test_older_files_have_a_layer_for_each_segment(tmp_path):
    _, second = layers()
    old = {"Segment0_Name": "Liver", "Segment0_ID": "a", "Segment1_ID": "Tumor"}
    path = write_segnrrd(tmp_path / "s.seg.nrrd", [second, 1 - second], AFFINES["axial"], old)

    read = read_masks(path)

    np.testing.assert_array_equal(read["Liver"].voxels, second == 1)
    np.testing.assert_array_equal(read["Tumor"].voxels, second == 0)


def test_terminology_gives_codes(tmp_path):
    said = keys(("my mask", 1, 0), ("other", 2, 0)) | {"Segment0_Tags": TAGS}
    path = write_segnrrd(tmp_path / "s.seg.nrrd", [layers()[0]], AFFINES["axial"], said)
    (item,) = inspect(path).to_json()["items"]

    assert [s["code"] for s in item["segments"]] == ["SCT:10200004", None]
    assert item["kind"] == "masks"
    np.testing.assert_array_equal(read_mask(path, segment="SCT:10200004").voxels, layers()[0] == 1)


@pytest.mark.parametrize(
    "said",
    [
        keys(("A", 1, 0), ("B", 1, 0)),
        keys(("A", 1, 2)),
        keys(("A", 1, -1)),
        keys(("A", 0, 0)),
        keys(("A", "x", 0)),
        keys(("A", None, None), ("B", 2, 0), ("C", 1, 1)),
    ],
)
def test_keys_that_contradict_the_voxels_are_refused(tmp_path, said):
    path = write_segnrrd(tmp_path / "s.seg.nrrd", layers(), AFFINES["axial"], said)

    assert reason(path) == "inconsistent_segments"
    (item,) = inspect(path).to_json()["items"]
    assert item["status"] == "refused"


def test_voxels_that_are_no_whole_numbers_name_no_segment(tmp_path):
    first = layers()[0].astype(np.float32)
    whole = write_segnrrd(tmp_path / "a.seg.nrrd", [first], AFFINES["axial"], keys(("A", 1, 0)), kind="float")
    half = write_segnrrd(
        tmp_path / "b.seg.nrrd", [first / 2], AFFINES["axial"], keys(("A", 1, 0)), kind="float"
    )
    below = write_segnrrd(
        *(tmp_path / "c.seg.nrrd", [layers()[0].astype(np.int8) - 1], AFFINES["axial"], keys(("A", 1, 0))),
        kind="signed char",
    )

    np.testing.assert_array_equal(read_mask(whole).voxels, first == 1)
    assert reason(half) == "not_a_label_map"
    assert reason(below) == "not_a_label_map"


def test_a_wish_that_fits_nothing_is_refused(tmp_path):
    path = write_segnrrd(tmp_path / "s.seg.nrrd", layers(), AFFINES["axial"], TWO)

    assert reason(path, read=read_mask, segment="spleen") == "unknown_segment"
    assert reason(path, read=read_mask) == "several_masks"
    assert reason(path, read=read_label_map) == "overlapping_segments"
