"""The Snakemake workflow of pipelines/, run by Snakemake itself where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.app.test_batch import RECIPE, draw_patient, facts, flr_batch, table

WORKFLOW = Path(__file__).resolve().parents[2] / "pipelines" / "snakemake"
SNAKEMAKE = os.environ.get("SNAKEMAKE") or shutil.which("snakemake")


@pytest.mark.evaluate
def test_the_workflow_gives_the_rows_of_flr_batch_and_goes_on_where_it_was(tmp_path):
    """Two cases and one that fails: both done, none again, the table once the third is mended."""
    if SNAKEMAKE is None:
        pytest.skip("snakemake is not installed; SNAKEMAKE may name it (pip install snakemake)")
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "flr"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m flr_volumetry "$@"\n')
    command.chmod(0o755)
    work = tmp_path / "work"
    shutil.copytree(WORKFLOW, work)
    (work / "cases").mkdir()
    for seed in range(3):
        draw_patient(tmp_path / "patients" / f"p{seed}", seed)
        text = RECIPE.split("[case]", 1)[1].replace("{name}", f"p{seed}")
        text = text.replace("{folder}", f"../../patients/p{seed}")
        (work / "cases" / f"p{seed}.toml").write_text("[case]" + text)
    whole = (work / "cases" / "p1.toml").read_text()
    (work / "cases" / "p1.toml").write_text("[case]\n")

    def snakemake():
        path = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            [SNAKEMAKE, "--cores", "2", "--keep-going", "--nocolor"],
            cwd=work,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )

    first = snakemake()
    assert first.returncode != 0
    assert sorted(p.name for p in (work / "reports" / "cases").iterdir()) == ["p0", "p2"], first.stderr
    assert "no_liver_mask" in (work / "reports" / "logs" / "p1.log").read_text()
    before = (work / "reports" / "cases" / "p0" / "report.json").stat().st_mtime_ns
    (work / "cases" / "p1.toml").write_text(whole)
    second = snakemake()
    assert second.returncode == 0, second.stderr
    assert (work / "reports" / "cases" / "p0" / "report.json").stat().st_mtime_ns == before
    assert "Nothing to be done" in snakemake().stderr

    (tmp_path / "recipe.toml").write_text(RECIPE)
    flr_batch(tmp_path / "recipe.toml", "--out", tmp_path / "out")
    rows = table(work / "reports" / "cohort.csv")
    own = [{k: v for k, v in row.items() if k not in ("started", "case_sha256")} for row in rows]
    assert own == facts(tmp_path / "out")
