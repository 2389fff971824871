"""Masks and label maps as NIfTI-1, written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import struct
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flr_volumetry.errors import OutputError
from flr_volumetry.io.nifti import DESCRIPTION, LPS_FROM_RAS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

    from flr_volumetry.images import Grid, Image, LabelMap, Mask, Origin

HEADER_BYTES: Final = 352
"""The header and four bytes that say no extension follows."""
MAX_SIDE: Final = 32767
"""The most voxels along an axis that NIfTI-1 can say."""
SCANNER: Final = 1
"""Code of coordinates in the patient as scanned (NIFTI_XFORM_SCANNER_ANAT)."""
COMPRESSION: Final = 1
CHUNK_BYTES: Final = 1 << 20
_CODES: Final = {"uint8": 2, "int16": 4, "float32": 16, "uint16": 512}


def write_label_map(path: str | os.PathLike[str], label_map: LabelMap) -> None:
    """Write a label map as NIfTI.

    Parameters
    ----------
    path : path-like
        Ending in .nii.gz or .nii; an existing file is replaced.
    label_map : LabelMap
        What to write.

    Raises
    ------
    OutputError
        If the file cannot be written, or the name has another ending.
    """
    highest = int(label_map.voxels.max(initial=0))
    if highest > np.iinfo(np.uint16).max:
        raise OutputError(
            f"{path}: label {highest} is larger than NIfTI readers accept.", reason="label_too_large"
        )
    kind = np.uint8 if highest <= np.iinfo(np.uint8).max else np.uint16
    _write(
        path, label_map.grid, label_map.voxels.astype(kind, order="K", copy=False), label_map.source.origin
    )


def write_mask(path: str | os.PathLike[str], mask: Mask) -> None:
    """Write a mask as NIfTI, 1 inside and 0 outside.

    Parameters
    ----------
    path : path-like
        Ending in .nii.gz or .nii; an existing file is replaced.
    mask : Mask
        What to write.

    Raises
    ------
    OutputError
        If the file cannot be written, or the name has another ending.
    """
    _write(path, mask.grid, mask.voxels.view(np.uint8), mask.source.origin)


def write_image(path: str | os.PathLike[str], image: Image) -> None:
    """Write an image as NIfTI.

    Parameters
    ----------
    path : path-like
        Ending in .nii.gz or .nii; an existing file is replaced.
    image : Image
        What to write.

    Raises
    ------
    OutputError
        If the file cannot be written, or the name has another ending.
    """
    _write(path, image.grid, image.voxels)


def _write(
    path: str | os.PathLike[str], grid: Grid, voxels: npt.NDArray[Any], origin: Origin | None = None
) -> None:
    where = Path(path)
    packed = where.name.lower().endswith(".nii.gz")
    if not packed and where.suffix.lower() != ".nii":
        raise OutputError(f"{where}: a NIfTI file is named .nii.gz or .nii.", reason="bad_name")
    if max(grid.shape) > MAX_SIDE:
        raise OutputError(f"{where}: {grid.shape} voxels are more than NIfTI-1 can say.", reason="too_large")
    pieces = _pieces(_header(grid, voxels.dtype, origin), voxels)
    write_atomically(where, _gzipped(pieces) if packed else pieces)


def _pieces(header: bytes, voxels: npt.NDArray[Any]) -> Iterator[bytes | memoryview]:
    yield header
    little = voxels.astype(voxels.dtype.newbyteorder("<"), order="K", copy=False)
    flat = np.asfortranarray(little).T.reshape(-1).data.cast("B")
    for start in range(0, len(flat), CHUNK_BYTES):
        yield flat[start : start + CHUNK_BYTES]


def _gzipped(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    from isal import isal_zlib

    packer = isal_zlib.compressobj(level=COMPRESSION, wbits=31)
    for piece in pieces:
        yield packer.compress(piece)
    yield packer.flush()


def _header(grid: Grid, dtype: np.dtype[Any], origin: Origin | None) -> bytes:
    affine = LPS_FROM_RAS @ grid.affine
    spacing = grid.spacing_mm
    header = bytearray(HEADER_BYTES)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *grid.shape, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, _CODES[dtype.newbyteorder("=").name], dtype.itemsize * 8)
    flip = -1.0 if np.linalg.det(affine[:3, :3]) < 0 else 1.0
    struct.pack_into("<8f", header, 76, flip, *spacing, 1, 1, 1, 1)
    struct.pack_into("<3f", header, 108, float(HEADER_BYTES), 1.0, 0.0)
    header[123] = 2  # millimetres
    if origin is not None:
        words = origin.text.encode("ascii", "replace")[: DESCRIPTION.stop - DESCRIPTION.start - 1]
        header[DESCRIPTION.start : DESCRIPTION.start + len(words)] = words
    struct.pack_into("<12f", header, 280, *affine[:3].ravel())
    # A quaternion cannot say a shear: a tilted grid is told by its sform alone.
    orthogonal = grid.is_orthogonal
    struct.pack_into("<2h", header, 252, SCANNER if orthogonal else 0, SCANNER)
    if orthogonal:
        rotation = affine[:3, :3] / np.asarray(spacing) * [1, 1, flip]
        struct.pack_into("<6f", header, 256, *_quaternion(rotation), *affine[:3, 3])
    header[344:348] = b"n+1\0"
    return bytes(header)


def _quaternion(rotation: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    """Return b, c, d of the unit quaternion with a >= 0 (Bar-Itzhack 2000, doi:10.2514/2.4654).

    The eigenvector of the largest eigenvalue is right for every rotation, also where
    the usual formulas divide by almost nothing.
    """
    r = rotation
    k = np.array(
        [
            [r[0, 0] - r[1, 1] - r[2, 2], r[0, 1] + r[1, 0], r[0, 2] + r[2, 0], r[2, 1] - r[1, 2]],
            [r[0, 1] + r[1, 0], r[1, 1] - r[0, 0] - r[2, 2], r[1, 2] + r[2, 1], r[0, 2] - r[2, 0]],
            [r[0, 2] + r[2, 0], r[1, 2] + r[2, 1], r[2, 2] - r[0, 0] - r[1, 1], r[1, 0] - r[0, 1]],
            [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], r[0, 0] + r[1, 1] + r[2, 2]],
        ]
    )
    b, c, d, a = np.linalg.eigh(k)[1][:, -1]
    sign = math.copysign(1.0, a)
    return float(b * sign), float(c * sign), float(d * sign)


def is_full(error: OSError) -> bool:
    """Whether an error says that there is no room on the disk, or no more of it for this user."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def flush(path: Path) -> None:
    """Have the disk hold a file, or the names in a folder, where the system can.

    Parameters
    ----------
    path : Path
        Of either.
    """
    if sys.platform == "win32" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomically(path: Path, pieces: Iterable[bytes | memoryview]) -> None:
    """Write a file so that it is there whole, or as it was before.

    Parameters
    ----------
    path : Path
        Where; an existing file is replaced.
    pieces : iterable of bytes
        What.

    Raises
    ------
    OutputError
        If it cannot be written; nothing is left behind.
    """
    temporary = ""
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "wb") as stream:
            for piece in pieces:
                stream.write(piece)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror or error}.",
            reason="disk_full" if is_full(error) else OutputError.default_reason,
        ) from error
    finally:
        if temporary:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
