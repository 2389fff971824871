"""DICOM objects of a whole case, from the command line: the report's own numbers, in the scan's study."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import highdicom as hd
import jsonschema
import numpy as np
import pydicom
import pytest
from click.testing import CliRunner

from flr_volumetry.app import reassess as again
from flr_volumetry.app import run
from flr_volumetry.app.case import read_case
from flr_volumetry.app.cli import main
from flr_volumetry.app.reassess import reassess
from flr_volumetry.app.sample import sample_case
from flr_volumetry.errors import OutputError
from flr_volumetry.io import read_image, read_label_map, read_structures, write_image
from flr_volumetry.report import report_schema

ROOT = Path(__file__).resolve().parents[2]
CT = ROOT / "sample_data" / "ct"
VOLUME = hd.sr.CodedConcept("118565006", "SCT", "Volume")


def flr(*words):
    return CliRunner().invoke(main, [str(w) for w in words])


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """What the command writes for the sample patient."""
    folder = tmp_path_factory.mktemp("dicom") / "out"
    done = flr("demo", "--out", folder)
    assert done.exit_code == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def report(out):
    return json.loads((out / "report.json").read_text())


@pytest.fixture(scope="module")
def groups(out):
    """Measurement groups of the structured report, by tracking identifier."""
    return groups_in(out)


def groups_in(out):
    content = hd.sr.srread(out / "dicom" / "sr.dcm").content
    found = [
        *content.get_volumetric_roi_measurement_groups(),
        *content.get_image_measurement_groups(),
    ]
    return {group.tracking_identifier: group for group in found}


def numbers(group):
    """Values of a group by the meaning of their names."""
    return {m.name.meaning: m.value for m in group.get_measurements()}


def segments_of(path):
    """Masks of a segmentation on the scan's slices, by label."""
    image = read_image(CT)
    made = hd.seg.segread(path)
    order = sorted((pydicom.dcmread(p) for p in CT.glob("*.dcm")), key=lambda d: d.ImagePositionPatient[2])
    pixels = made.get_pixels_by_source_instance(
        [d.SOPInstanceUID for d in order], assert_missing_frames_are_empty=True
    )
    names = [made.get_segment_description(n).segment_label for n in made.segment_numbers]
    assert pixels.shape[:3] == (image.grid.shape[2], image.grid.shape[1], image.grid.shape[0])
    return {name: pixels[..., n].astype(bool).transpose(2, 1, 0) for n, name in enumerate(names)}


def test_all_objects_lie_in_the_study_and_are_listed(out, report):
    jsonschema.validate(report, report_schema())
    listed = {entry["path"]: entry["dicom"] for entry in report["outputs"] if "dicom" in entry}
    there = {p.relative_to(out).as_posix() for p in (out / "dicom").iterdir()}
    assert there == set(listed)
    assert {"dicom/seg_plan.dcm", "dicom/seg_liver.dcm", "dicom/seg_couinaud.dcm", "dicom/sr.dcm"} <= there
    source = pydicom.dcmread(next(CT.glob("*.dcm")), stop_before_pixels=True)
    for path, facts in listed.items():
        made = pydicom.dcmread(out / path, stop_before_pixels=True)
        for name in (
            "StudyInstanceUID",
            "PatientName",
            "PatientID",
            "PatientBirthDate",
            "StudyDate",
            "StudyID",
        ):
            assert made[name].value == source[name].value, (path, name)
        assert made.SeriesInstanceUID != source.SeriesInstanceUID
        assert facts["sop_instance_uid"] == made.SOPInstanceUID
        assert facts["study_uid"] == source.StudyInstanceUID
    series = [listed[p]["series_uid"] for p in sorted(listed) if "key_image" not in p]
    assert len(set(series)) == len(series)


def test_the_plan_puts_each_voxel_of_the_liver_in_one_segment(out, report):
    """Remnant, resected and lesions do not overlap, cover the liver, and are the partition's voxels."""
    masks = segments_of(out / "dicom" / "seg_plan.dcm")
    partition = read_label_map(out / "partition.nii.gz").voxels
    names = ["Future liver remnant", "Resected in stage 1", "Resected in stage 2"]
    assert list(masks) == [*names, "Lesion 1", "Lesion 2", "Lesion 3"]
    assert (sum(m.astype(int) for m in masks.values()) == (partition > 0)).all()
    lesions = masks["Lesion 1"] | masks["Lesion 2"] | masks["Lesion 3"]
    for label, name in enumerate(names, start=1):
        assert (masks[name] == ((partition == label) & ~lesions)).all()
    (liver,) = segments_of(out / "dicom" / "seg_liver.dcm").values()
    assert (liver == (partition > 0)).all()
    listed = next(e["dicom"] for e in report["outputs"] if e["path"] == "dicom/seg_plan.dcm")["segments"]
    assert {s["label"]: s["voxels"] for s in listed} == {name: int(m.sum()) for name, m in masks.items()}


