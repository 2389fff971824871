"""A liver held ready answers as carrying the plan out does."""

import functools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flr_volumetry.anatomy import Structure
from flr_volumetry.errors import FlrError, PlanError
from flr_volumetry.images import Mask
from flr_volumetry.liver import Branch, Territories
from flr_volumetry.resection import (
    Ablation,
    Combine,
    Plane,
    PlaneResection,
    ReadyLiver,
    RemnantResection,
    ResectionPlan,
    SegmentResection,
    Stage,
    SurfaceResection,
    TerritoryResection,
    Waiting,
    WedgeResection,
    margins,
    resect,
)
from flr_volumetry.resection.partition import REMNANT
from flr_volumetry.resection.planar import gap_to_planes
from flr_volumetry.resection.surfaces import BezierSurface
from flr_volumetry.volumetry.measure import measure
from tests.grids import STEPS, centres
from tests.livers import CENTRE, ball_liver

LESIONS = [((18.0, 12.0, -15.0), 10.0), ((22.0, 14.0, -9.0), 7.0), ((-48.0, 8.0, 3.0), 9.0)]


def branch(number, path, parent, name=""):
    return Branch(number, path, parent, path.count(".") + 1, name, np.zeros((2, 3)), np.ones(2))


@functools.cache
def liver_on(name):
    """Ball with segments, lesions that overlap and reach out of it, and territories of three branches."""
    liver = ball_liver(name, lesions=LESIONS, segments=True, scale=2.0)
    x = centres(liver.grid)[..., 0] - CENTRE[0]
    labels = (1 + (x > -10) + (x > 20)).astype(np.uint16) * liver.voxels
    tree = [branch(1, "1", 0, "trunk"), branch(2, "1.1", 1, "right"), branch(3, "1.1.1", 2)]
    return replace(liver, territories=(Territories(Structure.PORTAL_VEIN, labels, tuple(tree)),))


@functools.cache
def ready_on(name):
    return ReadyLiver(liver_on(name), fixed=(WedgeResection((1,), 6.0), half_mask(name)))


@functools.cache
def half_mask(name):
    scan = liver_on(name).scan_grid
    return RemnantResection(Mask(scan, centres(scan)[..., 1] > CENTRE[1] - 7, "remnant"))


def some_cut(name, rng):
    """One resection of any kind."""
    planes = tuple(Plane(CENTRE + rng.uniform(-45, 45, 3), rng.normal(size=3)) for _ in range(2))
    return [
        PlaneResection(planes[:1]),
        PlaneResection(planes, Combine.ALL),
        PlaneResection(planes, Combine.ANY),
        SegmentResection(frozenset(int(n) for n in rng.integers(1, 9, 2))),
        TerritoryResection(Structure.PORTAL_VEIN, (int(rng.integers(2, 4)),)),
        WedgeResection((1,), 6.0),
        WedgeResection((int(rng.integers(1, 4)),), float(rng.uniform(0, 15))),
        Ablation((2, 3), float(rng.uniform(0, 9))),
        half_mask(name),
    ][rng.integers(9)]


def some_plan(name, rng):
    stages = [
        Stage(f"s{n}", tuple(some_cut(name, rng) for _ in range(rng.integers(1, 3))), Waiting("pve", 4))
        for n in range(rng.integers(1, 3))
    ]
    return ResectionPlan(tuple(stages))


def as_found(volumes):
    return (
        volumes.remnant_ml,
        volumes.remnant_functional_ml,
        volumes.resected_ml,
        volumes.ablated_ml,
    )


def assert_same_margins(ours, theirs, step_mm):
    """The same lesions stay; the margins of the others are the same, or nearly so where a plane is asked."""
    assert [replace(m, margin_mm=0, closest_mm=None, cut_mm=None) for m in ours] == [
        replace(m, margin_mm=0, closest_mm=None, cut_mm=None) for m in theirs
    ]
    for one, other in zip(ours, theirs, strict=True):
        if one != other:
            assert -0.05 * step_mm < one.margin_mm - other.margin_mm < 1.1 * step_mm


