"""Structures out of files that declare them: all, one, or as a label map."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from flr_volumetry.errors import AmbiguousError, InputError
from flr_volumetry.io.dicom.seg import Segmentation
from flr_volumetry.io.joining import couinaud_numbers, label_map_of, united
from flr_volumetry.io.objects import MaskObject, open_object
from flr_volumetry.io.segnrrd import SegNrrd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.images import Grid, LabelMap, Mask
    from flr_volumetry.io.scan import Found, Scan

MAX_MASKS_BYTES: Final = 16 << 30
LISTED: Final = 40


def masks_in(
    objects: Sequence[Found], found: Scan, *, grid: Grid | None = None, threshold: float | None = None
) -> dict[str, Mask]:
    """Read every structure of some files that declare them.

    Parameters
    ----------
    objects : sequence of Found
        As `objects_in` gives them.
    found : Scan
        What lies beside them.
    grid : Grid, optional
        Where to put them.
    threshold : float, optional
        For fractional segmentations.

    Returns
    -------
    dict of str to Mask
        By name; two files that have one name put theirs before it.

    Raises
    ------
    FlrError
        If one cannot be read.
    """
    opened = [open_object(item, found) for item in objects]
    shared = Counter(name for mask_object in opened for name in mask_object.names().values())
    made: dict[str, Mask] = {}
    for mask_object in opened:
        numbers = mask_object.readable() or [s.number for s in mask_object.segments]
        _require_room(mask_object, len(numbers), grid)
        names = mask_object.names()
        for number, mask in mask_object.masks(numbers, grid=grid, threshold=threshold).items():
            name = names[number]
            if shared[name] > 1:
                name = f"{mask_object.item.files[0].name}:{name}"
            if name in made:
                raise AmbiguousError(
                    f"{mask_object.item.path} and another file hold a mask called {name!r}. Name the file.",
                    reason="same_name",
                )
            made[name] = mask
    return made


def _require_room(mask_object: MaskObject, count: int, grid: Grid | None) -> None:
    shape = grid.shape if grid is not None else (1, 1, 1)
    if isinstance(mask_object.content, Segmentation) and grid is None:
        shape = mask_object.content.shape
    elif isinstance(mask_object.content, SegNrrd) and grid is None:
        shape = mask_object.content.voxels.grid.shape
    if count * shape[0] * shape[1] * shape[2] > MAX_MASKS_BYTES:
        raise InputError(
            f"{mask_object.item.path} declares {count} segments of {shape} voxels, too many to be kept as "
            "masks at once. Name those needed.",
            reason="too_many_labels",
        )


def mask_in(
    objects: Sequence[Found],
    found: Scan,
    wanted: str | Sequence[int] | None,
    *,
    grid: Grid | None = None,
    threshold: float | None = None,
) -> Mask:
    """Read one structure out of files that declare them.

    Parameters
    ----------
    objects : sequence of Found
        As `objects_in` gives them.
    found : Scan
        What lies beside them.
    wanted : str, sequence of int, or None
        A name, number or code; numbers, which are joined; None for the only one.
    grid : Grid, optional
        Where to put it.
    threshold : float, optional
        For fractional segmentations.

    Returns
    -------
    Mask
        The structure.

    Raises
    ------
    InputError
        If there is none of that name.
    AmbiguousError
        If there are several.
    FlrError
        If it cannot be read.
    """
    hits: list[tuple[MaskObject, list[int]]] = []
    listed: list[str] = []
    for item in objects:
        mask_object = open_object(item, found)
        listed += [f"{name!r} ({number})" for number, name in mask_object.names().items()]
        numbers = _wanted(mask_object, wanted)
        if numbers:
            hits.append((mask_object, numbers))
    there = ", ".join(listed[:LISTED]) + (", ..." if len(listed) > LISTED else "")
    if not hits:
        raise InputError(
            f"There is no segment {wanted!r} in {_paths(objects)}; there are {there}.",
            reason="unknown_segment",
        )
    mask_object, numbers = hits[0]
    joined = wanted is not None and not isinstance(wanted, str)
    if len(hits) > 1 or (len(numbers) > 1 and not joined):
        raise AmbiguousError(
            f"{_paths(objects)}: {'several segments' if wanted is None else f'{wanted!r}'} may be meant; "
            f"there are {there}. Choose one by its name or number.",
            reason="several_masks",
        )
    masks = [mask_object.masks([n], grid=grid, threshold=threshold)[n] for n in numbers]
    return masks[0] if len(masks) == 1 else united(masks)


def _wanted(mask_object: MaskObject, wanted: str | Sequence[int] | None) -> list[int]:
    known = [segment.number for segment in mask_object.segments]
    if wanted is None:
        return known
    if isinstance(wanted, str):
        return mask_object.find(wanted)
    missing = [number for number in wanted if number not in known]
    if missing and len(missing) < len(wanted):
        raise InputError(
            f"{mask_object.item.path} has no segment {', '.join(map(str, missing))}; it has "
            f"{', '.join(map(str, known[:LISTED]))}.",
            reason="unknown_segment",
        )
    return [] if missing else list(wanted)


def _paths(objects: Sequence[Found]) -> str:
    return ", ".join(item.path for item in objects[:3]) + (", ..." if len(objects) > 3 else "")


def label_map_in(objects: Sequence[Found], found: Scan, where: str, *, grid: Grid | None = None) -> LabelMap:
    """Read the segments of one file as a label map.

    Parameters
    ----------
    objects : sequence of Found
        As `objects_in` gives them.
    found : Scan
        What lies beside them.
    where : str
        The path the user named.
    grid : Grid, optional
        Where to put it.

    Returns
    -------
    LabelMap
        Of the Couinaud segments, labels 1 to 8, if the file declares any; else of all its
        segments, by their numbers.

    Raises
    ------
    AmbiguousError
        If there are several files, or two segments of one Couinaud number.
    InputError
        If segments overlap.
    FlrError
        If they cannot be read.
    """
    if len(objects) > 1:
        raise AmbiguousError(
            f"{where} holds several files of segments: {_paths(objects)}. Name one of them.",
            reason="several_masks",
        )
    mask_object = open_object(objects[0], found)
    numbers = mask_object.readable()
    couinaud = couinaud_numbers([s for s in mask_object.segments if s.number in numbers])
    wanted = sorted({number for members in couinaud.values() for number in members}) or numbers
    masks = mask_object.masks(wanted, grid=grid)
    if not couinaud:
        return label_map_of(masks)
    return label_map_of({label: united([masks[n] for n in members]) for label, members in couinaud.items()})
