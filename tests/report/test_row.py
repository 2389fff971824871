"""Rows of cases: the numbers of report.json, in columns that stay where they are."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest

from flr_volumetry.assessment.model import State
from flr_volumetry.errors import OutputError
from flr_volumetry.report import report_json, row_files
from flr_volumetry.report.row import CaseRow, Kind, case_row, hardest, joined
from flr_volumetry.report.row_files import rows_csv, rows_metadata, rows_parquet
from tests.report.cases import make_case


@pytest.fixture(scope="module")
def summary():
    return make_case("axial")[2]


@pytest.fixture(scope="module")
def row(summary):
    return case_row(summary)


def read(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_a_row_holds_the_numbers_of_the_report(row, summary):
    """Volumes and ratios with their intervals, segments, lesions, stages, the state of each rule."""
    document = report_json(summary)
    for name in ("total_ml", "remnant_functional_ml", "resected_ml"):
        assert row[name] == document["volumes"][name]
        assert [row[f"{name}_low"], row[f"{name}_high"]] == document["volumes"][f"{name}_interval"]
    for key in ("flr", "flr_of_total", "sflr", "flr_per_body_weight"):
        assert row[key] == document["indices"][key]["value"]
        assert [row[f"{key}_low"], row[f"{key}_high"]] == document["indices"][key]["interval"]
    assert row["flr_denominator_ml"] == document["indices"]["flr"]["denominator_amount"]
    for segment in document["segments"]:
        assert row[f"segment_{segment['segment']}_ml"] == segment["ml"]
        assert row[f"segment_{segment['segment']}_remnant_ml"] == segment["remnant_ml"]
    assert row["lesions"] == row["lesions_cleared"] == len(document["lesions"])
    assert row["smallest_margin_mm"] == min(lesion["margin_mm"] for lesion in document["lesions"])
    assert row["stages"] == len(document["stages"])
    for finding in document["findings"]:
        name = f"{finding['protocol']}.{finding['rule']}"
        assert row[f"{name}.state"] == finding["state"]
        assert row[f"{name}.margin_ml"] == finding["margin_ml"]
        assert row[f"{name}.probability"] == finding["probability_above"]


def test_each_protocol_has_its_hardest_rule(row, summary):
    """The severest state first, then the largest deficit."""
    for protocol in summary.assessment.protocols:
        mine = [f for f in summary.assessment.findings if f.protocol == protocol.key and f.volumetric]
        below = [f for f in mine if f.state is State.CLEAR_BELOW] or [
            f for f in mine if f.state is State.BORDERLINE
        ]
        worst = min(below or mine, key=lambda f: f.margin_ml)
        assert row[f"{protocol.key}.rule"] == worst.rule.id
        assert row[f"{protocol.key}.state"] == worst.state.value
        assert row[f"{protocol.key}.margin_ml"] == worst.margin_ml
    assert hardest([]) is None


def test_names_are_unique_and_columns_the_same_for_every_case(row, summary):
    """A case without lesions, segments, ratios or forecast has the same columns, empty."""
    names = [column.name for column in row.columns]
    assert len(set(names)) == len(names)
    bare = replace(
        summary,
        volumes=replace(summary.volumes, lesions=(), segments=()),
        assessment=replace(summary.assessment, indices=(), findings=(), protocols=(), volume_intervals={}),
        neighbours=(),
        cut_areas=(),
    )
    other = case_row(bare)
    assert other.columns == tuple(c for c in row.columns if not c.by_protocol)
    assert other["lesions"] == 0
    for name in ("flr", "segment_1_ml", "smallest_margin_mm", "forecast_ml", "cut_area_cm2", "total_ml_low"):
        assert other[name] is None
    with pytest.raises(KeyError):
        other["no such column"]


def test_cases_of_different_protocols_share_a_table(row, summary):
    """Common columns first and once; those by protocol after them, V5 before V17; order of rows kept."""
    other = case_row(replace(summary, case_id="second", assessment=replace(summary.assessment, findings=())))
    columns, values = joined([other, row])
    names = [c.name for c in columns]
    assert names == [c.name for c in joined([row, other])[0]]
    assert [line[0] for line in values] == ["second", "sample"]
    place = names.index
    assert place("review-2014.V1.state") < place("review-2014.V6.state") < place("review-2014.V7.state")
    assert place("consensus-20-30-40.V11.state") < place("consensus-20-30-40.V17b.state")
    assert values[0][place("review-2014.V6.state")] is None


def test_csv_reads_back_to_the_digit(row):
    found = read(rows_csv([row]))
    assert len(found) == 1
    for column, value in zip(row.columns, row.values, strict=True):
        text = found[0][column.name]
        if value is None:
            assert text == ""
        elif column.kind is Kind.NUMBER:
            assert float(text) == value
        elif column.kind is Kind.COUNT:
            assert int(text) == value


@pytest.mark.parametrize("name", ["=1+1", "+a", "-a", "@a", 'a,"b"\nc', "山田"])
def test_a_hostile_name_stays_one_cell_and_no_formula(summary, name):
    found = read(rows_csv([case_row(replace(summary, case_id=name))]))
    assert len(found) == 1
    assert not found[0]["case_id"].startswith(("=", "+", "-", "@"))
    assert found[0]["case_id"].lstrip("'") == name.replace("\n", " ")


def test_every_column_is_described_with_its_unit(row):
    """As the W3C's CSV on the Web has it: names, types, meaning; units where there is one."""
    described = json.loads(json.dumps(rows_metadata([row], "row.csv")))
    columns = described["tableSchema"]["columns"]
    assert described["url"] == "row.csv"
    assert [c["name"] for c in columns] == list(read(rows_csv([row]))[0])
    assert all(c["dc:description"] for c in columns)
    units = {c["name"]: c.get("schema:unitText") for c in columns}
    assert (units["total_ml"], units["flr"], units["flr_per_bsa"]) == ("mL", "fraction", "mL/m2")
    assert units["smallest_margin_mm"] == "mm"
    assert all(units[n] == "mL" for n in units if n.endswith("_ml"))


def test_parquet_holds_the_same_typed(row):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(rows_parquet([row, row])))
    assert table.num_rows == 2
    assert table.to_pylist()[0] == dict(zip((c.name for c in row.columns), row.values, strict=True))
    assert table.schema.field("flr").type == pa.float64()
    assert table.schema.field("scan_date").type == pa.date32()
    assert table.schema.field("flr").metadata[b"unit"] == b"fraction"


def test_without_pyarrow_it_is_said_what_to_install(row, monkeypatch):
    monkeypatch.setattr(row_files, "find_spec", lambda name: None)
    with pytest.raises(OutputError, match="pyarrow") as refused:
        rows_parquet([row])
    assert refused.value.reason == "package_missing"


def test_a_number_that_does_not_exist_is_empty():
    """JSON knows no infinity, and neither does a table of a cohort."""
    summary = make_case("axial")[2]
    lesions = tuple(replace(lesion, margin_mm=float("inf")) for lesion in summary.volumes.lesions)
    row = case_row(replace(summary, volumes=replace(summary.volumes, lesions=lesions)))
    assert isinstance(row, CaseRow)
    assert row["smallest_margin_mm"] is None
