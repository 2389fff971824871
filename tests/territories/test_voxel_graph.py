"""A vessel mask as a graph; ways through it; centrelines, spurs, forks, radii; numbers and roots."""

from __future__ import annotations

import numpy as np
import pytest

from flr_volumetry.anatomy import Structure
from flr_volumetry.territories.graph import Piece, _smoothed, branch_pieces
from flr_volumetry.territories.numbering import number_branches
from flr_volumetry.territories.roots import find_roots, given_roots
from flr_volumetry.territories.skeleton import end_depth, skeletonize, tips_of
from flr_volumetry.territories.voxel_graph import (
    BRIDGED_MM,
    MOUTH_MM,
    VoxelGraph,
    first_along,
    voxel_graph,
    ways_to,
)
from tests.grids import STEPS
from tests.territories.trees import Tube, away_from

STEP = np.diag([1.0, 1.0, 1.0])


def graph_of(tubes, steps=STEP, shape=(70, 60, 60), mouth_mm=None):
    """Tubes in an array of voxels; points in the array's own frame."""
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    points = index @ steps.T
    inside = np.zeros(shape, dtype=bool)
    for tube in tubes:
        inside |= away_from(points, tube.start, tube.end)[0] <= tube.radius
    return voxel_graph(inside, steps, mouth_mm)


def at(graph, point):
    return int(np.argmin(np.linalg.norm(graph.points - point, axis=1)))


LONG = Tube((8, 30, 30), (60, 30, 30), 5.0)


@pytest.mark.parametrize("name", STEPS)
def test_depth_and_neighbours_of_a_tube(name):
    """The middle of a tube is as deep as its radius, on every grid; neighbours are the patient's."""
    steps = STEPS[name]
    shape = tuple(int(n) for n in np.ceil(40 / np.linalg.norm(steps, axis=0)))
    middle = steps @ (np.array(shape) / 2)
    tube = Tube(tuple(middle - (8, 0, 0)), tuple(middle + (8, 0, 0)), 5.0)
    graph = graph_of([tube], steps, shape)
    off, along = away_from(graph.points, tube.start, tube.end)
    inner = (off < 0.6) & (along > 0.1) & (along < 0.9)
    assert inner.any()
    assert graph.depth_mm[inner] == pytest.approx(5.0, abs=0.65 * graph.coarse_mm)
    assert graph.coarse_mm == pytest.approx(np.linalg.norm(steps, axis=0).max())
    length = np.linalg.norm(graph.points[graph.edges[:, 0]] - graph.points[graph.edges[:, 1]], axis=1)
    assert length.max() < 2.2 * graph.coarse_mm
    assert len(np.unique(np.sort(graph.edges, axis=1), axis=0)) == len(graph.edges)
    assert (graph.part == 0).all()
    assert graph.bridges == 0


def test_gaps_are_bridged_at_their_narrowest_up_to_five_millimetres():
    """Centre to centre of voxels: 5 mm are, 6 mm are not."""
    one = Tube((8, 30, 30), (30, 30, 30), 3.0)
    for gap, bridges in ((2.0, 1), (BRIDGED_MM, 1), (BRIDGED_MM + 1.0, 0)):
        graph = graph_of([one, Tube((36 + gap, 30, 30), (62, 30, 30), 3.0)])
        assert graph.bridges == bridges, gap
        assert (graph.part == 0).all() == (bridges == 1)
        if bridges:
            ends = graph.points[graph.edges[-1]]
            assert sorted(ends.tolist()) == [[33.0, 30.0, 30.0], [33.0 + gap, 30.0, 30.0]]


def test_the_larger_part_is_the_first():
    small, large = Tube((8, 30, 30), (15, 30, 30), 3.0), Tube((35, 30, 30), (60, 30, 30), 4.0)
    graph = graph_of([small, large])
    assert graph.part[at(graph, small.start)] == 1
    assert graph.part[at(graph, large.start)] == 0


def test_a_part_is_bridged_once_to_what_it_is_nearest_to():
    three = [Tube((8, 30, 30), (20, 30, 30), 3.0), Tube((29, 30, 30), (40, 30, 30), 3.0)]
    graph = graph_of([*three, Tube((49, 30, 30), (60, 30, 30), 3.0)])
    assert graph.bridges == 2
    assert (graph.part == 0).all()
    assert len({tuple(sorted(e)) for e in graph.edges[-2:].tolist()}) == 2