@pytest.mark.parametrize("name", STEPS)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=12, deadline=None)
def test_the_answer_is_that_of_the_plan_carried_out(name, seed):
    """Plans of all kinds in one and two stages: the same volumes, pieces and margins, to the last bit."""
    liver, ready = liver_on(name), ready_on(name)
    plan = some_plan(name, np.random.default_rng(seed))
    live = ready.volumes(plan)
    if live.problem:
        with pytest.raises(PlanError) as refused:
            resect(liver, plan)
        assert str(refused.value) == live.problem
        return
    if not live.remnant_functional_ml:
        return
    partition = resect(liver, plan)
    volumes = measure(liver, partition)

    assert live.pieces == partition.pieces
    assert as_found(live) == as_found(volumes)
    assert dict(live.segments) == {s.segment: s.remnant_ml for s in volumes.segments}
    assert dict(live.lesions) == {lesion.number: lesion.remaining_ml for lesion in volumes.lesions}
    assert np.array_equal(ready.partition(plan).labels, partition.labels)
    labels = liver.territories[0].labels[partition.labels == REMNANT]
    by_branch = np.bincount(labels, minlength=4) * liver.grid.voxel_ml
    assert dict(ready.remnant_by("portal_vein", plan)) == {n: by_branch[n] for n in (1, 2, 3)}
    step = max(liver.grid.spacing_mm)
    assert_same_margins(ready.margins(plan), margins(liver, partition, surfaces=ready.surfaces), step)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("combine", Combine)
def test_margins_to_flat_cuts_are_those_of_the_ball(name, combine):
    """One plane and two at right angles: distance of the centre from the cut less the radius."""
    liver = ball_liver(name, lesions=[((10.0, 5.0, -4.0), 12.0)])
    centre = CENTRE + (10.0, 5.0, -4.0)
    first = np.array([0.5, 0.8, -0.33]) / np.linalg.norm([0.5, 0.8, -0.33])
    second = np.cross(first, [0.3, 0.1, 1.0])
    second /= np.linalg.norm(second)
    ready = ReadyLiver(liver)
    for near, far in [(2.0, 30.0), (7.5, 9.0), (14.0, 3.0)]:
        planes = (Plane(centre - (12 + near) * first, first), Plane(centre - (12 + far) * second, second))
        # Beyond both lies the middle: the way to what is in front of both leads to their edge.
        want = min(near, far) if combine is Combine.ALL else np.hypot(12 + near, 12 + far) - 12
        (alone,) = ready.margins([PlaneResection(planes[:1])])
        (found,) = ready.margins([PlaneResection(planes, combine)])
        assert alone.margin_mm == pytest.approx(near, abs=0.15)
        assert np.linalg.norm(np.subtract(alone.closest_mm, alone.cut_mm)) == pytest.approx(alone.margin_mm)
        assert first @ (alone.cut_mm - planes[0].point_mm) == pytest.approx(0, abs=1e-9)
        if want < 30:
            assert found.margin_mm == pytest.approx(want, abs=0.25)


@pytest.mark.parametrize("name", STEPS)
def test_few_patches_are_enough(name, monkeypatch):
    """Looking closely at every patch of a lesion finds no smaller distance."""
    liver = liver_on(name)
    surface = ready_on(name).surfaces[1]
    rng = np.random.default_rng(2)
    normals = rng.normal(size=(12, 3))
    middle = surface.points_mm.mean(axis=0)
    cuts = [PlaneResection((Plane(middle - 14 * n / np.linalg.norm(n), n),)) for n in normals]
    found = [gap_to_planes(surface, cut, liver) for cut in cuts]
    monkeypatch.setattr("flr_volumetry.resection.planar.CONTENDERS", 10**6)
    assert [g.mm for g in found] == pytest.approx(
        [gap_to_planes(surface, c, liver).mm for c in cuts], abs=0.1
    )


def test_a_surface_that_reaches_through_the_cut_has_no_margin():
    """All centres of a lesion go, by a hair; its surface lies between them and those that stay: nought."""
    liver = ball_liver("axial", lesions=[((10.0, 5.0, -4.0), 12.0)])
    (lesion,) = liver.lesions
    centres_mm = liver.grid.centres_mm(np.argwhere(lesion.voxels) + lesion.start)
    lowest = centres_mm[np.argmin(centres_mm[:, 0])]
    (found,) = ReadyLiver(liver).margins([PlaneResection((Plane(lowest - [0.01, 0, 0], (1, 0, 0)),))])
    assert (found.margin_mm, found.remaining) == (0.0, 0)


