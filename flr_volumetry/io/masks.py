"""Masks and label maps, out of whatever file or folder holds them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import numpy as np

from flr_volumetry.errors import AmbiguousError, InputError, UnreadableError
from flr_volumetry.images import LabelMap, Mask
from flr_volumetry.io.declared import label_map_in, mask_in, masks_in
from flr_volumetry.io.files import digest
from flr_volumetry.io.labels import count_labels, inside, label_array, require_labels
from flr_volumetry.io.objects import objects_in
from flr_volumetry.io.reading import source_of
from flr_volumetry.io.scan import Found, Scan, scan

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from flr_volumetry.errors import Caveat
    from flr_volumetry.images import Grid, Source

BINARY: Final = (1, 255)
"""The one value of a file that holds a single mask, not a label."""
MAX_WORKERS: Final = 4
MAX_MASKS_BYTES: Final = 16 << 30
_SUFFIXES: Final = (".nii.gz", ".seg.nrrd", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr")
Placed = TypeVar("Placed", Mask, LabelMap)


class _Labels(NamedTuple):
    """A label map as read, before it becomes masks."""

    item: Found
    grid: Grid
    voxels: npt.NDArray[np.unsignedinteger]
    counts: dict[int, int]
    source: Source
    caveats: tuple[Caveat, ...]

    @property
    def stem(self) -> str:
        return stem_of(self.item)

    @property
    def is_one_mask(self) -> bool:
        """Whether it holds one structure, named by the file, and no numbered ones."""
        if self.item.stack is not None:
            return len(self.counts) <= 1
        return set(self.counts) <= {BINARY[0]} or set(self.counts) == {BINARY[1]}


def stem_of(item: Found) -> str:
    """Return the name of a mask that its file does not name: of the file, or of the series' folder."""
    path = item.path.replace("\\", "/").rsplit("!", 1)[-1].rstrip("/")
    name = PurePosixPath(path).name or item.path
    for suffix in _SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def read_masks(
    path: str | os.PathLike[str], *, grid: Grid | None = None, threshold: float | None = None
) -> dict[str, Mask]:
    """Read every mask that a file or folder holds.

    Parameters
    ----------
    path : path-like
        A DICOM SEG or RTSTRUCT, a NIfTI, NRRD or MetaImage file, a folder of them, or a
        folder of DICOM image series that each hold a mask. DICOM images that lie beside a
        SEG or RTSTRUCT are the scan, not masks.
    grid : Grid, optional
        Where to put them; each stays on its own grid otherwise, and contours go onto the
        scan that lies beside them.
    threshold : float, optional
        For fractional segmentations: the least fraction that is inside.

    Returns
    -------
    dict of str to Mask
        By name: as the file says; of the file, or of the series' folder, if it holds a
        single mask; the label's number if it holds several.

    Raises
    ------
    UnreadableError
        If there is no such path, nothing in it holds a mask, or a file is damaged.
    InputError
        If the voxels are not whole numbers.
    GridError
        If a mask cannot be put onto `grid`.
    """
    where = os.fspath(path)
    found = scan([where])
    objects = objects_in(found)
    items = _label_files(found, where, objects)
    masks = masks_in(objects, found, grid=grid, threshold=threshold)
    if not items:
        return masks
    with ThreadPoolExecutor(min(MAX_WORKERS, len(items), os.cpu_count() or 1)) as pool:
        for part in pool.map(lambda item: _masks_of(item, where, grid, numbered=len(items) > 1), items):
            for name, mask in part.items():
                if name in masks:
                    raise AmbiguousError(
                        f"{where} holds two masks called {name!r}. Name the file.", reason="same_name"
                    )
                masks[name] = mask
    return masks


