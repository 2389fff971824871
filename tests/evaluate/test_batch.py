"""A cohort killed at ten random moments against one left alone; a full disk; two hosts, one cut off."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from tests.app.test_batch import RECIPE, begun_again, draw_patient, facts, flr_batch

CASES = int(os.environ.get("FLR_BATCH_CASES", "200"))
KILLS = 10


@pytest.fixture(scope="module")
def patients(tmp_path_factory):
    root = tmp_path_factory.mktemp("cohort")
    for seed in range(CASES):
        draw_patient(root / "patients" / f"p{seed:03d}", seed)
    (root / "recipe.toml").write_text(RECIPE)
    return root


@pytest.mark.evaluate
def test_killed_at_ten_random_moments_the_result_is_that_of_an_undisturbed_run(patients, capsys):
    """None lost, none done twice, every number and every voxel the same; a corrupt case among them."""
    corrupt = patients / "patients" / "p001" / "liver.nii.gz"
    whole = corrupt.read_bytes()
    corrupt.write_bytes(whole[: len(whole) // 2])
    args = (patients / "recipe.toml", "--workers", "2", "--out")
    began = time.monotonic()
    flr_batch(*args, patients / "alone", expect=3)
    alone_s = time.monotonic() - began

    moments, out = random.Random(0), patients / "killed"
    for _ in range(KILLS):
        with subprocess.Popen(
            [sys.executable, "-m", "flr_volumetry", "batch", *map(str, args), str(out)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            time.sleep(3 + moments.uniform(0, alone_s / KILLS))
            os.killpg(process.pid, signal.SIGKILL)
    last = flr_batch(*args, out, expect=3)

    assert facts(out) == facts(patients / "alone")
    assert len(facts(out)) == CASES - 1
    for folder in sorted((patients / "alone" / "cases").iterdir()):
        other = out / "cases" / folder.name
        assert (folder / "partition.nii.gz").read_bytes() == (other / "partition.nii.gz").read_bytes()
    (out / "logs" / "p001.log").unlink()
    assert begun_again(out) == []
    corrupt.write_bytes(whole)
    pace = 60 * CASES / alone_s
    with capsys.disabled():
        print(f"\n{CASES} cases, undisturbed {alone_s:.0f} s ({pace:.1f} a minute); {last.stdout}")


@pytest.mark.evaluate
def test_a_full_disk_is_said_and_the_rest_is_done_when_there_is_room(patients, tmp_path):
    """A small disk (needs the right to mount): cases fail with its reason; with room they are done."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("this user may not mount a disk")
    few = tmp_path / "few"
    (few / "patients").mkdir(parents=True)
    for number in range(6):
        name = f"patients/p{number:03d}"
        (few / name).symlink_to(patients / name)
    (few / "recipe.toml").write_text(RECIPE)
    try:
        found = flr_batch(few / "recipe.toml", "--out", disk / "out", expect=None)
        assert "disk_full" in found.stdout + found.stderr
        assert "Traceback" not in found.stderr
        assert found.returncode in (1, 3)
        subprocess.run(["mount", "-o", "remount,size=400m", str(disk)], check=True)
        assert "0 failed" in flr_batch(few / "recipe.toml", "--out", disk / "out").stdout
        assert begun_again(disk / "out") == []
    finally:
        subprocess.run(["umount", str(disk)], check=False)
