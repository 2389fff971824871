"""3D Slicer's .seg.nrrd: structures in layers, which may overlap.

The header names each segment by keys such as ``Segment0_Name``, and says in which layer
and with which value its voxels lie (Slicer documentation, "Segmentation file format").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flr_volumetry.errors import Caveat, InputError, NotAVolumeError
from flr_volumetry.images import Mask, to_grid
from flr_volumetry.io.dicom.codes import Code, Segment

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from flr_volumetry.images import Grid, Source
    from flr_volumetry.io.voxelfile import VoxelFile

_KEY: Final = re.compile(r"Segment(\d+)_(ID|Name|LabelValue|Layer|Tags)")
_TERMINOLOGY: Final = "TerminologyEntry:"
_PARTS: Final = 7
"""Terminology, category, type and modifier, anatomic context, region and modifier."""
MAX_LABEL: Final = np.iinfo(np.uint16).max
LISTED: Final = 6


@dataclass(frozen=True, slots=True)
class LayerSegment:
    """A segment, and where its voxels lie.

    Parameters
    ----------
    segment : Segment
        Numbered from 1 in the order of the file.
    layer : int
        Which layer.
    value : int
        Its value there.
    """

    segment: Segment
    layer: int
    value: int


@dataclass(frozen=True, slots=True, eq=False)
class SegNrrd:
    """A .seg.nrrd file, opened; its voxels are read with its masks.

    Parameters
    ----------
    voxels : VoxelFile
        Its header.
    members : tuple of LayerSegment
        What it declares.
    """

    voxels: VoxelFile
    members: tuple[LayerSegment, ...]

    @property
    def label(self) -> str:
        """What to call it in messages."""
        return self.voxels.file.label

    @property
    def segments(self) -> tuple[Segment, ...]:
        """What it declares."""
        return tuple(member.segment for member in self.members)

    def masks(self, numbers: Sequence[int], source: Source, *, grid: Grid | None = None) -> dict[int, Mask]:
        """Return the masks of some segments.

        Parameters
        ----------
        numbers : sequence of int
            Which segments.
        source : Source
            For the masks.
        grid : Grid, optional
            Where to put them.

        Returns
        -------
        dict of int to Mask
            By the number of the segment, in the order asked for.

        Raises
        ------
        InputError
            If the voxels are not whole numbers.
        UnreadableError
            If the file is cut short or damaged.
        GridError
            If a mask cannot be put onto `grid`.
        """
        layers = self._layers()
        caveats = self.voxels.caveats + self._undeclared(layers)
        members = {member.segment.number: member for member in self.members}
        made = {}
        for number in numbers:
            member = members[number]
            inside = np.asfortranarray(layers[member.layer] == member.value)
            mask = Mask(self.voxels.grid, inside, member.segment.name, source, caveats)
            made[number] = mask if grid is None else to_grid(mask, grid)
        return made

    def _layers(self) -> npt.NDArray[Any]:
        """Return the voxels, with the layers in front."""
        stored = self.voxels.stored()
        if stored.dtype.kind not in "iu" or self.voxels.rescaled:
            whole = stored * self.voxels.slope + self.voxels.intercept
            if not (np.isfinite(whole).all() and np.array_equal(whole, np.rint(whole))):
                raise InputError(
                    f"{self.label}: its voxels are not whole numbers, so they name no segments.",
                    reason="not_a_label_map",
                )
            stored = whole
        if not (stored.min() >= 0 and stored.max() <= MAX_LABEL):
            raise InputError(
                f"{self.label}: its values run from {stored.min()} to {stored.max()}; labels run from 0 to "
                f"{MAX_LABEL}.",
                reason="not_a_label_map",
            )
        stored = stored.astype(np.uint8 if stored.max() <= np.iinfo(np.uint8).max else np.uint16, copy=False)
        return stored[None] if self.voxels.layers == 1 else stored

    def _undeclared(self, layers: npt.NDArray[Any]) -> tuple[Caveat, ...]:
        found = []
        for layer, voxels in enumerate(layers):
            counts = np.bincount(voxels.ravel(order="K"))
            known = {member.value for member in self.members if member.layer == layer}
            found += [
                f"{value} ({counts[value]} voxels)"
                for value in np.flatnonzero(counts).tolist()
                if value and value not in known
            ]
        if not found:
            return ()
        return (
            Caveat(
                "undeclared_label",
                f"{self.label} holds values that it does not declare as segments: "
                f"{', '.join(found[:LISTED])}; they were left out.",
            ),
        )


def declares_segments(voxels: VoxelFile) -> bool:
    """Whether a file of voxels names segments as Slicer does.

    Parameters
    ----------
    voxels : VoxelFile
        A header.

    Returns
    -------
    bool
        True if it is a .seg.nrrd.
    """
    return any(_KEY.fullmatch(key) for key in voxels.fields)


def open_segnrrd(voxels: VoxelFile) -> SegNrrd:
    """Open a .seg.nrrd file.

    Parameters
    ----------
    voxels : VoxelFile
        Its header.

    Returns
    -------
    SegNrrd
        What it declares.

    Raises
    ------
    NotAVolumeError
        If it contradicts itself, or does not say which voxels belong to which segment.
    """
    keys: dict[int, dict[str, str]] = {}
    for key, value in voxels.fields.items():
        match = _KEY.fullmatch(key)
        if match:
            keys.setdefault(int(match[1]), {})[match[2]] = value
    members = []
    for order, number in enumerate(sorted(keys)):
        said = keys[number]
        layer, label = _place(voxels, said, order, len(keys))
        name = said.get("Name") or said.get("ID") or str(order + 1)
        category, types, regions = _terminology(said.get("Tags", ""))
        members.append(LayerSegment(Segment(order + 1, name, types, regions, category), layer, label))
    places = {(member.layer, member.value) for member in members}
    if len(places) < len(members):
        raise NotAVolumeError(
            f"{voxels.file.label} gives two segments the same voxels. Save it again.",
            reason="inconsistent_segments",
        )
    return SegNrrd(voxels, tuple(members))


def _place(voxels: VoxelFile, said: dict[str, str], order: int, count: int) -> tuple[int, int]:
    """Return the layer and the value of a segment."""
    label = voxels.file.label
    name = said.get("Name") or said.get("ID") or str(order + 1)
    if "LabelValue" not in said:
        # Slicer before 4.11 wrote one layer for each segment, and neither key.
        if count != voxels.layers or "Layer" in said:
            raise NotAVolumeError(
                f"{label} does not say with which value the voxels of segment {name!r} are marked. "
                "Save it again with a newer version of 3D Slicer.",
                reason="inconsistent_segments",
            )
        return order, 1
    try:
        layer, value = int(said.get("Layer", "0")), int(said["LabelValue"])
    except ValueError:
        layer, value = -1, -1
    if not (0 <= layer < voxels.layers and 0 < value <= MAX_LABEL):
        raise NotAVolumeError(
            f"{label}: segment {name!r} lies in layer {said.get('Layer')!r} with value "
            f"{said['LabelValue']!r}, which the file, with {voxels.layers} layers, cannot hold.",
            reason="inconsistent_segments",
        )
    return layer, value


def _terminology(tags: str) -> tuple[Code | None, tuple[Code, ...], tuple[Code, ...]]:
    """Return category, type with modifier, and region, of Slicer's tags."""
    entry = next((tag for tag in tags.split("|") if tag.startswith(_TERMINOLOGY)), "")
    parts = entry.removeprefix(_TERMINOLOGY).split("~")
    if len(parts) != _PARTS:
        return None, (), ()
    category, *types = [_code(part) for part in parts[1:4]]
    regions = [_code(part) for part in parts[5:]]
    return category, tuple(c for c in types if c), tuple(c for c in regions if c)


def _code(text: str) -> Code | None:
    scheme, _, rest = text.partition("^")
    value, _, meaning = rest.partition("^")
    return Code(scheme, value, meaning) if scheme and value else None
