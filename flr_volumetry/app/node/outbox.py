"""Sends what is due to each destination, again and again until it is taken, and no object twice."""

from __future__ import annotations

import hashlib
import random
import shutil
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from flr_volumetry.app.network.client import holds, send
from flr_volumetry.app.node.records import Sending
from flr_volumetry.app.write import replacing
from flr_volumetry.errors import FlrError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flr_volumetry.app.network.addresses import Peer
    from flr_volumetry.app.node.deliveries import Deliveries
    from flr_volumetry.app.node.records import Delivery
    from flr_volumetry.app.node.settings import NodeSettings

LONGEST_WAIT_S = 3600.0
LONGEST_SHUT_S = 300.0
"""A destination that cannot be reached is tried as often as this; when it is back, whatever waits goes."""
DAY_S = 86400.0
IDLE_S = 0.5
STOP_S = 60.0
ROW = "report.json"


class Outbox:
    """A thread for each destination, so that one that is down holds up no other.

    Parameters
    ----------
    settings : NodeSettings
        Destinations, and how long they are tried.
    deliveries : Deliveries
        What is to be sent.
    log : callable
        Of the node.
    """

    def __init__(self, settings: NodeSettings, deliveries: Deliveries, log: Callable[[str], None]) -> None:
        self._node, self._deliveries, self._log = settings.file.node, deliveries, log
        self._peers, self._folders = settings.peers, settings.folders
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.failures: Counter[str] = Counter()
        """How often in a row a destination could not be reached."""
        self._closed: dict[str, float] = {}

    def start(self) -> None:
        """Begin."""
        for name in (*self._peers, *self._folders):
            thread = threading.Thread(target=self._serve, args=(name,), name=f"to {name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """End, after what is being sent."""
        self._stop.set()
        until = time.monotonic() + STOP_S
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    @property
    def alive(self) -> bool:
        """Whether every destination is still served."""
        return all(thread.is_alive() for thread in self._threads)

    def _serve(self, name: str) -> None:
        while not self._stop.is_set():
            try:
                busy = self.turn(name)
            except Exception as error:
                # A destination whose thread ends would be silent for ever.
                self._log(f"sending to {name}: {type(error).__name__}; tried again")
                busy = False
                self._stop.wait(self._node.retry_s)
            if not busy:
                self._stop.wait(IDLE_S)

    def turn(self, name: str) -> bool:
        """Send what is due to a destination, of one study.

        Parameters
        ----------
        name : str
            Of the destination.

        Returns
        -------
        bool
            Whether anything was due, and the destination is not one that was found shut just now.
        """
        # What is new must not knock at a door that is shut, and make the wait of all longer.
        if time.monotonic() < self._closed.get(name, 0.0):
            return False
        due = self._deliveries.due(name)
        if not due:
            return False
        try:
            if name in self._folders:
                self._copy(due, self._folders[name])
            else:
                self._send(due, self._peers[name])
        except (FlrError, OSError) as error:
            self.failures[name] += 1
            why = error.reason if isinstance(error, FlrError) else error.strerror or "system error"
            wait = min(self._later(self.failures[name]), LONGEST_SHUT_S)
            self._closed[name] = time.monotonic() + wait
            for one in due:
                self._put_off(one, 0.0, why)
            self._log(f"{name} cannot be reached [{why}]; tried again in {wait:.0f} s")
        else:
            self.failures.pop(name, None)
        return True

    def _send(self, due: Sequence[Delivery], peer: Peer) -> None:
        due = self._not_there(due, peer)
        by_path = {}
        for one in due:
            if _holds(Path(one.path), one.uid):
                by_path[Path(one.path)] = one
            else:
                # A later result of the study stands in its place.
                self._deliveries.sent(one.number, Sending.REFUSED, reason="file_gone")
        paths = list(by_path)
        outcomes: Counter[str] = Counter()
        for answer in send(peer, paths) if paths else ():
            one = by_path.pop(answer.path)
            outcomes[answer.status] += 1
            if answer.status == "sent":
                self._deliveries.sent(one.number, Sending.SENT, reason=answer.reason)
            elif answer.status == "refused":
                self._deliveries.sent(one.number, Sending.REFUSED, reason=answer.reason)
            else:
                self._put_off(one, self._later(one.tries + 1), answer.reason)
        if outcomes:
            said = ", ".join(f"{count} {status}" for status, count in sorted(outcomes.items()))
            self._log(f"study {due[0].study} to {peer.name}: {said}")

    def _not_there(self, due: Sequence[Delivery], peer: Peer) -> list[Delivery]:
        """Leave out what has arrived already, of those whose sending was cut short."""
        doubtful = [one for one in due if one.state is Sending.SENDING or one.tries]
        there: frozenset[str] = frozenset()
        if doubtful:
            there = holds(peer, due[0].study_uid, [one.uid for one in doubtful]) or frozenset()
        for one in due:
            if one.uid in there:
                self._deliveries.sent(one.number, Sending.SENT, reason="was there already")
        return [one for one in due if one.uid not in there]

    def _copy(self, due: Sequence[Delivery], folder: Path) -> None:
        for one in due:
            source = Path(one.path)
            if not source.is_dir():
                self._deliveries.sent(one.number, Sending.REFUSED, reason="file_gone")
                continue
            # Another queue counts from 1 too, and its study must not take this one's place.
            name = f"{source.name}-{hashlib.sha256(one.study_uid.encode()).hexdigest()[:8]}"
            with replacing(folder / name, ROW) as place:
                shutil.copytree(source, place, dirs_exist_ok=True)
            self._deliveries.sent(one.number, Sending.SENT)
            self._log(f"study {one.study} to the folder {folder.name}")

    def _put_off(self, one: Delivery, wait: float, why: str) -> None:
        if time.time() - one.first > self._node.give_up_days * DAY_S:
            self._deliveries.sent(one.number, Sending.GIVEN_UP, reason=why)
            self._log(
                f"study {one.study} to {one.peer}: given up after {self._node.give_up_days:g} days [{why}]"
            )
        else:
            self._deliveries.sent(one.number, Sending.WAITING, due=time.time() + wait, reason=why)

    def _later(self, tries: int) -> float:
        """Seconds until the next try: twice as long each time, not all at the same moment."""
        wait = min(self._node.retry_s * 2.0 ** min(tries - 1, 20), LONGEST_WAIT_S)
        return wait * random.uniform(0.9, 1.1)


def _holds(path: Path, uid: str) -> bool:
    """Whether a file is there, and still the object that was to be sent."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        header = dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, InvalidDicomError):
        return False
    return str(header.get("SOPInstanceUID", "")) == uid
