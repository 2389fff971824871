"""Where fetched objects are kept: each a file by its UID, whole or not at all, never outside the folder."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flr_volumetry.app.network.instances import is_uid, read_instance
from flr_volumetry.errors import FlrError, OutputError
from flr_volumetry.io.writing import write_atomically

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from flr_volumetry.app.network.matches import Series

SUCCESS: Final = 0x0000
OUT_OF_RESOURCES: Final = 0xA700
NOT_ASKED_FOR: Final = 0xA900
_PART: Final = ".part"


@dataclass(slots=True)
class Keeper:
    """Keeps the objects of one series, and counts them.

    Parameters
    ----------
    out_dir : Path
        Below which it lies as STUDY/SERIES/OBJECT.dcm.
    series : Series
        The only one that is taken.
    came : set of str
        UIDs of those that came this time.
    refused : int
        How many came that were not asked for, or were no objects.
    differing : set of str
        UIDs of those that came with other content than is there; what was there stays.
    full : OutputError or None
        Why the last could not be written.
    """

    out_dir: Path
    series: Series
    came: set[str] = field(default_factory=set)
    refused: int = 0
    differing: set[str] = field(default_factory=set)
    full: OutputError | None = None
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def folder(self) -> Path:
        """Where the series lies."""
        return series_folder(self.out_dir, self.series)

    def there(self) -> set[str]:
        """Return the UIDs of the objects that are there."""
        if not self.folder.is_dir():
            return set()
        return {path.stem for path in self.folder.glob("*.dcm") if is_uid(path.stem)}

    def keep(self, pieces: Iterable[bytes]) -> int:
        """Keep an object that came.

        Parameters
        ----------
        pieces : iterable of bytes
            A DICOM file (PS3.10).

        Returns
        -------
        int
            A status of C-STORE: 0, or why not.

        Raises
        ------
        Exception
            Whatever ends the pieces early; then nothing is kept.
        """
        with self._turn:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                temporary = self.folder / _PART
                write_atomically(temporary, pieces)
            except OutputError as error:
                self.full = error
                return OUT_OF_RESOURCES
            except OSError as error:
                self.full = OutputError(f"{self.folder} cannot be written: {error.strerror or error}.")
                return OUT_OF_RESOURCES
            try:
                return self._place(temporary)
            finally:
                with suppress(OSError):
                    temporary.unlink(missing_ok=True)

    def _place(self, temporary: Path) -> int:
        try:
            found = read_instance(temporary)
        except FlrError:
            found = None
        if found is None or (found.study_uid, found.series_uid) != (self.series.study_uid, self.series.uid):
            self.refused += 1
            return NOT_ASKED_FOR
        # A UID holds digits and dots alone, so that no path leads out of the folder.
        path = self.folder / f"{found.sop_instance_uid}.dcm"
        if path.exists():
            if path.read_bytes() != temporary.read_bytes():
                self.differing.add(found.sop_instance_uid)
        else:
            temporary.replace(path)
        self.came.add(found.sop_instance_uid)
        return SUCCESS


def series_folder(out_dir: Path, series: Series) -> Path:
    """Return the folder of a series.

    Parameters
    ----------
    out_dir : Path
        Below which it lies.
    series : Series
        Its UIDs are checked.

    Returns
    -------
    Path
        STUDY/SERIES below `out_dir`.

    Raises
    ------
    OutputError
        If a UID is none, and might lead elsewhere.
    """
    if not (is_uid(series.study_uid) and is_uid(series.uid)):
        raise OutputError("A peer's identifier is none, and names no folder.", reason="bad_identifier")
    return out_dir / series.study_uid / series.uid


def missing(keeper: Keeper, wanted: Collection[str]) -> list[str]:
    """Return which objects are not there, in order.

    Parameters
    ----------
    keeper : Keeper
        Of their series.
    wanted : collection of str
        UIDs.

    Returns
    -------
    list of str
        In their order.
    """
    there = keeper.there()
    return [uid for uid in wanted if uid not in there]
