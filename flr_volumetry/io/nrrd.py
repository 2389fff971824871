"""NRRD headers (teem.sourceforge.net/nrrd/format.html): where the voxels lie, or why that cannot be known."""

from __future__ import annotations

import math
import re
import sys
from typing import TYPE_CHECKING, Final

import numpy as np

from flr_volumetry.errors import NotAVolumeError, UnreadableError
from flr_volumetry.images import Grid
from flr_volumetry.io.voxelfile import Packing, VoxelFile, partner_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from flr_volumetry.io.files import StoredFile

MAGIC: Final = b"NRRD00"
MAX_HEADER_BYTES: Final = 1 << 22
"""Slicer writes a line for each property of each segment; a thousand of them stay below."""
MAX_LENGTH_MM: Final = 1e6

_TO_LPS: Final = {
    "left-posterior-superior": (1.0, 1.0, 1.0),
    "lps": (1.0, 1.0, 1.0),
    "right-anterior-superior": (-1.0, -1.0, 1.0),
    "ras": (-1.0, -1.0, 1.0),
    "left-anterior-superior": (1.0, -1.0, 1.0),
    "las": (1.0, -1.0, 1.0),
}
_TYPES: Final = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_PACKINGS: Final = {
    "raw": Packing.RAW,
    "gzip": Packing.GZIP,
    "gz": Packing.GZIP,
    "bzip2": Packing.BZIP2,
    "bz2": Packing.BZIP2,
    "text": Packing.TEXT,
    "txt": Packing.TEXT,
    "ascii": Packing.TEXT,
    "hex": Packing.HEX,
}
_UNITS_MM: Final = {
    **dict.fromkeys(("mm", "millimeter", "millimetre", "millimeters", "millimetres", "", "???"), 1.0),
    **dict.fromkeys(("um", "µm", "micron", "microns", "micrometer", "micrometre"), 0.001),
    **dict.fromkeys(("cm", "centimeter", "centimetre"), 10.0),
    **dict.fromkeys(("m", "meter", "metre"), 1000.0),
}
_VECTOR: Final = re.compile(r"none|\(([^()]*)\)")
_ALIASES: Final = {
    "centers": "centerings",
    "lineskip": "line skip",
    "byteskip": "byte skip",
    "datafile": "data file",
}


def read_nrrd_header(file: StoredFile) -> VoxelFile:
    """Read the header of an NRRD file.

    Parameters
    ----------
    file : StoredFile
        A .nrrd or .nhdr file.

    Returns
    -------
    VoxelFile
        Its grid and where its voxels are; the key/value pairs of the header in `fields`.

    Raises
    ------
    UnreadableError
        If it is no NRRD file, or damaged.
    NotAVolumeError
        If it holds no volume whose place in the patient is known.
    """
    fields, offset = _header(file)
    space = fields.get("space", "").strip().lower()
    if space not in _TO_LPS:
        raise NotAVolumeError(
            f"{file.label} does not say which way its axes point in the patient "
            f"({'its space is ' + repr(space) if space else 'it has no space'}): "
            "left and right cannot be told. "
            "Save it again from the program that made it, with a patient space.",
            reason="unknown_orientation",
        )
    layers, shape, affine = _lattice(file, fields, np.array(_TO_LPS[space]))
    packing = _PACKINGS.get(fields.get("encoding", "").lower())
    if packing is None:
        raise UnreadableError(f"{file.label}: voxels of encoding {fields.get('encoding')!r} are not read.")
    dtype = _dtype(file, fields)
    data_file, offset = _data(file, fields, offset)
    needed = math.prod((layers, *shape)) * dtype.itemsize
    offset, skipped = _skips(file, fields, data_file, offset, packing, needed)
    return VoxelFile(
        file,
        Grid(shape, affine),
        dtype,
        1.0,
        0.0,
        data_file,
        offset,
        packing,
        skipped,
        layers=layers,
        fields=fields,
    ).with_doubts()


def _header(file: StoredFile) -> tuple[dict[str, str], int]:
    """Return the fields by lower-case name, key/value pairs by their own, and where the data begins."""
    data = file.read(0, MAX_HEADER_BYTES)
    if not data.startswith(MAGIC):
        raise UnreadableError(f"{file.label} is not an NRRD file.")
    end = re.search(rb"\r?\n\r?\n", data)
    text = data[: end.start() if end else len(data)].decode("utf-8", "replace")
    fields: dict[str, str] = {}
    for line in text.splitlines()[1:]:
        if line.startswith("#"):
            continue
        key, separator, value = line.partition(":=")
        name = key
        if not separator:
            key, separator, value = line.partition(":")
            name = key.strip().lower()
            name = _ALIASES.get(name, name)
        if not separator or name in fields:
            raise UnreadableError(f"{file.label}: its header has a line that cannot be read: {line[:80]!r}.")
        fields[name] = value.strip()
    return fields, end.end() if end else len(data)


def _whole(file: StoredFile, fields: dict[str, str], name: str) -> list[int]:
    try:
        return [int(part) for part in fields.get(name, "").split()]
    except ValueError as error:
        raise UnreadableError(
            f"{file.label}: its {name} are no whole numbers: {fields[name][:80]!r}."
        ) from error


