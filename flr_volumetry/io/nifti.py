"""NIfTI-1 and NIfTI-2 headers: where the voxels lie, or why that cannot be known.

The header is read here field by field (nifti1.h, nifti2.h): the checks concern
fields that readers repair without a word.
"""

from __future__ import annotations

import math
import os
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from flr_volumetry.errors import Caveat, FlrError, NotAVolumeError, UnreadableError
from flr_volumetry.images import Grid
from flr_volumetry.io.files import stored
from flr_volumetry.io.voxelfile import Packing, VoxelFile, unpacked

if TYPE_CHECKING:
    import numpy.typing as npt

    from flr_volumetry.io.files import StoredFile

HEADER_BYTES: Final = 540
LPS_FROM_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
AGREE_MM: Final = 0.1
"""sform and qform that differ by less over the whole grid say the same: a quaternion in single
precision can be off by so much at the corner of a body scan."""
AGREE_VOXELS: Final = 0.5
"""Up to this part of the smallest voxel edge the sform is taken with a caveat; beyond it neither is."""
DESCRIPTION: Final = slice(148, 228)
"""Bytes of NIfTI-1's free text, `descrip`."""
_DESCRIPTION_2: Final = slice(240, 320)
MIN_SPACING: Final = 1e-6
QUATERNION_ATOL: Final = 1e-3
"""How much longer than 1 a quaternion may be through rounding; one that is more is none."""

_TYPES: Final = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}
_NOT_SCALAR: Final = {32: "complex", 128: "RGB", 1792: "complex", 2048: "complex", 2304: "RGBA"}
_UNITS_MM: Final = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}


class _Fields(NamedTuple):
    """What both versions of the header hold."""

    order: str
    dim: tuple[int, ...]
    datatype: int
    pixdim: tuple[float, ...]
    vox_offset: float
    slope: float
    intercept: float
    units: int
    qform_code: int
    sform_code: int
    quaternion: tuple[float, ...]
    qoffset: tuple[float, ...]
    sform: tuple[float, ...]
    magic: bytes
    words: str


def is_nifti(head: bytes) -> bool:
    """Whether a file that begins so, once unpacked, is NIfTI-1 or NIfTI-2."""
    size = int.from_bytes(head[:4], "little")
    if size in {348, 0x5C010000}:
        return head[344:347] in {b"n+1", b"ni1"}
    return size in {540, 0x1C020000} and head[4:7] in {b"n+2", b"ni2"} and len(head) >= HEADER_BYTES


def nifti_head(file: StoredFile, head: bytes) -> bytes:
    """Return the first bytes of a file, unpacked if it is gzipped; empty if that fails.

    Parameters
    ----------
    file : StoredFile
        Any file.
    head : bytes
        Its first bytes as they lie on the disk.

    Returns
    -------
    bytes
        At least `HEADER_BYTES`, if there are as many.
    """
    if head[:2] != b"\x1f\x8b":
        return head
    try:
        first = b""
        for piece in unpacked(file, 0, Packing.GZIP):
            first += piece[: HEADER_BYTES - len(first)]
            if len(first) >= HEADER_BYTES:
                break
    except FlrError:
        return b""
    return first


def read_nifti_header(file: StoredFile, head: bytes | None = None) -> VoxelFile:
    """Read the header of a NIfTI file.

    Parameters
    ----------
    file : StoredFile
        A .nii or .nii.gz file, or the .hdr of a pair.
    head : bytes, optional
        Its first bytes as they lie on the disk, if they were read already.

    Returns
    -------
    VoxelFile
        Its grid and where its voxels are.

    Raises
    ------
    UnreadableError
        If it is no NIfTI file, or damaged.
    NotAVolumeError
        If it holds no single scalar volume whose place in the patient is known.
    """
    packed = file.read(0, HEADER_BYTES) if head is None else head
    begin = nifti_head(file, packed)
    if not is_nifti(begin):
        raise UnreadableError(f"{file.label} is not a NIfTI file, or is cut short within its header.")
    fields = _fields(begin)
    shape = _shape(file, fields)
    if fields.datatype in _NOT_SCALAR:
        raise NotAVolumeError(
            f"{file.label} holds {_NOT_SCALAR[fields.datatype]} values, not one number for each voxel.",
            reason="not_scalar",
        )
    if fields.datatype not in _TYPES:
        raise UnreadableError(
            f"{file.label}: voxels of type {fields.datatype} are not read.", reason="unsupported_pixels"
        )
    affine, caveats = _affine(file, fields, shape)
    slope, intercept = _rescaling(file, fields)
    gzipped = packed[:2] == b"\x1f\x8b"
    data_file, offset = _data(file, fields)
    return VoxelFile(
        file,
        Grid(shape, LPS_FROM_RAS @ affine),
        np.dtype(fields.order + _TYPES[fields.datatype]),
        slope,
        intercept,
        data_file,
        0 if gzipped else offset,
        Packing.GZIP if gzipped else Packing.RAW,
        offset if gzipped else 0,
        fields={"descrip": fields.words},
        caveats=caveats,
    ).with_doubts()


