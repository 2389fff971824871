"""What a run writes for other programs: its figures as files, and the row of the case."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from flr_volumetry.report.row import case_row
from flr_volumetry.report.row_files import parquet_available, rows_csv, rows_metadata, rows_parquet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flr_volumetry.assessment.model import Summary
    from flr_volumetry.report.canvas import ReportFigure
    from flr_volumetry.report.row import CaseRow

ROW = "row"


def write_figures(folder: Path, figures: Sequence[ReportFigure]) -> None:
    """Write each figure as PNG and as SVG, into the folder ``figures``.

    Parameters
    ----------
    folder : Path
        It exists.
    figures : sequence of ReportFigure
        Any number.
    """
    place = folder / "figures"
    place.mkdir(exist_ok=True)
    for figure in figures:
        (place / f"{figure.name}.png").write_bytes(figure.png)
        (place / f"{figure.name}.svg").write_bytes(figure.svg.encode("utf-8", "backslashreplace"))


def write_row(folder: Path, summary: Summary) -> None:
    """Write row.csv with the description of its columns, and row.parquet where pyarrow is installed.

    Parameters
    ----------
    folder : Path
        It exists.
    summary : Summary
        The assessed case.
    """
    write_table(folder, ROW, [case_row(summary)])


def write_table(folder: Path, stem: str, rows: Sequence[CaseRow]) -> None:
    """Write rows of cases as one table.

    Parameters
    ----------
    folder : Path
        It exists.
    stem : str
        The files' name: "row" of a case, "cohort" of several.
    rows : sequence of CaseRow
        At least one.
    """
    name = f"{stem}.csv"
    (folder / name).write_bytes(rows_csv(rows).encode("utf-8", "backslashreplace"))
    described = json.dumps(rows_metadata(rows, name), indent=2, ensure_ascii=False) + "\n"
    (folder / f"{name}-metadata.json").write_bytes(described.encode("utf-8", "backslashreplace"))
    if parquet_available():
        (folder / f"{stem}.parquet").write_bytes(rows_parquet(rows))
