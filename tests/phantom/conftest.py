"""The sample patient, sampled once for all tests of this room."""

from __future__ import annotations

import pytest

from flr_volumetry.phantom import Phantom, PhantomMasks, sample_patient
from tests.grids import STEPS, grid_around

LIVER_CENTRE_MM = (-25.0, -10.0, 0.0)
LIVER_RADIUS_MM = 150.0


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    """The patient of sample_data."""
    return sample_patient()


@pytest.fixture(scope="session")
def truth(phantom):
    """Its integrated volumes, mL."""
    return phantom.true_ml()


@pytest.fixture(scope="session")
def sampled(phantom) -> dict[str, PhantomMasks]:
    """Its structures on the five grids."""
    grids = {name: grid_around(name, LIVER_CENTRE_MM, LIVER_RADIUS_MM, scale=2.0) for name in STEPS}
    return {name: phantom.structures(grid) for name, grid in grids.items()}


@pytest.fixture(scope="session")
def axial(sampled) -> PhantomMasks:
    """Its structures on the axial one of them."""
    return sampled["axial"]
