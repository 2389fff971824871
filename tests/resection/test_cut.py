"""Plans carried out on analytic livers, on five grids."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flr_volumetry.anatomy import Caudate
from flr_volumetry.errors import PlanError
from flr_volumetry.images import Grid, LabelMap, Mask
from flr_volumetry.liver import Masks, crop_liver
from flr_volumetry.resection import (
    Ablation,
    Combine,
    PieceKind,
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
from tests.grids import STEPS, ball, centres
from tests.livers import CENTRE, RADIUS_MM, ball_liver, ball_ml, cap_ml, grid_of, octants

LESION = ((18.0, 12.0, -15.0), 10.0)


def plan(*resections, name="stage one"):
    return ResectionPlan((Stage(name, resections),))


def plane_at(distance_mm, normal):
    unit = np.asarray(normal, dtype=float) / np.linalg.norm(normal)
    return Plane(CENTRE + distance_mm * unit, normal)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("distance_mm", [-20.3, 0.2, 15.7])
def test_the_cap_of_a_ball_has_the_textbook_volume(name, distance_mm):
    """A plane removes pi h^2 (3R - h) / 3, to 0.1 % of the liver."""
    liver = ball_liver(name)

    partition = resect(liver, plan(PlaneResection((plane_at(distance_mm, (1.0, 2.0, -0.5)),))))

    assert partition.ml(PieceKind.RESECTED) == pytest.approx(cap_ml(distance_mm), abs=0.001 * liver.ml)


@pytest.mark.parametrize("name", STEPS)
def test_beyond_all_and_beyond_any_of_two_planes(name):
    """Two planes through the centre, at right angles: a quarter beyond both, three quarters beyond either."""
    liver = ball_liver(name)
    planes = (plane_at(0.03, (1.0, 2.0, -0.5)), plane_at(0.03, (2.0, -1.0, 0.0)))
    whole = ball_ml(RADIUS_MM)

    both = resect(liver, plan(PlaneResection(planes, Combine.ALL)))
    either = resect(liver, plan(PlaneResection(planes, Combine.ANY)))

    assert both.ml(PieceKind.RESECTED) == pytest.approx(whole / 4, abs=0.002 * whole)
    assert either.ml(PieceKind.RESECTED) == pytest.approx(3 * whole / 4, abs=0.002 * whole)


@pytest.mark.parametrize("name", STEPS)
def test_three_points_and_a_side_are_a_plane(name):
    """The plane through three points cuts as the one given by point and normal does."""
    liver = ball_liver(name)
    unit = np.array([1.0, 2.0, -0.5]) / np.linalg.norm([1.0, 2.0, -0.5])
    across = np.cross(unit, [0, 0, 1.0])
    origin = CENTRE + 10 * unit
    points = [origin, origin + 30 * across, origin + 30 * np.cross(unit, across)]

    for order in itertools.permutations(points):
        cut = Plane.through(order, towards_mm=CENTRE + 40 * unit)
        partition = resect(liver, plan(PlaneResection((cut,))))
        assert partition.ml(PieceKind.RESECTED) == pytest.approx(cap_ml(10.0), abs=0.001 * liver.ml)


@pytest.mark.parametrize("name", STEPS)
def test_segments_go_whole(name):
    """Octants of a ball as segments: each an eighth; a right hepatectomy takes four of them."""
    liver = ball_liver(name, segments=True)

    half = resect(liver, plan(SegmentResection.hepatectomy("right_hepatectomy", caudate=Caudate.KEPT)))
    more = resect(liver, plan(SegmentResection.hepatectomy("right_hepatectomy", caudate=Caudate.REMOVED)))
    two = resect(liver, plan(SegmentResection(frozenset({2, 7}))))

    # Borders through the centre may lie on a layer of centres: half a layer of a disc.
    layer_ml = np.pi * RADIUS_MM**2 * 1.25 / 1000
    assert half.ml(PieceKind.RESECTED) == pytest.approx(ball_ml(RADIUS_MM) / 2, abs=1.05 * layer_ml)
    assert more.ml(PieceKind.RESECTED) == pytest.approx(5 * ball_ml(RADIUS_MM) / 8, abs=2 * layer_ml)
    assert two.ml(PieceKind.RESECTED) == pytest.approx(ball_ml(RADIUS_MM) / 4, abs=2 * layer_ml)
    labels = octants(liver.grid) * liver.voxels
    assert np.array_equal(half.specimen.voxels, labels > 4)
    assert np.array_equal(two.specimen.voxels, np.isin(labels, (2, 7)))
    assert set(np.unique(liver.segments[half.remnant.voxels])) == {1, 2, 3, 4}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("kind", [WedgeResection, Ablation])
def test_a_wedge_is_a_ball_of_lesion_radius_plus_margin(name, kind):
    """The lesion, and every voxel within the margin of its surface; no bias in the volume."""
    liver = ball_liver(name, lesions=[LESION])
    distance = np.linalg.norm(centres(liver.grid) - (CENTRE + LESION[0]), axis=-1) - LESION[1]

    partition = resect(liver, plan(kind((1,), 7.0)))

    goes = partition.specimen.voxels
    assert goes[(distance <= 6.6) & liver.voxels].all()
    assert not goes[distance > 7.4].any()
    lost = partition.ml(PieceKind.RESECTED if kind is WedgeResection else PieceKind.ABLATED)
    assert lost == pytest.approx(ball_ml(LESION[1] + 7), rel=0.01)


def resections(draw_segments):
    """All kinds of cuts, with room for odd ones."""
    number = st.floats(-40, 40)
    normal = st.tuples(number, number, number).filter(lambda v: np.linalg.norm(v) > 1)
    plane = st.builds(plane_at, st.floats(-45, 45), normal)
    return st.one_of(
        st.builds(
            PlaneResection, st.lists(plane, min_size=1, max_size=3).map(tuple), st.sampled_from(Combine)
        ),
        st.builds(SegmentResection, draw_segments),
        st.builds(WedgeResection, st.sets(st.integers(1, 2), min_size=1).map(tuple), st.floats(0, 20)),
        st.builds(Ablation, st.sets(st.integers(1, 2), min_size=1).map(tuple), st.floats(0, 20)),
    )


LIVERS = {
    name: ball_liver(name, lesions=[LESION, ((-20, -10, 10), 7.0)], segments=True, scale=2.0)
    for name in STEPS
}


@settings(max_examples=120, deadline=None)
@given(
    name=st.sampled_from(list(STEPS)),
    stages=st.lists(
        st.lists(
            resections(st.sets(st.integers(1, 8), min_size=1, max_size=5).map(frozenset)),
            min_size=1,
            max_size=3,
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_pieces_sum_to_the_liver_to_the_voxel_for_any_plan(name, stages):
    """Conservation: every voxel in exactly one piece, or the plan is refused."""
    liver = LIVERS[name]
    whole = ResectionPlan(tuple(Stage(f"s{n}", tuple(cuts)) for n, cuts in enumerate(stages)))
    try:
        partition = resect(liver, whole)
    except PlanError as error:
        if error.reason not in {"removes_nothing", "removes_everything"}:
            raise
        return
    counts = np.bincount(partition.labels.ravel(order="K"), minlength=len(partition.pieces) + 1)

    assert np.array_equal(partition.labels > 0, liver.voxels)
    assert [p.count for p in partition.pieces] == counts[1:].tolist()
    assert sum(p.count for p in partition.pieces) == np.count_nonzero(liver.voxels)
    assert all(p.count > 0 for p in partition.pieces)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), name=st.sampled_from(["axial", "oblique", "gantry tilt"]))
def test_a_patient_moved_rotated_and_mirrored_keeps_every_voxel_in_its_piece(seed, name):
    """A rigid motion of liver and plan together changes no voxel's fate, and no millilitre."""
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    shift = rng.uniform(-300, 300, size=3)
    still = LIVERS[name]
    affine = np.eye(4)
    affine[:3, :3] = rotation @ still.grid.affine[:3, :3]
    affine[:3, 3] = rotation @ still.grid.affine[:3, 3] + shift
    grid = Grid(still.grid.shape, affine)
    lesions = []
    for lesion in still.lesions:
        voxels = np.zeros(grid.shape, dtype=bool)
        voxels[lesion.box] = lesion.voxels
        lesions.append(Mask(grid, voxels))
    moved = crop_liver(
        Masks(Mask(grid, still.voxels), lesions, LabelMap(grid, still.segments)), margin_mm=500
    )
    plane = plane_at(rng.uniform(5, 35), rng.normal(size=3))
    carried = Plane(rotation @ plane.point_mm + shift, rotation @ plane.normal)
    wedge, segment = WedgeResection((1,), 4.3), SegmentResection(frozenset({3}))

    before = resect(still, plan(wedge, PlaneResection((plane,)), segment))
    after = resect(moved, plan(wedge, PlaneResection((carried,)), segment))

    assert np.array_equal(before.labels, after.labels)
    assert before.ml(PieceKind.RESECTED) == pytest.approx(after.ml(PieceKind.RESECTED), rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    flips=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    order=st.permutations(range(3)),
    seed=st.integers(0, 1000),
)
def test_the_same_patient_stored_in_another_order_gives_the_same_volumes(flips, order, seed):
    """Relabelling the array's axes moves nothing in the patient."""
    rng = np.random.default_rng(seed)
    still = LIVERS["gantry tilt"]
    affine = still.grid.affine.copy()
    arrays = [still.voxels, still.segments]
    for axis in range(3):
        if flips[axis]:
            affine[:, 3] += affine[:, axis] * (still.grid.shape[axis] - 1)
            affine[:, axis] *= -1
            arrays = [np.flip(a, axis) for a in arrays]
    affine[:, :3] = affine[:, list(order)]
    voxels, segments = (a.transpose(order) for a in arrays)
    grid = Grid(voxels.shape, affine)
    other = crop_liver(Masks(Mask(grid, voxels.copy()), segments=LabelMap(grid, segments.copy())))
    cuts = plan(
        PlaneResection((plane_at(rng.uniform(5, 35), rng.normal(size=3)),)), SegmentResection(frozenset({3}))
    )

    assert [p.count for p in resect(other, cuts).pieces] == [p.count for p in resect(still, cuts).pieces]


