"""``python -m benchmarks.cohort``: what the engine of flr batch adds to the work; what two workers give.

Phantoms with 5 mm steps are run one after the other in one process, by the engine with one worker, and with
two. Start-up is told apart from the work by running two numbers of cases: what a case costs is the
difference, the median of several turns. The engine is also given cases without any work, so that what it
takes itself shows by itself. Processor time is that of all processes together; wall time means something on
an idle machine only.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

STEP_MM = 5.0
NO_WORK = 500
"""Cases without work, fewer of two numbers."""
RECIPE = """[cohort]
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


def draw(folder: Path, seed: int) -> None:
    """Write the masks of a random phantom."""
    from flr_volumetry.images import Grid, LabelMap
    from flr_volumetry.io import write_label_map
    from flr_volumetry.phantom import random_patient

    phantom = random_patient(seed)
    low, high = phantom.field_of_view_mm
    affine = np.diag([STEP_MM] * 3 + [1.0])
    affine[:3, 3] = low
    grid = Grid(tuple(int(n) for n in np.ceil((high - low) / STEP_MM)), affine)
    masks = phantom.structures(grid)
    folder.mkdir(parents=True)
    liver = LabelMap(grid, masks.liver.voxels.astype(np.uint8), {1: "liver"})
    write_label_map(folder / "liver.nii.gz", liver)
    write_label_map(folder / "segments.nii.gz", masks.segments)


def nothing(job: Any, out_dir: str, tries: int) -> Any:
    """Do no work for a case."""
    from flr_volumetry.app.batch.state import DONE, Known
    from flr_volumetry.app.batch.work import Result

    return Result(job.name, Known(DONE, tries=tries), out_dir)


def run(recipe: Path, out: Path, cases: int, workers: int) -> None:
    """Run some cases of a recipe: with no workers one after the other, here; with -1, no work on one."""
    from flr_volumetry.app.batch.cohort import read_cohort
    from flr_volumetry.app.batch.engine import ClusterSettings, run_cohort
    from flr_volumetry.app.batch.work import run_job

    jobs = read_cohort(recipe)[:cases]
    if workers < 0:
        jobs = tuple(replace(jobs[0], case_id=f"c{n}") for n in range(cases))
        how: dict[str, Any] = {"work": nothing, "needed": lambda _: 1.0}
        found = run_cohort(jobs, out, ClusterSettings(1, 2e9), **how)
    elif workers:
        found = run_cohort(jobs, out, ClusterSettings(workers, 2e9))
    else:
        found = [run_job(job, str(out)) for job in jobs]
    if any(result.known.status != "done" for result in found):
        raise click.ClickException(f"a case was not done: {found}")


def measured(recipe: Path, cases: int, workers: int) -> tuple[float, float]:
    """Return processor and wall seconds of a process that runs some cases."""
    out = recipe.parent / f"out-{cases}-{workers}"
    shutil.rmtree(out, ignore_errors=True)
    words = ["--part", str(recipe), str(out), str(cases), str(workers)]
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.cohort", *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise click.ClickException(f"{' '.join(words)} ended with {process.returncode}")
    wall = time.monotonic() - began
    shutil.rmtree(out, ignore_errors=True)
    return usage.ru_utime + usage.ru_stime, wall


def per_case(recipe: Path, cases: int, workers: int, turns: int) -> tuple[float, float, float, float]:
    """Return processor and wall seconds a case, and those of starting."""
    found = []
    for _ in range(turns):
        few, many = measured(recipe, cases, workers), measured(recipe, 2 * cases, workers)
        cpu, wall = ((b - a) / cases for a, b in zip(few, many, strict=True))
        found.append((cpu, wall, few[0] - cases * cpu, few[1] - cases * wall))
    cpu, wall, start_cpu, start = (statistics.median(column) for column in zip(*found, strict=True))
    return cpu, wall, start_cpu, start


@click.command()
@click.option("--cases", default=12, show_default=True, help="Fewer of the two numbers of cases.")
@click.option("--turns", default=3, show_default=True, help="Of which the median is taken.")
@click.option("--part", type=(Path, Path, int, int), hidden=True)
def main(cases: int, turns: int, part: tuple[Path, Path, int, int] | None) -> None:
    """Print what a case costs alone, by the engine, and with two workers."""
    if part is not None:
        run(*part)
        return
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        for seed in range(2 * cases):
            draw(root / "patients" / f"p{seed:03d}", seed)
        (root / "recipe.toml").write_text(RECIPE)
        rows = {
            name: per_case(root / "recipe.toml", cases, workers, turns)
            for name, workers in (("one process, no engine", 0), ("1 worker", 1), ("2 workers", 2))
        }
        idle = per_case(root / "recipe.toml", NO_WORK, -1, turns)
    heads = ("CPU s a case", "wall s a case", "cases/min", "start CPU s", "start s")
    print(" " * 26 + "".join(f"{head:>14}" for head in heads))
    for name, (cpu, wall, start_cpu, start) in rows.items():
        print(f"{name:26}{cpu:14.3f}{wall:14.3f}{60 / wall:14.1f}{start_cpu:14.1f}{start:14.1f}")
    alone, one, two = rows.values()
    share = 100 * idle[0] / alone[0]
    print(f"\nengine without work: {1000 * idle[0]:.1f} ms CPU a case, {share:.2f} % of one (limit 5 %)")
    print(f"engine overhead, processor time: {100 * (one[0] / alone[0] - 1):.1f} % (limit 5 %)")
    print(f"engine overhead, wall: {100 * (one[1] / alone[1] - 1):.1f} % (only on an idle machine)")
    print(f"efficiency of two workers, wall: {one[1] / (2 * two[1]):.2f} (asked for: 0.85, idle machine)")


if __name__ == "__main__":
    main()