def _masks_of(item: Found, where: str, grid: Grid | None, *, numbered: bool) -> dict[str, Mask]:
    """Return the masks of one file; labels named with it where there are several files."""
    labels = _read(item, where)
    if labels.is_one_mask:
        return {labels.stem: place(_mask(labels, list(labels.counts), labels.stem), grid)}
    if len(labels.counts) * labels.voxels.size > MAX_MASKS_BYTES:
        raise InputError(
            f"{item.path} holds {len(labels.counts)} labels, too many to be kept as masks at once. "
            "Name those needed.",
            reason="too_many_labels",
        )
    names = {label: f"{labels.stem}:{label}" if numbered else str(label) for label in labels.counts}
    return {name: place(_mask(labels, [label], name), grid) for label, name in names.items()}


def read_mask(
    path: str | os.PathLike[str],
    *,
    segment: str | None = None,
    labels: int | Sequence[int] | None = None,
    grid: Grid | None = None,
    threshold: float | None = None,
) -> Mask:
    """Read one structure out of a file or folder.

    Parameters
    ----------
    path : path-like
        As for `read_masks`.
    segment : str, optional
        Which, by name; where the file declares its segments, by number or code too.
    labels : int or sequence of int, optional
        Which, by label or number of the segment; several are joined.
    grid : Grid, optional
        Where to put it.
    threshold : float, optional
        For fractional segmentations: the least fraction that is inside.

    Returns
    -------
    Mask
        The structure.

    Raises
    ------
    AmbiguousError
        If there are several structures and none is chosen.
    InputError
        If there is no such segment or label, or the voxels are not whole numbers.
    UnreadableError
        If there is no such path, or it cannot be read.
    """
    where = os.fspath(path)
    if segment is not None and labels is not None:
        raise InputError(f"{where}: choose a mask by segment or by label, not by both.", reason="misuse")
    found = scan([where])
    objects = objects_in(found)
    if objects:
        wanted = segment if labels is None else [labels] if isinstance(labels, int) else list(labels)
        return mask_in(objects, found, wanted, grid=grid, threshold=threshold)
    items = _label_files(found, where, objects)
    if segment is not None:
        return _named(items, where, segment, grid)
    if len(items) > 1:
        names = ", ".join(stem_of(item) for item in items)
        raise AmbiguousError(
            f"{where} holds several masks: {names}. Name one of them.", reason="several_masks"
        )
    read = _read(items[0], where)
    if labels is not None:
        members = [labels] if isinstance(labels, int) else list(labels)
        _require_known(read, members)
        return place(_mask(read, members, " + ".join(map(str, members))), grid)
    if not read.is_one_mask and len(read.counts) > 1:
        raise AmbiguousError(
            f"{where} holds several labels: {_listed(read)}. Choose with label = n, or a list of them.",
            reason="several_masks",
        )
    return place(_mask(read, list(read.counts), read.stem), grid)


def read_label_map(path: str | os.PathLike[str], *, grid: Grid | None = None) -> LabelMap:
    """Read a label map, such as one of Couinaud segments.

    Parameters
    ----------
    path : path-like
        A NIfTI, NRRD or MetaImage file, a folder with one DICOM series, or a file that
        declares its segments, which must not overlap: Couinaud segments, told by code or
        name, or else all of them by their numbers.
    grid : Grid, optional
        Where to put it.

    Returns
    -------
    LabelMap
        Of uint8, or uint16 if a label is larger than 255.

    Raises
    ------
    AmbiguousError
        If there are several.
    InputError
        If the voxels are not whole numbers.
    UnreadableError
        If there is no such path, or it cannot be read.
    """
    where = os.fspath(path)
    found = scan([where])
    objects = objects_in(found)
    if objects:
        return label_map_in(objects, found, where, grid=grid)
    items = _label_files(found, where, objects)
    if len(items) > 1:
        names = ", ".join(stem_of(item) for item in items)
        raise AmbiguousError(
            f"{where} holds several label maps: {names}. Name one of them.", reason="several_masks"
        )
    read = _read(items[0], where)
    return place(LabelMap(read.grid, read.voxels, {}, read.source, read.caveats), grid)


