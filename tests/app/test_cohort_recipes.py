"""The cohort recipes of pipelines/: every one read, and run on small data or on what it is meant for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from flr_volumetry.app.batch.cohort import read_cohort
from flr_volumetry.app.batch.work import run_job
from tests.app.test_batch import flr_batch, table
from tests.app.test_study import patient  # noqa: F401 - a fixture

RECIPES = Path(__file__).resolve().parents[2] / "pipelines" / "cohorts"


@pytest.mark.parametrize(("recipe", "place"), [("tcia_crlm", "CRLM-CT-1001"), ("overnight", "inbox/study_1")])
def test_recipes_for_studies_that_bring_their_masks(patient, recipe, place):  # noqa: F811
    """A folder of the collection's shape: its remnant as drawn; what needs segments, refused."""
    folder, masks, voxel_ml = patient
    target = folder / "data" / place
    target.parent.mkdir(parents=True)
    shutil.copytree(folder / "patient", target)
    out = folder / "cohort"
    if recipe == "tcia_crlm":
        flr_batch(RECIPES / f"{recipe}.toml", "--root", folder / "data", "--out", out)
        (row,) = table(out / "cohort.csv")
        assert row["case_id"] == "CRLM-CT-1001"
        assert float(row["remnant_ml"]) == pytest.approx(masks[2].sum() * voxel_ml)
    else:
        found = flr_batch(RECIPES / f"{recipe}.toml", "--root", folder / "data", "--out", out, expect=1)
        assert "no_segment_map" in found.stdout


def test_every_named_hepatectomy_on_every_liver_of_a_folder(tmp_path):
    """The recipe is read; one of its jobs is run in test_batch's way on a liver of blocks."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "label.nii.gz").touch()
    jobs = read_cohort(RECIPES / "couinaud.toml", root=tmp_path)
    assert {job.case_id for job in jobs} == {"one", "two"}
    assert len(jobs) > 16
    assert all(job.problem == "" for job in jobs)


def test_one_liver_of_the_collection_of_segment_maps(real_data, tmp_path):
    livers = real_data / "couinaud"
    jobs = read_cohort(RECIPES / "couinaud.toml", root=livers)
    assert len({job.case_id for job in jobs}) == 14
    job = next(j for j in jobs if j.name == "LiTS-51/left_lateral")
    assert run_job(job, str(tmp_path)).known.status == "done"
    (row,) = table(tmp_path / "cases" / "LiTS-51" / "left_lateral" / "row.csv")
    assert 0.7 < float(row["flr"]) < 0.95


def test_the_layout_of_3d_ircadb(real_data, tmp_path):
    (tmp_path / "3Dircadb1.17").symlink_to(real_data / "ircad17")
    (job,) = read_cohort(RECIPES / "ircadb.toml", root=tmp_path)
    assert run_job(job, str(tmp_path / "out")).known.status == "done"
    (row,) = table(tmp_path / "out" / "cases" / "3Dircadb1.17" / "row.csv")
    assert float(row["total_ml"]) == pytest.approx(1860.6, abs=0.1)
    assert row["lesions"] == "2"
