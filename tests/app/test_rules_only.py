"""Done cases judged again by other rules: the numbers of a full run, with images and masks gone."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flr_volumetry.app import reassess as again
from flr_volumetry.app import run
from flr_volumetry.app.batch.cohort import read_cohort
from flr_volumetry.app.batch.state import key_of, parts_of, state_file
from flr_volumetry.app.batch.work import judge_job, run_job
from flr_volumetry.app.kept import CODEC, MEASURED
from flr_volumetry.errors import UnreadableError
from flr_volumetry.images import Grid, Mask
from flr_volumetry.resection import (
    BezierSurface,
    Plane,
    PlaneResection,
    RemnantResection,
    ResectionPlan,
    Stage,
    SurfaceResection,
)
from tests.app.test_batch import RECIPE, draw_patient, flr_batch, table

PROTOCOL = """
key = "house"
title = "House rules"
version = "1"
description = "Of a test."
[[rule]]
id = "H1"
title = "At least so much"
index = "flr"
denominator = "functional liver volume"
threshold_percent = {}
op = ">="
population = "nobody"
effect_below = "less"
effect_above = "more"
citation = {{ text = "A test" }}
evidence = "ASSUMED"
"""
FULL = (
    RECIPE
    + """
[patient]
height_cm = {height}
weight_kg = 70
sex = "F"

[function]
bilirubin_mg_per_dl = 0.8

[uncertainty]
cut_sd_mm = 2.0
remnant_relative_sd = 0.05
liver_relative_sd = 0.04

[assessment]
protocols = ["house", "review-2014", "consensus-20-30-40"]
protocol_folder = "rules"
"""
)


@pytest.fixture
def still(monkeypatch):
    """A clock that stands, so that whole files can be compared."""
    for module in (run, again):
        monkeypatch.setattr(module, "begun", lambda: "2026-01-01T00:00:00+00:00")


def written(root, *, height=150, percent=30, name="recipe.toml", more=""):
    """Recipe and house rules."""
    (root / "rules").mkdir(exist_ok=True)
    (root / "rules" / "house.toml").write_text(PROTOCOL.format(percent))
    text = FULL.replace("{height}", str(height)) + more
    (root / name).write_text(text)
    return root / name


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A patient, measured under one set of rules and facts."""
    root = tmp_path_factory.mktemp("rules")
    draw_patient(root / "patients" / "p0", 0)
    (job,) = read_cohort(written(root))
    assert run_job(job, str(root / "out")).known.status == "done"
    return root


@pytest.fixture
def root(measured, tmp_path):
    """A copy of it, free to be spoilt, at the same place in time."""
    shutil.copytree(measured, tmp_path / "r", copy_function=shutil.copy2)
    move_state(tmp_path / "r", measured)
    return tmp_path / "r"


def move_state(root, old):
    """Files are known by where they lie."""
    for path in (root / "out" / "state").glob("*.json"):
        path.write_text(path.read_text().replace(str(old), str(root)))


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def result(root, out="out"):
    return root / out / "cases" / "p0"


def findings(folder):
    return {f["rule"]: f for f in json.loads((folder / "report.json").read_text())["findings"]}


def test_judged_again_every_file_is_that_of_a_full_run(root, still):
    """Other patient, threshold and protocols: byte by byte, but for the state beside the cases."""
    before = findings(result(root))["H1"]
    (job,) = read_cohort(written(root, height=180, percent=55))
    full = run_job(job, str(root / "whole"))
    assert full.known.status == "done", full
    for path in (root / "patients").rglob("*.nii.gz"):
        path.unlink()
    # What a full run would open is gone: the state is all that is known of it.
    assert judge_job(job, str(root / "out")).known.status == "done"

    assert contents(result(root)) == contents(result(root, "whole"))
    after = findings(result(root))["H1"]
    assert (before["threshold"], after["threshold"]) == (0.3, 0.55)
    assert before["state"] != after["state"]
    assert judge_job(job, str(root / "out")).known.status == "kept"
    assert [p.name for p in (root / "out" / "cases").iterdir()] == ["p0"]


def test_after_it_a_full_run_has_nothing_to_do(root):
    (job,) = read_cohort(written(root, height=160))
    assert judge_job(job, str(root / "out")).known.status == "done"
    assert run_job(job, str(root / "out")).known.status == "kept"


def test_the_same_through_the_command_line(root):
    recipe = written(root, height=165, percent=55)
    shutil.rmtree(root / "patients" / "p0")
    (root / "patients" / "p0").mkdir()
    found = flr_batch(recipe, "--out", root / "out", "--rules-only")
    assert "1 cases: 1 done now" in found.stdout
    (row,) = table(root / "out" / "cohort.csv")
    assert row["house.H1.state" if "house.H1.state" in row else "house.state"]
    again_ = flr_batch(recipe, "--out", root / "out", "--rules-only")
    assert "0 done now, 1 done before" in again_.stdout


def other_plan(root):
    recipe = root / "recipe.toml"
    recipe.write_text(recipe.read_text().replace('"right_hepatectomy"', '"left_hepatectomy"'))


def other_error(root):
    recipe = root / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("cut_sd_mm = 2.0", "cut_sd_mm = 3.0"))


def other_mask(root):
    path = root / "patients" / "p0" / "liver.nii.gz"
    path.write_bytes(path.read_bytes() + b"x")


