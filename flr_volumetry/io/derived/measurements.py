"""Measurements as a structured report (PS3.16, TID 1500) that refers to segmentations and their images."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from flr_volumetry.io.derived.identity import marked, renewed, with_private_scheme
from flr_volumetry.io.derived.segments import MANUFACTURER, Coded, SegmentObject, lacking, new_series
from flr_volumetry.io.derived.source import quietly
from flr_volumetry.io.derived.uids import new_uid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.io.derived.segments import Maker, SeriesWords
    from flr_volumetry.io.derived.source import SourceScan

COMMENT: Final = Coded("121106", "DCM", "Comment")
UPPER: Final = Coded("371886008", "SCT", "+, range of upper measurement uncertainty")
LOWER: Final = Coded("371885007", "SCT", "-, range of lower measurement uncertainty")
_PROCEDURES: Final = {
    "CT": Coded("25045-6", "LN", "CT unspecified body region"),
    "MR": Coded("25056-3", "LN", "MRI unspecified body region"),
}
MOST_IMAGES: Final = 60
"""What lies on more images than these refers to their series: TID 1411 allows either, and hundreds of images
in every group make a report of megabytes. The evidence lists every image all the same."""
_TEXT_BYTES: Final = 1000
"""Longer comments are cut: they are copies of what the report says in full."""


@dataclass(frozen=True, slots=True)
class Amount:
    """A measured or computed number.

    Parameters
    ----------
    name : Coded
        What it is.
    value : float
        In `unit`.
    unit : Coded
        Of UCUM.
    interval : tuple of float or None
        Where the true value lies with 95 % certainty, in `unit`.
    method : Coded or None
        How it was found.
    """

    name: Coded
    value: float
    unit: Coded
    interval: tuple[float, float] | None = None
    method: Coded | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """Something that is said of a group in coded words.

    Parameters
    ----------
    name, value : Coded
        What is asked, and the answer.
    """

    name: Coded
    value: Coded


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """What is known of one thing.

    Parameters
    ----------
    tracking_id, tracking_uid : str
        By which it is known at another date.
    finding : Coded
        What it is.
    amounts : tuple of Amount
        Its numbers.
    statements : tuple of Statement
        What is said of it.
    segment : tuple of (SegmentObject, int) or None
        The segmentation that holds it, and its number there.
    sites : tuple of Coded
        Where it lies.
    comment : str
        In plain words.
    """

    tracking_id: str
    tracking_uid: str
    finding: Coded
    amounts: tuple[Amount, ...] = ()
    statements: tuple[Statement, ...] = ()
    segment: tuple[SegmentObject, int] | None = None
    sites: tuple[Coded, ...] = ()
    comment: str = ""


def measurement_report(
    source: SourceScan, groups: Sequence[Group], *, maker: Maker, words: SeriesWords
) -> Any:
    """Make a Comprehensive 3D SR of TID 1500.

    Groups with a segment follow TID 1411, those without TID 1501; a comment is one more text item in them,
    which both templates, being extensible, allow.

    Parameters
    ----------
    source : SourceScan
        The images.
    groups : sequence of Group
        In order.
    maker : Maker
        What measured.
    words : SeriesWords
        Of the new series.

    Returns
    -------
    pydicom.Dataset
        In the scan's study.

    Raises
    ------
    OutputError
        If the images lack what a report must take from them.
    """
    import highdicom as hd

    try:
        content = _content(source, groups, maker)
        with quietly():
            made = hd.sr.Comprehensive3DSR(
                evidence=_evidence(source, groups),
                content=content,
                sop_instance_uid=new_uid(),
                instance_number=1,
                is_complete=True,
                is_final=False,
                is_verified=False,
                **new_series(source, words),
            )
    except Exception as error:
        raise lacking(source, "structured report", error) from error
    made.ManufacturerModelName = maker.name
    made.SoftwareVersions = maker.version
    return marked(with_private_scheme(made), source)


def renewed_report(earlier: Any, source: SourceScan, groups: Sequence[Group], *, maker: Maker) -> Any:
    """Say other numbers in a structured report of the same images and segmentations.

    Patient, study and evidence are those of the earlier report, so that no header is needed.

    Parameters
    ----------
    earlier : pydicom.Dataset
        As `measurement_report` made it.
    source : SourceScan
        The images, of which identifiers are enough.
    groups : sequence of Group
        In order; they refer to the segmentations that the earlier report refers to.
    maker : Maker
        What measured.

    Returns
    -------
    pydicom.Dataset
        Another object in a series of its own.

    Raises
    ------
    OutputError
        If the groups cannot be written.
    """
    made = copy.deepcopy(earlier)
    try:
        content = _content(source, groups, maker)
    except Exception as error:
        raise lacking(source, "structured report", error) from error
    for element in content:
        made[element.tag] = element
    made.SoftwareVersions = maker.version
    return renewed(made)


def _content(source: SourceScan, groups: Sequence[Group], maker: Maker) -> Any:
    """Return the document tree of a structured report."""
    import highdicom as hd

    modality = str(source.first.get("Modality"))
    device = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=new_uid(), name=maker.name, manufacturer_name=MANUFACTURER, model_name=maker.name
    )
    report = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(
            observer_device_context=hd.sr.ObserverContext(_code("121007", "Device"), device)
        ),
        procedure_reported=_PROCEDURES.get(modality, _PROCEDURES["CT"]).concept(),
        imaging_measurements=[_group(source, one, maker) for one in groups],
        title=_code("126000", "Imaging Measurement Report"),
    )
    return report[0]


def _code(value: str, meaning: str) -> Any:
    return Coded(value, "DCM", meaning).concept()


def _evidence(source: SourceScan, groups: Sequence[Group]) -> list[Any]:
    """Return all objects that a report refers to, each once: the images, then the segmentations."""
    objects = {id(g.segment[0]): g.segment[0] for g in groups if g.segment is not None}
    slices = sorted({n for one in objects.values() for mine in one.slices for n in mine})
    return [*source.images_at(slices), *(one.dataset for one in objects.values())]


def _group(source: SourceScan, one: Group, maker: Maker) -> Any:
    import highdicom as hd

    common: dict[str, Any] = {
        "tracking_identifier": hd.sr.TrackingIdentifier(
            uid=one.tracking_uid or new_uid(), identifier=one.tracking_id
        ),
        "finding_type": one.finding.concept(),
        "algorithm_id": hd.sr.AlgorithmIdentification(name=maker.name, version=maker.version),
        "measurements": [_measured(amount) for amount in one.amounts],
        "qualitative_evaluations": [
            hd.sr.QualitativeEvaluation(s.name.concept(), s.value.concept()) for s in one.statements
        ],
        "finding_sites": [hd.sr.FindingSite(anatomic_location=site.concept()) for site in one.sites],
    }
    if one.segment is None:
        made: Any = hd.sr.MeasurementsAndQualitativeEvaluations(**common)
    else:
        made = hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            **common, referenced_segment=_referenced(source, *one.segment)
        )
    if one.comment:
        text = one.comment.encode()[:_TEXT_BYTES].decode(errors="ignore")
        made[0].ContentSequence.append(
            hd.sr.TextContentItem(COMMENT.concept(), text, hd.sr.RelationshipTypeValues.CONTAINS)
        )
    return made


def _measured(amount: Amount) -> Any:
    import highdicom as hd

    made = hd.sr.Measurement(
        name=amount.name.concept(),
        value=amount.value,
        unit=amount.unit.concept(),
        method=amount.method.concept() if amount.method is not None else None,
    )
    if amount.interval is None:
        return made
    low, high = amount.interval
    belongs = hd.sr.RelationshipTypeValues.HAS_PROPERTIES
    ends = ((UPPER, max(0.0, high - amount.value)), (LOWER, max(0.0, amount.value - low)))
    for name, reach in ends:
        item = hd.sr.NumContentItem(name.concept(), reach, amount.unit.concept(), relationship_type=belongs)
        if "ContentSequence" not in made[0]:
            made[0].ContentSequence = hd.sr.ContentSequence()
        made[0].ContentSequence.append(item)
    return made


def _referenced(source: SourceScan, segmentation: SegmentObject, number: int) -> Any:
    import highdicom as hd

    slices = segmentation.slices[number - 1]
    frames = sorted(source.frames[n] + 1 for n in slices) if source.frames else None
    whole = len(slices) > MOST_IMAGES and frames is None
    return hd.sr.ReferencedSegment(
        sop_class_uid=segmentation.dataset.SOPClassUID,
        sop_instance_uid=segmentation.dataset.SOPInstanceUID,
        segment_number=number,
        source_series=hd.sr.SourceSeriesForSegmentation(source.first.SeriesInstanceUID) if whole else None,
        source_images=None
        if whole
        else [
            hd.sr.SourceImageForSegmentation(image.SOPClassUID, image.SOPInstanceUID, frames)
            for image in source.images_at(slices)
        ],
    )
