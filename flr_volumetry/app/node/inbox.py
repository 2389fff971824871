"""Where received objects lie: folders for studies, in them for series, each object whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flr_volumetry.app.dicom_out import RESULT_SERIES
from flr_volumetry.errors import OutputError, UnreadableError
from flr_volumetry.io.derived.segments import MANUFACTURER
from flr_volumetry.io.writing import flush

if TYPE_CHECKING:
    from collections.abc import Iterator

UID = re.compile(r"[0-9][0-9.]{0,63}")
SAME = (
    "PatientID", "PatientName", "PatientBirthDate", "StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID",
    "FrameOfReferenceUID", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
    "Rows", "Columns", "NumberOfFrames", "RescaleSlope", "RescaleIntercept", "BitsStored",
    "PixelRepresentation",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "SegmentSequence",
    "ROIContourSequence", "StructureSetROISequence",
)  # fmt: skip
"""What of two objects with one UID must be alike, so that the second says nothing new."""


class Taken(StrEnum):
    """What became of an object that came."""

    NEW = "new"
    KNOWN = "known"
    OTHER = "other"
    RESULT = "result"


@dataclass(frozen=True, slots=True)
class Names:
    """The identifiers of an object.

    Parameters
    ----------
    study, series, instance : str
        Instance UIDs.
    result : bool
        Whether it is what this program makes of a case: a PACS that sends on whatever it gets would have
        results made of results without end.
    """

    study: str
    series: str
    instance: str
    result: bool = False


def names_of(path: Path) -> Names:
    """Read the identifiers of a DICOM file.

    Parameters
    ----------
    path : Path
        Of the file.

    Returns
    -------
    Names
        Each fit to be the name of a file.

    Raises
    ------
    UnreadableError
        If it is no DICOM file, or lacks one of them, or one is no UID.
    """
    uids = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    header = _header(path, (*uids, "Manufacturer", "SeriesDescription"))
    found = [str(header.get(key, "")) for key in uids]
    if not all(UID.fullmatch(uid) for uid in found):
        raise UnreadableError(
            "an object without a study, series or instance UID, or one that is none.", reason="bad_uid"
        )
    maker, series = str(header.get("Manufacturer", "")), str(header.get("SeriesDescription", ""))
    study, series_uid, instance = found
    return Names(study, series_uid, instance, maker == MANUFACTURER and series in RESULT_SERIES)


class Inbox:
    """The folder of received objects.

    Parameters
    ----------
    folder : Path
        Made if absent, for this user alone.
    """

    def __init__(self, folder: Path) -> None:
        self.objects = folder / "received"
        self.coming = folder / "coming"
        self.going = folder / "going"
        for place in (self.objects, self.coming, self.going):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)

    def take(self, path: Path, names: Names) -> Taken:
        """Take an object that has come as a whole; its file is moved.

        Parameters
        ----------
        path : Path
            Of the file, on the same disk.
        names : Names
            What it says it is.

        Returns
        -------
        Taken
            NEW if it was not there; then the disk holds it when this returns. KNOWN if it says nothing
            new; OTHER if an object of this UID is there that is not the same: then that one stays.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        goal = self._place(names)
        place = goal.parent
        if goal.exists():
            return Taken.KNOWN if _alike(goal, path) else Taken.OTHER
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        flush(path)
        try:
            _link(path, goal)
        except FileExistsError:
            return Taken.KNOWN if _alike(goal, path) else Taken.OTHER
        for folder in (place, place.parent, self.objects):
            flush(folder)
        return Taken.NEW

    def has(self, names: Names) -> bool:
        """Whether an object of these UIDs is here."""
        return self._place(names).exists()

    def _place(self, names: Names) -> Path:
        return self.series(names.study, names.series) / f"{names.instance}.dcm"

    def study(self, uid: str) -> Path:
        """Return the folder of a study."""
        return self.objects / uid

    def series(self, study: str, series: str) -> Path:
        """Return the folder of a series."""
        return self.study(study) / series

    def studies(self) -> Iterator[str]:
        """Give the UIDs of the studies that lie here."""
        yield from sorted(p.name for p in self.objects.iterdir() if p.is_dir())

    def away(self, uid: str) -> None:
        """Put a study's objects where `empty` removes them."""
        if self.study(uid).is_dir():
            self.study(uid).rename(self.going / f"{uid}-{time.time_ns()}")

    def empty(self) -> None:
        """Remove what was put away."""
        for place in self.going.iterdir():
            shutil.rmtree(place, ignore_errors=True)

    def sweep(self) -> None:
        """Remove what was left half received, or put away, by a process that ended."""
        self.empty()
        for path in self.coming.iterdir():
            path.unlink(missing_ok=True)

    def free_bytes(self) -> int:
        """Return how much room the disk has."""
        return shutil.disk_usage(self.objects).free


def _alike(one: Path, other: Path) -> bool:
    """Whether two objects of one UID are the same to whoever measures in them."""
    if _digest(one) == _digest(other):
        return True
    import numpy as np
    from pydicom import dcmread

    try:
        a, b = dcmread(one), dcmread(other)
        if any(a.get(key) != b.get(key) for key in SAME):
            return False
        if ("PixelData" in a) != ("PixelData" in b):
            return False
        if "PixelData" not in a:
            # A structured report, a document: whatever it says may be what is measured by.
            return bool(a == b)
        return bool(np.array_equal(a.pixel_array, b.pixel_array))
    except Exception:
        # What cannot be compared is not known to be the same.
        return False


def _link(path: Path, goal: Path) -> None:
    """Give a file its name; of two that come at once the second finds the first."""
    try:
        os.link(path, goal)
    except FileExistsError:
        raise
    except OSError as error:
        # Disks that know no second name for a file.
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        path.rename(goal)


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _header(path: Path, keys: tuple[str, ...]) -> Any:
    from pydicom import dcmread

    try:
        return dcmread(path, stop_before_pixels=True, specific_tags=list(keys))
    except OSError as error:
        raise OutputError(f"an object cannot be read again: {error.strerror}") from error
    except Exception as error:
        # Whatever it is that pydicom stumbles over.
        raise UnreadableError("what came is no DICOM object.", reason="not_dicom") from error
