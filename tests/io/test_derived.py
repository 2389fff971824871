"""DICOM objects made of a scan: on every grid, of single and multi-frame images, or refused."""

from __future__ import annotations

import shutil
import subprocess

import highdicom as hd
import numpy as np
import pydicom
import pytest

from flr_volumetry.errors import OutputError
from flr_volumetry.io import read_image, read_masks, write_image
from flr_volumetry.io.derived import (
    Amount,
    Coded,
    Group,
    Identity,
    Picture,
    SegmentToWrite,
    deidentified,
    document_object,
    measurement_report,
    measurements,
    picture_objects,
    segment_object,
    source_scan,
    tracking_uid,
)
from flr_volumetry.io.derived.segments import (
    ABNORMAL,
    ANATOMY,
    LESION,
    LIVER,
    Maker,
    SeriesWords,
    as_file,
)
from tests.io.dicom_files import SeriesSpec, write_enhanced, write_slices
from tests.io.geometry import AFFINES

MAKER = Maker("flr_volumetry", "1.0", Coded("123104", "DCM", "Morphological Operations"), automatic=False)
WORDS = SeriesWords(1, "Test", "TEST")
SEGMENTS = (
    SegmentToWrite("Liver", ANATOMY, LIVER, (221, 130, 101)),
    SegmentToWrite("Lesion 1", ABNORMAL, LESION, (253, 226, 67), None, LIVER, "Lesion 1", "2.25.17"),
)
START = (3, 2, 1)
CM3 = Coded("cm3", "UCUM", "cubic centimeter")
VOLUME = Coded("118565006", "SCT", "Volume")
SHAPE = (24, 20, 9)


def labels():
    """Two segments that do not overlap, in a box of the scan."""
    made = np.zeros((15, 12, 6), dtype=np.uint8)
    made[2:12, 1:9, 1:5] = 1
    made[4:7, 3:6, 2:4] = 2
    return made


def whole():
    """The same on the whole scan."""
    made = np.zeros(SHAPE, dtype=np.uint8)
    i, j, k = START
    box = labels()
    made[i : i + box.shape[0], j : j + box.shape[1], k : k + box.shape[2]] = box
    return made


def affine_of(name):
    return AFFINES[name]


def values():
    return np.random.default_rng(3).integers(-100, 200, SHAPE).astype(np.int16)


@pytest.fixture(params=AFFINES)
def scan(request, tmp_path):
    """A series on one of the five grids, the tilted gantry among them."""
    write_slices(tmp_path / "ct", values(), affine_of(request.param))
    return read_image(tmp_path / "ct")


def enhanced(path):
    """One file of many frames, its frames not in the order of the slices."""
    affine = affine_of("oblique")
    order = [4, 0, 8, 2, 6, 1, 7, 3, 5]
    frames = [(values()[..., k], {"position": affine[:3, 3] + k * affine[:3, 2]}) for k in order]
    write_enhanced(path, frames, affine)
    return read_image(path)


def made_of(image, identity=None):
    source = source_scan(image.source, image.grid)
    if identity is not None:
        source = deidentified(source, identity)
    return source, segment_object(source, labels(), START, SEGMENTS, maker=MAKER, words=WORDS)


def read_back(image, segmentation, path):
    path.write_bytes(segmentation.content())
    found = list(read_masks(path, grid=image.grid).values())
    assert [(m.voxels == (whole() == n)).all() for n, m in enumerate(found, start=1)] == [True, True]


def reported(source, segmentation):
    group = Group(
        "Lesion 1",
        "2.25.17",
        LESION,
        (Amount(VOLUME, 12.5, CM3, (10.0, 16.0)),),
        segment=(segmentation, 2),
        comment="Ein Text mit Ümlaut",
    )
    return measurement_report(source, [group], maker=MAKER, words=WORDS)


