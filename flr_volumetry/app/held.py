"""A folder kept to one process at a time; whoever ends, however it ends, gives it up."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flr_volumetry.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def held(folder: Path, lock: str, *, refusal: str, reason: str) -> Iterator[None]:
    """Keep a folder to this process.

    Parameters
    ----------
    folder : Path
        Made if absent.
    lock : str
        Name of the file in it that is locked.
    refusal : str
        What to say where another process has it.
    reason : str
        And its reason code.

    Yields
    ------
    None
        While it is held.

    Raises
    ------
    OutputError
        If another process has it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / lock).open("a+b")
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be written: {error.strerror or error}.", reason="unwritable"
        ) from error
    with file:
        try:
            _lock(file.fileno())
        except OSError as error:
            raise OutputError(refusal, reason=reason) from error
        yield


def _lock(file: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
