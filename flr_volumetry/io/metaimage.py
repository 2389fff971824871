"""MetaImage headers (.mha, .mhd): where the voxels lie, or why that cannot be known."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from flr_volumetry.errors import NotAVolumeError, UnreadableError
from flr_volumetry.images import Grid
from flr_volumetry.io.voxelfile import Packing, VoxelFile, partner_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from flr_volumetry.io.files import StoredFile

MAX_HEADER_BYTES: Final = 1 << 16
MAX_LENGTH_MM: Final = 1e6
ALONG: Final = 0.7
"""Least cosine to an axis of the patient for its letter to be meant; 45 degrees."""

_TYPES: Final = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
# A letter names where an axis starts: R is "from right to left", which is +x of LPS.
_LETTERS: Final = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "I": (2, 1), "S": (2, -1)}


def is_metaimage(head: bytes) -> bool:
    """Whether a file that begins so is a MetaImage."""
    first = head[:512].lstrip()
    return first.startswith((b"ObjectType", b"NDims")) and b"=" in first


def read_metaimage_header(file: StoredFile) -> VoxelFile:
    """Read the header of a MetaImage file.

    Parameters
    ----------
    file : StoredFile
        A .mha or .mhd file.

    Returns
    -------
    VoxelFile
        Its grid and where its voxels are.

    Raises
    ------
    UnreadableError
        If it is no MetaImage, or damaged.
    NotAVolumeError
        If it holds no single scalar volume whose place in the patient is known.
    """
    fields, offset = _header(file)
    sizes = [int(n) for n in _numbers(file, fields, "DimSize")]
    if _numbers(file, fields, "NDims") != [float(len(sizes))] or not sizes or min(sizes) < 1:
        raise UnreadableError(f"{file.label}: its header gives impossible sizes {sizes}.")
    if len(sizes) == 3 and sizes[2] < 2:
        raise NotAVolumeError(f"{file.label} holds a single slice, not a volume.", reason="single_slice")
    if len(sizes) != 3:
        reason = "four_d" if len(sizes) > 3 else "single_slice"
        raise NotAVolumeError(f"{file.label} has {len(sizes)} dimensions, not three.", reason=reason)
    if fields.get("ElementNumberOfChannels", "1") != "1":
        raise NotAVolumeError(
            f"{file.label} holds several values for each voxel, not one.", reason="not_scalar"
        )
    element = fields.get("ElementType", "")
    if element not in _TYPES:
        raise UnreadableError(
            f"{file.label}: voxels of type {element!r} are not read.", reason="unsupported_pixels"
        )
    big = _says(fields, "BinaryDataByteOrderMSB") or _says(fields, "ElementByteOrderMSB")
    dtype = np.dtype((">" if big else "<") + _TYPES[element])
    packing = Packing.ZLIB if _says(fields, "CompressedData") else Packing.RAW
    if not _says(fields, "BinaryData", default="True"):
        packing = Packing.TEXT
    data_file, offset = _data(file, fields, offset, math.prod(sizes) * dtype.itemsize)
    grid = Grid((sizes[0], sizes[1], sizes[2]), _affine(file, fields))
    return VoxelFile(file, grid, dtype, 1.0, 0.0, data_file, offset, packing, fields=fields).with_doubts()


def _header(file: StoredFile) -> tuple[dict[str, str], int]:
    data = file.read(0, MAX_HEADER_BYTES)
    if not is_metaimage(data):
        raise UnreadableError(f"{file.label} is not a MetaImage file.")
    fields: dict[str, str] = {}
    pos = 0
    while pos < len(data):
        end = data.find(b"\n", pos)
        end = len(data) if end < 0 else end
        key, separator, value = data[pos:end].decode("utf-8", "replace").partition("=")
        pos = end + 1
        if not separator:
            continue
        fields[key.strip()] = value.strip()
        if key.strip() == "ElementDataFile":
            return fields, pos
    raise UnreadableError(
        f"{file.label} is cut short within its header, or does not say where its voxels are."
    )


def _says(fields: dict[str, str], name: str, *, default: str = "False") -> bool:
    return fields.get(name, default).lower() in {"true", "1"}


def _numbers(file: StoredFile, fields: dict[str, str], *names: str) -> list[float]:
    for name in names:
        if name in fields:
            try:
                numbers = [float(part) for part in fields[name].split()]
            except ValueError:
                numbers = [float("nan")]
            if not np.isfinite(numbers).all() or max(map(abs, numbers), default=0) > 1e12:
                raise UnreadableError(f"{file.label}: {name} is {fields[name][:80]!r}, not numbers.")
            return numbers
    return []


def _affine(file: StoredFile, fields: dict[str, str]) -> npt.NDArray[np.float64]:
    """Return the affine in LPS millimetres, which is what the format means by its world."""
    spacing = _numbers(file, fields, "ElementSpacing", "ElementSize")
    origin = _numbers(file, fields, "Offset", "Position", "Origin")
    matrix = _numbers(file, fields, "TransformMatrix", "Rotation", "Orientation")
    letters = fields.get("AnatomicalOrientation", "???").upper()
    meant = [_LETTERS.get(letter) for letter in letters]
    if not matrix:
        axes = {axis for axis, _ in (m for m in meant if m)}
        if len(meant) != 3 or len(axes) != 3:
            raise NotAVolumeError(
                f"{file.label} does not say which way its axes point in the patient (no TransformMatrix): "
                "left and right cannot be told. Save it again from the program that made it.",
                reason="unknown_orientation",
            )
        directions = np.zeros((3, 3))
        for column, place in enumerate(m for m in meant if m):
            directions[place[0], column] = place[1]
    elif len(matrix) == 9:
        directions = np.array(matrix).reshape(3, 3).T
        _require_same_letters(file, directions, letters)
    else:
        directions = np.zeros((3, 3))
    affine = np.eye(4)
    if len(spacing) == 3 and len(origin) == 3:
        affine[:3, :3] = directions * spacing
        affine[:3, 3] = origin
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    impossible = np.abs(affine).max() > MAX_LENGTH_MM or len(spacing) != 3 or len(origin) != 3
    if impossible or abs(np.linalg.det(affine[:3, :3])) <= 1e-3 * np.prod(lengths):
        raise NotAVolumeError(
            f"{file.label}: spacing, origin or directions are missing or give voxels no volume.",
            reason="missing_geometry",
        )
    return affine


def _require_same_letters(file: StoredFile, directions: npt.NDArray[np.float64], letters: str) -> None:
    """Refuse an AnatomicalOrientation that contradicts the directions."""
    for column, letter in enumerate(letters[:3]):
        axis, sign = _LETTERS.get(letter, (0, 0))
        length = float(np.linalg.norm(directions[:, column]))
        if sign and length and directions[axis, column] * sign / length < -ALONG:
            raise NotAVolumeError(
                f"{file.label} says {letters} of its axes, but its TransformMatrix says the contrary.",
                reason="unknown_orientation",
            )


def _data(file: StoredFile, fields: dict[str, str], offset: int, needed: int) -> tuple[StoredFile, int]:
    name = fields["ElementDataFile"]
    if name.upper() == "LOCAL":
        return file, offset
    partner = partner_of(file, name)
    try:
        skip = int(fields.get("HeaderSize", "0"))
    except ValueError:
        skip = -2
    if skip == -1 and not _says(fields, "CompressedData"):
        skip = max(0, partner.size - needed)
    if skip < 0:
        raise UnreadableError(f"{file.label}: a HeaderSize of {fields['HeaderSize'][:20]!r} is not read.")
    return partner, skip