def _fields(head: bytes) -> _Fields:
    size = int.from_bytes(head[:4], "little")
    order = "<" if size in {348, 540} else ">"

    def at(code: str, offset: int) -> tuple[float, ...]:
        return struct.unpack_from(order + code, head, offset)

    if head[344:347] in {b"n+1", b"ni1"} and size in {348, 0x5C010000}:
        dim, datatype, pixdim = at("8h", 40), at("h", 70), at("8f", 76)
        offset, (slope, intercept) = at("f", 108)[0], at("2f", 112)
        codes, rest = at("2h", 252), at("18f", 256)
        units, magic = at("b", 123)[0], head[344:348]
        words = head[DESCRIPTION]
    else:
        dim, datatype, pixdim = at("8q", 16), at("h", 12), at("8d", 104)
        offset, (slope, intercept) = float(at("q", 168)[0]), at("2d", 176)
        codes, rest = at("2i", 344), at("18d", 352)
        units, magic = at("i", 500)[0], head[4:8]
        words = head[_DESCRIPTION_2]
    return _Fields(
        order,
        tuple(int(n) for n in dim),
        int(datatype[0]),
        pixdim,
        offset,
        slope,
        intercept,
        int(units) & 7,
        int(codes[0]),
        int(codes[1]),
        rest[:3],
        rest[3:6],
        rest[6:],
        magic,
        words.split(b"\0", 1)[0].decode("latin-1"),
    )


def _shape(file: StoredFile, fields: _Fields) -> tuple[int, int, int]:
    count, sizes = fields.dim[0], fields.dim[1:]
    if not 1 <= count <= 7 or min(sizes[:count]) < 1:
        raise UnreadableError(f"{file.label}: its header gives impossible dimensions {fields.dim}.")
    extra = [n for n in sizes[3:count] if n > 1]
    if extra:
        raise NotAVolumeError(
            f"{file.label} has {count} dimensions {sizes[:count]}: it holds several volumes. "
            "Save the one that is meant as a file of its own.",
            reason="four_d",
        )
    if count < 3 or min(sizes[:3]) < 1:
        raise NotAVolumeError(f"{file.label} holds a single slice, not a volume.", reason="single_slice")
    if sizes[2] < 2:
        raise NotAVolumeError(f"{file.label} holds a single slice, not a volume.", reason="single_slice")
    return sizes[0], sizes[1], sizes[2]


def _rescaling(file: StoredFile, fields: _Fields) -> tuple[float, float]:
    """Return slope and intercept; a slope of 0 means none (nifti1.h, scl_slope), and so does NaN."""
    if fields.slope == 0 or math.isnan(fields.slope):
        return 1.0, 0.0
    if not math.isfinite(fields.slope) or not math.isfinite(fields.intercept):
        raise NotAVolumeError(
            f"{file.label}: a slope of {fields.slope:g} and an intercept of {fields.intercept:g} leave no "
            "values.",
            reason="bad_rescale",
        )
    return float(fields.slope), float(fields.intercept)


def _data(file: StoredFile, fields: _Fields) -> tuple[StoredFile, int]:
    if fields.magic[1:2] != b"+":
        names = [file.path.with_suffix(ending) for ending in (".img", ".IMG")]
        partner = next((name for name in names if os.path.isfile(name)), None)  # noqa: PTH113
        if file.member or file.path.suffix.lower() != ".hdr" or partner is None:
            raise UnreadableError(
                f"{file.label} keeps its voxels in a second file, {names[0].name}, which is not there."
            )
        if not math.isfinite(fields.vox_offset):
            raise _nowhere(file)
        return stored(partner), max(0, int(fields.vox_offset))
    least = 352 if fields.magic == b"n+1\0" else 544
    if not math.isfinite(fields.vox_offset) or not 0 <= fields.vox_offset < 1 << 40:
        raise _nowhere(file)
    return file, max(least, int(fields.vox_offset))


