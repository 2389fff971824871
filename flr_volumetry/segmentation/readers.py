"""How far careful readers differ, which bounds what can be expected of any mask, and what back-ends reached.

Everything is told against a careful reader, because that is what a mask can be compared with: the reader's
own error is part of the distance.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from flr_volumetry.images import Origin

READERS_MM: Final = 1.35
"""Mean distance of two careful readers' outlines, mm: two radiologists' livers overlap with a Dice of
0.95 ± 0.01 (PMC10587725), routine outlines with precise ones of the same liver with 0.95 (PMC6527212), which
is 1.3 to 1.5 mm for livers of 1.5 L (DERIVED). `flr_volumetry.volumetry.uncertainty.DrawingErrors` takes
the same."""
READER_MM: Final = READERS_MM / math.sqrt(2)
"""Of one reader's outline from the liver's true surface: two alike, independent, add in square."""
MEASURED_MM: Final = {"classical": 1.65}
"""Mean distance of back-ends' outlines from a careful reader's, mm. `classical`: 1.34 from the truth over 30
synthetic patients, a reader's error added (1.34 and 1.12 from readers on two scans;
`tests/evaluate/test_quality.py`)."""


def against_reader(distance_mm: float) -> float:
    """Return how far an outline lies from a careful reader's.

    Parameters
    ----------
    distance_mm : float
        Its mean distance from the true surface, mm; less than a reader's own is never believed.

    Returns
    -------
    float
        Mean distance, mm.

    Notes
    -----
    Both are taken as normal errors, independent, whose variances add; mean distances of normal errors are
    in proportion to standard deviations.

    Examples
    --------
    >>> round(against_reader(0.0), 2), round(against_reader(3.0), 2)
    (1.35, 3.15)
    """
    return math.hypot(max(distance_mm, READER_MM), READER_MM)


def own_error(distance_mm: float) -> float:
    """Return how far an outline lies from the true surface: `against_reader` undone.

    Parameters
    ----------
    distance_mm : float
        Its mean distance from a careful reader's outline, mm.

    Returns
    -------
    float
        Mean distance, mm; never less than a reader's own.

    Examples
    --------
    >>> round(own_error(1.35), 3), round(own_error(3.15), 2)
    (0.955, 3.0)
    """
    return max(READER_MM, math.sqrt(max(0.0, distance_mm**2 - READER_MM**2)))


def least_of(origin: Origin | None) -> float | None:
    """Return the distance below which nothing is expected of a mask, for what made it.

    Parameters
    ----------
    origin : Origin or None
        The back-end, and what it expected of this mask.

    Returns
    -------
    float or None
        Mean distance from a careful reader's outline, mm; None where nothing is known of the back-end.

    Notes
    -----
    A back-end follows the scan's edges by its making, so that edges say little of its mask. An edited mask
    keeps its origin: what was not edited is as it was.
    """
    if origin is None:
        return None
    return origin.boundary_mm if origin.boundary_mm is not None else MEASURED_MM.get(origin.backend)


def expected_dice(boundary_mm: float, *, ml: float, area_cm2: float) -> float:
    """Return the Dice coefficient that goes with a distance between two surfaces.

    Parameters
    ----------
    boundary_mm : float
        Mean distance, mm.
    ml : float
        Volume of the mask, mL.
    area_cm2 : float
        Its surface, cm2.

    Returns
    -------
    float
        From 0 to 1.

    Notes
    -----
    The volume in one mask and not in the other is surface times distance, and ``1 - Dice`` half of that
    over the volume.

    Examples
    --------
    >>> expected_dice(1.0, ml=1500, area_cm2=900)
    0.97
    """
    return max(0.0, round(1 - area_cm2 * boundary_mm / 10 / (2 * ml), 4))
