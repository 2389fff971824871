"""The node: what it received is run when it is complete, and sent when it is done."""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from flr_volumetry.app.batch.state import CASES, LOGS, STATE
from flr_volumetry.app.held import held
from flr_volumetry.app.node.deliveries import Deliveries
from flr_volumetry.app.node.inbox import Inbox
from flr_volumetry.app.node.ledger import Ledger
from flr_volumetry.app.node.matching import job_of, meant_by, require_recipes, series_facts
from flr_volumetry.app.node.outbox import DAY_S, Outbox
from flr_volumetry.app.node.receiver import Receiver
from flr_volumetry.app.node.records import BUCKETS_S, Outcome, Sending, State
from flr_volumetry.app.node.runner import Worker
from flr_volumetry.app.node.watch import Watcher
from flr_volumetry.app.node.web import Web
from flr_volumetry.errors import FlrError, OutputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flr_volumetry.app.node.matching import Meant
    from flr_volumetry.app.node.records import Study
    from flr_volumetry.app.node.runner import Ended
    from flr_volumetry.app.node.settings import NodeSettings

LOCK = ".node.lock"
TURN_S = 0.2
TROUBLE_S = 5.0
"""Until what went wrong is tried again."""
TIDY_S = 600.0
SILENT_S = 30.0
"""A node whose main thread has not been round for so long does not work."""
STALE_S = 6 * 3600.0
"""Objects that wait longer for a destination are a problem to be told."""
MOST_TRIES = 3
UNSENT = (Sending.WAITING, Sending.SENDING)
PASSING = ("disk_full", "system_error", "worker_lost")
"""Reasons of a case that may be gone at the next try."""
OBJECTS = {
    "seg": ("1.2.840.10008.5.1.4.1.1.66.4",),
    "sr": (
        "1.2.840.10008.5.1.4.1.1.88.11",
        "1.2.840.10008.5.1.4.1.1.88.22",
        "1.2.840.10008.5.1.4.1.1.88.33",
        "1.2.840.10008.5.1.4.1.1.88.34",
    ),
    "pdf": ("1.2.840.10008.5.1.4.1.1.104.1",),
    "key_images": ("1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.7.4"),
}
"""SOP classes (PS3.4, B.5) of what a recipe sends."""