def test_segments_are_read_back_to_the_voxel_on_every_grid(scan, tmp_path):
    """By our own reader and, on grids without shear, by highdicom's geometry."""
    source, segmentation = made_of(scan)
    assert segmentation.voxels == (int((labels() == 1).sum()), int((labels() == 2).sum()))
    read_back(scan, segmentation, tmp_path / "seg.dcm")
    made = hd.seg.segread(tmp_path / "seg.dcm")
    assert made.SegmentationType == "BINARY"
    assert made.NumberOfFrames == 4 + 2
    assert made.StudyInstanceUID == source.first.StudyInstanceUID
    assert made.FrameOfReferenceUID == scan.grid.frame_of_reference_uid
    assert made.get_segment_description(2).tracking_uid == "2.25.17"
    for frame in made.PerFrameFunctionalGroupsSequence:
        referred = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        image = next(one for one in source.images if one.SOPInstanceUID == referred)
        assert list(frame.PlanePositionSequence[0].ImagePositionPatient) == list(image.ImagePositionPatient)
    if scan.grid.is_orthogonal:
        volume = made.get_volume(combine_segments=True, skip_overlap_checks=True)
        assert np.abs(np.linalg.det(volume.affine[:3, :3])) == pytest.approx(scan.grid.voxel_mm3, rel=1e-4)
        assert int((volume.array == 2).sum()) == int((labels() == 2).sum())


def test_an_enhanced_scan_keeps_each_frame_with_its_own(tmp_path):
    image = enhanced(tmp_path / "mr" / "enhanced.dcm")
    source, segmentation = made_of(image)
    assert sorted(source.frames) == list(range(9))
    assert source.frames != tuple(range(9))
    read_back(image, segmentation, tmp_path / "seg.dcm")
    report = reported(source, segmentation)
    items = report.ContentSequence[-1].ContentSequence[0].ContentSequence
    images = [
        i for i in items if i.ValueType == "IMAGE" and i.ReferencedSOPSequence[0].get("ReferencedFrameNumber")
    ]
    frames = images[-1].ReferencedSOPSequence[0].ReferencedFrameNumber
    assert sorted(frames) == sorted(source.frames[n] + 1 for n in (3, 4))


def test_a_report_refers_to_segment_and_images_and_gives_numbers_back(scan, tmp_path):
    source, segmentation = made_of(scan)
    path = tmp_path / "sr.dcm"
    path.write_bytes(as_file(reported(source, segmentation)))
    made = hd.sr.srread(path)
    (group,) = made.content.get_volumetric_roi_measurement_groups(tracking_uid="2.25.17")
    assert group.referenced_segment.referenced_sop_instance_uid == segmentation.dataset.SOPInstanceUID
    assert group.referenced_segment[0].referenced_segment_numbers == [2]
    (volume,) = group.get_measurements(name=VOLUME.concept())
    assert volume.value == 12.5
    assert volume.unit.value == "cm3"
    uncertainty = [float(item.MeasuredValueSequence[0].NumericValue) for item in volume[0].ContentSequence]
    assert uncertainty == [3.5, 2.5]
    referred = {i[2] for i in made.get_evidence()}
    assert segmentation.dataset.SOPInstanceUID in referred
    assert {source.images[n].SOPInstanceUID for n in (3, 4)} <= referred
    assert "Ümlaut".encode() in path.read_bytes()


def test_what_lies_on_many_images_refers_to_their_series(tmp_path, monkeypatch):
    """The evidence lists the images all the same."""
    monkeypatch.setattr(measurements, "MOST_IMAGES", 1)
    write_slices(tmp_path / "ct", values(), affine_of("axial"))
    source, segmentation = made_of(read_image(tmp_path / "ct"))
    (tmp_path / "sr.dcm").write_bytes(as_file(reported(source, segmentation)))
    made = hd.sr.srread(tmp_path / "sr.dcm")
    (group,) = made.content.get_volumetric_roi_measurement_groups(tracking_uid="2.25.17")
    assert not group.referenced_segment.has_source_images()
    assert [i.UID for i in group.referenced_segment if i.ValueType == "UIDREF"] == [
        source.first.SeriesInstanceUID
    ]
    referred = {i[2] for i in made.get_evidence()}
    assert {source.images[n].SOPInstanceUID for n in (3, 4)} <= referred
    validated([tmp_path / "sr.dcm"], "dciodvfy")


def png():
    from io import BytesIO

    from PIL import Image

    buffer = BytesIO()
    pixels = np.random.default_rng(1).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue(), pixels


def everything(image, identity=None):
    source, segmentation = made_of(image, identity)
    picture, pixels = png()
    pdf = b"%PDF-1.7\n%%EOF\n\n"
    captures = picture_objects(
        source, [Picture("One", picture), Picture("Two", picture)], maker=MAKER, words=WORDS
    )
    document = document_object(source, pdf[:-1], title="Report", maker=MAKER, words=WORDS)
    return source, [segmentation.dataset, reported(source, segmentation), *captures, document], pixels


