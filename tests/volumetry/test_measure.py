"""What is counted, and how it adds up."""

from dataclasses import replace

import numpy as np
import pytest

from flr_volumetry.errors import GridError, LiverError, PlanError
from flr_volumetry.images import LabelMap, Mask
from flr_volumetry.liver import Masks, crop_liver
from flr_volumetry.resection import (
    Ablation,
    Plane,
    PlaneResection,
    RemnantResection,
    ResectionPlan,
    SegmentResection,
    Stage,
    Waiting,
    WedgeResection,
    resect,
)
from flr_volumetry.volumetry.measure import measure
from tests.grids import STEPS, ball, centres, grid_around
from tests.livers import CENTRE, RADIUS_MM, ball_liver, ball_ml, octants

# Lesion 1 lies on the patient's right, 2 on the left; 3 overlaps 2 and crosses segments; 4 stays and
# sticks out.
LESIONS = (
    ((-25.0, 10.0, 8.0), 9.0),
    ((20.0, -15.0, -12.0), 6.0),
    ((20.0, -9.0, -12.0), 5.0),
    ((49.0, 5.0, 12.0), 8.0),
)
RIGHT_HALF = PlaneResection((Plane(CENTRE + np.array([-0.2, 0, 0]), (-1.0, 0, 0)),))
STAGED = ResectionPlan(
    (
        Stage("one", (WedgeResection((2,), 3.0), Ablation((3,), 2.0))),
        Stage("two", (RIGHT_HALF,), Waiting("pve", 4)),
    )
)


@pytest.mark.parametrize("name", STEPS)
def test_every_amount_is_that_of_boolean_algebra(name):
    """Recomputed from whole arrays with unions and intersections, on every grid."""
    liver = ball_liver(name, lesions=LESIONS, segments=True)
    partition = resect(liver, STAGED)

    found = measure(liver, partition)

    where = centres(liver.grid)
    lesions = [np.linalg.norm(where - CENTRE - o, axis=-1) <= r for o, r in LESIONS]
    tumour = np.logical_or.reduce(lesions) & liver.voxels
    remnant = partition.remnant.voxels
    per_ml = np.linalg.det(liver.grid.affine[:3, :3]) / 1000
    ml = lambda voxels: np.count_nonzero(voxels) * abs(per_ml)  # noqa: E731
    assert found.total_ml == pytest.approx(ml(liver.voxels))
    assert found.tumour_ml == pytest.approx(ml(tumour))
    assert found.functional_ml == pytest.approx(ml(liver.voxels & ~tumour))
    assert found.remnant_ml == pytest.approx(ml(remnant))
    assert found.remnant_functional_ml == pytest.approx(ml(remnant & ~tumour))
    assert found.ablated_ml == pytest.approx(ml(partition.labels == 3))
    assert found.resected_ml == pytest.approx(ml((partition.labels == 2) | (partition.labels == 4)))
    assert found.resected_tumour_ml == pytest.approx(
        ml(tumour & ((partition.labels == 2) | (partition.labels == 4)))
    )
    assert ml(lesions[3] & ~liver.voxels) > 0.1
    assert found.remnant_ml - found.remnant_functional_ml > 0.5
    assert found.remnant_ml + found.resected_ml + found.ablated_ml == pytest.approx(found.total_ml, abs=1e-9)
    for segment in found.segments:
        mine = octants(liver.grid) == segment.segment
        assert segment.ml == pytest.approx(ml(mine & liver.voxels))
        assert segment.remnant_ml == pytest.approx(ml(mine & remnant))
    for facts, voxels in zip(found.lesions, lesions, strict=True):
        assert facts.ml == pytest.approx(ml(voxels & liver.voxels))
        assert set(facts.segments) == set(np.unique(octants(liver.grid)[voxels & liver.voxels]))


def test_stages_tell_what_each_takes_and_leaves():
    """After stage one the right lesion is still there; after stage two nothing but functional liver."""
    liver = ball_liver("axial", lesions=LESIONS[:3])

    one, two = measure(liver, resect(liver, STAGED)).stages

    assert one.resections == ("wedge of lesion 2 with 3 mm", "ablation of lesion 3 with 2 mm")
    assert two.after == "4 weeks after PVE"
    assert one.ablated_ml > 0
    assert two.ablated_ml == 0
    assert one.remnant_ml == pytest.approx(two.remnant_ml + two.resected_ml)
    assert one.remnant_ml - one.remnant_functional_ml == pytest.approx(ball_ml(9.0), rel=0.05)
    assert two.remnant_ml == pytest.approx(two.remnant_functional_ml)