def test_parts_that_open_into_the_same_vessel_are_not_joined():
    """Two veins 4 mm apart beside the cava; elsewhere the gap is bridged, as is that of a third part."""
    veins = [Tube((8, 26, 30), (40, 26, 30), 3.0), Tube((8, 36, 30), (40, 36, 30), 3.0)]
    assert graph_of(veins).bridges == 1
    cava = np.array([[0.0, 31.0, 30.0]])
    assert np.linalg.norm(cava[0] - (6, 27, 30)) < MOUTH_MM
    apart = graph_of(veins, mouth_mm=cava)
    assert apart.bridges == 0
    assert set(apart.part) == {0, 1}
    more = graph_of([*veins, Tube((50, 26, 30), (62, 26, 30), 3.0)], mouth_mm=cava)
    assert more.bridges == 1
    assert set(more.part) == {0, 1}
    assert graph_of(veins, mouth_mm=cava + (-20.0, 0, 0)).bridges == 1


def test_ways_keep_to_the_middle_and_know_their_length():
    """Round a right angle: the way runs along the axes of both tubes, not across the corner."""
    corner = [LONG, Tube((60, 30, 30), (60, 55, 30), 5.0)]
    graph = graph_of(corner)
    root, tip = at(graph, LONG.start), at(graph, corner[1].end)
    ways = ways_to(graph, np.array([root]))
    way = [tip]
    while ways.before[way[-1]] != way[-1]:
        way.append(int(ways.before[way[-1]]))
    assert way[-1] == root
    steps = np.linalg.norm(np.diff(graph.points[way], axis=0), axis=1)
    assert ways.length_mm[tip] == pytest.approx(steps.sum())
    assert ways.length_mm[root] == 0
    off = np.minimum(*(away_from(graph.points[way], t.start, t.end)[0] for t in corner))
    assert off.max() < 2.5
    assert np.median(off) < 0.5
    assert 68 < ways.length_mm[tip] < 78
    assert first_along(ways.before, np.arange(len(graph.index)) == root)[tip] == root


def test_a_step_costs_its_length_over_the_square_of_the_depth():
    """Round a corner at twice the depth, or straight on at a depth that makes it 2 % dearer, or cheaper."""
    points = np.array([[0.0, 0, 0], [1.5, 0, 0], [0.75, 0.75, 0], [1.5, 1.5, 0]])
    near = np.linalg.norm(points[2] - points[0])
    depth = np.array([1.0, 2.0, 1.0, 1.0])
    # The cost by way of 1 is 1.5 (1 + 1/4); by way of 2, near (1 + 1/d2), with d so that it is a little more.
    for slack, by_way_of in ((1.02, 1), (0.98, 2)):
        depth[2] = (slack * 1.5 * 1.25 / near - 1) ** -0.5
        for edges in ([[0, 1], [1, 3], [0, 2], [2, 3]], [[1, 0], [3, 1], [2, 0], [3, 2]]):
            index, one = np.arange(12).reshape(4, 3), np.zeros(4, dtype=np.int64)
            graph = VoxelGraph(index, points, depth, np.array(edges), one, points, np.arange(4), 1.0)
            ways = ways_to(graph, np.array([0]))
            assert ways.before[3] == by_way_of
            assert ways.length_mm[3] == pytest.approx(3.0 if by_way_of == 1 else 2 * near)


def test_what_has_no_root_has_no_way():
    graph = graph_of([Tube((8, 30, 30), (20, 30, 30), 3.0), Tube((40, 30, 30), (60, 30, 30), 3.0)])
    root = at(graph, (60, 30, 30))
    ways = ways_to(graph, np.array([root]))
    assert (ways.length_mm[graph.part == 1] == -1).all()
    assert (ways.length_mm[graph.part == 0] >= 0).all()
    found = skeletonize(graph, np.array([root]))
    assert (found.nearest[graph.part == 1] == -1).all()
    assert (found.nearest[graph.part == 0] >= 0).all()


def test_a_bump_is_a_spur_and_a_branch_is_not():
    """On a tube of 5 mm in radius what stands out by less than radius and 2 mm beyond it is no branch."""
    for height, paths in ((4.0, 1), (8.0, 1), (17.0, 2), (22.0, 2)):
        bump = Tube((35, 30, 30), (35, 30 + height, 30), 2.5)
        graph = graph_of([LONG, bump])
        found = skeletonize(graph, np.array([at(graph, LONG.start)]))
        assert len(found.paths) == paths, height
    assert tips_of(found).tolist() == [True, True]
    assert end_depth(graph, found.paths[0]) == pytest.approx(5.0, abs=0.6)
    assert end_depth(graph, found.paths[1]) == pytest.approx(2.5, abs=0.6)


