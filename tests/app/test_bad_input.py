"""What people get wrong about patients, tests and rules: refused or flagged, through the command line."""

from __future__ import annotations

import json
import shutil

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner

import flr_volumetry as flr
from flr_volumetry.app.cli import main
from flr_volumetry.app.sample import sample_case

SAMPLE = sample_case().parent
BODY = "height_cm = 170\nweight_kg = 70\n"
OWN = """
key = "my-site"
title = "My site"
version = "1.0"
description = "Made up."

[[rule]]
id = "M1"
title = "half"
index = "flr"
denominator = "functional liver volume (D8)"
op = ">="
threshold_percent = 50
population = "all"
effect_below = "less"
effect_above = "more"
citation = { text = "Made up 2000" }
evidence = "ASSUMED"
"""


def run(tmp_path, *replacements, more=""):
    """Run the sample case with texts of it replaced, and without its vessels."""
    text = (SAMPLE / "case.toml").read_text()
    vessels = [line for line in text.splitlines() if line.startswith(("portal_vein", "hepatic_veins"))]
    for old, new in (*((line, "") for line in vessels), *replacements):
        assert old in text
        text = text.replace(old, new)
    case = tmp_path / "case.toml"
    case.write_text(text + more)
    out = tmp_path / "out"
    return CliRunner().invoke(main, ["run", str(case), "--root", str(SAMPLE), "--out", str(out)]), out


def even_map(folder, *, slices=60):
    """Write a map of one value on a grid of 8 mm, oblique to the scan, around the sample's liver."""
    image = flr.read_image(SAMPLE / "ct")
    middle = image.grid.affine @ np.array([*(np.array(image.grid.shape) - 1) / 2, 1.0])
    turn = np.array([[0.96, -0.28, 0.0], [0.28, 0.96, 0.0], [0.0, 0.0, 1.0]])
    affine = np.eye(4)
    affine[:3, :3] = 8.0 * turn @ np.diag([-1, -1, 1])
    affine[:3, 3] = -affine[:3, :3] @ np.array([39.5, 39.5, slices / 2])
    affine[:3, 3] += np.diag([-1, -1, 1]) @ middle[:3]
    path = folder / "spect.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.full((80, 80, slices), 50, dtype=np.float32), affine), path)
    return path.as_posix()


def test_a_map_that_does_not_cover_the_liver_is_refused(tmp_path):
    path = even_map(tmp_path, slices=4)
    result, out = run(tmp_path, more=f'\n[function]\nmap = "{path}"\nmap_kind = "mebrofenin_spect"\n')
    assert result.exit_code == 1
    assert "[map_does_not_cover]" in result.stderr
    assert not out.exists()


