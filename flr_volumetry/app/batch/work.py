"""One case of a cohort, as a worker runs it."""

from __future__ import annotations

import errno
import json
import os
import platform
import time
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flr_volumetry.app.batch.state import (
    CASES,
    DONE,
    FAILED,
    KEPT,
    KEY_FILE,
    LOGS,
    Known,
    input_files,
    key_of,
    known_of,
    made_from,
    remember,
)
from flr_volumetry.app.case import make_case
from flr_volumetry.errors import CaseError, FlrError, OutputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from flr_volumetry.app.batch.cohort import Job

BASE_BYTES = 450e6
"""What a worker holds with everything imported (measured: 380 MB)."""
PER_SCAN_BYTE = 3.0
"""What a case takes beside that for each byte of its scan and masks, unpacked (measured: 1.3 to 2.4)."""
TRANSIENT = ("disk_full", "out_of_memory", "system_error")
"""Reasons that may be gone at the next try."""
ISIZE_BYTES = 4


@dataclass(frozen=True, slots=True)
class Result:
    """What a worker says of a case.

    Parameters
    ----------
    name : str
        Of the job.
    known : Known
        What became of it.
    worker : str
        Process and host that ran it.
    """

    name: str
    known: Known
    worker: str


def run_job(job: Job, out_dir: str, tries: int = 1) -> Result:
    """Run one case, unless its result is there already.

    Parameters
    ----------
    job : Job
        The case.
    out_dir : str
        Folder of the cohort, the same on every host.
    tries : int
        Which try it is.

    Returns
    -------
    Result
        Whatever happens: what goes wrong is the case's failure, and no one else's.
    """
    where = Path(out_dir)
    began = time.monotonic()
    log = _Log(where / LOGS / f"{job.folder}.log")
    files: dict[str, Any] = {}
    key = ""
    try:
        _require_sound(job)
        before = known_of(where, job)
        key, files = key_of(job, before)
        if key and made_from(where, job) == key:
            known = before if before is not None and before.key == key else Known(DONE, key=key)
            known = replace(known, status=KEPT, reason="", message="", key=key, files=files)
        else:
            log.begin(job, tries)
            _run(job, where, key, log)
            log.line("done")
            known = Known(DONE, "", "", key, time.monotonic() - began, tries, files)
    except Exception as error:
        reason, message = _why(error)
        log.failed(error, reason, message)
        known = Known(FAILED, reason, message, key, time.monotonic() - began, tries, files)
    try:
        remember(where, job, replace(known, status=DONE) if known.status == KEPT else known)
    except (OSError, OutputError) as error:
        log.line(f"the state could not be written: {error}")
    return Result(job.name, known, f"{platform.node()}:{os.getpid()}")


def _require_sound(job: Job) -> None:
    if job.problem:
        reason, _, message = job.problem.partition(": ")
        raise CaseError(message, reason=reason)


def _run(job: Job, out_dir: Path, key: str, log: _Log) -> None:
    from flr_volumetry.app.run import run_case
    from flr_volumetry.app.write import require_writable, write_outcome

    case = make_case(job.data, folder=job.root, sha256=key, where=job.where)
    folder = out_dir / CASES / job.folder
    require_writable(folder)
    outcome = run_case(case, tell=log.line)
    note = json.dumps({"key": key, "case": job.name}, indent=1, ensure_ascii=True) + "\n"
    write_outcome(outcome, folder, tell=log.line, also={KEY_FILE: note.encode("ascii")})


def _why(error: Exception) -> tuple[str, str]:
    if isinstance(error, FlrError):
        return error.reason, error.message
    if isinstance(error, MemoryError):
        return "out_of_memory", "The case needs more memory than its worker has."
    if isinstance(error, OSError):
        reason = "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "system_error"
        return reason, f"{error.filename or 'a file'}: {error.strerror or error}"
    last = traceback.extract_tb(error.__traceback__)[-1]
    return (
        "internal_error",
        f"{type(error).__name__}: {error} ({Path(last.filename).name}, line {last.lineno}). This is a "
        "fault of the program; the case's log holds the rest.",
    )


class _Log:
    """The log of one case; a log that cannot be written stops nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, job: Job, tries: int) -> None:
        self.line(f"begun: {job.name}, from {job.where}, try {tries}, process {os.getpid()}")

    def failed(self, error: Exception, reason: str, message: str) -> None:
        self.line(f"failed [{reason}]: {message}")
        if not isinstance(error, FlrError):
            self.line("".join(traceback.format_exception(error)).rstrip())

    def line(self, text: str) -> None:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(f"{stamp} {text}\n")
        except OSError:
            pass


def needed_bytes(job: Job, sized: Callable[[Path], int] | None = None) -> float:
    """Estimate how much memory a case takes at most.

    Parameters
    ----------
    job : Job
        The case.
    sized : callable, optional
        From a file to its length unpacked, bytes.

    Returns
    -------
    float
        Bytes; from the lengths of its files, unpacked, none of which is read.
    """
    return BASE_BYTES + PER_SCAN_BYTE * sum(map(sized or unpacked_bytes, input_files(job)))


def unpacked_bytes(path: Path) -> int:
    """Return how long a file is, a gzip file unpacked.

    Parameters
    ----------
    path : Path
        A file.

    Returns
    -------
    int
        Bytes; 0 if it cannot be read.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            if file.read(2) != b"\x1f\x8b":
                return size
            file.seek(-ISIZE_BYTES, os.SEEK_END)
            return max(size, int.from_bytes(file.read(ISIZE_BYTES), "little"))
    except OSError:
        return 0