def place(mask: Placed, grid: Grid | None) -> Placed:
    """Return a mask or label map on another grid, or as it is if none is given."""
    if grid is None:
        return mask
    from flr_volumetry.images import to_grid

    return to_grid(mask, grid)


def label_masks(item: Found, where: str, grid: Grid | None) -> dict[int, Mask]:
    """Return the masks of one file of voxels.

    Parameters
    ----------
    item : Found
        A readable image.
    where : str
        The path the user named.
    grid : Grid or None
        Where to put them.

    Returns
    -------
    dict of int to Mask
        By label; by 0 if it holds a single mask.

    Raises
    ------
    FlrError
        If its voxels are no labels, or it cannot be read.
    """
    labels = _read(item, where)
    if labels.is_one_mask:
        return {0: place(_mask(labels, list(labels.counts), labels.stem), grid)}
    return {n: place(_mask(labels, [n], f"{labels.stem}:{n}"), grid) for n in labels.counts}


def _label_files(found: Scan, where: str, objects: list[Found]) -> list[Found]:
    """Return the images that hold labels; a DICOM series beside an object of masks is the scan."""
    images = [item for item in found.images() if item not in objects]
    if objects:
        images = [item for item in images if not item.is_dicom_image]
    refused = [item for item in images if not item.may_be_masks]
    if refused and refused[0].refusal:
        raise refused[0].refusal
    if not images and not objects:
        raise UnreadableError(f"{where} holds no mask that can be read.", reason="no_masks")
    return images


def _read(item: Found, where: str) -> _Labels:
    with ThreadPoolExecutor(1) as background:
        sha256 = background.submit(digest, item.files)
        voxels = label_array(item)
        counts = count_labels(voxels)
        require_labels(counts, item.path)
        grid, caveats = _grid(item)
        source = source_of(item, where if item.stack is not None else item.path, sha256.result())
    return _Labels(item, grid, voxels, counts, source, caveats)


def _grid(item: Found) -> tuple[Grid, tuple[Caveat, ...]]:
    if item.stack is not None:
        # What is doubtful about the numbers of a scan says nothing about a mask stored as one.
        kept = tuple(c for c in item.stack.caveats if c.code != "no_rescale")
        return item.stack.grid, kept
    if item.voxels is None:
        raise UnreadableError(f"{item.path} is no volume.", reason="no_masks")
    return item.voxels.grid, item.voxels.caveats


def _mask(read: _Labels, chosen: list[int], name: str) -> Mask:
    return Mask(read.grid, inside(read.voxels, chosen, read.counts), name, read.source, read.caveats)


def _listed(read: _Labels) -> str:
    return ", ".join(str(label) for label in read.counts) or "none but 0"


def _require_known(read: _Labels, wanted: list[int]) -> None:
    unknown = [label for label in wanted if label not in read.counts]
    if unknown or not wanted:
        raise InputError(
            f"{read.item.path} has no label {', '.join(map(str, unknown))}; it has {_listed(read)}.",
            reason="unknown_label",
        )


def _named(items: list[Found], where: str, segment: str, grid: Grid | None) -> Mask:
    wanted = segment.strip().lower()
    by_stem = [item for item in items if stem_of(item).lower() == wanted]
    names: list[str] = []
    for item in by_stem or items:
        read = _read(item, where)
        if read.is_one_mask:
            names.append(read.stem)
            if read.stem.lower() == wanted:
                return place(_mask(read, list(read.counts), read.stem), grid)
            continue
        names.extend(map(str, read.counts))
        if wanted.isdecimal() and int(wanted) in read.counts and len(items) == 1:
            return place(_mask(read, [int(wanted)], wanted), grid)
    raise InputError(
        f"{where} has no segment {segment!r}; it has {', '.join(names) or 'none'}.", reason="unknown_segment"
    )
