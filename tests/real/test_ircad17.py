"""A real patient through the real command line, against a brute-force recomputation.

3D-IRCADb-01, patient 17: two lesions, one on each side.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import highdicom as hd
import pytest
from pypdf import PdfReader

ROOT = Path(__file__).resolve().parents[2]
PLANS = ("right_hepatectomy_segments", "right_hepatectomy_plane", "two_stage")


@pytest.fixture(scope="module")
def brute_force(real_data):
    """Every amount, from plain arrays on the whole grid, by a script that does not know the package."""
    script = ROOT / "tests" / "real" / "brute_force.py"
    assert "flr_volumetry" not in "".join(
        line for line in script.read_text().splitlines(keepends=True) if line.startswith(("import", "from"))
    )
    done = subprocess.run(
        [sys.executable, str(script), str(real_data)], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def folders(real_data, tmp_path_factory):
    """What ``flr run`` writes for each plan."""
    found = {}
    for name in PLANS:
        out = tmp_path_factory.mktemp("ircad17") / name
        case = ROOT / "pipelines" / "ircad17" / f"{name}.toml"
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "flr_volumetry",
                "run",
                str(case),
                "--root",
                str(real_data),
                "--out",
                str(out),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found[name] = out
    return found


@pytest.fixture(scope="module")
def reports(folders):
    """The report.json of each plan."""
    return {name: json.loads((out / "report.json").read_text()) for name, out in folders.items()}


def voxels(ml, brute_force):
    """Millilitres as a whole number of voxels, to a thousandth of one."""
    count = ml / brute_force["voxel_ml"]
    assert count == pytest.approx(round(count), abs=1e-3)
    return round(count)


def test_liver_tumours_and_portal_vein_have_their_published_volumes(reports):
    """1860.6, 85.6, 78.6 and 47.5 mL, to 0.1 mL."""
    report = reports["two_stage"]
    inputs = {i["role"]: i["description"] for i in report["provenance"]["inputs"]}

    assert report["volumes"]["total_ml"] == pytest.approx(1860.6, abs=0.1)
    assert [lesion["ml"] for lesion in report["lesions"]] == pytest.approx([85.6, 78.6], abs=0.1)
    assert inputs["portal vein"] == "47.5 mL"


@pytest.mark.parametrize("name", PLANS[:2])
def test_every_volume_agrees_with_brute_force_to_the_voxel(name, reports, brute_force):
    """Total, tumour, remnant, each stage, each segment: the same whole number of voxels."""
    report, truth = reports[name], brute_force["plans"][name]
    volumes = report["volumes"]

    for key, expected in [
        ("total_ml", truth["total"]),
        ("tumour_ml", truth["tumour"]),
        ("functional_ml", truth["total"] - truth["tumour"]),
        ("remnant_ml", truth["remnant"]),
        ("remnant_functional_ml", truth["remnant_functional"]),
        ("resected_ml", sum(truth["resected_by_stage"])),
    ]:
        assert voxels(volumes[key], brute_force) == expected, key
    stages = [voxels(stage["resected_ml"], brute_force) for stage in report["stages"]]
    assert stages == truth["resected_by_stage"]
    assert len(report["segments"]) == 9
    for row in report["segments"]:
        counted = [voxels(row["ml"], brute_force), voxels(row["remnant_ml"], brute_force)]
        assert counted == truth["segments"][str(row["segment"])]


def test_a_wedge_takes_more_than_the_voxel_centres_tell_and_less_than_they_allow(reports, brute_force):
    """The lesion's surface runs between its outermost centres and half a voxel's diagonal beyond."""
    volumes, stages = reports["two_stage"]["volumes"], reports["two_stage"]["stages"]
    least, most = brute_force["plans"]["two_stage"], brute_force["plans"]["two_stage_most"]

    wedge = voxels(stages[0]["resected_ml"], brute_force)
    assert least["resected_by_stage"][0] < wedge < most["resected_by_stage"][0]
    assert most["remnant"] < voxels(volumes["remnant_ml"], brute_force) < least["remnant"]
    assert voxels(volumes["total_ml"], brute_force) == least["total"]
    assert voxels(volumes["tumour_ml"], brute_force) == least["tumour"]
    parts = [voxels(stage["resected_ml"], brute_force) for stage in stages]
    assert sum(parts) + voxels(volumes["remnant_ml"], brute_force) == least["total"]


@pytest.mark.parametrize("name", PLANS)
def test_every_margin_agrees_with_brute_force(name, reports, brute_force):
    """Diameter and what stays exactly; margins: surfaces are nearer than centres, by up to a diagonal."""
    diagonal = brute_force["diagonal_mm"]
    for found, truth in zip(reports[name]["lesions"], brute_force["plans"][name]["lesions"], strict=True):
        assert voxels(found["ml"], brute_force) == truth["voxels"]
        assert voxels(found["remaining_ml"], brute_force) == truth["remaining"]
        assert found["cleared"] is (truth["remaining"] == 0)
        assert truth["margin_mm"] - diagonal <= found["margin_mm"] <= truth["margin_mm"] + 1e-6
        assert found["longest_diameter_mm"] == pytest.approx(truth["diameter_mm"], abs=1e-6)


def test_the_indices_are_the_definitions(reports):
    """FLR is functional remnant over functional liver, recomputed from the report's own volumes."""
    for report in reports.values():
        volumes, indices = report["volumes"], report["indices"]
        assert indices["flr"]["value"] == pytest.approx(
            volumes["remnant_functional_ml"] / volumes["functional_ml"]
        )
        assert indices["flr_of_total"]["value"] == pytest.approx(volumes["remnant_ml"] / volumes["total_ml"])


