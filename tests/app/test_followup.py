"""``flr followup`` through the real command line, on a phantom whose growth is known."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator
from pypdf import PdfReader

from flr_volumetry.app.cli import main
from flr_volumetry.app.same_patient import require_same_patient
from flr_volumetry.assessment.model import ScanFacts
from flr_volumetry.errors import CaseError
from flr_volumetry.images import LabelMap
from flr_volumetry.io import read_label_map, read_markups, write_label_map, write_mask
from flr_volumetry.phantom import LesionSpec
from flr_volumetry.report.document import report_schema, sealed
from flr_volumetry.report.followup_page import followup_schema
from flr_volumetry.segmentation import deform, registration
from flr_volumetry.segmentation.spline import Level
from flr_volumetry.volumetry.patient import Patient
from tests.segmentation.grown import GROWTH, PHANTOM, SHIFT, TURN, oblique

RECIPE = Path(__file__).resolve().parents[2] / "pipelines" / "pve"
NEW = LesionSpec((5.0, -45.0, 50.0), 16.0)
"""Left of the cut, in what stays."""
BEFORE, WEEK_4, WEEK_6 = "2024-05-01", "2024-05-31", "2024-06-14"
QUICK = (Level(8.0, 24.0, 2),)


def flr_command(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)


def write_case(folder, phantom, grid, *, date, sex="F", extra=""):
    """The phantom's masks as a case without a scan."""
    folder.mkdir()
    masks = phantom.structures(grid)
    lesions = [f"t{n}.nii.gz" for n in range(1, len(masks.lesions) + 1)]
    parts = [("liver", masks.liver), ("pv", masks.portal_vein), ("hv", masks.hepatic_veins)]
    parts += [(name.removesuffix(".nii.gz"), m) for name, m in zip(lesions, masks.lesions, strict=True)]
    for name, mask in parts:
        write_mask(folder / f"{name}.nii.gz", mask)
    (folder / "case.toml").write_text(
        f'[case]\nid = "{folder.name}"\n[patient]\nsex = "{sex}"\nheight_cm = 150\nweight_kg = 40\n'
        f'[masks]\ndate = {date}\nliver = "liver.nii.gz"\nlesions = {json.dumps(lesions)}\n'
        f'portal_vein = "pv.nii.gz"\nhepatic_veins = "hv.nii.gz"\n{extra}'
    )
    return folder / "case.toml"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The recipe of pipelines/pve: the baseline's report, and the follow-up by carrying its plan over."""
    root = tmp_path_factory.mktemp("followup")
    write_case(root / "before", PHANTOM, PHANTOM.default_grid((3.0, 3.0, 3.0)), date=BEFORE)
    sick = replace(PHANTOM.spec, lesions=(*PHANTOM.spec.lesions, NEW))
    after = replace(PHANTOM, spec=sick).grown(GROWTH).placed(TURN, SHIFT)
    grid = oblique(after.default_grid((2.7, 2.7, 3.6)))
    write_case(root / "week_4", after, grid, date=WEEK_4)
    before, week_4 = (Path(shutil.copy(RECIPE / f"{name}.toml", root)) for name in ("before", "week_4"))
    assert flr_command("run", before, "--out", root / "out_before").exit_code == 0
    result = flr_command(
        "followup", root / "out_before" / "report.json", week_4,
        "--procedure-date", "2024-05-03", "--out", root / "growth",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return root, result


@pytest.fixture
def growth(world):
    return json.loads((world[0] / "growth" / "followup.json").read_text())


@pytest.fixture
def copy(world, tmp_path):
    """The baseline's folder, to be edited."""
    return Path(shutil.copytree(world[0] / "out_before", tmp_path / "base"))


@pytest.fixture
def quick(monkeypatch):
    """Registration by a few rounds: for what does not depend on where the cut lands."""
    monkeypatch.setattr(registration, "LEVELS", QUICK)
    monkeypatch.setattr(deform, "RIGID_STEP_MM", 14.0)


def refused(result, reason):
    assert result.exit_code == 1, result.output
    assert f"[{reason}]" in result.stderr, result.stderr
    assert "Traceback" not in result.output


def test_growth_comes_back_inside_its_intervals(world, growth):
    """The remnant grew by exactly 35 %, less what a new lesion in it takes; the other side shrank by 18 %."""
    before = json.loads((world[0] / "out_before" / "report.json").read_text())
    (scan,) = growth["scans"]
    flr_0, telv = before["volumes"]["remnant_functional_ml"], before["indices"]["sflr"]["denominator_amount"]
    new_ml = scan["lesions"][-1]["after"][0]["ml"]
    flr_1 = 1.35 * flr_0 - new_ml
    points = 100 * (flr_1 - flr_0) / telv

    def held(key, truth):
        low, high = scan[f"{key}_interval"]
        return low <= truth <= high and scan[key] == pytest.approx(truth, abs=0.25 * (high - low))

    assert held("relative_growth", flr_1 / flr_0 - 1)
    assert held("hypertrophy_points", points)
    assert held("kinetic_growth_rate", points / 4)
    assert scan["remnant_functional_ml"] == pytest.approx(flr_1, rel=0.04)
    assert scan["other_side_change"] == pytest.approx(-0.18, abs=0.025)
    assert growth["denominator"]["kind"] == "telv"
    assert scan["kinetic_growth_rate_caveats"] == []


def test_lesions_are_found_again_and_the_new_one_is_an_alert(growth):
    """Three of the baseline in their places; the fourth is new and stays."""
    (scan,) = growth["scans"]
    assert [(c["change"], [x["number"] for x in c["after"]]) for c in scan["lesions"]] == [
        ("seen_again", [1]), ("seen_again", [2]), ("seen_again", [3]), ("new", [4]),
    ]  # fmt: skip
    assert [c["growth"] for c in scan["lesions"][:3]] == pytest.approx([-0.18, -0.18, 0.35], abs=0.08)
    codes = [c["code"] for c in growth["caveats"]]
    assert codes[0] == "new_lesion_in_remnant"
    assert "patient_not_verified" in codes


def test_the_documents_are_valid_and_seal_what_they_list(world, growth):
    """Both schemas; every file listed with its digest; the carried plane in a file that Slicer opens."""
    folder = world[0] / "growth"
    Draft202012Validator(followup_schema()).validate(growth)
    Draft202012Validator(report_schema()).validate(
        json.loads((folder / "scan_1" / "report.json").read_text())
    )
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}

    assert sealed(growth) == growth
    assert there == {"followup.json", *(o["path"] for o in growth["outputs"])}
    (plane,) = growth["carried"][0]["planes"]
    (markup,) = read_markups(folder / "plan_scan_1.mrk.json")
    assert markup.point_mm == pytest.approx(plane["point_mm"])
    true = TURN @ np.asarray(GROWTH.normal)
    assert np.dot(plane["normal"], -true) > np.cos(np.radians(6))
    height = (np.asarray(plane["point_mm"]) - (TURN @ np.asarray(GROWTH.point_mm) + SHIFT)) @ true
    assert abs(height) < 3
    assert plane["residual_mm"] < 4


