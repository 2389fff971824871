"""Files as they lie in folders and archives, and their digests."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flr_volumetry.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MAX_WORKERS = 4
ARCHIVE_SUFFIX = ".zip"
ARCHIVE_MAGIC = b"PK"
NOT_DATA = ("__MACOSX",)
"""Folders that archivers leave behind."""

_BROKEN_ARCHIVE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file in a folder, or a member of a zip archive.

    Parameters
    ----------
    where : str
        The path of the file, or of the archive.
    size : int
        Its length, bytes; of a member, unpacked.
    member : str
        Name inside the archive; empty for a file of its own.
    archive : ZipFile or None
        The open archive, shared by its members.
    """

    where: str
    size: int
    member: str = ""
    archive: zipfile.ZipFile | None = field(default=None, repr=False, compare=False)

    @property
    def path(self) -> Path:
        """The file, or the archive."""
        return Path(self.where)

    @property
    def label(self) -> str:
        """What to call it in a message."""
        return f"{self.where}!{self.member}" if self.member else self.where

    @property
    def name(self) -> str:
        """Last part of its path."""
        return self.member.rsplit("/", 1)[-1] if self.member else os.path.basename(self.where)  # noqa: PTH119

    @property
    def folder(self) -> str:
        """Where it lies."""
        if not self.member:
            return os.path.dirname(self.where) or os.curdir  # noqa: PTH120
        inside = self.member.rpartition("/")[0]
        return f"{self.where}!{inside}" if inside else self.where

    def read(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset`; fewer where the file ends.

        Parameters
        ----------
        offset, length : int
            Bytes.

        Returns
        -------
        bytes
            What is there.

        Raises
        ------
        UnreadableError
            If the file is gone, may not be read, or its archive is damaged.
        """
        length = max(0, min(length, self.size - offset))
        try:
            if self.archive is not None:
                with self.archive.open(self.member) as stream:
                    stream.seek(offset)
                    return stream.read(length)
            descriptor = os.open(self.where, os.O_RDONLY | getattr(os, "O_BINARY", 0))
            try:
                if offset:
                    os.lseek(descriptor, offset, os.SEEK_SET)
                return _read_fully(descriptor, length)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise UnreadableError(f"{self.label} cannot be read: {error.strerror or error}.") from error
        except _BROKEN_ARCHIVE as error:
            raise UnreadableError(f"{self.label} cannot be unpacked: {error}.") from error

    def readinto(self, offset: int, buffer: memoryview) -> int:
        """Fill a buffer of bytes from `offset`, and return how many bytes there were.

        Parameters
        ----------
        offset : int
            Bytes.
        buffer : memoryview of bytes
            Where they go.

        Returns
        -------
        int
            Less than the buffer's length where the file ends.

        Raises
        ------
        UnreadableError
            If the file is gone, may not be read, or its archive is damaged.
        """
        if self.archive is not None or not hasattr(os, "preadv"):
            data = self.read(offset, len(buffer))
            buffer[: len(data)] = data
            return len(data)
        try:
            descriptor = os.open(self.where, os.O_RDONLY)
            try:
                done = 0
                while done < len(buffer):
                    got = os.preadv(descriptor, [buffer[done:]], offset + done)
                    if got == 0:
                        break
                    done += got
                return done
            finally:
                os.close(descriptor)
        except OSError as error:
            raise UnreadableError(f"{self.label} cannot be read: {error.strerror or error}.") from error

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """Open the file to be read from its beginning.

        Yields
        ------
        binary stream
            Closed afterwards.

        Raises
        ------
        UnreadableError
            If the file is gone, may not be read, or its archive is damaged.
        """
        try:
            with self.archive.open(self.member) if self.archive else io.FileIO(self.where) as stream:
                yield stream
        except OSError as error:
            raise UnreadableError(f"{self.label} cannot be read: {error.strerror or error}.") from error
        except _BROKEN_ARCHIVE as error:
            raise UnreadableError(f"{self.label} cannot be unpacked: {error}.") from error


def _read_fully(descriptor: int, length: int) -> bytes:
    data = os.read(descriptor, length)
    if len(data) == length:
        return data
    pieces = [data]
    missing = length - len(data)
    while data and missing > 0:
        data = os.read(descriptor, missing)
        pieces.append(data)
        missing -= len(data)
    return b"".join(pieces)


def stored(path: str | os.PathLike[str]) -> StoredFile:
    """Return one file by its path.

    Parameters
    ----------
    path : path-like
        A file.

    Returns
    -------
    StoredFile
        The file and its size.

    Raises
    ------
    UnreadableError
        If there is no such file.
    """
    where = Path(path)
    try:
        status = where.stat()
    except (OSError, ValueError) as error:
        raise UnreadableError(f"{where} does not exist or may not be read.", reason="not_found") from error
    if where.is_dir():
        raise UnreadableError(f"{where} is a folder; name a file in it.", reason="not_a_file")
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableError(f"{where} is no file but a device or a pipe.", reason="not_a_file")
    return StoredFile(str(where), status.st_size)


def collect(paths: Iterable[str | os.PathLike[str]]) -> list[StoredFile]:
    """List every file under some paths: files, folders with all they hold, zip archives.

    Parameters
    ----------
    paths : iterable of path-like
        As the user named them. An archive is opened only where it is named itself.

    Returns
    -------
    list of StoredFile
        In the order of the paths, then of the names. Hidden files are left out.

    Raises
    ------
    UnreadableError
        If a path does not exist, or an archive is damaged.
    """
    found: list[StoredFile] = []
    for path in paths:
        where = Path(path)
        # Unlike Path.is_dir, this takes a name that cannot exist for one that does not.
        if os.path.isdir(where):  # noqa: PTH112
            found.extend(_walk(where))
        elif where.suffix.lower() == ARCHIVE_SUFFIX:
            found.extend(_members(stored(where).path))
        else:
            found.append(stored(where))
    return found


def _walk(folder: Path) -> Iterator[StoredFile]:
    pending, seen = [str(folder)], set[str]()
    while pending:
        current = pending.pop()
        real = os.path.realpath(current)
        if real in seen:
            continue
        seen.add(real)
        try:
            with os.scandir(current) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            raise UnreadableError(f"{current} cannot be listed: {error.strerror}.") from error
        folders = []
        for entry in entries:
            if entry.name.startswith(".") or entry.name in NOT_DATA:
                continue
            try:
                if entry.is_dir():
                    folders.append(entry.path)
                elif entry.is_file():
                    yield StoredFile(entry.path, entry.stat().st_size)
            except OSError:
                continue
        pending.extend(reversed(folders))


def _members(path: Path) -> Iterator[StoredFile]:
    try:
        archive = zipfile.ZipFile(path)
        infos = sorted(archive.infolist(), key=lambda info: info.filename)
    except (OSError, *_BROKEN_ARCHIVE) as error:
        raise UnreadableError(f"{path} is not a zip archive that can be opened: {error}.") from error
    names = [info.filename for info in infos]
    twice = next((name for name, after in pairwise(names) if name == after), None)
    if twice is not None:
        raise UnreadableError(f"{path} holds two files of one name, {twice}; which is meant cannot be known.")
    for info in infos:
        parts = info.filename.split("/")
        if not info.is_dir() and not parts[-1].startswith(".") and not set(parts) & set(NOT_DATA):
            yield StoredFile(str(path), info.file_size, info.filename, archive)


def digest(files: Sequence[StoredFile]) -> str:
    """Return the SHA-256 of a file, or of several as `Source` defines it.

    Parameters
    ----------
    files : sequence of StoredFile
        One file, or those of a series.

    Returns
    -------
    str
        Of one file its SHA-256; of several the SHA-256 of their digests in
        hexadecimal, sorted, each followed by a newline.

    Raises
    ------
    UnreadableError
        If a file cannot be read.
    """
    if len(files) == 1:
        return _file_digest(files[0])
    with ThreadPoolExecutor(min(MAX_WORKERS, os.cpu_count() or 1)) as pool:
        digests = list(pool.map(_file_digest, files))
    lines = "".join(f"{line}\n" for line in sorted(digests))
    return hashlib.sha256(lines.encode("ascii")).hexdigest()


def _file_digest(file: StoredFile) -> str:
    with file.opened() as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
