"""The main job: one case, from image to assessment."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from flr_volumetry.app.anonymous import anonymous
from flr_volumetry.app.carry import lesion_links
from flr_volumetry.app.keepsake import scan_facts
from flr_volumetry.app.landmarks import landmarks_of
from flr_volumetry.app.load import imported_remnants
from flr_volumetry.app.measured import Measured, count, protocols_of, summary_of
from flr_volumetry.app.prepare import Prepared, prepare
from flr_volumetry.app.sections import OutputSection
from flr_volumetry.io.derived import tracking_uid
from flr_volumetry.resection import Partition, cut_surface, resect
from flr_volumetry.volumetry.near_vessels import near_vessels
from flr_volumetry.volumetry.nearby import neighbours

if TYPE_CHECKING:
    from collections.abc import Callable

    from flr_volumetry.app.carry import Carried
    from flr_volumetry.app.case import Case
    from flr_volumetry.app.identifiers import Anonymity
    from flr_volumetry.assessment.model import InputFile, Summary
    from flr_volumetry.images import Source
    from flr_volumetry.liver import Liver
    from flr_volumetry.segmentation.quality_findings import Finding


def no_progress(step: str) -> None:
    """Tell nobody; the default of `run_case`."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """An assessed case: all facts, and the arrays they were counted on.

    Parameters
    ----------
    summary : Summary
        Everything that report.json holds.
    liver : Liver
        The cropped patient.
    partition : Partition
        The liver divided by the plan.
    carried : Carried or None
        Where the plan is a baseline's, carried over.
    findings : tuple of Finding
        What is wrong with the liver's mask, and where.
    wishes : OutputSection
        What is to be written beside the report.
    source : Source or None
        Where the scan was read from, so that DICOM objects can refer to its images; None without a scan.
    anonymity : Anonymity or None
        Who the patient is said to be, and which words may not be written, where nothing may say who it is.
    case : Case or None
        What was run, to be run or reviewed again.
    measured : Measured or None
        What of the summary does not depend on rules and patient facts, to be judged again.
    """

    summary: Summary
    liver: Liver = field(repr=False)
    partition: Partition = field(repr=False)
    carried: Carried | None = field(default=None, repr=False)
    findings: tuple[Finding, ...] = ()
    wishes: OutputSection = field(default_factory=OutputSection)
    source: Source | None = field(default=None, repr=False)
    anonymity: Anonymity | None = field(default=None, repr=False)
    case: Case | None = field(default=None, repr=False)
    measured: Measured | None = field(default=None, repr=False)


def run_case(
    case: Case,
    *,
    tell: Callable[[str], None] = no_progress,
    preparing: Callable[[Case, Callable[[str], None]], Prepared] = prepare,
) -> Outcome:
    """Assess one case.

    Parameters
    ----------
    case : Case
        As `flr_volumetry.app.case.read_case` returns it.
    tell : callable
        Called with the name of each step as it begins.
    preparing : callable
        Reads and checks the case's liver; another than `prepare` may have it at hand from another plan.

    Returns
    -------
    Outcome
        Nothing is written; see `flr_volumetry.app.write.write_outcome`.

    Raises
    ------
    FlrError
        If an input cannot be read, the masks do not fit, or the plan cannot be carried out.
    """
    started = begun()
    require_possible(case)
    protocols = protocols_of(case)
    prepared = preparing(case, tell)
    liver, surfaces = prepared.liver, prepared.surfaces
    tell("cutting")
    carried = carried_plan(case, liver, tell=tell)
    plan = (
        carried.plan
        if carried is not None
        else case.plan(replace(prepared.loaded.files, landmarks=lambda: landmarks_of(case, liver)))
    )
    partition = resect(liver, plan, surfaces=surfaces)
    remnants = () if carried is not None else tuple(imported_remnants(case, plan))
    tell("measuring")
    counted, maps = count(case, liver, partition, quality=prepared.quality, surfaces=surfaces)
    inputs = (*prepared.loaded.inputs, *remnants, *maps)
    scan, date_caveats = scan_facts(case, liver)
    steps = (*((carried,) if carried is not None else ()), partition, counted.volumes, counted.consequences)
    measured = Measured(
        counted=counted,
        plan=partition.plan,
        pieces=partition.pieces,
        near=near_vessels(liver, surfaces=surfaces),
        neighbours=neighbours(liver, surfaces=surfaces),
        cut_areas=cut_surface(liver, partition, surfaces=surfaces),
        scan=scan,
        lesion_uids=lesion_uids(liver, carried),
        inputs=inputs,
        caveats=tuple(
            dict.fromkeys((*date_caveats, *liver.caveats, *(c for step in steps for c in step.caveats)))
        ),
        methods=(*_methods(inputs), *prepared.methods, *(m for step in steps for m in step.methods)),
    )
    summary = summary_of(case, measured, protocols, started=started)
    outcome = Outcome(
        summary,
        liver,
        partition,
        carried,
        prepared.findings,
        case.output,
        prepared.source,
        case=case,
        measured=measured,
    )
    return anonymous(outcome, case) if case.output.anonymous else outcome


def begun() -> str:
    """Return the present time as provenance has it."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def require_possible(case: Case) -> None:
    """Refuse what is impossible in a case's tables, before anything is read.

    Parameters
    ----------
    case : Case
        As it was read.

    Raises
    ------
    FlrError
        If plan, patient, uncertainty or what is attested cannot be meant.
    """
    if case.stage:
        case.plan()
    case.person()
    case.uncertainty.relative()
    case.uncertainty.value()
    case.attested.value()


