"""A watched folder: what is dropped into it is taken as if it had been received."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
import time
import zipfile
import zlib
from math import inf
from pathlib import Path
from typing import IO, TYPE_CHECKING

from flr_volumetry.app.node.inbox import Taken, names_of
from flr_volumetry.errors import OutputError, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flr_volumetry.app.node.inbox import Inbox
    from flr_volumetry.app.node.ledger import Ledger

TAKEN, REFUSED = "taken", "refused"
OVERSIZED = "oversized_object"
LOOK_S = 2.0
TROUBLE_S = 30.0
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError)
"""What zipfile raises for an archive that is damaged, encrypted, or packed in a way that it does not know."""
CHUNK = 1 << 20
Shape = tuple[tuple[str, int, int], ...]


class _Taking:
    """What was found in a drop so far."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.counts = dict.fromkeys(Taken, 0)
        self.strange = 0

    def refusal(self) -> str:
        """Return why the drop is not taken for good; empty if it is."""
        if not self.numbers and self.counts[Taken.RESULT]:
            return "It holds nothing but results of this program."
        if not self.numbers:
            return "No DICOM object was found. Scans in other formats are run by flr run or flr batch."
        if self.counts[Taken.OTHER]:
            return (
                f"{self.counts[Taken.OTHER]} objects have the UID of others that came before; the first stay."
            )
        return ""

    def summary(self) -> str:
        """Return it in words."""
        new, known = self.counts[Taken.NEW], self.counts[Taken.KNOWN]
        numbers = ", ".join(str(n) for n in sorted(self.numbers.values())) or "none"
        return f"{new} new objects, {known} known, {self.strange} other files; studies {numbers}"