def test_what_a_later_stage_cuts_is_cut_from_what_the_earlier_left():
    """A wedge in the part that a plane takes later is counted once, in its own stage."""
    liver = ball_liver("axial", lesions=[LESION])
    half = PlaneResection((plane_at(0.0, (1.0, 0.0, 0.0)),))
    wedge = WedgeResection((1,), 5.0)
    alone = resect(liver, plan(half)).ml(PieceKind.RESECTED)

    staged = resect(liver, ResectionPlan((Stage("one", (wedge,)), Stage("two", (half,), Waiting("pve", 4)))))

    first, second = staged.pieces[1:]
    assert (first.stage, second.stage) == (1, 2)
    assert (first.count + second.count) * liver.grid.voxel_ml == pytest.approx(alone)
    assert [s.after.title if s.after else "" for s in staged.plan.stages] == ["", "4 weeks after PVE"]


def test_a_voxel_centre_on_the_plane_stays():
    """The plane through a layer of voxel centres leaves that layer, whatever rounding does."""
    grid = grid_of()
    voxels = np.zeros(grid.shape, dtype=bool)
    voxels[5:55, 5:55, 5:55] = True
    liver = crop_liver(Masks(Mask(grid, voxels)))
    for normal in [(3.0, 0.0, 0.0), (0.0, 0.0, 0.1)]:
        axis = int(np.argmax(normal))
        point = np.full(3, 1 / 3)
        point[axis] = 60.0

        partition = resect(liver, plan(PlaneResection((Plane(point, normal),))))

        assert partition.ml(PieceKind.RESECTED) == pytest.approx((55 - 31) * 50 * 50 * 8 / 1000)


