"""What a run keeps for later: the day of the scan, whose it is, and a coarse copy of it."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace

import numpy as np
import pytest

from flr_volumetry.app.keepsake import scan_facts, small_scan
from flr_volumetry.images import Grid, Image, Source
from tests.grids import STEPS, grid_around

DAY = dt.date(2024, 5, 1)


def facts(given=None, acquired="", who=""):
    table = SimpleNamespace(date=given)
    case = SimpleNamespace(image=table, study=None, masks=SimpleNamespace(date=None))
    image = SimpleNamespace(source=Source(acquired=acquired, patient_id=who))
    return scan_facts(case, SimpleNamespace(image=image))


@pytest.mark.parametrize(
    ("given", "acquired", "date", "codes"),
    [
        (None, "20240501", DAY, []),
        (DAY, "", DAY, []),
        (DAY, "20240501", DAY, []),
        (DAY, "20200101", DAY, ["scan_dates_differ"]),
        (None, "", None, []),
        (None, "2024", None, []),
        (None, "unknown", None, []),
    ],
)
def test_the_day_is_the_cases_or_the_files_and_a_difference_is_said(given, acquired, date, codes):
    found, caveats = facts(given, acquired)
    assert found.date == date
    assert [c.code for c in caveats] == codes


def test_a_patient_has_one_key_that_is_not_the_number():
    one, same, other = (facts(who=w)[0].patient_key for w in ("12345", " 12345 ", "12346"))
    assert one == same != other
    assert len(one) == 16
    assert "12345" not in one
    assert facts()[0].patient_key == ""


@pytest.mark.parametrize("name", STEPS)
def test_the_small_scan_shows_the_same_places(name):
    """A slope over the patient stays what it is wherever the grid lies."""
    grid = grid_around(name, (10.0, -20.0, 30.0), 40.0)
    slope = np.array([1.0, -2.0, 0.5])
    index = np.indices(grid.shape).reshape(3, -1).T
    values = (grid.centres_mm(index) @ slope).reshape(grid.shape)
    small = small_scan(Image(grid, values.astype(np.float32), Source(modality="CT")))
    inner = tuple(slice(3, n - 3) for n in small.grid.shape)
    places = small.grid.centres_mm(np.indices(small.grid.shape).reshape(3, -1).T) @ slope

    assert np.abs(small.voxels - places.reshape(small.grid.shape))[inner].max() <= 0.6
    assert min(small.grid.spacing_mm) >= 1.99
    assert small.voxels.dtype == np.int16


def test_coarse_scans_are_kept_as_they_are():
    grid = Grid((8, 9, 10), np.diag([3.0, 3.0, 5.0, 1.0]))
    voxels = np.random.default_rng(5).integers(-900, 900, grid.shape).astype(np.int16)
    small = small_scan(Image(grid, voxels))
    assert small.grid.matches(grid)
    assert np.array_equal(small.voxels, voxels)
