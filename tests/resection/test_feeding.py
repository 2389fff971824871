"""Which branches feed a lesion and its margin, and the resection of what they feed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flr_volumetry.anatomy import Structure
from flr_volumetry.errors import LiverError, PlanError
from flr_volumetry.liver import Branch, Territories
from flr_volumetry.resection import (
    ReadyLiver,
    ResectionPlan,
    Stage,
    TerritoryResection,
    WedgeResection,
    feeding_branches,
    margins,
    resect,
)
from tests.grids import STEPS, centres
from tests.livers import CENTRE, RADIUS_MM, ball_liver, ball_ml, cap_ml

PORTAL = Structure.PORTAL_VEIN
PARENTS = {"1": 0, "1.1": 1, "1.1.1": 2, "1.1.2": 2, "1.2": 1}


def fed_liver(name, lesions, scale=1.0):
    """Left half 1.2; in the right half 1.1 has a slab of 20 mm, 1.1.1 what is before, 1.1.2 behind it."""
    liver = ball_liver(name, lesions=lesions, scale=scale)
    x, y, _ = np.moveaxis(centres(liver.grid) - CENTRE, -1, 0)
    labels = (
        np.where(x >= 0, 5, np.where(y < -10, 3, np.where(y > 10, 4, 2))).astype(np.uint16) * liver.voxels
    )
    line = np.zeros((2, 3)) + [[0], [1.0]]
    branches = tuple(
        Branch(n, path, parent, path.count(".") + 1, "left" if path == "1.2" else "", line, np.ones(2))
        for n, (path, parent) in enumerate(PARENTS.items(), start=1)
    )
    return replace(liver, territories=(Territories(PORTAL, labels, branches),))


def plan(*cuts):
    return ResectionPlan((Stage("one", cuts),))


def refusal(call):
    with pytest.raises((PlanError, LiverError)) as refused:
        call()
    return refused.value


@pytest.mark.parametrize("name", STEPS)
def test_the_zone_is_shared_by_volume_and_covered_by_the_least(name):
    """A ball of 8 mm on the plane between left and right, behind; with 4 mm around it is one of 12 mm."""
    liver = fed_liver(name, [((0.0, 32.0, 0.0), 8.0)])
    for margin, radius in ((0.0, 8.0), (4.0, 12.0)):
        found = feeding_branches(liver, PORTAL, [1], margin)
        assert found.zone_ml == pytest.approx(ball_ml(radius), rel=0.06)
        assert {b.path for b in found.branches} == {"1.1.2", "1.2"}
        assert [b.ml for b in found.branches] == pytest.approx([found.zone_ml / 2] * 2, rel=0.35)
        assert sum(b.ml for b in found.branches) == pytest.approx(found.zone_ml)
        assert [(b.path, b.name) for b in found.cover] == [("1.1.2", ""), ("1.2", "left")]
        assert found.cover_ml == pytest.approx(ball_ml(RADIUS_MM) / 2 + cap_ml(10.0) / 2, rel=0.05)
        count = np.isin(liver.territories[0].labels, (4, 5)) & liver.voxels
        assert found.cover_ml == pytest.approx(np.count_nonzero(count) * liver.grid.voxel_ml)


def test_a_margin_that_reaches_the_parent_takes_all_that_comes_from_it():
    """A lesion in 1.1.2, 4 mm off the border of 1.1: with 2 mm 1.1.2 covers it, with 6 mm only 1.1."""
    liver = fed_liver("axial", [((-25.0, 20.0, 0.0), 6.0)])
    near = feeding_branches(liver, PORTAL, [1], 2.0)
    assert [b.path for b in near.cover] == ["1.1.2"]
    far = feeding_branches(liver, PORTAL, [1], 6.0)
    assert [b.path for b in far.cover] == ["1.1"]
    assert {b.path for b in far.branches} == {"1.1", "1.1.2"}
    assert far.branches[0].path == "1.1.2"
    assert far.cover[0].ml == pytest.approx(far.zone_ml)
    assert far.cover_ml == pytest.approx(ball_ml(RADIUS_MM) / 2, rel=0.02)
    assert "1.1 cover with" in str(far)


def test_siblings_that_are_met_do_not_take_their_parent():
    liver = fed_liver("axial", [((-25.0, 25.0, 0.0), 6.0), ((-25.0, -25.0, 0.0), 6.0)])
    found = feeding_branches(liver, PORTAL, [2, 1], 1.0)
    assert found.lesions == (1, 2)
    assert [b.path for b in found.cover] == ["1.1.1", "1.1.2"]
    assert [b.path for b in feeding_branches(liver, PORTAL, [2], 1.0).cover] == ["1.1.1"]


def test_the_part_of_a_zone_outside_the_liver_is_not_counted():
    liver = fed_liver("axial", [((50.0, 0.0, 0.0), 4.0)])
    found = feeding_branches(liver, PORTAL, [1], 10.0)
    wedge = resect(liver, plan(WedgeResection((1,), 10.0)))
    assert found.zone_ml == pytest.approx(wedge.pieces[1].count * liver.grid.voxel_ml)
    assert found.zone_ml < 0.8 * ball_ml(14)


@pytest.mark.parametrize("name", STEPS)
def test_a_plan_that_names_lesions_is_cut_as_one_that_names_the_branches(name):
    liver = fed_liver(name, [((-25.0, 25.0, 0.0), 6.0), ((30.0, 0.0, 10.0), 5.0)], scale=1.5)
    by_lesion = resect(liver, plan(TerritoryResection(PORTAL, lesions=(1,), margin_mm=5.0)))
    by_branch = resect(liver, plan(TerritoryResection(PORTAL, ("1.1.2",))))
    assert np.array_equal(by_lesion.labels, by_branch.labels)
    (cut,) = by_lesion.plan.stages[0].resections
    assert (cut.branches, cut.lesions, cut.margin_mm) == (("1.1.2",), (1,), 5.0)
    assert by_lesion.pieces[1].title == cut.title
    assert cut.title == "territory of portal vein branch 1.1.2, those of lesion 1 with 5 mm"
    (said,) = (c for c in by_lesion.caveats if c.code == "branches_chosen")
    assert "Lesion 1 and 5 mm around" in said.message
    assert f"{by_lesion.pieces[1].count * liver.grid.voxel_ml:.1f} mL of liver" in said.message
    assert "confirm" in said.message
    assert not [c for c in by_branch.caveats if c.code == "branches_chosen"]
    # What was found can be carried out again, and gives the same.
    assert np.array_equal(resect(liver, by_lesion.plan).labels, by_lesion.labels)
    first, _ = margins(liver, by_lesion)
    assert first.margin_mm >= 5.0 - max(liver.grid.spacing_mm)


def test_the_liver_held_ready_finds_the_same():
    liver = fed_liver("oblique", [((-25.0, 25.0, 0.0), 6.0), ((30.0, 0.0, 10.0), 5.0)], scale=1.5)
    ready = ReadyLiver(liver)
    for lesions, margin in (((1,), 3.0), ((1, 2), 8.0)):
        cut = TerritoryResection(PORTAL, lesions=lesions, margin_mm=margin)
        live = ready.volumes([cut])
        partition = resect(liver, plan(cut))
        assert [p.count for p in live.pieces] == [p.count for p in partition.pieces]


def test_many_branches_are_listed_in_part():
    liver = fed_liver("axial", [((-25.0, 0.0, 0.0), 12.0)])
    shares = feeding_branches(liver, PORTAL, [1], 3.0)
    many = replace(shares, branches=shares.branches * 4)
    assert f"4 more {sum(b.ml for b in many.branches[8:]):.1f} mL" in str(many)
    assert "more" not in str(shares)


def test_what_is_asked_for_must_be_there():
    liver = fed_liver("axial", [((-25.0, 25.0, 0.0), 6.0)], scale=2.0)
    said = refusal(lambda: feeding_branches(liver, PORTAL, [2], 5.0))
    assert (said.reason, "no lesion 2" in said.message) == ("unknown_lesion", True)
    said = refusal(lambda: feeding_branches(liver, Structure.HEPATIC_VEINS, [1], 5.0))
    assert said.reason == "no_territories"
    assert "hepatic veins branches of lesion 1" in said.message
    assert "margin" in refusal(lambda: feeding_branches(liver, PORTAL, [1], -1.0)).message
    assert "lesion" in refusal(lambda: feeding_branches(liver, PORTAL, [], 1.0)).message
    assert refusal(lambda: TerritoryResection(PORTAL)).reason == "no_branch"
    assert refusal(lambda: TerritoryResection(PORTAL, ("1",), margin_mm=3.0)).reason == "no_lesion"
    assert "margin" in refusal(lambda: TerritoryResection(PORTAL, lesions=(1,), margin_mm=-2.0)).message
    unknown = TerritoryResection(PORTAL, ("1.7",))
    said = refusal(lambda: resect(liver, plan(unknown)))
    assert said.reason == "unknown_branch"
