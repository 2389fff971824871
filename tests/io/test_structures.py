"""A patient's liver out of one folder: the shape of the public collections, with their traps."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from flr_volumetry.anatomy import Structure
from flr_volumetry.errors import AmbiguousError, FlrError
from flr_volumetry.images import Grid
from flr_volumetry.io import inspect, read_image, read_label_map, read_masks, read_structures, read_study
from flr_volumetry.io.names import Meaning
from tests.io.dicom_files import SeriesSpec, write_slices
from tests.io.geometry import lattice
from tests.io.mask_files import RoiSpec, SegSpec, write_rtstruct, write_seg, write_segnrrd

SHAPE = (24, 20, 9)
AFFINE = lattice(np.eye(3), (2.0, 2.0, 5.0), (-24, -20, -500))
LIVER = ("SRT", "T-62000", "Liver")
NAMES = {1: "Liver", 2: "Liver Remnant", 3: "Hepatic", 4: "Portal", 5: "Tumor_1", 6: "Tumor_2"}
CODES = {
    1: LIVER,
    2: LIVER,
    3: ("SRT", "T-48720", "Hepatic vein"),
    4: ("SRT", "T-48810", "Portal vein"),
    5: ("SRT", "M-80006", "Neoplasm, metastatic"),
    6: ("SRT", "M-80006", "Neoplasm, metastatic"),
}


def phantom():
    """Masks by segment number: a liver, the part of it that stays, vessels and two lesions."""
    i, j, k = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    liver = ((i - 11) / 9) ** 2 + ((j - 9) / 7) ** 2 + ((k - 4) / 3.4) ** 2 <= 1
    return {
        1: liver,
        2: liver & (i > 12),
        3: liver & (abs(i - 14) < 1.5) & (abs(j - 8) < 1.5),
        4: liver & (abs(j - 11) < 1.5) & (abs(k - 3) < 1.5),
        5: (i - 6) ** 2 + (j - 8) ** 2 + (2 * (k - 4)) ** 2 <= 9,
        6: (i - 16) ** 2 + (j - 12) ** 2 + (2 * (k - 5)) ** 2 <= 4,
    }


def acquisition(number, uids=None):
    def edit(ds, k):
        ds.AcquisitionNumber = number
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.1.1.{number}.{k + 1}"
        ds.InstanceNumber = number * 100 + k

    return edit


def collection(folder, *, refers="2", names=None, codes=None, stray=True):
    """A patient as The Cancer Imaging Archive stores one: two acquisitions at the same places, a SEG."""
    for number in (1, 2):
        voxels = np.full(SHAPE, 100 * number, np.int16, order="F")
        spec = SeriesSpec(edit=acquisition(number), suffix=f"_{number}.dcm")
        write_slices(folder / "CT", voxels, AFFINE, spec)
    masks = phantom()

    def stray_frame(ds):
        """One more frame of the liver, half-way between two slices."""
        from copy import deepcopy

        frames = ds.PerFrameFunctionalGroupsSequence
        extra = deepcopy(frames[0])
        extra.PlanePositionSequence[0].ImagePositionPatient = [
            *(frames[0].PlanePositionSequence[0].ImagePositionPatient[:2]),
            float(frames[0].PlanePositionSequence[0].ImagePositionPatient[2]) + 2.5,
        ]
        extra.SegmentIdentificationSequence[0].ReferencedSegmentNumber = 1
        frames.append(extra)
        bits = np.unpackbits(np.frombuffer(ds.PixelData, np.uint8), bitorder="little")
        size = SHAPE[0] * SHAPE[1]
        bits = bits[: int(ds.NumberOfFrames) * size]
        ds.PixelData = np.packbits(
            np.concatenate([bits, np.ones(size, np.uint8)]), bitorder="little"
        ).tobytes()
        ds.NumberOfFrames = int(ds.NumberOfFrames) + 1

    uids = [f"1.2.3.1.1.{refers[0]}.{k + 1}" for k in range(SHAPE[2])] if refers else []
    uids += [f"1.2.3.1.1.{number}.1" for number in refers[1:]]
    spec = SegSpec(
        names=names or NAMES,
        codes=CODES if codes is None else codes,
        turn=lambda k: "r" if k % 2 else "cr",
        order=np.random.default_rng(1),
        refers_to=("1.2.3.1.1", uids) if refers else None,
        edit=stray_frame if stray else None,
    )
    write_seg(folder / "SEG" / "1-1.dcm", masks, AFFINE, spec)
    return masks


@pytest.mark.parametrize(
    "codes", [CODES, dict.fromkeys(NAMES, LIVER), {}], ids=["coded", "all liver", "uncoded"]
)
def test_a_patient_of_the_collection_loads_with_one_call(tmp_path, codes):
    masks = collection(tmp_path, codes=codes)

    study = read_study(tmp_path)
    found = study.structures

    assert (study.image.voxels == 200).all(), "the acquisition that the segmentation refers to"
    assert study.image.grid.matches(Grid(SHAPE, AFFINE, "1.2.3.9"))
    np.testing.assert_array_equal(found.liver.voxels, masks[1])
    np.testing.assert_array_equal(found.remnant.voxels, masks[2])
    assert [structure for structure, _ in found.vessels] == [Structure.PORTAL_VEIN, Structure.HEPATIC_VEINS]
    np.testing.assert_array_equal(found.get(Structure.HEPATIC_VEINS).voxels, masks[3])
    np.testing.assert_array_equal(found.get(Structure.PORTAL_VEIN).voxels, masks[4])
    assert [lesion.name for lesion in found.lesions] == ["Tumor_1", "Tumor_2"]
    for lesion, number in zip(found.lesions, (5, 6), strict=True):
        np.testing.assert_array_equal(lesion.voxels, masks[number])
    for mask in found.masks.values():
        assert mask.grid.matches(study.image.grid)
    assert found.segments is None
    assert (found.unknown, dict(found.ambiguous), found.caveats) == ((), {}, ())


def test_the_frame_that_meets_no_slice_is_named(tmp_path):
    collection(tmp_path)
    (caveat,) = read_study(tmp_path).structures.liver.caveats

    assert caveat.code == "frames_left_out"
    assert "480 voxels" in caveat.message
    assert read_study(tmp_path).structures.remnant.caveats == ()


def test_the_other_acquisition_is_read_where_the_masks_refer_to_it(tmp_path):
    collection(tmp_path, refers="1")

    assert (read_study(tmp_path).image.voxels == 100).all()
    assert (read_study(tmp_path, series="2").image.voxels == 200).all()


def test_of_two_acquisitions_that_masks_refer_to_the_one_named_more_often_is_read(tmp_path):
    collection(tmp_path, refers="21")

    assert (read_study(tmp_path).image.voxels == 200).all()


def test_masks_that_refer_to_no_image_leave_the_choice_to_the_reader(tmp_path):
    collection(tmp_path, refers="")

    with pytest.raises(AmbiguousError) as caught:
        read_study(tmp_path)
    assert caught.value.reason == "several_series"


def test_frames_that_form_no_volume_alone_are_read_where_their_scan_lies_beside_them(tmp_path):
    masks = collection(tmp_path)

    assert read_masks(tmp_path)["Liver"].count == np.count_nonzero(masks[1])
    entries = [item for item in inspect(tmp_path).to_json()["items"] if item["kind"] == "masks"]
    assert entries[0]["status"] == "ok"
    assert entries[0]["shape"] == list(SHAPE)
    assert [c.code for c in inspect(tmp_path).caveats] == ["frames_left_out"]
    with pytest.raises(FlrError) as caught:
        read_masks(tmp_path / "SEG")
    assert caught.value.reason == "irregular_spacing"


def test_the_masks_alone_are_read_by_name(tmp_path):
    masks = collection(tmp_path, stray=False)
    read = read_masks(tmp_path)

    assert list(read) == list(NAMES.values())
    assert {name: mask.count for name, mask in read.items()} == {
        NAMES[n]: int(np.count_nonzero(mask)) for n, mask in masks.items()
    }
    assert read_structures(tmp_path / "SEG").liver.count == np.count_nonzero(masks[1])


def test_the_phantom_has_its_volumes_through_the_whole_pipeline(tmp_path):
    masks = collection(tmp_path)
    found = read_study(tmp_path).structures

    assert found.liver.ml == pytest.approx(np.count_nonzero(masks[1]) * 0.02)
    assert found.remnant.ml / found.liver.ml == pytest.approx(masks[2].sum() / masks[1].sum())


def test_two_livers_are_never_chosen_between(tmp_path):
    collection(tmp_path, names={**NAMES, 2: "liver mask"})

    with pytest.raises(AmbiguousError) as caught:
        read_study(tmp_path)
    assert caught.value.reason == "ambiguous_name"
    assert "'Liver', 'liver mask'" in caught.value.message


def test_what_cannot_be_told_is_listed_and_said(tmp_path):
    collection(tmp_path, names={**NAMES, 3: "vessels", 4: "spleen"}, codes={1: LIVER})
    found = read_study(tmp_path).structures

    assert found.unknown == ("spleen",)
    assert list(found.ambiguous) == ["vessels"]
    assert [c.code for c in found.caveats] == ["ambiguous_names"]
    assert found.vessels == ()


def nifti(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([-1.0, -1, 1, 1]) @ AFFINE
    image = nib.Nifti1Image(array, affine)
    image.set_sform(affine, 1)
    nib.save(image, path)


def test_a_folder_of_files_is_told_by_their_names(tmp_path):
    """File names of 3D-IRCADb and TotalSegmentator; a scan beside them is no mask."""
    masks = phantom()
    couinaud = np.where(masks[1], 1 + (np.arange(SHAPE[0]) * 8 // SHAPE[0])[:, None, None], 0).astype(
        np.uint8
    )
    names = {1: "liver", 3: "hepatic_veins", 4: "portalvein", 5: "livertumor1", 6: "livertumor2"}
    for number, name in names.items():
        nifti(tmp_path / f"{name}.nii.gz", masks[number].astype(np.uint8))
    nifti(tmp_path / "livertumors.nii.gz", (masks[5] | masks[6]).astype(np.uint8))
    nifti(tmp_path / "couinaud.nii.gz", couinaud)
    nifti(tmp_path / "ct.nii.gz", np.random.default_rng(0).normal(size=SHAPE).astype(np.float32))
    nifti(tmp_path / "venoussystem.nii.gz", masks[3].astype(np.uint8))

    found = read_structures(tmp_path)

    np.testing.assert_array_equal(found.liver.voxels, masks[1])
    np.testing.assert_array_equal(found.segments.voxels, couinaud)
    assert [lesion.name for lesion in found.lesions] == ["livertumor1", "livertumor2"]
    assert set(found.ambiguous) == {"venoussystem", "livertumors"}
    assert found.unknown == ("ct",)


def test_lesions_without_number_are_numbered(tmp_path):
    masks = phantom()
    spec = SegSpec(names={1: "Liver", 5: "Tumor", 6: "Metastasis"})
    write_seg(tmp_path / "s.dcm", {n: masks[n] for n in (1, 5, 6)}, AFFINE, spec)

    found = read_structures(tmp_path, grid=Grid(SHAPE, AFFINE))

    assert [m.number for m in found.masks if m.structure is Structure.LESION] == [1, 2]
    np.testing.assert_array_equal(found.lesions[1].voxels, masks[6])


def test_a_lesion_without_number_beside_numbered_ones_takes_the_next(tmp_path):
    masks = phantom()
    spec = SegSpec(names={1: "Liver", 5: "Tumor_1", 6: "Tumor"})
    write_seg(tmp_path / "s.dcm", {n: masks[n] for n in (1, 5, 6)}, AFFINE, spec)

    found = read_structures(tmp_path, grid=Grid(SHAPE, AFFINE))

    np.testing.assert_array_equal(found.masks[Meaning(Structure.LESION, 2)].voxels, masks[6])
    assert dict(found.ambiguous) == {}


def test_parts_of_a_structure_are_joined_and_a_whole_is_preferred(tmp_path):
    masks = phantom()
    left, right = masks[3].copy(), masks[3].copy()
    left[:14], right[14:] = False, False
    spec = SegSpec(
        names={1: "Liver", 2: "RHV", 3: "left hepatic vein", 4: "portal vein", 5: "left portal vein"}
    )
    parts = {1: masks[1], 2: right, 3: left, 4: masks[4], 5: masks[5]}
    write_seg(tmp_path / "s.dcm", parts, AFFINE, spec)

    found = read_structures(tmp_path, grid=Grid(SHAPE, AFFINE))

    np.testing.assert_array_equal(found.get(Structure.HEPATIC_VEINS).voxels, masks[3])
    np.testing.assert_array_equal(found.get(Structure.PORTAL_VEIN).voxels, masks[4])
    assert set(found.masks) == {
        Meaning(Structure.LIVER),
        Meaning(Structure.HEPATIC_VEINS),
        Meaning(Structure.PORTAL_VEIN),
    }


def test_couinaud_segments_of_any_file_become_one_label_map(tmp_path):
    liver = phantom()[1]
    quarter = np.broadcast_to((np.arange(SHAPE[0]) * 8 // SHAPE[0])[:, None, None], SHAPE)
    masks = {n: liver & (quarter == n - 1) for n in range(1, 9)}
    expected = np.where(liver, quarter + 1, 0)
    codes = [
        "71133005",
        "277956007",
        "277957003",
        "277958008",
        "277959000",
        "277960005",
        "277961009",
        "277962002",
    ]
    spec = SegSpec(codes={n: ("SCT", codes[n - 1], "") for n in masks}, names={n: f"part {n}" for n in masks})
    renumbered = {20 - n: mask for n, mask in masks.items()}
    spec.codes = {20 - n: code for n, code in spec.codes.items()}
    write_seg(tmp_path / "a" / "s.dcm", renumbered, AFFINE, spec)
    keys = {}
    for n in masks:
        keys |= {
            f"Segment{n}_Name": f"liver_segment_{n}",
            f"Segment{n}_LabelValue": str(9 - n),
            f"Segment{n}_Layer": "0",
        }
    write_segnrrd(
        tmp_path / "b" / "s.seg.nrrd", [np.where(liver, 8 - quarter, 0).astype(np.uint8)], AFFINE, keys
    )

    for folder in ("a", "b"):
        found = read_structures(tmp_path / folder, grid=Grid(SHAPE, AFFINE))
        np.testing.assert_array_equal(found.segments.voxels, expected)
        labels = read_label_map(tmp_path / folder, grid=Grid(SHAPE, AFFINE))
        np.testing.assert_array_equal(labels.voxels, expected)


def test_a_structure_set_beside_its_scan_loads_with_one_call(tmp_path):
    write_slices(tmp_path, np.zeros(SHAPE, np.int16, order="F"), AFFINE, SeriesSpec())
    square = np.array([[4.5, 4.5, 0], [12.5, 4.5, 0], [12.5, 9.5, 0], [4.5, 9.5, 0]])

    def at(k, scale=1.0):
        points = (square - square.mean(axis=0)) * scale + square.mean(axis=0) + [0, 0, k]
        return points @ AFFINE[:3, :3].T + AFFINE[:3, 3]

    regions = [
        RoiSpec("Leber", [at(2), at(3)]),
        RoiSpec("Lesion 1", [at(2, 0.5)]),
        RoiSpec("Spinal cord", [at(2)]),
    ]
    write_rtstruct(tmp_path / "r.dcm", regions)

    study = read_study(tmp_path)

    assert study.structures.liver.count == 2 * 8 * 5
    assert len(study.structures.lesions) == 1
    assert study.structures.unknown == ("Spinal cord",)


def test_nothing_of_a_liver_is_refused(tmp_path):
    write_seg(tmp_path / "s.dcm", {1: phantom()[1]}, AFFINE, SegSpec(names={1: "spleen"}))
    with pytest.raises(FlrError) as caught:
        read_structures(tmp_path)
    assert caught.value.reason == "no_masks"
    assert "spleen" in caught.value.message
    write_seg(tmp_path / "s.dcm", {1: phantom()[1]}, AFFINE, SegSpec(names={1: "vessels"}))
    with pytest.raises(AmbiguousError):
        read_structures(tmp_path)


def test_ircad17_is_read_with_one_call_and_told_by_its_folders(real_data):
    study = read_study(real_data / "ircad17")
    found = study.structures

    assert study.image.grid.matches(read_image(real_data / "ircad17" / "PATIENT_DICOM").grid)
    assert round(found.liver.ml, 1) == 1860.6
    assert [round(lesion.ml, 1) for lesion in found.lesions] == [85.6, 78.6]
    assert round(found.get(Structure.PORTAL_VEIN).ml, 1) == 47.5
    assert list(found.ambiguous) == ["venoussystem"]
