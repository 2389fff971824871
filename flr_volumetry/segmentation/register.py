"""Which back-ends there are: those of this package, and those that others register."""

from __future__ import annotations

import difflib
import importlib
from dataclasses import replace
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final, TypeVar

from flr_volumetry.anatomy import Structure
from flr_volumetry.errors import Caveat, FlrError, SegmentationError
from flr_volumetry.images import LabelMap, Mask, Origin
from flr_volumetry.segmentation.hints import NO_HINTS
from flr_volumetry.segmentation.protocol import Modality, Segmentation, Segmenter, Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from flr_volumetry.images import Image
    from flr_volumetry.segmentation.hints import Hints

GROUP: Final = "flr_volumetry.segmenters"
"""Entry point group for back-ends of third parties."""
DEFAULT: Final = "classical"
BUILT_IN: Final[dict[str, str]] = {
    "classical": "flr_volumetry.segmentation.classical:classical",
    "totalsegmentator": "flr_volumetry.segmentation.totalsegmentator:make",
    "atlas": "flr_volumetry.segmentation.atlas:make",
    "nnunet": "flr_volumetry.segmentation.nnunet:make",
}
"""Name to ``module:function``; the function takes `Settings` and returns a `Segmenter`."""
SignedT = TypeVar("SignedT", Mask, LabelMap)


def backend_names() -> tuple[str, ...]:
    """Return the names of all back-ends, those of this package first.

    Returns
    -------
    tuple of str
        Each once; a third party cannot take a name that this package uses.
    """
    others = {point.name for point in entry_points(group=GROUP)} - set(BUILT_IN)
    return (*BUILT_IN, *sorted(others))


def backend(name: str, settings: Settings | None = None) -> Segmenter:
    """Return a back-end by name.

    Parameters
    ----------
    name : str
        One of `backend_names`.
    settings : Settings, optional
        What it needs besides the scan.

    Returns
    -------
    Segmenter
        It may still be unavailable: see `Segmenter.availability`.

    Raises
    ------
    SegmentationError
        If there is none of that name, or a third party's cannot be loaded.
    """
    names = backend_names()
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise SegmentationError(
            f"there is no back-end {name!r}.{hint} Known: {', '.join(names) or 'none'}.",
            reason="unknown_backend",
        )
    made = _factory(name)(settings or Settings())
    if not isinstance(made, Segmenter):
        raise SegmentationError(
            f"the package that registers the back-end {name!r} does not give a Segmenter: it lacks "
            f"{', '.join(_lacking(made))}.",
            reason="bad_backend",
        )
    return made


def _factory(name: str) -> Callable[[Settings], Segmenter]:
    if name in BUILT_IN:
        module, _, function = BUILT_IN[name].partition(":")
        factory: Callable[[Settings], Segmenter] = getattr(importlib.import_module(module), function)
        return factory
    points = [point for point in entry_points(group=GROUP) if point.name == name]
    if len({point.value for point in points}) > 1:
        raise SegmentationError(
            f"two packages register a back-end {name!r}: {', '.join(sorted(p.value for p in points))}. "
            "Uninstall one of them.",
            reason="bad_backend",
        )
    try:
        factory = points[0].load()
    except Exception as error:
        raise SegmentationError(
            f"the back-end {name!r} ({points[0].value}) cannot be loaded: {error}", reason="bad_backend"
        ) from error
    return factory


def _lacking(made: object) -> list[str]:
    asked = ("name", "title", "structures", "modalities", "licence", "availability", "segment")
    return [word for word in asked if not hasattr(made, word)]


def segment(
    image: Image,
    wanted: frozenset[Structure],
    *,
    segmenter: Segmenter,
    hints: Hints = NO_HINTS,
    tell: Callable[[str], None] = lambda _: None,
) -> Segmentation:
    """Have a back-end find structures in a scan, and check that it may.

    Parameters
    ----------
    image : Image
        The scan, whole.
    wanted : frozenset of Structure
        What to find.
    segmenter : Segmenter
        As `backend` returns it.
    hints : Hints
        What the user says.
    tell : callable
        Called with the name of each step as it begins.

    Returns
    -------
    Segmentation
        On the scan's grid.

    Raises
    ------
    SegmentationError
        If the back-end is not available, knows nothing of a structure or of scans of this modality,
        or finds nothing.
    """
    there = segmenter.availability()
    if not there.is_available:
        raise SegmentationError(
            f"the back-end {segmenter.name!r} cannot be used: {there.missing} {there.remedy}",
            reason="backend_unavailable",
        )
    unknown = sorted(s.value for s in wanted - segmenter.structures)
    if unknown or not wanted:
        known = ", ".join(sorted(s.value for s in segmenter.structures))
        raise SegmentationError(
            f"the back-end {segmenter.name!r} does not find {', '.join(unknown) or 'nothing'}; "
            f"it finds {known}.",
            reason="structure_not_offered",
        )
    doubts = _modality(image, segmenter)
    try:
        found = segmenter.segment(image, wanted, hints=hints, tell=tell)
    except FlrError:
        raise
    except Exception as error:
        raise SegmentationError(
            f"the back-end {segmenter.name!r} failed: {type(error).__name__}: {error}",
            reason="backend_failed",
        ) from error
    if not found.grid.matches(image.grid):
        raise SegmentationError(
            f"the back-end {segmenter.name!r} gave masks on another grid than the scan's",
            reason="bad_backend",
        )
    absent = sorted(s.value for s in wanted - found.structures)
    if absent:
        doubts.append(
            Caveat(
                "structure_not_found",
                f"The back-end {segmenter.name!r} found no {' and no '.join(absent).replace('_', ' ')} here.",
            )
        )
    return _signed(replace(found, caveats=(*doubts, *found.caveats)))


def _signed(found: Segmentation) -> Segmentation:
    """Give each mask the name of what made it, which goes with it into files and back."""
    known = {(q.structure, q.number): q.boundary_mm for q in found.quality}
    name = f"{found.made.backend} {found.made.version}".strip()

    def named(mask: SignedT, structure: Structure, number: int = 0) -> SignedT:
        origin = Origin(name, known.get((structure, number)))
        return replace(mask, source=replace(mask.source, origin=origin))

    segments = found.segments
    return replace(
        found,
        masks={s: named(mask, s) for s, mask in found.masks.items()},
        lesions=tuple(
            replace(lesion, mask=named(lesion.mask, Structure.LESION, n))
            for n, lesion in enumerate(found.lesions, start=1)
        ),
        segments=named(segments, Structure.SEGMENTS) if segments is not None else None,
    )


def _modality(image: Image, segmenter: Segmenter) -> list[Caveat]:
    """Refuse a scan of another kind; a file that does not say its kind is doubtful."""
    said = image.source.modality
    known = sorted(m.value for m in segmenter.modalities)
    if said and said not in known:
        raise SegmentationError(
            f"the scan is {said}; the back-end {segmenter.name!r} takes {' and '.join(known)}.",
            reason="modality_not_offered",
        )
    if said or set(segmenter.modalities) == set(Modality):
        return []
    return [
        Caveat(
            "modality_unknown",
            f"The scan's file does not say what it was made with; the back-end {segmenter.name!r} takes it "
            f"for {' or '.join(known)}.",
        )
    ]