def wavy_patch(rng, towards):
    """Bezier patch through the ball, bent at random."""
    normal = np.asarray(towards) / np.linalg.norm(towards)
    aside = np.cross(normal, [0.31, 0.87, 0.1])
    aside /= np.linalg.norm(aside)
    up = np.cross(normal, aside)
    along = np.linspace(-110, 110, 4)
    flat = CENTRE + along[:, None, None] * aside + along[None, :, None] * up
    return BezierSurface(flat + rng.uniform(-40, 40, (4, 4, 1)) * normal)


@pytest.mark.parametrize("name", STEPS)
def test_surfaces_are_counted_from_the_rows(name, monkeypatch):
    """Bent patches, alone and with a plane: the pieces that `resect` finds, without its voxel arrays."""
    liver, ready = liver_on(name), ready_on(name)
    rng = np.random.default_rng(8)
    plane = PlaneResection((Plane(CENTRE + (0, 20, 0), (0.1, 1.0, 0.2)),))
    plans = []
    for _ in range(4):
        cut = SurfaceResection(wavy_patch(rng, rng.normal(size=3)))
        plans += [[cut], [plane, cut], [cut, plane]]
    partitions = [ready.partition(plan) for plan in plans]
    volumes = measure(liver, partitions[1])
    monkeypatch.setattr("flr_volumetry.resection.ready.taken_by", None)
    assert [ready.volumes(plan).pieces for plan in plans] == [p.pieces for p in partitions]
    assert as_found(ready.volumes(plans[1])) == as_found(volumes)


def test_a_surface_beside_the_liver_removes_nothing_and_one_that_leaks_is_refused():
    """A state as with planes; where a surface ends in the liver there is no answer."""
    ready = ready_on("axial")
    patch = wavy_patch(np.random.default_rng(8), (1, 0, 0))
    away = BezierSurface(patch.control_mm + [200.0, 0, 0])
    live = ready.volumes([SurfaceResection(away)])
    assert (live.resected_ml, live.problem[-36:]) == (0.0, "surface removes nothing from what is left"[-36:])
    small = BezierSurface(CENTRE + (patch.control_mm - CENTRE) * 0.3)
    with pytest.raises(PlanError) as caught:
        ready.volumes([SurfaceResection(small)])
    assert caught.value.reason == "surface_leaks"


def test_beyond_any_of_two_planes_of_which_one_is_far(monkeypatch):
    """A plane well in front of the lesion's foot on the other adds nothing; the general way is not asked."""
    liver = ball_liver("axial", lesions=[((10.0, 5.0, -4.0), 12.0)])
    ready = ReadyLiver(liver)
    near = Plane(CENTRE + (-10.0, 0.0, 0.0), (1.0, 0.0, 0.0))
    far = Plane(CENTRE + (0.0, 40.0, 0.0), (0.0, 1.0, 0.0))
    monkeypatch.setattr("flr_volumetry.resection.ready.margins_around", None)
    (found,) = ready.margins([PlaneResection((near, far), Combine.ANY)])
    assert found.margin_mm == pytest.approx(8.0, abs=0.1)
    assert found.cleared_in_stage == 1


def test_a_foot_outside_the_liver_is_not_the_closest_point():
    """A lesion at the rim: the cut ends before the foot on its plane, and the edge of the cut is closest."""
    liver = ball_liver("axial", lesions=[((0.0, 0.0, 40.0), 8.0)])
    plane = Plane(CENTRE, (1.0, 0.0, 1.0))
    ready = ReadyLiver(liver)
    foot = gap_to_planes(ready.surfaces[1], PlaneResection((plane,)), liver)
    assert foot is not None
    steep = Plane(CENTRE + (46.0, 0.0, 0.0), (-1.0, 0.0, 0.15))
    assert gap_to_planes(ready.surfaces[1], PlaneResection((steep,)), liver) is None


