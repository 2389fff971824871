"""A cluster of two hosts, in network namespaces, one cut off in the middle; needs the right to make them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager

import pytest

from tests.app.test_batch import RECIPE, draw_patient, facts, flr_batch, table

CASES = int(os.environ.get("FLR_HOSTS_CASES", "16"))
NAMES = ("flr-test-a", "flr-test-b")
ADDRESSES = ("10.77.31.1", "10.77.31.2")
SCHEDULER = f"tcp://{ADDRESSES[0]}:8786"
NOTICED_S = 60
"""A host that is cut off is noticed by its connection, which is given up after 30 s (comm.timeouts.tcp)."""


def ip(*words, check=True):
    return subprocess.run(["ip", *words], check=check, capture_output=True, text=True)


@contextmanager
def hosts():
    """Two network namespaces joined by a cable; the test is skipped where they cannot be made."""
    if shutil.which("ip") is None or ip("netns", "add", NAMES[0], check=False).returncode:
        pytest.skip("this user may not make network namespaces")
    try:
        ip("netns", "add", NAMES[1])
        ip("link", "add", "flr-va", "netns", NAMES[0], "type", "veth", "peer", "flr-vb", "netns", NAMES[1])
        for name, address, device in zip(NAMES, ADDRESSES, ("flr-va", "flr-vb"), strict=True):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", device)
            ip("-n", name, "link", "set", device, "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield
    finally:
        for name in NAMES:
            ip("netns", "del", name, check=False)


@contextmanager
def started(host, log, *words):
    """Run a program on one of the hosts until the end."""
    with log.open("w") as file:
        process = subprocess.Popen(
            ["ip", "netns", "exec", host, sys.executable, *map(str, words)],
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(true, seconds, what):
    give_up = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < give_up, what
        time.sleep(0.2)


def worker(place, number):
    dask = ("-m", "distributed.cli.dask_worker", SCHEDULER, "--nthreads", "1", "--no-dashboard")
    own = ("--host", ADDRESSES[number], "--local-directory", place / f"worker-{number}")
    return started(NAMES[number], place / f"worker-{number}.log", *dask, *own)


@pytest.mark.evaluate
def test_a_host_cut_off_in_the_middle_loses_no_case(tmp_path, capsys):
    """All cases finish on the other host, with the results of a run on one machine."""
    for seed in range(CASES):
        draw_patient(tmp_path / "patients" / f"p{seed:03d}", seed)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    out = tmp_path / "out"
    done = lambda: len(list((out / "cases").glob("*/report.json")))  # noqa: E731
    with ExitStack() as stack:
        stack.enter_context(hosts())
        dask = ("-m", "distributed.cli.dask_scheduler", "--host", ADDRESSES[0], "--no-dashboard")
        log = tmp_path / "scheduler.log"
        stack.enter_context(started(NAMES[0], log, *dask))
        wait_until(lambda: "Scheduler at" in log.read_text(), 120, "the scheduler did not start")
        for number in (0, 1):
            stack.enter_context(worker(tmp_path, number))
        joined = lambda: log.read_text().count("Register worker")  # noqa: E731
        wait_until(lambda: joined() == len(NAMES), 120, log.read_text())
        args = ("-m", "flr_volumetry", "batch", tmp_path / "recipe.toml", "--out", out)
        batch = stack.enter_context(
            started(NAMES[0], tmp_path / "batch.log", *args, "--scheduler", SCHEDULER)
        )
        wait_until(lambda: done() >= CASES // 4, 600, (tmp_path / "batch.log").read_text())
        ip("-n", NAMES[1], "link", "set", "flr-vb", "down")
        cut, at = time.monotonic(), done()
        wait_until(lambda: "Remove worker" in log.read_text(), NOTICED_S, "the loss was not noticed")
        noticed = time.monotonic() - cut
        assert batch.wait(1800) == 0, (tmp_path / "batch.log").read_text()
        finished = time.monotonic() - cut
    status = {row["case"]: row["status"] for row in table(out / "cases.csv")}
    assert status == {f"p{seed:03d}": "done" for seed in range(CASES)}
    flr_batch(tmp_path / "recipe.toml", "--out", tmp_path / "alone", timeout=3600)
    assert facts(out) == facts(tmp_path / "alone")
    with capsys.disabled():
        print(
            f"\n{CASES} cases on two hosts, one cut off after {at}: noticed after {noticed:.0f} s, all done "
            f"{finished:.0f} s after the cut"
        )
