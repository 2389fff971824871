"""Later scans in a cohort: run after their baselines, failing with them, growth in the table."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flr_volumetry.app.batch import engine
from flr_volumetry.app.batch.cohort import Job, read_cohort
from flr_volumetry.app.batch.engine import ClusterSettings, run_cohort
from flr_volumetry.app.batch.followups import linked
from flr_volumetry.app.batch.state import key_of
from flr_volumetry.app.batch.tables import page_of, rows_of, write_cases, write_rows
from flr_volumetry.app.batch.work import judge_job, run_job
from flr_volumetry.errors import FlrError
from flr_volumetry.images import Mask
from flr_volumetry.io import write_mask
from flr_volumetry.segmentation import deform, registration
from tests.app import batch_work
from tests.app.test_batch import table, write
from tests.app.test_followup import QUICK
from tests.segmentation.grown import GROWTH, PHANTOM, SHIFT, TURN, oblique

RECIPE = Path(__file__).resolve().parents[2] / "pipelines" / "cohorts" / "pve.toml"
HEAD = "id,sex,height_cm,weight_kg,scanned,procedure,rescanned\n"


def draw(folder, phantom, grid):
    masks = phantom.structures(grid)
    folder.mkdir(parents=True)
    write_mask(folder / "liver.nii.gz", masks.liver)
    lesions = np.any([lesion.voxels for lesion in masks.lesions], axis=0)
    write_mask(folder / "lesions.nii.gz", Mask(grid, lesions))
    write_mask(folder / "portal_vein.nii.gz", masks.portal_vein)
    write_mask(folder / "hepatic_veins.nii.gz", masks.hepatic_veins)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The recipe on a phantom before and after growth, with a plane that is known."""
    root = tmp_path_factory.mktemp("pve")
    draw(root / "anna" / "baseline", PHANTOM, PHANTOM.default_grid((6.0, 6.0, 6.0)))
    after = PHANTOM.grown(GROWTH).placed(TURN, SHIFT)
    draw(root / "anna" / "week_4", after, oblique(after.default_grid((5.4, 5.4, 6.0))))
    rows = "anna,F,150,40,2024-05-01,2024-05-03,2024-05-31\n"
    (root / "patients.csv").write_text(HEAD + rows)
    text = RECIPE.read_text()
    start, end = text.index("resections = "), text.index("\n", text.index("resections = "))
    cut = 'resections = [{ kind = "plane", point_mm = [-15, -8, 8], normal = [-1.0, 0.3, 0.1] }]'
    (root / "pve.toml").write_text(text[:start] + cut + text[end:])
    return root


@pytest.fixture
def quick(monkeypatch):
    """Registration by a few rounds."""
    monkeypatch.setattr(registration, "LEVELS", QUICK)
    monkeypatch.setattr(deform, "RIGID_STEP_MM", 14.0)


def test_the_recipe_gives_a_baseline_and_a_later_scan_for_each_patient(world):
    base, later = read_cohort(RECIPE, root=world)
    assert (base.name, later.name, later.after, later.baseline) == (
        "anna/baseline",
        "anna/week_4",
        "anna/baseline",
        "anna/baseline",
    )
    assert base.problem == later.problem == base.after == ""
    assert "stage" not in later.data
    assert later.data["patient"] == base.data["patient"] == {"sex": "F", "height_cm": 150, "weight_kg": 40}
    assert str(later.data["followup"]["procedure_date"]) == "2024-05-03"