def test_pictures_and_documents_come_back_as_they_were(tmp_path):
    write_slices(tmp_path / "ct", values(), affine_of("axial"))
    _, objects, pixels = everything(read_image(tmp_path / "ct"))
    _, _, first, second, document = objects
    (tmp_path / "sc.dcm").write_bytes(as_file(first))
    read = pydicom.dcmread(tmp_path / "sc.dcm")
    assert (read.pixel_array == pixels).all()
    assert read.PhotometricInterpretation == "RGB"
    assert (first.InstanceNumber, second.InstanceNumber) == (1, 2)
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    (tmp_path / "pdf.dcm").write_bytes(as_file(document))
    pdf = pydicom.dcmread(tmp_path / "pdf.dcm")
    assert pdf.EncapsulatedDocument[: pdf.EncapsulatedDocumentLength] == b"%PDF-1.7\n%%EOF\n"
    assert len(pdf.EncapsulatedDocument) % 2 == 0


def validated(paths, *command):
    tool = shutil.which(command[0])
    if tool is None:
        package = "dcmtk" if command[0] == "dsrdump" else "dicom3tools"
        pytest.skip(f"{command[0]} is not installed (Debian package {package})")
    done = subprocess.run([tool, *command[1:], *map(str, paths)], capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).splitlines()
    assert not [line for line in said if line.startswith(("Error", "E:", "F:"))], said
    return said


@pytest.mark.parametrize("kind", [*AFFINES, "enhanced", "anonymous"])
def test_dicom3tools_finds_no_error(kind, tmp_path):
    """Dciodvfy is content with each object, dcentvfy with all beside the images they were made of."""
    if kind == "enhanced":
        image = enhanced(tmp_path / "mr" / "enhanced.dcm")
    else:
        spec = SeriesSpec(extra={"PatientName": "A^B", "AccessionNumber": "7", "StudyDescription": "CT"})
        write_slices(tmp_path / "ct", values(), affine_of("axial" if kind == "anonymous" else kind), spec)
        image = read_image(tmp_path / "ct")
    _, objects, _ = everything(image, Identity("P7", "F") if kind == "anonymous" else None)
    paths = []
    for n, made in enumerate(objects):
        paths.append(tmp_path / f"{n}.dcm")
        paths[-1].write_bytes(as_file(made))
        validated(paths[-1:], "dciodvfy")
    images = [] if kind == "anonymous" else sorted((tmp_path / "ct").glob("*.dcm"))
    validated([*paths, *images], "dcentvfy")
    validated(paths[1:2], "dsrdump")


@pytest.mark.parametrize(
    ("lost", "named"),
    [
        ({"study": "", "series": ""}, "StudyInstanceUID, SeriesInstanceUID"),
        ({"study": ""}, "StudyInstanceUID"),
    ],
)
def test_a_source_without_identifiers_is_refused_with_what_to_do(tmp_path, lost, named):
    write_slices(tmp_path / "ct", values(), affine_of("axial"), SeriesSpec(**lost))
    image = read_image(tmp_path / "ct")
    with pytest.raises(OutputError, match=named) as caught:
        source_scan(image.source, image.grid)
    assert caught.value.reason == "no_source_uids"
    assert "Use the original series" in caught.value.message


def test_images_without_a_frame_of_reference_get_one_that_lasts(tmp_path):
    """Two runs name the same; masks still come back on the images, and a caveat says so."""
    write_slices(tmp_path / "ct", values(), affine_of("axial"), SeriesSpec(frame=""))
    image = read_image(tmp_path / "ct")
    source, segmentation = made_of(image)
    again, _ = made_of(image)
    assert (
        source.first.FrameOfReferenceUID
        == again.first.FrameOfReferenceUID
        == segmentation.dataset.FrameOfReferenceUID
    )
    assert [c.code for c in source.caveats] == ["dicom_frame_of_reference"]
    read_back(image, segmentation, tmp_path / "seg.dcm")


def test_a_nifti_source_is_refused_with_what_to_do(tmp_path):
    write_slices(tmp_path / "ct", values(), affine_of("axial"))
    write_image(tmp_path / "scan.nii.gz", read_image(tmp_path / "ct"))
    image = read_image(tmp_path / "scan.nii.gz")
    with pytest.raises(OutputError, match="original DICOM images") as caught:
        source_scan(image.source, image.grid)
    assert caught.value.reason == "no_dicom_source"


