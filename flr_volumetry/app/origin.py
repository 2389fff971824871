"""What made a mask, where its own file no longer says so but the folder of ``flr segment`` does."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from flr_volumetry.app.segment_files import SEGMENTATION
from flr_volumetry.images import Origin

if TYPE_CHECKING:
    from pathlib import Path

    from flr_volumetry.images import Mask

MOST_BYTES: Final = 16 << 20
"""A larger quality.json is none of ours."""


def with_origin(liver: Mask, path: Path) -> Mask:
    """Return a liver's mask that knows what made it.

    Parameters
    ----------
    liver : Mask
        As it was read.
    path : Path
        Its file: editors write the header anew, and the name of the back-end is lost with it.

    Returns
    -------
    Mask
        The same, with the origin that quality.json beside it, or one folder up, gives for that file; as it
        was where its header says it or no quality.json does.
    """
    if liver.source.origin is not None:
        return liver
    for folder in (path.parent, path.parent.parent):
        origin = _origin(folder / SEGMENTATION, path.relative_to(folder).as_posix())
        if origin is not None:
            return replace(liver, source=replace(liver.source, origin=origin))
    return liver


def _origin(document: Path, name: str) -> Origin | None:
    try:
        if document.stat().st_size > MOST_BYTES:
            return None
        said = json.loads(document.read_text(encoding="utf-8"))
        if name not in {output["path"] for output in said["outputs"]}:
            return None
        expected = [mask["boundary_mm"] for mask in said["masks"] if mask["structure"] == "liver"]
        made_by = f"{said['made']['backend']} {said['made']['version']}"
        distance = expected[0] if expected else None
        return Origin(made_by, None if distance is None else float(distance))
    except (OSError, ValueError, LookupError, TypeError):
        return None
