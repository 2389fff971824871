"""The structures of one liver, out of a file or folder that holds them under whatever names."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from flr_volumetry.anatomy import SEGMENTS, Structure
from flr_volumetry.errors import AmbiguousError, Caveat, FlrError, InputError, UnreadableError
from flr_volumetry.io.dicom.codes import Segment
from flr_volumetry.io.joining import label_map_of, united
from flr_volumetry.io.masks import label_masks, stem_of
from flr_volumetry.io.names import Meaning, meaning_of
from flr_volumetry.io.objects import MaskObject, objects_in, open_object
from flr_volumetry.io.scan import Found, Scan, scan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from flr_volumetry.images import Grid, LabelMap, Mask

LISTED: Final = 12
_VESSELS: Final = (
    Structure.PORTAL_VEIN,
    Structure.HEPATIC_VEINS,
    Structure.IVC,
    Structure.GALLBLADDER,
)


@dataclass(frozen=True, slots=True, eq=False)
class Structures:
    """What is known of one liver.

    Parameters
    ----------
    masks : mapping of Meaning to Mask
        By what each stands for; lesions are numbered from 1.
    unknown : tuple of str
        Names that stand for no structure of a liver.
    ambiguous : mapping of str to str
        Names that could stand for several, and why; none of them was used.
    caveats : tuple of Caveat
        What the reader must know of the choice.
    """

    masks: Mapping[Meaning, Mask]
    unknown: tuple[str, ...] = ()
    ambiguous: Mapping[str, str] = field(default_factory=dict)
    caveats: tuple[Caveat, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "masks", MappingProxyType(dict(self.masks)))
        object.__setattr__(self, "ambiguous", MappingProxyType(dict(self.ambiguous)))

    def get(self, structure: Structure) -> Mask | None:
        """Return the one mask of a structure; None if there is none.

        Parameters
        ----------
        structure : Structure
            Not lesions or segments, of which there are several.

        Returns
        -------
        Mask or None
            Its mask.
        """
        return self.masks.get(Meaning(structure))

    @property
    def liver(self) -> Mask | None:
        """The whole liver."""
        return self.get(Structure.LIVER)

    @property
    def remnant(self) -> Mask | None:
        """What stays according to a plan that was drawn."""
        return self.get(Structure.REMNANT)

    @property
    def lesions(self) -> tuple[Mask, ...]:
        """Lesions in the order of their numbers."""
        numbered = sorted(
            (m.number, mask) for m, mask in self.masks.items() if m.structure is Structure.LESION
        )
        return tuple(mask for _, mask in numbered)

    @property
    def vessels(self) -> tuple[tuple[Structure, Mask], ...]:
        """Vessels, and the gallbladder."""
        found = ((structure, self.get(structure)) for structure in _VESSELS)
        return tuple((structure, mask) for structure, mask in found if mask is not None)

    @property
    def segments(self) -> LabelMap | None:
        """Couinaud segments as one label map; None if there are none.

        Raises
        ------
        InputError
            If two of them overlap.
        """
        parts = {m.number: mask for m, mask in self.masks.items() if m.structure is Structure.SEGMENTS}
        return label_map_of(parts) if parts else None


@dataclass(frozen=True, slots=True, eq=False)
class _Offer:
    """One mask on offer: its name, what it stands for, and how to read it."""

    name: str
    segment: Segment
    read: Callable[[], dict[int, Mask]]
    """By Couinaud number if it is a label map of all segments; by 0 otherwise."""


def read_structures(path: str | os.PathLike[str], *, grid: Grid | None = None) -> Structures:
    """Read the structures of a liver out of a file or folder, whatever they are called there.

    Parameters
    ----------
    path : path-like
        A DICOM SEG or RTSTRUCT, a .seg.nrrd, a label map, or a folder of any of them;
        scans that lie there too are passed over.
    grid : Grid, optional
        Where to put them.

    Returns
    -------
    Structures
        Those that could be told, by DICOM code first and by name where there is none.

    Raises
    ------
    UnreadableError
        If there is no such path, or no mask of a liver in it.
    AmbiguousError
        If two masks stand for one structure.
    FlrError
        If a mask cannot be read.
    """
    where = os.fspath(path)
    return structures_in(scan([where]), where, grid=grid)


def structures_in(found: Scan, where: str, *, grid: Grid | None = None) -> Structures:
    """Read the structures of a liver out of what a scan found.

    Parameters
    ----------
    found : Scan
        What there is.
    where : str
        The path that was scanned.
    grid : Grid, optional
        Where to put them.

    Returns
    -------
    Structures
        As `read_structures` returns them.

    Raises
    ------
    FlrError
        As `read_structures` raises.
    """
    offers = _offers(found, where, grid)
    chosen: dict[Meaning, list[_Offer]] = {}
    unknown: list[str] = []
    ambiguous: dict[str, str] = {}
    for offer in offers:
        try:
            meaning = meaning_of(offer.segment)
        except AmbiguousError as error:
            ambiguous[offer.name] = error.message
            continue
        if meaning is None:
            unknown.append(offer.name)
        else:
            chosen.setdefault(meaning, []).append(offer)
    if not chosen:
        raise _nothing(where, unknown, ambiguous)
    masks = _Collector(where, ambiguous).collect(chosen)
    return Structures(masks, tuple(unknown), ambiguous, _caveats(where, ambiguous))


def _nothing(where: str, unknown: list[str], ambiguous: dict[str, str]) -> FlrError:
    if ambiguous:
        why = " ".join(list(ambiguous.values())[:3])
        return AmbiguousError(f"{where}: no mask can be told for certain. {why}", reason="ambiguous_name")
    names = ", ".join(unknown[:LISTED]) or "no masks at all"
    return UnreadableError(
        f"{where} holds no mask of a liver or of what lies in it; it holds {names}.", reason="no_masks"
    )


def _caveats(where: str, ambiguous: dict[str, str]) -> tuple[Caveat, ...]:
    if not ambiguous:
        return ()
    return (
        Caveat(
            "ambiguous_names",
            f"{where}: {len(ambiguous)} masks were not used, because what they stand for cannot be told: "
            + " ".join(list(ambiguous.values())[:LISTED]),
        ),
    )


def _offers(found: Scan, where: str, grid: Grid | None) -> list[_Offer]:
    offers: list[_Offer] = []
    objects = objects_in(found)
    for item in objects:
        offers += _declared(open_object(item, found), grid)
    for item in found.images():
        is_scan = bool(objects) and item.is_dicom_image
        if item in objects or not item.may_be_masks or is_scan:
            continue
        offers.append(_stored(item, where, grid))
    return offers


def _declared(mask_object: MaskObject, grid: Grid | None) -> list[_Offer]:
    names = mask_object.names()
    segments = {segment.number: segment for segment in mask_object.segments}

    def reader(number: int) -> Callable[[], dict[int, Mask]]:
        return lambda: {0: mask_object.masks([number], grid=grid)[number]}

    return [_Offer(names[n], segments[n], reader(n)) for n in mask_object.readable()]


def _stored(item: Found, where: str, grid: Grid | None) -> _Offer:
    name = stem_of(item)
    return _Offer(name, Segment(0, name), lambda: label_masks(item, where, grid))


class _Collector:
    """Reads the masks that were told, and puts together what belongs together."""

    def __init__(self, where: str, ambiguous: dict[str, str]) -> None:
        self.where = where
        self.ambiguous = ambiguous
        self.masks: dict[Meaning, Mask] = {}

    def collect(self, chosen: dict[Meaning, list[_Offer]]) -> dict[Meaning, Mask]:
        """Return the masks by what they stand for."""
        wholes = {(m.structure, m.number) for m in chosen if not m.part}
        parts: dict[Meaning, list[Mask]] = {}
        unnumbered: list[_Offer] = []
        for meaning, offers in chosen.items():
            if meaning.structure is Structure.LESION and not meaning.number:
                unnumbered += offers
                continue
            if len(offers) > 1:
                names = ", ".join(repr(offer.name) for offer in offers)
                raise AmbiguousError(
                    f"{self.where} holds {len(offers)} masks of the {_said(meaning)}: {names}. "
                    "Say in the case file which is meant.",
                    reason="ambiguous_name",
                )
            if meaning.part and (meaning.structure, meaning.number) in wholes:
                continue
            if meaning.part:
                whole = Meaning(meaning.structure, meaning.number)
                parts.setdefault(whole, []).append(self.single(offers[0]))
            elif meaning.structure is Structure.SEGMENTS and not meaning.number:
                self.segments(offers[0])
            else:
                self.masks[meaning] = self.single(offers[0])
        self.masks.update({meaning: united(masks) for meaning, masks in parts.items()})
        self.lesions(unnumbered)
        return self.masks

    def single(self, offer: _Offer) -> Mask:
        """Return the one mask of an offer."""
        masks = offer.read()
        if list(masks) != [0]:
            raise InputError(
                f"{self.where}: {offer.name} should hold one mask, but holds the labels "
                f"{', '.join(map(str, list(masks)[:LISTED]))}. Name it in the case file, with its label.",
                reason="several_masks",
            )
        return masks[0]

    def segments(self, offer: _Offer) -> None:
        """Take a label map of all Couinaud segments apart."""
        masks = offer.read()
        if not set(masks) <= set(SEGMENTS):
            self.ambiguous[offer.name] = (
                f"{offer.name!r} should hold Couinaud segments as labels 1 to 8, but holds "
                f"{', '.join(map(str, list(masks)[:LISTED]))}."
            )
            return
        for number, mask in masks.items():
            self.masks.setdefault(Meaning(Structure.SEGMENTS, number), mask)

    def lesions(self, offers: list[_Offer]) -> None:
        """Give numbers to lesions that have none; leave out a mask that repeats those that have."""
        numbered = [mask for m, mask in self.masks.items() if m.structure is Structure.LESION]
        taken = {m.number for m in self.masks if m.structure is Structure.LESION}
        for offer in offers:
            masks = offer.read()
            for label, mask in masks.items():
                if label and len(masks) > 1 and label in taken:
                    self.ambiguous[offer.name] = (
                        f"{offer.name!r} numbers lesions that have masks of their own."
                    )
                    break
                if numbered and _repeats(mask, numbered):
                    self.ambiguous[offer.name] = (
                        f"{offer.name!r} holds the lesions that have masks of their own once more."
                    )
                    continue
                number = label or next(n for n in range(1, len(taken) + 2) if n not in taken)
                taken.add(number)
                self.masks[Meaning(Structure.LESION, number)] = mask


def _repeats(mask: Mask, others: Iterable[Mask]) -> bool:
    """Whether a mask holds most of every one of others."""
    for other in others:
        if not mask.grid.matches(other.grid):
            return False
        if 2 * int(np.count_nonzero(mask.voxels & other.voxels)) <= other.count:
            return False
    return True


def _said(meaning: Meaning) -> str:
    name = meaning.structure.value.replace("_", " ")
    number = f" {meaning.number}" if meaning.number else ""
    return f"{meaning.part} {name}{number}".strip()
