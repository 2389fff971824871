"""Images: one volume out of what lies under a path, or a refusal that says why."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flr_volumetry.errors import AmbiguousError, Caveat, FlrError, NotAVolumeError, UnreadableError
from flr_volumetry.images import Image, Origin, Source
from flr_volumetry.io.dicom import mask_tags, tags
from flr_volumetry.io.dicom.pixels import read_pixels
from flr_volumetry.io.files import digest
from flr_volumetry.io.scan import Found, Scan, scan

if TYPE_CHECKING:
    import numpy.typing as npt

    from flr_volumetry.io.voxelfile import VoxelFile

INT16: Final = np.iinfo(np.int16)
LISTED: Final = 12
"""How many series or files a message names."""
SHORT_UID: Final = 12
"""How much of a UID a list shows: its end, where the UIDs of one study differ."""
MAX_LISTED_NUMBER_DIGITS: Final = 4


def read_image(path: str | os.PathLike[str], *, series: str | None = None) -> Image:
    """Read a CT or MR image.

    Parameters
    ----------
    path : path-like
        A folder (with all it holds), a DICOM file of many frames, a zip archive, or a
        NIfTI, NRRD or MetaImage file.
    series : str, optional
        Which series, if there are several: its number in the list that the refusal
        gives, its series UID, or the beginning or end of that.

    Returns
    -------
    Image
        On the grid that the files say, never resampled.

    Raises
    ------
    UnreadableError
        If there is no such path, no image under it, or a file is damaged.
    NotAVolumeError
        If the images do not form one regular volume.
    AmbiguousError
        If there are several volumes and `series` does not choose one.
    """
    where = os.fspath(path)
    found = scan([where])
    chosen = choose(found, where, series=series)
    return load(chosen, where, caveats=found.caveats + _damaged(found) + _left_out(found, chosen, series))


def choose(found: Scan, where: str, *, series: str | None = None) -> Found:
    """Return the one volume of a scan that is meant.

    Parameters
    ----------
    found : Scan
        What there is.
    where : str
        The path that was scanned, for messages.
    series : str, optional
        As for `read_image`.

    Returns
    -------
    Found
        A readable image.

    Raises
    ------
    UnreadableError, NotAVolumeError, AmbiguousError
        If there is none, or not just one.
    """
    images = found.images()
    readable = [item for item in images if item.is_readable]
    if series is not None:
        return _matching(images, readable, where, series)
    patients = {item.text(tags.PATIENT_ID) for item in images if item.headers}
    if len(patients) > 1 and readable:
        raise AmbiguousError(
            f"{where} holds images of {len(patients)} patients; they are never joined. "
            f"Choose a series with --series:\n{_list(readable)}",
            reason="multiple_patients",
        )
    if len(readable) == 1:
        return readable[0]
    if readable:
        raise AmbiguousError(
            f"{where} holds {len(readable)} volumes. Choose one with --series:\n{_list(readable)}",
            reason="several_series",
        )
    raise _nothing_readable(found, images, where)


def _nothing_readable(found: Scan, images: list[Found], where: str) -> FlrError:
    damaged = found.damaged()
    if not images and damaged and damaged[0].refusal and len(found.found) == len(damaged):
        return damaged[0].refusal
    refused = [item for item in images if item.refusal is not None]
    volumes = [item for item in refused if item.refusal and item.refusal.reason != "not_an_image"]
    if not volumes and len(refused) == len(found.found):
        volumes = refused
    if not volumes:
        kinds = ", ".join(sorted({item.refusal.message for item in found.found if item.refusal})[:3])
        return UnreadableError(
            f"{where} holds no image that can be read" + (f": {kinds}" if kinds else "; it is empty."),
            reason="no_images",
        )
    first = max(_by_reason(volumes), key=lambda group: sum(len(item.files) for item in group))[0].refusal
    if first is None or len(volumes) == 1:
        return first or UnreadableError(f"{where} holds no image.", reason="no_images")
    others = "\n".join(f"  {item.path}: {item.refusal.message}" for item in volumes[:LISTED] if item.refusal)
    return type(first)(
        f"{where} holds {len(volumes)} series, and none is a volume:\n{others}", reason=first.reason
    )


def _by_reason(items: list[Found]) -> list[list[Found]]:
    groups: dict[str, list[Found]] = {}
    for item in items:
        groups.setdefault(item.refusal.reason if item.refusal else "", []).append(item)
    return list(groups.values())


def describe(item: Found) -> str:
    """Return one line on a volume: what a person needs to choose it.

    Parameters
    ----------
    item : Found
        A readable image.

    Returns
    -------
    str
        Its number, description, size and UID, without the name of the patient.
    """
    grid = item.stack.grid if item.stack else item.voxels.grid if item.voxels else None
    size = " x ".join(map(str, grid.shape)) if grid else "?"
    parts = [
        f"series {item.text(tags.SERIES_NUMBER)}" if item.text(tags.SERIES_NUMBER) else "",
        item.text(tags.MODALITY),
        item.text(tags.SERIES_DESCRIPTION),
        item.stack.part if item.stack else "",
        size,
        f"UID ...{item.text(tags.SERIES)[-SHORT_UID:]}" if item.text(tags.SERIES) else item.path,
    ]
    return ", ".join(part for part in parts if part)


def _list(readable: list[Found]) -> str:
    if not readable:
        return "  (none of them is a volume)"
    lines = [f"  {number}: {describe(item)}" for number, item in enumerate(readable, 1)]
    return "\n".join(lines)


def _matching(images: list[Found], readable: list[Found], where: str, series: str) -> Found:
    if series.isdecimal() and len(series) <= MAX_LISTED_NUMBER_DIGITS and 0 < int(series) <= len(readable):
        return readable[int(series) - 1]
    uids = {item.text(tags.SERIES) for item in images if item.text(tags.SERIES)}
    hits = {uid for uid in uids if uid == series} or {
        u for u in uids if u.startswith(series) or u.endswith(series)
    }
    meant = [item for item in images if item.text(tags.SERIES) in hits]
    volumes = [item for item in meant if item.is_readable]
    if len(volumes) == 1 and len(hits) == 1:
        return volumes[0]
    if len(hits) == 1 and meant and meant[0].refusal:
        raise meant[0].refusal
    if not hits:
        raise AmbiguousError(
            f"{where} holds no series {series!r}. Choose one of:\n{_list(readable)}", reason="unknown_series"
        )
    raise AmbiguousError(
        f"{series!r} fits several volumes in {where}. Choose one by its number:\n{_list(readable)}",
        reason="several_series",
    )


def _damaged(found: Scan) -> tuple[Caveat, ...]:
    """Say which files could not be read at all: each may be a slice that is missing at an end."""
    damaged = found.damaged()
    if not damaged:
        return ()
    named = ", ".join(item.files[0].name for item in damaged[:LISTED])
    return (
        Caveat(
            "unreadable_files",
            f"{len(damaged)} files beside the images are damaged and may belong to them: {named}. "
            "Whether the first or last slices are missing cannot be seen.",
        ),
    )


def _left_out(found: Scan, chosen: Found, series: str | None) -> tuple[Caveat, ...]:
    """Say which refused images lie beside the one read, unless it was asked for by name."""
    refused = [item for item in found.images() if item is not chosen and item.refusal is not None]
    if not refused or series is not None:
        return ()
    named = "; ".join(
        f"{item.text(tags.SERIES_DESCRIPTION) or item.path} ({item.refusal.reason})"
        for item in refused[:LISTED]
        if item.refusal
    )
    return (
        Caveat("series_left_out", f"{len(refused)} other series are no volumes and were left out: {named}."),
    )


def load(item: Found, where: str, *, caveats: tuple[Caveat, ...] = ()) -> Image:
    """Read the voxels of an image found by a scan.

    Parameters
    ----------
    item : Found
        A readable image.
    where : str
        The path the user named.
    caveats : tuple of Caveat, optional
        What else the reader must know.

    Returns
    -------
    Image
        With its source.

    Raises
    ------
    FlrError
        If its files turn out to be damaged.
    """
    if item.refusal is not None:
        raise item.refusal
    with ThreadPoolExecutor(1) as background:
        # Hashing releases the interpreter and finds the files in the page cache.
        sha256 = background.submit(digest, item.files)
        if item.stack is not None:
            pixels = read_pixels(item.stack.frames)
            grid, voxels, padding = item.stack.grid, pixels.voxels, pixels.padding
            own = item.stack.caveats + pixels.caveats
        elif item.voxels is not None:
            grid, padding = item.voxels.grid, None
            voxels, own = _voxels(item.voxels)
        else:
            raise UnreadableError(f"{item.path} is no image.", reason="no_images")
        source = source_of(item, where, sha256.result())
    return Image(grid, voxels, source, padding, _distinct(own + caveats))


def _distinct(caveats: tuple[Caveat, ...]) -> tuple[Caveat, ...]:
    return tuple({caveat.code: caveat for caveat in reversed(caveats)}.values())[::-1]


def source_of(item: Found, where: str, sha256: str) -> Source:
    """Return where something was read from.

    Parameters
    ----------
    item : Found
        What was read.
    where : str
        The path the user named.
    sha256 : str
        Digest of its files.

    Returns
    -------
    Source
        With what its headers say.
    """
    dates = (tags.ACQUISITION_DATE, tags.SERIES_DATE, tags.CONTENT_DATE, tags.STUDY_DATE)
    return Source(
        path=where,
        sha256=sha256,
        modality=item.text(tags.MODALITY),
        patient_id=item.text(tags.PATIENT_ID),
        study_uid=item.text(tags.STUDY),
        series_uid=item.text(tags.SERIES),
        description=item.text(tags.SERIES_DESCRIPTION),
        acquired=next((item.text(tag) for tag in dates if item.text(tag)), ""),
        n_files=len(item.files),
        origin=_origin(item),
    )


def _origin(item: Found) -> Origin | None:
    """Return the back-end that a file of masks names; of a DICOM segmentation, that of its first segment."""
    if item.voxels is not None:
        return Origin.from_text(item.voxels.fields.get("descrip", ""))
    segments = item.headers[0].attributes.items(tags.SEGMENTS) if item.headers else []
    if not segments or segments[0].text(mask_tags.SEGMENT_ALGORITHM_TYPE) in {"", "MANUAL"}:
        return None
    name = segments[0].text(mask_tags.SEGMENT_ALGORITHM_NAME).strip()
    return Origin(name) if name else None


def _voxels(header: VoxelFile) -> tuple[npt.NDArray[Any], tuple[Caveat, ...]]:
    """Return the values of a file of voxels as int16 if all fit, else float32."""
    if header.layers != 1:
        raise NotAVolumeError(
            f"{header.file.label} holds {header.layers} values for each voxel, not one.", reason="four_d"
        )
    stored = header.stored()
    values = _rescaled(stored, header) if header.rescaled else stored
    if values.dtype.kind in "iu":
        if values.dtype != np.int16:
            low, high = int(values.min()), int(values.max())
            fits = low >= INT16.min and high <= INT16.max
            values = values.astype(np.int16 if fits else np.float32, order="K")
    else:
        with np.errstate(over="ignore"):
            values = values.astype(np.float32, order="K", copy=False)
    caveats = header.caveats
    if values.dtype == np.float32 and not np.isfinite(values).all():
        count = int(np.count_nonzero(~np.isfinite(values)))
        caveats += (Caveat("not_finite", f"{count} voxels of {header.file.label} hold no finite number."),)
    return values, caveats


def _rescaled(stored: npt.NDArray[Any], header: VoxelFile) -> npt.NDArray[Any]:
    """Rescale slice by slice, in double precision; whole numbers stay whole."""
    slope, intercept = header.slope, header.intercept
    if stored.dtype.kind in "iu" and slope == int(slope) and intercept == int(intercept):
        ends = [int(n) * int(slope) + int(intercept) for n in (stored.min(), stored.max())]
        if min(ends) >= INT16.min and max(ends) <= INT16.max:
            whole = np.empty(stored.shape, dtype=np.int16, order="F")
            for k in range(stored.shape[2]):
                whole[..., k] = stored[..., k].astype(np.int64) * int(slope) + int(intercept)
            return whole
    values = np.empty(stored.shape, dtype=np.float32, order="F")
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(stored.shape[2]):
            values[..., k] = stored[..., k] * slope + intercept
    return values
