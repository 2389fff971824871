"""What a cohort is made of: case files in a folder, the rows of a table, or a recipe with a pattern."""

from __future__ import annotations

import csv
import io
import itertools
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from flr_volumetry.anatomy import HEPATECTOMIES, Caudate, removed_segments
from flr_volumetry.app.batch.followups import later_tables, linked, scans_of
from flr_volumetry.app.batch.template import filled, read_toml, typed
from flr_volumetry.app.case import make_case
from flr_volumetry.app.tables import Section, first_fault
from flr_volumetry.errors import CaseError, FlrError, PlanError, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

COHORT = "cohort"
NOT_IN_NAMES = re.compile(r"[^\w.+-]+")
MOST_JOBS = 1_000_000
Data = dict[str, Any]


class CohortSection(Section):
    """The [cohort] table of a recipe: where its cases are, and with which plans each is run."""

    folders: str | None = None
    """Pattern from the root: each folder that fits it is a case."""
    table: str | None = None
    """A CSV file with a row for each case."""
    id: str = "{name}"
    """What each case is called."""
    hepatectomies: list[str] | Literal["all"] | None = None
    """Named resections, each a plan of its own for every case."""


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One case with one plan, to be run.

    Parameters
    ----------
    case_id : str
        Of the patient or scan, as the cohort calls it.
    plan : str
        Which of its plans; empty where there is only one.
    data : dict
        The contents of its case file.
    root : Path
        What its paths are relative to.
    where : str
        Where it was named, for messages.
    problem : str
        Why it cannot be run, and its reason code before a colon; empty if it can.
    after : str
        Name of the case of the cohort that it follows, and is run after; empty for none.
    baseline : str
        That one's folder.
    """

    case_id: str
    plan: str
    data: Data = field(repr=False)
    root: Path
    where: str
    problem: str = ""
    after: str = ""
    baseline: str = ""

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return f"{self.case_id}/{self.plan}" if self.plan else self.case_id

    @property
    def folder(self) -> str:
        """Its folder below that of the cases."""
        return "/".join(_safe(part) for part in (self.case_id, self.plan) if part)


@dataclass(frozen=True, slots=True)
class _Many:
    """What makes several jobs of one case: plans, by name, or later scans."""

    plans: Mapping[str, list[Any]]
    later: Sequence[Data]


def read_cohort(path: Path, *, root: Path | None = None) -> tuple[Job, ...]:
    """Find the cases of a cohort.

    Parameters
    ----------
    path : Path
        A folder, all of whose case files are taken; a CSV table; a recipe or a single case file (TOML).
    root : Path or None
        What paths in a table or recipe are relative to; its own folder if None.

    Returns
    -------
    tuple of Job
        In a fixed order. A case that cannot be read is one with a problem: it does not stop the others.

    Raises
    ------
    FlrError
        If the cohort itself cannot be read, is empty, or has two cases of one name.
    """
    if path.is_dir():
        jobs = tuple(_from_folder(path))
    elif path.suffix.lower() == ".csv":
        jobs = tuple(_from_rows(_rows(path), {}, CohortSection(), root or path.resolve().parent, str(path)))
    else:
        jobs = tuple(_fromread_toml(path, root or path.resolve().parent))
    if not jobs:
        raise CaseError(
            f"{path} holds no case: a folder needs case files (.toml), a table rows, a recipe folders that "
            "fit its pattern.",
            reason="empty_cohort",
        )
    _require_apart(jobs)
    return linked(jobs)


def _from_folder(folder: Path) -> Iterator[Job]:
    files = sorted(p for p in folder.rglob("*.toml") if not any(part[0] == "." for part in p.parts[1:]))
    for file in files:
        try:
            data = read_toml(file)
        except FlrError as error:
            yield Job(_relative(file, folder), "", {}, file.parent, str(file), _said(error))
            continue
        # Recipes, and files with plans only, may lie beside case files.
        if "case" in data and COHORT not in data:
            yield from _jobs(data, str(file), file.resolve().parent, None)


def _relative(file: Path, folder: Path) -> str:
    return file.relative_to(folder).with_suffix("").as_posix().replace("/", ".")


def _fromread_toml(path: Path, root: Path) -> Iterator[Job]:
    data = read_toml(path)
    if COHORT not in data:
        yield from _jobs(data, str(path), root, None)
        return
    template = {key: value for key, value in data.items() if key not in (COHORT, "plan", "later")}
    try:
        section = CohortSection.model_validate(data[COHORT])
    except ValidationError as error:
        said, unknown = first_fault(error)
        raise CaseError(
            f"{path}: [cohort]: {said}", reason="unknown_key" if unknown else CaseError.default_reason
        ) from error
    if (section.folders is None) == (section.table is None):
        raise CaseError(
            f"{path}: [cohort] needs folders = a pattern, or table = a CSV file: one of both.",
            reason="no_cases_named",
        )
    rows = _rows(root / section.table) if section.table is not None else _folders(root, section.folders or "")
    plans = {**_named(section, str(path)), **_drawn(data.get("plan", []), str(path))}
    later = later_tables(data["later"], str(path)) if "later" in data else []
    if later and plans:
        raise CaseError(
            f"{path}: a cohort has several plans, or later scans to which one is carried over; not both.",
            reason="plans_and_later",
        )
    yield from _from_rows(rows, template, section, root, str(path), _Many(plans, later))


def _folders(root: Path, pattern: str) -> Iterator[dict[str, str]]:
    """Return name and path of the folders that fit a pattern."""
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise CaseError(
            f"[cohort] folders = {pattern!r}: a pattern starts from the root, and stays in it.",
            reason="bad_pattern",
        )
    for folder in sorted(p for p in root.glob(pattern) if p.is_dir()):
        inside = folder.relative_to(root)
        yield {"name": folder.name, "folder": inside.as_posix()}


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise UnreadableError(f"{path}: the table cannot be read: {error}") from error
    reader = csv.DictReader(io.StringIO(text))
    names = reader.fieldnames or []
    if not names or len(set(names)) < len(names) or any(not name.strip() for name in names):
        raise CaseError(
            f"{path}: a table begins with the names of its columns, each once, got {', '.join(names)!r}.",
            reason="bad_table",
        )
    rows = list(reader)
    for number, row in enumerate(rows, start=2):
        if None in row or any(value is None for value in row.values()):
            raise CaseError(
                f"{path}, line {number}: the row has not as many cells as the table has columns.",
                reason="bad_table",
            )
    return rows


def _from_rows(
    rows: Iterable[Mapping[str, str]],
    template: Data,
    section: CohortSection,
    root: Path,
    where: str,
    many: _Many | None = None,
) -> Iterator[Job]:
    plans, later = (many.plans, many.later) if many is not None else ({}, ())
    for number, row in enumerate(rows, start=1):
        place = f"{where}, case {number}"
        known = {"name": str(row.get("id", number)), **row}
        try:
            data = filled(template, known, place)
            for key, value in row.items():
                if "." in key and value.strip():
                    _put(data, key.split("."), typed(value), place)
            called = str(filled(row.get("id") or section.id, known, place))
            data.setdefault("case", {}).setdefault("id", called)
            its = [filled(table, known, place) for table in later]
            scans = scans_of(called, data, its) if its else {}
            own = dict(plans)
            if row.get("hepatectomy"):
                own |= {row["hepatectomy"]: _hepatectomy(row["hepatectomy"], place)}
        except FlrError as error:
            yield Job(known["name"], "", {}, root, place, _said(error))
            continue
        for scan, one in scans.items():
            yield _job(called, scan, one, root, place)
        if not scans:
            yield from _jobs(data, place, root, own or None, called)


def _jobs(
    data: Data, where: str, root: Path, plans: Mapping[str, list[Any]] | None, called: str | None = None
) -> Iterator[Job]:
    """One job for each plan of a case; checked as a case file is."""
    identifier = called or str(data.get("case", {}).get("id", where))
    for plan, stages in (plans or {"": data.get("stage", [])}).items():
        only = "" if plans is None or len(plans) == 1 else plan
        yield _job(identifier, only, {**data, "stage": stages} if stages else data, root, where)


def _job(identifier: str, plan: str, data: Data, root: Path, where: str) -> Job:
    """One job, checked as a case file is."""
    name = f"{identifier}/{plan}" if plan else identifier
    own = {**data, "case": {**data.get("case", {}), "id": name}}
    problem = ""
    try:
        make_case(own, folder=root, where=where)
    except FlrError as error:
        problem = _said(error)
    return Job(identifier, plan, own, root, where, problem)


def _named(section: CohortSection, where: str) -> dict[str, list[Any]]:
    named = section.hepatectomies
    keys = [one.key for one in HEPATECTOMIES] if named == "all" else named or []
    return {key: _hepatectomy(key, where) for key in keys}


def _hepatectomy(name: str, where: str) -> list[Any]:
    """Return a plan of one stage; where segment I is a choice, it is kept."""
    entry: Data = {"kind": "hepatectomy", "name": name}
    try:
        try:
            removed_segments(name, caudate=None)
        except PlanError:
            removed_segments(name, caudate=Caudate.KEPT)
            entry["caudate"] = False
    except FlrError as error:
        raise CaseError(f"{where}: {error.message}", reason=error.reason) from error
    return [{"name": name, "resections": [entry]}]


def _drawn(tables: Any, where: str) -> dict[str, list[Any]]:
    """Plans written out: [[plan]] with a name and stages."""
    found: dict[str, list[Any]] = {}
    for number, table in enumerate(tables if isinstance(tables, list) else [tables], start=1):
        strange = sorted(set(table) - {"name", "stage"}) if isinstance(table, dict) else ["?"]
        if strange or not isinstance(table.get("name"), str) or not isinstance(table.get("stage"), list):
            raise CaseError(
                f"{where}: [[plan]] number {number} needs a name and [[plan.stage]] tables, nothing else.",
                reason="bad_plan",
            )
        if table["name"] in found:
            raise CaseError(f"{where}: two plans are called {table['name']!r}.", reason="same_name")
        found[table["name"]] = table["stage"]
    return found


def _put(data: Data, keys: list[str], value: Any, where: str) -> None:
    for key in keys[:-1]:
        data = data.setdefault(key, {})
        if not isinstance(data, dict):
            raise CaseError(f"{where}: the column {'.'.join(keys)} names no table.", reason="bad_table")
    data[keys[-1]] = value


def _safe(name: str) -> str:
    """Return a name that may be one of a folder on every system."""
    return NOT_IN_NAMES.sub("_", name).strip(".") or "_"


def _require_apart(jobs: tuple[Job, ...]) -> None:
    seen: dict[str, Job] = {}
    for job in jobs:
        key = job.folder.casefold()
        if key in seen:
            raise CaseError(
                f"two cases are called {job.name!r}: in {seen[key].where} and in {job.where}. Give each an "
                "id of its own; upper and lower case, and signs that a folder may not have, do not count.",
                reason="same_name",
            )
        seen[key] = job
    # A plan's folder may not lie in the folder of a case of its own.
    for one, other in itertools.pairwise(sorted(seen)):
        if other.startswith(f"{one}/"):
            raise CaseError(
                f"the case {seen[one].name!r} and the plan {seen[other].name!r} would share a folder.",
                reason="same_name",
            )


def _said(error: FlrError) -> str:
    return f"{error.reason}: {error.message}"