@pytest.mark.parametrize(
    ("point", "normal", "problem", "gone"),
    [
        (
            (80, 0, 0),
            (1, 0, 0),
            "stage 1 (live), resection beyond a plane removes nothing from what is left",
            0,
        ),
        ((-80, 0, 0), (1, 0, 0), "stage 1 (live), resection beyond a plane leaves no liver at all", 1),
    ],
)
def test_a_hand_that_moves_off_the_liver_gets_its_answer(point, normal, problem, gone):
    """Nothing goes, or everything: a state with its sentence, where `resect` refuses."""
    liver, ready = liver_on("oblique"), ready_on("oblique")
    cut = PlaneResection((Plane(CENTRE + point, normal),))

    live = ready.volumes([cut])

    assert live.problem == problem
    assert live.resected_ml == pytest.approx(gone * liver.ml)
    assert live.remnant_ml == pytest.approx((1 - gone) * liver.ml)
    assert [p.count for p in live.pieces] == [round(n / liver.grid.voxel_ml) for n in as_found(live)[::2]]
    with pytest.raises(PlanError, match=r"removes nothing|leaves no liver"):
        ready.partition([cut])


def test_the_first_problem_of_a_plan_is_said():
    """A second wedge of the same place finds nothing left, and says in which stage."""
    ready = ready_on("axial")
    wedge = Stage("one", (WedgeResection((1,), 6.0),))
    live = ready.volumes(ResectionPlan((wedge, replace(wedge, name="two"))))
    assert live.problem == "stage 2 (two), wedge of lesion 1 with 6 mm removes nothing from what is left"
    assert live.pieces[2].count == 0
    assert live.pieces[1].count > 0


def test_a_whole_liver_cut_away_has_no_margin_to_what_stays():
    """Nothing stays: the margin is infinite; nothing goes: it is nought."""
    ready = ready_on("axial")
    far = CENTRE - [80.0, 0, 0]
    assert [m.margin_mm for m in ready.margins([PlaneResection((Plane(far, (1, 0, 0)),))])] == [np.inf] * 3
    assert [m.margin_mm for m in ready.margins([PlaneResection((Plane(far, (-1, 0, 0)),))])] == [0.0] * 3


@pytest.mark.parametrize(
    "cut",
    [
        WedgeResection((7,), 5.0),
        SegmentResection(frozenset({1})),
        TerritoryResection(Structure.HEPATIC_VEINS, (1,)),
        TerritoryResection(Structure.PORTAL_VEIN, ("left",)),
    ],
)
def test_what_is_not_there_is_refused_as_resect_refuses_it(cut):
    """The same reason and, but for the stage's name, the same words."""
    liver = liver_on("axial")
    left = np.where(liver.segments == 1, np.uint8(0), liver.segments)
    liver = replace(liver, segments=left)
    with pytest.raises(FlrError) as refused:
        resect(liver, ResectionPlan((Stage("live", (cut,)),)))
    with pytest.raises(type(refused.value)) as caught:
        ReadyLiver(liver).volumes([cut])
    assert (caught.value.reason, str(caught.value)) == (refused.value.reason, str(refused.value))


def test_plans_that_cannot_be_meant_are_refused():
    """No segment map; no such label map; an empty plan; more resections than labels."""
    bare = ReadyLiver(ball_liver("axial", scale=3.0))
    plane = PlaneResection((Plane(CENTRE, (1, 0, 0)),))
    for refused, reason in [
        (lambda: bare.volumes([SegmentResection(frozenset({5}))]), "no_segment_map"),
        (lambda: bare.remnant_by("portal_vein", [plane]), "unknown_label_map"),
        (lambda: bare.volumes([]), "empty_stage"),
        (lambda: ReadyLiver(bare.liver, fixed=(WedgeResection((1,), 3),)), "unknown_lesion"),
    ]:
        with pytest.raises(PlanError) as caught:
            refused()
        assert caught.value.reason == reason
    with pytest.raises(PlanError, match="at most 253 resections"):
        bare.volumes([plane] * 254)
    assert (dict(bare.volumes([plane]).segments), dict(bare.volumes([plane]).lesions)) == ({}, {})