def test_a_flat_vessel_is_one_tube():
    """Twice as wide as high: what lies beyond the ball that touches the wall is no branch."""
    flat = [Tube((8, 28 + n, 30), (60, 28 + n, 30), 3.0) for n in range(5)]
    graph = graph_of(flat)
    found = skeletonize(graph, np.array([at(graph, (8, 30, 30))]))
    assert len(found.paths) == 1


def test_pieces_follow_the_tubes():
    """Fork of three: courses, radii, lengths; each voxel belongs to the tube that it lies in."""
    tubes = [
        Tube((6, 30, 30), (30, 30, 30), 5.0),
        Tube((30, 30, 30), (60, 48, 30), 3.5),
        Tube((30, 30, 30), (60, 12, 36), 2.5),
    ]
    graph = graph_of(tubes)
    root = np.array([at(graph, tubes[0].start)])
    found = branch_pieces(graph, skeletonize(graph, root), root, np.ones(len(graph.index), dtype=bool))
    assert [p.parent for p in found.pieces] == [-1, 0, 0]
    order = [0, *sorted((1, 2), key=lambda n: -found.pieces[n].points[-1, 1])]
    for n, tube in zip(order, tubes, strict=True):
        piece = found.pieces[n]
        off, along = away_from(piece.points, tube.start, tube.end)
        assert np.median(off) < 0.7
        middle = (along > 0.3) & (along < 0.8)
        assert piece.radius_mm[middle].mean() == pytest.approx(tube.radius, abs=0.35)
        assert piece.length_mm == pytest.approx(tube.length, abs=4.0)
        assert np.diff(piece.points, axis=0).shape[0] == len(piece.radius_mm) - 1
        away, foot = away_from(graph.points, tube.start, tube.end)
        inside = (away <= tube.radius) & (foot > 0.35) & (foot < 0.95)
        assert (found.owner[inside] == n).mean() > 0.99
    steps = np.linalg.norm(np.diff(found.pieces[1].points, axis=0), axis=1)
    assert steps.max() <= 1.0 + 1e-9
    assert steps.min() > 0.8


def test_a_staircase_of_slices_is_smoothed_to_a_slope():
    """5 mm slices: a thin vessel that climbs 1 in 2 goes up in steps; its ends stay where they are."""
    x = np.arange(0.0, 61.0)
    steps = np.stack([x, 0 * x, 5.0 * np.round(x / 10)], axis=1)
    smooth = _smoothed(steps, np.full(len(x), 1.5), 5.0)
    assert np.abs(steps[:, 2] - x / 2).max() == 2.5
    assert np.abs(smooth[:, 2] - x / 2).max() < 1.3
    assert np.linalg.norm(np.diff(smooth, axis=0), axis=1).sum() == pytest.approx(np.hypot(60, 30), rel=0.02)
    assert smooth[[0, -1]].tolist() == steps[[0, -1]].tolist()
    # A wide one is smoothed over half its depth, also on a fine grid.
    fine = _smoothed(steps, np.full(len(x), 10.0), 0.5)
    np.testing.assert_allclose(fine, _smoothed(steps, np.full(len(x), 1.5), 5.0))


def test_forks_closer_than_the_vessel_is_deep_are_one():
    for apart, children in ((3.0, 3), (16.0, 2)):
        tubes = [
            Tube((4, 30, 30), (58, 30, 30), 5.0),
            Tube((28, 30, 30), (28, 54, 30), 3.0),
            Tube((28 + apart, 30, 30), (28 + apart, 6, 30), 3.0),
        ]
        graph = graph_of(tubes)
        root = np.array([at(graph, tubes[0].start)])
        found = branch_pieces(graph, skeletonize(graph, root), root, np.ones(len(graph.index), dtype=bool))
        assert sum(p.parent == 0 for p in found.pieces) == children
        assert len(found.pieces) == (4 if children == 3 else 5)


def test_branches_that_lead_nowhere_in_the_liver_are_left_out():
    tubes = [LONG, Tube((35, 30, 30), (35, 56, 30), 3.0)]
    graph = graph_of(tubes)
    root = np.array([at(graph, LONG.start)])
    skeleton = skeletonize(graph, root)
    found = branch_pieces(graph, skeleton, root, graph.points[:, 0] > 50)
    assert len(found.pieces) == 1
    # It begins where the vessel from outside, longer than 20 mm, joins.
    assert found.pieces[0].points[0, 0] == pytest.approx(35.0, abs=3.0)
    short = graph_of([LONG, Tube((35, 30, 30), (35, 44, 30), 2.5)])
    root = np.array([at(short, LONG.start)])
    found = branch_pieces(short, skeletonize(short, root), root, short.points[:, 0] > 50)
    assert found.pieces[0].points[0, 0] < 12.0


