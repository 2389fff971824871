"""Counts what a partition leaves and takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flr_volumetry.errors import Caveat


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
        Smallest distance from a voxel centre of the lesion to one of the tissue that
        stays, mm; 0 if part of the lesion stays; infinite if nothing stays.
    closest_mm : tuple of float or None
        Where on the lesion that is, LPS mm.
    remaining_ml : float
        How much of it stays, mL.
    cleared_in_stage : int
        The stage after which nothing of it is left, from 1; 0 if it is not cleared.
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
