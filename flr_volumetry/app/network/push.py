"""Objects sent to a peer, again where it may pass, and never twice."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flr_volumetry.app.network.client import holds, send_instances, unsendable
from flr_volumetry.app.network.instances import files_in, read_instance
from flr_volumetry.app.network.journal import Journal, Mark, mark_of
from flr_volumetry.app.network.sent import Sent, sent
from flr_volumetry.errors import InputError, NetworkError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flr_volumetry.app.network.addresses import Peer
    from flr_volumetry.app.network.instances import Instance

TRIES: Final = 3
WAIT_S: Final = 2.0
"""Before the second try; each later one waits four times as long."""
PASSING: Final = frozenset(
    {"peer_unreachable", "peer_busy", "peer_timeout", "peer_failed", "connection_lost", "association_aborted"}
)
"""Reasons of a NetworkError that may be gone at the next try."""


@dataclass(slots=True)
class Pushed:
    """What became of all objects of a push.

    Parameters
    ----------
    results : list of Sent
        Of those that were tried, or could not be.
    before : list of Instance
        Those that the peer has from an earlier push.
    """

    results: list[Sent] = field(default_factory=list)
    before: list[Instance] = field(default_factory=list)

    def count(self, status: str) -> int:
        """Return how many ended so."""
        return sum(result.status == status for result in self.results)


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a push is tried, and how long it waits.

    Parameters
    ----------
    tries : int
        At least 1.
    wait_s : float
        Before the second try, s; each later one waits four times as long.
    """

    tries: int = TRIES
    wait_s: float = WAIT_S


def push(
    peer: Peer,
    paths: Sequence[Path],
    journal: Journal,
    *,
    patience: Patience,
    tell: Callable[[str], None],
    again: bool = False,
) -> Pushed:
    """Send all DICOM objects of files and folders.

    Parameters
    ----------
    peer : Peer
        Where to.
    paths : sequence of Path
        Files, and folders with all below them; in folders, files that are no DICOM objects are passed over.
    journal : Journal
        Of what was sent before.
    patience : Patience
        How often what fails is tried.
    tell : callable
        Is told how far it is.
    again : bool
        Send what was sent before, too.

    Returns
    -------
    Pushed
        What became of each.

    Raises
    ------
    InputError
        If a path does not exist, or there are no objects.
    NetworkError
        If the peer cannot be worked with, and nothing was sent.
    OutputError
        If the journal cannot be written.
    """
    pushed = Pushed()
    waiting = _objects(peer, paths, pushed, tell)
    if not waiting and not pushed.results:
        raise InputError(f"No DICOM objects lie in {', '.join(map(str, paths))}.", reason="no_objects")
    if not again:
        waiting = _without_sent(peer, waiting, journal, pushed)
    failures: dict[Path, Sent] = {}
    for number in range(patience.tries):
        if not waiting:
            break
        if number:
            tell(f"{len(waiting)} failed; waiting for the next try")
            time.sleep(patience.wait_s * 4 ** (number - 1))
        failures = {}
        last = number + 1 == patience.tries
        try:
            _send(peer, waiting, journal, (pushed, failures), tell)
        except NetworkError as error:
            if error.reason not in PASSING or (last and not pushed.count("sent")):
                raise
            failures |= {path: sent(i, "failed", error.message) for path, (i, _) in waiting.items()}
        waiting = {path: found for path, found in waiting.items() if path in failures}
    pushed.results += failures.values()
    return pushed


Waiting = dict[Path, tuple["Instance", Mark]]


def _objects(peer: Peer, paths: Sequence[Path], pushed: Pushed, tell: Callable[[str], None]) -> Waiting:
    """Read the headers of all files; an object that is there twice is meant once."""
    named = {path.resolve() for path in paths}
    found: dict[Mark, Instance] = {}
    for number, path in enumerate(files_in(paths), start=1):
        tell(f"reading headers: {number} files")
        try:
            instance = read_instance(path)
            if instance is not None:
                found.setdefault(mark_of(peer, instance), instance)
            elif path.resolve() in named:
                pushed.results.append(Sent(path, "", "refused", "it is no DICOM object"))
        except InputError as error:
            pushed.results.append(unsendable(path, error))
        except OSError:
            pushed.results.append(Sent(path, "", "failed", "the file cannot be read"))
    waiting: Waiting = {}
    seen: set[str] = set()
    for mark, instance in found.items():
        if mark.uid in seen:
            reason = "another file has the same SOP Instance UID and other content"
            pushed.results.append(sent(instance, "refused", reason))
            continue
        seen.add(mark.uid)
        waiting[instance.path] = (instance, mark)
    return waiting


def _without_sent(peer: Peer, waiting: Waiting, journal: Journal, pushed: Pushed) -> Waiting:
    """Leave out what the peer has; where an earlier push was cut short, ask it."""
    left: Waiting = {}
    unclear = defaultdict(list)
    for path, (instance, mark) in waiting.items():
        known = journal.done.get(mark.uid)
        if known == mark.content:
            pushed.before.append(instance)
        elif known is not None:
            reason = "another object with its SOP Instance UID was sent to this peer before"
            pushed.results.append(sent(instance, "refused", reason))
        else:
            left[path] = (instance, mark)
            if mark in journal.unclear:
                unclear[instance.study_uid].append(path)
    for study_uid, paths in unclear.items():
        has = holds(peer, study_uid, [left[path][0].sop_instance_uid for path in paths]) or frozenset()
        for path in paths:
            instance, mark = left[path]
            if instance.sop_instance_uid in has:
                journal.end(mark, sent=True)
                pushed.before.append(instance)
                del left[path]
    return left


def _send(
    peer: Peer,
    waiting: Waiting,
    journal: Journal,
    into: tuple[Pushed, dict[Path, Sent]],
    tell: Callable[[str], None],
) -> None:
    pushed, failures = into
    journal.begin(mark for _, mark in waiting.values())
    instances = [instance for instance, _ in waiting.values()]
    for number, result in enumerate(send_instances(peer, instances), start=1):
        tell(f"sending to {peer.name}: {number} of {len(instances)}")
        if result.status == "failed":
            failures[result.path] = result
            continue
        journal.end(waiting[result.path][1], sent=result.status == "sent")
        pushed.results.append(result)