def test_a_remnant_in_two_parts_is_said():
    """A slab out of the middle leaves two caps."""
    liver = ball_liver("axial")
    slab = PlaneResection((plane_at(-10, (0, 0, 1.0)), plane_at(-10, (0, 0, -1.0))))
    assert [c.code for c in resect(liver, plan(slab)).caveats] == ["remnant_in_parts"]


@pytest.mark.parametrize(
    ("cut", "reason", "said"),
    [
        (
            PlaneResection((plane_at(80, (1, 0, 0)),)),
            "removes_nothing",
            "stage 1 .stage one., .* removes nothing",
        ),
        (PlaneResection((plane_at(-80, (1, 0, 0)),)), "removes_everything", "leaves no liver at all"),
        (SegmentResection(frozenset({5})), "no_segment_map", "needs a map of the Couinaud segments"),
        (WedgeResection((3,), 5), "unknown_lesion", "there is no lesion 3; the case has 1 .lesion 1."),
    ],
)
def test_plans_that_cannot_be_carried_out_are_refused(cut, reason, said):
    """Each with its reason, its stage, and what is there instead."""
    liver = ball_liver("axial", lesions=[LESION])
    with pytest.raises(PlanError, match=said) as caught:
        resect(liver, plan(cut))
    assert caught.value.reason == reason


