"""An outcome's numbers as measurement groups of a structured report.

Volumes of groups that refer to a segment are those of its voxels; a piece is there without the lesions in it,
which are segments of their own, and its volume with them stands beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from flr_volumetry.app.dicom_segments import ABLATED_CODE, REMNANT_CODE, RESECTED_CODE
from flr_volumetry.assessment.model import FRACTION, State
from flr_volumetry.io import SEGMENT_CODES
from flr_volumetry.io.derived import Amount, Coded, Group, Statement, tracking_uid
from flr_volumetry.io.derived.segments import LESION, LIVER
from flr_volumetry.io.names import OWN_SCHEME
from flr_volumetry.report import certainty
from flr_volumetry.resection import PieceKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flr_volumetry.assessment.model import Finding, Index, Summary
    from flr_volumetry.io.derived import SegmentObject
    from flr_volumetry.resection import Piece
    from flr_volumetry.volumetry.measure import LesionFacts

VOLUME: Final = Coded("118565006", "SCT", "Volume")
VOXELS: Final = Coded("126030", "DCM", "Sum of segmented voxel method for volume")
CM3: Final = Coded("cm3", "UCUM", "cubic centimeter")
MM: Final = Coded("mm", "UCUM", "millimeter")
PERCENT: Final = Coded("%", "UCUM", "Percent")
NO_UNITS: Final = Coded("1", "UCUM", "no units")
YES: Final = Coded("373066001", "SCT", "Yes")
NO: Final = Coded("373067005", "SCT", "No")


def own(value: str, meaning: str) -> Coded:
    """Return a concept that no public dictionary has."""
    return Coded(value, OWN_SCHEME, meaning)


WITH_LESIONS: Final = own("WITH_LESIONS", "Volume, lesions included")
WITHOUT_LESIONS: Final = own("WITHOUT_LESIONS", "Volume, lesions not included")
STAYS: Final = own("STAYS", "Volume that stays, lesions included")
DIAMETER: Final = own("DIAMETER_3D", "Longest diameter, in three dimensions")
MARGIN: Final = own("MARGIN", "Distance to the liver that stays")
CLEARED: Final = own("CLEARED", "Removed or ablated as a whole by the plan")
RULE: Final = own("RULE", "Published threshold of the future liver remnant")
THRESHOLD: Final = own("THRESHOLD", "Threshold")
BEYOND: Final = own("BEYOND", "Volume of the remnant beyond the threshold")
PROBABILITY: Final = own("PROBABILITY", "Probability that the true value lies above it")
STATE: Final = own("STATE", "Where the value lies against the threshold")
STATES: Final = {
    State.CLEAR_ABOVE: own("CLEAR_ABOVE", "Clearly above the threshold"),
    State.BORDERLINE: own("BORDERLINE", "Borderline"),
    State.CLEAR_BELOW: own("CLEAR_BELOW", "Clearly below the threshold"),
    State.NOT_EVALUABLE: own("NOT_EVALUABLE", "Not evaluable"),
}
_PIECES: Final = {PieceKind.RESECTED: RESECTED_CODE, PieceKind.ABLATED: ABLATED_CODE}
_UNITS: Final = {
    "mL/m2": Coded("cm3/m2", "UCUM", "cubic centimeter per square meter"),
    "%/min/m2": Coded("%/min/m2", "UCUM", "percent per minute per square meter"),
    "%/min": Coded("%/min", "UCUM", "percent per minute"),
    "mL/kg": Coded("cm3/kg", "UCUM", "cubic centimeter per kilogram"),
    "ug/kg/h": Coded("ug/kg/h", "UCUM", "microgram per kilogram per hour"),
    "g/dL": Coded("g/dL", "UCUM", "gram per deciliter"),
    "/nL": Coded("/nL", "UCUM", "per nanoliter"),
    "/min": Coded("/min", "UCUM", "per minute"),
}
_INDEX_CODES: Final = {"flr_per_body_weight": "FLR_PER_WEIGHT"}
"""Codes of indices whose keys are longer than a code may be."""


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """Segmentations that were made of a case, with what their segments are.

    Parameters
    ----------
    summary : Summary
        The case.
    partition : tuple of Piece
        What the plan makes of the liver.
    objects : tuple of (tuple of (str, int), SegmentObject)
        Plan, liver and so on: what each segment is, as `Pieces` says it, and the segmentation.
    tracked : callable
        Gives the lasting identifier of a lesion by its number.
    series_uid : str
        Of the scan.
    """

    summary: Summary
    partition: tuple[Piece, ...] = field(repr=False)
    objects: tuple[tuple[tuple[tuple[str, int], ...], SegmentObject], ...] = field(repr=False)
    tracked: Callable[[int], str]
    series_uid: str

    @classmethod
    def of(
        cls,
        summary: Summary,
        partition: tuple[Piece, ...],
        objects: tuple[tuple[tuple[tuple[str, int], ...], SegmentObject], ...],
        series_uid: str,
    ) -> Placed:
        """Return a case whose lesions are tracked by what is known of them, or within their series."""
        return cls(summary, partition, objects, tracked_in(summary, series_uid), series_uid)

    def find(self, kind: str, label: int) -> tuple[SegmentObject, int] | None:
        """Return which segment something is; None if none."""
        for of, made in self.objects:
            if (kind, label) in of:
                return made, of.index((kind, label)) + 1
        return None

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel, mL."""
        return self.summary.volumes.voxel_ml

    def ml(self, segment: tuple[SegmentObject, int]) -> float:
        """Volume of a segment, mL, by its voxels."""
        return segment[0].voxels[segment[1] - 1] * self.voxel_ml

    def uid(self, what: str) -> str:
        """Return the lasting identifier of something in this scan."""
        return tracking_uid(self.series_uid, what)


