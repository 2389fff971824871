"""Runs the cases of a cohort on a cluster of workers: its own on this machine, or one that is there."""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flr_volumetry.app.batch.state import FAILED, LOGS, Known, known_of, remember
from flr_volumetry.app.batch.work import BASELINE_FAILED, TRANSIENT, Result, needed_bytes, run_job
from flr_volumetry.app.program import package_version
from flr_volumetry.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flr_volumetry.app.batch.cohort import Job

Work = Callable[["Job", str, int], Result]
MOST_TRIES = 3
"""A case that loses its worker, or fails by what may pass, is begun so often."""
SHARE_OF_MEMORY = 0.8
"""Of what the machine has free, all workers together get."""
CONNECT_S = 20
LOST = "worker_lost"


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """Which workers a cohort is run on.

    Parameters
    ----------
    workers : int
        How many processes on this machine, one case in each at a time.
    memory_bytes : float or None
        Limit of each; None for an even share of what is free.
    scheduler : str
        Address of a scheduler that is there; then the others do not count.
    """

    workers: int = 1
    memory_bytes: float | None = None
    scheduler: str = ""

    def limit(self) -> float:
        """Return the limit of each worker, bytes."""
        return self.memory_bytes or SHARE_OF_MEMORY * free_bytes() / self.workers


def free_bytes() -> float:
    """Return the memory that can be had without swapping, bytes; in a container, what it may have.

    Returns
    -------
    float
        Of both the smaller.
    """
    import psutil

    found = float(psutil.virtual_memory().available)
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        with contextlib.suppress(OSError, ValueError):
            found = min(found, float(Path(limit).read_text()) - float(Path(used).read_text()))
    return found


@dataclass(slots=True)
class _Queue:
    """Cases to be begun: how often each was, and which are running."""

    waiting: deque[Job]
    tries: dict[str, int] = field(default_factory=dict)
    running: dict[Any, Job] = field(default_factory=dict)
    following: dict[str, list[Job]] = field(default_factory=dict)
    """Those that wait for another case to be done, by its name."""
    large: list[Job] = field(default_factory=list)
    """Those that do not fit, and what follows them."""

    @classmethod
    def of(cls, jobs: Sequence[Job]) -> _Queue:
        names = {job.name for job in jobs}
        following: dict[str, list[Job]] = {}
        for job in jobs:
            if job.after in names:
                following.setdefault(job.after, []).append(job)
        return cls(deque(job for job in jobs if job.after not in names), following=following)

    def put_off(self, job: Job) -> None:
        self.large.append(job)
        for follower in self.following.pop(job.name, ()):
            self.put_off(follower)


def run_cohort(
    jobs: Sequence[Job],
    out_dir: Path,
    settings: ClusterSettings,
    *,
    tell: Callable[[Result], None] = lambda _: None,
    work: Work = run_job,
    needed: Callable[[Job], float] | None = None,
) -> list[Result]:
    """Run all cases of a cohort that are not done yet.

    Parameters
    ----------
    jobs : sequence of Job
        The cases.
    out_dir : Path
        Folder of the cohort; every worker must see it under this path.
    settings : ClusterSettings
        Where they are run.
    tell : callable
        Called with each result as it comes.
    work : callable
        What a worker does with a case: of the job, the folder and the number of the try.
    needed : callable or None
        How much memory a case takes, bytes; by default as its inputs are large.

    Returns
    -------
    list of Result
        One for each case, in their order.

    Raises
    ------
    OutputError
        If the scheduler cannot be reached, has no worker, or its workers have another version.

    Notes
    -----
    One case at a time is given to each worker, so that where one is lost it is known by which case. A case
    that needs more memory than a worker has by estimate waits until the others are done; then one
    worker gets the memory of all.
    """
    results: dict[str, Result] = {}

    def told(result: Result) -> None:
        results[result.name] = result
        tell(result)

    limit = float("inf") if settings.scheduler else settings.limit()
    takes = needed or needed_bytes

    def fits(job: Job) -> bool:
        return bool(settings.scheduler or job.problem) or takes(job) <= limit

    large = _run_on(jobs, out_dir, settings, told, work, fits)
    if large:
        alone = replace(settings, workers=1, memory_bytes=limit * settings.workers)
        _run_on(large, out_dir, alone, told, work)
    return [results[job.name] for job in jobs]


def _run_on(
    jobs: Sequence[Job],
    out_dir: Path,
    settings: ClusterSettings,
    tell: Callable[[Result], None],
    work: Work,
    fits: Callable[[Job], bool] = lambda _: True,
) -> list[Job]:
    """Run cases; those that do not fit are returned, with all that follow them."""
    wait = _distributed().wait
    queue = _Queue.of(jobs)
    with _client(settings) as client:
        while queue.waiting or queue.running:
            _fill(client, queue, out_dir, work, fits)
            if not queue.running:
                continue
            done = wait(list(queue.running), return_when="FIRST_COMPLETED", timeout=None).done
            for future in done:
                job = queue.running.pop(future)
                result = _result_of(future, job, out_dir, queue.tries[job.name])
                if _again(result, queue.tries[job.name]):
                    queue.waiting.append(job)
                else:
                    _settle(queue, result, out_dir, tell)
    return queue.large


