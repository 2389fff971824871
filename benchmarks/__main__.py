"""``python -m benchmarks``: times every contender and prints the table."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from benchmarks import interactive, reading
from benchmarks.data import make

BUILD = Path("build") / "bench"
TOLERANCE_MM = 0.01


def timed(command: list[str]) -> tuple[float, float]:
    """Wall seconds and highest memory in MB of one process."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise click.ClickException(f"{' '.join(command)} ended with {process.returncode}")
    return seconds, usage.ru_maxrss / 1024


def in_turn(commands: dict[str, list[str]], runs: dict[str, int]) -> dict[str, tuple[float, float]]:
    """Medians of time and memory, the contenders taking turns after one warm-up."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for turn in range(-1, max(runs.values())):
        for name, command in commands.items():
            if turn < runs[name] and not (turn < 0 and runs[name] == 1):
                measured = timed(command)
                if turn >= 0:
                    found[name].append(measured)
    return {
        name: (statistics.median(s for s, _ in rows), statistics.median(m for _, m in rows))
        for name, rows in found.items()
    }


def table(title: str, rows: dict[str, tuple[float, float]], ours: str) -> None:
    """Print medians and ratios to ours."""
    seconds, memory = rows[ours]
    print(f"\n{title}\n{'':34}{'seconds':>9}{'ratio':>8}{'MB':>8}{'ratio':>8}")
    for name, (s, m) in rows.items():
        print(f"{name:34}{s:9.2f}{s / seconds:8.1f}{m:8.0f}{m / memory:8.1f}")


def require_same(results: dict[str, dict]) -> None:
    """Refuse to time contenders that do not find the same."""
    first, *others = results.values()
    for name, other in zip(list(results)[1:], others, strict=True):
        for cut, facts in first.items():
            same = facts["remnant"] == other[cut]["remnant"] and facts["segments"] == other[cut]["segments"]
            near = all(
                abs(a - b) <= TOLERANCE_MM
                for a, b in zip(facts["margins"], other[cut]["margins"], strict=True)
            )
            if not (same and near):
                raise click.ClickException(f"{name} finds {other[cut]} for {cut}, ours {facts}")


@click.command()
@click.option("--runs", default=5, show_default=True, help="Timed runs of each contender.")
@click.option("--naive-runs", default=3, show_default=True, help="Timed runs of the slow script.")
def main(runs: int, naive_runs: int) -> None:
    """Time the whole case and the loading of a series, side by side."""
    data = make(BUILD)
    python = [sys.executable, "-m"]
    outs = {name: BUILD / f"{name}.json" for name in ("ours", "naive", "careful")}
    commands = {name: [*python, f"benchmarks.case_{name}", str(data), str(out)] for name, out in outs.items()}
    rows = in_turn(commands, {"ours": runs, "careful": runs, "naive": naive_runs})
    require_same({name: json.loads(out.read_text()) for name, out in outs.items()})
    table("whole case: series, 7 masks, 3 resections, margins, volumes, JSON", rows, "ours")

    dcm2niix = shutil.which("dcm2niix", path=Path(sys.executable).parent)
    with tempfile.TemporaryDirectory() as scratch:
        loading = {
            "ours": [*python, "benchmarks.load_ours", str(data / "ct")],
            "python and imports alone": [sys.executable, "-c", "import numpy, flr_volumetry.io"],
        }
        if dcm2niix:
            loading["dcm2niix -z n"] = [dcm2niix, "-z", "n", "-f", "x", "-o", scratch, str(data / "ct")]
        rows = in_turn(loading, dict.fromkeys(loading, runs))
    table("loading 400 files of 512 x 512", rows, "ours")
    reading.run(data, runs)
    interactive.run(BUILD, runs)
    # In a process of its own, so that its memory is its own.
    subprocess.run([*python, "benchmarks.segmenting"], check=True)


if __name__ == "__main__":
    main()
