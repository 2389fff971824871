"""Cohorts killed at ten random moments against ones left alone; a full disk, a lost host, throughput."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zlib
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.app.test_batch import begun_again, draw_patient, facts, flr_batch, table

CASES = int(os.environ.get("FLR_BATCH_CASES", "200"))
LIVERS = os.environ.get("FLR_BATCH_LIVERS", "*")
"""Pattern of the livers that all named hepatectomies are run on; a narrower one for a first go."""
KILLS = 10
CORRUPT, HUNGRY = 1, 2
STARTING_S = 90
ONE_RESULT = 8e6
"""A disk with less than this free, bytes, takes no further case."""
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def patients(tmp_path_factory):
    """Phantoms in a table: the second is cut short, the third takes more memory than its worker has."""
    root = tmp_path_factory.mktemp("cohort")
    lines = ["id,masks.liver,masks.segments,hepatectomy"]
    for seed in range(CASES):
        name = f"p{seed:03d}"
        draw_patient(root / "patients" / name, seed)
        liver = f"patients/{name}/liver.{'nrrd' if seed == HUNGRY else 'nii.gz'}"
        lines.append(f"{name},{liver},patients/{name}/segments.nii.gz,right_hepatectomy")
    corrupt = root / "patients" / f"p{CORRUPT:03d}" / "liver.nii.gz"
    corrupt.write_bytes(corrupt.read_bytes()[: corrupt.stat().st_size // 2])
    write_hungry(root / "patients" / f"p{HUNGRY:03d}" / "liver.nrrd")
    (root / "cohort.csv").write_text("\n".join(lines) + "\n")
    return root


def write_hungry(path):
    """A mask that unpacks to far more than its file shows, so that its need cannot be foreseen."""
    side = 1200
    head = (
        "NRRD0004\ntype: uint8\ndimension: 3\nspace: left-posterior-superior\n"
        f"sizes: {side} {side} {side}\nspace directions: (0.3,0,0) (0,0.3,0) (0,0,0.3)\n"
        "space origin: (0,0,0)\nkinds: domain domain domain\nencoding: gzip\n\n"
    )
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    plane = bytearray(side * side)
    plane[side * 500 : side * 700] = b"\1" * (side * 200)
    with path.open("wb") as file:
        file.write(head.encode())
        for number in range(side):
            file.write(packer.compress(bytes(plane) if 400 < number < 800 else bytes(side * side)))
        file.write(packer.flush())


@contextmanager
def disk(folder, size):
    """A small disk in memory; None where this user may not mount one."""
    folder.mkdir()
    asked = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(asked, check=False, capture_output=True).returncode:
        yield None
        return
    try:
        yield lambda larger: subprocess.run(
            ["mount", "-o", f"remount,size={larger}", str(folder)], check=True
        )
    finally:
        subprocess.run(["umount", str(folder)], check=False)


def killed_at_random(args, out, seconds, before=lambda _: None):
    """Run a cohort, kill command and workers at ten random moments of the work, and take it up each time."""
    moments = random.Random(0)
    for number in range(KILLS):
        before(number)
        earlier = begun(out)
        with subprocess.Popen(
            [sys.executable, "-m", "flr_volumetry", "batch", *map(str, args), "--out", str(out)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            # On a full disk the logs do not tell; then the time does.
            give_up = time.monotonic() + STARTING_S
            while begun(out) == earlier and process.poll() is None and time.monotonic() < give_up:
                time.sleep(0.2)
            time.sleep(moments.uniform(0, 2 * seconds / KILLS))
            os.killpg(process.pid, signal.SIGKILL)


def begun(out):
    """How often cases were begun, by their logs."""
    return sum(log.read_text().count(" begun: ") for log in (out / "logs").rglob("*.log"))


def require_same(alone, killed):
    """Every number in full and every voxel the same, nothing lost, nothing begun after it was done."""
    assert facts(killed) == facts(alone)
    folders = sorted(p.parent for p in (alone / "cases").rglob("report.json"))
    assert len(folders) == len(facts(alone))
    for folder in folders:
        other = killed / folder.relative_to(alone)
        for name in ("partition.nii.gz", "measured.json"):
            assert (folder / name).read_bytes() == (other / name).read_bytes()
    assert begun_again(killed) == []
    assert list((killed / "cases").rglob(".*partial*")) == []


@pytest.mark.evaluate
def test_killed_at_ten_random_moments_the_result_is_that_of_an_undisturbed_run(patients, capsys):
    """None lost, none done twice; a corrupt case, one out of memory and a full disk among them."""
    args = (patients / "cohort.csv", "--workers", "2", "--memory", "900M")
    began = time.monotonic()
    flr_batch(*args, "--out", patients / "alone", expect=3, timeout=7200)
    alone_s = time.monotonic() - began
    with disk(patients / "small", "16m") as enlarge:
        out = patients / "small" / "killed"

        def before(number):
            if number == KILLS // 2 and enlarge is not None:
                assert shutil.disk_usage(out).free < ONE_RESULT
                enlarge("4g")

        killed_at_random(args, out, alone_s, before)
        last = flr_batch(*args, "--out", out, expect=3, timeout=7200)
        assert " 0 done before" not in last.stdout
        found = {row["case"]: row for row in table(out / "cases.csv")}
        for number, reason in ((CORRUPT, None), (HUNGRY, "worker_lost")):
            name = f"p{number:03d}"
            row = found.pop(name)
            assert row["status"] == "failed"
            assert reason is None or (row["reason"], row["tries"]) == (reason, "3")
            for place in (patients / "alone", out):
                (place / "logs" / f"{name}.log").unlink()
        assert {row["status"] for row in found.values()} == {"done"}
        require_same(patients / "alone", out)
        assert len(facts(out)) == CASES - 2
    pace = 60 * CASES / alone_s
    with capsys.disabled():
        print(f"\n{CASES} cases, undisturbed {alone_s:.0f} s ({pace:.1f} a minute); last: {last.stdout}")


@pytest.mark.evaluate
def test_every_named_hepatectomy_on_every_liver_killed_at_ten_random_moments(real_data, tmp_path, capsys):
    """The 14 livers with Couinaud segments, all named hepatectomies (FLR_BATCH_LIVERS narrows it)."""
    data = real_data / "couinaud"
    text = (ROOT / "pipelines" / "cohorts" / "couinaud.toml").read_text()
    recipe = tmp_path / "couinaud.toml"
    recipe.write_text(text.replace('folders = "*"', f'folders = "{LIVERS}"'))
    args = (recipe, "--root", data, "--workers", "2")
    began = time.monotonic()
    first = flr_batch(*args, "--out", tmp_path / "alone", expect=None, timeout=7200)
    assert facts(tmp_path / "alone"), first.stderr
    alone_s = time.monotonic() - began
    killed_at_random(args, tmp_path / "killed", alone_s)
    last = flr_batch(*args, "--out", tmp_path / "killed", expect=None, timeout=7200)
    for place in ("alone", "killed"):
        for log in (tmp_path / place / "logs").rglob("*.log"):
            if " failed [" in log.read_text():
                log.unlink()
    require_same(tmp_path / "alone", tmp_path / "killed")
    assert " 0 done before" not in last.stdout
    with capsys.disabled():
        print(f"\nundisturbed {alone_s:.0f} s: {first.stdout}\nafter ten kills: {last.stdout}")
