"""What a cut means for what stays: inflow, outflow, spared segments, parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flr_volumetry.anatomy import ADJACENT_SEGMENTS, ROMAN, Structure
from flr_volumetry.assessment.congestion import judge_congestion
from flr_volumetry.assessment.model import Finding, State, VeinQuestion
from flr_volumetry.errors import LiverError
from flr_volumetry.liver import Branch, Territories
from flr_volumetry.resection import (
    Plane,
    PlaneResection,
    ResectionPlan,
    SegmentResection,
    Stage,
    TerritoryResection,
    resect,
)
from flr_volumetry.volumetry.circulation import cut_off, trunk_is_cut
from flr_volumetry.volumetry.consequences import has_adjacent, weigh
from flr_volumetry.volumetry.measure import measure
from tests.assessment.cases import rule
from tests.grids import STEPS, centres
from tests.livers import CENTRE, RADIUS_MM, ball_liver, ball_ml, cap_ml

RIGHT, LEFT, BELOW = np.array([-1.0, 0, 0]), np.array([1.0, 0, 0]), np.array([0, 0, -1.0])
BACK = np.array([0, 1.0, 0])


def line(start, end, n=201):
    return np.linspace(start, end, n)


def branch(number, path, parent, start, end, name=""):
    points = line(CENTRE + start, CENTRE + end)
    return Branch(number, path, parent, path.count(".") + 1, name, points, np.full(len(points), 3.0))


def tree(liver, structure=Structure.PORTAL_VEIN):
    """A trunk from below to the centre, a right branch along -x that forks backwards half-way, a left one."""
    points = centres(liver.grid) - CENTRE
    right = points[..., 0] < 0
    behind = (points[..., 0] < -20) & (points[..., 1] > np.abs(points[..., 0] + 30))
    far = points[..., 0] < -30
    labels = np.where(behind, 4, np.where(far, 5, np.where(right, 2, 3))).astype(np.uint16) * liver.voxels
    branches = (
        branch(1, "1", 0, 80 * BELOW, 0 * BELOW),
        branch(2, "1.1", 1, 0 * RIGHT, 30 * RIGHT, "right portal vein"),
        branch(3, "1.2", 1, 0 * LEFT, 54 * LEFT, "left portal vein"),
        branch(4, "1.1.2", 2, 30 * RIGHT, 30 * RIGHT + 40 * BACK),
        branch(5, "1.1.1", 2, 30 * RIGHT, 54 * RIGHT),
    )
    return replace(liver, territories=(*liver.territories, Territories(structure, labels, branches)))


def finding_of(one_rule, value):
    state = State.CLEAR_ABOVE if value is not None else State.NOT_EVALUABLE
    margin_ml = None if value is None else 0.0
    return Finding(one_rule, "p", value, None, None, margin_ml, None, None, state)


def slab(low, high):
    """What lies between two sagittal planes at so many mm to the right of the centre."""
    return PlaneResection((Plane(CENTRE + low * RIGHT, RIGHT), Plane(CENTRE + high * RIGHT, LEFT)))


def plan(*cuts):
    return ResectionPlan((Stage("one", cuts),))


@pytest.mark.parametrize("name", STEPS)
def test_what_lies_behind_a_cut_branch_is_lost(name):
    """A slab out of the right half leaves a cap behind it that hangs on nothing."""
    liver = tree(ball_liver(name, segments=True))
    partition = resect(liver, plan(slab(10.0, 20.0)))

    lost = cut_off(liver, partition, Structure.PORTAL_VEIN)

    right_mm = -(centres(liver.grid) - CENTRE)[..., 0]
    assert lost.voxels[(partition.labels == 1) & (right_mm > 20)].all()
    # Of what lies before the slab, at most the voxels that touch it.
    assert (right_mm[lost.voxels] > 10 - max(liver.grid.spacing_mm)).all()
    assert lost.ml == pytest.approx(cap_ml(20), rel=0.08)
    assert lost.branches == ("1.1",)
    assert sum(ml for _, ml in lost.segments) == pytest.approx(lost.ml)
    assert {n for n, _ in lost.segments} == {5, 6, 7, 8}


@pytest.mark.parametrize("structure", [Structure.PORTAL_VEIN, Structure.HEPATIC_VEINS])
def test_what_is_cut_off_is_told_by_segment(structure):
    """Behind a slab the cap is cut off, a quarter of it in each of V to VIII."""
    liver = tree(ball_liver("axial", segments=True), structure)
    found = weigh(liver, resect(liver, plan(slab(10.0, 20.0))))
    lost = found.inflow if structure is Structure.PORTAL_VEIN else found.outflow
    assert [n for n, _ in lost.segments] == [5, 6, 7, 8]
    assert [ml for _, ml in lost.segments] == pytest.approx([cap_ml(20.0) / 4] * 4, rel=0.1)
    (said,) = (c for c in found.caveats if c.code == f"remnant_without_{structure.value}")
    for number, ml in lost.segments:
        assert f"{ROMAN[number]} {ml:.1f}" in said.message


@pytest.mark.parametrize("name", STEPS)
def test_what_lies_before_the_cut_keeps_its_branch(name):
    """A plane that takes the end of a branch leaves the voxels nearer to its beginning supplied."""
    liver = tree(ball_liver(name))
    partition = resect(liver, plan(PlaneResection((Plane(CENTRE + 45 * RIGHT, RIGHT),))))

    lost = cut_off(liver, partition, Structure.PORTAL_VEIN)

    # The branch is cut 45 mm along; half a point's step of the last slice before it may count as behind.
    assert lost.ml < 0.02 * ball_ml(RADIUS_MM)
    assert lost.branches == ("1.1.1",)


def test_a_branch_of_a_cut_branch_is_lost_though_itself_whole():
    """The backward branch begins 30 mm along; a slab before its fork takes its supply."""
    liver = tree(ball_liver("axial"))
    partition = resect(liver, plan(slab(10.0, 15.0)))
    own = liver.territories[0].labels == 4

    lost = cut_off(liver, partition, Structure.PORTAL_VEIN)

    stays = own & (partition.labels == 1)
    assert stays.any()
    assert lost.voxels[stays].all()


def test_a_plan_that_leaves_the_branches_alone_cuts_nothing_off():
    liver = tree(ball_liver("axial"))
    front = PlaneResection((Plane(CENTRE - 20 * BACK, -BACK),))
    lost = cut_off(liver, resect(liver, plan(front)), Structure.PORTAL_VEIN)
    assert (lost.ml, lost.branches, lost.segments) == (0.0, (), ())


def along_the_right_branch(before_mm):
    """Takes all behind a plane that runs along the right branch, so far in front of its middle."""
    return PlaneResection((Plane(CENTRE - before_mm * BACK, BACK), Plane(CENTRE + 10 * RIGHT, RIGHT)))


@pytest.mark.parametrize("name", STEPS)
def test_a_branch_that_the_cut_opens_at_the_side_is_spared_and_said(name):
    """2 mm of the 3 mm that the branch is wide to either side stay; what if it is not closed again?"""
    liver = tree(ball_liver(name, segments=True), Structure.HEPATIC_VEINS)
    partition = resect(liver, plan(along_the_right_branch(1.0)))

    lost = cut_off(liver, partition, Structure.HEPATIC_VEINS)

    # What stays in front of the branch: half the cap, less a sheet of 1 mm.
    assert lost.most_ml == pytest.approx(cap_ml(10) / 2, rel=0.12)
    assert lost.ml < 0.02 * lost.most_ml
    assert lost.branches == ("1.1.2",)
    assert lost.opened == ("1.1",)
    said = next(c for c in weigh(liver, partition).caveats if c.code == "remnant_without_hepatic_veins")
    assert f"only opens 1.1 at the side: {lost.most_ml:.1f} mL, if that is not spared." in said.message


@pytest.mark.parametrize("name", STEPS)
def test_a_branch_that_goes_whole_is_not_said_to_be_opened_only(name):
    liver = tree(ball_liver(name), Structure.HEPATIC_VEINS)
    lost = cut_off(liver, resect(liver, plan(along_the_right_branch(6.0))), Structure.HEPATIC_VEINS)
    assert lost.branches == ("1.1",)
    assert (lost.opened, lost.most_ml) == ((), None)


def test_a_branch_opened_first_and_cut_later_keeps_what_lies_between():
    """A slab across the branch behind a place where a cut opens it."""
    liver = tree(ball_liver("axial"), Structure.HEPATIC_VEINS)
    touched = PlaneResection((Plane(CENTRE - BACK, BACK), *slab(8.0, 12.0).planes))
    partition = resect(liver, plan(touched, slab(20.0, 25.0)))

    lost = cut_off(liver, partition, Structure.HEPATIC_VEINS)
    behind = cut_off(liver, resect(liver, plan(slab(20.0, 25.0))), Structure.HEPATIC_VEINS)

    assert lost.opened == ("1.1",)
    assert lost.most_ml > behind.ml + 10
    assert lost.ml == pytest.approx(behind.ml, abs=0.5)


def test_ligated_branches_cut_nothing_else_off():
    """What a territory resection takes goes whole: nothing that stays hangs on it."""
    liver = tree(ball_liver("axial"))
    partition = resect(liver, plan(TerritoryResection(Structure.PORTAL_VEIN, ("right portal vein",))))
    assert partition.pieces[1].count * liver.grid.voxel_ml == pytest.approx(ball_ml(RADIUS_MM) / 2, rel=0.02)
    assert cut_off(liver, partition, Structure.PORTAL_VEIN).ml == 0


def test_lesions_that_stay_are_not_counted_as_lost_liver():
    liver = tree(ball_liver("axial", lesions=[((-40.0, 0.0, 0.0), 8.0)]))
    bare = tree(ball_liver("axial"))
    cut = plan(slab(10.0, 20.0))
    with_lesion = cut_off(liver, resect(liver, cut), Structure.PORTAL_VEIN)
    without = cut_off(bare, resect(bare, cut), Structure.PORTAL_VEIN)
    assert without.ml - with_lesion.ml == pytest.approx(ball_ml(8), rel=0.05)


def test_a_trunk_that_goes_is_said_and_nothing_is_counted():
    liver = tree(ball_liver("axial"))
    partition = resect(liver, plan(PlaneResection((Plane(CENTRE + 20 * BELOW, BELOW),))))
    assert trunk_is_cut(liver, partition, Structure.PORTAL_VEIN)
    assert cut_off(liver, partition, Structure.PORTAL_VEIN) is None
    found = weigh(liver, partition)
    assert [c.code for c in found.caveats] == ["portal_vein_trunk_cut"]
    assert found.effective == ()


def test_without_territories_nothing_is_said():
    liver = ball_liver("axial")
    partition = resect(liver, plan(slab(10.0, 20.0)))
    found = weigh(liver, partition)
    assert (found.inflow, found.outflow, found.effective) == (None, None, ())
    assert found.spared_segments is None
    assert found.adjacent_spared is None
    assert not trunk_is_cut(liver, partition, Structure.PORTAL_VEIN)


@pytest.mark.parametrize("name", STEPS)
def test_congested_liver_is_counted_fully_partly_and_not_at_all(name):
    """D14 on the cap that has lost its outflow, with its inflow kept."""
    liver = tree(ball_liver(name), Structure.HEPATIC_VEINS)
    partition = resect(liver, plan(slab(10.0, 20.0)))
    flr = measure(liver, partition).remnant_functional_ml

    found = weigh(liver, partition)

    cap = found.outflow.ml
    assert cap == pytest.approx(cap_ml(20), rel=0.08)
    by_weight = {e.retained_function: e.ml for e in found.effective}
    assert by_weight == pytest.approx({1.0: flr, 0.4: flr - 0.6 * cap, 0.3: flr - 0.7 * cap, 0.0: flr - cap})
    (said,) = (c for c in found.caveats if c.code == "remnant_without_hepatic_veins")
    assert f"{cap:.1f} mL" in said.message


def test_liver_without_inflow_counts_for_nothing_congested_or_not():
    """Both vessels run the same way: all that is congested is devascularised too."""
    liver = tree(tree(ball_liver("axial")), Structure.HEPATIC_VEINS)
    partition = resect(liver, plan(slab(10.0, 20.0)))
    flr = measure(liver, partition).remnant_functional_ml
    found = weigh(liver, partition)
    assert [e.ml for e in found.effective] == pytest.approx(4 * [flr - found.inflow.ml])


def test_spared_segments_and_neighbours():
    """Octants as segments: what goes is not spared, nor is what loses more than a hundredth."""
    liver = ball_liver("axial", segments=True)
    found = weigh(liver, resect(liver, plan(SegmentResection(frozenset({5, 6, 7, 8})))))
    assert (found.spared_segments, found.adjacent_spared) == ((1, 2, 3, 4), True)

    lone = weigh(liver, resect(liver, plan(SegmentResection(frozenset({1, 2, 4, 5, 7, 8})))))
    assert (lone.spared_segments, lone.adjacent_spared) == ((3, 6), False)

    grazed = weigh(liver, resect(liver, plan(PlaneResection((Plane(CENTRE + 48 * RIGHT, RIGHT),)))))
    assert grazed.spared_segments == (1, 2, 3, 4)


def test_parts_of_the_remnant_are_listed():
    liver = ball_liver("axial")
    found = weigh(liver, resect(liver, plan(slab(10.0, 20.0))))
    assert found.remnant_parts_ml == pytest.approx((ball_ml(RADIUS_MM) - cap_ml(10), cap_ml(20)), rel=0.02)


def test_adjacency_is_the_table_of_the_clinical_base():
    assert len(ADJACENT_SEGMENTS) == 13
    assert all(len(pair) == 2 for pair in ADJACENT_SEGMENTS)
    for pair in ((2, 3), (2, 4), (3, 4), (4, 5), (4, 8), (5, 6), (5, 8), (6, 7), (7, 8)):
        assert has_adjacent(pair)
    assert [n for n in range(2, 9) if has_adjacent((1, n))] == [2, 4, 7, 8]
    assert not has_adjacent((3, 5, 7))


@pytest.mark.parametrize(
    ("threshold", "question"),
    [
        (0.30, VeinQuestion.NO_NEED),
        (0.40, VeinQuestion.CONSIDER),
        (0.60, VeinQuestion.AUGMENT_FIRST),
    ],
)
def test_when_reconstruction_comes_into_view(threshold, question):
    """A remnant of half the liver, a third of it congested: 50 % in full, 33 % without."""
    flr, cap = 300.0, 100.0
    liver = tree(ball_liver("axial"), Structure.HEPATIC_VEINS)
    found = weigh(liver, resect(liver, plan(slab(10.0, 20.0))))
    found = replace(
        found,
        outflow=replace(found.outflow, ml=cap),
        effective=tuple(replace(e, ml=flr - (1 - e.retained_function) * cap) for e in found.effective),
    )
    finding = finding_of(rule(index="flr", threshold=threshold), value=0.5)

    (judged,) = judge_congestion([finding], found, remnant_functional_ml=flr)

    assert judged.question is question
    assert dict(judged.values) == pytest.approx({1.0: 0.5, 0.4: 0.4, 0.3: 11.5 / 30, 0.0: 1 / 3})


@pytest.mark.parametrize(
    ("strict", "question"), [(False, VeinQuestion.NO_NEED), (True, VeinQuestion.CONSIDER)]
)
def test_a_strict_rule_is_not_met_by_its_threshold(strict, question):
    liver = tree(ball_liver("axial"), Structure.HEPATIC_VEINS)
    found = weigh(liver, resect(liver, plan(slab(10.0, 20.0))))
    found = replace(
        found,
        effective=tuple(replace(e, ml=100.0) if e.retained_function == 0 else e for e in found.effective),
    )
    finding = finding_of(rule(index="flr", threshold=0.25, strict=strict), value=0.5)
    (judged,) = judge_congestion([finding], found, remnant_functional_ml=200.0)
    assert judged.question is question


def test_rules_on_the_gross_remnant_and_rules_without_a_value_are_left_out():
    liver = tree(ball_liver("axial"), Structure.HEPATIC_VEINS)
    found = weigh(liver, resect(liver, plan(slab(10.0, 20.0))))
    gross = finding_of(rule(index="flr_of_total", threshold=0.25), value=0.5)
    bare = finding_of(rule(index="flr", threshold=0.25), value=None)
    assert judge_congestion([gross, bare], found, remnant_functional_ml=200.0) == ()
    assert judge_congestion([gross, bare], found, remnant_functional_ml=200.0, remnant_ml=201.0) == ()
    same = judge_congestion([gross, bare], found, remnant_functional_ml=200.0, remnant_ml=200.0)
    assert [c.rule.index for c in same] == ["flr_of_total"]


def test_branches_are_found_by_number_path_and_name():
    territories = tree(ball_liver("axial")).territories[0]
    assert {territories.branch(n).number for n in (2, "1.1", "right portal vein")} == {2}
    assert territories.behind(["1.1"]) == {2, 4, 5}
    assert territories.behind([1]) == {1, 2, 3, 4, 5}
    for name in (9, "2", "", "middle portal vein"):
        with pytest.raises(LiverError, match="unknown branch") as refused:
            territories.branch(name)
        assert refused.value.reason == "unknown_branch"


def test_an_ambiguous_name_is_refused():
    territories = tree(ball_liver("axial")).territories[0]
    same = tuple(replace(b, name="portal vein") for b in territories.branches)
    with pytest.raises(LiverError, match="ambiguous branch") as refused:
        replace(territories, branches=same).branch("portal vein")
    assert refused.value.reason == "ambiguous_branch"


def test_territories_need_branches_numbered_from_one():
    territories = tree(ball_liver("axial")).territories[0]
    with pytest.raises(LiverError, match="numbered from 1"):
        replace(territories, branches=territories.branches[1:])
    with pytest.raises(LiverError, match="no branch"):
        replace(territories, branches=territories.branches[:3])
