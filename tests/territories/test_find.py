"""Trees with known centrelines, on five grids and from 0.7 to 5 mm: forks, lengths, radii, territories."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flr_volumetry.anatomy import Structure
from flr_volumetry.errors import LiverError
from flr_volumetry.liver import Vessel
from flr_volumetry.territories import Weighting, find_territories, with_territories
from tests.grids import STEPS, ball, centres
from tests.livers import CENTRE
from tests.territories.trees import (
    CAVA,
    HEPATIC,
    PORTAL,
    Tube,
    Y,
    away_from,
    drawn,
    liver_grid,
    liver_with,
    own_ml,
    portal_liver,
    smaller,
    spaced,
)

SMALL = 0.5
SPACINGS = ((1.0, 1.0, 5.0), (1.6, 1.6, 5.0), (2.0, 2.0, 2.0), (3.0, 3.0, 3.0))
GRIDS = [
    *(pytest.param(lambda n=name: liver_grid(n), 1.0, id=name) for name in STEPS),
    *(pytest.param(lambda s=step: spaced(s), 1.0, id=str(step)) for step in SPACINGS),
    pytest.param(lambda: spaced((0.7, 0.7, 0.7), 60.0 * SMALL), SMALL, id="0.7"),
]
PORTAL_NAMES = {
    "main portal vein": 0,
    "right portal vein": 1,
    "left portal vein": 2,
    "right anterior portal vein": 3,
    "right posterior portal vein": 4,
}


def portal(liver, **how):
    return find_territories(liver, Structure.PORTAL_VEIN, **how)


def hepatic(liver, **how):
    return find_territories(liver, Structure.HEPATIC_VEINS, **how)


def refusal(call):
    with pytest.raises(LiverError) as refused:
        call()
    return refused.value


@pytest.mark.parametrize(("grid", "size"), GRIDS)
def test_a_three_level_tree(grid, size):
    """Each tube is one branch: its parent, its order, its course, its length, its radius."""
    grid = grid()
    tubes = smaller(PORTAL, size)
    found = portal(portal_liver(grid, tubes, radius_mm=60.0 * size))
    step = max(grid.spacing_mm)
    by_name = {b.name: b for b in found.branches}
    assert set(by_name) == set(PORTAL_NAMES)
    for name, n in PORTAL_NAMES.items():
        branch, tube = by_name[name], tubes[n]
        parent = found.branches[branch.parent - 1].name if branch.parent else ""
        assert PORTAL_NAMES.get(parent, -1) == tube.parent
        assert branch.order == 1 + (n > 0) + (n > 2)
        off, _ = away_from(branch.points_mm - CENTRE, tube.start, tube.end)
        assert np.median(off) < 0.2 + 0.5 * step
        # Forks begin within the wider vessel, tips end in the round end.
        assert branch.length_mm == pytest.approx(tube.length, abs=3.5 * size + 1.1 * step)
        assert np.median(branch.radius_mm) == pytest.approx(tube.radius, abs=0.1 + 0.15 * step)
    assert {c.code for c in found.caveats} == {"territories_are_geometric", "branches_named"}


@pytest.mark.parametrize(("grid", "size"), GRIDS)
def test_a_y_of_rough_tubes_has_no_spurs(grid, size):
    """Walls that stand out and in at random by half a millimetre, or by a third of a step."""
    grid = grid()
    rough = max(0.5, max(grid.spacing_mm) / 3)
    liver = portal_liver(grid, smaller(Y, size), rough_mm=rough * size, seed=1, radius_mm=60.0 * size)
    found = portal(liver)
    assert {(b.path, b.parent, b.order) for b in found.branches} == {
        ("1", 0, 1),
        ("1.1", 1, 2),
        ("1.2", 1, 2),
    }


@pytest.mark.parametrize("name", STEPS)
def test_every_voxel_of_the_liver_is_in_one_territory(name):
    liver = portal_liver(liver_grid(name))
    found = portal(liver)
    assert np.array_equal(found.labels > 0, liver.voxels)
    ml = own_ml(found, liver)
    assert (ml[0], ml[1]) == (0.0, 0.0)
    assert ml.sum() == pytest.approx(liver.ml)
    # Siblings by size, the largest first; each followed by all that comes from it.
    assert [b.number for b in found.branches] == [1, 2, 3, 4, 5]
    whole = [sum(ml[list(found.behind([b.number]))]) for b in found.branches]
    for path in ("1", "1.1"):
        children = [whole[b.number - 1] for b in found.branches if b.path[:-2] == path]
        assert children == sorted(children, reverse=True)


@pytest.mark.parametrize("name", STEPS)
def test_territories_are_those_of_the_nearest_voxel_of_the_tubes(name):
    """A voxel much nearer to the wall of one tube than of all others belongs to that tube."""
    grid = liver_grid(name)
    liver = portal_liver(grid)
    found = portal(liver)
    named = {b.name: b.number for b in found.branches}
    points = centres(grid)[liver.voxels] - CENTRE
    away = np.stack([away_from(points, t.start, t.end)[0] - t.radius for t in PORTAL[1:]], axis=1)
    order = np.argsort(away, axis=1)
    sure = np.take_along_axis(away, order[:, 1:2], 1)[:, 0] - away[np.arange(len(away)), order[:, 0]]
    sure = sure > 2 * max(grid.spacing_mm)
    expected = np.array([named[n] for n in list(PORTAL_NAMES)[1:]])[order[:, 0]]
    assert np.count_nonzero(sure) > 0.35 * len(sure)
    assert np.array_equal(found.labels[liver.voxels][sure], expected[sure])


def rearranged(liver, axes, flips):
    """The same patient, stored with other axes: permuted, then flipped."""
    grid = liver.grid
    affine = grid.affine.copy()
    affine[:3, :3] = grid.affine[:3, list(axes)]
    shape = [grid.shape[a] for a in axes]
    for axis, flip in enumerate(flips):
        if flip:
            affine[:3, 3] += affine[:3, axis] * (shape[axis] - 1)
            affine[:3, axis] *= -1
    way = tuple(slice(None, None, -1 if flip else 1) for flip in flips)

    def turn(array):
        return np.asfortranarray(array.transpose(axes)[way])

    laid = type(grid)(tuple(shape), affine)
    vessels = tuple(replace(v, voxels=turn(v.voxels)) for v in liver.vessels)
    return replace(liver, grid=laid, scan_grid=laid, voxels=turn(liver.voxels), vessels=vessels), turn


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 0, 2), (2, 0, 1), (2, 1, 0)])
@pytest.mark.parametrize("flips", [(True, False, False), (False, True, True), (True, True, True)])
def test_however_the_scan_is_stored_the_territories_are_the_same(axes, flips):
    """To the voxel, ties included: on isotropic voxels there are thousands of them."""
    liver = portal_liver(spaced((2.0, 2.0, 2.0)), rough_mm=1.0, seed=3)
    stored, turn = rearranged(liver, axes, flips)
    one, other = portal(liver), portal(stored)
    assert np.array_equal(turn(one.labels), other.labels)
    assert [(b.path, b.name) for b in one.branches] == [(b.path, b.name) for b in other.branches]
    for a, b in zip(one.branches, other.branches, strict=True):
        np.testing.assert_allclose(a.points_mm, b.points_mm, atol=1e-9)


def test_the_patient_moved_has_the_same_territories():
    liver = portal_liver(spaced((2.0, 2.0, 2.5)))
    affine = liver.grid.affine.copy()
    affine[:3, 3] += (137.3, -1250.7, 890.1)
    moved = type(liver.grid)(liver.grid.shape, affine)
    one, other = portal(liver), portal(replace(liver, grid=moved, scan_grid=moved))
    assert np.array_equal(one.labels, other.labels)
    moved_by = other.branches[3].points_mm - one.branches[3].points_mm
    np.testing.assert_allclose(moved_by, np.broadcast_to((137.3, -1250.7, 890.1), moved_by.shape), atol=1e-9)


def test_the_numbers_do_not_depend_on_which_way_the_patient_is_laid():
    """Turned with the grid by quarter turns: the same millilitres by branch, forks moved by a voxel aside."""
    liver = portal_liver(spaced((2.0, 2.0, 2.0)))
    ml = sorted(own_ml(portal(liver), liver))
    for turn in (
        np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]]),
        np.array([[1, 0, 0], [0, 0, -1], [0, 1.0, 0]]),
    ):
        affine = liver.grid.affine.copy()
        affine[:3] = turn @ affine[:3]
        laid = type(liver.grid)(liver.grid.shape, affine)
        turned = replace(liver, grid=laid, scan_grid=laid)
        assert sorted(own_ml(portal(turned), turned)) == pytest.approx(ml, abs=0.02 * liver.ml)


@pytest.mark.parametrize("name", STEPS)
def test_the_root_of_a_portal_vein_is_its_end_outside_the_liver(name):
    """Also where the trunk is the thinnest of all."""
    thin = (replace(Y[0], radius=3.0), replace(Y[1], radius=5.0), Y[2])
    for tubes in (Y, thin):
        trunk = portal(portal_liver(liver_grid(name), tubes)).branches[0]
        assert np.linalg.norm(trunk.points_mm[0] - CENTRE - Y[0].start) < 6.0


def test_the_root_of_a_tree_inside_the_liver_is_its_widest_end():
    tubes = (Tube((5, 10, -45), (0, 0, -12), 6.0), *Y[1:])
    trunk = portal(portal_liver(liver_grid("axial"), tubes)).branches[0]
    assert np.linalg.norm(trunk.points_mm[0] - CENTRE - tubes[0].start) < 6.0


@pytest.mark.parametrize("name", STEPS)
def test_a_root_that_is_given_is_taken(name):
    """From the tip of the left branch: it leads on to two, the trunk and the right branch."""
    liver = portal_liver(liver_grid(name), Y)
    found = portal(liver, root_mm=CENTRE + Y[2].end)
    assert np.linalg.norm(found.branches[0].points_mm[0] - CENTRE - Y[2].end) < 4.0
    assert {b.path for b in found.branches} == {"1", "1.1", "1.2"}


def test_hepatic_veins_begin_at_the_upper_end_of_the_vena_cava_in_their_mask():
    for grid in (liver_grid("axial"), spaced((1.6, 1.6, 5.0))):
        found = hepatic(liver_with(grid, (Structure.HEPATIC_VEINS, drawn(grid, HEPATIC))))
        names = {b.name for b in found.branches}
        assert {
            "inferior vena cava",
            "right hepatic vein",
            "middle hepatic vein",
            "left hepatic vein",
        } <= names
        assert found.branches[0].name == "inferior vena cava"
        assert found.branches[0].points_mm[0, 2] - CENTRE[2] > 50.0
        for tube, name in zip(HEPATIC[1:], ("right", "middle", "left"), strict=True):
            tip = found.branch(f"{name} hepatic vein").points_mm[-1] - CENTRE
            assert np.linalg.norm(tip - tube.end) < 3.0 + max(grid.spacing_mm)


def test_hepatic_veins_without_the_vena_cava_are_parts_with_a_root_each_beside_it():
    """Each begins at its end near the cava, given as a mask of its own; 3.5 mm between two stay."""
    grid = liver_grid("axial", scale=1.0)
    veins = (
        Tube((-13, 30, 40), (-44, 14, -6), 4.5),
        Tube((-4, 22, 40), (-14, -34, 0), 4.0),
        Tube((13, 30, 40), (34, -16, 16), 4.0),
    )
    liver = liver_with(
        grid, (Structure.HEPATIC_VEINS, drawn(grid, veins)), (Structure.IVC, drawn(grid, [CAVA]))
    )
    found = hepatic(liver)
    assert "vessel_gaps_bridged" not in {c.code for c in found.caveats}
    assert len(found.branches) == 3
    for branch in found.branches:
        start = branch.points_mm[0] - CENTRE
        assert min(np.linalg.norm(start - v.start) for v in veins) < 6.0
    (parts,) = (c for c in found.caveats if c.code == "vessel_in_parts")
    assert "3 separate parts" in parts.message
    assert {b.name for b in found.branches} == {
        "right hepatic vein",
        "middle hepatic vein",
        "left hepatic vein",
    }
    assert {b.path for b in found.branches} == {"1", "2", "3"}


def test_a_gap_is_bridged_and_said():
    """4 mm are missing from the right branch; 9 mm make it a part of its own."""
    grid = liver_grid("axial", scale=1.0)
    whole = drawn(grid, Y)
    along = away_from(centres(grid) - CENTRE, Y[1].start, Y[1].end)
    for gap, parts in ((4.0, 1), (9.0, 2)):
        half = gap / 2 / Y[1].length
        cut = whole & ~((np.abs(along[1] - 0.5) < half) & (along[0] < 8.0))
        found = portal(liver_with(grid, (Structure.PORTAL_VEIN, cut)))
        codes = {c.code for c in found.caveats}
        assert len([b for b in found.branches if b.parent == 0]) == parts
        assert ("vessel_gaps_bridged" in codes) == (parts == 1)
        assert ("vessel_in_parts" in codes) == (parts == 2)
        if parts == 2:
            # The part begins at the end that faces the tree.
            start = found.branch("2").points_mm[0] - CENTRE
            assert np.linalg.norm(start - np.add(Y[1].start, Y[1].end) / 2) < 9.0


def test_a_speck_is_left_out_and_said():
    grid = liver_grid("axial")
    speck = ball(grid, CENTRE + (0, 40, 0), 3.0)
    found = portal(liver_with(grid, (Structure.PORTAL_VEIN, drawn(grid, Y) | speck)))
    assert len(found.branches) == 3
    (said,) = (c for c in found.caveats if c.code == "vessel_left_out")
    assert f"{np.count_nonzero(speck) * grid.voxel_ml:.2f} mL" in said.message


def test_branches_outside_the_liver_are_left_out():
    """Splenic and mesenteric veins join the trunk outside; the trunk begins where the last of them joins."""
    more = (
        replace(Y[0], start=(2.5, 5.0, -41.0)),
        *Y[1:],
        Tube((2.5, 5.0, -41.0), (5, 10, -70), 5.5),
        Tube((4.6, 9.2, -65.0), (40, 20, -66), 4.0),
        Tube((5, 10, -70), (2, 12, -95), 4.5),
    )
    grid = spaced((1.5, 1.5, 2.0), radius_mm=90)
    liver = liver_with(grid, (Structure.PORTAL_VEIN, drawn(grid, more)), radius_mm=55)
    found = portal(liver)
    assert {b.path for b in found.branches} == {"1", "1.1", "1.2"}
    assert np.linalg.norm(found.branches[0].points_mm[0] - CENTRE - (4.6, 9.2, -65.0)) < 6.0


def test_a_loop_is_cut_once():
    """Two ways to the same point: a tree is found, and all of the liver is served."""
    ring = (Tube((0, 0, -12), (-25, 0, 10), 3.5), Tube((0, 0, -12), (0, -28, 8), 3.5))
    ring += (Tube((-25, 0, 10), (-25, -28, 10), 3.0), Tube((0, -28, 8), (-25, -28, 10), 3.0))
    liver = portal_liver(liver_grid("axial"), (Y[0], *ring))
    found = portal(liver)
    assert all(b.parent < b.number for b in found.branches)
    assert np.array_equal(found.labels > 0, liver.voxels)
    assert 3 <= len(found.branches) <= 5


def test_weighting_by_the_wall_favours_the_wide_vessel():
    """Two parallel tubes, 8 and 2 mm wide in radius: the border lies midway between walls, or axes."""
    grid = spaced((1.0, 1.0, 1.0), radius_mm=45)
    tubes = (
        Tube((0, 0, -60), (0, 0, -30), 6.0),
        Tube((0, 0, -30), (-20, 0, 0), 6.0),
        Tube((-20, 0, 0), (-20, 0, 38), 8.0),
        Tube((0, 0, -30), (20, 0, 0), 2.5),
        Tube((20, 0, 0), (20, 0, 38), 2.0),
    )
    liver = liver_with(grid, (Structure.PORTAL_VEIN, drawn(grid, tubes)), radius_mm=45)
    slab = np.abs(centres(grid)[..., 2] - CENTRE[2] - 20) < 5
    slab &= liver.voxels & (np.abs(centres(grid)[..., 1] - CENTRE[1]) < 3)
    for weighting, border in ((Weighting.WALL, 3.0), (Weighting.CENTRELINE, 0.0)):
        found = portal(liver, weighting=weighting)
        left, right = (
            found.labels[tuple(np.rint(grid.indices_at(CENTRE + (x, 0, 20))).astype(int))] for x in (20, -20)
        )
        assert left != right
        x = centres(grid)[..., 0][slab] - CENTRE[0]
        assert set(np.unique(found.labels[slab])) == {left, right}
        assert x[found.labels[slab] == right].max() == pytest.approx(border, abs=1.01)
        assert x[found.labels[slab] == left].min() == pytest.approx(border, abs=1.01)
        assert np.array_equal(found.labels > 0, liver.voxels)
        assert weighting.value in found.methods[1] or weighting is Weighting.WALL


def test_a_vessel_without_a_fork_feeds_all_of_the_liver():
    found = portal(portal_liver(liver_grid("axial"), Y[:1]))
    assert [b.path for b in found.branches] == ["1"]
    assert set(np.unique(found.labels)) == {0, 1}


def test_territories_replace_those_of_the_same_vessel():
    grid = liver_grid("axial", scale=2.0)
    liver = liver_with(
        grid,
        (Structure.PORTAL_VEIN, drawn(grid, PORTAL)),
        (Structure.HEPATIC_VEINS, drawn(grid, HEPATIC)),
    )
    one, veins = portal(liver), hepatic(liver)
    both = with_territories(with_territories(with_territories(liver, one), veins), one)
    assert [t.structure for t in both.territories] == [Structure.HEPATIC_VEINS, Structure.PORTAL_VEIN]
    assert both.territories_of(Structure.PORTAL_VEIN) is one
    assert both.caveats == (*veins.caveats, *one.caveats)
    small = liver_with(liver_grid("axial", scale=3.0))
    assert "liver's grid" in refusal(lambda: with_territories(small, one)).message


# Refusals.


def test_territories_are_of_veins_that_have_a_mask_in_the_liver():
    grid = liver_grid("axial", scale=2.0)
    outside = drawn(grid, [Tube((0, 0, -70), (10, 0, -66), 3.0)]) & ~ball(grid, CENTRE, 60.0)
    liver = liver_with(grid, (Structure.IVC, drawn(grid, [CAVA])), (Structure.PORTAL_VEIN, outside))
    said = refusal(lambda: find_territories(liver, Structure.IVC))
    assert (said.reason, "not of the" in said.message) == ("not_a_vessel", True)
    said = refusal(lambda: hepatic(liver))
    assert said.reason == "no_vessel"
    assert "hepatic veins" in said.message
    assert "[masks]" in said.message
    said = refusal(lambda: portal(liver))
    assert said.reason == "vessel_outside_liver"
    assert "another scan" in said.message


def test_a_vessel_too_small_to_be_a_tree_is_refused():
    grid = liver_grid("axial")
    for tube in (Tube((0, 0, 0), (5, 0, 0), 3.0), Tube((0, 0, 0), (0, 0, 0.001), 1.5)):
        said = refusal(lambda t=tube: portal(portal_liver(grid, [t])))
        assert said.reason == "vessel_too_small"
        assert "10 mm" in said.message
    one = np.zeros(grid.shape, dtype=bool)
    one[tuple(n // 2 for n in grid.shape)] = True
    assert (
        refusal(lambda: portal(liver_with(grid, (Structure.PORTAL_VEIN, one)))).reason == "vessel_too_small"
    )


def test_a_root_must_lie_on_the_vessel():
    liver = portal_liver(liver_grid("axial", scale=2.0), Y)
    root = CENTRE + np.array(Y[0].start)
    near = np.array([[0.0, 8.0 + Y[0].radius, 0.0]])
    portal(liver, root_mm=root + near)
    said = refusal(lambda: portal(liver, root_mm=root + (0, 25.0, 0)))
    assert said.reason == "root_far_from_vessel"
    assert "root 1 of 1" in said.message
    assert "LPS" in said.message
    for bad in ([1.0, 2.0], [np.nan, 0, 0], [[1, 2, 3, 4]], [[[1.0, 2, 3]]]):
        assert refusal(lambda b=bad: portal(liver, root_mm=b)).reason == "bad_root"


def test_one_part_of_a_vessel_has_one_root():
    liver = portal_liver(liver_grid("axial", scale=2.0), Y)
    ends = [CENTRE + np.array(Y[0].start), CENTRE + np.array(Y[1].end)]
    said = refusal(lambda: portal(liver, root_mm=ends))
    assert said.reason == "two_roots"
    assert "one root" in said.message


def test_roots_given_for_some_parts_leave_the_others_to_be_found():
    grid = liver_grid("axial")
    veins = (Tube((-18, 30, 40), (-44, 14, -6), 4.5), Tube((4, 18, 40), (-4, -34, 0), 4.0))
    liver = liver_with(grid, (Structure.HEPATIC_VEINS, drawn(grid, veins)))
    found = hepatic(liver, root_mm=CENTRE + np.array(veins[1].end))
    starts = [b.points_mm[0] - CENTRE for b in found.branches]
    assert len(starts) == 2
    assert min(np.linalg.norm(s - veins[1].end) for s in starts) < 5.0
    assert min(np.linalg.norm(s - veins[0].start) for s in starts) < 6.0
    both = hepatic(liver, root_mm=[CENTRE + np.array(v.end) for v in veins])
    starts = [b.points_mm[0] - CENTRE for b in both.branches]
    assert all(min(np.linalg.norm(s - v.end) for s in starts) < 5.0 for v in veins)


def test_a_liver_that_keeps_no_mask_of_a_vessel_beyond_its_crop():
    """A vessel given for the crop alone is enough: the trunk may end at the border of the array."""
    grid = liver_grid("axial")
    liver = portal_liver(grid, Y)
    low = int(np.argwhere(liver.voxels)[:, 2].min())
    voxels = liver.vessels[0].voxels.copy()
    voxels[:, :, :low] = False
    cut = replace(liver, vessels=(Vessel(Structure.PORTAL_VEIN, voxels, 1.0),))
    found = portal(cut)
    assert {b.path for b in found.branches} == {"1", "1.1", "1.2"}
    assert found.branches[0].points_mm[0, 2] - CENTRE[2] < -50
