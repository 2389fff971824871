"""The main job: one case, from image to assessment."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from flr_volumetry.app.anonymous import anonymous
from flr_volumetry.app.carry import lesion_links
from flr_volumetry.app.functional_map import tissue_of, with_functional_map
from flr_volumetry.app.keepsake import scan_facts
from flr_volumetry.app.landmarks import landmarks_of, with_case_segments
from flr_volumetry.app.load import imported_remnants, load_case
from flr_volumetry.app.sections import OutputSection
from flr_volumetry.app.vessels import with_case_territories
from flr_volumetry.assessment.engine import assess
from flr_volumetry.assessment.model import PlannedCut, Provenance, Summary
from flr_volumetry.assessment.systems import Facts, fill_in
from flr_volumetry.assessment.two_stage import two_stage_path
from flr_volumetry.errors import Caveat
from flr_volumetry.images import Source
from flr_volumetry.io.derived import source_scan, tracking_uid
from flr_volumetry.io.protocols import read_protocols
from flr_volumetry.resection import Partition, cut_surface, lesion_surface, resect
from flr_volumetry.segmentation.quality import boundary_sd_mm, check_masks
from flr_volumetry.volumetry.consequences import weigh
from flr_volumetry.volumetry.measure import measure
from flr_volumetry.volumetry.near_vessels import near_vessels
from flr_volumetry.volumetry.nearby import neighbours
from flr_volumetry.volumetry.uncertainty import estimate_errors
from flr_volumetry.volumetry.uncertainty.settings import MOST_MM

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flr_volumetry.app.carry import Carried
    from flr_volumetry.app.case import Case
    from flr_volumetry.app.identifiers import Anonymity
    from flr_volumetry.assessment.model import Assessment, InputFile, Protocol
    from flr_volumetry.liver import Liver
    from flr_volumetry.resection import Patches
    from flr_volumetry.segmentation import Quality
    from flr_volumetry.segmentation.quality_findings import Finding
    from flr_volumetry.volumetry.consequences import Consequences
    from flr_volumetry.volumetry.measure import LiverVolumes
    from flr_volumetry.volumetry.patient import Patient
    from flr_volumetry.volumetry.uncertainty import DrawingErrors, VolumeErrors

LIBRARIES = ("numpy", "scipy", "edt", "connected-components-3d", "isal", "matplotlib", "typst")


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


def run_case(case: Case, *, tell: Callable[[str], None] = no_progress) -> Outcome:
    """Assess one case.

    Parameters
    ----------
    case : Case
        As `flr_volumetry.app.case.read_case` returns it.
    tell : callable
        Called with the name of each step as it begins.

    Returns
    -------
    Outcome
        Nothing is written; see `flr_volumetry.app.write.write_outcome`.

    Raises
    ------
    FlrError
        If an input cannot be read, the masks do not fit, or the plan cannot be carried out.
    """
    started = dt.datetime.now(dt.UTC)
    if case.stage:
        case.plan()
    # What is impossible in these tables is said before anything is read.
    case.person()
    case.uncertainty.relative()
    case.uncertainty.value()
    attested = case.attested.value()
    folder = case.resolve(case.assessment.protocol_folder) if case.assessment.protocol_folder else None
    protocols = read_protocols(case.protocol_keys(), folder=folder)
    tell("reading image and masks")
    loaded = load_case(case, tell=tell)
    source = loaded.liver.image.source if loaded.liver.image is not None else None
    if case.output.dicom:
        # Asked for in so many words: said before the work is done, if it cannot be.
        source_scan(source or Source(), loaded.liver.scan_grid)
    tell("checking the masks")
    checked = check_masks(loaded.liver)
    liver = replace(loaded.liver, caveats=(*loaded.liver.caveats, *checked.caveats))
    tell("following the vessels")
    liver = with_case_territories(liver, case)
    liver, placed = with_case_segments(liver, case)
    tell("cutting")
    carried = carried_plan(case, liver, tell=tell)
    plan = (
        carried.plan
        if carried is not None
        else case.plan(replace(loaded.files, landmarks=lambda: landmarks_of(case, liver)))
    )
    surfaces = {lesion.number: lesion_surface(lesion, liver.grid) for lesion in liver.lesions}
    partition = resect(liver, plan, surfaces=surfaces)
    inputs = loaded.inputs if carried is not None else (*loaded.inputs, *imported_remnants(case, plan))
    tell("measuring")
    judged = judge(case, liver, partition, protocols, quality=checked.quality, surfaces=surfaces)
    volumes, consequences, assessment = judged.volumes, judged.consequences, judged.assessment
    patient, inputs = judged.patient, (*inputs, *judged.maps)
    scan, date_caveats = scan_facts(case, liver)
    caveats = _unique(
        (
            *date_caveats,
            *liver.caveats,
            *(carried.caveats if carried is not None else ()),
            *partition.caveats,
            *volumes.caveats,
            *consequences.caveats,
            *assessment.caveats,
        )
    )
    near = near_vessels(liver, surfaces=surfaces)
    facts = Facts(volumes, consequences, assessment, patient, attested, partition.plan, near)
    summary = Summary(
        case_id=case.case.id,
        patient=patient,
        volumes=volumes,
        assessment=assessment,
        caveats=caveats,
        methods=(
            *_methods(inputs),
            *loaded.methods,
            *checked.methods,
            *(sentence for t in liver.territories for sentence in t.methods),
            *placed,
            *(carried.methods if carried is not None else ()),
            *partition.methods,
            *volumes.methods,
            *consequences.methods,
            *assessment.methods,
        ),
        provenance=Provenance(
            version=_version("flr-volumetry"),
            libraries=tuple((name, _version(name)) for name in LIBRARIES),
            started=started.isoformat(timespec="seconds"),
            inputs=inputs,
            case_sha256=case.sha256,
        ),
        plan=partition.plan,
        consequences=consequences,
        neighbours=neighbours(liver, surfaces=surfaces),
        cut_areas=cut_surface(liver, partition, surfaces=surfaces),
        checklists=fill_in(facts),
        two_stage=two_stage_path(facts),
        scan=scan,
        lesion_uids=lesion_uids(liver, carried),
    )
    outcome = Outcome(summary, liver, partition, carried, checked.findings, case.output, source, case=case)
    return anonymous(outcome, case) if case.output.anonymous else outcome


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


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A plan carried out, measured and assessed.

    Parameters
    ----------
    volumes : LiverVolumes
        Of its pieces.
    consequences : Consequences
        What it means for what stays.
    patient : Patient
        With what a functional map says of the remnant.
    maps : tuple of InputFile
        The functional map's files.
    errors : VolumeErrors
        How far the volumes are off.
    assessment : Assessment
        Indices and findings.
    """

    volumes: LiverVolumes
    consequences: Consequences
    patient: Patient
    maps: tuple[InputFile, ...]
    errors: VolumeErrors
    assessment: Assessment