def test_the_summary_says_what_grew(world, growth):
    """On standard output, the page on standard error; the same text in the folder."""
    folder, result = world
    assert result.stdout == (folder / "growth" / "summary.txt").read_text()
    assert "degree of hypertrophy" in result.stdout
    assert "is new and lies in the remnant" in " ".join(result.stdout.split())
    assert "followup.html" in result.stderr
    page = (folder / "growth" / "followup.html").read_text()
    assert page.count("<img ") == 2
    assert f"{growth['scans'][0]['remnant_functional_ml']:.1f} mL" in page


def resealed(world, folder, change, labels=None):
    """A copy of the follow-up's own report with a change, as if a run had written it."""
    shutil.copytree(world[0] / "growth" / "scan_1", folder)
    document = json.loads((folder / "report.json").read_text())
    change(document)
    if labels is not None:
        path = folder / "partition.nii.gz"
        write_label_map(path, labels(read_label_map(path)))
        entry = next(o for o in document["outputs"] if o["path"] == path.name)
        entry["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "report.json").write_text(json.dumps(sealed(document)))
    return folder


def test_two_followups_in_order_of_date_and_a_plan_that_differs_is_said(world, tmp_path, quick):
    """Two reports given the wrong way round; in the second the cut lies 20 mm further to the left."""

    def later(document):
        document["case"].update(id="week 6", scan_date=WEEK_6)
        document["volumes"]["remnant_functional_ml"] *= 1.1

    def moved(map_):
        points = map_.grid.centres_mm(np.argwhere(map_.voxels == 1))
        ahead = (points - (TURN @ np.asarray(GROWTH.point_mm) + SHIFT)) @ (TURN @ np.asarray(GROWTH.normal))
        voxels = map_.voxels.copy()
        voxels[tuple(np.argwhere(map_.voxels == 1)[ahead < 20].T)] = 2
        return LabelMap(map_.grid, voxels)

    result = flr_command(
        "followup", world[0] / "out_before",
        resealed(world, tmp_path / "week_6", later, moved), world[0] / "growth" / "scan_1" / "report.json",
        "--procedure-date", "2024-05-03", "--out", tmp_path / "both",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    document = json.loads((tmp_path / "both" / "followup.json").read_text())
    first, second = document["scans"]
    codes = [c["code"] for c in document["caveats"]]

    assert (first["date"], second["date"]) == (WEEK_4, WEEK_6)
    assert [c["code"] for c in first["kinetic_growth_rate_caveats"]] == []
    assert [c["code"] for c in second["kinetic_growth_rate_caveats"]] == ["kgr_not_first_scan"]
    ratio = second["remnant_functional_ml"] / first["remnant_functional_ml"]
    assert ratio == pytest.approx(1.1)
    assert [view["own_plan_counted"] for view in document["carried"]] == [True, True]
    assert codes.count("plans_differ") == 1


def followed(world, tmp_path, *arguments, base=None):
    root = world[0]
    later = root / "growth" / "scan_1" / "report.json"
    return flr_command(
        "followup", base or root / "out_before" / "report.json", later, "--out", tmp_path / "out", *arguments
    )


def test_a_scan_under_14_days_gives_a_rate_that_is_flagged(world, tmp_path, quick):
    result = followed(world, tmp_path, "--procedure-date", "2024-05-20")
    assert result.exit_code == 0
    assert "not comparable with the published cut" in result.stdout
    assert "11 days after the embolization" in " ".join(result.stdout.split())


def test_reversed_dates_are_refused(world, tmp_path, quick):
    """The later report as baseline; and a procedure after the follow-up."""
    root = world[0]
    reversed_ = flr_command(
        "followup", root / "growth" / "scan_1", root / "out_before", "--out", tmp_path / "out"
    )
    refused(reversed_, "dates_reversed")
    refused(followed(world, tmp_path, "--procedure-date", "2024-07-01"), "dates_reversed")
    assert not (tmp_path / "out").exists()


def test_another_patient_is_refused(world, tmp_path):
    """A man's scan after a woman's, as a report and as a case; and two DICOM patients."""
    base = world[0] / "out_before"

    def man(document):
        document["case"]["patient"]["sex"] = "M"

    later = resealed(world, tmp_path / "man", man)
    refused(flr_command("followup", base, later, "--out", tmp_path / "out"), "other_patient")
    text = (world[0] / "week_4" / "case.toml").read_text()
    (tmp_path / "case.toml").write_text(text.replace('sex = "F"', 'sex = "M"'))
    refused(flr_command("followup", base, tmp_path / "case.toml", "--out", tmp_path / "out"), "other_patient")


def record_of(patient, key=None):
    """A baseline of which only case and patient are asked."""
    case = SimpleNamespace(id="a", patient_key=key, patient=patient)
    return SimpleNamespace(report=SimpleNamespace(case=case))


def test_keys_of_dicom_patients_decide():
    """The same key needs no caveat; another one is refused; none at all is said."""
    record, nobody = record_of(Patient(), "k" * 16), Patient()
    assert require_same_patient(record, ScanFacts(None, "k" * 16), nobody, "b") == ()
    assert [c.code for c in require_same_patient(record, ScanFacts(), nobody, "b")] == [
        "patient_not_verified"
    ]
    with pytest.raises(CaseError, match="two different DICOM patients"):
        require_same_patient(record, ScanFacts(None, "x" * 16), nobody, "b")


@pytest.mark.parametrize(("key", "one", "other"), [("height_cm", 170, 174), ("age", 60, 64), ("age", 60, 58)])
def test_heights_and_ages_that_contradict_are_refused(key, one, other):
    with pytest.raises(CaseError) as error:
        require_same_patient(record_of(Patient(**{key: one})), ScanFacts(), Patient(**{key: other}), "b")
    assert error.value.reason == "other_patient"


def edit(folder, change):
    path = folder / "report.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    return path


def test_an_edited_report_is_refused(world, copy, tmp_path):
    """One number changed by hand."""
    base = edit(copy, lambda d: d["volumes"].update(remnant_functional_ml=200.0))
    refused(followed(world, tmp_path, base=base), "report_edited")


def test_an_edited_or_foreign_partition_is_refused(world, copy, tmp_path):
    """The file beside the report is another case's."""
    shutil.copy(world[0] / "growth" / "scan_1" / "partition.nii.gz", copy / "partition.nii.gz")
    refused(followed(world, tmp_path, base=copy), "digest_mismatch")


@pytest.mark.parametrize("version", ["2.0", "1.0"])
def test_a_report_of_another_schema_is_refused(world, copy, tmp_path, version):
    base = edit(copy, lambda d: d.update(schema_version=version))
    refused(followed(world, tmp_path, base=base), "schema_version")


def test_what_is_no_report_is_refused(world, tmp_path):
    (tmp_path / "x.json").write_text("[1, 2]")
    (tmp_path / "y.json").write_text(json.dumps(sealed({"schema_version": "1.9", "case": 3})))
    refused(followed(world, tmp_path, base=tmp_path / "x.json"), "not_a_report")
    refused(followed(world, tmp_path, base=tmp_path / "y.json"), "not_a_report")
    refused(followed(world, tmp_path, base=tmp_path / "none.json"), "not_found")


def test_the_baseline_is_no_followup_of_itself(world, tmp_path):
    base = world[0] / "out_before" / "report.json"
    refused(flr_command("followup", base, base, "--out", tmp_path / "out"), "same_report")


def test_a_case_that_follows_another_baseline_is_refused(world, tmp_path):
    case = write_case(
        tmp_path / "other", PHANTOM, PHANTOM.default_grid((8.0,) * 3), date=WEEK_4,
        extra='[followup]\nbaseline = "elsewhere/report.json"\n',
    )  # fmt: skip
    result = flr_command("followup", world[0] / "out_before" / "report.json", case, "--out", tmp_path / "out")
    refused(result, "other_baseline")


def test_a_report_without_its_files_still_gives_growth(world, copy, tmp_path):
    """Moved away from its folder: no carried plan and no lesions matched, and a caveat says so."""
    (copy / "partition.nii.gz").unlink()
    result = followed(world, tmp_path, base=copy)
    document = json.loads((tmp_path / "out" / "followup.json").read_text())
    assert result.exit_code == 0
    assert "partition_missing" in {c["code"] for c in document["caveats"]}
    assert document["carried"] == []
    assert document["scans"][0]["lesions"] == []


def test_misuse_is_misuse(world, tmp_path):
    """No follow-up; an unknown procedure; more stages done than there are; a folder that is somebody's."""
    base = world[0] / "out_before" / "report.json"
    assert flr_command("followup", base, "--out", tmp_path / "out").exit_code == 2
    refused(followed(world, tmp_path, "--stages-done", "1"), "no_stage_left")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("x")
    refused(flr_command("followup", base, base, "--out", tmp_path / "mine"), "folder_in_use")


def test_a_case_may_name_its_baseline_and_be_run_alone(world, tmp_path, quick):
    """`flr run` on a later scan without a plan writes a report whose plan is the baseline's."""
    text = (world[0] / "week_4" / "case.toml").read_text()
    base = world[0] / "out_before" / "report.json"
    (tmp_path / "case.toml").write_text(f'{text}[followup]\nbaseline = "{base}"\n')
    result = flr_command(
        "run", tmp_path / "case.toml", "--root", world[0] / "week_4", "--out", tmp_path / "out"
    )
    report = json.loads((tmp_path / "out" / "report.json").read_text())

    assert result.exit_code == 0, result.output
    assert report["case"]["scan_date"] == WEEK_4
    assert report["pathway"]["forecasts"] == []
    assert "no_forecast_in_followup" in {c["code"] for c in report["caveats"]}
    assert [cut["title"] for cut in report["plan"][0]["resections"]] == [
        "resection beyond a plane, carried over"
    ]
    (markup,) = read_markups(tmp_path / "out" / "plan.mrk.json")
    assert "right side" in markup.name or "stage 1" in markup.name


def test_the_pdf_holds_the_numbers_of_the_page(world, growth):
    """Growth of each scan, thresholds and lesions, read back with another library; figures as files."""
    folder = world[0] / "growth"
    reader = PdfReader(folder / "followup.pdf")
    text = " ".join(" ".join(page.extract_text() for page in reader.pages).split())
    assert 1 <= len(reader.pages) <= 4
    assert reader.trailer["/Root"]["/MarkInfo"]["/Marked"]
    for scan in growth["scans"]:
        assert f"{scan['remnant_functional_ml']:.1f} mL" in text
        assert f"{100 * scan['relative_growth']:+.1f} %" in text
        assert f"{scan['hypertrophy_points']:.1f} points" in text
    for caveat in growth["caveats"]:
        assert caveat["message"] in text
    assert {p.name for p in (folder / "figures").iterdir()} >= {"growth.png", "growth.svg", "carried_1.svg"}