def test_gaps_of_the_segment_map_are_said(reports):
    """0.6 mL of the liver carry no segment, and 33 voxels of lesion 1 stay in them."""
    codes = {c["code"]: c["message"] for c in reports["two_stage"]["caveats"]}

    assert "0.6 of the liver's 1860.6 mL carry no segment" in codes["liver_without_segment"]
    assert "0.03 of its 85.6 mL" in codes["lesion_stays"]


@pytest.mark.parametrize("name", PLANS)
def test_the_pdf_says_what_the_report_says_on_four_pages(name, folders, reports):
    """The answer on the first page; every lesion, segment, rule, caveat and input on the rest."""
    report = reports[name]
    pages = [" ".join(page.extract_text().split()) for page in PdfReader(folders[name] / "report.pdf").pages]
    assert 2 <= len(pages) <= 4
    whole = " ".join(pages)
    assert f"{report['volumes']['remnant_functional_ml']:.0f} mL" in pages[0]
    assert f"{100 * report['indices']['flr']['value']:.1f} %" in pages[0]
    assert ("NOT CLEARED" in pages[0]) == any(not lesion["cleared"] for lesion in report["lesions"])
    for lesion in report["lesions"]:
        assert f"{lesion['ml']:.1f} mL" in whole
        assert f"{lesion['longest_diameter_mm']:.1f} mm" in whole
    for segment in report["segments"]:
        assert f"{segment['ml']:.1f} mL" in whole
    for finding in report["findings"]:
        assert finding["rule"] in whole
        if finding["margin_ml"] is not None:
            assert f"{abs(finding['margin_ml']):.1f} mL" in whole
    # A long path is broken at its hyphens, and a sentence by the head and foot of a page.
    running = rf"Future liver remnant, case {report['case']['id']}|Research use only, not a medical device\."
    foot = r"flr_volumetry [\d.]+\. It compares .*? page \d of \d"
    close = "".join(re.sub(f"{running}|{foot}", "", whole).split())
    for said in (*(c["message"] for c in report["caveats"]), *report["methods"]):
        assert "".join(said.split()) in close
    for given in report["provenance"]["inputs"]:
        assert given["sha256"] in whole


def test_dicom_objects_hold_the_real_partition(folders, reports, real_data):
    """By our reader and by highdicom; each plan's segments are its report's amounts; no validator objects."""
    from flr_volumetry.io import read_image, read_label_map, read_masks

    grid = read_image(real_data / "ircad17" / "PATIENT_DICOM").grid
    for name, out in folders.items():
        volumes = reports[name]["volumes"]
        partition = read_label_map(out / "partition.nii.gz").voxels
        masks = read_masks(out / "dicom" / "seg_plan.dcm", grid=grid)
        total = sum(mask.voxels.astype(int) for mask in masks.values())
        assert (total == (partition > 0)).all()
        remnant = next(mask for key, mask in masks.items() if "remnant" in key.lower())
        assert remnant.ml == pytest.approx(volumes["remnant_functional_ml"], rel=1e-6)
        content = hd.sr.srread(out / "dicom" / "sr.dcm").content
        groups = {g.tracking_identifier: g for g in content.get_volumetric_roi_measurement_groups()}
        found = {m.name.meaning: m.value for m in groups["Future liver remnant"].get_measurements()}
        assert found["Volume"] == pytest.approx(volumes["remnant_functional_ml"], rel=1e-9)
        assert found["FLR / FTLV (D8)"] == pytest.approx(100 * reports[name]["indices"]["flr"]["value"])


def test_validators_accept_the_dicom_objects(folders, real_data):
    """Dciodvfy on each object, dcentvfy on all of them with the 119 images."""
    tools = [shutil.which(name) for name in ("dciodvfy", "dcentvfy")]
    if None in tools:
        pytest.skip("dciodvfy and dcentvfy are not installed (Debian package dicom3tools)")
    images = sorted((real_data / "ircad17" / "PATIENT_DICOM").iterdir())
    objects = sorted((folders["two_stage"] / "dicom").glob("*.dcm"))
    said = [subprocess.run([tools[0], p], capture_output=True, text=True, check=False) for p in objects]
    said.append(subprocess.run([tools[1], *objects, *images], capture_output=True, text=True, check=False))
    lines = [line for done in said for line in (done.stdout + done.stderr).splitlines()]
    assert len(objects) >= 10
    assert not [line for line in lines if line.startswith("Error")]