def test_a_scan_over_several_multi_frame_files_is_refused(tmp_path):
    affine = affine_of("axial")
    for part, places in enumerate(([0, 1, 2, 3], [4, 5, 6, 7, 8])):
        frames = [(values()[..., k], {"position": affine[:3, 3] + k * affine[:3, 2]}) for k in places]
        write_enhanced(tmp_path / "mr" / f"{part}.dcm", frames, affine)
        file = pydicom.dcmread(tmp_path / "mr" / f"{part}.dcm")
        file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.77.{part}"
        file.save_as(tmp_path / "mr" / f"{part}.dcm")
    image = read_image(tmp_path / "mr")
    with pytest.raises(OutputError) as caught:
        source_scan(image.source, image.grid)
    assert caught.value.reason == "several_files"


def test_images_that_changed_since_are_refused(tmp_path):
    write_slices(tmp_path / "ct", values(), affine_of("axial"))
    image = read_image(tmp_path / "ct")
    shutil.rmtree(tmp_path / "ct")
    write_slices(tmp_path / "ct", values(), affine_of("axial"), SeriesSpec(series="1.2.3.1.2"))
    with pytest.raises(OutputError) as caught:
        source_scan(image.source, image.grid)
    assert caught.value.reason == "source_changed"


def test_of_two_phases_in_one_series_the_one_that_was_read_is_meant(tmp_path):
    """Same series, same places; only the digest of the files tells them apart."""
    for phase in (1, 2):

        def edit(ds, k, phase=phase):
            ds.AcquisitionNumber = phase
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.50.{phase}.{k}"

        spec = SeriesSpec(edit=edit)
        write_slices(tmp_path / "ct" / str(phase), values() + phase, affine_of("axial"), spec)
    for phase in ("1", "2"):
        image = read_image(tmp_path / "ct", series=phase)
        source = source_scan(image.source, image.grid)
        assert {str(one.AcquisitionNumber) for one in source.images} == {phase}


def test_names_in_another_character_set_come_through(tmp_path):
    spec = SeriesSpec(extra={"SpecificCharacterSet": "ISO_IR 144", "PatientName": "Люкceмбypг^А"})
    write_slices(tmp_path / "ct", values(), affine_of("axial"), spec)
    _, objects, _ = everything(read_image(tmp_path / "ct"))
    for n, made in enumerate(objects):
        path = tmp_path / f"{n}.dcm"
        path.write_bytes(as_file(made))
        assert str(pydicom.dcmread(path).PatientName) == "Люкceмбypг^А"


def test_a_header_without_its_patient_keeps_the_places_and_nothing_else(tmp_path):
    """Every text of the source that is not listed as harmless is gone, and no identifier is left."""
    secret = {
        "PatientName": "Sekret^Ada",
        "PatientID": "SEKRET1",
        "PatientBirthDate": "19570307",
        "AccessionNumber": "SEKRET2",
        "InstitutionName": "Sekret Hospital",
        "StudyDescription": "Sekret study",
        "StudyID": "SEKRET3",
        "ReferringPhysicianName": "Sekret^Doctor",
        "StudyDate": "20190304",
        "PatientComments": "Sekret",
    }
    for folder, image in (
        ("ct", lambda: read_image(tmp_path / "ct")),
        ("mr", lambda: enhanced(tmp_path / "mr" / "e.dcm")),
    ):
        if folder == "ct":
            write_slices(tmp_path / "ct", values(), affine_of("oblique"), SeriesSpec(extra=secret))
        scan = image()
        _, objects, _ = everything(scan, Identity("P7", "F"))
        for made in objects:
            content = as_file(made)
            assert b"ekret" not in content.lower() or b"SEKRET" not in content
            for lost in (b"SEKRET", b"Sekret", b"19570307", b"20190304", b"1.2.3."):
                assert lost not in content, lost
            assert made.PatientID == "P7"
            assert made.PatientIdentityRemoved == "YES"
        assert len({made.StudyInstanceUID for made in objects}) == 1
        path = tmp_path / f"{folder}.dcm"
        path.write_bytes(as_file(objects[0]))
        found = list(read_masks(path, grid=pinned(scan.grid)).values())
        assert [(m.voxels == (whole() == n)).all() for n, m in enumerate(found, start=1)] == [True, True]


def pinned(grid):
    """The same grid in no named frame of reference."""
    from dataclasses import replace

    return replace(grid, frame_of_reference_uid="")


def test_tracking_identifiers_last():
    """A change of them would lose the lesions of every earlier report."""
    assert tracking_uid("1.2.3", "lesion 1") == "2.25.162430492059195885600895753778153502662"
    assert tracking_uid("", "lesion 1") == ""