@pytest.mark.evaluate
def test_growth_is_in_the_cohort_s_table(world, quick, tmp_path):
    """The remnant grew; the later scan waits for its baseline's result, and changes with it."""
    jobs = read_cohort(world / "pve.toml")
    later = jobs[1]
    out = tmp_path / "out"
    early = run_job(later, str(out))
    assert (early.known.status, early.known.reason) == ("failed", "baseline_failed")
    results = [run_job(job, str(out)) for job in jobs]
    assert [r.known.status for r in results] == ["done", "done"], results
    assert [run_job(job, str(out)).known.status for job in jobs] == ["kept", "kept"]

    write_cases(out, jobs, results)
    rows = rows_of(out, jobs, results)
    write_rows(out, [row for _, row in rows])
    first, second = table(out / "cohort.csv")
    assert first["growth.relative"] == ""
    assert second["growth.baseline"] == "anna/baseline"
    assert float(second["growth.weeks"]) == pytest.approx(4.0)
    was, has = (float(row["remnant_functional_ml"]) for row in (first, second))
    assert float(second["growth.relative"]) == pytest.approx(has / was - 1, rel=1e-9)
    assert has > 1.1 * was
    low, high = (float(second[f"growth.relative_{end}"]) for end in ("low", "high"))
    assert low < float(second["growth.relative"]) < high
    document = json.loads((out / "cases" / "anna" / "week_4" / "followup.json").read_text())
    assert float(second["growth.gain_ml"]) == document["scans"][0]["gain_ml"]
    assert [row["report"] for row in table(out / "cases.csv")] == [
        "cases/anna/baseline/report.html",
        "cases/anna/week_4/followup.html",
    ]
    page = page_of(jobs, results, rows, title="pve", version="0")
    assert "Growth since the baseline" in page
    assert f"{100 * float(second['growth.relative']):.1f} (" in page

    # Other patient facts: the baseline is judged anew, its follow-up has to be run.
    heavier = [replace(j, data={**j.data, "patient": {**j.data["patient"], "weight_kg": 55}}) for j in jobs]
    assert judge_job(heavier[0], str(out)).known.status == "done"
    refused = judge_job(heavier[1], str(out))
    assert (refused.known.status, refused.known.reason) == ("failed", "measured_otherwise")
    assert run_job(heavier[0], str(out)).known.status == "kept"
    assert key_of(later, None)[0] != key_of(heavier[1], None)[0]


def test_a_follow_up_is_begun_after_its_baseline_and_fails_with_it(tmp_path):
    """Also a follow-up of a follow-up; the others go on."""
    jobs = [
        Job("b", "", {}, Path(), "test", after="a"),
        Job("a", "", {}, Path(), "test"),
        Job("d", "", {}, Path(), "test", after="always"),
        Job("e", "", {}, Path(), "test", after="d"),
        Job("always", "", {}, Path(), "test"),
        Job("c", "", {}, Path(), "test", after="b"),
    ]
    found = run_cohort(
        jobs, tmp_path, ClusterSettings(1, 2e9), work=batch_work.dies_by_name, needed=lambda _: 1
    )
    status = {r.name: (r.known.status, r.known.reason) for r in found}
    assert status["always"] == ("failed", "worker_lost")
    assert status["d"] == status["e"] == ("failed", "baseline_failed")
    assert status["a"] == status["b"] == status["c"] == ("done", "")
    begun = {name: (tmp_path / f"{name}.begun").stat().st_mtime_ns for name in "abc"}
    assert begun["a"] < begun["b"] < begun["c"]
    assert not (tmp_path / "d.begun").exists()


def test_a_follow_up_of_a_large_case_is_run_after_it(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "needed_bytes", lambda job: 3e9 if job.case_id == "large" else 1e6)
    jobs = [Job("small", "", {}, Path(), "t", after="large"), Job("large", "", {}, Path(), "t")]
    found = run_cohort(jobs, tmp_path, ClusterSettings(1, 2e9), work=batch_work.tells_when)
    assert [r.known.status for r in found] == ["done", "done"]
    small, large = (
        [float(t) for t in (tmp_path / f"{n}.when").read_text().split()] for n in ("small", "large")
    )
    assert large[1] <= small[0]


def follows(name, baseline):
    return Job(name, "", {"followup": {"baseline": baseline}}, Path(), "test")


def test_cases_that_follow_each_other_in_a_circle_have_a_problem():
    one, two, three, path = linked(
        [follows("a", "b"), follows("b", "a"), follows("c", "a"), follows("d", "elsewhere/report.json")]
    )
    assert all(job.problem.startswith("circular_followup: ") for job in (one, two, three))
    assert (path.after, path.problem) == ("", "")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ("\n[[later]]\nmasks = {}\n", "bad_later"),
        ('\n[[later]]\nname = "baseline"\n', "bad_later"),
        ('\n[[later]]\nname = "week_4"\n', "same_name"),
        ('\n[[plan]]\nname = "x"\n[[plan.stage]]\nname = "y"\n', "plans_and_later"),
    ],
)
def test_recipes_with_later_scans_that_cannot_be_meant(world, tmp_path, more, reason):
    shutil.copy(world / "patients.csv", tmp_path)
    with pytest.raises(FlrError) as refused:
        read_cohort(write(tmp_path / "bad.toml", RECIPE.read_text() + more))
    assert refused.value.reason == reason