def _settle(queue: _Queue, result: Result, out_dir: Path, tell: Callable[[Result], None]) -> None:
    """Report a case, and let those that follow it begin, or fail with it."""
    tell(result)
    for job in queue.following.pop(result.name, ()):
        if result.known.status != FAILED:
            queue.waiting.append(job)
            continue
        message = f"the case that it follows, {result.name}, failed [{result.known.reason}]."
        _settle(queue, _without_running(job, out_dir, Known(FAILED, BASELINE_FAILED, message)), out_dir, tell)


def _without_running(job: Job, out_dir: Path, known: Known) -> Result:
    """Keep what became of a case that no worker can say."""
    before = known_of(out_dir, job)
    known = replace(known, files=before.files if before is not None else {})
    with contextlib.suppress(OSError, OutputError):
        remember(out_dir, job, known)
    return Result(job.name, known, "")


def _fill(client: Any, queue: _Queue, out_dir: Path, work: Work, fits: Callable[[Job], bool]) -> None:
    """Give one case to each worker that has none; whether it fits is looked up when its turn comes."""
    slots = len(client.scheduler_info(n_workers=-1)["workers"]) or 1
    while queue.waiting and len(queue.running) < slots:
        job = queue.waiting.popleft()
        if not fits(job):
            queue.put_off(job)
            continue
        tries = queue.tries[job.name] = queue.tries.get(job.name, 0) + 1
        future = client.submit(work, job, str(out_dir), tries, key=f"{job.name}-{tries}", pure=False)
        queue.running[future] = job


def _result_of(future: Any, job: Job, out_dir: Path, tries: int) -> Result:
    error = future.exception() if future.status != "finished" else None
    if error is None:
        found: Result = future.result()
        return found
    message = (
        f"its worker was lost in try {tries}: killed, out of memory, or cut off ({type(error).__name__}). "
        f"Give fewer --workers, more --memory, or look into {LOGS}/{job.folder}.log."
    )
    return _without_running(job, out_dir, Known(FAILED, LOST, message, tries=tries))


def _again(result: Result, tries: int) -> bool:
    passing = result.known.status == FAILED and result.known.reason in (LOST, *TRANSIENT)
    return passing and tries < MOST_TRIES


def _distributed() -> Any:
    """Return the package, which has no types, when it is needed: it takes half a second."""
    return import_module("distributed")


def _dask_config(settings: dict[str, Any]) -> Any:
    return import_module("dask").config.set(settings)


@contextlib.contextmanager
def _client(settings: ClusterSettings) -> Iterator[Any]:
    distributed = _distributed()
    # A case that loses its worker is judged here, and the next try is for the same queue.
    quiet = {
        "distributed.scheduler.allowed-failures": 0,
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
        "distributed.worker.memory.terminate": 0.98,
        "distributed.admin.tick.limit": "1h",
        "distributed.diagnostics.nvml": False,
        # Looks at the worker's stack a hundred times a second, for a dashboard that is not shown.
        "distributed.worker.profile.enabled": False,
        # Nobody looks at these either, and each look takes the interpreter from the case.
        "distributed.admin.tick.interval": "1s",
        "distributed.admin.system-monitor.interval": "10s",
    }
    with _dask_config(quiet), contextlib.ExitStack() as stack:
        if settings.scheduler:
            client = stack.enter_context(_reached(settings.scheduler))
            _require_same(client, settings.scheduler)
        else:
            cluster = stack.enter_context(
                distributed.LocalCluster(
                    n_workers=settings.workers,
                    threads_per_worker=1,
                    memory_limit=int(settings.limit()),
                    processes=True,
                    # A port of its own choice: two cohorts may run on one machine.
                    dashboard_address="127.0.0.1:0",
                    host="127.0.0.1",
                    silence_logs=logging.CRITICAL,
                )
            )
            client = stack.enter_context(distributed.Client(cluster))
        yield client


def _reached(address: str) -> Any:
    try:
        return _distributed().Client(address, timeout=CONNECT_S)
    except (OSError, ValueError) as error:
        raise OutputError(
            f"no scheduler answers at {address} within {CONNECT_S} s: {error}. Start one with `dask "
            "scheduler`, and `dask worker` with one thread each on every host.",
            reason="no_scheduler",
        ) from error


def _require_same(client: Any, address: str) -> None:
    workers = client.scheduler_info(n_workers=-1)["workers"]
    if not workers:
        raise OutputError(
            f"the scheduler at {address} has no worker; start some: `dask worker {address} --nthreads 1`.",
            reason="no_worker",
        )
    try:
        found = client.run(package_version)
    except Exception as error:
        raise OutputError(
            f"the workers of {address} cannot run flr_volumetry: {error}. Install the same version there.",
            reason="other_version",
        ) from error
    others = sorted({version for version in found.values() if version != package_version()})
    if others:
        raise OutputError(
            f"workers of {address} have flr_volumetry {', '.join(others)}, this is {package_version()}; a "
            "cohort is run by one version.",
            reason="other_version",
        )
