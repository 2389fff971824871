"""A plan of the page as files: a case file to run, and markups for 3D Slicer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flr_volumetry.io import plan_markups, write_markups
from flr_volumetry.io.writing import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from flr_volumetry.resection import ResectionPlan


def write_plan(folder: Path, name: str, toml: bytes, plan: ResectionPlan | None) -> dict[str, str]:
    """Write a plan's case file and markups, each whole or not at all.

    Parameters
    ----------
    folder : Path
        Made if absent.
    name : str
        Of the files, without ending.
    toml : bytes
        The case file.
    plan : ResectionPlan or None
        For the markups; where it has none to draw, an older file of them is taken away.

    Returns
    -------
    dict of str to str
        Where "toml" and "markups" lie.

    Raises
    ------
    OutputError
        If they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {"toml": folder / f"{name}.toml"}
    write_atomically(files["toml"], [toml])
    drawn = folder / f"{name}.mrk.json"
    markups = plan_markups(plan) if plan is not None else ()
    if markups:
        write_markups(drawn, markups)
        files["markups"] = drawn
    else:
        drawn.unlink(missing_ok=True)
    return {key: str(path) for key, path in files.items()}
