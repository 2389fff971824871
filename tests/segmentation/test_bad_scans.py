"""Scans in which no liver can be found, or not all of it, through the command line: refused or flagged."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from flr_volumetry.app.cli import main
from flr_volumetry.images import Grid, Image, Source
from flr_volumetry.io import write_image
from flr_volumetry.phantom import sample_patient
from tests.grids import ball
from tests.segmentation.mr import mr_of

PHANTOM = sample_patient()
STEPS = (3.0, 3.0, 5.0)


def flr(*words):
    return CliRunner().invoke(main, [str(w) for w in words])


def grid_between(low_mm, high_mm):
    """The phantom's width and depth, and heights from the hilum of its liver."""
    low, high = PHANTOM.field_of_view_mm
    affine = np.diag([*STEPS, 1.0])
    affine[:3, 3] = [low[0], low[1], low_mm]
    across = (high - low)[:2] / STEPS[0]
    return Grid((int(across[0]), int(across[1]), int((high_mm - low_mm) / STEPS[2])), affine)


def chest():
    return PHANTOM.image(grid_between(112.0, 200.0))


def pelvis():
    return PHANTOM.image(grid_between(-260.0, -120.0))


def head():
    grid = Grid((60, 60, 60), np.diag([4.0, 4.0, 4.0, 1.0]))
    voxels = np.full(grid.shape, -1000, np.int16)
    voxels[ball(grid, (118, 118, 118), 85)] = 900
    voxels[ball(grid, (118, 118, 118), 78)] = 35
    return Image(grid, voxels, Source(modality="CT"))


def mr_as_ct():
    image = mr_of(PHANTOM, PHANTOM.default_grid((4.0, 4.0, 8.0)), seed=3)
    return Image(image.grid, image.voxels.astype(np.int16), Source(modality="CT"))


@pytest.mark.parametrize(
    ("make", "reasons"),
    [
        (chest, {"no_liver", "not_a_liver"}),
        (head, {"no_trunk", "no_liver"}),
        (pelvis, {"no_liver", "not_a_liver"}),
        (mr_as_ct, {"not_hounsfield"}),
    ],
)
def test_where_no_liver_is_none_is_made_up(make, reasons, tmp_path):
    """Exit status 1, a reason, and no file."""
    write_image(tmp_path / "scan.nii.gz", make())
    out = tmp_path / "out"

    done = flr("segment", tmp_path / "scan.nii.gz", "--out", out)

    assert done.exit_code == 1, done.output
    assert any(f"[{reason}]" in done.stderr for reason in reasons), done.stderr
    assert not out.exists()


def test_a_liver_partly_in_view_is_flagged(tmp_path):
    """The upper half: a mask, and a caveat that says what is missing."""
    write_image(tmp_path / "scan.nii.gz", PHANTOM.image(grid_between(10.0, 180.0)))
    out = tmp_path / "out"

    done = flr("segment", tmp_path / "scan.nii.gz", "--out", out, "--structures", "liver")

    assert done.exit_code == 0, done.stderr
    codes = {c["code"] for c in json.loads((out / "quality.json").read_text())["caveats"]}
    assert "liver_partly_in_view" in codes


@pytest.mark.parametrize(
    ("seed", "reason"), [("0,0,900", "hint_outside"), ("-100,0,115", "hint_outside_liver")]
)
def test_hints_where_no_liver_can_be_are_refused(seed, reason, tmp_path):
    """Off the scan; in the lung."""
    write_image(tmp_path / "scan.nii.gz", PHANTOM.image(PHANTOM.default_grid((4.0, 4.0, 8.0))))
    out = tmp_path / "out"

    done = flr("segment", tmp_path / "scan.nii.gz", "--out", out, "--seed", seed)

    assert done.exit_code == 1, done.output
    assert f"[{reason}]" in done.stderr
    assert not out.exists()
