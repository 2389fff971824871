"""Later scans in a cohort: each follows another of its cases, and is run after it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flr_volumetry.app.case import make_case
from flr_volumetry.errors import CaseError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from flr_volumetry.app.batch.cohort import Job

    Data = dict[str, Any]

BASELINE = "baseline"
"""What the first scan of a patient with later ones is called."""
OF_THE_PATIENT = ("case", "patient", "attested", "assessment", "uncertainty", "output", "territories")
"""Tables that a later scan has from its baseline, where it has none of its own."""


def later_tables(tables: Any, where: str) -> list[Data]:
    """Check the [[later]] tables of a recipe.

    Parameters
    ----------
    tables : object
        As TOML gives them.
    where : str
        For messages.

    Returns
    -------
    list of dict
        Each with a name of its own and tables of a case file.

    Raises
    ------
    CaseError
        If one has no name, or a plan.
    """
    found = tables if isinstance(tables, list) else [tables]
    names = [table.get("name") if isinstance(table, dict) else None for table in found]
    if any(not isinstance(name, str) or not name or name == BASELINE for name in names):
        raise CaseError(
            f"{where}: each [[later]] needs a name, for example 'week 4', and not {BASELINE!r}.",
            reason="bad_later",
        )
    if len(set(names)) < len(names):
        raise CaseError(f"{where}: two [[later]] scans are called alike.", reason="same_name")
    return found


def scans_of(called: str, data: Data, later: Sequence[Data]) -> dict[str, Data]:
    """Return the case of a patient's first scan and of each later one.

    Parameters
    ----------
    called : str
        The patient.
    data : dict
        Case file of the baseline.
    later : sequence of dict
        As `later_tables` checked them, with what differs from patient to patient put in.

    Returns
    -------
    dict of str to dict
        Case files by the scans' names. A later scan without a [[stage]] has the baseline's plan carried over.
    """
    found = {BASELINE: data}
    shared = {table: data[table] for table in OF_THE_PATIENT if table in data}
    for table in later:
        own = {key: value for key, value in table.items() if key != "name"}
        follows = {"baseline": f"{called}/{BASELINE}", **own.get("followup", {})}
        found[table["name"]] = {**shared, **own, "followup": follows}
    return found


def linked(jobs: Sequence[Job]) -> tuple[Job, ...]:
    """Tie each case that follows another of the cohort, by name, to it.

    Parameters
    ----------
    jobs : sequence of Job
        All cases. A baseline that names none of them is a path, as in any case file.

    Returns
    -------
    tuple of Job
        In the same order; cases that follow each other in a circle have a problem.
    """
    by_name = {job.name: job for job in jobs}
    found = []
    for job in jobs:
        base = by_name.get(_follows(job.data))
        found.append(job if base is None else replace(job, after=base.name, baseline=base.folder))
    after = {job.name: job.after for job in found}
    return tuple(
        replace(job, after="", problem=job.problem or CIRCLE) if _in_circle(job.name, after) else job
        for job in found
    )


CIRCLE = "circular_followup: The case follows itself, through others or straight."


def _follows(data: Data) -> str:
    table = data.get("followup")
    return str(table.get("baseline", "")) if isinstance(table, dict) else ""


def _in_circle(name: str, after: Mapping[str, str]) -> bool:
    seen = {name}
    while name := after.get(name, ""):
        if name in seen:
            return True
        seen.add(name)
    return False


def run_followup(
    job: Job, out_dir: Path, cases: Path, *, tell: Callable[[str], None], also: dict[str, bytes], sha256: str
) -> None:
    """Run a later scan, and measure growth since its baseline.

    Parameters
    ----------
    job : Job
        With a baseline in the same cohort.
    out_dir : Path
        Of the result: a follow-up, with the scan's own report in ``scan_1``.
    cases : Path
        Folder of the cohort's results.
    tell : callable
        Called with the name of each step as it begins.
    also : dict of str to bytes
        Further files of the result.
    sha256 : str
        Of what the result depends on.

    Raises
    ------
    FlrError
        As `flr_volumetry.app.followup.write_followup` does.
    """
    from flr_volumetry.app.followup import FOLLOWUP, Asked, write_followup
    from flr_volumetry.app.write import require_writable

    report = cases / job.baseline / "report.json"
    data = {**job.data, "followup": {**job.data["followup"], "baseline": str(report)}}
    case = make_case(data, folder=job.root, sha256=sha256, where=job.where)
    assert case.followup is not None
    require_writable(out_dir, FOLLOWUP)
    asked = Asked(case.followup.procedure_date, "", case.followup.stages_done)
    write_followup(report, [case], out_dir, asked, tell=tell, also=also)
