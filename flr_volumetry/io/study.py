"""A scan together with the structures drawn on it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flr_volumetry.errors import AmbiguousError
from flr_volumetry.io.dicom.seg import Segmentation
from flr_volumetry.io.drawn_on import drawn_on, references_of
from flr_volumetry.io.masks import stem_of
from flr_volumetry.io.names import by_name
from flr_volumetry.io.objects import objects_in, open_object
from flr_volumetry.io.reading import choose, load
from flr_volumetry.io.scan import Found, Scan, scan
from flr_volumetry.io.segnrrd import declares_segments
from flr_volumetry.io.structures import Structures, structures_in

if TYPE_CHECKING:
    from flr_volumetry.images import Image


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """A scan and the structures drawn on it.

    Parameters
    ----------
    image : Image
        The scan.
    structures : Structures
        On its grid.
    """

    image: Image
    structures: Structures


def read_study(path: str | os.PathLike[str], *, series: str | None = None) -> Study:
    """Read a scan together with the structures drawn on it.

    Parameters
    ----------
    path : path-like
        A folder that holds both, such as one patient of a public collection.
    series : str, optional
        Which scan, as for `flr_volumetry.io.read_image`. Without it, that to which the masks
        refer: of several acquisitions at one place, the one whose images they name.

    Returns
    -------
    Study
        With every structure on the grid of the scan.

    Raises
    ------
    AmbiguousError
        If the masks may have been drawn on several scans.
    FlrError
        If the scan or a mask cannot be read.
    """
    where = os.fspath(path)
    found = scan([where])
    chosen = choose(found, where, series=series) if series is not None else _scan_of(found, where)
    image = load(chosen, where, caveats=found.caveats)
    return Study(image, structures_in(found, where, grid=image.grid))


def _scan_of(found: Scan, where: str) -> Found:
    """Return the scan that masks refer to; where they are images too, the one that is none of them."""
    objects = [item for item in objects_in(found) if item.headers]
    readable = [item for item in found.images() if item.is_readable]
    if objects:
        volumes = [item for item in readable if item.stack is not None]
        meant = drawn_on(references_of(objects), volumes)
        if len(meant) > 1:
            meant = _best_met(objects, found, meant)
    else:
        meant = [item for item in readable if not _is_structure(item)]
    return meant[0] if len(meant) == 1 else choose(found, where)


def _is_structure(item: Found) -> bool:
    """Whether a file or folder is named like a structure, or declares some."""
    if item.voxels is not None and declares_segments(item.voxels):
        return True
    try:
        return by_name(stem_of(item)) is not None
    except AmbiguousError:
        return True


def _best_met(objects: list[Found], found: Scan, volumes: list[Found]) -> list[Found]:
    """Return the volumes on whose slices most frames of the masks lie."""
    contents = [open_object(item, found).content for item in objects]
    met = [
        sum(c.frames_met(v.stack.grid) for c in contents if isinstance(c, Segmentation)) if v.stack else 0
        for v in volumes
    ]
    return [volume for volume, count in zip(volumes, met, strict=True) if count == max(met)]