def tracked_in(summary: Summary, series_uid: str) -> Callable[[int], str]:
    """Return what gives the lasting identifier of a lesion by its number.

    Parameters
    ----------
    summary : Summary
        The case, with the identifiers that are known.
    series_uid : str
        Of the scan.

    Returns
    -------
    callable
        The known one, or one made of the series.
    """
    return lambda number: summary.lesion_uids.get(number) or tracking_uid(series_uid, f"lesion {number}")


def groups_of(placed: Placed) -> tuple[Group, ...]:
    """Return all measurement groups of a case.

    Parameters
    ----------
    placed : Placed
        The case, and its segmentations.

    Returns
    -------
    tuple of Group
        Liver, remnant with its indices, pieces, lesions, Couinaud segments, and a group for each rule.
    """
    return (
        _liver(placed),
        _remnant(placed),
        *_pieces(placed),
        *(_lesion(placed, lesion) for lesion in placed.summary.volumes.lesions),
        *_segments(placed),
        *(_rule(placed, finding) for finding in placed.summary.assessment.findings),
    )


def _volume(
    placed: Placed, segment: tuple[SegmentObject, int] | None, interval: tuple[float, float] | None = None
) -> tuple[Amount, ...]:
    if segment is None:
        return ()
    return (Amount(VOLUME, placed.ml(segment), CM3, interval, VOXELS),)


def _liver(placed: Placed) -> Group:
    volumes = placed.summary.volumes
    intervals = placed.summary.assessment.volume_intervals
    segment = placed.find("liver", 0)
    functional = Amount(WITHOUT_LESIONS, volumes.functional_ml, CM3, intervals.get("functional_ml"), VOXELS)
    amounts = (*_volume(placed, segment, intervals.get("total_ml")), functional)
    return Group("Liver", placed.uid("liver"), LIVER, amounts, segment=segment)


def _remnant(placed: Placed) -> Group:
    summary = placed.summary
    intervals = summary.assessment.volume_intervals
    segment = placed.find("remnant", 1)
    gross = Amount(WITH_LESIONS, summary.volumes.remnant_ml, CM3, intervals.get("remnant_ml"), VOXELS)
    volume = _volume(placed, segment, intervals.get("remnant_functional_ml"))
    indices = tuple(_index(index) for index in summary.assessment.indices)
    return Group(
        "Future liver remnant",
        placed.uid("remnant"),
        REMNANT_CODE,
        (*volume, gross, *indices),
        segment=segment,
        sites=(LIVER,),
        comment=" ".join(summary.assessment.conclusion),
    )


