"""Liver that a segment map leaves out, given to the segment beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from flr_volumetry.errors import Caveat
from flr_volumetry.territories.geometry import rim

if TYPE_CHECKING:
    from flr_volumetry.liver import Liver

WITHIN_MM = 5.0
"""So far from a segment, unlabelled liver is taken to be a seam that its drawing left (assumed)."""


def fill_segments(liver: Liver, *, within_mm: float = WITHIN_MM) -> Liver:
    """Give liver without a segment to the nearest segment.

    Parameters
    ----------
    liver : Liver
        With or without a segment map.
    within_mm : float
        Liver further from all segments stays without one.

    Returns
    -------
    Liver
        As it was if nothing was filled; else with a caveat that says how many mL were, in the place of the
        one that says how many were not.

    Notes
    -----
    The nearest labelled voxel counts, centre to centre; of several as near, the one of the lowest number.
    """
    if liver.segments is None:
        return liver
    bare = liver.voxels & (liver.segments == 0)
    if not bare.any():
        return liver
    from scipy.spatial import cKDTree

    edge = np.argwhere(rim(liver.segments > 0))
    labels = liver.segments[tuple(edge.T)]
    order = np.argsort(labels, kind="stable")
    edge, labels = edge[order], labels[order]
    at = np.argwhere(bare)
    # Two neighbours show whether several segments are as near.
    found_mm, found_at = cKDTree(liver.grid.centres_mm(edge)).query(
        liver.grid.centres_mm(at), k=min(2, len(edge)), distance_upper_bound=within_mm
    )
    far, which = (np.asarray(some).reshape(len(at), -1) for some in (found_mm, found_at))
    near = np.isfinite(far[:, 0])
    tied = np.isfinite(far) & (far <= far[:, :1] + 1e-9)
    found = np.where(tied, np.append(labels, 255)[np.minimum(which, len(labels))], 255).min(axis=1)
    segments = liver.segments.copy(order="F")
    segments[tuple(at[near].T)] = found[near]
    filled, left = (int(np.count_nonzero(n)) * liver.grid.voxel_ml for n in (near, ~near))
    rest = f"; {left:.2f} mL carry none still, and stay with the remnant of a resection by segments"
    said = Caveat(
        "segments_filled",
        f"{filled:.2f} mL of the liver carried no segment and were given to the nearest one, at most "
        f"{within_mm:g} mm away{rest if left else ''}.",
    )
    kept = tuple(c for c in liver.caveats if c.code != "liver_without_segment")
    return replace(liver, segments=segments, caveats=(*kept, said)) if filled else liver
