"""The file that holds the node's queue, and how it is written.

A database (SQLite) and not files: the receiver, the runner and the sender each change a few values many
times, together or not at all, in one process on a disk of its own. What was received lies beside it as
files; what the database says of them can be made again from them.
"""

from __future__ import annotations

import errno
import sqlite3
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from flr_volumetry.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

VERSION = 1
SCHEMA = """
CREATE TABLE study (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    uid TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    caller TEXT NOT NULL DEFAULT '',
    first REAL NOT NULL,
    last REAL NOT NULL,
    since REAL NOT NULL,
    carrying INTEGER NOT NULL DEFAULT 0,
    broken REAL,
    broken_by TEXT NOT NULL DEFAULT '',
    conflict INTEGER NOT NULL DEFAULT 0,
    more INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0,
    recipe TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '',
    message TEXT NOT NULL DEFAULT '',
    seconds REAL NOT NULL DEFAULT 0,
    tidied INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX study_state ON study (state, last);
CREATE TABLE delivery (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    study INTEGER NOT NULL REFERENCES study (number),
    peer TEXT NOT NULL,
    path TEXT NOT NULL,
    uid TEXT NOT NULL,
    state TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    first REAL NOT NULL,
    due REAL NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    UNIQUE (study, peer, uid)
) STRICT;
CREATE INDEX delivery_due ON delivery (state, due);
"""


class Database:
    """An SQLite file, safe to use from every thread.

    Parameters
    ----------
    path : Path
        Of the database; made if absent.

    Raises
    ------
    OutputError
        If it cannot be opened, is damaged, or was made by a later version.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        try:
            # One connection, whose use the lock keeps apart.
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            # What was said to be received or sent is on the disk.
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA foreign_keys = ON")
            found = self._db.execute("PRAGMA user_version").fetchone()[0]
            if found == 0:
                self._db.executescript(f"BEGIN;{SCHEMA}PRAGMA user_version = {VERSION};COMMIT;")
            elif found != VERSION:
                raise OutputError(
                    f"{path} was made by another version of flr_volumetry (its queue has format {found}, "
                    f"this one {VERSION}). Empty the queue with that version, or name a new folder.",
                    reason="other_version",
                )
        except sqlite3.Error as error:
            raise OutputError(
                f"{path}: the queue cannot be opened: {error}. Move the file away to begin an empty one; "
                "studies received are found again in the folder beside it.",
                reason="bad_queue",
            ) from error

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """Give the database for a change that is made as a whole, or not at all.

        Yields
        ------
        sqlite3.Connection
            Inside a transaction.

        Raises
        ------
        OSError
            If the disk does not take it.
        """
        with self._lock, _as_os_error():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def rows(self, text: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return what a question is answered by."""
        with self._lock, _as_os_error(), closing(self._db.execute(text, values)) as found:
            return found.fetchall()


@contextmanager
def _as_os_error() -> Iterator[None]:
    """Let a database that cannot be written be what it is: a disk that is full, or fails."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise OSError(errno.ENOSPC if "full" in str(error) else errno.EIO, f"the queue: {error}") from error