def test_liver_without_a_segment_is_counted_under_nought():
    """As `measure` does it."""
    liver = liver_on("axial")
    liver = replace(liver, segments=np.where(liver.segments == 1, np.uint8(0), liver.segments))
    cut = PlaneResection((Plane(CENTRE, (1.0, 0.3, 0.1)),))
    live = ReadyLiver(liver).volumes([cut])
    volumes = measure(liver, resect(liver, ResectionPlan((Stage("one", (cut,)),))))
    assert dict(live.segments) == {s.segment: s.remnant_ml for s in volumes.segments}
    assert set(live.segments) == {0, 2, 3, 4, 5, 6, 7, 8}


def test_further_label_maps_are_counted_by_name():
    """A map of halves, given with the liver."""
    liver = liver_on("gantry tilt")
    halves = (1 + (centres(liver.grid)[..., 2] > CENTRE[2])).astype(np.uint8)
    ready = ReadyLiver(liver, {"halves": halves})
    cut = PlaneResection((Plane(CENTRE, (0.2, 0.3, 1.0)),))
    stays = resect(liver, ResectionPlan((Stage("one", (cut,)),))).labels == REMNANT

    found = ready.remnant_by("halves", [cut])

    assert dict(found) == {n: np.count_nonzero(stays & (halves == n)) * liver.grid.voxel_ml for n in (1, 2)}
    assert set(ready.remnant_by("lesion 1", [cut])) == {0, 1}


def test_the_liver_turned_over_in_its_array_gives_the_same_answer():
    """Flipping the arrays, columns last included, moves no millilitre."""
    from flr_volumetry.images import Grid, LabelMap
    from flr_volumetry.liver import Masks, crop_liver

    liver = ball_liver("gantry tilt", segments=True, scale=2.0)
    rng = np.random.default_rng(3)
    cuts = [
        PlaneResection((Plane(CENTRE + rng.uniform(-30, 30, 3), rng.normal(size=3)),)),
        SegmentResection(frozenset({3})),
    ]
    for order in [(2, 1, 0), (1, 2, 0)]:
        affine = liver.grid.affine[:, [*order, 3]].copy()
        arrays = [a.transpose(order) for a in (liver.voxels, liver.segments)]
        affine[:, 3] += affine[:, 0] * (arrays[0].shape[0] - 1)
        affine[:, 0] *= -1
        voxels, segments = (np.flip(a, 0).copy() for a in arrays)
        grid = Grid(voxels.shape, affine)
        other = crop_liver(Masks(Mask(grid, voxels), segments=LabelMap(grid, segments)))
        assert as_found(ReadyLiver(other).volumes(cuts)) == pytest.approx(
            as_found(ReadyLiver(liver).volumes(cuts))
        )


def test_several_threads_may_ask_at_once():
    """Sixty plans three times over by four threads: what one finds alone."""
    ready = ready_on("axial")
    plans = [some_plan("axial", np.random.default_rng(n)) for n in range(60)]
    alone = [as_found(ready.volumes(plan)) for plan in plans]
    with ThreadPoolExecutor(4) as pool:
        assert [as_found(v) for v in pool.map(ready.volumes, plans * 3)] == alone * 3


def test_fixed_resections_are_carried_out_once(monkeypatch):
    """When the liver is made ready, and not again; others are each time."""
    ready = ready_on("oblique")
    fixed, other = WedgeResection((1,), 6.0), WedgeResection((1,), 6.5)
    alone = as_found(ready.volumes([fixed]))
    monkeypatch.setattr("flr_volumetry.resection.ready.taken_by", None)
    assert as_found(ready.volumes([fixed])) == alone
    with pytest.raises(TypeError):
        ready.volumes([other])


def test_what_it_holds_cannot_be_changed():
    """Tables and answers are read-only."""
    ready = ready_on("axial")
    live = ready.volumes([WedgeResection((1,), 6.0)])
    with pytest.raises(ValueError, match="read-only"):
        ready.rows.begin[0] = 3
    with pytest.raises(TypeError):
        live.segments[1] = 0.0
    with pytest.raises(AttributeError):
        ready.fixed = ()
