"""A case written out again: with another plan, for another folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.app.case import Case

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


def case_toml(case: Case, folder: Path, stages: Sequence[dict[str, Any]] | None = None) -> bytes:
    """Write a case out again, for another folder, with its own plan or another one.

    Parameters
    ----------
    case : Case
        As read; its folder is what relative paths start from.
    folder : Path
        Where the new file will lie; relative paths are written so that they hold from there.
    stages : sequence of dict or None
        The [[stage]] tables; the case's own if not given.

    Returns
    -------
    bytes
        TOML, UTF-8: what the case says, and nothing that it leaves out.
    """
    import tomli_w

    data = case.model_dump(exclude_unset=True, exclude_none=True)
    for table, key in PATHS:
        if key in data.get(table, {}):
            data[table][key] = _moved(data[table][key], case.folder, folder)
    own = data.pop("stage", [])
    cut = [stage for stage in (own if stages is None else stages) if stage["resections"]]
    if cut:
        data["stage"] = [_stage(stage, case.folder, folder) for stage in cut]
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
