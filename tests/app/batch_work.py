"""What workers do in tests of the engine; a module of its own, so that they can import it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from flr_volumetry.app.batch.state import DONE, Known
from flr_volumetry.app.batch.work import Result


def note(job, out_dir):
    """Add a line to the case's own list of beginnings."""
    path = Path(out_dir) / f"{job.case_id}.begun"
    with path.open("a") as file:
        file.write(f"{os.getpid()}\n")
    return len(path.read_text().splitlines())


def told(job, tries=1):
    return Result(job.name, Known(DONE, tries=tries), str(os.getpid()))


def dies_by_name(job, out_dir, tries):
    """Kills its own process: always, or the first time, as the case is called."""
    begun = note(job, out_dir)
    if job.case_id.startswith("always") or (job.case_id.startswith("once") and begun == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    return told(job, tries)


def eats_memory(job, out_dir, tries):
    """Takes as many megabytes as the case is called."""
    note(job, out_dir)
    held = []
    for _ in range(int(job.case_id.removeprefix("mb")) // 10):
        held.append(bytearray(os.urandom(1 << 20) * 10))
        time.sleep(0.005)
    time.sleep(1.0)
    return told(job, tries)


def tells_when(job, out_dir, tries):
    """Takes a moment, and says when it ran."""
    began = time.time()
    time.sleep(0.3)
    (Path(out_dir) / f"{job.case_id}.when").write_text(f"{began} {time.time()}")
    return told(job, tries)
