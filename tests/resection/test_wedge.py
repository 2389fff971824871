"""What a margin around a lesion takes: the volume of the larger solid, and no more or less on average."""

import numpy as np
import pytest

from flr_volumetry.resection import lesion_surface
from flr_volumetry.resection.subvoxel import reach
from flr_volumetry.resection.wedge import zone
from tests.grids import STEPS, centres
from tests.resection.solids import ellipsoid, grid_of, lesion_of, middle_of

SMALL_LIVER_ML = 700.0


def ball_ml(radius):
    """Volume, mL."""
    return 4 / 3 * np.pi * radius**3 / 1000


def lost_ml(rng, name, radius, margin, *, step_mm, even):
    """What a margin around a ball somewhere between the voxels takes."""
    grid = grid_of(name, radius + margin + 3, step_mm=step_mm, even=even)
    centre = middle_of(grid) + grid.affine[:3, :3] @ rng.uniform(-0.5, 0.5, 3)
    _, taken = zone(lesion_of(ellipsoid(grid, centre, radius)), margin, grid)
    return int(np.count_nonzero(taken)) * grid.voxel_ml


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize(("radius", "margin"), [(4.0, 5.0), (10.0, 7.0), (15.0, 10.0)])
def test_at_1_mm_a_wedge_takes_the_larger_ball_to_two_hundredths_of_a_point(name, radius, margin):
    """Of the remnant's share of a small liver of 700 mL."""
    rng = np.random.default_rng(3)
    lost = [lost_ml(rng, name, radius, margin, step_mm=1.0, even=True) for _ in range(2)]

    assert np.abs(np.array(lost) - ball_ml(radius + margin)).max() / SMALL_LIVER_ML < 0.0002


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize(("radius", "margin"), [(10.0, 5.0), (15.0, 10.0)])
def test_at_5_mm_a_wedge_takes_the_larger_ball_to_a_sixth_of_a_point(name, radius, margin):
    """Ten positions between the voxels: root mean square, and mean, of the share of 1500 mL."""
    rng = np.random.default_rng(7)
    lost = np.array([lost_ml(rng, name, radius, margin, step_mm=5.0, even=True) for _ in range(10)])
    points = 100 * (lost - ball_ml(radius + margin)) / 1500

    assert np.sqrt((points**2).mean()) < 0.16
    assert abs(points.mean()) < 0.13


@pytest.mark.parametrize("name", STEPS)
def test_on_slices_of_2_5_mm_a_wedge_takes_the_larger_ball(name):
    """Voxels of 0.8 x 0.8 x 2.5 mm, the test that centre to centre fails by 8 %: within 1 %."""
    rng = np.random.default_rng(2)
    lost = np.mean([lost_ml(rng, name, 10.0, 7.0, step_mm=2.5, even=False) for _ in range(4)])

    assert lost == pytest.approx(ball_ml(17.0), rel=0.01)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("margin", [0.4, 3.0, 9.0])
def test_every_voxel_is_on_its_side_of_the_margin(name, margin):
    """Voxel by voxel, but for a fifth of a millimetre on both sides; the box holds all of it."""
    grid = grid_of(name, 21)
    centre = middle_of(grid) + (0.2, -0.3, 0.1)
    lesion = lesion_of(ellipsoid(grid, centre, 9.0))
    box, taken = zone(lesion, margin, grid)
    everything = np.zeros(grid.shape, dtype=bool)
    everything[box] = taken
    distance = np.linalg.norm(centres(grid) - centre, axis=-1) - 9.0

    assert everything[lesion.box][lesion.voxels].all()
    assert everything[distance <= margin - 0.2].all()
    assert not everything[distance > margin + 0.2].any()


def test_a_margin_of_nothing_takes_the_lesion_alone():
    """Not one voxel more."""
    grid = grid_of("gantry tilt", 12)
    lesion = lesion_of(ellipsoid(grid, middle_of(grid), 7.0))
    box, taken = zone(lesion, 0.0, grid)
    inner = tuple(slice(s.start - b.start, s.stop - b.start) for s, b in zip(lesion.box, box, strict=True))

    assert np.array_equal(taken[inner], lesion.voxels)
    assert np.count_nonzero(taken) == np.count_nonzero(lesion.voxels)


def test_more_margin_takes_more_and_a_surface_at_hand_the_same():
    """Nested zones; deterministic to the bit."""
    grid = grid_of("oblique", 22, step_mm=2.0, even=False)
    lesion = lesion_of(ellipsoid(grid, middle_of(grid) + 0.3, (9.0, 7.0, 5.0)))
    surface = lesion_surface(lesion, grid)
    before = np.zeros(grid.shape, dtype=bool)
    for margin in (0.0, 0.2, 1.0, 2.5, 6.0, 11.0):
        box, taken = zone(lesion, margin, grid, surface=surface)
        assert np.array_equal(taken, zone(lesion, margin, grid)[1])
        assert box == reach(lesion, margin, grid)
        now = np.zeros(grid.shape, dtype=bool)
        now[box] = taken
        assert not (before & ~now).any()
        before = now


@pytest.mark.parametrize("margin", [1.0, 4.0, 10.0])
def test_one_voxel_and_its_margin_stay_sane(margin):
    """On a coarse grid: between the ball around its centre and the ball around its corners."""
    grid = grid_of("axial", 22, step_mm=5.0, even=False)
    only = np.zeros(grid.shape, dtype=bool)
    only[tuple(n // 2 for n in grid.shape)] = True
    box, taken = zone(lesion_of(only), margin, grid)
    distance = np.linalg.norm(centres(grid)[box] - grid.centres_mm(np.argwhere(only))[0], axis=-1)

    assert taken[distance <= margin].all()
    assert distance[taken].max() <= margin + np.linalg.norm(grid.spacing_mm) / 2