def test_a_segment_that_the_map_lacks_is_refused():
    """Segment 5 cannot be removed from a map of segments 2 and 6."""
    grid = grid_of()
    voxels = np.zeros(grid.shape, dtype=bool)
    voxels[5:55, 5:55, 5:55] = True
    labels = np.where(centres(grid)[..., 0] > 60, np.uint8(2), np.uint8(6)) * voxels
    liver = crop_liver(Masks(Mask(grid, voxels), segments=LabelMap(grid, labels.astype(np.uint8))))
    with pytest.raises(PlanError, match="the segment map has no segment 5; it holds 2, 6"):
        resect(liver, plan(SegmentResection(frozenset({2, 5}))))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Plane((0, 0, 0), (0, 0, 0)), "no length"),
        (lambda: Plane((0, 0, np.nan), (0, 0, 1)), "three finite numbers"),
        (lambda: Plane((0, 0), (0, 0, 1)), "three finite numbers"),
        (lambda: Plane.through([(0, 0, 0), (1, 1, 1), (3, 3, 3)], towards_mm=(9, 0, 0)), "lie on one line"),
        (
            lambda: Plane.through([(0, 0, 0), (1, 0, 0), (0, 1, 0)], towards_mm=(5, 5, 0)),
            "in the plane itself",
        ),
        (lambda: Plane.through([(0, 0, 0), (1, 0, 0)], towards_mm=(5, 5, 0)), "three points"),
        (lambda: PlaneResection(()), "at least one plane"),
        (lambda: SegmentResection(frozenset({9})), "from 1 to 8, got \\[9\\]"),
        (lambda: SegmentResection(frozenset()), "from 1 to 8"),
        (lambda: WedgeResection((), 5), "at least one lesion"),
        (lambda: WedgeResection((0,), 5), "at least one lesion"),
        (lambda: WedgeResection((1,), -1), "0 mm or more"),
        (lambda: Ablation((1,), float("nan")), "0 mm or more"),
        (lambda: Stage("x", ()), "no resection"),
        (lambda: ResectionPlan(()), "at least one stage"),
    ],
)
def test_impossible_values_are_never_made(make, said):
    """A plan that exists can be meant."""
    with pytest.raises(PlanError, match=said):
        make()


def test_a_wedge_reaches_no_further_than_the_liver():
    """What the margin covers outside the liver is not counted."""
    liver = ball_liver("axial", lesions=[((0, 0, 50.0), 4.0)])
    partition = resect(liver, plan(WedgeResection((1,), 30.0)))
    assert not (partition.specimen.voxels & ~liver.voxels).any()
    assert np.array_equal(
        partition.specimen.voxels | partition.remnant.voxels, ball(liver.grid, CENTRE, RADIUS_MM)
    )


@pytest.mark.parametrize("name", STEPS)
def test_an_imported_remnant_is_what_stays(name):
    """The half of the ball that a mask covers, drawn on the scan's grid; what sticks out is said."""
    liver = ball_liver(name)
    where = centres(liver.scan_grid)
    half = (where[..., 0] > CENTRE[0]) & (np.linalg.norm(where - CENTRE, axis=-1) < RADIUS_MM + 3)

    partition = resect(liver, plan(RemnantResection(Mask(liver.scan_grid, half, "remnant"))))

    inside = (centres(liver.grid)[..., 0] > CENTRE[0]) & liver.voxels
    assert np.array_equal(partition.remnant.voxels, inside)
    assert "remnant_outside_liver" in [c.code for c in partition.caveats]


def test_an_imported_remnant_that_cannot_be_meant_is_refused():
    """Empty, or the whole liver."""
    liver = ball_liver("axial")
    with pytest.raises(PlanError, match="empty"):
        RemnantResection(Mask(liver.grid, np.zeros(liver.grid.shape, dtype=bool)))
    with pytest.raises(PlanError, match="removes nothing"):
        resect(liver, plan(RemnantResection(Mask(liver.grid, np.ones(liver.grid.shape, dtype=bool)))))
