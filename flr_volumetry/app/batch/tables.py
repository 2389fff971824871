"""The tables of a cohort: what became of each case, and one row for each case and plan that is done."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

from flr_volumetry.app.batch.state import CASES, FAILED, KEPT, LOGS, put
from flr_volumetry.app.exports import ROW
from flr_volumetry.report.cohort_page import CohortEntry, FailedEntry, render_cohort
from flr_volumetry.report.growth_row import with_growth
from flr_volumetry.report.row_files import (
    columns_of,
    parquet_available,
    row_in,
    rows_csv,
    rows_metadata,
    rows_parquet,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flr_volumetry.app.batch.cohort import Job
    from flr_volumetry.app.batch.work import Result
    from flr_volumetry.report.row import CaseRow, RowColumn

CASES_CSV = "cases.csv"
COHORT_STEM = "cohort"
LATER = "scan_1"
"""Where the report of a later scan lies in its follow-up."""
COLUMNS = ("case", "plan", "status", "reason", "message", "tries", "seconds", "report", "log")


def write_cases(out_dir: Path, jobs: Sequence[Job], results: Sequence[Result]) -> None:
    """Write cases.csv: what became of each case, why, and where to look.

    Parameters
    ----------
    out_dir : Path
        Of the cohort.
    jobs : sequence of Job
        All cases.
    results : sequence of Result
        In the same order.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for job, result in zip(jobs, results, strict=True):
        known = result.known
        done = known.status != FAILED
        writer.writerow(
            [
                job.case_id,
                job.plan,
                "failed" if not done else "done",
                known.reason,
                known.message,
                known.tries,
                "" if known.status == KEPT else f"{known.seconds:.1f}",
                report_of(job) if done else "",
                f"{LOGS}/{job.folder}.log",
            ]
        )
    put(out_dir / CASES_CSV, text.getvalue())


def rows_of(out_dir: Path, jobs: Sequence[Job], results: Sequence[Result]) -> list[tuple[Job, CaseRow]]:
    """Read the rows of the cases that are done.

    Parameters
    ----------
    out_dir : Path
        Of the cohort.
    jobs : sequence of Job
        All cases.
    results : sequence of Result
        In the same order.

    Returns
    -------
    list of (Job, CaseRow)
        In order.
    """
    # Columns are described by 40 kB beside each row; of cases with the same columns they are read once.
    known: dict[str, tuple[RowColumn, ...]] = {}
    return [
        (job, _row_of(out_dir / CASES / job.folder, job, known))
        for job, result in zip(jobs, results, strict=True)
        if result.known.status != FAILED
    ]


def report_of(job: Job) -> str:
    """Return the link to a case's page, from the cohort's folder."""
    return f"{CASES}/{job.folder}/{'followup' if job.after else 'report'}.html"


def _row_of(folder: Path, job: Job, known: dict[str, tuple[RowColumn, ...]]) -> CaseRow:
    """Read the row of a case; of a follow-up with growth since its baseline."""
    place = folder / LATER if job.after else folder
    text = (place / f"{ROW}.csv").read_text(encoding="utf-8")
    head = text.partition("\n")[0]
    if head not in known:
        described = (place / f"{ROW}.csv-metadata.json").read_text(encoding="utf-8")
        known[head] = columns_of(json.loads(described))
    row = row_in(text, known[head])
    if not job.after:
        return row
    document = json.loads((folder / "followup.json").read_text(encoding="utf-8"))
    return with_growth(row, job.after, document)


def write_rows(out_dir: Path, rows: Sequence[CaseRow]) -> None:
    """Write cohort.csv with the description of its columns, and cohort.parquet where pyarrow is there.

    Parameters
    ----------
    out_dir : Path
        Of the cohort.
    rows : sequence of CaseRow
        Of the cases that are done; without any, tables of an earlier run are removed.
    """
    names = (f"{COHORT_STEM}.csv", f"{COHORT_STEM}.csv-metadata.json", f"{COHORT_STEM}.parquet")
    if not rows:
        for name in names:
            (out_dir / name).unlink(missing_ok=True)
        return
    put(out_dir / names[0], rows_csv(rows))
    described = rows_metadata(rows, names[0])
    put(out_dir / names[1], json.dumps(described, indent=2, ensure_ascii=False) + "\n")
    if parquet_available():
        put(out_dir / names[2], rows_parquet(rows))


def page_of(
    jobs: Sequence[Job],
    results: Sequence[Result],
    rows: Sequence[tuple[Job, CaseRow]],
    *,
    title: str,
    version: str,
) -> str:
    """Return the page of a cohort.

    Parameters
    ----------
    jobs : sequence of Job
        All cases.
    results : sequence of Result
        In the same order.
    rows : sequence of (Job, CaseRow)
        Those that are done.
    title : str
        Of the cohort.
    version : str
        Of flr_volumetry.

    Returns
    -------
    str
        HTML.
    """
    done = [CohortEntry(job.case_id, job.plan, report_of(job), row) for job, row in rows]
    failed = [
        FailedEntry(job.case_id, job.plan, r.known.reason, r.known.message, f"{LOGS}/{job.folder}.log")
        for job, r in zip(jobs, results, strict=True)
        if r.known.status == FAILED
    ]
    return render_cohort(done, failed, title=title, version=version)
