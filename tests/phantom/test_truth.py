"""The integrator against solids with textbook volumes."""

from __future__ import annotations

import numpy as np
import pytest

from flr_volumetry.phantom.pose import Warp
from flr_volumetry.phantom.shapes import Capsule, Ellipsoid
from flr_volumetry.phantom.truth import integrate_ml

TOLERANCE = 5e-4
"""The error the truth promises."""


@pytest.mark.parametrize("turn", [(0.0, 0.0, 0.0), (25.0, -40.0, 10.0)])
def test_an_ellipsoid_has_its_textbook_volume(turn):
    """4/3 pi a b c."""
    part = Ellipsoid((3.3, -7.1, 11.9), (19.0, 12.0, 9.0), turn)

    assert integrate_ml((part,), step_mm=0.3) == pytest.approx(4e-3 / 3 * np.pi * 19 * 12 * 9, rel=TOLERANCE)


def test_a_tapered_capsule_has_its_textbook_volume():
    """A frustum, pi L (r0^2 + r0 r1 + r1^2) / 3, and two half balls."""
    part = Capsule((0.0, 0.0, 0.0), (12.0, 20.0, 9.0), (6.0, 3.0))
    length, r0, r1 = 25.0, 6.0, 3.0
    expected = np.pi * length * (r0**2 + r0 * r1 + r1**2) / 3 + 2 / 3 * np.pi * (r0**3 + r1**3)

    assert integrate_ml((part,), step_mm=0.25) == pytest.approx(expected / 1000, rel=TOLERANCE)


def test_overlap_counts_once_and_separate_parts_add_up():
    """Two equal balls have the volume of one; two apart, of two."""
    ball, far = Ellipsoid((0.0,) * 3, (10.0,) * 3), Ellipsoid((40.0, 5.0, 3.0), (10.0,) * 3)
    one = integrate_ml((ball,), step_mm=0.3)

    assert integrate_ml((ball, ball), step_mm=0.3) == pytest.approx(one, abs=0)
    assert integrate_ml((ball, far), step_mm=0.3) == pytest.approx(2 * one, rel=TOLERANCE)


def test_a_stretched_body_is_larger_by_the_product_of_its_scales():
    """A ball in a body scaled by 1.1, 0.9 and 1.2."""
    ball, warp = Ellipsoid((20.0, -10.0, 5.0), (10.0,) * 3), Warp((1.1, 0.9, 1.2))
    expected = 4e-3 / 3 * np.pi * 1000 * 1.1 * 0.9 * 1.2

    assert integrate_ml((ball,), step_mm=0.25, warp=warp) == pytest.approx(expected, rel=TOLERANCE)


def test_a_condition_cuts_the_volume():
    """Half a ball."""
    ball = Ellipsoid((0.0,) * 3, (10.0,) * 3)
    half = integrate_ml((ball,), step_mm=0.25, within=lambda x, y, z: x + 2 * y - z > 0)

    assert half == pytest.approx(2e-3 / 3 * np.pi * 1000, rel=TOLERANCE)


def test_flat_faces_along_the_lattice_do_not_count_in_whole_layers():
    """A slab cut by axis planes comes out right although its faces lie between lattice rows."""
    ball = Ellipsoid((0.0,) * 3, (10.0,) * 3)
    thin = integrate_ml((ball,), step_mm=0.3, within=lambda x, y, z: (x > 0.17) & (x < 1.21))
    expected = np.pi * (100 * (1.21 - 0.17) - (1.21**3 - 0.17**3) / 3)

    assert thin == pytest.approx(expected / 1000, rel=2e-3)


def test_the_segments_share_out_the_liver(truth):
    """Their volumes sum to the liver's."""
    assert sum(truth[f"segment{n}"] for n in range(1, 9)) == pytest.approx(truth["liver"], abs=1e-6)


def test_a_finer_lattice_finds_the_same_small_volumes(phantom, truth):
    """Halving the step moves a tumour and the gallbladder by less than the error promised."""
    for name, parts in (
        ("tumour3", (phantom.anatomy.lesions[2],)),
        ("gallbladder", phantom.anatomy.gallbladder.parts),
    ):
        assert integrate_ml(parts, step_mm=0.11) == pytest.approx(truth[name], rel=TOLERANCE)
