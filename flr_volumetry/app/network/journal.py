"""What was sent to whom: a push that was cut short goes on where it was, and sends nothing twice."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import click

from flr_volumetry.app.network.addresses import DicomPeer, Peer
from flr_volumetry.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flr_volumetry.app.network.instances import Instance

BEGUN, DONE, OVER = "?", "+", "-"
CHUNK: Final = 1 << 20
_DIGITS: Final = 32
_LINE: Final = re.compile(r"([?+-]) ([0-9a-f]{32}) ([0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class Mark:
    """An object, as the journal knows it: digests, from which no one learns whose it is.

    Parameters
    ----------
    uid : str
        Of peer and SOP Instance UID.
    content : str
        Of the file.
    """

    uid: str
    content: str


def mark_of(peer: Peer, instance: Instance) -> Mark:
    """Return how the journal knows an object.

    Parameters
    ----------
    peer : Peer
        Where it goes.
    instance : Instance
        The object.

    Returns
    -------
    Mark
        The same for the same peer, UID and content.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    where = f"{peer.ae_title}@{peer.host}:{peer.port}" if isinstance(peer, DicomPeer) else peer.stow
    content = hashlib.sha256()
    with instance.path.open("rb") as file:
        while chunk := file.read(CHUNK):
            content.update(chunk)
    uid = hashlib.sha256(f"{where}\0{instance.sop_instance_uid}".encode())
    return Mark(uid.hexdigest()[:_DIGITS], content.hexdigest()[:_DIGITS])


@dataclass(slots=True)
class Journal:
    """A file that lines are added to; what was written is known after any interruption.

    Parameters
    ----------
    file : IO
        Open for adding.
    done : dict
        Content of each object that was sent, by its UID.
    unclear : set of Mark
        Objects whose sending was begun, with an end that is not known.
    """

    file: IO[bytes] = field(repr=False)
    done: dict[str, str] = field(default_factory=dict)
    unclear: set[Mark] = field(default_factory=set)

    def begin(self, marks: Iterable[Mark]) -> None:
        """Write down what will be sent, on the disk before the first byte leaves.

        Parameters
        ----------
        marks : iterable of Mark
            The objects.
        """
        self._add([(BEGUN, mark) for mark in marks])
        os.fsync(self.file.fileno())

    def end(self, mark: Mark, *, sent: bool) -> None:
        """Write down what became of an object.

        Parameters
        ----------
        mark : Mark
            The object.
        sent : bool
            Whether the peer has it; if not, it is known not to.
        """
        self._add([(DONE if sent else OVER, mark)])

    def _add(self, lines: list[tuple[str, Mark]]) -> None:
        try:
            text = "".join(f"{word} {mark.uid} {mark.content}\n" for word, mark in lines)
            self.file.write(text.encode("ascii"))
            self.file.flush()
        except OSError as error:
            raise _unwritable(Path(self.file.name), error) from error

    def _learn(self, word: str, mark: Mark) -> None:
        if word == BEGUN:
            self.unclear.add(mark)
            return
        self.unclear.discard(mark)
        if word == DONE:
            self.done[mark.uid] = mark.content

    def close(self) -> None:
        """Put all on the disk."""
        os.fsync(self.file.fileno())
        self.file.close()


def open_journal(path: Path) -> Journal:
    """Open a journal, and read what it knows.

    Parameters
    ----------
    path : Path
        Made if absent; its folder must be there.

    Returns
    -------
    Journal
        A last line that was cut short is passed over.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    try:
        file = path.open("ab+")
        file.seek(0)
        raw = file.read()
        journal = Journal(file)
        for line in raw.decode("ascii", "replace").splitlines():
            words = line.split()
            if (
                len(words) == 3
                and words[0] in (BEGUN, DONE, OVER)
                and {len(w) for w in words[1:]} == {_DIGITS}
            ):
                journal._learn(words[0], Mark(words[1], words[2]))
        if raw and not raw.endswith(b"\n"):
            file.write(b"\n")
    except OSError as error:
        raise _unwritable(path, error) from error
    return journal


def journal_folder() -> Path:
    """Return where journals are kept unless another place is named."""
    return Path(click.get_app_dir("flr")) / "sent"


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path} cannot be written: {error.strerror or error}.")
