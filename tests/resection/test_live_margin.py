"""Margins from what lies around a lesion alone are those from the whole liver."""

import math

import numpy as np
import pytest

from flr_volumetry.images import LabelMap, Mask
from flr_volumetry.liver import Masks, crop_liver
from flr_volumetry.resection import (
    Plane,
    PlaneResection,
    ReadyLiver,
    ResectionPlan,
    SegmentResection,
    Stage,
    margins,
    resect,
)
from flr_volumetry.resection.clusters import _by_product, _by_tree
from flr_volumetry.resection.live_margin import margins_around
from flr_volumetry.resection.partition import REMNANT, Piece
from flr_volumetry.resection.plan import Combine, PieceKind
from flr_volumetry.resection.tally import Runs
from tests.grids import STEPS, centres, grid_around
from tests.livers import CENTRE, RADIUS_MM, ball_liver

LESIONS = [((20.0, 12.0, -12.0), 7.0), ((-38.0, 8.0, 3.0), 7.0)]


def planes(*offsets, normal=(-1.0, 0.2, 0.1), combine=Combine.ALL):
    unit = np.array(normal) / np.linalg.norm(normal)
    return PlaneResection(tuple(Plane(CENTRE + unit * x, unit) for x in offsets), combine=combine)


CUTS = {
    "close": planes(-14.0),
    "far from both": planes(-44.0),
    "an edge at the rim": PlaneResection(
        (Plane(CENTRE + [0, 0, 40.0], (0.0, 0.0, -1.0)), Plane(CENTRE + [0, 30.0, 0], (0.0, -1.0, 0.2))),
        combine=Combine.ALL,
    ),
    "a cap stays": planes(-46.0, normal=(-0.6, 0.7, 0.4)),
}


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("grid", ["gantry tilt", "oblique"])
def test_the_same_as_from_the_whole_liver(grid, cut):
    liver = ball_liver(grid, lesions=LESIONS)
    ready = ReadyLiver(liver)
    plan = ResectionPlan((Stage("one", (cut,)),))
    partition = resect(liver, plan)
    rows = ready.rows
    pieces = pieces_of(rows, partition.labels)

    live = margins_around(liver, liver.lesions, rows, pieces, (plan, partition.pieces), ready.surfaces)

    for whole in margins(liver, partition, surfaces=ready.surfaces):
        found = live[whole.lesion]
        assert found.remaining == whole.remaining
        assert found.cleared_in_stage == whole.cleared_in_stage
        assert found.margin_mm == pytest.approx(whole.margin_mm, abs=1e-6)
        if whole.closest_mm is not None:
            assert found.closest_mm == pytest.approx(whole.closest_mm, abs=1e-6)


def test_where_nothing_stays_the_margin_is_infinite():
    liver = ball_liver("axial", lesions=LESIONS)
    ready = ReadyLiver(liver)
    rows = ready.rows
    nothing = Runs(*(np.zeros(0, dtype=kind) for kind in (np.int64, np.int32, np.int32, np.int64)))
    all_of_it = Runs(rows.row, rows.begin, rows.end, rows.code)
    named = (
        Piece(REMNANT, "remnant", PieceKind.REMNANT, 0, 0),
        Piece(REMNANT + 1, "all", PieceKind.RESECTED, 1, int(np.count_nonzero(liver.voxels))),
    )
    plan = ResectionPlan((Stage("one", (planes(-60.0),)),))

    live = margins_around(liver, liver.lesions, rows, [nothing, all_of_it], (plan, named), ready.surfaces)

    assert [m.margin_mm for m in live.values()] == [math.inf, math.inf]
    assert [m.cleared_in_stage for m in live.values()] == [1, 1]


@pytest.mark.parametrize("reach", [0.5, 3.0, 9.0])
def test_two_ways_to_find_what_lies_around_agree(reach):
    rng = np.random.default_rng(3)
    points = rng.normal(100, 6, (700, 3))
    middles = points[:90] + rng.normal(0, 0.1, (90, 3))

    slow, fast = (find(points, reach, middles) for find in (_by_tree, _by_product))

    assert np.array_equal(slow[1], fast[1])
    ends = np.cumsum(slow[1])[:-1]
    for one, other in zip(np.split(slow[0], ends), np.split(fast[0], ends), strict=True):
        assert np.array_equal(np.sort(one), other)


def pieces_of(rows, labels):
    """Runs of each piece, voxel by voxel."""
    where = np.repeat(np.arange(len(rows.row)), rows.end - rows.begin)
    column = np.concatenate([np.arange(a, b) for a, b in zip(rows.begin, rows.end, strict=True)])
    row = rows.row[where]
    label = labels[rows.box][column, rows.rows[row, 0], rows.rows[row, 1]]
    found = []
    for number in range(REMNANT, int(label.max()) + 1):
        own = label == number
        begin = column[own].astype(np.int32)
        found.append(Runs(row[own], begin, begin + 1, rows.code[where[own]]))
    return found


@pytest.mark.parametrize("name", STEPS)
def test_a_long_lesion_whose_tip_is_closest_is_measured_from_there(name):
    """What stays lies further from the lesion's middle than from its tip by half its length."""
    grid = grid_around(name, CENTRE, RADIUS_MM + 4, scale=0.6)
    away = centres(grid) - CENTRE
    liver = np.linalg.norm(away, axis=-1) <= RADIUS_MM
    lesion = (away[..., 0] / 24) ** 2 + (away[..., 1] / 6) ** 2 + (away[..., 2] / 6) ** 2 <= 1
    segments = np.where(away[..., 0] > 32, 2, 5).astype(np.uint8) * liver
    whole = crop_liver(
        Masks(Mask(grid, liver, "liver"), [Mask(grid, lesion, "lesion 1")], LabelMap(grid, segments))
    )
    plan = ResectionPlan((Stage("one", (SegmentResection(frozenset({5})),)),))

    (live,) = ReadyLiver(whole).margins(plan)
    (full,) = margins(whole, resect(whole, plan))

    assert live.margin_mm == pytest.approx(full.margin_mm, abs=1e-6)
    assert live.margin_mm == pytest.approx(8, abs=1.5 * max(grid.spacing_mm))