def test_couinaud_segments_are_the_given_ones(out):
    masks = segments_of(out / "dicom" / "seg_couinaud.dcm")
    given = read_label_map(
        ROOT / "sample_data" / "masks" / "couinaud.nii.gz", grid=read_image(CT).grid
    ).voxels
    partition = read_label_map(out / "partition.nii.gz").voxels
    assert len(masks) == 8
    for number, mask in enumerate(masks.values(), start=1):
        assert (mask == ((given == number) & (partition > 0))).all()


def test_segments_carry_codes_of_the_clinical_base(out):
    made = hd.seg.segread(out / "dicom" / "seg_plan.dcm")
    remnant, lesion = made.get_segment_description(1), made.get_segment_description(4)
    assert remnant.segmented_property_category.value == "91723000"
    assert remnant.segmented_property_type.value == "10200004"
    (modifier,) = remnant.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence
    assert (modifier.CodeValue, modifier.CodingSchemeDesignator) == ("REMNANT", "99FLR")
    assert lesion.segmented_property_category.value == "49755003"
    couinaud = hd.seg.segread(out / "dicom" / "seg_couinaud.dcm")
    codes = [couinaud.get_segment_description(n).segmented_property_type.value for n in range(1, 9)]
    assert codes[0] == "71133005"
    assert codes[1:] == [f"27795{n}" for n in ("6007", "7003", "8008", "9000")] + [
        f"2779{n}" for n in ("60005", "61009", "62002")
    ]


def test_volumes_of_the_structured_report_are_those_of_report_and_segments(out, report, groups):
    volumes = report["volumes"]
    assert numbers(groups["Liver"])["Volume"] == pytest.approx(volumes["total_ml"], rel=1e-12)
    remnant = numbers(groups["Future liver remnant"])
    assert remnant["Volume"] == pytest.approx(volumes["remnant_functional_ml"], rel=1e-12)
    assert remnant["Volume, lesions included"] == pytest.approx(volumes["remnant_ml"], rel=1e-12)
    for lesion in report["lesions"]:
        group = groups[f"Lesion {lesion['number']}"]
        assert numbers(group)["Volume"] == pytest.approx(lesion["ml"], rel=1e-12)
        assert str(group.tracking_uid) == lesion["tracking_uid"]
    for segment in report["segments"]:
        if segment["segment"]:
            group = groups[f"Liver segment {segment['name']}"]
            assert numbers(group)["Volume"] == pytest.approx(segment["ml"], rel=1e-12)
    gone = [g for name, g in groups.items() if name.startswith("Stage ")]
    assert sum(numbers(g)["Volume, lesions included"] for g in gone) == pytest.approx(volumes["resected_ml"])
    for name, group in groups.items():
        for amount in group.get_measurements(name=VOLUME):
            assert amount.unit.value == "cm3", name
            assert amount.method.value == "126030", name


def test_each_volume_is_that_of_the_segment_it_refers_to(out, report, groups):
    files = {e["dicom"]["sop_instance_uid"]: e["dicom"] for e in report["outputs"] if "dicom" in e}
    checked = 0
    for group in groups.values():
        if not isinstance(group, hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations):
            continue
        reference = group.referenced_segment
        listed = files[str(reference.referenced_sop_instance_uid)]["segments"]
        (number,) = reference[0].referenced_segment_numbers
        (volume,) = group.get_measurements(name=VOLUME)
        assert volume.value == pytest.approx(listed[number - 1]["ml"], rel=1e-12)
        assert reference.has_source_images()
        checked += 1
    assert checked == 2 + 2 + 3 + 8


def test_percentages_thresholds_and_states_are_those_of_the_report(report, groups):
    remnant = numbers(groups["Future liver remnant"])
    assert remnant["FLR / FTLV (D8)"] == pytest.approx(100 * report["indices"]["flr"]["value"])
    rules = {name: g for name, g in groups.items() if name.startswith("Rule ")}
    assert len(rules) == len(report["findings"])
    for finding in report["findings"]:
        group = rules[f"Rule {finding['rule']} of {finding['protocol']}"]
        (state,) = group.get_qualitative_evaluations()[:1]
        assert state.value.value == finding["state"].upper()
        amounts = numbers(group)
        percent = 100 if finding["unit"] == "fraction" else 1
        assert amounts["Threshold"] == pytest.approx(percent * finding["threshold"])
        if finding["value"] is not None:
            assert percent * finding["value"] in [pytest.approx(v) for v in amounts.values()]


