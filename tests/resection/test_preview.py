"""The coarse picture of a moving cut, and resections worked out once: the voxels of the plan carried out."""

import numpy as np
import pytest

from flr_volumetry.errors import PlanError
from flr_volumetry.resection import (
    BezierSurface,
    Plane,
    PlaneResection,
    ReadyLiver,
    ResectionPlan,
    Stage,
    SurfaceResection,
    WedgeResection,
    resect,
)
from flr_volumetry.resection.preview import edges_taken, holding, preview, preview_grid, whole
from tests.grids import STEPS
from tests.livers import ball_liver


@pytest.fixture(scope="module", params=STEPS)
def ready(request):
    """A liver with a lesion on each of the five grids."""
    return ReadyLiver(ball_liver(request.param, lesions=(((20.0, 5.0, -10.0), 9.0),), scale=1.5))


def plan_for(liver):
    """A wedge, a plane and a patch, one after the other."""
    index = np.argwhere(liver.voxels)
    middle = liver.grid.centres_mm(index).mean(axis=0)
    along = np.linspace(-150, 150, 4)
    control = [[middle + [a, b, 12 + 5 * np.sin(a / 50)] for b in along] for a in along]
    return ResectionPlan(
        (
            Stage("one", (WedgeResection((1,), 4.0), PlaneResection((Plane(middle, (-1, 0.3, 0.2)),)))),
            Stage("two", (SurfaceResection(BezierSurface(np.array(control))),)),
        )
    )


@pytest.mark.parametrize("step", [1, 2, 3, 7])
def test_a_preview_is_every_so_many_th_voxel_of_the_plan_carried_out(ready, step):
    """To the voxel, on every grid."""
    plan = plan_for(ready.liver)
    expected = resect(ready.liver, plan).labels[ready.rows.box]

    found = preview(ready, plan, step)

    np.testing.assert_array_equal(found, expected[::step, ::step, ::step])
    grid = preview_grid(ready, step)
    assert grid.shape == found.shape
    last = np.array(found.shape) - 1
    np.testing.assert_allclose(grid.centres_mm([last]), ready.rows.grid.centres_mm([last * step]), atol=1e-9)


def test_nothing_cut_is_the_liver(ready):
    """Ones where the liver is."""
    expected = ready.liver.voxels[ready.rows.box][::2, ::2, ::2]

    np.testing.assert_array_equal(whole(ready, 2), expected.astype(np.uint8))


def test_a_liver_that_holds_resections_says_the_same(ready):
    """Volumes and margins do not depend on what was worked out before."""
    plan = plan_for(ready.liver)
    cuts = [cut for stage in plan.stages for cut in stage.resections]
    known = holding(ready, {cut: edges_taken(ready, cut) for cut in (cuts[0], cuts[2])})

    assert len(known.known) == 2
    assert not ready.known
    assert known.volumes(plan).pieces == ready.volumes(plan).pieces
    assert known.margins(plan) == ready.margins(plan)


def test_a_step_of_nothing_is_refused(ready):
    """There is no such preview."""
    with pytest.raises(PlanError, match="at least one voxel"):
        preview(ready, plan_for(ready.liver), 0)
