"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the unpacked third-party scans; the test is skipped where they are absent."""
    unpack = ROOT.parent / "shared" / "data" / "unpack.py"
    if not unpack.is_file():
        pytest.skip("the third-party test data is not here: ../shared/data beside the checkout")
    done = subprocess.run([sys.executable, str(unpack)], capture_output=True, text=True, check=False)
    folder = Path(os.environ.get("FLR_TEST_DATA", Path.home() / ".cache" / "flr-test-data"))
    if done.returncode != 0 or not folder.is_dir():
        pytest.skip(f"the third-party test data could not be unpacked: {done.stderr.strip()[-200:]}")
    return folder


@pytest.fixture
def registered(tmp_path, monkeypatch):
    """Install a distribution that registers back-ends; returns the function that does it."""

    def install(name="somebody", **points):
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = "".join(f"{key} = {value}\n" for key, value in points.items())
        (folder / "entry_points.txt").write_text(f"[flr_volumetry.segmenters]\n{lines}")
        monkeypatch.syspath_prepend(str(tmp_path))

    return install
