"""Liver that a segment map leaves out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flr_volumetry.errors import Caveat
from flr_volumetry.territories.fill import fill_segments
from tests.grids import STEPS, centres
from tests.livers import CENTRE, RADIUS_MM, ball_liver


def with_seam(name, half_mm):
    """Octants with a seam along x = 0 that no segment claims."""
    liver = ball_liver(name, segments=True, scale=1.6)
    x = (centres(liver.grid) - CENTRE)[..., 0]
    cut = np.where(np.abs(x) < half_mm, 0, liver.segments).astype(np.uint8)
    left_out = Caveat("liver_without_segment", "some")
    return replace(liver, segments=cut, caveats=(left_out,)), liver, x


@pytest.mark.parametrize("name", STEPS)
def test_a_seam_goes_to_the_nearest_segment(name):
    """But for ties in the middle of the seam, and a voxel along the octants' own borders, as before."""
    cut, whole, x = with_seam(name, 3.5)
    filled = fill_segments(cut)
    inside = whole.voxels
    assert (filled.segments[inside] > 0).all()
    assert (filled.segments[~inside] == cut.segments[~inside]).all()
    kept = cut.segments > 0
    assert (filled.segments[kept] == cut.segments[kept]).all()
    off = np.abs(centres(whole.grid) - CENTRE).min(axis=-1) > max(whole.grid.spacing_mm) / 2
    right = (filled.segments >= 5) == (x < 0)
    assert right[inside & off].all()
    codes = [c.code for c in filled.caveats]
    assert codes == ["segments_filled"]
    seam_ml = np.count_nonzero(inside & ~kept) * whole.grid.voxel_ml
    assert f"{seam_ml:.2f} mL of the liver carried no segment" in filled.caveats[0].message
    assert "still" not in filled.caveats[0].message


def test_liver_far_from_any_segment_stays_without_one():
    liver = ball_liver("axial", segments=True, scale=1.6)
    z = (centres(liver.grid) - CENTRE)[..., 2]
    cut = replace(liver, segments=np.where(z > 20, 0, liver.segments).astype(np.uint8))
    filled = fill_segments(cut, within_mm=8.0)
    left = filled.voxels & (filled.segments == 0)
    assert left.any()
    assert z[left].min() > 20 + 8 - max(liver.grid.spacing_mm)
    assert z[filled.voxels & ~left].max() <= 20 + 8
    left_ml = np.count_nonzero(left) * liver.grid.voxel_ml
    assert f"{left_ml:.2f} mL carry none still" in filled.caveats[-1].message


def test_nothing_is_touched_where_nothing_is_missing_or_too_far():
    liver = ball_liver("axial", segments=True, scale=2.0)
    assert fill_segments(liver) is liver
    bare = replace(liver, segments=None)
    assert fill_segments(bare) is bare
    only = np.zeros(liver.grid.shape, dtype=np.uint8)
    corner = tuple(np.argwhere(liver.voxels)[0])
    only[corner] = 4
    lone = replace(liver, segments=only)
    assert np.count_nonzero(fill_segments(lone, within_mm=1e-3).segments) == 1
    assert RADIUS_MM > 8


def test_of_two_segments_as_near_the_lower_number_has_it():
    """A seam of one voxel between 3 and 8, whichever lies where."""
    liver = ball_liver("axial", segments=True, scale=2.0)
    middle = liver.grid.shape[0] // 2
    x = np.arange(liver.grid.shape[0])[:, None, None]
    for low, high in ((3, 8), (8, 3)):
        labels = np.where(x < middle, low, high) * (x != middle) * liver.voxels
        filled = fill_segments(replace(liver, segments=labels.astype(np.uint8)))
        both = (labels[middle - 1] > 0) & (labels[middle + 1] > 0) & liver.voxels[middle]
        assert (filled.segments[middle][both] == 3).all()
        assert both.any()
