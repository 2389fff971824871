"""Runs the cases of studies in a process beside the node, within bounds of memory and time."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from flr_volumetry.app.batch.cohort import Job

if TYPE_CHECKING:
    from flr_volumetry.app.node.matching import Meant
    from flr_volumetry.app.node.records import Study

KILL_S = 10.0
MOST_CASES = 50
"""A process is replaced after so many: what libraries keep of one case does not add up for ever."""
LAST_WORDS_S = 2.0
"""So long the last words of a process that has ended may take to arrive."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a case ended.

    Parameters
    ----------
    reason, message : str
        Why it failed; empty if it did not.
    key : str
        Of its result.
    seconds : float
        That it took.
    """

    reason: str
    message: str
    key: str
    seconds: float


class Worker:
    """A process that runs one case after the other.

    Parameters
    ----------
    out_dir : Path
        Folder of results, as for `flr batch`.
    memory_bytes : float
        It is ended if it takes more.
    seconds : float
        And if a case takes longer.
    """

    def __init__(self, out_dir: Path, *, memory_bytes: float, seconds: float) -> None:
        self._out_dir, self._memory, self._seconds = out_dir, memory_bytes, seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._said: queue.Queue[bytes] = queue.Queue()
        self._cases = 0
        self._began = 0.0
        self._peak = 0.0
        self._cut = ""
        self._ended: Ended | None = None
        self.study: Study | None = None
        self.meant: Meant | None = None

    def begin(self, study: Study, meant: Meant, job: Job) -> None:
        """Begin a case.

        Parameters
        ----------
        study : Study
            Of which.
        meant : Meant
            By which recipe.
        job : Job
            To be run.
        """
        if self._process is None or self._process.poll() is not None or self._cases >= MOST_CASES:
            self.stop()
            self._start()
        self.study, self.meant, self._ended = study, meant, None
        self._began, self._peak, self._cut = time.monotonic(), 0.0, ""
        self._cases += 1
        asked = {**asdict(job), "root": str(job.root), "out_dir": str(self._out_dir)}
        process = self._process
        # A process that has ended by then is found by `poll`.
        with suppress(OSError):
            if process is not None and process.stdin is not None:
                process.stdin.write(json.dumps(asked).encode("utf-8") + b"\n")
                process.stdin.flush()

    def _start(self) -> None:
        self._cases, self._said = 0, queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "flr_volumetry.app.node.runner"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # What libraries say there may hold what is in the objects; the case's log has what we say.
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        threading.Thread(target=_listen, args=(self._process.stdout, self._said), daemon=True).start()

    def poll(self) -> Ended | None:
        """Look after the case.

        Returns
        -------
        Ended or None
            None while it runs; the same each time once it has ended, until `release`.
        """
        if self._ended is None:
            self._ended = self._look()
        return self._ended

    def _look(self) -> Ended | None:
        process = self._process
        gone = process is None or process.poll() is not None
        seconds = time.monotonic() - self._began
        try:
            line = self._said.get(timeout=LAST_WORDS_S) if gone else self._said.get_nowait()
            told = json.loads(line)
            return Ended(str(told["reason"]), str(told["message"]), str(told["key"]), seconds)
        except (queue.Empty, ValueError, KeyError, TypeError):
            if not gone:
                self._watch(seconds)
                return None
        status = process.returncode if process is not None else None
        return Ended(*self._lost(seconds, status), "", seconds)

    def _lost(self, seconds: float, status: int | None) -> tuple[str, str]:
        if self._cut == "out_of_memory":
            taken, limit = self._peak / 1e9, self._memory / 1e9
            return self._cut, f"The case took {taken:.1f} GB, memory_gb = {limit:g}; it was ended."
        if self._cut == "out_of_time":
            minutes = self._seconds / 60
            return (
                self._cut,
                f"The case took {seconds / 60:.1f} min, case_minutes = {minutes:g}; it was ended.",
            )
        return "worker_lost", f"The process of the case ended by itself (status {status})."

    def _watch(self, seconds: float) -> None:
        import psutil

        process = self._process
        if process is None:
            return
        with suppress(psutil.Error):
            self._peak = max(self._peak, float(psutil.Process(process.pid).memory_info().rss))
        if self._peak > self._memory:
            self._cut = "out_of_memory"
        elif seconds > self._seconds:
            self._cut = "out_of_time"
        if self._cut:
            process.kill()

    def release(self) -> None:
        """Be free for the next case."""
        self.study = self.meant = self._ended = None

    def stop(self) -> None:
        """End the process; a case that it runs is lost."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait(KILL_S)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def _listen(stream: IO[bytes] | None, said: queue.Queue[bytes]) -> None:
    with suppress(OSError, ValueError):
        for line in stream or ():
            said.put(line)


def _ask(asked: queue.Queue[bytes]) -> None:
    """Pass on what the node asks for; end when it ends, however it does: its end of the pipe is closed."""
    for line in sys.stdin.buffer:
        asked.put(line)
    os._exit(1)


def main() -> None:
    """Run each case that standard input names, and say on standard output how it ended."""
    from flr_volumetry.app.batch.work import run_job

    # Whatever prints goes where nobody reads it, and not between the lines for the node.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    lines: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_ask, args=(lines,), daemon=True).start()
    while True:
        asked: dict[str, Any] = json.loads(lines.get())
        out_dir = asked.pop("out_dir")
        known = run_job(Job(**{**asked, "root": Path(asked["root"])}), out_dir).known
        told = {"reason": known.reason, "message": known.message, "key": known.key}
        answers.write(json.dumps(told).encode("utf-8") + b"\n")


if __name__ == "__main__":
    main()
