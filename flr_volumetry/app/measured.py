"""What was measured of a plan, apart from the rules it is judged by; and the judging."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from flr_volumetry.app.functional_map import map_share_of, tissue_of, with_spleen
from flr_volumetry.assessment.engine import assess
from flr_volumetry.assessment.model import PlannedCut, Provenance, Summary
from flr_volumetry.assessment.systems import Facts, fill_in
from flr_volumetry.assessment.two_stage import two_stage_path
from flr_volumetry.errors import Caveat
from flr_volumetry.io.protocols import read_protocols
from flr_volumetry.segmentation.quality import boundary_sd_mm
from flr_volumetry.volumetry.consequences import weigh
from flr_volumetry.volumetry.measure import measure
from flr_volumetry.volumetry.uncertainty import estimate_errors
from flr_volumetry.volumetry.uncertainty.settings import DRAWING_ERRORS, MOST_MM

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flr_volumetry.app.case import Case
    from flr_volumetry.assessment.model import Assessment, InputFile, Protocol, ScanFacts
    from flr_volumetry.assessment.plausibility import Tissue
    from flr_volumetry.liver import Liver
    from flr_volumetry.resection import CutArea, Partition, Patches, Piece, ResectionPlan
    from flr_volumetry.segmentation import Quality
    from flr_volumetry.volumetry.consequences import Consequences
    from flr_volumetry.volumetry.functional_map import MapShare
    from flr_volumetry.volumetry.measure import LiverVolumes
    from flr_volumetry.volumetry.near_vessels import NearVessel
    from flr_volumetry.volumetry.nearby import Neighbours
    from flr_volumetry.volumetry.patient import Patient
    from flr_volumetry.volumetry.uncertainty import DrawingErrors, VolumeErrors

LIBRARIES = ("numpy", "scipy", "edt", "connected-components-3d", "isal", "matplotlib", "typst")
WHOLE_SHARE: Final = DRAWING_ERRORS.outline_sd_mm / DRAWING_ERRORS.local_sd_mm
"""How far an outline lies too wide or too tight as a whole, over how far it wavers."""


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """What a plan's pieces hold, and how sure that is.

    Parameters
    ----------
    volumes : LiverVolumes
        Of the pieces.
    consequences : Consequences
        What the cut means for what stays.
    errors : VolumeErrors
        How far the volumes are off, by the geometry of this liver.
    map_share : MapShare or None
        What a functional map says of the remnant.
    tissue : Tissue or None
        CT number of the liver; that of the spleen is the patient's, and not in it.
    """

    volumes: LiverVolumes
    consequences: Consequences
    errors: VolumeErrors
    map_share: MapShare | None = None
    tissue: Tissue | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """All that a report says of a case before rules, patient facts and what is attested come to it.

    Parameters
    ----------
    counted : Counted
        The pieces.
    plan : ResectionPlan
        As it was carried out.
    pieces : tuple of Piece
        Of the partition.
    near : tuple of NearVessel
        How far each lesion lies from large vessels.
    neighbours : tuple of Neighbours
        How far each lesion lies from vessels and segments.
    cut_areas : tuple of CutArea
        One for each resection.
    scan : ScanFacts
        When it was acquired, and of whom.
    lesion_uids : mapping of int to str
        By which each lesion is known at other dates.
    inputs : tuple of InputFile
        Every file that was read.
    caveats : tuple of Caveat
        Of all steps before the assessment, in their order, without repeats.
    methods : tuple of str
        Likewise.
    """

    counted: Counted
    plan: ResectionPlan = field(repr=False)
    pieces: tuple[Piece, ...]
    near: tuple[NearVessel, ...]
    neighbours: tuple[Neighbours, ...]
    cut_areas: tuple[CutArea, ...]
    scan: ScanFacts
    lesion_uids: dict[int, str]
    inputs: tuple[InputFile, ...]
    caveats: tuple[Caveat, ...] = field(repr=False)
    methods: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A plan carried out, measured and assessed.

    Parameters
    ----------
    counted : Counted
        Volumes, consequences and errors.
    patient : Patient
        With what a functional map says of the remnant.
    errors : VolumeErrors
        How far the volumes are off, by geometry or as the case says.
    assessment : Assessment
        Indices and findings.
    """

    counted: Counted
    patient: Patient
    errors: VolumeErrors
    assessment: Assessment


def protocols_of(case: Case) -> tuple[Protocol, ...]:
    """Read the protocols that a case asks for.

    Parameters
    ----------
    case : Case
        With its folder of protocols, if it names one.

    Returns
    -------
    tuple of Protocol
        In its order.

    Raises
    ------
    ProtocolError
        As `flr_volumetry.io.protocols.read_protocols` does.
    """
    folder = case.resolve(case.assessment.protocol_folder) if case.assessment.protocol_folder else None
    return read_protocols(case.protocol_keys(), folder=folder)