def test_numbers_follow_the_size_of_what_lies_behind():
    """Depth first, the larger subtree first; of equal ones the first found."""
    line = np.array([[0.0, 0, 0], [1, 0, 0]])
    parents = (-1, 0, 0, 1, 1, -1)
    pieces = [Piece(p, line + n, np.ones(2)) for n, p in enumerate(parents)]
    branches, number = number_branches(pieces, np.array([0, 5, 30, 10, 10, 60]), np.array([10.0, 0, 0]))
    assert number.tolist() == [2, 4, 3, 5, 6, 1]
    assert [b.path for b in branches] == ["1", "2", "2.1", "2.2", "2.2.1", "2.2.2"]
    assert [b.parent for b in branches] == [0, 0, 2, 2, 4, 4]
    assert [b.order for b in branches] == [1, 1, 2, 2, 3, 3]
    assert branches[0].points_mm[0].tolist() == [15.0, 5.0, 5.0]
    branches, _ = number_branches(pieces, np.array([0, 5, 30, 10, 11, 49]), np.zeros(3))
    assert branches[0].points_mm[0, 0] == 0.0
    assert [b.path for b in branches if b.points_mm[0, 0] == 4.0] == ["1.2.1"]


def roots_of(tubes, inside, structure=Structure.PORTAL_VEIN, cava=None):
    graph = graph_of(tubes, mouth_mm=cava)
    found = find_roots(graph, inside(graph.points), graph.points[:, 2], structure, cava)
    return [tuple(np.round(graph.points[r])) for r in found.tolist()], graph


def test_a_portal_root_is_the_end_of_the_widest_way_into_the_liver():
    """Of ends outside with ways in of like width the longest; the widest end where none lies outside."""
    fork = [
        Tube((20, 30, 30), (45, 30, 30), 4.0),
        Tube((45, 30, 30), (62, 45, 30), 3.0),
        Tube((45, 30, 30), (62, 15, 30), 5.0),
    ]
    root, _ = roots_of(fork, lambda p: p[:, 0] > 30)
    assert root[0][0] < 22
    root, _ = roots_of(fork, lambda p: p[:, 0] > 0)
    assert root[0][0] > 58
    assert root[0][1] < 20
    # An end only just outside is no hilum.
    root, _ = roots_of(fork, lambda p: p[:, 0] > 19)
    assert root[0][0] > 58
    two = [Tube((5, 30, 30), (40, 30, 30), 3.6), Tube((40, 30, 30), (40, 50, 30), 4.2)]
    root, _ = roots_of(
        [*two, Tube((40, 30, 30), (62, 20, 30), 4.5)], lambda p: (p[:, 0] > 35) & (p[:, 1] < 40)
    )
    assert root[0][0] < 8


def test_hepatic_roots_lie_up_or_at_the_cava():
    """The upper of two ends of like width without a cava; the widest end beside it with one."""
    vein = [
        Tube((30, 30, 10), (30, 30, 50), 4.5),
        Tube((30, 30, 30), (55, 30, 20), 3.0),
    ]
    root, _ = roots_of(vein, lambda p: p[:, 0] > 0, Structure.HEPATIC_VEINS)
    assert root[0][2] > 50
    cava = np.array([[30.0, 30.0, 1.0]])
    root, _ = roots_of(vein, lambda p: p[:, 0] > 0, Structure.HEPATIC_VEINS, cava)
    assert root[0][2] < 10
    root, _ = roots_of(vein, lambda p: p[:, 0] > 0, Structure.HEPATIC_VEINS, cava - (0, 0, 40))
    assert root[0][2] > 50


def test_a_small_part_begins_towards_the_tree_and_a_part_outside_has_no_root():
    tree = [Tube((6, 30, 30), (30, 30, 30), 5.0)]
    far = Tube((45, 30, 30), (60, 30, 30), 3.0)
    root, _ = roots_of([*tree, far], lambda p: p[:, 0] > 20)
    assert len(root) == 2
    assert root[0][0] < 8
    assert root[1][0] < 47
    root, _ = roots_of([*tree, far], lambda p: (p[:, 0] > 20) & (p[:, 0] < 35))
    assert len(root) == 1


def test_given_roots_snap_to_the_nearest_voxel():
    graph = graph_of([LONG])
    found = given_roots(graph, np.array([[60.0, 30.0, 44.0]]))
    assert graph.points[found[0]].tolist() == [60.0, 30.0, 35.0]
