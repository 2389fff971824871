"""Plans side by side: the numbers of each report, and no comparison of what is not comparable."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner

from flr_volumetry.app.cli import main
from flr_volumetry.app.compare import write_compare
from flr_volumetry.errors import CaseError, UnreadableError
from flr_volumetry.report import report_json
from flr_volumetry.report.compare_page import PlanReport, compare_rows, render_compare
from flr_volumetry.report.document import sealed
from tests.report.cases import make_case

PNG = b"\x89PNG\r\n\x1a\n not really"
HOSTILE = "<script>alert(1)</script>"


def a_report(tmp_path, name, **changes):
    """Write a report.json like that of a run, with some of it changed, and its digest made anew."""
    document = report_json(make_case("axial")[2])
    document["case"]["id"] = name
    for path, value in changes.items():
        place = document
        *way, last = path.split("__")
        for step in way:
            place = place[int(step)] if isinstance(place, list) else place[step]
        place[last] = value
    folder = tmp_path / re.sub(r"\W", "_", name)
    folder.mkdir(exist_ok=True)
    file = folder / "report.json"
    file.write_text(json.dumps(sealed(document)))
    return file


@pytest.fixture
def two(tmp_path):
    other = {
        "volumes__remnant_functional_ml": 612.4,
        "volumes__remnant_functional_ml_interval": [570.0, 654.8],
        "findings__0__state": "clear_below",
        "findings__0__margin_ml": -77.7,
        "lesions__0__cleared": False,
        "lesions__0__remaining_ml": 3.2,
    }
    return a_report(tmp_path, "plan A"), a_report(tmp_path, "plan B", **other)


def rows_of(*files):
    plans = [PlanReport(f.parent.name, json.loads(f.read_text())) for f in files]
    return {row.title: row.cells for row in compare_rows(plans)}


def test_each_column_holds_the_numbers_of_its_report(two):
    rows = rows_of(*two)
    documents = [json.loads(file.read_text()) for file in two]
    remnant = rows["Future liver remnant"]
    assert [cell.text for cell in remnant] == [
        f"{documents[0]['volumes']['remnant_functional_ml']:.0f} mL",
        "612 mL",
    ]
    assert remnant[1].detail == "570.0 to 654.8 mL"
    first = documents[0]["findings"][0]
    rule = next(cells for title, cells in rows.items() if title.startswith(f"{first['rule']} ("))
    assert (rule[1].text, rule[1].detail, rule[1].css) == ("▼ clearly below", "77.7 mL missing", "below")
    assert [cell.text for cell in rows["Lesions cleared"]] == ["3 of 3", "▼ 2 of 3"]
    assert rows["Lesions cleared"][1].detail == "not: 1 (3.2 mL stay)"
    assert rows["Cut surface"][0].text == f"{documents[0]['consequences']['cut_area_cm2']:.1f} cm2"


def test_the_command_writes_page_text_and_json(two, tmp_path):
    out = tmp_path / "out"
    done = CliRunner().invoke(main, ["compare", *map(str, two), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "77.7 mL missing" in done.stdout
    page = (out / "compare.html").read_text(encoding="utf-8")
    assert "plan A" in page
    assert "612 mL" in page
    document = json.loads((out / "compare.json").read_text())
    assert [plan["name"] for plan in document["plans"]] == ["plan A", "plan B"]
    assert {o["path"] for o in document["outputs"]} == {"compare.html", "summary.txt"}
    assert sealed(document) == document
    again = CliRunner().invoke(main, ["compare", *map(str, two), "--out", str(out)])
    assert again.exit_code == 0, again.output


def test_one_report_is_misuse(two, tmp_path):
    done = CliRunner().invoke(main, ["compare", str(two[0]), "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert "two reports or more" in done.stderr


def test_plans_of_different_patients_are_refused(tmp_path):
    one = a_report(tmp_path, "one", case__patient_key="a" * 16)
    other = a_report(tmp_path, "other", case__patient_key="b" * 16)
    with pytest.raises(CaseError, match="different DICOM patients") as refused:
        write_compare([one, other], tmp_path / "out")
    assert refused.value.reason == "other_patient"
    assert not (tmp_path / "out").exists()


def test_an_edited_report_is_refused(two, tmp_path):
    two[1].write_text(two[1].read_text().replace("612.4", "812.4"))
    with pytest.raises(CaseError, match="edited"):
        write_compare(two, tmp_path / "out")
    with pytest.raises(UnreadableError):
        write_compare([two[0], tmp_path / "nothing.json"], tmp_path / "out")


def test_other_masks_are_said(tmp_path):
    """A difference between remnants of two masks is not of the plans alone."""
    files = (a_report(tmp_path, "one"), a_report(tmp_path, "two", volumes__total_ml=1234.5))
    _, text = write_compare(files, tmp_path / "out")
    assert "are not the same" in text
    assert "1234.5 mL" in text


def test_plans_of_one_name_are_numbered(tmp_path):
    files = (a_report(tmp_path / "..", "same"), a_report(tmp_path, "same"))
    _, text = write_compare(files, tmp_path / "out")
    assert "same (1)" in text
    assert "same (2)" in text


def test_a_picture_is_shown_only_if_it_is_the_one_that_was_written(two, tmp_path):
    listed = [{"path": "figures/plan.png", "sha256": "0" * 64}]
    edited = a_report(tmp_path, "edited", outputs=listed)
    (edited.parent / "figures").mkdir()
    (edited.parent / "figures" / "plan.png").write_bytes(PNG)
    page, _ = write_compare([two[0], edited], tmp_path / "out")
    assert "data:image/png" not in page.read_text()
    shown = render_compare([PlanReport("a", json.loads(two[0].read_text()), PNG)], (), version="1")
    assert "data:image/png" in shown


def test_hostile_names_are_shown_as_text(tmp_path):
    files = (a_report(tmp_path, "one"), a_report(tmp_path, HOSTILE, stages__0__resections=[HOSTILE]))
    page, _ = write_compare(files, tmp_path / "out")
    assert HOSTILE not in page.read_text()
    assert "&lt;script&gt;" in page.read_text()