def test_key_images_are_the_figures_of_the_report(out):
    from PIL import Image

    key = pydicom.dcmread(out / "dicom" / "key_image_1.dcm")
    figure = np.asarray(Image.open(out / "figures" / "plan.png").convert("RGB"))
    assert (key.pixel_array == figure).all()


def test_the_encapsulated_document_is_the_report_as_pdf(out):
    made = pydicom.dcmread(out / "dicom" / "report.dcm")
    pdf = (out / "report.pdf").read_bytes()
    assert made.EncapsulatedDocument[: made.EncapsulatedDocumentLength] == pdf
    assert made.DocumentTitle == "Liver volumetry of sample"


def test_judged_again_report_and_document_are_made_anew_and_the_rest_is_kept(out, report, groups, tmp_path):
    """Another weight: a structured report of other numbers that refers to the same images and segments."""
    case = read_case(sample_case())
    heavier = case.model_copy(update={"patient": case.patient.model_copy(update={"weight_kg": 95.0})})
    reassess(out, heavier, tmp_path / "out")
    new = json.loads((tmp_path / "out" / "report.json").read_text())
    before, after = (
        {e["path"]: e["dicom"] for e in document["outputs"] if "dicom" in e} for document in (report, new)
    )
    assert set(before) == set(after)
    for path, facts in after.items():
        anew = path in ("dicom/sr.dcm", "dicom/report.dcm")
        assert (facts == before[path]) is not anew
        assert ((tmp_path / "out" / path).read_bytes() == (out / path).read_bytes()) is not anew
    one, other = (pydicom.dcmread(place / "dicom" / "sr.dcm") for place in (out, tmp_path / "out"))
    changing = {"SOPInstanceUID", "SeriesInstanceUID", "ContentSequence", "ContentDate", "ContentTime"}
    changing |= {"InstanceCreationDate", "InstanceCreationTime"}
    assert {e.keyword for e in one if e != other[e.tag]} <= changing
    assert {e.keyword for e in one} == {e.keyword for e in other}
    made = groups_in(tmp_path / "out")
    assert set(made) == set(groups)
    test_percentages_thresholds_and_states_are_those_of_the_report(new, made)
    test_the_encapsulated_document_is_the_report_as_pdf(tmp_path / "out")
    assert report["indices"]["sflr"]["value"] != new["indices"]["sflr"]["value"]
    for name, group in made.items():
        segment, earlier = (getattr(g, "referenced_segment", None) for g in (group, groups[name]))
        assert segment == earlier
    test_the_validators_find_no_error(tmp_path / "out")


def test_a_structured_report_that_cannot_be_made_anew_is_removed_and_that_is_said(out, tmp_path, monkeypatch):
    def fails(*_, **__):
        raise OutputError("no such code", reason="x")

    monkeypatch.setattr(again, "renewed_report", fails)
    summary = reassess(out, read_case(sample_case()), tmp_path / "out")
    assert "dicom_report_removed" in {c.code for c in summary.caveats}
    there = {p.name for p in (tmp_path / "out" / "dicom").iterdir()}
    assert "seg_plan.dcm" in there
    assert not there & {"sr.dcm", "report.dcm"}
    assert "dicom_report_removed" in (tmp_path / "out" / "report.json").read_text()


