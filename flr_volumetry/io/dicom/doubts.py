"""What is doubtful about the images of a series that can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flr_volumetry.errors import Caveat
from flr_volumetry.io.dicom import tags
from flr_volumetry.io.dicom.alike import alike
from flr_volumetry.io.dicom.frames import SPLIT_KEYS
from flr_volumetry.io.dicom.parsing import UNDEFINED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.io.dicom.header import Header
    from flr_volumetry.io.dicom.stacks import Stack

MEANT_TO_BE_ONE: Final = frozenset({"temporal position", "echo time", "b value"})
"""What all slices of one volume share; acquisition number and trigger time may differ."""
PROJECTIONS: Final = frozenset({"PROJECTION IMAGE", "MIP", "MINIP", "MAX_IP", "MIN_IP"})
"""Image types of slices that sum up their neighbours (PS3.3, C.7.6.1.1.2 and C.8.16.1)."""
_TAGS: Final = (
    *(tags.SERIES, tags.STUDY, tags.SLOPE, tags.SHARED_GROUPS, tags.RESCALE_TYPE, tags.ROWS, tags.COLUMNS),
    *(tags.BITS_ALLOCATED, tags.NUMBER_OF_FRAMES, tags.PIXEL_REPRESENTATION, tags.LOSSY, tags.PHOTOMETRIC),
    tags.IMAGE_TYPE,
)
"""What the doubts come from."""
HOUNSFIELD: Final = frozenset({"", "HU"})


def doubts_of(headers: Sequence[Header]) -> tuple[Caveat, ...]:
    """Return what must be said of the images of a series.

    Parameters
    ----------
    headers : sequence of Header
        Of all its files.

    Returns
    -------
    tuple of Caveat
        None where nothing is doubtful.
    """
    where = headers[0].file.folder
    kinds = alike(headers, _TAGS)
    examples = [members[0] for members in kinds]
    found = [*_about_values(kinds, where), *_about_looks(examples, where)]
    blank = sum(
        len(members)
        for members in kinds
        if not (members[0].attributes.text(tags.SERIES) and members[0].attributes.text(tags.STUDY))
    )
    if blank:
        found.append(
            Caveat(
                "missing_uids",
                f"{blank} images in {where} carry no study or series UID; they were put together by "
                "their folder, and nothing that must refer to them can be written.",
            )
        )
    return tuple(found)


def _about_values(kinds: Sequence[Sequence[Header]], where: str) -> list[Caveat]:
    headers = [members[0] for members in kinds]
    found = []
    if headers[0].attributes.text(tags.MODALITY) == "CT":
        if not any(tags.SLOPE in h.attributes or tags.SHARED_GROUPS in h.attributes for h in headers):
            found.append(
                Caveat(
                    "no_rescale",
                    f"the CT images in {where} have no rescale slope; they may not be in Hounsfield units.",
                )
            )
        others = {h.attributes.text(tags.RESCALE_TYPE) for h in headers} - HOUNSFIELD
        if others:
            found.append(
                Caveat(
                    "not_hounsfield",
                    f"the CT images in {where} say that their values are of the type "
                    f"{', '.join(sorted(others))}, not Hounsfield units.",
                )
            )
    longer = [_rest(members[0]) for members in kinds for _ in members if _rest(members[0]) > 1]
    if longer:
        found.append(
            Caveat(
                "extra_pixels",
                f"{len(longer)} images in {where} have up to {max(longer)} bytes of pixels more "
                "than their size needs; they were ignored.",
            )
        )
    if any(tags.PIXEL_REPRESENTATION not in h.attributes for h in headers):
        found.append(
            Caveat(
                "signedness_unknown",
                f"images in {where} do not say whether their values are signed; they were taken as unsigned.",
            )
        )
    if any(h.attributes.text(tags.LOSSY) == "01" for h in headers):
        found.append(
            Caveat(
                "lossy",
                f"the images in {where} were compressed with loss; their values are not those measured.",
            )
        )
    return found


def _rest(header: Header) -> int:
    """Return how many bytes of pixels a file has beyond its frames."""
    if header.pixel_length == UNDEFINED:
        return 0
    a = header.attributes
    rows, columns, bits = (a.unsigned(t) or 0 for t in (tags.ROWS, tags.COLUMNS, tags.BITS_ALLOCATED))
    return header.pixel_length - (a.integer(tags.NUMBER_OF_FRAMES) or 1) * rows * columns * bits // 8


def _about_looks(headers: Sequence[Header], where: str) -> list[Caveat]:
    found = []
    if any(h.attributes.text(tags.PHOTOMETRIC) == "MONOCHROME1" for h in headers):
        found.append(
            Caveat(
                "monochrome1",
                f"the images in {where} are meant to be shown inverted; their values were taken as they are.",
            )
        )
    types = {word for h in headers for word in h.attributes.texts(tags.IMAGE_TYPE)} & PROJECTIONS
    if types:
        found.append(
            Caveat(
                "projection",
                f"the images in {where} are projections through several slices "
                f"({', '.join(sorted(types))}), not slices; structures look larger on them.",
            )
        )
    return found


def doubts_of_stack(volume: Stack) -> tuple[Caveat, ...]:
    """Return what must be said of one volume of a series.

    Parameters
    ----------
    volume : Stack
        Its slices.

    Returns
    -------
    tuple of Caveat
        None where nothing is doubtful.
    """
    found = []
    mixed = [
        name
        for n, name in enumerate(SPLIT_KEYS)
        if name in MEANT_TO_BE_ONE and len({frame.keys[n] for frame in volume.frames}) > 1
    ]
    if mixed:
        found.append(
            Caveat(
                "mixed_parameters",
                f"the slices form one regular stack, but differ in {', '.join(mixed)}; "
                "they may be of several volumes.",
            )
        )
    if len(volume.frames) <= 2:
        found.append(
            Caveat(
                "two_slices",
                "the volume has two slices only; whether one is missing between them cannot be seen.",
            )
        )
    return tuple(found)
