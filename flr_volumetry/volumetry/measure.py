"""Counts what a partition leaves and takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.anatomy import ROMAN, SEGMENTS
from flr_volumetry.errors import Caveat, LiverError, PlanError
from flr_volumetry.resection import PieceKind, longest_diameter_mm, margins
from flr_volumetry.resection.partition import REMNANT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flr_volumetry.liver import Lesion, Liver
    from flr_volumetry.resection import LesionMargin, Partition, Patches


@dataclass(frozen=True, slots=True)
class SegmentVolume:
    """One Couinaud segment.

    Parameters
    ----------
    segment : int
        1 to 8; 0 stands for liver that no segment claims.
    ml : float
        Its volume, lesions included, mL.
    remnant_ml : float
        The part of it that stays, mL.
    """

    segment: int
    ml: float
    remnant_ml: float


@dataclass(frozen=True, slots=True)
class LesionFacts:
    """One lesion against the plan.

    Parameters
    ----------
    number : int
        From 1.
    name : str
        What its file calls it.
    ml : float
        Volume inside the liver, mL.
    longest_diameter_mm : float
        Largest distance between two of its voxel centres, in three dimensions, mm.
    segments : tuple of int
        Couinaud segments it lies in, the largest share first; empty without a segment map.
    location : str
        For people: "segment VIII" or "segments VIII and V"; empty without a segment map.
    margin_mm : float
        Smallest distance from the lesion's surface to the tissue that stays, mm; 0 if part
        of the lesion stays; infinite if nothing stays.
    closest_mm : tuple of float or None
        Where on the lesion's surface that is, LPS mm.
    remaining_ml : float
        How much of it stays, mL.
    cleared_in_stage : int
        The stage after which nothing of it is left, from 1; 0 if it is not cleared.
    cut_mm : tuple of float or None
        Where the tissue that stays is closest to it, LPS mm.
    """

    number: int
    name: str
    ml: float
    longest_diameter_mm: float
    segments: tuple[int, ...]
    location: str
    margin_mm: float
    closest_mm: tuple[float, float, float] | None
    remaining_ml: float
    cleared_in_stage: int
    cut_mm: tuple[float, float, float] | None = None

    @property
    def cleared(self) -> bool:
        """Whether nothing of it stays."""
        return self.cleared_in_stage > 0


@dataclass(frozen=True, slots=True)
class StageVolumes:
    """What one stage takes, and what is left after it.

    Parameters
    ----------
    number : int
        From 1.
    name : str
        As the plan calls it.
    after : str
        What happens before it, for people; empty if nothing.
    resections : tuple of str
        Titles of its resections.
    resected_ml, ablated_ml : float
        Taken in this stage, lesions included, mL.
    remnant_ml : float
        Left after it, lesions included, mL.
    remnant_functional_ml : float
        Left after it without lesions, mL.
    """

    number: int
    name: str
    after: str
    resections: tuple[str, ...]
    resected_ml: float
    ablated_ml: float
    remnant_ml: float
    remnant_functional_ml: float


@dataclass(frozen=True, slots=True)
class LiverVolumes:
    """All amounts of one liver under one plan.

    Conservation, to the voxel: ``total_ml = remnant_ml + resected_ml + ablated_ml``.

    Parameters
    ----------
    total_ml : float
        D1, TLV: the liver, lesions included.
    tumour_ml : float
        D2, TV: the union of the lesions, inside the liver.
    functional_ml : float
        D3, FTLV = TLV - TV.
    remnant_ml : float
        What stays, lesions in it included.
    remnant_functional_ml : float
        D5, FLR: what stays and works, lesions in it excluded.
    resected_ml : float
        Cut out, lesions included, all stages.
    ablated_ml : float
        Destroyed in place, lesions included, all stages.
    resected_tumour_ml : float
        Lesion volume in the resected pieces.
    segments : tuple of SegmentVolume
        Empty without a segment map.
    lesions : tuple of LesionFacts
        In order of their numbers.
    stages : tuple of StageVolumes
        In order.
    voxel_ml : float
        Volume of one voxel.
    caveats : tuple of Caveat
        What the counting found.
    methods : tuple of str
        Sentences for the methods section.
    """

    total_ml: float
    tumour_ml: float
    functional_ml: float
    remnant_ml: float
    remnant_functional_ml: float
    resected_ml: float
    ablated_ml: float
    resected_tumour_ml: float
    segments: tuple[SegmentVolume, ...]
    lesions: tuple[LesionFacts, ...]
    stages: tuple[StageVolumes, ...]
    voxel_ml: float
    caveats: tuple[Caveat, ...] = ()
    methods: tuple[str, ...] = ()


def measure(
    liver: Liver, partition: Partition, *, surfaces: Mapping[int, Patches] | None = None
) -> LiverVolumes:
    """Count what a partition leaves and takes.

    Parameters
    ----------
    liver : Liver
        The liver.
    partition : Partition
        Of that liver.
    surfaces : mapping of int to Patches or None
        Surfaces of lesions, by number, as far as they are at hand (`lesion_surface`); the result is the
        same, found sooner.

    Returns
    -------
    LiverVolumes
        Voxels counted times the volume of one, ``|det A|`` (D1 to D7 of the clinical base).

    Raises
    ------
    GridError
        If the partition is of another liver.
    LiverError
        If the lesions fill the liver.
    PlanError
        If what stays is lesion and nothing else.
    """
    lesion_margins = margins(liver, partition, surfaces=surfaces)
    ml = liver.grid.voxel_ml
    tumour = _tumour(liver)
    in_label = np.array([p.count for p in partition.pieces], dtype=np.int64)
    tumour_labels = partition.labels.ravel(order="F")[tumour.ravel(order="F")]
    tumour_in_label = np.bincount(tumour_labels, minlength=len(in_label) + 1)[1:]
    resected = [p.label - 1 for p in partition.pieces if p.kind is PieceKind.RESECTED]
    total, tumours = int(in_label.sum()), int(tumour_in_label.sum())
    remnant, remnant_tumour = int(in_label[0]), int(tumour_in_label[0])
    _require_parenchyma(total - tumours, remnant - remnant_tumour, total * ml, remnant * ml)
    segments = _segments(liver, partition)
    lesions = tuple(
        _lesion(lesion, liver, margin) for lesion, margin in zip(liver.lesions, lesion_margins, strict=True)
    )
    return LiverVolumes(
        total_ml=total * ml,
        tumour_ml=tumours * ml,
        functional_ml=(total - tumours) * ml,
        remnant_ml=remnant * ml,
        remnant_functional_ml=(remnant - remnant_tumour) * ml,
        resected_ml=partition.ml(PieceKind.RESECTED),
        ablated_ml=partition.ml(PieceKind.ABLATED),
        resected_tumour_ml=int(tumour_in_label[resected].sum()) * ml,
        segments=segments,
        lesions=lesions,
        stages=tuple(_stages(partition, in_label, tumour_in_label)),
        voxel_ml=ml,
        caveats=tuple(_caveats(liver, lesions)),
        methods=tuple(_methods(liver)),
    )


def _require_parenchyma(liver_voxels: int, remnant_voxels: int, liver_ml: float, remnant_ml: float) -> None:
    if not liver_voxels:
        raise LiverError(
            f"the lesions fill the liver: all of its {liver_ml:.1f} mL are lesion. Check whether a liver "
            "mask was given as a lesion.",
            reason="liver_is_tumour",
        )
    if not remnant_voxels:
        raise PlanError(
            f"all of the {remnant_ml:.1f} mL that stay are lesion: the plan leaves no working liver",
            reason="remnant_is_tumour",
        )


def _tumour(liver: Liver) -> npt.NDArray[np.bool_]:
    """Union of the lesions, inside the liver."""
    tumour = np.zeros_like(liver.voxels)
    for lesion in liver.lesions:
        tumour[lesion.box] |= lesion.voxels
    return np.asarray(tumour & liver.voxels)


def _segments(liver: Liver, partition: Partition) -> tuple[SegmentVolume, ...]:
    if liver.segments is None:
        return ()
    ml = liver.grid.voxel_ml
    inside = liver.voxels.ravel(order="F")
    segment = liver.segments.ravel(order="F")[inside]
    stays = partition.labels.ravel(order="F")[inside] == REMNANT
    claimed = np.bincount(segment, minlength=len(SEGMENTS) + 1)
    kept = np.bincount(segment[stays], minlength=len(SEGMENTS) + 1)
    numbers = [*SEGMENTS, 0] if claimed[0] else list(SEGMENTS)
    return tuple(SegmentVolume(n, int(claimed[n]) * ml, int(kept[n]) * ml) for n in numbers if claimed[n])


def _lesion(lesion: Lesion, liver: Liver, margin: LesionMargin) -> LesionFacts:
    ml = liver.grid.voxel_ml
    inside = lesion.voxels & liver.voxels[lesion.box]
    shares: tuple[int, ...] = ()
    if liver.segments is not None:
        counts = np.bincount(liver.segments[lesion.box][inside], minlength=len(SEGMENTS) + 1)
        order = np.argsort(-counts, kind="stable")
        shares = tuple(int(n) for n in order if counts[n] and n)
    return LesionFacts(
        number=lesion.number,
        name=lesion.name,
        ml=int(np.count_nonzero(inside)) * ml,
        longest_diameter_mm=longest_diameter_mm(lesion, liver.grid),
        segments=shares,
        location=_location(shares),
        margin_mm=margin.margin_mm,
        closest_mm=margin.closest_mm,
        remaining_ml=margin.remaining * ml,
        cleared_in_stage=margin.cleared_in_stage,
        cut_mm=margin.cut_mm,
    )


def _location(segments: tuple[int, ...]) -> str:
    if not segments:
        return ""
    if len(segments) == 1:
        return f"segment {ROMAN[segments[0]]}"
    names = [ROMAN[n] for n in segments]
    return f"segments {', '.join(names[:-1])} and {names[-1]}"


def _stages(
    partition: Partition,
    in_label: npt.NDArray[np.int64],
    tumour_in_label: npt.NDArray[np.int64],
) -> list[StageVolumes]:
    ml = partition.grid.voxel_ml
    stages = []
    for number, stage in enumerate(partition.plan.stages, start=1):
        mine = [p for p in partition.pieces if p.stage == number]
        left = [p.label - 1 for p in partition.pieces if p.stage == 0 or p.stage > number]
        stages.append(
            StageVolumes(
                number=number,
                name=stage.name,
                after=stage.after.title if stage.after else "",
                resections=tuple(p.title for p in mine),
                resected_ml=sum(p.count for p in mine if p.kind is PieceKind.RESECTED) * ml,
                ablated_ml=sum(p.count for p in mine if p.kind is PieceKind.ABLATED) * ml,
                remnant_ml=int(in_label[left].sum()) * ml,
                remnant_functional_ml=int((in_label - tumour_in_label)[left].sum()) * ml,
            )
        )
    return stages


def _stays(liver: Liver, lesion: LesionFacts) -> Caveat:
    said = (
        f"Lesion {lesion.number} {lesion.name!r} is not cleared: {lesion.remaining_ml:.2f} of its "
        f"{lesion.ml:.1f} mL stay in the remnant."
    )
    bare = 0.0
    if liver.segments is not None:
        (mine,) = (known for known in liver.lesions if known.number == lesion.number)
        inside = mine.voxels & liver.voxels[mine.box]
        bare = int(np.count_nonzero(liver.segments[mine.box][inside] == 0)) * liver.grid.voxel_ml
    if bare >= lesion.remaining_ml > 0:
        said += " The segment map leaves that part of the lesion without a segment: check the map for gaps."
    return Caveat("lesion_stays", said)


def _caveats(liver: Liver, lesions: tuple[LesionFacts, ...]) -> list[Caveat]:
    caveats = [_stays(liver, lesion) for lesion in lesions if not lesion.cleared]
    half_mm = float(np.linalg.norm(liver.grid.spacing_mm)) / 2
    caveats += [
        Caveat(
            "margin_unresolved",
            f"Lesion {lesion.number} {lesion.name!r}: its margin of {lesion.margin_mm:.1f} mm is not "
            f"larger than half the diagonal of a voxel ({half_mm:.1f} mm) and cannot be told "
            "from contact with the cut.",
        )
        for lesion in lesions
        if lesion.cleared and lesion.margin_mm <= half_mm
    ]
    return caveats


def _methods(liver: Liver) -> list[str]:
    spacing = " x ".join(f"{s:.3f}" for s in liver.grid.spacing_mm)
    sentences = [
        f"Volumes are voxels counted times the volume of one voxel ({1000 * liver.grid.voxel_ml:.4f} mm3, "
        f"the determinant of the affine; steps {spacing} mm)."
    ]
    if liver.lesions:
        sentences.append(
            "The margin of a lesion is the smallest Euclidean distance, in the patient, from its surface "
            "to the tissue that stays. Planes, wedges and ablation zones bound that tissue where they say; "
            "the surfaces of lesions and liver and the borders of segments, territories and imported masks "
            "were placed between the voxels by smooth patches through their faces: to about a tenth of a "
            "step where they are curved or oblique to the grid, to half a step where they are flat and "
            "parallel to it. The longest diameter is the largest distance between two voxel "
            "centres of a lesion in three dimensions."
        )
    return sentences