REFUSED = {
    "height in metres": ((BODY, "height_cm = 1.70\nweight_kg = 70\n"), "height_in_metres", "metres"),
    "height in millimetres": (
        (BODY, "height_cm = 1700\nweight_kg = 70\n"),
        "implausible_height",
        "another unit",
    ),
    "height and weight swapped": (
        (BODY, "height_cm = 70\nweight_kg = 170\n"),
        "implausible_height",
        "swapped",
    ),
    "weight in grams": ((BODY, "height_cm = 170\nweight_kg = 70000\n"), "implausible_weight", "grams"),
    "weight of a child in an adult": (
        (BODY, "height_cm = 190\nweight_kg = 35\n"),
        "implausible_body",
        "do not|Are height and weight",
    ),
    "weeks below nought": (
        ("chemotherapy_weeks = 16", "chemotherapy_weeks = -3"),
        "implausible_weeks",
        "0 to",
    ),
    "parenchyma that is none": (
        ('parenchyma = "chemotherapy"', 'parenchyma = "bad"'),
        "bad_case",
        "parenchyma",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_patient_who_cannot_be_is_refused(tmp_path, name):
    """Status 1, the reason code, what it may be instead, and nothing written."""
    change, reason, said = REFUSED[name]
    result, out = run(tmp_path, change)

    assert result.exit_code == 1
    assert result.stdout == ""
    assert f"[{reason}]" in result.stderr
    assert any(word in result.stderr for word in said.split("|"))
    assert not out.exists()


FUNCTION_REFUSED = {
    "bilirubin in both units": ("bilirubin_mg_per_dl = 1\nbilirubin_umol_per_l = 17", "bad_case", "not both"),
    "bilirubin in the other unit": ("bilirubin_mg_per_dl = 90", "out_of_range", "micromol/L"),
    "albumin in the other unit": ("albumin_g_per_dl = 40", "out_of_range", "g/L"),
    "platelets per microlitre": ("platelets_per_nl = 150000", "out_of_range", "per microlitre"),
    "share in percent": ("mebrofenin_remnant_share = 35", "out_of_range", "fraction"),
    "misspelt test": ("bilirubine_mg_per_dl = 1", "unknown_key", "Did you mean 'bilirubin_mg_per_dl'"),
    "map without its kind": ('map = "spect.nii.gz"', "bad_case", "go together"),
    "ICG twice": ("icg_r15_percent = 10\nicg_k_per_min = 0.15", "bad_case", "not both"),
}


@pytest.mark.parametrize("name", FUNCTION_REFUSED)
def test_a_test_of_function_that_cannot_be_is_refused(tmp_path, name):
    lines, reason, said = FUNCTION_REFUSED[name]
    result, out = run(tmp_path, more=f"\n[function]\n{lines}\n")

    assert result.exit_code == 1
    assert f"[{reason}]" in result.stderr
    assert said in result.stderr
    assert not out.exists()


RULES_REFUSED = {
    "without source": ('citation = { text = "Made up 2000" }\n', "", "rule_without_source"),
    "with an empty source": ('text = "Made up 2000"', 'text = ""', "rule_without_source"),
    "on a formula in grams": ('index = "flr"', 'index = "sflr_t8"', "grams_not_millilitres"),
    "on an unknown ratio": ('index = "flr"', 'index = "sflr_t99"', "unknown_index"),
    "general knowledge, enabled": ('evidence = "ASSUMED"', 'evidence = "GK-H"', "unverified_rule_enabled"),
}


@pytest.mark.parametrize("name", RULES_REFUSED)
def test_a_rule_that_must_not_be_used_is_refused(tmp_path, name):
    """A site's protocol in a folder of its own, named by the case."""
    old, new, reason = RULES_REFUSED[name]
    assert old in OWN
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "my-site.toml").write_text(OWN.replace(old, new))
    folder = f'protocols = ["my-site"]\nprotocol_folder = "{(tmp_path / "rules").as_posix()}"'
    result, out = run(tmp_path, ('protocols = ["consensus-20-30-40", "review-2014"]', folder))

    assert result.exit_code == 1
    assert f"[{reason}]" in result.stderr
    assert "my-site" in result.stderr
    assert not out.exists()


@pytest.fixture(scope="module")
def tested(tmp_path_factory):
    """Run the sample with tests of function, weeks of chemotherapy but no parenchyma, and a site's rule."""
    folder = tmp_path_factory.mktemp("tested")
    (folder / "rules").mkdir()
    (folder / "rules" / "my-site.toml").write_text(OWN)
    protocols = (
        'protocols = ["consensus-20-30-40", "liver-function", "my-site"]\n'
        f'protocol_folder = "{(folder / "rules").as_posix()}"'
    )
    result, out = run(
        folder,
        ('parenchyma = "chemotherapy"\n', ""),
        ('protocols = ["consensus-20-30-40", "review-2014"]', protocols),
        more="\n[function]\nbilirubin_umol_per_l = 12\nalbumin_g_per_l = 41\nicg_r15_percent = 8\n"
        'mebrofenin_percent_per_min = 14\nascites = "none"\npdff_percent = 18\n'
        f'map = "{even_map(folder)}"\nmap_kind = "mebrofenin_spect"\n'
        '[attested]\nfit_for_surgery = true\nextrahepatic_sites = ["lung"]\nresectability_group = 2\n'
        'ecmtg_stage = "M1b"\nchemotherapy_response = "stable"\n',
    )
    assert result.exit_code == 0, result.output
    yield result.stdout, json.loads((out / "report.json").read_text()), (out / "report.html").read_text()
    shutil.rmtree(folder)


def test_weeks_of_chemotherapy_without_parenchyma_are_flagged(tested):
    """A caveat says so, and the rules for chemotherapy stay unevaluated."""
    _, report, _ = tested
    assert "chemotherapy_without_parenchyma" in {c["code"] for c in report["caveats"]}
    rules = {f["rule"]: f for f in report["findings"]}
    assert rules["V17c"]["state"] == "not_evaluable"
    assert "not given" in rules["V17c"]["reason"]


def test_tests_of_function_stand_in_every_output(tested):
    """G5 in report.json with op, met, source and evidence; in the summary; on the page."""
    text, report, html = tested
    rules = {f["rule"]: f for f in report["findings"]}
    g5 = rules["G5"]

    assert (g5["op"], g5["met"], g5["state"], g5["margin_ml"]) == (">=", False, "clear_below", None)
    mapped = report["function"]["map"]
    assert mapped["remnant_share"] == pytest.approx(mapped["volume_share"], rel=1e-9)
    assert mapped["volume_share"] == pytest.approx(report["indices"]["flr"]["value"], rel=1e-9)
    assert g5["value"] == pytest.approx(14 * mapped["remnant_share"] / 1.818119, rel=1e-5)
    assert "share of function by the map" in text
    assert {"possible_steatosis", "map_does_not_show_liver"} <= {c["code"] for c in report["caveats"]}
    assert "functional map" in {i["role"] for i in report["provenance"]["inputs"]}
    assert g5["source"]
    assert g5["evidence"] == "FOUND"
    assert rules["G9a"]["met"] is True
    assert rules["G9a"]["op"] == "<="
    assert rules["G10a"]["state"] == "not_evaluable"
    missing = {m["key"]: m["reason"] for m in report["function"]["missing"]}
    assert "inr and creatinine_mg_per_dl are not given" in missing["meld"]
    assert report["indices"]["icgk_flr"]["unit"] == "/min"
    assert "G5 asks for at least 2.69 %/min/m2" in text
    assert "NOT as asked for" in text
    assert 'id="function"' in html
    assert "PMC2809979" in html
    assert rules["M1"]["state"] == "clear_below"


def test_systems_say_what_was_computed_attested_and_missing(tested):
    """Counts and diameters from the masks, statements from the case file, in all three outputs."""
    text, report, html = tested
    lists = {c["key"]: {i["key"]: i for i in c["items"]} for c in report["checklists"]}

    assert len(lists) == 14
    fong = lists["fong-1999"]
    assert fong["several_lesions"]["basis"] == "computed"
    assert fong["several_lesions"]["said"].startswith(f"{len(report['lesions'])} lesions")
    largest = max(x["longest_diameter_mm"] for x in report["lesions"])
    assert f"{largest:.1f} mm" in fong["large_lesion"]["said"]
    assert fong["high_cea"]["basis"] == "missing"
    assert lists["jsccr-2010"]["tolerates_surgery"] == {
        "key": "tolerates_surgery",
        "question": "Is the patient capable of tolerating surgery?",
        "answer": "yes",
        "basis": "attested",
        "said": "attested by fit_for_surgery",
    }
    assert lists["oncosurge-2005"]["few_and_unilobar_or_shrunk"]["answer"] == "no"
    assert lists["ecmtg"]["ajcc8"]["said"] == "ajcc8:M1b"
    assert "Systems of the literature" in text
    two = report["pathway"]["two_stage"]
    assert [(x["side"], x["how"], x["stage"]) for x in two["lesions"]] == [
        ("right", "hepatectomy", 2),
        ("right", "hepatectomy", 2),
        ("left", "wedge", 1),
    ]
    assert two["to_grow_ml"] == report["volumes"]["remnant_functional_ml"]
    assert two["uncleared"] == []
    assert two["band"]["weeks"] == 4
    assert "has to grow (D5)" in text
    assert 'id="two_stage"' in html
    assert 'id="checklists"' in html
    assert "Poston et al." in html
    assert "resectable" not in (text + html).lower().replace("unresectable liver metastases", "")


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("performance_status = 7", "out_of_range"),
        ("synchronous = true\ndisease_free_months = 6", "contradiction"),
        ('extrahepatic_sites = ["skin"]', "bad_case"),
        ("fit_for_surgry = true", "unknown_key"),
    ],
)
def test_a_statement_that_cannot_be_is_refused(tmp_path, lines, reason):
    result, out = run(tmp_path, more=f"\n[attested]\n{lines}\n")
    assert result.exit_code == 1
    assert f"[{reason}]" in result.stderr
    assert not out.exists()


def test_the_default_protocols_take_in_the_tests_where_there_are_any():
    from flr_volumetry.app.case import make_case

    data = {
        "case": {"id": "x"},
        "masks": {"liver": "l.nii"},
        "stage": [{"resections": [{"kind": "segments", "segments": [2]}]}],
    }
    assert make_case(data).protocol_keys() == ("consensus-20-30-40", "review-2014")
    assert make_case({**data, "function": {"inr": 1.0}}).protocol_keys()[-1] == "liver-function"