def test_lesions_are_placed_by_segment_largest_share_first():
    """A ball one third across a border is named for the larger part first."""
    liver = ball_liver("axial", lesions=[((30.0, 4.0, 30.0), 10.0), ((-30, 20, 20), 6.0)], segments=True)

    first, second = measure(liver, resect(liver, ResectionPlan((Stage("x", (RIGHT_HALF,)),)))).lesions

    assert first.segments == (4, 3)
    assert first.location == "segments IV and III"
    assert second.segments == (8,)
    assert second.location == "segment VIII"
    assert (first.cleared, second.cleared) == (False, True)


def test_liver_without_a_segment_is_a_row_of_its_own():
    """Segment 0 holds what the map leaves bare, so that the rows sum to the liver."""
    grid = grid_around("axial", CENTRE, RADIUS_MM + 4)
    whole = ball(grid, CENTRE, RADIUS_MM)
    labels = (octants(grid) * whole * (centres(grid)[..., 2] < CENTRE[2] + 40)).astype(np.uint8)
    liver = crop_liver(Masks(Mask(grid, whole), segments=LabelMap(grid, labels)))

    rows = measure(
        liver, resect(liver, ResectionPlan((Stage("x", (SegmentResection(frozenset({5})),)),)))
    ).segments

    assert [r.segment for r in rows] == [1, 2, 3, 4, 5, 6, 7, 8, 0]
    assert sum(r.ml for r in rows) == pytest.approx(liver.ml)
    assert rows[-1].ml == rows[-1].remnant_ml > 0
    assert rows[4].remnant_ml == 0


def test_doubtful_lesions_are_said():
    """One that stays, and one whose margin is a voxel."""
    liver = ball_liver("axial", lesions=[((-10.0, 0, 0), 8.0), ((20, 0, 0), 8.0)])
    cut = PlaneResection((Plane(CENTRE + np.array([-1.5, 0, 0]), (-1.0, 0, 0)),))

    said = measure(liver, resect(liver, ResectionPlan((Stage("x", (cut,)),)))).caveats

    assert [c.code for c in said] == ["lesion_stays", "margin_unresolved"]


def test_a_partition_of_another_liver_is_refused():
    """Grids are compared before anything is counted."""
    liver = ball_liver("axial")
    other = ball_liver("oblique")
    with pytest.raises(GridError, match="another liver"):
        measure(liver, resect(other, ResectionPlan((Stage("x", (RIGHT_HALF,)),))))


def test_a_partition_of_another_liver_on_the_same_grid_is_refused():
    """Pieces must be this liver's voxels, all of them and no others."""
    liver = ball_liver("axial")
    partition = resect(liver, ResectionPlan((Stage("x", (RIGHT_HALF,)),)))
    smaller = replace(liver, voxels=liver.voxels & (centres(liver.grid)[..., 2] < CENTRE[2] + 40))
    with pytest.raises(GridError, match="not this liver's voxels"):
        measure(smaller, partition)


def test_a_remnant_of_nothing_but_lesion_is_refused():
    """A plan that leaves only tumour leaves no working liver: said so, not divided by nought."""
    liver = ball_liver("axial", lesions=[((20.0, 0.0, 0.0), 15.0)])
    lesion = Mask(liver.grid, ball(liver.grid, CENTRE + (20.0, 0.0, 0.0), 15.0))
    partition = resect(liver, ResectionPlan((Stage("one", (RemnantResection(lesion),)),)))
    with pytest.raises(PlanError, match=r"all of the 14\.\d mL that stay are lesion") as refused:
        measure(liver, partition)
    assert refused.value.reason == "remnant_is_tumour"


def test_a_lesion_as_large_as_the_liver_is_refused():
    liver = ball_liver("axial", lesions=[((0.0, 0.0, 0.0), RADIUS_MM)])
    partition = resect(liver, ResectionPlan((Stage("one", (RIGHT_HALF,)),)))
    with pytest.raises(LiverError, match="the lesions fill the liver") as refused:
        measure(liver, partition)
    assert refused.value.reason == "liver_is_tumour"
