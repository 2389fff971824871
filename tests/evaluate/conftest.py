"""Tests marked `own_network` run in a process that has a network, and mounts, of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.evaluate.orthanc import INSIDE, in_own_network, is_inside


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run the test in a process of its own, and say what came of it there."""
    if pyfuncitem.get_closest_marker("own_network") is None or is_inside():
        return None
    if INSIDE in os.environ:
        pytest.fail("This process was to have a network of its own, and has not.")
    words = [sys.executable, "-m", "pytest", "-q", "-m", "evaluate", "-p", "no:cacheprovider", "--no-header"]
    done = subprocess.run(
        in_own_network([*words, "-s", pyfuncitem.nodeid]),
        cwd=pyfuncitem.config.rootpath,
        env={**os.environ, INSIDE: "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    print(done.stdout)
    if done.returncode != 0:
        pytest.fail(f"{done.stdout}\n{done.stderr}", pytrace=False)
    return True