class Node:
    """A node, from its start to its end.

    Parameters
    ----------
    settings : NodeSettings
        Its file.
    log : callable
        Where it says what happens.

    Raises
    ------
    FlrError
        If a recipe cannot be run, the folder is another node's, or a port cannot be had.
    """

    def __init__(self, settings: NodeSettings, log: Callable[[str], None]) -> None:
        require_recipes(settings)
        self.settings, self._log = settings, log
        self._file = settings.file
        self.began = time.time()
        self.round = time.monotonic()
        self.ended: Counter[str] = Counter()
        self.took: Counter[float] = Counter()
        self.seconds = 0.0
        bounds = {
            "memory_bytes": self._file.node.memory_gb * 1e9,
            "seconds": self._file.node.case_minutes * 60,
        }
        self._workers = [Worker(settings.folder, **bounds) for _ in range(self._file.node.workers)]
        self._loose: list[Study] = []
        self._tidied = 0.0
        self._over = ExitStack()
        with ExitStack() as stack:
            folder = settings.folder
            stack.enter_context(
                held(
                    folder,
                    LOCK,
                    refusal=f"{folder} is in use by another flr node; stop it, or name another folder.",
                    reason="in_use",
                )
            )
            self.inbox = _opened(folder)
            self.ledger = Ledger(folder / "queue.sqlite")
            stack.callback(self.ledger.close)
            self.deliveries = Deliveries(self.ledger)
            self._recover()
            self.receiver = Receiver(settings, self.inbox, self.ledger, log)
            self.outbox = Outbox(settings, self.deliveries, log)
            self._watchers = [
                Watcher(
                    settings.resolve(entry.folder),
                    entry.settle_s,
                    self.inbox,
                    self.ledger,
                    refusal=self.receiver.refusal,
                    log=log,
                )
                for entry in self._file.watch
            ]
            for watcher in self._watchers:
                watcher.most_bytes = self._file.node.most_object_gb * 1e9
            self.receiver.start()
            stack.callback(self.receiver.stop)
            self.web = Web(self, self._file.web) if self._file.web is not None else None
            if self.web is not None:
                stack.callback(self.web.stop)
            self._over = stack.pop_all()

    @property
    def destinations(self) -> list[str]:
        """Names of all destinations."""
        return [*self.settings.peers, *self.settings.folders]

    def serve(self, stop: threading.Event) -> None:
        """Work until told to stop; cases that are running then are run again by the next start.

        Parameters
        ----------
        stop : threading.Event
            Set from elsewhere.
        """
        with self._over:
            self.outbox.start()
            for watcher in self._watchers:
                watcher.start()
            node = self._file.node
            self._log(f"listening as {node.ae_title} on {node.host}, port {self.receiver.port}")
            try:
                wait = TURN_S
                while not stop.wait(wait):
                    wait = TURN_S if self.turn() else TROUBLE_S
            finally:
                self._log("stopping")
                for watcher in self._watchers:
                    watcher.stop()
                for worker in self._workers:
                    worker.stop()
                    if worker.study is not None:
                        with suppress(OSError):
                            self.ledger.put_back(worker.study.number)
                self.outbox.stop()

    def turn(self) -> bool:
        """Look after everything once.

        Returns
        -------
        bool
            Whether all went well; if not, nothing is lost, and the next turn goes on with it.
        """
        self.round = time.monotonic()
        try:
            self.receiver.reap()
            node = self._file.node
            for study in self.ledger.settle(quiet_s=node.quiet_s, abandon_s=node.abandon_s):
                why = f" [{study.reason}]" if study.reason else ""
                self._log(f"study {study.number}: {study.state}{why}")
            for worker in self._workers:
                self._look_after(worker)
            if time.monotonic() - self._tidied > TIDY_S:
                self._tidied = time.monotonic()
                self._tidy()
        except OSError as error:
            self._log(f"system error [{error.strerror or type(error).__name__}]; tried again")
            return False
        except Exception as error:
            # One study, or one moment, never ends the node.
            self._log(f"unexpected error [{type(error).__name__}]; tried again")
            return False
        return True

    def problems(self) -> list[str]:
        """Return what keeps the node from its work; nothing if it does it."""
        found = []
        if time.monotonic() - self.round > SILENT_S:
            found.append("the queue is not looked after")
        if self.receiver.refusal():
            found.append(f"less than {self._file.node.refuse_below_gb:g} GB free: objects are refused")
        parts = {"the listener": self.receiver.alive, "what sends": self.outbox.alive}
        parts |= {"a watched folder's look-out": all(watcher.alive for watcher in self._watchers)}
        found += [f"{part} has ended: start the node again" for part, alive in parts.items() if not alive]
        waiting = {peer for peer, state in self.deliveries.sendings() if state in UNSENT}
        for name in sorted(waiting.difference(self.destinations)):
            found.append(f"objects wait for {name}, which the node's file does not name any more")
        for name in self.destinations:
            oldest = self.deliveries.stalest(name)
            if oldest is not None and time.time() - oldest > STALE_S:
                found.append(f"objects for {name} wait since {(time.time() - oldest) / 3600:.0f} hours")
        return found

    def _recover(self) -> None:
        for study in self.ledger.recover():
            then = "queued again" if study.state is State.QUEUED else "given up, its status says why"
            self._log(f"study {study.number}: was running when the node ended; {then}")
        known = {study.uid for study in self.ledger.studies()}
        for uid in self.inbox.studies():
            if uid not in known:
                # Its objects are on the disk, the row that was to follow is not.
                number = self.ledger.begun(uid, "")
                self.ledger.ended(number, began=time.time(), clean=True)
                self._log(f"study {number}: found in the folder of received objects")

    def _look_after(self, worker: Worker) -> None:
        if worker.study is not None and worker.meant is not None:
            ended = worker.poll()
            if ended is None:
                return
            self._finish(worker.study, worker.meant, ended)
            worker.release()
            self.took[next((top for top in BUCKETS_S if ended.seconds <= top), inf)] += 1
            self.seconds += ended.seconds
            self.ended[ended.reason or "done"] += 1
        while worker.study is None and not self.receiver.refusal():
            study = self._loose[0] if self._loose else self.ledger.take()
            if study is None:
                return
            # Until it is with a worker, or its end is noted, it is nobody's: an error may come between.
            self._loose[:1] = [study]
            self._begin(study, worker)
            del self._loose[:1]

    def _begin(self, study: Study, worker: Worker) -> None:
        reason, said, state = "", "", State.FAILED
        try:
            series = series_facts(self.inbox.study(study.uid))
            meant = meant_by(self._file.recipe, series, study.caller)
            job = job_of(study, meant, self.settings) if meant is not None else None
            if job is None:
                state, reason = State.IGNORED, "no_recipe"
                said = f"No recipe fits any of its {len(series)} series."
        except (FlrError, OSError) as error:
            reason, said = error.reason if isinstance(error, FlrError) else "unreadable", str(error)
        except Exception as error:
            # Whatever strange thing an object holds, it is the end of its study alone.
            reason, said = "unreadable", f"An object cannot be made sense of: {type(error).__name__}."
        if reason:
            self.ledger.finish(study.number, state, Outcome("", reason, said))
            self.ended["ignored" if state is State.IGNORED else reason] += 1
            told = "no recipe fits" if state is State.IGNORED else f"failed [{reason}]"
            self._log(f"study {study.number}: {told}")
        elif meant is not None and job is not None:
            worker.begin(study, meant, job)
            self._log(f"study {study.number}: recipe {meant.recipe.name!r} begun")

    def _finish(self, study: Study, meant: Meant, ended: Ended) -> None:
        name = meant.recipe.name
        if ended.reason:
            again = ended.reason in PASSING and study.tries < MOST_TRIES
            outcome = Outcome(name, ended.reason, ended.message, ended.seconds)
            self.ledger.finish(study.number, State.QUEUED if again else State.FAILED, outcome)
            then = "tried again" if again else "its log says more"
            self._log(f"study {study.number}: failed [{ended.reason}], {then}")
            return
        folder = self.settings.folder / CASES / study.name
        send = list(self._to_send(meant, folder, ended.key))
        self.ledger.finish(study.number, State.DONE, Outcome(name, seconds=ended.seconds), send)
        self._log(f"study {study.number}: done in {ended.seconds:.0f} s, {len(send)} to be sent")

    def _to_send(self, meant: Meant, folder: Path, key: str) -> list[tuple[str, str, str]]:
        from pydicom import dcmread

        wanted = {uid for kind in meant.recipe.objects for uid in OBJECTS[kind]}
        objects = []
        for path in sorted((folder / "dicom").glob("*.dcm")):
            header = dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID", "SOPInstanceUID"])
            if header.SOPClassUID in wanted:
                objects.append((str(path), str(header.SOPInstanceUID)))
        found = []
        for name in meant.recipe.to:
            if name in self.settings.folders:
                found.append((name, str(folder), key))
            else:
                found += [(name, path, uid) for path, uid in objects]
        return found

    def _tidy(self) -> None:
        """Remove the files of studies that are settled and sent, after the days they are kept."""
        when = time.time() - self._file.node.keep_days * DAY_S
        for study in self.ledger.finished_before(when):
            if not self.ledger.tidied(study.number, when, partial(self.inbox.away, study.uid)):
                continue
            self.inbox.empty()
            shutil.rmtree(self.settings.folder / CASES / study.name, ignore_errors=True)
            for place in (f"{STATE}/{study.name}.json", f"{LOGS}/{study.name}.log"):
                (self.settings.folder / place).unlink(missing_ok=True)


def _opened(folder: Path) -> Inbox:
    try:
        folder.chmod(0o700)
        found = Inbox(folder)
        found.sweep()
    except OSError as error:
        raise _unwritable(folder, error) from error
    return found


def _unwritable(folder: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{folder} cannot be written: {error.strerror or error}. The node keeps there what it receives.",
        reason="unwritable",
    )


def require_room(settings: NodeSettings) -> None:
    """Refuse a node that could receive nothing from the beginning.

    Parameters
    ----------
    settings : NodeSettings
        Of the node.

    Raises
    ------
    OutputError
        If its folder cannot be made, or its disk has less room than it is to keep free.
    """
    folder = settings.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    free, least = shutil.disk_usage(folder).free / 1e9, settings.file.node.refuse_below_gb
    if free < least:
        raise OutputError(
            f"{folder} has {free:.1f} GB free, refuse_below_gb = {least:g}: every object would be refused.",
            reason="disk_full",
        )
