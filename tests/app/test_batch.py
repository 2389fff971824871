"""A cohort: what it is made of, run through the command line, killed, taken up again, and judged."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flr_volumetry.app import prepare
from flr_volumetry.app.batch import engine, sharing
from flr_volumetry.app.batch.cohort import Job, read_cohort
from flr_volumetry.app.batch.engine import ClusterSettings, run_cohort
from flr_volumetry.app.batch.state import FAILED, Known, key_of, known_of, made_from, remember, state_file
from flr_volumetry.app.batch.work import run_job, unpacked_bytes
from flr_volumetry.errors import FlrError
from flr_volumetry.images import Grid, LabelMap
from flr_volumetry.io import write_label_map
from flr_volumetry.phantom import random_patient
from flr_volumetry.report.cohort_page import CohortEntry, FailedEntry, outliers, render_cohort
from flr_volumetry.report.row import CaseRow, Kind, RowColumn
from flr_volumetry.report.row_files import read_row, rows_csv, rows_metadata
from tests.app import batch_work

STEP_MM = 5.0
RECIPE = """
[cohort]
folders = "patients/*"

[case]
id = "{name}"

[masks]
liver = "{folder}/liver.nii.gz"
segments = "{folder}/segments.nii.gz"

[[stage]]
name = "one"
resections = [{ kind = "hepatectomy", name = "right_hepatectomy", caudate = false }]
"""


def draw_patient(folder, seed):
    """Masks of a random phantom, coarse, so that a case takes seconds."""
    phantom = random_patient(seed)
    low, high = phantom.field_of_view_mm
    affine = np.diag([STEP_MM] * 3 + [1.0])
    affine[:3, 3] = low
    grid = Grid(tuple(int(n) for n in np.ceil((high - low) / STEP_MM)), affine)
    masks = phantom.structures(grid)
    folder.mkdir(parents=True)
    write_label_map(
        folder / "liver.nii.gz", LabelMap(grid, masks.liver.voxels.astype(np.uint8), {1: "liver"})
    )
    write_label_map(folder / "segments.nii.gz", masks.segments)


@pytest.fixture(scope="module")
def patients(tmp_path_factory):
    """Three patients, drawn once."""
    root = tmp_path_factory.mktemp("cohort")
    for seed in range(3):
        draw_patient(root / "patients" / f"p{seed}", seed)
    return root


@pytest.fixture
def cohort(patients, tmp_path):
    """A copy of them with a recipe, free to be spoilt."""
    shutil.copytree(patients / "patients", tmp_path / "patients")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return tmp_path


def flr_batch(*args, expect=0, **more):
    found = subprocess.run(
        [sys.executable, "-m", "flr_volumetry", "batch", *map(str, args)],
        capture_output=True,
        text=True,
        timeout=more.pop("timeout", 300),
        check=False,
        **more,
    )
    assert expect is None or found.returncode == expect, found.stderr
    return found


def table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def facts(out):
    """What was computed, without the hour at which."""
    rows = table(out / "cohort.csv")
    return [{k: v for k, v in row.items() if k not in ("started", "case_sha256")} for row in rows]


def done_lines(out):
    """How often each case was finished, by its log."""
    return {
        log.stem: sum(line.endswith(" done") for line in log.read_text().splitlines())
        for log in sorted((out / "logs").rglob("*.log"))
    }


def test_a_cohort_is_run_kept_and_run_again_where_it_changed(cohort):
    """A spoilt case stops no other; a second run does what failed or changed, and nothing else."""
    spoilt = cohort / "patients" / "p1" / "liver.nii.gz"
    whole = spoilt.read_bytes()
    spoilt.write_bytes(whole[:50])
    out = cohort / "out"

    first = flr_batch(cohort / "recipe.toml", "--out", out, expect=3)

    assert "3 cases: 2 done now, 0 done before, 1 failed" in first.stdout
    assert first.stderr.startswith("p1: failed [")
    status = {row["case"]: (row["status"], row["reason"]) for row in table(out / "cases.csv")}
    assert status["p0"] == status["p2"] == ("done", "")
    assert status["p1"][0] == "failed"
    assert status["p1"][1] in (out / "logs" / "p1.log").read_text()
    assert [row["case_id"] for row in facts(out)] == ["p0", "p2"]
    page = (out / "cohort.html").read_text()
    assert "2 of 3 done" in page
    assert 'href="cases/p0/report.html"' in page
    assert (out / "cases" / "p0" / "report.html").is_file()

    spoilt.write_bytes(whole)
    before = (out / "cases" / "p0" / "report.json").stat().st_mtime_ns
    second = flr_batch(cohort / "recipe.toml", "--out", out)
    assert "3 cases: 1 done now, 2 done before, 0 failed" in second.stdout
    assert (out / "cases" / "p0" / "report.json").stat().st_mtime_ns == before
    assert done_lines(out) == {"p0": 1, "p1": 1, "p2": 1}

    # Another file of the same content changes nothing; another plan changes all.
    os.utime(spoilt)
    assert "0 done now, 3 done before" in flr_batch(cohort / "recipe.toml", "--out", out).stdout
    (cohort / "recipe.toml").write_text(RECIPE.replace('"right_hepatectomy"', '"left_hepatectomy"'))
    assert "3 done now, 0 done before" in flr_batch(cohort / "recipe.toml", "--out", out).stdout


def test_the_row_of_a_case_is_that_of_a_run_alone(cohort):
    """The same numbers as flr run gives on the case file."""
    out = cohort / "out"
    text = RECIPE.split("[case]", 1)[1].replace("{name}", "p0").replace("{folder}", "patients/p0")
    (cohort / "alone.toml").write_text("[case]" + text)
    flr_batch(cohort / "alone.toml", "--out", out)
    subprocess.run(
        [sys.executable, "-m", "flr_volumetry", "run", cohort / "alone.toml", "--out", cohort / "alone"],
        check=True,
        capture_output=True,
    )
    (row,) = facts(out)
    (alone,) = table(cohort / "alone" / "row.csv")
    assert row == {k: v for k, v in alone.items() if k in row}
    same = [(out / "cases" / "p0", cohort / "alone")]
    for one, other in same:
        assert (one / "partition.nii.gz").read_bytes() == (other / "partition.nii.gz").read_bytes()


def test_killed_and_taken_up_again_nothing_is_lost_or_done_twice(cohort):
    """SIGKILL to the command and its workers in the middle; `make evaluate` does it at ten moments."""
    out = cohort / "out"
    with subprocess.Popen(
        [sys.executable, "-m", "flr_volumetry", "batch", cohort / "recipe.toml", "--out", out],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        give_up = time.monotonic() + 120
        while not list((out / "cases").glob("p?")) and time.monotonic() < give_up:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    assert len(list((out / "cases").glob("p?"))) < 3
    flr_batch(cohort / "recipe.toml", "--out", out)

    assert [row["case_id"] for row in facts(out)] == ["p0", "p1", "p2"]
    assert begun_again(out) == []
    assert [p.name for p in (out / "cases").iterdir() if p.name.startswith(".")] == []


def begun_again(out):
    """Cases that were begun after they had been finished, by their logs."""
    found = []
    for log in (out / "logs").rglob("*.log"):
        lines = log.read_text().splitlines()
        done = next(n for n, line in enumerate(lines) if line.endswith(" done"))
        found += [log.stem for line in lines[done:] if " begun: " in line]
    return found


def jobs_called(*names):
    return [Job(name, "", {"case": {"id": name}}, Path(), "test") for name in names]


def test_a_case_that_kills_its_worker_is_tried_thrice_and_stops_no_other(tmp_path):
    found = run_cohort(
        jobs_called("always", "once", "plain"),
        tmp_path,
        ClusterSettings(1, 2e9),
        work=batch_work.dies_by_name,
    )
    status = {r.name: (r.known.status, r.known.reason) for r in found}
    assert status == {"always": ("failed", "worker_lost"), "once": ("done", ""), "plain": ("done", "")}
    begun = {p.stem: len(p.read_text().splitlines()) for p in tmp_path.glob("*.begun")}
    assert begun == {"always": 3, "once": 2, "plain": 1}
    lost = found[0].known.message
    assert "lost in try 3" in lost
    assert known_of(tmp_path, jobs_called("always")[0]).reason == "worker_lost"


def test_a_case_out_of_memory_is_reported_and_the_rest_goes_on(tmp_path):
    found = run_cohort(
        jobs_called("mb2000", "mb10"), tmp_path, ClusterSettings(1, 600e6), work=batch_work.eats_memory
    )
    assert [(r.known.status, r.known.reason) for r in found] == [("failed", "worker_lost"), ("done", "")]


def test_cases_too_large_for_one_worker_wait_until_the_others_are_done(tmp_path, monkeypatch):
    sizes = {"large": 3e9, "a": 1e6, "b": 1e6}
    monkeypatch.setattr(engine, "needed_bytes", lambda job: sizes[job.case_id])
    found = run_cohort(
        jobs_called("large", "a", "b"), tmp_path, ClusterSettings(2, 2e9), work=batch_work.tells_when
    )
    assert [r.name for r in found] == ["large", "a", "b"]
    when = {p.stem: [float(t) for t in p.read_text().split()] for p in tmp_path.glob("*.when")}
    assert when["large"][0] > max(when["a"][1], when["b"][1])


def test_what_may_pass_is_tried_again_and_what_may_not_is_not():
    passing, lasting = (engine.Result("x", Known(FAILED, reason), "") for reason in ("disk_full", "not_toml"))
    assert engine._again(passing, 1)
    assert not engine._again(passing, engine.MOST_TRIES)
    assert not engine._again(lasting, 1)


def test_a_second_run_on_the_same_folder_is_refused(cohort):
    from flr_volumetry.app.batch.command import LOCK
    from flr_volumetry.app.held import held

    with held(cohort / "out", LOCK, refusal="", reason=""):
        found = flr_batch(cohort / "recipe.toml", "--out", cohort / "out", expect=1)
    assert "in_use" in found.stderr


def test_a_scheduler_that_does_not_answer_is_said(cohort, monkeypatch):
    monkeypatch.setattr(engine, "CONNECT_S", 1)
    with pytest.raises(FlrError) as refused:
        run_cohort(jobs_called("a"), cohort, ClusterSettings(scheduler="tcp://127.0.0.1:9"))
    assert refused.value.reason == "no_scheduler"
    assert "no scheduler answers at tcp://127.0.0.1:9 within 1 s" in refused.value.message


def test_a_scheduler_that_is_there_is_used(cohort):
    """One in a process of its own, with a worker, reached by its address."""
    from distributed import LocalCluster

    jobs = read_cohort(cohort / "recipe.toml")[:1]
    with LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1"
    ) as cluster:
        settings = ClusterSettings(scheduler=cluster.scheduler_address)
        (found,) = run_cohort(jobs, cohort / "out", settings)
    assert found.known.status == "done"


def write(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[cohort]\n[masks]\nliver='x'", "no_cases_named"),
        ("[cohort]\nfolders='*'\ntable='t.csv'", "no_cases_named"),
        ("[cohort]\nfolder='*'", "unknown_key"),
        ("[cohort]\nfolders='../*'", "bad_pattern"),
        ("[cohort]\nfolders='none*'", "empty_cohort"),
        ("[cohort]\nfolders='patients/*'\nhepatectomies=['lobectomy']", "ambiguous_hepatectomy"),
        ("[cohort]\nfolders='patients/*'\n[[plan]]\nstages=[]", "bad_plan"),
        ("[cohort", "not_toml"),
        ("[cohort]\nfolders='patients/*'\nid='same'\n[masks]\nliver='x'", "same_name"),
    ],
)
def test_recipes_that_cannot_be_meant(cohort, text, reason):
    with pytest.raises(FlrError) as refused:
        read_cohort(write(cohort / "bad.toml", text))
    assert refused.value.reason == reason


def test_a_placeholder_that_is_not_there_is_a_problem_of_the_case(cohort):
    jobs = read_cohort(write(cohort / "bad.toml", RECIPE.replace("{folder}/liver", "{nothing}/liver")))
    assert len(jobs) == 3
    assert all(job.problem.startswith("unknown_placeholder: ") for job in jobs)
    found = run_job(jobs[0], str(cohort / "out"))
    assert (found.known.status, found.known.reason) == ("failed", "unknown_placeholder")


def test_a_table_of_cases(cohort):
    """Dotted columns are keys of the case file; a hepatectomy is a plan; an empty cell leaves its key out."""
    text = (
        "id,masks.liver,masks.segments,patient.height_cm,hepatectomy\n"
        "first,patients/p0/liver.nii.gz,patients/p0/segments.nii.gz,170,left_hepatectomy\n"
        "second,patients/p1/liver.nii.gz,patients/p1/segments.nii.gz,,right_hepatectomy\n"
        "third,patients/p2/liver.nii.gz,,tall,right_hepatectomy\n"
    )
    first, second, third = read_cohort(write(cohort / "cases.csv", text))
    assert (first.case_id, first.data["patient"], first.problem) == ("first", {"height_cm": 170}, "")
    assert first.data["stage"][0]["resections"][0]["name"] == "left_hepatectomy"
    assert "patient" not in second.data
    assert "height_cm" in third.problem


@pytest.mark.parametrize("text", ["", "a,a\n1,2\n", "a,b\n1\n", "a,b\n1,2,3\n"])
def test_tables_that_are_none(cohort, text):
    with pytest.raises(FlrError) as refused:
        read_cohort(write(cohort / "cases.csv", text))
    assert refused.value.reason == "bad_table"


def test_a_recipe_with_a_table_and_plans(cohort):
    text = RECIPE.replace('folders = "patients/*"', 'table = "t.csv"\nid = "{who}"\nhepatectomies = "all"')
    text = text.replace("{folder}", "patients/{who}").split("[[stage]]", 1)[0].replace('id = "{name}"', "")
    text += '[[plan]]\nname = "own"\n[[plan.stage]]\nname = "one"\n'
    text += 'resections = [{ kind = "segments", segments = [6, 7] }]\n'
    write(cohort / "t.csv", "who\np0\np1\n")
    jobs = read_cohort(write(cohort / "all.toml", text))
    counts = Counter(job.case_id for job in jobs)
    assert set(counts) == {"p0", "p1"}
    assert counts["p0"] > 8
    assert all(job.problem == "" for job in jobs)
    assert {job.folder for job in jobs} >= {"p0/own", "p1/right_hepatectomy", "p1/caudate"}


def test_a_folder_of_case_files(cohort):
    """All case files are taken, at any depth; recipes, plans and what is no TOML are told apart."""
    (cohort / "deep").mkdir()
    case = "[case]\nid = '{}'\n[masks]\nliver = 'l.nii'\n[[stage]]\nname='s'\n"
    case += "resections=[{{kind='segments',segments=[1]}}]"
    write(cohort / "deep" / "one.toml", case.format("one"))
    write(cohort / "two.toml", case.format("two"))
    write(cohort / "plan.toml", "[[stage]]\nname='x'\nresections=[]")
    write(cohort / "broken.toml", "[")
    jobs = read_cohort(cohort)
    assert [(job.case_id, job.problem.split(":")[0]) for job in jobs] == [
        ("broken", "not_toml"),
        ("one", ""),
        ("two", ""),
    ]
    assert jobs[1].root == (cohort / "deep").resolve()


def test_the_key_is_that_of_all_a_result_depends_on(cohort):
    (job, other, _) = read_cohort(cohort / "recipe.toml")
    key, files = key_of(job, None)
    assert key_of(job, None)[0] == key
    assert {Path(name).name for name in files} == {"liver.nii.gz", "segments.nii.gz"}
    assert key_of(other, None)[0] != key
    assert key_of(replace(job, data={**job.data, "patient": {"age": 50}}), None)[0] != key
    mask = cohort / "patients" / "p0" / "liver.nii.gz"
    mask.write_bytes(mask.read_bytes() + b"x")
    assert key_of(job, Known("done", files=files))[0] != key


def test_a_damaged_state_is_looked_at_anew(tmp_path):
    (job,) = jobs_called("a")
    assert known_of(tmp_path, job) is None
    remember(tmp_path, job, Known("done", key="k", files={"/x": (1, 2, "s")}))
    assert known_of(tmp_path, job).files == {"/x": (1, 2, "s")}
    for text in ("", "{}", '{"files": 3}', "[]"):
        state_file(tmp_path, job).write_text(text)
        assert known_of(tmp_path, job) is None
    assert made_from(tmp_path, job.folder) is None


def test_an_edited_result_is_not_thrown_away(cohort):
    """A report that somebody changed is refused, not replaced."""
    (job, *_) = read_cohort(cohort / "recipe.toml")
    assert run_job(job, str(cohort / "out")).known.status == "done"
    folder = cohort / "out" / "cases" / "p0"
    (folder / "summary.txt").write_text("mine")
    (folder / "batch.json").write_text("{}")
    found = run_job(job, str(cohort / "out"))
    assert (found.known.status, found.known.reason) == ("failed", "folder_in_use")
    assert (folder / "summary.txt").read_text() == "mine"


def test_sizes_of_packed_files(tmp_path):
    import gzip

    (tmp_path / "a").write_bytes(b"x" * 1000)
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"x" * 100_000))
    assert unpacked_bytes(tmp_path / "a") == 1000
    assert unpacked_bytes(tmp_path / "b.gz") == 100_000
    assert unpacked_bytes(tmp_path / "none") == 0


def row_of(**cells):
    columns = {
        "flr": Kind.NUMBER,
        "total_ml": Kind.NUMBER,
        "caveat_codes": Kind.TEXT,
        "caveats": Kind.COUNT,
        "plan": Kind.TEXT,
        "remnant_functional_ml": Kind.NUMBER,
        **{
            f"{name}_{end}": Kind.NUMBER
            for name in ("flr", "remnant_functional_ml")
            for end in ("low", "high")
        },
        "p.state": Kind.TEXT,
    }
    return CaseRow(
        tuple(RowColumn(name, kind, "", "x", by_protocol="." in name) for name, kind in columns.items()),
        tuple(cells.get(name) for name in columns),
    )


def test_rows_are_read_back_as_they_were():
    row = row_of(flr=0.1 + 0.2, caveats=3, caveat_codes="=a b", **{"p.state": "clear_above"})
    assert read_row(rows_csv([row]), rows_metadata([row], "row.csv")) == row
    with pytest.raises(FlrError) as refused:
        read_row(rows_csv([row]) + "1\n", rows_metadata([row], "row.csv"))
    assert refused.value.reason == "damaged_result"


def test_what_stands_apart_is_said_and_only_among_enough():
    shares = (0.30, 0.31, 0.32, 0.33, 0.34, 0.9)
    done = [
        CohortEntry(f"c{n}", "right", "r.html", row_of(flr=s, total_ml=1500.0 + n))
        for n, s in enumerate(shares)
    ]
    assert outliers(done) == {5: "share high"}
    assert outliers(done[3:]) == {}
    # The same liver with several plans counts once.
    again = [replace(e, plan=p) for e in done for p in ("a", "b")]
    small = CohortEntry("small", "a", "r.html", row_of(flr=0.32, total_ml=300.0))
    assert outliers([*again, small])[12] == "liver volume low"


def test_the_page_shows_hostile_names_as_text():
    hostile = "<script>alert(1)</script>"
    entry = CohortEntry(hostile, hostile, "cases/x/report.html", row_of(flr=0.3, caveat_codes="a", caveats=1))
    failed = FailedEntry(hostile, "", "r", hostile, "logs/x.log")
    page = render_cohort([entry], [failed], title=hostile, version="0")
    assert "<script>" not in page
    assert page.count("&lt;script&gt;") >= 5
    assert "Not done" in render_cohort([], [failed], title="t", version="0")


@pytest.mark.parametrize(("said", "good"), [("4G", True), ("500 MiB", True), ("-1G", False), ("much", False)])
def test_amounts_of_memory(cohort, said, good):
    from click.testing import CliRunner

    from flr_volumetry.app.cli import main

    args = ["batch", str(cohort / "none.toml" if good else cohort), "--out", "o", "--memory", said]
    found = CliRunner().invoke(main, args)
    assert found.exit_code == 2
    assert ("is no amount of memory" in found.output) is not good


def test_the_state_file_is_json(tmp_path):
    (job,) = jobs_called("a/b")
    remember(tmp_path, job, Known("failed", "x", "why \udcff"))
    assert json.loads(state_file(tmp_path, job).read_text())["reason"] == "x"


def test_plans_of_one_liver_read_it_once_and_give_what_each_gives_alone(cohort, monkeypatch):
    """Two plans for two patients: two livers are read; a changed mask is another liver."""
    text = RECIPE.split("[[stage]]", 1)[0].replace(
        'folders = "patients/*"', 'folders = "patients/p[01]"\nhepatectomies = ["right_hepatectomy", "seg_6"]'
    )
    jobs = read_cohort(write(cohort / "plans.toml", text))
    read, real = [], prepare.prepare
    monkeypatch.setattr(prepare, "prepare", lambda case, tell: read.append(case.case.id) or real(case, tell))
    assert {run_job(job, str(cohort / "out")).known.status for job in jobs} == {"done"}
    assert read == ["p0/right_hepatectomy", "p1/right_hepatectomy"]

    sharing._at_hand.clear()
    run_job(jobs[3], str(cohort / "alone"))
    assert read[2:] == ["p1/seg_6"]
    one, other = (cohort / out / "cases" / "p1" / "seg_6" for out in ("out", "alone"))
    for name in ("measured.json", "partition.nii.gz", "figures/plan.png"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    key = key_of(jobs[3], None)[0]
    assert sharing.liver_key(jobs[3], key) == sharing.liver_key(jobs[2], key)
    assert sharing.liver_key(jobs[3], replace(key, inputs="x")) != sharing.liver_key(jobs[3], key)
    drawn = {"kind": "surface", "file": "cut.stl"}
    assert sharing.liver_key(replace(jobs[3], data={"stage": [{"resections": [drawn]}]}), key) == ""
