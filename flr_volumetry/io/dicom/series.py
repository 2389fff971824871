"""Headers to series: what belongs together, and what each series is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flr_volumetry.errors import FlrError, NotAVolumeError
from flr_volumetry.io.dicom import tags
from flr_volumetry.io.dicom.alike import alike
from flr_volumetry.io.dicom.classes import (
    ENHANCED_CLASSES,
    SECONDARY_CAPTURES,
    SLICE_CLASSES,
    class_name,
)
from flr_volumetry.io.dicom.codecs import is_closed
from flr_volumetry.io.dicom.coding import require_codings
from flr_volumetry.io.dicom.doubts import doubts_of, doubts_of_stack
from flr_volumetry.io.dicom.frames import SLICE_TAGS, Frame, frames_of, slices_of
from flr_volumetry.io.dicom.header import DEFLATED, Header
from flr_volumetry.io.dicom.parsing import UNDEFINED
from flr_volumetry.io.dicom.stacks import Stack, stacks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MONOCHROME: Final = frozenset({"MONOCHROME1", "MONOCHROME2"})
MAX_SLICE_PIXELS: Final = 1 << 26
"""No scanner makes slices of more; a damaged header asks for them."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Images that belong together, and what they form.

    Parameters
    ----------
    headers : tuple of Header
        Of all its files.
    volumes : tuple of Stack
        The volumes it forms.
    refusal : FlrError or None
        Why it forms none; or, of secondary captures, why what it forms is no scan.
    """

    headers: tuple[Header, ...]
    volumes: tuple[Stack, ...] = ()
    refusal: FlrError | None = None


SeriesKey = tuple[str, ...]

_GROUPING: Final = (
    *(tags.CHARACTER_SET, tags.PATIENT_ID, tags.STUDY, tags.SERIES, tags.SOP_CLASS),
    *(tags.PHOTOMETRIC, tags.SAMPLES, tags.IMAGE_TYPE),
)
_LOOKS: Final = (
    *(tags.PHOTOMETRIC, tags.SAMPLES, tags.IMAGE_TYPE, tags.MOSAIC_CREATOR, tags.MOSAIC_TILES),
    tags.CHARACTER_SET,
)
_SIZES: Final = (
    *(tags.ROWS, tags.COLUMNS, tags.BITS_ALLOCATED, tags.NUMBER_OF_FRAMES),
    *(tags.FLOAT_PIXELS, tags.DOUBLE_PIXELS),
)


def group(headers: Iterable[Header]) -> dict[SeriesKey, list[Header]]:
    """Return headers by patient, study, series and class.

    Images without a series UID belong together if they lie in one folder. Localizers and
    colour pictures that some scanners put into the series of the slices are kept apart.

    Parameters
    ----------
    headers : iterable of Header
        Of images.

    Returns
    -------
    dict
        In the order in which they were first met.
    """
    groups: dict[SeriesKey, list[Header]] = {}
    for members in alike(headers, _GROUPING):
        if members[0].attributes.text(tags.SERIES):
            groups.setdefault(_series_key(members[0]), []).extend(members)
            continue
        for header in members:
            groups.setdefault(_series_key(header), []).append(header)
    return groups


def _series_key(header: Header) -> SeriesKey:
    a = header.attributes
    return (
        a.text(tags.PATIENT_ID),
        a.text(tags.STUDY),
        a.text(tags.SERIES) or header.file.folder,
        a.text(tags.SOP_CLASS),
        "" if _is_grey(header) else "colour",
        "localizer" if _says(header, "LOCALIZER") else "",
    )


def series_of(headers: Sequence[Header]) -> Series:
    """Return what the images of one series form.

    Parameters
    ----------
    headers : sequence of Header
        As `group` put them together.

    Returns
    -------
    Series
        Its volumes, or why it forms none.
    """
    kept = tuple(headers)
    try:
        _require_volume_class(kept)
        _require_pixels(kept)
        frames = _frames(kept)
        require_codings(frames)
        _require_all_parts(kept)
    except FlrError as refusal:
        return Series(kept, (), refusal)
    volumes, failure = stacks(frames)
    if failure is None and _says(kept[0], "LOCALIZER"):
        failure = _not_an_image(kept, "localizer images, which only serve to plan a scan")
    if failure is not None:
        return Series(kept, (), failure)
    caveats = doubts_of(kept)
    captured = kept[0].attributes.text(tags.SOP_CLASS) in SECONDARY_CAPTURES
    return Series(
        kept,
        tuple(Stack(v.frames, v.grid, v.part, v.caveats + caveats + doubts_of_stack(v)) for v in volumes),
        _not_an_image(kept, "secondary captures: copies of a screen, or masks") if captured else None,
    )


def _is_grey(header: Header) -> bool:
    a = header.attributes
    return a.text(tags.PHOTOMETRIC) in MONOCHROME and a.unsigned(tags.SAMPLES) in {1, None}


def _says(header: Header, word: str) -> bool:
    a = header.attributes
    return word.encode() in a.raw(tags.IMAGE_TYPE) and word in a.texts(tags.IMAGE_TYPE)


def _not_an_image(headers: Sequence[Header], what: str) -> NotAVolumeError:
    return NotAVolumeError(
        f"{headers[0].file.folder}: {len(headers)} of its files are {what}, which are no slices of a volume.",
        reason="not_an_image",
    )


def _require_volume_class(headers: Sequence[Header]) -> None:
    """Refuse colour, mosaics, and classes that are no CT or MR slices."""
    a = headers[0].attributes
    sop_class = a.text(tags.SOP_CLASS)
    is_image = sop_class in SLICE_CLASSES | ENHANCED_CLASSES | SECONDARY_CAPTURES or not sop_class
    kinds = [members[0] for members in alike(headers, _LOOKS)]
    for header in kinds:
        if is_image and not _is_grey(header) and tags.ROWS in a:
            photometric = header.attributes.text(tags.PHOTOMETRIC)
            raise NotAVolumeError(
                f"{header.file.label} is {photometric or 'of no stated colour model'}, not a grey image: its "
                "numbers are colours, not measurements.",
                reason="not_grayscale",
            )
    if not is_image:
        raise _not_an_image(headers, f"of the kind {class_name(sop_class)}")
    mosaics = [h for h in kinds if _is_mosaic(h)]
    if mosaics:
        raise NotAVolumeError(
            f"{mosaics[0].file.label} is a mosaic: it holds many slices side by side in one frame. "
            "Export it as separate slices.",
            reason="mosaic",
        )
    captured = sop_class in SECONDARY_CAPTURES
    if captured and not (
        a.floats(tags.POSITION) and a.floats(tags.ORIENTATION) and a.floats(tags.PIXEL_SPACING)
    ):
        raise _not_an_image(headers, f"of the kind {class_name(sop_class)}")


def _is_mosaic(header: Header) -> bool:
    a = header.attributes
    siemens = a.text(tags.MOSAIC_CREATOR).startswith("SIEMENS MR HEADER")
    return _says(header, "MOSAIC") or (siemens and bool(a.raw(tags.MOSAIC_TILES).strip(b" \0")))


def _require_pixels(headers: Sequence[Header]) -> None:
    """Refuse images without pixels, and those whose file is shorter than their pixels."""
    for members in alike(headers, _SIZES):
        header, a = members[0], members[0].attributes
        if tags.FLOAT_PIXELS in a or tags.DOUBLE_PIXELS in a:
            raise NotAVolumeError(
                f"{header.file.label} holds floating point pixels, which CT and MR images do not.",
                reason="unsupported_pixels",
            )
        if header.pixel_offset < 0:
            raise NotAVolumeError(
                f"{header.file.label} "
                + ("holds no pixels." if header.complete else "ends within its header: it is cut short."),
                reason="no_pixels" if header.complete else "truncated",
            )
        rows, columns, bits = (a.unsigned(t) or 0 for t in (tags.ROWS, tags.COLUMNS, tags.BITS_ALLOCATED))
        if not (0 < rows * columns <= MAX_SLICE_PIXELS and bits in {8, 16, 32}):
            raise NotAVolumeError(
                f"{header.file.label}: {columns} x {rows} pixels of {bits} bits cannot be read as an image.",
                reason="unsupported_pixels",
            )
        _require_lengths(members, rows * columns * bits // 8)


def _require_lengths(headers: Sequence[Header], frame_bytes: int) -> None:
    """Refuse files, alike but for where they begin, that are shorter or longer than their frames."""
    first = headers[0]
    if first.pixel_length == UNDEFINED:
        cut = next((header for header in headers if not is_closed(header)), None)
        if cut is not None:
            raise NotAVolumeError(
                f"{cut.file.label} is cut short within its compressed pixels. Copy it again.",
                reason="truncated",
            )
        return
    frames = first.attributes.integer(tags.NUMBER_OF_FRAMES) or 1
    needed, said = frames * frame_bytes, first.pixel_length
    for header in headers:
        there = said if header.syntax == DEFLATED else header.file.size - header.pixel_offset
        if said < needed or there < needed:
            raise _truncated(header, min(there, said), needed)
    if said >= needed + frame_bytes:
        raise NotAVolumeError(
            f"{first.file.label} says it holds {frames} frames of {frame_bytes} bytes, "
            f"but has {said} bytes of pixels.",
            reason="inconsistent_frames",
        )


def _require_all_parts(headers: Sequence[Header]) -> None:
    """Refuse an image of many frames of whose files, a concatenation, some are not there."""
    parts: dict[str, set[int | None]] = {}
    totals: dict[str, int] = {}
    for header in headers:
        a = header.attributes
        total = a.unsigned(tags.CONCATENATION_TOTAL)
        if total:
            uid = a.text(tags.CONCATENATION)
            parts.setdefault(uid, set()).add(a.unsigned(tags.CONCATENATION_PART))
            totals[uid] = max(total, totals.get(uid, 0))
    for uid, there in parts.items():
        if len(there) < totals[uid]:
            raise NotAVolumeError(
                f"{headers[0].file.folder}: of an image in {totals[uid]} files only {len(there)} are there. "
                "Export the series again.",
                reason="missing_slice",
            )


def _truncated(header: Header, there: int, needed: int) -> NotAVolumeError:
    return NotAVolumeError(
        f"{header.file.label} is cut short: it has {there} bytes of pixels and needs {needed}. "
        "Copy it again.",
        reason="truncated",
    )


def _frames(headers: Sequence[Header]) -> list[Frame]:
    frames: list[Frame] = []
    for members in alike(headers, SLICE_TAGS):
        a = members[0].attributes
        if a.text(tags.SOP_CLASS) in ENHANCED_CLASSES or tags.PER_FRAME_GROUPS in a:
            for header in members:
                frames.extend(frames_of(header))
            continue
        count = a.integer(tags.NUMBER_OF_FRAMES) or 1
        if count != 1:
            raise NotAVolumeError(
                f"{members[0].file.label} holds {count} frames without saying where each lies.",
                reason="missing_geometry",
            )
        frames.extend(slices_of(members))
    return frames