class Watcher:
    """Looks into one folder from time to time.

    Parameters
    ----------
    folder : Path
        Made if absent. Whatever stands in it by itself, a folder, a file or a .zip, is one drop.
    settle_s : float
        A drop is complete when nothing in it has changed for so long.
    inbox, ledger : Inbox, Ledger
        Where it goes.
    refusal : callable
        Returns why nothing can be received now; empty if it can.
    log : callable
        Of the node.

    Raises
    ------
    OutputError
        If the folder cannot be made, or nothing can be moved in it.
    """

    def __init__(
        self,
        folder: Path,
        settle_s: float,
        inbox: Inbox,
        ledger: Ledger,
        *,
        refusal: Callable[[], str],
        log: Callable[[str], None],
    ) -> None:
        self.folder, self.settle_s = folder, settle_s
        self._inbox, self._ledger, self._refusal, self._log = inbox, ledger, refusal, log
        self.most_bytes = inf
        """A drop with a file longer than that is put aside."""
        self._seen: dict[str, tuple[Shape, float]] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        try:
            for name in ("", TAKEN, REFUSED):
                (folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"[[watch]]: {folder} cannot be written: {error.strerror or error}. "
                "What is dropped into it is moved to folders in it.",
                reason="unwritable",
            ) from error

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread = threading.Thread(target=self._serve, name="watch", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the folder is still looked into, once it has been begun."""
        return self._thread is None or self._thread.is_alive()

    def stop(self) -> None:
        """End, after the drop that is being taken."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(60.0)

    def _serve(self) -> None:
        wait = min(LOOK_S, self.settle_s / 2)
        while not self._stop.wait(wait):
            wait = min(LOOK_S, self.settle_s / 2)
            try:
                self.look()
            except Exception as error:
                # A folder whose thread ends would be watched by nobody.
                why = getattr(error, "strerror", None) or type(error).__name__
                self._log(f"a watched folder cannot be read [{why}]; tried again")
                wait = TROUBLE_S

    def look(self) -> None:
        """Take what has come to rest."""
        now = time.monotonic()
        here = {}
        for drop in sorted(self.folder.iterdir()):
            if drop.name in (TAKEN, REFUSED) or drop.name.startswith("."):
                continue
            shape = _shape(drop)
            known = self._seen.get(drop.name)
            since = known[1] if known is not None and known[0] == shape else now
            here[drop.name] = (shape, since)
            if shape and now - since >= self.settle_s and not self._refusal():
                self._take(drop)
                here.pop(drop.name)
        self._seen = here

    def _take(self, drop: Path) -> None:
        began = time.time()
        taking = _Taking()
        try:
            for path in self._copies(drop):
                try:
                    self._one(path, taking)
                finally:
                    path.unlink(missing_ok=True)
        except Exception as error:
            # Whatever it is, what the drop carries is noted as broken off, not as still coming.
            self._ended(taking, began, clean=False)
            if isinstance(error, UnreadableError) and error.reason == OVERSIZED:
                self._away(drop, REFUSED, error.message)
            elif _packed(drop) and isinstance(error, DAMAGED):
                self._away(drop, REFUSED, "The archive is damaged or encrypted.")
            else:
                self._log(f"a drop cannot be taken [{type(error).__name__}]; tried again")
            return
        self._ended(taking, began, clean=True)
        self._away(drop, REFUSED if taking.refusal() else TAKEN, taking.refusal())
        self._log(f"a drop taken: {taking.summary()}")

    def _one(self, path: Path, taking: _Taking) -> None:
        try:
            names = names_of(path)
        except UnreadableError:
            taking.strange += 1
            return
        if names.result:
            taking.counts[Taken.RESULT] += 1
            return
        if names.study not in taking.numbers:
            taking.numbers[names.study] = self._ledger.begun(names.study, self.folder.name)
        if not self._inbox.has(names):
            self._ledger.changed(taking.numbers[names.study])
        taken = self._inbox.take(path, names)
        taking.counts[taken] += 1
        if taken is Taken.OTHER:
            self._ledger.conflicting(taking.numbers[names.study])

    def _ended(self, taking: _Taking, began: float, *, clean: bool) -> None:
        for number in taking.numbers.values():
            self._ledger.ended(number, began=began, clean=clean, caller=self.folder.name)

    def _copies(self, drop: Path) -> Iterator[Path]:
        """Copy each file of a drop onto the node's own disk."""
        if _packed(drop):
            with zipfile.ZipFile(drop) as archive:
                for entry in archive.infolist():
                    if not entry.is_dir():
                        with archive.open(entry) as source:
                            yield self._copy(source)
            return
        for path in _files(drop):
            with path.open("rb") as source:
                yield self._copy(source)

    def _copy(self, source: IO[bytes]) -> Path:
        handle, name = tempfile.mkstemp(dir=self._inbox.coming, suffix=".dcm")
        path = Path(name)
        try:
            with os.fdopen(handle, "wb") as goal:
                while chunk := source.read(CHUNK):
                    goal.write(chunk)
                    self._require_room(goal.tell())
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path

    def _require_room(self, taken_bytes: int) -> None:
        if taken_bytes > self.most_bytes:
            raise UnreadableError("A file in it is longer than most_object_gb allows.", reason=OVERSIZED)
        if self._refusal():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _away(self, drop: Path, where: str, why: str = "") -> None:
        """Move a drop out of the way, under a name that is free."""
        place = self.folder / where
        goal, number = place / drop.name, 1
        while goal.exists():
            number += 1
            goal = place / f"{drop.stem}-{number}{drop.suffix}"
        shutil.move(drop, goal)
        if why:
            goal.with_name(f"{goal.name}.why.txt").write_text(why + "\n", encoding="utf-8")
            self._log(f"a drop was refused: {why}")


def _packed(drop: Path) -> bool:
    return drop.suffix.lower() == ".zip" and drop.is_file()


def _files(drop: Path) -> list[Path]:
    if drop.is_file():
        return [drop]
    return sorted(p for p in drop.rglob("*") if p.is_file() and not p.is_symlink())


def _shape(drop: Path) -> Shape:
    """Names, sizes and times of all files of a drop; empty for one without any."""
    found = []
    for path in _files(drop):
        try:
            status = path.stat()
        except OSError:
            # It is just being moved.
            continue
        found.append((str(path), status.st_size, status.st_mtime_ns))
    return tuple(found)