def test_the_validators_find_no_error(out):
    """Dciodvfy on each object, dcentvfy on all with the scan, dsrdump on the report."""
    tools = {name: shutil.which(name) for name in ("dciodvfy", "dcentvfy", "dsrdump")}
    missing = [name for name, tool in tools.items() if tool is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed (Debian packages dicom3tools and dcmtk)")

    def said(*words):
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
        return (done.stdout + done.stderr).splitlines()

    objects = sorted((out / "dicom").glob("*.dcm"))
    for path in objects:
        assert not [line for line in said(tools["dciodvfy"], path) if "Error" in line], path
    lines = said(tools["dcentvfy"], *objects, *sorted(CT.glob("*.dcm")))
    assert not [line for line in lines if line.startswith("Error")]
    lines = said(tools["dsrdump"], out / "dicom" / "sr.dcm")
    assert any("Future liver remnant" in line for line in lines)
    assert not [line for line in lines if line.startswith(("E:", "F:"))]


def test_the_objects_are_a_study_to_read_again(out, report, tmp_path):
    """A PACS gives scan and segmentations back together: they are one case, with the same remnant."""
    study = tmp_path / "study"
    shutil.copytree(CT, study)
    for path in (out / "dicom").glob("*.dcm"):
        shutil.copy(path, study)
    found = read_structures(study, grid=read_image(CT).grid)
    assert found.liver.ml == pytest.approx(report["volumes"]["total_ml"], rel=1e-9)
    assert found.remnant.ml == pytest.approx(report["volumes"]["remnant_functional_ml"], rel=1e-9)
    assert len(found.lesions) == 3


def test_a_lesion_keeps_its_identifier_at_a_later_date(monkeypatch):
    """One that lies where one of the baseline lay; those that split, merged or are new have their own."""
    image = SimpleNamespace(source=SimpleNamespace(series_uid="1.2.3"))
    liver = SimpleNamespace(image=image, lesions=[SimpleNamespace(number=n) for n in (1, 2, 3, 4)])
    known = [SimpleNamespace(number=n, tracking_uid=f"2.25.{n}") for n in (1, 2)]
    report = SimpleNamespace(lesions=known)
    carried = SimpleNamespace(baseline=SimpleNamespace(report=report), registration=None)
    monkeypatch.setattr(run, "lesion_links", lambda *_: [(1, 2), (2, 1), (2, 3)])

    uids = run.lesion_uids(liver, carried)

    assert uids[2] == "2.25.1"
    assert uids == {**run.lesion_uids(liver, None), 2: "2.25.1"}
    assert len(set(uids.values())) == 4


def case_of(folder, scan, **tables):
    """A case file of the sample patient with another scan, small plan, and more tables."""
    masks = ROOT / "sample_data" / "masks"
    text = [
        '[case]\nid = "x"',
        f"[image]\npath = {json.dumps(str(scan))}",
        f"[masks]\nliver = {json.dumps(str(masks / 'liver.nii.gz'))}",
        '[[stage]]\nresections = [{ kind = "plane", point_mm = [0, 0, 0], normal = [-1, 0, 0] }]',
        *(f"[{name}]\n{body}" for name, body in tables.items()),
    ]
    path = folder / "case.toml"
    path.write_text("\n".join(text))
    return path


def test_no_dicom_is_written_where_it_is_not_wanted(tmp_path):
    done = flr("run", case_of(tmp_path, CT, output="dicom = false"), "--out", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert not (tmp_path / "out" / "dicom").exists()


def test_a_nifti_scan_gives_a_report_without_dicom_unless_it_is_asked_for(tmp_path):
    write_image(tmp_path / "scan.nii.gz", read_image(CT))
    case = case_of(tmp_path, "scan.nii.gz")
    done = flr("run", case, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert not (tmp_path / "out" / "dicom").exists()
    asked = flr("run", case, "--out", tmp_path / "asked", "--dicom")
    assert asked.exit_code == 1
    assert "[no_dicom_source]" in asked.stderr
    assert "Name the folder of the original DICOM images" in asked.stderr
    assert not (tmp_path / "asked").exists()


def test_images_without_identifiers_give_a_report_and_are_refused_when_asked(tmp_path):
    for path in CT.glob("*.dcm"):
        file = pydicom.dcmread(path)
        file.StudyInstanceUID = file.SeriesInstanceUID = ""
        (tmp_path / "ct").mkdir(exist_ok=True)
        file.save_as(tmp_path / "ct" / path.name)
    case = case_of(tmp_path, "ct")
    done = flr("run", case, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert not (tmp_path / "out" / "dicom").exists()
    codes = {c["code"] for c in json.loads((tmp_path / "out" / "report.json").read_text())["caveats"]}
    assert "missing_uids" in codes
    asked = flr("run", case, "--out", tmp_path / "asked", "--dicom")
    assert asked.exit_code == 1
    assert "[no_source_uids]" in asked.stderr


def test_images_that_cannot_be_referred_to_are_said_in_the_report(tmp_path):
    """Without SOP Instance UIDs there is nothing to refer to; the report is written all the same."""
    for path in CT.glob("*.dcm"):
        file = pydicom.dcmread(path)
        file.SOPInstanceUID = ""
        (tmp_path / "ct").mkdir(exist_ok=True)
        file.save_as(tmp_path / "ct" / path.name)
    done = flr("run", case_of(tmp_path, "ct"), "--out", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    said = {c["code"]: c["message"] for c in report["caveats"]}
    assert "SOPInstanceUID" in said["no_dicom_objects"]
    assert "No DICOM objects were written" in (tmp_path / "out" / "report.html").read_text()
