"""What a user says of where the liver and its lesions are."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from flr_volumetry.errors import SegmentationError
from flr_volumetry.images import Mask

PointMm = tuple[float, float, float]


def _require_finite(points: tuple[PointMm, ...], what: str) -> None:
    for point in points:
        if len(point) != 3 or not all(math.isfinite(x) for x in point):
            raise SegmentationError(
                f"{what} must be three finite coordinates in mm, got {point}.", reason="bad_hint"
            )


@dataclass(frozen=True, slots=True)
class BoxMm:
    """A box along the patient's axes.

    Parameters
    ----------
    low, high : tuple of float
        Two opposite corners, LPS mm, the smaller coordinates in `low`.

    Raises
    ------
    SegmentationError
        If a coordinate is not finite, or the box has no volume.
    """

    low: PointMm
    high: PointMm

    def __post_init__(self) -> None:
        _require_finite((self.low, self.high), "the box")
        if not all(a < b for a, b in zip(self.low, self.high, strict=True)):
            raise SegmentationError(
                f"the box from {self.low} to {self.high} mm has no volume; smaller coordinates come first.",
                reason="bad_hint",
            )


@dataclass(frozen=True, slots=True, eq=False)
class Hints:
    """What a user says of where things are; every part may be left out.

    Parameters
    ----------
    seeds_mm : tuple of (x, y, z)
        Points in the liver, LPS mm.
    outside_mm : tuple of (x, y, z)
        Points that are not liver, LPS mm.
    box_mm : BoxMm or None
        A box that the whole liver lies in.
    rough : Mask or None
        A rough mask of the liver, to be refined.
    liver : Mask or None
        The liver itself, already drawn, on any grid: not to be found again; what else is found lies in it.
    lesion_seeds_mm : tuple of (x, y, z)
        One point in each lesion pointed out, LPS mm.
    lesion_boxes_mm : tuple of BoxMm
        One box around each lesion pointed out.

    Raises
    ------
    SegmentationError
        If a coordinate is not finite, or a mask is empty.
    """

    seeds_mm: tuple[PointMm, ...] = ()
    outside_mm: tuple[PointMm, ...] = ()
    box_mm: BoxMm | None = None
    rough: Mask | None = None
    liver: Mask | None = None
    lesion_seeds_mm: tuple[PointMm, ...] = ()
    lesion_boxes_mm: tuple[BoxMm, ...] = ()

    def __post_init__(self) -> None:
        for points, what in (
            (self.seeds_mm, "a seed"),
            (self.outside_mm, "a point outside"),
            (self.lesion_seeds_mm, "a seed of a lesion"),
        ):
            _require_finite(points, what)
        for mask in (self.rough, self.liver):
            if mask is not None and not mask.voxels.any():
                raise SegmentationError(
                    f"the mask {mask.name!r} given as a hint is empty.", reason="bad_hint"
                )

    @property
    def given(self) -> tuple[str, ...]:
        """Names of the parts that were given."""
        return tuple(part.name for part in fields(self) if getattr(self, part.name))


NO_HINTS = Hints()
