"""Which of several scans masks were drawn on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flr_volumetry.errors import AmbiguousError
from flr_volumetry.io.dicom import mask_tags, tags
from flr_volumetry.io.reading import describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flr_volumetry.io.dicom.header import Attributes
    from flr_volumetry.io.scan import Found

LISTED = 6


@dataclass(frozen=True, slots=True)
class ImageReferences:
    """What DICOM objects of masks say of the images they were drawn on.

    Parameters
    ----------
    instances, series, frames : frozenset of str
        UIDs of images, of their series, and of frames of reference.
    """

    instances: frozenset[str]
    series: frozenset[str]
    frames: frozenset[str]


def references_of(objects: Iterable[Found]) -> ImageReferences:
    """Return what objects say of the images they were drawn on.

    Parameters
    ----------
    objects : iterable of Found
        SEG and RTSTRUCT objects.

    Returns
    -------
    ImageReferences
        Of all of them together.
    """
    instances: set[str] = set()
    series: set[str] = set()
    frames: set[str] = set()
    for item in objects:
        a = item.headers[0].attributes
        frames.add(a.text(tags.FRAME_OF_REFERENCE))
        for part in a.items(mask_tags.REFERENCED_SERIES):
            series.add(part.text(tags.SERIES))
            instances |= _instances(part, mask_tags.REFERENCED_INSTANCE)
        for group in a.items(tags.PER_FRAME_GROUPS):
            for derivation in group.items(mask_tags.DERIVATION_IMAGE):
                instances |= _instances(derivation, mask_tags.SOURCE_IMAGE)
        for frame in a.items(mask_tags.REFERENCED_FRAMES_OF_REFERENCE):
            frames.add(frame.text(tags.FRAME_OF_REFERENCE))
            for study in frame.items(mask_tags.RT_REFERENCED_STUDY):
                for part in study.items(mask_tags.RT_REFERENCED_SERIES):
                    series.add(part.text(tags.SERIES))
                    instances |= _instances(part, mask_tags.CONTOUR_IMAGE)
    return ImageReferences(frozenset(instances - {""}), frozenset(series - {""}), frozenset(frames - {""}))


def _instances(item: Attributes, sequence: int) -> set[str]:
    return {part.text(mask_tags.REFERENCED_SOP_INSTANCE) for part in item.items(sequence)}


def drawn_on(references: ImageReferences, volumes: Sequence[Found]) -> list[Found]:
    """Return the scans that masks may have been drawn on; only one where that is certain.

    Parameters
    ----------
    references : ImageReferences
        What their objects say.
    volumes : sequence of Found
        Readable DICOM volumes. Several acquisitions of one series are several of them.

    Returns
    -------
    list of Found
        Those that hold most of the images referred to; failing that, those of the series
        referred to; failing that, those in the same frame of reference; failing that, all.
    """
    counts = [_held(volume, references.instances) for volume in volumes]
    if max(counts, default=0) > 0:
        return [v for v, count in zip(volumes, counts, strict=True) if count == max(counts)]
    for tag, wanted in ((tags.SERIES, references.series), (tags.FRAME_OF_REFERENCE, references.frames)):
        meant = [volume for volume in volumes if volume.text(tag) in wanted]
        if meant:
            return meant
    return list(volumes)


def _held(volume: Found, instances: frozenset[str]) -> int:
    return sum(header.attributes.text(tags.SOP_INSTANCE) in instances for header in volume.headers)


def several_scans(volumes: Sequence[Found], what: str) -> AmbiguousError:
    """Return the refusal to guess which of several scans masks were drawn on.

    Parameters
    ----------
    volumes : sequence of Found
        Those that may be meant.
    what : str
        What was drawn.

    Returns
    -------
    AmbiguousError
        With a list of them.
    """
    listed = "\n".join(f"  {number}: {describe(item)}" for number, item in enumerate(volumes[:LISTED], 1))
    return AmbiguousError(
        f"{what} may have been drawn on any of {len(volumes)} scans and does not say on which. "
        f"Name the scan:\n{listed}",
        reason="several_series",
    )
