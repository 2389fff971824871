"""Voxels of NIfTI, NRRD and MetaImage files, whose headers differ and whose data do not."""

from __future__ import annotations

import bz2
import math
import os
import zlib
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flr_volumetry.errors import Caveat, UnreadableError
from flr_volumetry.io.files import stored

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from flr_volumetry.images import Grid
    from flr_volumetry.io.files import StoredFile

MAX_RATIO: Final = 1100
"""Deflate packs at most 1032 bytes into one (zlib, technical details); bzip2 is not held to it."""
READ_BYTES: Final = 1 << 18
WRITE_BYTES: Final = 1 << 20
MAX_VOXELS: Final = 1 << 34
GZIP_BYTES: Final = 18
"""The least that a gzip file is long."""


class Packing(Enum):
    """How the voxels are packed."""

    RAW = "raw"
    GZIP = "gzip"
    ZLIB = "zlib"
    BZIP2 = "bzip2"
    TEXT = "text"
    HEX = "hex"


@dataclass(frozen=True, slots=True)
class VoxelFile:
    """The header of a file of voxels.

    Parameters
    ----------
    file : StoredFile
        Which file was named.
    grid : Grid
        Where the voxels lie.
    dtype : dtype
        Of the stored numbers, with their byte order.
    slope, intercept : float
        Rescaling of stored numbers.
    data_file : StoredFile
        Where the voxels lie: the file itself, or a second one.
    data_offset : int
        Where they begin in it, packed or not.
    packing : Packing
        How they are packed.
    skipped : int
        Bytes that lie before them in what the file unpacks to.
    layers : int
        Values for each voxel, which vary faster than the columns.
    fields : dict of str to str
        Other entries of the header.
    caveats : tuple of Caveat
        What was found on the way.
    """

    file: StoredFile
    grid: Grid
    dtype: np.dtype[Any]
    slope: float
    intercept: float
    data_file: StoredFile
    data_offset: int
    packing: Packing
    skipped: int = 0
    layers: int = 1
    fields: dict[str, str] = field(default_factory=dict, repr=False)
    caveats: tuple[Caveat, ...] = ()

    @property
    def rescaled(self) -> bool:
        """Whether stored numbers are not the values themselves."""
        return self.slope != 1 or self.intercept != 0

    def stored(self) -> npt.NDArray[Any]:
        """Return the stored numbers, [column, row, slice] in Fortran order, in the machine's byte order.

        Returns
        -------
        ndarray
            With one more axis in front if there are several layers.

        Raises
        ------
        UnreadableError
            If the file is cut short or damaged.
        """
        shape = self.grid.shape if self.layers == 1 else (self.layers, *self.grid.shape)
        count = math.prod(shape)
        needed = count * self.dtype.itemsize
        self._require_possible(count, needed)
        try:
            flat = self._flat(count, needed)
        except MemoryError as error:
            raise UnreadableError(
                f"{self.file.label} needs {needed} bytes of memory, which are not to be had.",
                reason="too_large",
            ) from error
        return flat.reshape(shape, order="F")

    def _flat(self, count: int, needed: int) -> npt.NDArray[Any]:
        if self.packing is Packing.TEXT:
            return self._numbers(count)
        # Zeroed memory costs nothing until it is written to, and most of a mask never is.
        flat = np.zeros(count, dtype=self.dtype)
        buffer = flat.data.cast("B")
        if self.packing is Packing.RAW:
            got = self.data_file.readinto(self.data_offset, buffer)
        elif self.packing is Packing.HEX:
            data = self._digits()
            got = min(len(data), needed)
            buffer[:got] = data[:got]
        else:
            got = self._unpack_into(buffer)
        if got < needed:
            raise self._cut_short(got, needed)
        if not self.dtype.isnative:
            flat = flat.byteswap(inplace=True).view(self.dtype.newbyteorder("="))
        return flat

    def _digits(self) -> bytes:
        text = self.data_file.read(self.data_offset, self.data_file.size - self.data_offset)
        try:
            return bytes.fromhex(text.decode("ascii"))
        except ValueError as error:
            raise UnreadableError(f"{self.data_file.label}: its voxels are no hexadecimal digits.") from error

    def with_doubts(self) -> VoxelFile:
        """Return the header with the doubts that any format of voxels can raise.

        Returns
        -------
        VoxelFile
            With caveats if the file holds more than its header says, or if its place looks
            like nobody set it.
        """
        found = []
        surplus, slice_bytes = self._surplus(), math.prod(self.grid.shape[:2]) * self.dtype.itemsize
        if surplus >= slice_bytes:
            found.append(
                Caveat(
                    "extra_voxels",
                    f"{self.data_file.label} holds {surplus} bytes more than its header says; "
                    "if the size in the header is wrong, so is the volume.",
                )
            )
        if np.array_equal(np.abs(self.grid.affine), np.eye(4)):
            found.append(
                Caveat(
                    "default_geometry",
                    f"{self.file.label} has voxels of exactly 1 mm and its first one at the origin, which is "
                    "what programs write that were told nothing; check volumes, left and right.",
                )
            )
        return replace(self, caveats=self.caveats + tuple(found))

    def _surplus(self) -> int:
        """Return how many bytes of voxels there are beyond those needed, as far as that can be seen."""
        needed = math.prod((self.layers, *self.grid.shape)) * self.dtype.itemsize
        if self.packing is Packing.RAW:
            return self.data_file.size - self.data_offset - needed
        if self.packing is Packing.GZIP and not self.data_file.member and self.data_file.size >= GZIP_BYTES:
            # The last four bytes of a gzip member are the length of what it unpacks to (RFC 1952).
            end = self.data_file.read(self.data_file.size - 4, 4)
            return int.from_bytes(end, "little") - self.skipped - needed
        return 0

    def _require_possible(self, count: int, needed: int) -> None:
        there = self.data_file.size
        if self.packing is Packing.RAW:
            there -= self.data_offset
        elif self.packing in {Packing.GZIP, Packing.ZLIB}:
            there = there * MAX_RATIO
        elif self.packing is Packing.TEXT:
            there, needed = there - self.data_offset, count
        elif self.packing is Packing.HEX:
            there = (there - self.data_offset) // 2
        elif self.packing is Packing.BZIP2:
            there = there << 20
        if there < needed or count > MAX_VOXELS:
            raise self._cut_short(max(there, 0), needed)

    def _cut_short(self, got: int, needed: int) -> UnreadableError:
        return UnreadableError(
            f"{self.data_file.label} is cut short: it holds at most {got} of {needed} bytes of voxels. "
            "Copy it again.",
            reason="truncated",
        )

    def _unpack_into(self, buffer: memoryview) -> int:
        done, total, skip = 0, len(buffer), self.skipped
        for piece in unpacked(self.data_file, self.data_offset, self.packing):
            part = memoryview(piece)
            if skip:
                part, skip = part[skip:], max(0, skip - len(part))
            take = min(len(part), total - done)
            if np.frombuffer(part, dtype=np.uint8).any():
                buffer[done : done + take] = part[:take]
            done += take
            if done == total:
                break
        return done

    def _numbers(self, count: int) -> npt.NDArray[Any]:
        text = self.data_file.read(self.data_offset, self.data_file.size - self.data_offset)
        try:
            numbers = np.array(text.split()[:count], dtype=np.float64)
        except ValueError as error:
            raise UnreadableError(f"{self.data_file.label}: its voxels are no numbers.") from error
        if len(numbers) < count:
            raise self._cut_short(len(numbers), count)
        with np.errstate(all="ignore"):
            stored_as = numbers.astype(self.dtype.newbyteorder("="))
        if self.dtype.kind in "iu" and not np.array_equal(stored_as, numbers):
            raise UnreadableError(
                f"{self.data_file.label}: its voxels are no numbers of the type that it says, "
                f"{self.dtype.name}."
            )
        return stored_as