def _lattice(
    file: StoredFile, fields: dict[str, str], to_lps: npt.NDArray[np.float64]
) -> tuple[int, tuple[int, int, int], npt.NDArray[np.float64]]:
    """Return the layers, the shape, and the affine in LPS millimetres."""
    sizes = _whole(file, fields, "sizes")
    if _whole(file, fields, "dimension") != [len(sizes)] or not sizes or min(sizes) < 1:
        raise UnreadableError(f"{file.label}: its header gives impossible sizes {sizes}.")
    columns = _directions(file, fields, len(sizes))
    spatial = [n for n, column in enumerate(columns) if column is not None]
    steps = [column for column in columns if column is not None]
    others = [n for n in range(len(sizes)) if n not in spatial and sizes[n] > 1]
    if len(spatial) != 3 or (others and others != [0]):
        raise NotAVolumeError(
            f"{file.label} has axes of {sizes}, of which {len(spatial)} lie in the patient: "
            "it holds several volumes.",
            reason="four_d" if len(sizes) > 3 else "missing_geometry",
        )
    kinds = fields.get("kinds", "").lower().split()
    declares = any(key.startswith("Segment") for key in fields)
    if others and not (declares and kinds[:1] in (["list"], ["vector"])):
        raise NotAVolumeError(
            f"{file.label} holds {sizes[0]} values of kind {kinds[:1]} for each voxel, not one.",
            reason="four_d" if kinds[:1] == ["list"] else "not_scalar",
        )
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack(steps)
    affine[:3, 3] = _vector(file, fields.get("space origin", ""), "space origin")
    affine[:3] *= to_lps[:, None] * _unit_mm(file, fields)
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if np.abs(affine).max() > MAX_LENGTH_MM or abs(np.linalg.det(affine[:3, :3])) <= 1e-3 * np.prod(lengths):
        raise NotAVolumeError(
            f"{file.label}: its directions give voxels no volume.", reason="missing_geometry"
        )
    shape = (sizes[spatial[0]], sizes[spatial[1]], sizes[spatial[2]])
    if shape[2] < 2 and not declares:
        raise NotAVolumeError(f"{file.label} holds a single slice, not a volume.", reason="single_slice")
    return sizes[0] if others else 1, shape, affine


def _unit_mm(file: StoredFile, fields: dict[str, str]) -> float:
    """Return the unit of the patient's axes, mm; millimetres where the file does not say."""
    named = set(re.findall(r'"([^"]*)"', fields.get("space units", "")))
    found = {_UNITS_MM.get(name.strip().lower()) for name in named} or {1.0}
    unit = found.pop()
    if found or unit is None:
        raise NotAVolumeError(
            f"{file.label}: its axes are in units of {', '.join(sorted(named))[:80]!r}, which are not read.",
            reason="missing_geometry",
        )
    return unit


def _directions(file: StoredFile, fields: dict[str, str], count: int) -> list[npt.NDArray[np.float64] | None]:
    text = fields.get("space directions", "").strip()
    parts = _VECTOR.findall(text)
    named = [match.group(0) for match in _VECTOR.finditer(text)]
    if len(parts) != count:
        raise NotAVolumeError(
            f"{file.label} does not say how its voxels lie in the patient (space directions: {text[:80]!r}).",
            reason="missing_geometry",
        )
    return [None if name == "none" else _vector(file, name, "space directions") for name in named]


def _vector(file: StoredFile, text: str, name: str) -> npt.NDArray[np.float64]:
    try:
        numbers = np.array([float(part) for part in text.strip().strip("()").split(",")])
    except ValueError:
        numbers = np.array([])
    if numbers.shape != (3,) or not np.isfinite(numbers).all():
        raise NotAVolumeError(
            f"{file.label}: its {name} {text[:80]!r} is no point in millimetres.", reason="missing_geometry"
        )
    return numbers


def _dtype(file: StoredFile, fields: dict[str, str]) -> np.dtype[np.generic]:
    wanted = fields.get("type", "").lower()
    code = next((code for code, names in _TYPES.items() if wanted in names), "")
    if not code:
        raise UnreadableError(
            f"{file.label}: voxels of type {wanted!r} are not read.", reason="unsupported_pixels"
        )
    endian = fields.get("endian", "").lower()
    if endian not in {"little", "big"}:
        if code not in {"i1", "u1"} and _PACKINGS.get(fields.get("encoding", "").lower()) is not Packing.TEXT:
            raise UnreadableError(f"{file.label} does not say its byte order.")
        endian = sys.byteorder
    return np.dtype(("<" if endian == "little" else ">") + code)


def _data(file: StoredFile, fields: dict[str, str], offset: int) -> tuple[StoredFile, int]:
    name = fields.get("data file")
    if name is None:
        return file, offset
    if name.startswith("LIST") or "%" in name:
        raise UnreadableError(f"{file.label} keeps its voxels in several files, which are not read.")
    return partner_of(file, name), 0


def _skips(
    file: StoredFile,
    fields: dict[str, str],
    data_file: StoredFile,
    offset: int,
    packing: Packing,
    needed: int,
) -> tuple[int, int]:
    """Return where the data begins after the lines and bytes to be skipped, and how much once unpacked."""
    lines, skip = (_whole(file, fields, name) or [0] for name in ("line skip", "byte skip"))
    if len(lines) != 1 or len(skip) != 1 or lines[0] < 0 or skip[0] < -1:
        raise UnreadableError(f"{file.label}: its line skip or byte skip is no number of lines or bytes.")
    if lines[0]:
        head = data_file.read(offset, MAX_HEADER_BYTES).split(b"\n", lines[0])
        if len(head) <= lines[0]:
            raise UnreadableError(f"{data_file.label} has fewer lines than are to be skipped.")
        offset += sum(len(line) + 1 for line in head[: lines[0]])
    if skip[0] == -1:
        # "Skip to the end" is defined for raw data alone (format.html, byte skip).
        if packing is not Packing.RAW or data_file.size - offset < needed:
            raise UnreadableError(f"{file.label}: a byte skip of -1 has no meaning for its data.")
        return data_file.size - needed, 0
    return (offset, skip[0]) if packing in {Packing.GZIP, Packing.BZIP2} else (offset + skip[0], 0)