def count(
    case: Case,
    liver: Liver,
    partition: Partition,
    *,
    quality: Quality,
    surfaces: Mapping[int, Patches],
) -> tuple[Counted, tuple[InputFile, ...]]:
    """Measure a plan that was carried out.

    Parameters
    ----------
    case : Case
        What it says of uncertainty and functional map.
    liver : Liver
        The liver.
    partition : Partition
        Of that liver.
    quality : Quality
        Of the liver's mask.
    surfaces : mapping of int to Patches
        Of its lesions, by number.

    Returns
    -------
    counted : Counted
        Nothing in it depends on patient facts or rules.
    maps : tuple of InputFile
        The functional map's files.

    Raises
    ------
    FlrError
        If the functional map cannot be read, or the plan leaves no working liver.
    """
    volumes = measure(liver, partition, surfaces=surfaces)
    consequences = weigh(liver, partition)
    share, maps = map_share_of(case, liver, partition)
    drawing = widened(case.uncertainty.value(), quality)
    errors = estimate_errors(liver, partition, volumes, consequences=consequences, errors=drawing)
    return Counted(volumes, consequences, errors, share, tissue_of(case, liver)), maps


def judge(case: Case, counted: Counted, plan: ResectionPlan, protocols: Sequence[Protocol]) -> Judged:
    """Judge what was measured by the rules of protocols.

    Parameters
    ----------
    case : Case
        What it says of the patient, and of relative errors.
    counted : Counted
        Of the plan.
    plan : ResectionPlan
        As it was carried out.
    protocols : sequence of Protocol
        To judge by.

    Returns
    -------
    Judged
        The same for a report, for one made anew from what was measured, and for a page.

    Raises
    ------
    FlrError
        As `flr_volumetry.assessment.engine.assess` does.
    """
    patient = case.person()
    if patient.function is not None and counted.map_share is not None:
        patient = replace(patient, function=patient.function.with_map(counted.map_share))
    relative = case.uncertainty.relative()
    errors = counted.errors
    if relative is not None:
        errors = errors.with_relative(counted.volumes, relative)
    assessment = assess(
        counted.volumes,
        patient,
        protocols,
        errors=errors,
        tissue=with_spleen(counted.tissue, patient),
        cut=PlannedCut(plan, counted.consequences),
    )
    if case.followup is not None:
        assessment = without_forecast(assessment)
    return Judged(counted, patient, errors, assessment)


def summary_of(case: Case, measured: Measured, protocols: Sequence[Protocol], *, started: str) -> Summary:
    """Judge what was measured, and put together all that a report says.

    Parameters
    ----------
    case : Case
        Patient, what is attested, and what to judge by.
    measured : Measured
        Of that case, now or by an earlier run.
    protocols : sequence of Protocol
        As the case asks for them.
    started : str
        When the run began, ISO 8601, UTC.

    Returns
    -------
    Summary
        Of an earlier run's measurements the same, number by number, as of the run itself.

    Raises
    ------
    FlrError
        If a patient fact lies outside a formula's domain, or a rule cannot be judged on its index.
    """
    counted = measured.counted
    judged = judge(case, counted, measured.plan, protocols)
    facts = Facts(
        counted.volumes,
        counted.consequences,
        judged.assessment,
        judged.patient,
        case.attested.value(),
        measured.plan,
        measured.near,
    )
    known = set(measured.caveats)
    new = tuple(c for c in dict.fromkeys(judged.assessment.caveats) if c not in known)
    return Summary(
        case_id=case.case.id,
        patient=judged.patient,
        volumes=counted.volumes,
        assessment=judged.assessment,
        caveats=(*measured.caveats, *new),
        methods=(*measured.methods, *judged.assessment.methods),
        provenance=Provenance(
            version=installed("flr-volumetry"),
            libraries=tuple((name, installed(name)) for name in LIBRARIES),
            started=started,
            inputs=measured.inputs,
            case_sha256=case.sha256,
        ),
        plan=measured.plan,
        consequences=counted.consequences,
        neighbours=measured.neighbours,
        cut_areas=measured.cut_areas,
        checklists=fill_in(facts),
        two_stage=two_stage_path(facts),
        scan=measured.scan,
        lesion_uids=measured.lesion_uids,
    )


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

    Notes
    -----
    Masks that waver more lie too wide or too tight by more as a whole: on 30 automatic masks of synthetic
    patients by 0.39 of their mean distance from the truth (root mean square), as the defaults have it, 0.4
    and 1.2 mm.
    """
    expected = boundary_sd_mm(quality)
    if expected is None or expected <= drawing.local_sd_mm:
        return drawing
    local = min(expected, MOST_MM)
    whole = max(drawing.outline_sd_mm, WHOLE_SHARE * local)
    return replace(drawing, local_sd_mm=round(local, 3), outline_sd_mm=round(whole, 3))


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


def installed(name: str) -> str:
    """Return the version of an installed package; "unknown" if it is not."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