def touched_mask(root):
    os.utime(root / "patients" / "p0" / "liver.nii.gz", (1, 1))


def no_state(root):
    for path in (root / "out" / "state").glob("*.json"):
        path.unlink()


def never_run(root):
    shutil.rmtree(result(root))


def nothing_kept(root):
    (result(root) / MEASURED).unlink()


def other_program(root):
    path = result(root) / "batch.json"
    data = json.loads(path.read_text())
    data["made_from"]["program"] = "older"
    key = key_of(read_cohort(root / "recipe.toml")[0], None)[0]
    path.write_text(json.dumps({**data, "key": replace(key, program="older").whole}))


@pytest.mark.parametrize(
    "change",
    [other_plan, other_error, other_mask, touched_mask, no_state, never_run, nothing_kept, other_program],
)
def test_what_was_measured_otherwise_is_refused_and_left_as_it_is(root, change):
    written(root, height=171)
    change(root)
    before = contents(root / "out" / "cases")
    (job,) = read_cohort(root / "recipe.toml")
    found = judge_job(job, str(root / "out"))
    assert (found.known.status, found.known.reason) == ("failed", "measured_otherwise"), found.known.message
    assert contents(root / "out" / "cases") == before


@pytest.mark.parametrize("name", ["report.html", "partition.nii.gz", MEASURED, "figures/plan.svg"])
def test_an_edited_result_is_not_judged(root, name):
    path = result(root) / name
    path.write_bytes(path.read_bytes() + b" ")
    (job,) = read_cohort(written(root, height=172))
    found = judge_job(job, str(root / "out"))
    assert (found.known.status, found.known.reason) == ("failed", "digest_mismatch")


def test_an_impossible_fact_is_the_case_s_own_reason(root):
    (job,) = read_cohort(written(root, height=-3))
    found = judge_job(job, str(root / "out"))
    assert found.known.status == "failed"
    assert found.known.reason != "measured_otherwise"


def test_which_part_of_a_case_each_table_belongs_to(root):
    """Every table and key is in one of the two parts; changing the first changes what is measured."""
    (job,) = read_cohort(root / "recipe.toml")
    measured, rules = parts_of(job.data)
    assert set(rules) == {"patient", "function", "uncertainty", "assessment"}
    assert measured["uncertainty"] == {"cut_sd_mm": 2.0}
    assert {*measured, *rules} == set(job.data)
    assert parts_of({"function": {"map": "m", "icg_r15_percent": 3}}) == (
        {"function": {"map": "m"}},
        {"function": {"icg_r15_percent": 3}},
    )


def same(one, other):
    return CODEC.encoded(one) == CODEC.encoded(other)


def test_values_come_back_to_the_last_bit():
    """Planes whose normal is not quite 1 long, infinities, arrays of any order, masks, texts."""
    grid = Grid((3, 4, 5), np.diag([0.7, 0.7, 2.5, 1.0]))
    voxels = np.zeros((3, 4, 5), dtype=bool, order="F")
    voxels[1, 2, 3] = True
    plan = ResectionPlan(
        (
            Stage(
                "a", (PlaneResection((Plane(np.array([1, 2, 3.3]), np.array([1.0, 0.3, 0.1])),), name="é"),)
            ),
            Stage("b", (RemnantResection(Mask(grid, voxels)),)),
            Stage("c", (SurfaceResection(BezierSurface(np.random.default_rng(0).normal(size=(4, 4, 3)))),)),
        )
    )
    raw = json.loads(json.dumps(CODEC.encoded(plan), allow_nan=False))
    found = CODEC.decoded(raw)
    assert same(found, plan)
    one, other = (p.stages[0].resections[0].planes[0].normal for p in (plan, found))
    assert one.tobytes() == other.tobytes()
    assert not other.flags.writeable
    assert (found.stages[1].resections[0].mask.voxels == voxels).all()
    assert CODEC.decoded(CODEC.encoded((float("inf"), frozenset({3, 1}), {2: "x"}, None))) == (
        float("inf"),
        frozenset({1, 3}),
        {2: "x"},
        None,
    )


@pytest.mark.parametrize(
    "raw",
    [
        {"$": "Path", "value": "/"},
        {"$": "Caveat", "code": "x"},
        {"$": "Phase", "value": "none"},
        {"no": "kind"},
        {"$": "array", "dtype": "object", "shape": [1], "order": "C", "zlib": ""},
        {"$": "array", "dtype": "uint8", "shape": [9], "order": "C", "zlib": "eJxjAAAAAQAB"},
    ],
)
def test_what_is_no_value_of_ours_is_refused(raw):
    with pytest.raises(UnreadableError) as refused:
        CODEC.decoded(raw)
    assert refused.value.reason == "damaged_result"


def test_a_value_of_no_known_class_is_not_written():
    with pytest.raises(TypeError):
        CODEC.encoded(Path("x"))


def test_the_state_is_still_known_after_a_refusal(root):
    other_plan(root)
    (job,) = read_cohort(root / "recipe.toml")
    judge_job(job, str(root / "out"))
    (job,) = read_cohort(written(root, height=173))
    assert judge_job(job, str(root / "out")).known.status == "done"
    assert json.loads(state_file(root / "out", job).read_text())["status"] == "done"
