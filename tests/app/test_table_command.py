"""Rows of results as one table, and the Snakemake workflow that asks for it."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from flr_volumetry.app.cli import main
from flr_volumetry.report.row import CaseRow, Kind, RowColumn
from flr_volumetry.report.row_files import rows_csv, rows_metadata
from tests.app.test_batch import table

WORKFLOW = Path(__file__).resolve().parents[2] / "pipelines" / "snakemake"


def result(folder, name, **more):
    columns = (
        RowColumn("case_id", Kind.TEXT, "", "x"),
        *(RowColumn(f"{key}.state", Kind.TEXT, "", "x", by_protocol=True) for key in more),
    )
    row = CaseRow(columns, (name, *more.values()))
    folder.mkdir()
    (folder / "row.csv").write_text(rows_csv([row]))
    (folder / "row.csv-metadata.json").write_text(json.dumps(rows_metadata([row], "row.csv")))
    return str(folder)


def flr_table(*words):
    return CliRunner().invoke(main, ["table", *map(str, words)])


def test_rows_stand_in_the_order_named_under_the_columns_of_all(tmp_path):
    two, one = (
        result(tmp_path / "2", "b", house="clear_above"),
        result(tmp_path / "1", "a", other="borderline"),
    )
    done = flr_table(two, one, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert table(tmp_path / "out" / "cohort.csv") == [
        {"case_id": "b", "house.state": "clear_above", "other.state": ""},
        {"case_id": "a", "house.state": "", "other.state": "borderline"},
    ]


@pytest.mark.parametrize(
    ("second", "reason"), [("same", "same_name"), ("none", "no_row"), ("cut", "damaged")]
)
def test_results_that_are_none(tmp_path, second, reason):
    one, two = result(tmp_path / "1", "a"), tmp_path / "2"
    if second == "none":
        two.mkdir()
    else:
        result(two, "a" if second == "same" else "b")
    if second == "cut":
        (two / "row.csv").write_text("case_id\n")
    done = flr_table(one, two, "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert f"[{reason}" in done.stderr
    assert not (tmp_path / "out" / "cohort.csv").exists()


def test_the_workflow_asks_for_commands_and_options_there_are():
    """Every flr in the Snakefile is one, with its options; every key of its configuration is written."""
    text = (WORKFLOW / "Snakefile").read_text()
    commands = re.findall(r'"flr ([^"]+)"', text)
    assert [line.split()[0] for line in commands] == ["run", "table"]
    for line in commands:
        name, *words = shlex.split(line.split(">")[0])
        known = {
            option for p in main.commands[name].params if isinstance(p, click.Option) for option in p.opts
        }
        assert {word for word in words if word.startswith("--")} <= known
    run = {option for p in main.commands["run"].params for option in p.opts}
    assert set(re.findall(r'\["(--\w+)"', text)) <= run
    written = (WORKFLOW / "config.yaml").read_text()
    asked = set(re.findall(r'config(?:\.get\()?\[?"(\w+)"', text))
    assert asked == {"cases", "out", "root", "mem_mb"}
    assert all(re.search(rf"^(?:# )?{key}: ", written, re.MULTILINE) for key in asked)
