"""Fixtures of the room."""

from __future__ import annotations

import pytest


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