def _index(index: Index) -> Amount:
    value, interval, unit = index.value, index.interval, _unit(index.unit)
    if index.unit == FRACTION:
        value, interval = 100 * value, (100 * interval[0], 100 * interval[1])
    known = interval if all(math.isfinite(v) for v in interval) else None
    return Amount(index_code(index.key, index.title), value, unit, known)


def index_code(key: str, title: str) -> Coded:
    """Return the concept of an index; titles are shortened to the length of a code's meaning."""
    meaning = title.replace("standardised FLR", "sFLR").replace("functional liver volume", "FTLV")
    return own(_INDEX_CODES.get(key, key.upper()[:16]), meaning)


def _unit(unit: str) -> Coded:
    return PERCENT if unit in {FRACTION, "%"} else _UNITS.get(unit, NO_UNITS)


def _pieces(placed: Placed) -> Iterator[Group]:
    for piece in placed.partition[1:]:
        segment = placed.find("piece", piece.label)
        gross = Amount(WITH_LESIONS, piece.count * placed.voxel_ml, CM3, None, VOXELS)
        yield Group(
            f"Stage {piece.stage}: {piece.title}",
            placed.uid(f"piece {piece.label}"),
            _PIECES[piece.kind],
            (*_volume(placed, segment), gross),
            segment=segment,
            sites=(LIVER,),
        )


def _lesion(placed: Placed, lesion: LesionFacts) -> Group:
    summary = placed.summary
    segment = placed.find("lesion", lesion.number)
    amounts = [*_volume(placed, segment, certainty.lesion_interval(summary, lesion))]
    amounts.append(Amount(DIAMETER, lesion.longest_diameter_mm, MM))
    if math.isfinite(lesion.margin_mm):
        amounts.append(Amount(MARGIN, lesion.margin_mm, MM, certainty.margin_interval(summary, lesion)))
    shared = lesion.ml - (placed.ml(segment) if segment is not None else 0.0)
    sites = tuple(Coded(SEGMENT_CODES[n - 1], "SCT", f"Liver segment {n}") for n in lesion.segments if n > 0)
    return Group(
        f"Lesion {lesion.number}",
        placed.tracked(lesion.number),
        LESION,
        tuple(amounts),
        (Statement(CLEARED, YES if lesion.cleared else NO),),
        segment,
        sites or (LIVER,),
        f"{shared:.2f} mL of it lie in a lesion before it and belong to that one's segment."
        if shared > placed.voxel_ml / 2
        else "",
    )


def _segments(placed: Placed) -> Iterator[Group]:
    summary = placed.summary
    for volume in summary.volumes.segments:
        segment = placed.find("segment", volume.segment)
        if segment is None:
            continue
        stays = Amount(STAYS, volume.remnant_ml, CM3, None, VOXELS)
        words = segment[0].segments[segment[1] - 1]
        yield Group(
            words.label,
            placed.uid(f"segment {volume.segment}"),
            words.kind,
            (*_volume(placed, segment, certainty.segment_interval(summary, volume)), stays),
            segment=segment,
        )


def _rule(placed: Placed, finding: Finding) -> Group:
    rule = finding.rule
    percent = 100 if rule.unit == FRACTION else 1
    unit = _unit(rule.unit)
    amounts = [Amount(THRESHOLD, percent * rule.threshold, unit)]
    if finding.value is not None:
        ends = finding.interval
        known = (percent * ends[0], percent * ends[1]) if ends and all(map(math.isfinite, ends)) else None
        amounts.insert(
            0, Amount(index_code(rule.index, rule.denominator), percent * finding.value, unit, known)
        )
    if finding.margin_ml is not None:
        amounts.append(Amount(BEYOND, finding.margin_ml, CM3))
    if finding.probability_above is not None:
        amounts.append(Amount(PROBABILITY, 100 * finding.probability_above, PERCENT))
    said = [rule.title, finding.reason, f"{rule.op} asked for.", f"Source: {rule.citation.text}"]
    return Group(
        f"Rule {rule.id} of {finding.protocol}",
        placed.uid(f"rule {finding.protocol} {rule.id}"),
        RULE,
        tuple(amounts),
        (Statement(STATE, STATES[finding.state]),),
        comment=" ".join(f"{part.rstrip('.')}." for part in said if part),
    )
