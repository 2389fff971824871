"""Segments by vote of other livers."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner

from flr_volumetry.app.cli import main
from flr_volumetry.images import Grid, Image, LabelMap, Mask, Source
from flr_volumetry.io import read_label_map, write_image, write_label_map, write_mask
from flr_volumetry.phantom import random_patient
from flr_volumetry.segmentation.fusion import AtlasLiver, carry, fused, is_mirrored, work_grid
from flr_volumetry.segmentation.fusion import _on_work as on_work
from tests.grids import STEPS, ball, grid_around
from tests.livers import CENTRE, octants

SPACING = (4.0, 4.0, 5.0)


def flr(*words):
    return CliRunner().invoke(main, [str(w) for w in words])


def patient(seed):
    made = random_patient(seed)
    return made.structures(made.default_grid(SPACING))


@pytest.fixture(scope="module")
def patients():
    return [patient(seed) for seed in range(4)]


def dices(guess, truth):
    return [
        2 * np.count_nonzero((guess == n) & (truth == n)) / np.count_nonzero(np.r_[guess == n, truth == n])
        for n in range(1, 9)
    ]


@pytest.mark.parametrize("name", STEPS)
def test_a_liver_laid_upon_itself_elsewhere_keeps_its_segments(name):
    """Moved, made larger along one axis, and on another grid: the same eighths of a ball come back."""
    base = grid_around("axial", CENTRE, 60, scale=2)
    labels = LabelMap(base, (octants(base) * ball(base, CENTRE, 55)).astype(np.uint8))
    atlas = AtlasLiver.of("one", labels)
    target = grid_around(name, CENTRE + [30, -20, 10], 72, scale=1.5)
    places = target.centres_mm(
        np.stack(np.meshgrid(*map(np.arange, target.shape), indexing="ij"), -1).reshape(-1, 3)
    )
    own = (places - (CENTRE + [30, -20, 10])) / [1.2, 1.0, 0.95]
    inside = (np.linalg.norm(own, axis=1) <= 55).reshape(target.shape)
    signs = (own >= 0).astype(np.uint8)
    truth = (
        (1 + 4 * (1 - signs[:, 0]) + signs[:, 1] + 2 * signs[:, 2]).reshape(target.shape) * inside
    ).astype(np.uint8)

    vote = fused(Mask(target, inside), [atlas])

    assert ((vote.labels.voxels > 0) == inside).all()
    assert vote.mean_dice > 0.95
    # A ball tells little of how it is turned: an eighth may be off by a few degrees.
    assert np.mean(dices(vote.labels.voxels, truth)) > 0.9
    assert min(dices(vote.labels.voxels, truth)) > 0.85


def test_other_patients_vote_well(patients):
    """Segments of one phantom from three others."""
    livers = [AtlasLiver.of(str(n), p.segments) for n, p in enumerate(patients[1:])]
    truth = patients[0]
    vote = fused(truth.liver, livers)
    found = dices(vote.labels.voxels, truth.segments.voxels)
    assert np.mean(found) > 0.75
    assert vote.share > 0.7
    assert ((vote.labels.voxels > 0) == truth.liver.voxels).all()


def test_registration_brings_the_outline_over(patients):
    liver = AtlasLiver.of("1", patients[1].segments)
    work = work_grid(patients[0].liver)
    target = on_work(patients[0].liver, work)
    carried = carry(liver, target, work) > 0
    overlap = 2 * np.count_nonzero(carried & (target > 0)) / (carried.sum() + (target > 0).sum())
    assert overlap > 0.93


def test_a_mirrored_liver_is_told(patients):
    labels = patients[0].segments
    assert not is_mirrored(AtlasLiver.of("a", labels))
    affine = labels.grid.affine.copy()
    affine[0] *= -1
    turned = LabelMap(dataclasses.replace(labels.grid, affine=affine), labels.voxels)
    assert is_mirrored(AtlasLiver.of("b", turned))


@pytest.fixture
def folder(patients, tmp_path):
    place = tmp_path / "atlas"
    for n, one in enumerate(patients[1:]):
        (place / f"liver{n}").mkdir(parents=True)
        write_label_map(place / f"liver{n}" / "label.nii.gz", one.segments)
    liver = patients[0].liver
    write_mask(tmp_path / "liver.nii.gz", liver)
    voxels = np.where(liver.voxels, 100, 0).astype(np.int16)
    write_image(tmp_path / "scan.nii.gz", Image(liver.grid, voxels, Source(modality="CT")))
    return tmp_path


def ask(folder, *words, out="out"):
    scan, atlas = folder / "scan.nii.gz", folder / "atlas"
    return flr("segment", scan, "--out", folder / out, "--backend", "atlas", "--folder", atlas, *words)


def test_segments_through_the_command_line(folder, patients):
    done = ask(folder, "--liver", folder / "liver.nii.gz")
    assert done.exit_code == 0, done.stderr
    labels = read_label_map(folder / "out" / "masks" / "segments.nii.gz")
    assert np.mean(dices(labels.voxels, patients[0].segments.voxels)) > 0.75
    quality = json.loads((folder / "out" / "quality.json").read_text())
    assert quality["made"]["weights"].startswith("SHA-256 ")
    assert "vote of 3 livers" in quality["methods"][0]


def test_a_case_gets_its_segments_from_the_atlas(folder):
    (folder / "case.toml").write_text(
        '[case]\nid = "a"\n[image]\npath = "scan.nii.gz"\n[masks]\nliver = "liver.nii.gz"\n'
        '[segmentation]\nbackend = "atlas"\nfolder = "atlas"\n'
        '[[stage]]\nresections = [{ kind = "hepatectomy", name = "right_hepatectomy", caudate = false }]\n'
    )
    done = flr("run", folder / "case.toml", "--out", folder / "report")
    assert done.exit_code == 0, done.stderr
    report = json.loads((folder / "report" / "report.json").read_text())
    assert 0.2 < report["indices"]["flr"]["value"] < 0.5
    assert any("vote of 3 livers" in m for m in report["methods"])


def test_refusals(folder, patients):
    assert "[liver_needed]" in ask(folder, "--structures", "segments").stderr
    # Without a mask the liver is sought, and this scan holds none.
    assert "[not_hounsfield]" in ask(folder).stderr
    mirrored = patients[1].segments
    affine = mirrored.grid.affine.copy()
    affine[0] *= -1
    turned = LabelMap(Grid(mirrored.grid.shape, affine), mirrored.voxels)
    write_label_map(folder / "atlas" / "liver0" / "label.nii.gz", turned)
    done = ask(folder, "--liver", folder / "liver.nii.gz")
    assert "[atlas_too_small]" in done.stderr
    assert "II and III lie to the right" in done.stderr
    (folder / "atlas" / "liver0" / "label.nii.gz").unlink()
    assert "[backend_unavailable]" in ask(folder, "--liver", folder / "liver.nii.gz").stderr
    done = flr("segment", folder / "scan.nii.gz", "--out", folder / "out", "--backend", "atlas")
    assert "[backend_unavailable]" in done.stderr
