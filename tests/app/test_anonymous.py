"""An option that drops what may say who the patient is: nothing of it is left in any file, however packed."""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import json
import re
import shutil
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from click.testing import CliRunner

from flr_volumetry.app.case import make_case, read_case
from flr_volumetry.app.cli import main
from flr_volumetry.app.identifiers import GONE, Identifiers, telling
from flr_volumetry.app.reassess import reassess
from flr_volumetry.errors import CaseError
from flr_volumetry.io import (
    MarkupPlane,
    read_image,
    read_label_map,
    read_mask,
    write_markups,
    write_mask,
)

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "sample_data"
HEADER = {
    "PatientName": "Zyxgeheim^Adalbert^Wq",
    "PatientID": "MRNZQ99817",
    "PatientBirthDate": "19570307",
    "OtherPatientNames": "Qvornamen^Berta",
    "PatientAddress": "Xwegstrasse 17",
    "PatientTelephoneNumbers": "0815-47110815",
    "PatientComments": "Pzkommentar",
    "EthnicGroup": "Ethnqzgruppe",
    "Occupation": "Berufqzmann",
    "AccessionNumber": "ACCZQ4471",
    "StudyID": "STUDQZ311",
    "StudyDate": "20190304",
    "SeriesDate": "20190305",
    "AcquisitionDate": "20190306",
    "ContentDate": "20190306",
    "StudyDescription": "Qzstudie Oberbauch",
    "SeriesDescription": "Qzserienname venoes",
    "ProtocolName": "Qzprotokoll",
    "InstitutionName": "Klinikum Qzstadthaus",
    "InstitutionAddress": "Qzalleestr 4",
    "InstitutionalDepartmentName": "Abteilung Qzradiologie",
    "ReferringPhysicianName": "Qzueberweiser^Ueberweiser",
    "PerformingPhysicianName": "Qzradiologe^Rita",
    "OperatorsName": "Qzmtraotto^Otto",
    "StationName": "QZCT4711",
    "DeviceSerialNumber": "QZSN884422",
    "RequestingService": "Qzdienststelle",
    "StudyInstanceUID": "1.2.826.0.1.3680043.99.11111.1",
    "SeriesInstanceUID": "1.2.826.0.1.3680043.99.11111.2",
    "FrameOfReferenceUID": "1.2.826.0.1.3680043.99.11111.3",
}
MASKS = {
    "liver": "Zyxgeheim_A_Leber",
    "lesion1": "Zyxgeheim_Metastase_eins",
    "lesion2": "Qzbefund_zwei",
    "portal": "Qzpfortader_MRNZQ99817",
    "couinaud": "Zyxgeheim_segmente",
}
CASE_ID = "Zyxgeheim MRNZQ99817 Fall"
SECRETS = (
    *(
        "zyxgeheim",
        "adalbert",
        "mrnzq99817",
        "qvornamen",
        "xwegstrasse",
        "47110815",
        "pzkommentar",
        "ethnqzgruppe",
    ),
    *(
        "berufqzmann",
        "acczq4471",
        "studqz311",
        "qzstudie",
        "qzserienname",
        "qzprotokoll",
        "qzstadthaus",
        "qzalleestr",
        "qzradiologie",
    ),
    *(
        "qzueberweiser",
        "qzmtraotto",
        "qzct4711",
        "qzsn884422",
        "qzdienststelle",
        "qzprivatfeld",
        "qzbefund",
        "qzpfortader",
    ),
    *(
        "qzordner",
        "qzstufenplan",
        "qzschnitt",
        "19570307",
        "1957-03-07",
        "20190304",
        "2019-03-04",
        "20190305",
    ),
    *("20190306", "2019-03-06", "2019-03-05", "1.2.826.0.1.3680043.99.11111", "2.25.1111999"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The sample patient, named in every way that files can name somebody."""
    folder = tmp_path_factory.mktemp("case") / "Qzordner_Zyxgeheim" / "MRNZQ99817"
    (folder / "CT_Zyxgeheim").mkdir(parents=True)
    for n, path in enumerate(sorted((SAMPLE / "ct").glob("*.dcm"))):
        file = pydicom.dcmread(path)
        for key in ("PatientIdentityRemoved", "DeidentificationMethod"):
            del file[key]
        for key, value in HEADER.items():
            setattr(file, key, value)
        file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = f"2.25.1111999{n:04d}"
        block = file.private_block(0x0011, "QZPRIVATFELD CREATOR", create=True)
        block.add_new(1, "LO", "Qzprivatfeld Zyxgeheim")
        file.save_as(folder / "CT_Zyxgeheim" / f"MRNZQ99817_{n:03d}.dcm")
    broken = (folder / "CT_Zyxgeheim" / "MRNZQ99817_000.dcm").read_bytes()
    (folder / "CT_Zyxgeheim" / "MRNZQ99817_kaputt.dcm").write_bytes(broken[:400])
    image = read_image(SAMPLE / "ct")
    # A lesion that is not quite inside the liver, and named so, is pointed out by its name.
    lesion = read_mask(SAMPLE / "masks" / "tumour1.nii.gz", grid=image.grid).voxels
    moved = np.zeros_like(lesion)
    moved[:-12] = lesion[12:]
    shutil.copy(SAMPLE / "masks" / "liver.nii.gz", folder / f"{MASKS['liver']}.nii.gz")
    shutil.copy(SAMPLE / "masks" / "tumour2.nii.gz", folder / f"{MASKS['lesion2']}.nii.gz")
    shutil.copy(SAMPLE / "masks" / "portal_vein.nii.gz", folder / f"{MASKS['portal']}.nii.gz")
    shutil.copy(SAMPLE / "masks" / "couinaud.nii.gz", folder / f"{MASKS['couinaud']}.nii.gz")
    original = read_mask(SAMPLE / "masks" / "tumour1.nii.gz", grid=image.grid)
    write_mask(folder / f"{MASKS['lesion1']}.nii.gz", type(original)(image.grid, lesion | moved))
    plane = MarkupPlane("Qzschnitt Zyxgeheim", (-40.0, 0.0, 20.0), (-1.0, 0.0, 0.0), (200.0, 200.0))
    write_markups(folder / "Qzschnitt.mrk.json", [plane])
    (folder / "Zyxgeheim.toml").write_text(
        f"""
[case]
id = "{CASE_ID}"
[patient]
sex = "F"
age = 93
height_cm = 170
weight_kg = 70
[image]
path = "CT_Zyxgeheim"
date = 2019-03-05
[masks]
liver = "{MASKS["liver"]}.nii.gz"
lesions = ["{MASKS["lesion1"]}.nii.gz", "{MASKS["lesion2"]}.nii.gz"]
portal_vein = "{MASKS["portal"]}.nii.gz"
segments = "{MASKS["couinaud"]}.nii.gz"
[[stage]]
name = "Qzstufenplan fuer Zyxgeheim"
resections = [{{ kind = "wedge", lesions = [2], margin_mm = 5 }}]
[[stage]]
name = "zwei Qzstufenplan"
after = {{ procedure = "pve", weeks = 4 }}
resections = [
  {{ kind = "markup", file = "Qzschnitt.mrk.json", name = "Qzschnitt Zyxgeheim" }},
]
""",
        encoding="utf-8",
    )
    return folder


STAGE = {"resections": [{"kind": "wedge", "lesions": [1], "margin_mm": 5}]}


def flr(*words):
    return CliRunner().invoke(main, [str(w) for w in words])


@pytest.fixture(scope="module")
def plain(folder, tmp_path_factory):
    """The same case without the option."""
    out = tmp_path_factory.mktemp("plain") / "out"
    done = flr("run", folder / "Zyxgeheim.toml", "--out", out)
    assert done.exit_code == 0, done.output
    return out, done


@pytest.fixture(scope="module")
def hidden(folder, tmp_path_factory):
    """What the option leaves."""
    out = tmp_path_factory.mktemp("hidden") / "out"
    done = flr("run", folder / "Zyxgeheim.toml", "--out", out, "--pseudonym", "P007", "--meshes")
    assert done.exit_code == 0, done.output
    return out, done


def layers(content, depth=0):
    """Give bytes as they are, and everything packed in them: gzip, zlib, base64, zip, PDF, Parquet."""
    yield content
    if depth > 3:
        return
    if content[:2] == b"\x1f\x8b":
        yield from layers(gzip.decompress(content), depth + 1)
    if content[:4] == b"PAR1":
        import pyarrow.parquet

        table = pyarrow.parquet.read_table(io.BytesIO(content))
        yield repr((table.to_pydict(), table.schema.metadata)).encode()
    if content[:5] == b"%PDF-":
        from pypdf import PdfReader

        pdf = PdfReader(io.BytesIO(content))
        yield "\n".join(page.extract_text() for page in pdf.pages).encode()
        yield repr(pdf.metadata).encode()
    if b"%PDF-" in content[:4000] and content[:5] != b"%PDF-":
        yield from layers(content[content.index(b"%PDF-") :], depth + 1)
        for found in re.finditer(rb"stream\r?\n(.*?)endstream", content, re.DOTALL):
            yield from inflated(found[1], depth)
    for found in re.finditer(rb"[A-Za-z0-9+/]{64,}={0,2}", content):
        try:
            yield from layers(base64.b64decode(found[0], validate=True), depth + 1)
        except binascii.Error:
            continue
    if content[:8] == b"\x89PNG\r\n\x1a\n":
        for found in re.finditer(rb"(?:zTXt|iTXt|iCCP)[^\0]*\0+(.*)", content, re.DOTALL):
            yield from inflated(found[1][:5000], depth)


def inflated(content, depth):
    try:
        yield from layers(zlib.decompressobj().decompress(content), depth + 1)
    except zlib.error:
        return


def found_in(content):
    """Which secrets stand in bytes, in any case and as UTF-8 or UTF-16."""
    hits = set()
    for layer in layers(content):
        low = layer.lower()
        for secret in SECRETS:
            if (
                secret.encode() in low
                or secret.encode("utf-16-le") in low
                or secret.encode("utf-16-be") in low
            ):
                hits.add(secret)
    return hits


def secrets_of(out):
    hits = {}
    for path in out.rglob("*"):
        name = path.relative_to(out).as_posix()
        said = found_in(path.read_bytes()) if path.is_file() else set()
        said |= {s for s in SECRETS if s in name.lower()}
        if said:
            hits[name] = said
    return hits


def test_nothing_that_names_the_patient_is_left_in_any_file(hidden):
    out, done = hidden
    assert secrets_of(out) == {}
    assert found_in(done.stdout.encode()) == set()
    assert found_in(done.stderr.encode()) == set()


def test_the_search_finds_them_where_the_option_is_not_given(plain):
    """Else the test above would prove nothing: each kind of file does hold some, packed as it is."""
    out, done = plain
    hits = secrets_of(out)
    assert {"report.json", "report.html", "report.pdf", "summary.txt", "row.csv"} <= set(hits)
    assert {"dicom/seg_plan.dcm", "dicom/sr.dcm", "dicom/report.dcm", "dicom/key_image_1.dcm"} <= set(hits)
    said = set().union(*hits.values())
    assert {
        "zyxgeheim",
        "mrnzq99817",
        "19570307",
        "acczq4471",
        "qzstufenplan",
        "qzschnitt",
        "2019-03-05",
    } <= said
    assert "1.2.826.0.1.3680043.99.11111" in said
    assert "zyxgeheim" in found_in(done.stdout.encode())


def test_numbers_and_voxels_are_the_same(plain, hidden):
    one, other = (json.loads((out / "report.json").read_text()) for out, _ in (plain, hidden))
    for part in ("volumes", "indices", "findings", "segments", "consequences", "uncertainty"):
        assert one[part] == other[part], part
    assert [x["ml"] for x in one["lesions"]] == [x["ml"] for x in other["lesions"]]
    labels = [read_label_map(out / "partition.nii.gz") for out, _ in (plain, hidden)]
    assert (labels[0].voxels == labels[1].voxels).all()
    assert {c["code"] for c in one["caveats"]} <= {c["code"] for c in other["caveats"]}
    for name in ("seg_plan", "seg_liver", "seg_couinaud"):
        pixels = [pydicom.dcmread(out / "dicom" / f"{name}.dcm").PixelData for out, _ in (plain, hidden)]
        assert pixels[0] == pixels[1]


def test_what_stands_in_their_place(hidden):
    out, _ = hidden
    report = json.loads((out / "report.json").read_text())
    assert report["case"]["id"] == "P007"
    assert report["case"]["patient"]["age"] == 90
    assert (report["case"]["scan_date"], report["case"]["patient_key"]) == (None, None)
    assert [stage["name"] for stage in report["plan"]] == ["stage 1", "stage 2"]
    assert [lesion["name"] for lesion in report["lesions"]] == ["lesion 1", "lesion 2"]
    assert {i["path"] for i in report["provenance"]["inputs"]} == {""}
    assert {i["sha256"] for i in report["provenance"]["inputs"]} == {""}
    assert report["provenance"]["case_sha256"] == ""
    assert "identifiers_removed" in {c["code"] for c in report["caveats"]}


def test_dicom_objects_are_one_study_of_nobody(hidden):
    """After the basic profile: new identifiers that fit each other, no dates, and they say so."""
    out, _ = hidden
    report = json.loads((out / "report.json").read_text())
    tracked = {lesion["number"]: lesion["tracking_uid"] for lesion in report["lesions"]}
    studies = set()
    for path in (out / "dicom").iterdir():
        made = pydicom.dcmread(path)
        studies.add(made.StudyInstanceUID)
        assert (str(made.PatientName), made.PatientID, made.PatientBirthDate) == ("P007", "P007", "")
        assert made.PatientIdentityRemoved == "YES"
        assert [c.CodeValue for c in made.DeidentificationMethodCodeSequence] == ["113100", "113108"]
        assert made.StudyDate == ""
        assert {str(e.value)[:4] for e in made.iterall() if e.VR in {"DA", "DT"} and e.value} <= {"1900"}
    assert len(studies) == 1
    plan = pydicom.dcmread(out / "dicom" / "seg_plan.dcm")
    given = {s.SegmentLabel: s.TrackingUID for s in plan.SegmentSequence if "TrackingUID" in s}
    assert given == {f"Lesion {n}": uid for n, uid in tracked.items()}


def test_judged_again_it_is_the_same_report_of_nobody(hidden, folder, tmp_path):
    """By the same rules every word is the same: what was hidden once is not hidden otherwise twice."""
    out, _ = hidden
    case = read_case(folder / "Zyxgeheim.toml").with_output(pseudonym="P007", meshes=True)
    reassess(out, case, tmp_path / "out")
    assert secrets_of(tmp_path / "out") == {}
    one, other = (json.loads((place / "report.json").read_text()) for place in (out, tmp_path / "out"))
    assert {e["path"] for e in one.pop("outputs")} == {e["path"] for e in other.pop("outputs")}
    assert one.pop("sha256") != other.pop("sha256")
    assert one == other


def test_a_refusal_does_not_name_the_patient_either(folder, tmp_path):
    """Paths in messages, values in messages, a case file that is none; the reason stays."""
    source = (folder / "Zyxgeheim.toml").read_text()
    broken = {
        "not_found": source.replace(f'"{MASKS["portal"]}.nii.gz"', '"Zyxgeheim_fehlt.nii.gz"'),
        "unknown_key": source.replace("height_cm", "hoehe_Zyxgeheim"),
        "not_toml": source + "\nZyxgeheim = [",
        "bad_case": source.replace('sex = "F"', 'sex = "Zyxgeheim"'),
    }
    for reason, text in broken.items():
        case = folder / "Zyxgeheim_kaputt.toml"
        case.write_text(text)
        done = flr("run", case, "--out", tmp_path / "out", "--anonymous")
        assert done.exit_code == 1, done.output
        assert f"[{reason}]" in done.stderr
        assert found_in(done.output.encode()) == set(), done.output
        case.unlink()


def test_a_search_does_not_name_the_patient_either(folder, tmp_path):
    words = ["--no-ablations", "--one-stage", "--partial", "--pseudonym", "P007"]
    done = flr("search", folder / "Zyxgeheim.toml", "--out", tmp_path / "out", *words)
    assert done.exit_code == 0, done.output
    assert "P007" in done.stdout
    assert found_in(done.output.encode()) == set()
    assert secrets_of(tmp_path / "out") == {}


def test_an_anonymous_follow_up_of_a_baseline_with_a_name_is_refused(plain, folder, tmp_path):
    case = folder / "later.toml"
    text = (folder / "Zyxgeheim.toml").read_text()
    case.write_text(text[: text.index("[[stage]]")] + "[output]\nidentifiers = false\n")
    done = flr("followup", plain[0] / "report.json", case, "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert "[baseline_names_patient]" in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_case_file_may_ask_for_it():
    """A pseudonym, on either side, is the wish; options go before the file."""
    table = {"case": {"id": "x"}, "masks": {"liver": "l.nii.gz"}, "stage": [STAGE]}

    def asked(**output):
        return make_case({**table, "output": output})

    assert not asked().output.anonymous
    assert asked(identifiers=False).output.anonymous
    assert asked(pseudonym="P1").output.anonymous
    assert asked(identifiers=True).with_output(identifiers=False, pseudonym="P2").output.pseudonym == "P2"
    assert asked(dicom=False).with_output(dicom=True).output.dicom is True
    assert asked(dicom=False).with_output(dicom=None).output.dicom is False
    with pytest.raises(CaseError, match="a pseudonym is for identifiers = false"):
        asked(identifiers=True, pseudonym="P1")


@pytest.mark.parametrize(
    ("words", "text", "left"),
    [
        (["Doe_John_CT"], "the mask of Doe_John_CT has gaps", f"the mask of {GONE} has gaps"),
        (["Doe"], "Doe's scan; doer and Does stay", f"{GONE}'s scan; doer and Does stay"),
        (["4711234"], "id 4711234, not 47112345", f"id {GONE}, not 47112345"),
        (["liver", "17", "ct"], "17 mL of the liver", "17 mL of the liver"),
        (["2013"], "Ann Surg 2013;254:1", "Ann Surg 2013;254:1"),
        ([], "in /data/x/y.dcm and C:\\data\\x, 3 mL/min/m2", f"in {GONE} and {GONE}, 3 mL/min/m2"),
        ([], "see report.json and doe.nii.gz", f"see report.json and {GONE}"),
        ([], "UID 1.2.840.113619.2.55.3 of version 0.1.0", f"UID {GONE} of version 0.1.0"),
        ([], "scanned 2019-03-04; Ann Surg 2013;254:1", f"scanned {GONE}; Ann Surg 2013;254:1"),
        ([], "https://doi.org/10.1097/SLA.1 stays", "https://doi.org/10.1097/SLA.1 stays"),
    ],
)
def test_sentences_lose_what_names_and_nothing_else(words, text, left):
    assert Identifiers(telling(words)).hidden(text) == left


def test_a_hostile_name_is_text_in_the_page(tmp_path):
    """A patient, a case and a file that are called like a script are shown, and do not run."""
    evil = "<script>alert(1)</script>"
    name = "<img src=x onerror=alert(2)>"
    for path in (SAMPLE / "ct").glob("*.dcm"):
        file = pydicom.dcmread(path)
        file.PatientName = file.PatientID = file.SeriesDescription = evil
        (tmp_path / "ct").mkdir(exist_ok=True)
        file.save_as(tmp_path / "ct" / path.name)
    shutil.copy(SAMPLE / "masks" / "liver.nii.gz", tmp_path / "liver.nii.gz")
    shutil.copy(SAMPLE / "masks" / "tumour1.nii.gz", tmp_path / f"{name}.nii.gz")
    case = tmp_path / "case.toml"
    case.write_text(
        f"[case]\nid = {json.dumps(evil)}\n[image]\npath = 'ct'\n"
        f"[masks]\nliver = 'liver.nii.gz'\nlesions = [{json.dumps(name + '.nii.gz')}]\n"
        f"[[stage]]\nname = {json.dumps(evil)}\n"
        "resections = [{ kind = 'plane', point_mm = [0, 0, 0], normal = [-1, 0, 0] }]\n"
    )
    done = flr("run", case, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    page = (tmp_path / "out" / "report.html").read_text()
    assert evil not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "&lt;img src=x onerror=alert(2)&gt;" in page
    for picture in (tmp_path / "out" / "figures").glob("*.svg"):
        assert "<script" not in picture.read_text()
    assert pydicom.dcmread(tmp_path / "out" / "dicom" / "sr.dcm").PatientID == evil