def partner_of(file: StoredFile, name: str) -> StoredFile:
    """Return the file in which another one keeps its voxels.

    Parameters
    ----------
    file : StoredFile
        The header.
    name : str
        As it says; relative to its folder.

    Returns
    -------
    StoredFile
        In its folder, or below.

    Raises
    ------
    UnreadableError
        If there is none, or it lies elsewhere.
    """
    parts = PurePosixPath(name.replace("\\", "/"))
    partner = file.path.parent / parts
    outside = parts.is_absolute() or ".." in parts.parts or not name or "\0" in name
    if file.member or outside or not os.path.isfile(partner):  # noqa: PTH113
        raise UnreadableError(f"{file.label} keeps its voxels in {name!r}, which is not a file beside it.")
    return stored(partner)


def unpacked(file: StoredFile, start: int, packing: Packing) -> Iterator[bytes]:
    """Yield what a packed file unpacks to, in pieces of bounded size.

    Parameters
    ----------
    file : StoredFile
        The file.
    start : int
        Where the packed data begins.
    packing : Packing
        How it is packed; not `Packing.RAW` or `Packing.TEXT`.

    Yields
    ------
    bytes
        The next piece.

    Raises
    ------
    UnreadableError
        If the data is damaged; where it is cut short, the pieces end early.
    """
    from isal import isal_zlib

    damaged: Any = (isal_zlib.error, OSError, EOFError, ValueError)

    def opened() -> Any:
        if packing is Packing.BZIP2:
            return bz2.BZ2Decompressor()
        window = zlib.MAX_WBITS | (16 if packing is Packing.GZIP else 0)
        return isal_zlib.decompressobj(wbits=window)

    offset, inflater = start, opened()
    try:
        while packed := file.read(offset, READ_BYTES):
            offset += len(packed)
            while packed:
                piece, before = inflater.decompress(packed, WRITE_BYTES), len(packed)
                yield piece
                if inflater.eof:
                    # A gzip file may hold several members, one after the other.
                    packed = inflater.unused_data.lstrip(b"\0")
                    inflater = opened()
                elif packing is Packing.BZIP2:
                    while not inflater.needs_input and not inflater.eof:
                        yield inflater.decompress(b"", WRITE_BYTES)
                    packed = inflater.unused_data
                else:
                    packed = inflater.unconsumed_tail
                    if not piece and len(packed) >= before:
                        return
    except damaged as error:
        raise UnreadableError(
            f"{file.label} is damaged: its packed data cannot be unpacked ({error})."
        ) from error