def judge(
    case: Case,
    liver: Liver,
    partition: Partition,
    protocols: Sequence[Protocol],
    *,
    quality: Quality,
    surfaces: Mapping[int, Patches],
) -> Judged:
    """Measure and assess a plan that was carried out.

    Parameters
    ----------
    case : Case
        What it says of patient, uncertainty and functional map.
    liver : Liver
        The liver.
    partition : Partition
        Of that liver.
    protocols : sequence of Protocol
        To judge by.
    quality : Quality
        Of the liver's mask.
    surfaces : mapping of int to Patches
        Of its lesions, by number.

    Returns
    -------
    Judged
        The same for a report and for a page.

    Raises
    ------
    FlrError
        If the functional map cannot be read, or the plan leaves no working liver.
    """
    volumes = measure(liver, partition, surfaces=surfaces)
    consequences = weigh(liver, partition)
    patient, maps = with_functional_map(case.person(), case, liver, partition)
    drawing = widened(case.uncertainty.value(), quality)
    errors = estimate_errors(liver, partition, volumes, consequences=consequences, errors=drawing)
    relative = case.uncertainty.relative()
    if relative is not None:
        errors = errors.with_relative(volumes, relative)
    assessment = assess(
        volumes,
        patient,
        protocols,
        errors=errors,
        tissue=tissue_of(case, liver, patient),
        cut=PlannedCut(partition.plan, consequences),
    )
    if case.followup is not None:
        assessment = without_forecast(assessment)
    return Judged(volumes, consequences, patient, tuple(maps), errors, assessment)


def widened(drawing: DrawingErrors, quality: Quality) -> DrawingErrors:
    """Return how far the liver's outline wavers, at least as far as the check of its mask expects.

    Parameters
    ----------
    drawing : DrawingErrors
        As the case has them.
    quality : Quality
        Of the liver's mask.

    Returns
    -------
    DrawingErrors
        Never smaller: a mask that follows the scan's edges well makes no interval narrower.
    """
    expected = boundary_sd_mm(quality)
    if expected is None or expected <= drawing.local_sd_mm:
        return drawing
    return replace(drawing, local_sd_mm=min(expected, MOST_MM))


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


def without_forecast(assessment: Assessment) -> Assessment:
    """Leave out what growth is forecast from a baseline: a follow-up has grown already.

    Parameters
    ----------
    assessment : Assessment
        Of a later scan, judged as if it were the first.

    Returns
    -------
    Assessment
        The same without its pathway; a caveat says where growth is found.
    """
    path = assessment.pathway
    if path is None:
        return assessment
    said = (
        "No growth is forecast in this report: the scan is a follow-up, and growth published from a baseline "
        "does not start anew. Growth measured, and the forecast updated by it, stand in followup.html of "
        "flr followup."
    )
    return replace(
        assessment,
        pathway=None,
        caveats=(
            *(c for c in assessment.caveats if c not in path.caveats),
            Caveat("no_forecast_in_followup", said),
        ),
        methods=tuple(m for m in assessment.methods if m not in path.methods),
    )


def _methods(inputs: tuple[InputFile, ...]) -> tuple[str, ...]:
    image = next((i for i in inputs if i.role == "image"), None)
    if image is None:
        return ("Masks were read without an image; all coordinates are DICOM patient coordinates (LPS).",)
    return (
        f"The scan ({image.description}) and the masks were read in DICOM patient coordinates (LPS) and "
        "cropped to the liver.",
    )


def _unique(caveats: tuple[Caveat, ...]) -> tuple[Caveat, ...]:
    return tuple(dict.fromkeys(caveats))


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
