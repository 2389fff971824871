"""``flr evaluate`` through the command line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from flr_volumetry.app.cli import main
from flr_volumetry.images import LabelMap, Mask
from flr_volumetry.io import write_label_map, write_mask
from tests.grids import STEPS, ball, grid_around

ROOT = Path(__file__).resolve().parents[2]
CENTRE = np.array([17.0, -40.0, 120.0])


def flr(*words):
    return CliRunner().invoke(main, ["evaluate", *map(str, words)])


def put(path, grid, *balls):
    voxels = np.zeros(grid.shape, dtype=bool)
    for centre, radius in balls:
        voxels |= ball(grid, centre, radius)
    path.parent.mkdir(exist_ok=True)
    write_mask(path, Mask(grid, voxels))


@pytest.mark.parametrize("name", STEPS)
def test_masks_on_two_grids_are_compared_by_geometry(name, tmp_path):
    put(tmp_path / "guess.nii.gz", grid_around(name, CENTRE, 30), (CENTRE, 24))
    put(tmp_path / "truth.nii.gz", grid_around("axial", CENTRE, 34, scale=0.9), (CENTRE, 26))
    done = flr(tmp_path / "guess.nii.gz", tmp_path / "truth.nii.gz", "--json")
    assert done.exit_code == 0, done.stderr
    row = json.loads(done.stdout)["structures"][0]
    assert row["dice"] == pytest.approx(2 * 24**3 / (24**3 + 26**3), abs=0.01)
    assert row["volume_error"] == pytest.approx((24 / 26) ** 3 - 1, abs=0.02)
    assert row["mean_mm"] == pytest.approx(1.9, abs=0.4)


def test_a_folder_is_compared_structure_by_structure_and_written(tmp_path):
    grid = grid_around("axial", CENTRE, 60)
    right, left = CENTRE - [25, 0, 0], CENTRE + [25, 0, 0]
    for side, radius in (("guess", 10), ("truth", 11)):
        put(tmp_path / side / "liver.nii.gz", grid, (CENTRE, 50))
        put(tmp_path / side / "lesion_1.nii.gz", grid, (right, radius))
    put(tmp_path / "guess" / "lesion_2.nii.gz", grid, (CENTRE + [0, 30, 0], 6))
    put(tmp_path / "truth" / "lesion_2.nii.gz", grid, (left, 8))
    put(tmp_path / "truth" / "portal_vein.nii.gz", grid, (CENTRE, 5))
    out = tmp_path / "out"
    done = flr(tmp_path / "guess", tmp_path / "truth", "--out", out)
    assert done.exit_code == 0, done.stderr
    assert "Lesions: 1 of 2 found, 1 false positive" in done.stdout
    assert "portal vein" in done.stdout
    document = json.loads((out / "evaluation.json").read_text())
    assert document["lesions"]["sensitivity"] == 0.5
    rows = {r["name"]: r for r in document["structures"]}
    assert rows["liver"]["dice"] == 1
    assert rows["liver"]["hausdorff_95_mm"] == 0
    table = list(csv.DictReader(io.StringIO((out / "evaluation.csv").read_text())))
    assert float(table[0]["dice"]) == pytest.approx(rows[table[0]["name"]]["dice"])
    assert (out / "evaluation.html").read_text().count("data:image/png") == 2
    assert flr(tmp_path / "guess", tmp_path / "truth", "--csv").stdout == (out / "evaluation.csv").read_text()
    assert flr(tmp_path / "guess", tmp_path / "truth", "--out", out).exit_code == 0


def test_a_label_map_is_compared_with_single_masks_by_its_labels(tmp_path):
    grid = grid_around("axial", CENTRE, 20)
    halves = 1 + (np.indices(grid.shape)[0] > grid.shape[0] // 2)
    labels = (ball(grid, CENTRE, 15) * halves).astype(np.uint8)
    write_label_map(tmp_path / "a.nii.gz", LabelMap(grid, labels))
    done = flr(tmp_path / "a.nii.gz", tmp_path / "a.nii.gz", "--json")
    assert [r["dice"] for r in json.loads(done.stdout)["structures"]] == [1, 1]


def test_what_cannot_be_compared_is_refused(tmp_path):
    grid = grid_around("axial", CENTRE, 20)
    put(tmp_path / "a" / "liver.nii.gz", grid, (CENTRE, 10))
    put(tmp_path / "a" / "gallbladder.nii.gz", grid, (CENTRE, 5))
    put(tmp_path / "b" / "ivc.nii.gz", grid, (CENTRE, 10))
    put(tmp_path / "b" / "portal_vein.nii.gz", grid, (CENTRE, 10))
    put(tmp_path / "empty.nii.gz", grid)
    put(tmp_path / "far.nii.gz", grid_around("axial", CENTRE + [500, 0, 0], 20), (CENTRE + [500, 0, 0], 10))
    one = tmp_path / "a" / "liver.nii.gz"
    for words, reason in (
        ((tmp_path / "a", tmp_path / "b"), "nothing_in_common"),
        ((one, tmp_path / "none.nii.gz"), "not_found"),
        ((one, tmp_path / "far.nii.gz"), "no_overlap"),
    ):
        done = flr(*words)
        assert done.exit_code == 1, words
        assert f"[{reason}]" in done.stderr
    assert flr(one, tmp_path / "empty.nii.gz").exit_code == 1
    assert flr(one, one, "--json", "--csv").exit_code == 2
