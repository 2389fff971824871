"""DICOM objects in files: what the network has to know of each before it is sent."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flr_volumetry.errors import InputError, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DIRECTORY: Final = "1.2.840.10008.1.3.10"
_MAGIC: Final = b"DICM"


@dataclass(frozen=True, slots=True)
class Instance:
    """A DICOM object in a file.

    Parameters
    ----------
    path : Path
        The file.
    sop_class_uid, sop_instance_uid : str
        What it is, and which.
    study_uid, series_uid : str
        What it belongs to.
    syntax : str
        Transfer syntax that it is stored in.
    size : int
        Of the file, bytes.
    """

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    study_uid: str
    series_uid: str
    syntax: str
    size: int


def read_instance(path: Path) -> Instance | None:
    """Read what the network has to know of an object, and nothing of the patient.

    Parameters
    ----------
    path : Path
        Any file.

    Returns
    -------
    Instance or None
        None if it is no DICOM file (PS3.10), or a DICOMDIR.

    Raises
    ------
    UnreadableError
        If the file cannot be read, or is damaged.
    InputError
        If it is one that no peer could take: without an identifier, or with two that contradict.
    """
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    from flr_volumetry.app.network.quiet import quiet

    quiet()
    try:
        with path.open("rb") as file:
            if file.read(132)[128:] != _MAGIC:
                return None
            size = os.fstat(file.fileno()).st_size
            file.seek(0)
            data = dcmread(file, stop_before_pixels=True, specific_tags=list(_TAGS))
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror or 'unreadable'}.") from error
    except InvalidDicomError:
        return None
    # Any error may come of a damaged file; its text may hold values of the patient's.
    except Exception:
        raise UnreadableError(f"{path} is a damaged DICOM file.") from None
    meta = data.file_meta
    if str(meta.get("MediaStorageSOPClassUID", "")) == DIRECTORY:
        return None
    uids = [str(data.get(keyword) or "") for keyword in _TAGS]
    syntax = str(meta.get("TransferSyntaxUID") or "")
    _require(path, dict(zip(_TAGS, uids, strict=True)) | {"TransferSyntaxUID": syntax})
    named = str(meta.get("MediaStorageSOPInstanceUID") or uids[1])
    if named != uids[1]:
        raise InputError(
            f"{path}: its file header names another object than its data set does.", reason="bad_object"
        )
    return Instance(path, uids[0], uids[1], uids[2], uids[3], syntax, size)


_TAGS: Final = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")


def _require(path: Path, uids: dict[str, str]) -> None:
    for keyword, uid in uids.items():
        if not is_uid(uid):
            found = "no" if not uid else "no valid"
            raise InputError(f"{path}: it has {found} {keyword}.", reason="bad_object")


def is_uid(text: str) -> bool:
    """Say whether a text can be a UID: digits and dots, 1 to 64 characters (PS3.5, 9.1).

    Leading zeros, which the standard forbids and scanners write, are let pass.

    Parameters
    ----------
    text : str
        Any.

    Returns
    -------
    bool
        Whether it is safe as a file's name, too.
    """
    return 0 < len(text) <= 64 and all(part.isascii() and part.isdigit() for part in text.split("."))


def files_in(paths: Iterable[Path]) -> Iterator[Path]:
    """List the files that are named, and those below folders that are, in order of their names.

    Parameters
    ----------
    paths : iterable of Path
        Files and folders.

    Yields
    ------
    Path
        Each once; hidden files and folders are passed over.

    Raises
    ------
    UnreadableError
        If one does not exist.
    """
    seen: set[Path] = set()
    for path in paths:
        if not path.exists():
            raise UnreadableError(f"{path} does not exist.")
        for file in sorted(_below(path)) if path.is_dir() else [path]:
            if file.resolve() not in seen:
                seen.add(file.resolve())
                yield file


def _below(folder: Path) -> Iterator[Path]:
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(where, name) for name in files if not name.startswith("."))