def lesion_uids(liver: Liver, carried: Carried | None) -> dict[int, str]:
    """Return the lasting identifier of each lesion, by which it is known at other dates.

    Parameters
    ----------
    liver : Liver
        The case's.
    carried : Carried or None
        The baseline's plan, where it was carried over.

    Returns
    -------
    dict of int to str
        Made of the scan's series and the lesion's number, so that a later run of the same scan gives the
        same. A lesion that lies where one lesion of the baseline lay, and no other does, has that one's.
        Empty for a scan that is no DICOM series.
    """
    series = liver.image.source.series_uid if liver.image is not None else ""
    if not series:
        return {}
    uids = {lesion.number: tracking_uid(series, f"lesion {lesion.number}") for lesion in liver.lesions}
    if carried is None:
        return uids
    links = lesion_links(carried.baseline, liver, carried.registration)
    before = Counter(earlier for earlier, _ in links)
    after = Counter(later for _, later in links)
    known = {part.number: part.tracking_uid for part in carried.baseline.report.lesions}
    for earlier, later in links:
        if before[earlier] == after[later] == 1 and known.get(earlier):
            uids[later] = str(known[earlier])
    return uids


def carried_plan(case: Case, liver: Liver, *, tell: Callable[[str], None]) -> Carried | None:
    """Return the baseline's plan on this scan, for a follow-up without a plan of its own.

    Parameters
    ----------
    case : Case
        With [followup] and no [[stage]], or any other.
    liver : Liver
        The case's.
    tell : callable
        Called with the name of each step as it begins.

    Returns
    -------
    Carried or None
        None where the case has stages.

    Raises
    ------
    FlrError
        If the baseline cannot be read, is of another patient, or cannot be laid upon this scan.
    """
    if case.stage or case.followup is None:
        return None
    from flr_volumetry.app.carry import carry, stages_done, still_there
    from flr_volumetry.app.record import read_record
    from flr_volumetry.app.same_patient import require_same_patient
    from flr_volumetry.segmentation.registration import register

    baseline = read_record(case.resolve(case.followup.baseline))
    require_same_patient(baseline, scan_facts(case, liver)[0], case.person(), case.case.id)
    done = stages_done(baseline.report.plan, case.followup.stages_done)
    registration = register(still_there(baseline, done), liver, tell=tell)
    return carry(baseline, liver, registration, done)


def _methods(inputs: tuple[InputFile, ...]) -> tuple[str, ...]:
    image = next((i for i in inputs if i.role == "image"), None)
    if image is None:
        return ("Masks were read without an image; all coordinates are DICOM patient coordinates (LPS).",)
    return (
        f"The scan ({image.description}) and the masks were read in DICOM patient coordinates (LPS) and "
        "cropped to the liver.",
    )
