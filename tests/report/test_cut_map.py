"""The cut and its distance to the lesions, against analytic ones."""

from __future__ import annotations

import numpy as np
import pytest

from flr_volumetry.report.cut_map import MARGIN_COLOURS, cut_margins, margin_maps, unrolled
from flr_volumetry.resection import Plane, PlaneResection, ResectionPlan, Stage, WedgeResection, resect
from tests.grids import STEPS
from tests.livers import CENTRE, RADIUS_MM, ball_liver

TUMOUR_MM = 9.0
AWAY_MM = 14.0


def cut_by_plane(name, *, lesions):
    liver = ball_liver(name, lesions=lesions)
    plan = ResectionPlan((Stage("one", (PlaneResection((Plane(CENTRE, (-1.0, 0.3, 0.2)),)),)),))
    return liver, resect(liver, plan)


@pytest.mark.parametrize("name", STEPS)
def test_a_plane_is_a_disc_at_its_distance_from_a_ball(name):
    """Vertices lie on the plane, the area is the disc's, distances are the analytic ones to 0.2 mm."""
    normal = np.array([-1.0, 0.3, 0.2]) / np.linalg.norm([-1.0, 0.3, 0.2])
    liver, partition = cut_by_plane(name, lesions=[(AWAY_MM * normal, TUMOUR_MM)])

    cut = cut_margins(liver, partition)

    points = cut.surface.vertices_mm
    assert np.abs((points - CENTRE) @ normal).max() < 1e-6
    assert cut.surface.area_mm2 == pytest.approx(np.pi * RADIUS_MM**2, rel=0.12)
    truth = np.linalg.norm(points - CENTRE - AWAY_MM * normal, axis=1) - TUMOUR_MM
    assert np.abs(cut.distance_mm - truth).max() < 0.6
    assert np.quantile(np.abs(cut.distance_mm - truth), 0.95) < 0.2
    assert cut.distance_mm.min() == pytest.approx(AWAY_MM - TUMOUR_MM, abs=0.2)
    assert set(cut.nearest) == {1}
    assert set(cut.piece) == {2}


@pytest.mark.parametrize("name", STEPS)
def test_a_wedge_runs_at_its_margin_from_its_lesion(name):
    """The bowl of a wedge of 6 mm is 6 mm from the lesion all over, and has the class of 5 to 10 mm."""
    liver = ball_liver(name, lesions=[((0.0, -30.0, 5.0), TUMOUR_MM)])
    partition = resect(liver, ResectionPlan((Stage("one", (WedgeResection((1,), 6.0),)),)))

    cut = cut_margins(liver, partition)

    assert np.median(np.abs(cut.distance_mm - 6.0)) < 0.05
    assert np.quantile(np.abs(cut.distance_mm - 6.0), 0.95) < 0.3
    assert np.bincount(cut.classes, minlength=4).argmax() == 2


def test_classes_begin_at_the_margins_sources_name():
    """At 1, 5 and 10 mm, to a tenth of a millimetre."""
    liver, partition = cut_by_plane("axial", lesions=[((20.0, 0.0, 0.0), 5.0)])
    cut = cut_margins(liver, partition)
    for value, expected in (
        (0.0, 0),
        (0.85, 0),
        (1.0, 1),
        (4.8, 1),
        (5.0, 2),
        (9.8, 2),
        (10.0, 3),
        (np.inf, 3),
    ):
        other = type(cut)(cut.surface, np.full(len(cut.distance_mm), value), cut.piece, cut.nearest)
        assert set(other.classes) == {expected}, value
        assert len(MARGIN_COLOURS) > expected


def test_a_flat_sheet_stays_as_it_is_and_a_half_ball_is_unrolled():
    """Distances on a plane stay; from the pole of a half-ball, angle times radius."""
    rng = np.random.default_rng(5)
    flat = rng.uniform(-20, 20, (200, 3)) * [1, 0, 1]
    laid = unrolled(flat, np.tile([0.0, -1.0, 0.0], (200, 1)))
    for a, b in rng.integers(0, 200, (40, 2)):
        assert np.linalg.norm(laid[a] - laid[b]) == pytest.approx(np.linalg.norm(flat[a] - flat[b]), abs=1e-9)
    assert laid[np.argmax(flat[:, 2]), 1] == laid[:, 1].min()

    angles = np.column_stack([rng.uniform(0, 2.6, 2000), rng.uniform(0, 2 * np.pi, 2000)])
    angles[0] = 0
    polar, turn = angles.T
    towards = np.column_stack([np.sin(polar) * np.cos(turn), -np.cos(polar), np.sin(polar) * np.sin(turn)])
    bowl = unrolled(CENTRE + 12 * towards, -towards)
    lengths = np.linalg.norm(bowl - bowl[0], axis=1)
    assert np.quantile(np.abs(lengths - 12 * angles[:, 0]), 0.9) < 1.5


def test_without_a_lesion_there_is_no_map_and_without_a_cut_no_surface():
    """A cut without a lesion has infinite distances; nothing that stays, no cut."""
    liver, partition = cut_by_plane("axial", lesions=[])

    assert margin_maps(liver, partition) is None
    assert np.isinf(cut_margins(liver, partition).distance_mm).all()


def test_the_map_says_its_least_distance():
    """In its alternative text, for those who do not see it."""
    normal = np.array([-1.0, 0.3, 0.2]) / np.linalg.norm([-1.0, 0.3, 0.2])
    liver, partition = cut_by_plane("axial", lesions=[(AWAY_MM * normal, TUMOUR_MM)])

    figure = margin_maps(liver, partition)

    least = float(figure.alt.split("at least ")[1].split(" mm")[0])
    assert least == pytest.approx(AWAY_MM - TUMOUR_MM, abs=0.2)
    assert figure.png.startswith(b"\x89PNG")
