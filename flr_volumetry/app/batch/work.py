"""One case of a cohort, as a worker runs it."""

from __future__ import annotations

import os
import platform
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from flr_volumetry.app.batch.followups import run_followup
from flr_volumetry.app.batch.sharing import shared
from flr_volumetry.app.batch.state import (
    CASES,
    DONE,
    FAILED,
    KEPT,
    KEY_FILE,
    LOGS,
    Key,
    Known,
    Stamp,
    input_files,
    key_again,
    key_of,
    known_of,
    made_from,
    remember,
)
from flr_volumetry.app.case import make_case
from flr_volumetry.app.program import OTHERWISE
from flr_volumetry.errors import CaseError, FlrError, OutputError
from flr_volumetry.io.writing import is_full

if TYPE_CHECKING:
    from flr_volumetry.app.batch.cohort import Job

BASE_BYTES = 450e6
"""What a worker holds with everything imported (measured: 380 MB)."""
PER_SCAN_BYTE = 3.0
"""What a case takes beside that for each byte of its scan and masks, unpacked (measured: 1.3 to 2.4)."""
TRANSIENT = ("disk_full", "out_of_memory", "system_error")
"""Reasons that may be gone at the next try."""
BASELINE_FAILED = "baseline_failed"
"""Reason of a follow-up whose baseline is not done."""
ISIZE_BYTES = 4
_Keys = Callable[["Job", "Known | None", "Key | None"], "tuple[Key, dict[str, Stamp]]"]
_Act = Callable[["Job", Path, "Key", "Key | None", "_Log"], None]


@dataclass(frozen=True, slots=True)
class Result:
    """What a worker says of a case.

    Parameters
    ----------
    name : str
        Of the job.
    known : Known
        What became of it, without its files.
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
    return _told(job, Path(out_dir), tries, key_of, _run)


def judge_job(job: Job, out_dir: str, tries: int = 1) -> Result:
    """Judge one case anew from what an earlier run measured, unless it was judged so already.

    Parameters
    ----------
    job : Job
        The case; its images and masks may be gone.
    out_dir : str
        Folder of the cohort.
    tries : int
        Which try it is.

    Returns
    -------
    Result
        Whatever happens; a case that was measured otherwise fails with that reason, its earlier result is
        left as it is.
    """
    return _told(job, Path(out_dir), tries, key_again, _judge)


def _told(job: Job, where: Path, tries: int, keys: _Keys, act: _Act) -> Result:
    """Do something with a case, and keep what became of it."""
    began = time.monotonic()
    log = _Log(where / LOGS / f"{job.folder}.log")
    before = known_of(where, job)
    known = Known(DONE, tries=tries, files=before.files if before is not None else {})
    try:
        _require_sound(job)
        key, files = keys(job, before, _baseline_key(job, where))
        known = replace(known, key=key.whole, files=files)
        earlier = made_from(where, job.folder)
        if earlier == key:
            passed = (before.seconds, before.tries) if before is not None else (0.0, 0)
            known = replace(known, status=KEPT, seconds=passed[0], tries=passed[1])
        else:
            log.begin(job, tries)
            act(job, where, key, earlier, log)
            log.line("done")
            known = replace(known, seconds=time.monotonic() - began)
    except Exception as error:
        reason, message = _why(error)
        log.failed(error, reason, message)
        known = replace(
            known, status=FAILED, reason=reason, message=message, seconds=time.monotonic() - began
        )
    try:
        remember(where, job, replace(known, status=DONE) if known.status == KEPT else known)
    except (OSError, OutputError) as error:
        log.line(f"the state could not be written: {error}")
    # Of a scan of many files these are most of what would be sent, and kept for each case.
    return Result(job.name, replace(known, files={}), f"{platform.node()}:{os.getpid()}")


def _baseline_key(job: Job, where: Path) -> Key | None:
    if not job.after:
        return None
    found = made_from(where, job.baseline)
    if found is None:
        raise CaseError(
            f"the case that it follows, {job.after}, has no result; see {LOGS}/{job.baseline}.log.",
            reason=BASELINE_FAILED,
        )
    return found


def _require_sound(job: Job) -> None:
    if job.problem:
        reason, _, message = job.problem.partition(": ")
        raise CaseError(message, reason=reason)


def _require_measured(earlier: Key | None, key: Key) -> None:
    if earlier is None:
        raise CaseError(
            "there is no earlier result to be judged again; run the case without --rules-only.",
            reason=OTHERWISE,
        )
    differs = [
        words
        for words, one, other in (
            ("its plan, or another part of the case file that is measured", earlier.case, key.case),
            ("its inputs", earlier.inputs, key.inputs),
            ("the program", earlier.program, key.program),
        )
        if one != other
    ]
    if differs:
        raise CaseError(
            f"the earlier result was measured otherwise: {', '.join(differs)} changed since. Run the case "
            "without --rules-only.",
            reason=OTHERWISE,
        )


def _run(job: Job, out_dir: Path, key: Key, earlier: Key | None, log: _Log) -> None:
    from flr_volumetry.app.run import run_case
    from flr_volumetry.app.write import require_writable, write_outcome

    folder, note = out_dir / CASES / job.folder, {KEY_FILE: key.note(job)}
    if job.after:
        run_followup(job, folder, out_dir / CASES, tell=log.line, also=note, sha256=key.whole)
        return
    case = make_case(job.data, folder=job.root, sha256=key.whole, where=job.where)
    require_writable(folder)
    outcome = run_case(case, tell=log.line, preparing=shared(job, key))
    write_outcome(outcome, folder, tell=log.line, also=note)


def _judge(job: Job, out_dir: Path, key: Key, earlier: Key | None, log: _Log) -> None:
    from flr_volumetry.app.reassess import reassess

    _require_measured(earlier, key)
    if job.after:
        raise CaseError(
            "growth since a baseline is measured on both scans; run the case without --rules-only.",
            reason=OTHERWISE,
        )
    case = make_case(job.data, folder=job.root, sha256=key.whole, where=job.where)
    folder = out_dir / CASES / job.folder
    reassess(folder, case, tell=log.line, also={KEY_FILE: key.note(job)})


def _why(error: Exception) -> tuple[str, str]:
    if isinstance(error, FlrError):
        return error.reason, error.message
    if isinstance(error, MemoryError):
        return "out_of_memory", "The case needs more memory than its worker has."
    if isinstance(error, OSError):
        reason = "disk_full" if is_full(error) else "system_error"
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
