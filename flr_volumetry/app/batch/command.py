"""``flr batch``: a cohort from the command line."""

from __future__ import annotations

import re
import sys
import time
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flr_volumetry.app.console import refusing
from flr_volumetry.app.held import held
from flr_volumetry.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from flr_volumetry.app.batch.cohort import Job
    from flr_volumetry.app.batch.work import Result

ALL, NONE, SOME = 0, 1, 3
"""Exit status: all cases done, none, some."""
UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
LOCK = ".batch.lock"
EVERY_S, SHARE = 5.0, 0.02
"""While cases are running, cases.csv is written anew so often; less often where that takes more than this
share of the time."""


class Memory(click.ParamType[float]):
    """An amount of memory, such as 4G."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it, in bytes."""
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", str(value), re.IGNORECASE)
        if found is None or float(found[1]) <= 0:
            self.fail(f"{value!r} is no amount of memory; write for example 4G", param, ctx)
        return float(found[1]) * UNITS[found[2].upper()]


@click.command()
@click.argument("cohort", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--out",
    "out_dir",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder of results.",
)
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder that paths in the recipe or table start from; its own folder if not given.",
)
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Cases at a time.")
@click.option(
    "--memory", type=Memory(), help="Limit of each worker, such as 4G; by default a share of what is free."
)
@click.option(
    "--scheduler", default="", metavar="ADDRESS", help="A dask scheduler that is there, tcp://host:8786."
)
@click.option(
    "--rules-only",
    is_flag=True,
    help="Judge what earlier runs measured by the protocols and patient facts of now; no image is opened.",
)
def batch(cohort: Path, out_dir: Path, root: Path | None, **asked: Any) -> None:
    r"""Run a cohort: a folder of case files, a CSV table, or a recipe with a [cohort] table.

    Each case has its own folder below OUT/cases. Run again, only cases whose files, plan, protocols or
    program changed, and those that failed, are run; a run that was killed is taken up where it was. A
    case that fails stops no other.

    With --rules-only, reports and tables of done cases are made anew from what was measured, where only
    protocols, [patient], [function], [attested] or relative errors changed; images and masks may be gone. A
    case whose plan or inputs changed fails as measured_otherwise, and keeps its earlier result.

    Standard output carries the summary. OUT holds cases.csv (what became of each), cohort.csv and
    cohort.parquet (one row for each case and plan), and cohort.html.

    Exit status: 0 all cases are done; 3 some are; 1 none is, or the cohort cannot be read; 2 misuse.

    \b
    Example:
        flr batch pipelines/couinaud.toml --root DATA --out cohort --workers 2
    """
    from flr_volumetry.app.batch.cohort import read_cohort
    from flr_volumetry.app.batch.engine import ClusterSettings, run_cohort
    from flr_volumetry.app.batch.work import BASE_BYTES, judge_job

    with refusing():
        jobs = read_cohort(cohort, root=root)
        settings = ClusterSettings(asked["workers"], asked["memory"], asked["scheduler"])
        out_dir = out_dir.resolve()
        began = time.monotonic()
        in_use = f"{out_dir} is in use by another flr batch; wait for it, or stop it."
        with (
            held(out_dir, LOCK, refusal=in_use, reason="in_use"),
            _progress(jobs) as shown,
        ):
            tables = _Tables(out_dir, jobs)

            def tell(result: Result) -> None:
                shown(result)
                tables.add(result)

            # What was measured is small, however large the scan was, which may be gone.
            how: dict[str, Any] = (
                {"work": judge_job, "needed": lambda _: BASE_BYTES} if asked["rules_only"] else {}
            )
            results = run_cohort(jobs, out_dir, settings, tell=tell, **how)
            tables.finish(results, title=cohort.stem)
    click.echo(_summary(results, time.monotonic() - began, out_dir), nl=False)
    done = sum(result.known.status != "failed" for result in results)
    sys.exit(ALL if done == len(results) else SOME if done else NONE)


class _Tables:
    """Writes cases.csv as results come, all tables and the page at the end."""

    def __init__(self, out_dir: Path, jobs: Sequence[Job]) -> None:
        self.out_dir = out_dir
        self.jobs = {job.name: job for job in jobs}
        self.results: dict[str, Result] = {}
        self.next = time.monotonic() + EVERY_S

    def add(self, result: Result) -> None:
        self.results[result.name] = result
        if time.monotonic() > self.next:
            began = time.monotonic()
            # On a full disk each case says so itself; the last table is written at the end.
            with suppress(OutputError):
                self._cases()
            took = time.monotonic() - began
            self.next = time.monotonic() + max(EVERY_S, took / SHARE)

    def _cases(self) -> None:
        from flr_volumetry.app.batch.tables import write_cases

        known = [name for name in self.jobs if name in self.results]
        write_cases(self.out_dir, [self.jobs[n] for n in known], [self.results[n] for n in known])

    def finish(self, results: Sequence[Result], *, title: str) -> None:
        from flr_volumetry.app.batch.state import put
        from flr_volumetry.app.batch.tables import page_of, rows_of, write_cases, write_rows

        jobs = list(self.jobs.values())
        write_cases(self.out_dir, jobs, results)
        rows = rows_of(self.out_dir, jobs, results)
        write_rows(self.out_dir, [row for _, row in rows])
        page = page_of(jobs, results, rows, title=title, version=version("flr-volumetry"))
        put(self.out_dir / "cohort.html", page)


@contextmanager
def _progress(jobs: Sequence[Job]) -> Iterator[Callable[[Result], None]]:
    """Show how many cases are done, how fast, and how long the rest takes; elsewhere, a line a failure."""
    if not sys.stderr.isatty():
        yield lambda result: _failure(result) if result.known.status == "failed" else None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    began, done, failed = time.monotonic(), 0, 0
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("starting", total=len(jobs))

        def shown(result: Result) -> None:
            nonlocal done, failed
            done += 1
            failed += result.known.status == "failed"
            pace = 60 * done / max(time.monotonic() - began, 1e-9)
            said = f", {failed} failed" if failed else ""
            bar.update(task, advance=1, description=f"{pace:.1f} cases a minute{said}")

        yield shown


def _failure(result: Result) -> None:
    click.echo(f"{result.name}: failed [{result.known.reason}] {result.known.message}", err=True)


def _summary(results: Sequence[Result], seconds: float, out_dir: Path) -> str:
    from collections import Counter

    counts = Counter(result.known.status for result in results)
    lines = [
        f"{len(results)} cases: {counts['done']} done now, {counts['kept']} done before, "
        f"{counts['failed']} failed"
    ]
    if counts["done"]:
        lines.append(f"{60 * counts['done'] / seconds:.1f} cases a minute")
    reasons = Counter(r.known.reason for r in results if r.known.status == "failed")
    lines += [f"  {n} {reason}" for reason, n in reasons.most_common()]
    lines.append(f"cohort: {out_dir / 'cohort.html'}")
    return "\n".join(lines) + "\n"
