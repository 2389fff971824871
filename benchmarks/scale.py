"""``python -m benchmarks.scale``: what a large cohort costs beside its cases, without any image.

Rows of one real case, under many names: reading the cohort, its tables, its page, one state of all cases.
Processor time and memory; figures for the paper exercise in docs/scale.md.
"""

from __future__ import annotations

import json
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from benchmarks.cohort import RECIPE, draw


def timed(what: str, act: Callable[[], Any]) -> Any:
    """Do something and print its processor time, and the highest memory so far."""
    began = time.process_time()
    found = act()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{what:58}{time.process_time() - began:9.2f} s CPU{memory:9.0f} MB", flush=True)
    return found


def one_case(root: Path) -> Any:
    """Run one small case, and return its job."""
    from flr_volumetry.app.batch.cohort import read_cohort
    from flr_volumetry.app.batch.work import run_job

    draw(root / "patients" / "p0", 0)
    (root / "recipe.toml").write_text(RECIPE)
    (job,) = read_cohort(root / "recipe.toml")
    assert run_job(job, str(root / "one")).known.status == "done"
    return job


@click.command()
@click.option("--rows", default=100_000, show_default=True, help="Cases of the larger cohort.")
@click.option("--folders", default=10_000, show_default=True, help="Cases with a folder each.")
def main(rows: int, folders: int) -> None:
    """Print what it takes."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        job = one_case(root)
        result = root / "one" / "cases" / job.folder
        sizes = {p.name: p.stat().st_size for p in result.iterdir() if p.is_file()}
        whole = sum(p.stat().st_size for p in result.rglob("*") if p.is_file())
        print(f"a result without a scan: {whole / 1e6:.1f} MB in {sum(1 for _ in result.rglob('*'))} files")
        print(json.dumps(sizes))
        reading(root, rows)
        tables(root, job, rows, folders)


def reading(root: Path, rows: int) -> None:
    """Read a table of many cases."""
    from flr_volumetry.app.batch.cohort import read_cohort

    lines = ["id,masks.liver,masks.segments,hepatectomy"]
    lines += [f"c{n},c{n}/liver.nii.gz,c{n}/segments.nii.gz,right_hepatectomy" for n in range(rows)]
    (root / "many.csv").write_text("\n".join(lines))
    timed(f"read_cohort, {rows} rows", lambda: read_cohort(root / "many.csv"))


def tables(root: Path, job: Any, rows: int, folders: int) -> None:
    """Read rows of many folders, and write all tables and the page."""
    from flr_volumetry.app.batch.state import DONE, Known
    from flr_volumetry.app.batch.tables import rows_of
    from flr_volumetry.app.batch.work import Result

    out = root / "out"
    kept = [root / "one" / "cases" / job.folder / name for name in ("row.csv", "row.csv-metadata.json")]
    jobs = [replace(job, case_id=f"c{n}") for n in range(rows)]
    for one in jobs[:folders]:
        folder = out / "cases" / one.folder
        folder.mkdir(parents=True)
        for path in kept:
            shutil.copy(path, folder)
    results = [Result(one.name, Known(DONE, seconds=5.0, tries=1), "") for one in jobs]
    read = timed(f"rows_of, {folders} folders", lambda: rows_of(out, jobs[:folders], results[:folders]))
    for count in (folders, rows):
        many = [(one, read[n % folders][1]) for n, one in enumerate(jobs[:count])]
        one_table(out, jobs[:count], results[:count], many)


def one_table(out: Path, jobs: list[Any], results: list[Any], rows: list[tuple[Any, Any]]) -> None:
    """Write the tables and the page of so many cases."""
    from flr_volumetry.app.batch.tables import page_of, write_cases, write_rows

    count = len(jobs)
    timed(f"cases.csv, {count} rows", lambda: write_cases(out, jobs, results))
    timed(f"cohort.csv and cohort.parquet, {count} rows", lambda: write_rows(out, [r for _, r in rows]))
    page = timed(f"cohort.html, {count} rows", lambda: page_of(jobs, results, rows, title="x", version="0"))
    print(f"{'':8}cohort.html {len(page.encode()) / 1e6:.2f} MB", end="")
    for name in ("cases.csv", "cohort.csv", "cohort.parquet"):
        if (out / name).exists():
            print(f", {name} {(out / name).stat().st_size / 1e6:.1f} MB", end="")
    print()


if __name__ == "__main__":
    main()
