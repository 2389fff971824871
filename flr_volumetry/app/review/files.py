"""A plan of the page as files: a case file to run, and markups for 3D Slicer."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flr_volumetry.io import plan_markups, write_markups
from flr_volumetry.io.writing import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.app.case import Case
    from flr_volumetry.resection import ResectionPlan

PATHS: tuple[tuple[str, ...], ...] = (
    ("image", "path"),
    ("study", "path"),
    ("masks", "liver"),
    ("masks", "lesions"),
    ("masks", "portal_vein"),
    ("masks", "hepatic_veins"),
    ("masks", "ivc"),
    ("masks", "gallbladder"),
    ("masks", "segments"),
    ("segmentation", "folder"),
    ("segmentation", "rough"),
    ("segmentation", "hints"),
    ("function", "map"),
    ("landmarks", "file"),
    ("followup", "baseline"),
    ("assessment", "protocol_folder"),
)
"""Where a case file names files."""


def case_toml(case: Case, path: Path, stages: Sequence[dict[str, Any]], folder: Path) -> bytes:
    """Return a case file of the same patient with another plan.

    Parameters
    ----------
    case : Case
        As read; its folder is what relative paths start from.
    path : Path
        Where its file lies.
    stages : sequence of dict
        The [[stage]] tables.
    folder : Path
        Where the new file will lie; relative paths are written so that they hold from there.

    Returns
    -------
    bytes
        TOML, UTF-8.
    """
    import tomli_w

    data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    for table, key in PATHS:
        if key in data.get(table, {}):
            data[table][key] = _moved(data[table][key], case.folder, folder)
    chosen = case.image or case.study
    if chosen is not None and chosen.series is not None:
        data["image" if case.image else "study"]["series"] = chosen.series
    data.pop("stage", None)
    data["stage"] = [_stage(stage, case.folder, folder) for stage in stages if stage["resections"]]
    return tomli_w.dumps(data).encode("utf-8", "backslashreplace")


def _stage(stage: dict[str, Any], start: Path, folder: Path) -> dict[str, Any]:
    resections = [
        {**cut, "file": _moved(cut["file"], start, folder)} if "file" in cut else cut
        for cut in stage["resections"]
    ]
    return {**stage, "resections": resections}


def _moved(value: Any, start: Path, folder: Path) -> Any:
    """Return a path, an entry with a path, or a list of them, as seen from another folder."""
    if isinstance(value, list):
        return [_moved(entry, start, folder) for entry in value]
    if isinstance(value, dict):
        return {**value, "path": _moved(value["path"], start, folder)} if "path" in value else value
    if not isinstance(value, str) or value.startswith("~") or Path(value).is_absolute():
        return value
    where = start.resolve() / value
    try:
        return Path(os.path.relpath(where, folder.resolve())).as_posix()
    except ValueError:
        # Another drive.
        return where.as_posix()


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
