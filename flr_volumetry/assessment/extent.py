"""How much of the liver a plan takes, as the rules of function tell it (G1, G3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flr_volumetry.volumetry.liver_function import PlannedExtent

if TYPE_CHECKING:
    from flr_volumetry.volumetry.liver_function import LiverFunction
    from flr_volumetry.volumetry.measure import LiverVolumes

RIGHT_LIVER = frozenset({5, 6, 7, 8})
GONE = 0.5
"""A segment of which more than half goes counts as removed (assumed)."""
SHARES = ((0.5, PlannedExtent.RIGHT_OR_TRISECTIONECTOMY), (0.25, PlannedExtent.LEFT_HEPATECTOMY))
LEAST_SEGMENT_SHARE = 1 / 12
"""Half-way between the 2/3, 1/3 and 1/6 of the liver that the rule of Makuuchi goes with (assumed)."""


def planned_extent(tests: LiverFunction, volumes: LiverVolumes) -> tuple[PlannedExtent, str]:
    """Return the extent of the planned hepatectomy, and how it is known.

    Parameters
    ----------
    tests : LiverFunction
        May name it.
    volumes : LiverVolumes
        With a segment map, the segments that go; without one, the share of the liver.

    Returns
    -------
    tuple of PlannedExtent and str
        The extent, and a sentence.
    """
    if tests.planned_extent is not None:
        return tests.planned_extent, "The extent of the hepatectomy is as the case file says."
    if volumes.segments:
        gone = {s.segment for s in volumes.segments if s.segment and s.remnant_ml < (1 - GONE) * s.ml}
        return _by_segments(gone), (
            f"The extent of the hepatectomy was read from the {len(gone)} segments of which more than half "
            "goes (assumed)."
        )
    share = 1 - volumes.remnant_functional_ml / volumes.functional_ml
    return _by_share(share), (
        f"Without a segment map the extent of the hepatectomy was read from the {100 * share:.0f} % of the "
        "functional liver that go: above 50 % as a right hepatectomy or trisectionectomy, above 25 % as a "
        "left hepatectomy, above 8 % as a segmentectomy (assumed). planned_extent under [function] says it."
    )


def _by_segments(gone: set[int]) -> PlannedExtent:
    if gone >= RIGHT_LIVER or len(gone) >= 4:
        return PlannedExtent.RIGHT_OR_TRISECTIONECTOMY
    by_count = {
        3: PlannedExtent.LEFT_HEPATECTOMY,
        2: PlannedExtent.SECTIONECTOMY,
        1: PlannedExtent.SEGMENTECTOMY,
    }
    return by_count.get(len(gone), PlannedExtent.LIMITED)


def _by_share(share: float) -> PlannedExtent:
    for least, extent in SHARES:
        if share > least:
            return extent
    return PlannedExtent.SEGMENTECTOMY if share > LEAST_SEGMENT_SHARE else PlannedExtent.LIMITED