def _nowhere(file: StoredFile) -> UnreadableError:
    return UnreadableError(f"{file.label}: its voxels begin at an impossible place.")


def _affine(
    file: StoredFile, fields: _Fields, shape: tuple[int, int, int]
) -> tuple[npt.NDArray[np.float64], tuple[Caveat, ...]]:
    """Return the affine in RAS millimetres, and what is doubtful about it."""
    caveats: list[Caveat] = []
    known = {}
    if fields.sform_code > 0:
        known["sform"] = _sform(fields)
    if fields.qform_code > 0:
        known["qform"] = _qform(fields)
    if not known:
        raise NotAVolumeError(
            f"{file.label} does not say how its voxels lie in the patient (sform and qform codes are 0): "
            "left and right cannot be told. Convert the original DICOM series again.",
            reason="unknown_orientation",
        )
    for name, affine in known.items():
        if not _is_possible(affine):
            raise NotAVolumeError(
                f"{file.label}: its {name} gives voxels no volume or no finite place.",
                reason="missing_geometry",
            )
    if len(known) == 2:
        caveats.extend(_agreement(file, known["sform"], known["qform"], shape))
    chosen = known.get("sform", known.get("qform", LPS_FROM_RAS))
    scale = _UNITS_MM.get(fields.units, 1.0)
    if scale != 1.0:
        caveats.append(
            Caveat(
                "units_converted",
                f"{file.label} gives lengths in units of {scale:g} mm; they were converted.",
            )
        )
        chosen = np.diag([scale, scale, scale, 1.0]) @ chosen
    return chosen, tuple(caveats)


def _is_possible(affine: npt.NDArray[np.float64]) -> bool:
    if not np.isfinite(affine).all() or np.abs(affine).max() > 1e6:
        return False
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    return bool(
        lengths.min() > MIN_SPACING and abs(np.linalg.det(affine[:3, :3])) > 1e-3 * float(np.prod(lengths))
    )


def _agreement(
    file: StoredFile,
    sform: npt.NDArray[np.float64],
    qform: npt.NDArray[np.float64],
    shape: tuple[int, int, int],
) -> list[Caveat]:
    ends = np.array(
        [[i, j, k, 1] for i in (0, shape[0] - 1) for j in (0, shape[1] - 1) for k in (0, shape[2] - 1)]
    )
    apart = float(np.linalg.norm((ends @ (sform - qform).T)[:, :3], axis=1).max())
    edge = float(np.linalg.norm(sform[:3, :3], axis=0).min())
    if apart > max(AGREE_VOXELS * edge, MIN_SPACING):
        raise NotAVolumeError(
            f"{file.label} says in two ways where its voxels lie (sform and qform), and they differ by up to "
            f"{apart:.3g} mm. Convert the original DICOM series again, or remove the one that is wrong.",
            reason="sform_qform_disagree",
        )
    if apart <= AGREE_MM:
        return []
    return [
        Caveat(
            "sform_qform_differ",
            f"{file.label}: sform and qform differ by up to {apart:.2f} mm; the sform was used.",
        )
    ]


def _sform(fields: _Fields) -> npt.NDArray[np.float64]:
    affine = np.eye(4)
    affine[:3] = np.array(fields.sform, dtype=np.float64).reshape(3, 4)
    return affine


def _qform(fields: _Fields) -> npt.NDArray[np.float64]:
    """Return the rotation of a unit quaternion, scaled and shifted (nifti1.h, method 2)."""
    b, c, d = fields.quaternion
    rest = 1.0 - (b * b + c * c + d * d)
    if rest < -QUATERNION_ATOL:
        return np.zeros((4, 4))
    if rest < 0:
        norm = math.sqrt(1.0 - rest)
        b, c, d = b / norm, c / norm, d / norm
    a = math.sqrt(max(rest, 0.0))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b],
        ]
    )
    flip = -1.0 if fields.pixdim[0] < 0 else 1.0
    zooms = np.array(fields.pixdim[1:4], dtype=np.float64) * [1, 1, flip]
    affine = np.eye(4)
    with np.errstate(all="ignore"):
        affine[:3, :3] = rotation * zooms
    affine[:3, 3] = fields.qoffset
    return affine
