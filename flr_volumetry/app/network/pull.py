"""Studies of an archive brought into a folder: what is there already is not fetched again."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from flr_volumetry.app.network.addresses import DicomPeer, Peer
from flr_volumetry.app.network.archive import archive_of
from flr_volumetry.app.network.association import NOT_OFFERED
from flr_volumetry.app.network.http import client
from flr_volumetry.app.network.keeping import Keeper, missing
from flr_volumetry.app.network.retrieve import Current, Getter, Mover, listening, own_address
from flr_volumetry.app.network.wado import WebGetter
from flr_volumetry.errors import InputError, NetworkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from flr_volumetry.app.network.matches import Query, Series, Stored, Study


class _Fetches(Protocol):
    """A way of fetching."""

    def fetch(self, keeper: Keeper, uids: Sequence[str], objects: Sequence[Stored]) -> None:
        """Fetch objects of a series, or all of it."""


@dataclass(frozen=True, slots=True)
class Listening:
    """How objects are fetched.

    Parameters
    ----------
    by : str
        "get", "move", or "auto": what the peer's entry says, C-GET first.
    port : int
        TCP port that is listened at for C-MOVE; 0 for any.
    host : str
        Address of ours that is listened at; the one that leads to the peer if empty.
    """

    by: str = "auto"
    port: int = 0
    host: str = ""


@dataclass(frozen=True, slots=True)
class Pulled:
    """What became of one series.

    Parameters
    ----------
    series : Series
        As the archive says.
    folder : Path
        Where its objects lie.
    expected : int or None
        How many objects the archive has; None where it does not say.
    before : int
        How many were there before.
    came : int
        How many came now.
    lacking : int
        How many are still not there.
    reason : str
        Reason code of what went wrong; empty if nothing did.
    message : str
        And in words.
    """

    series: Series
    folder: Path
    expected: int | None
    before: int
    came: int
    lacking: int
    reason: str = ""
    message: str = ""

    @property
    def complete(self) -> bool:
        """Whether all that the archive has is there."""
        return not self.reason and not self.lacking


def find_studies(peer: Peer, query: Query) -> list[Study]:
    """Ask which studies an archive has.

    Parameters
    ----------
    peer : Peer
        Whom to ask.
    query : Query
        Which are meant.

    Returns
    -------
    list of Study
        In the order of their dates.

    Raises
    ------
    NetworkError
        If the archive cannot be asked.
    """
    with archive_of(peer) as archive:
        return sorted(archive.studies(query), key=lambda study: (study.date, study.uid))


def pull_study(
    peer: Peer,
    study: Study,
    query: Query,
    out_dir: Path,
    *,
    how: Listening,
    tell: Callable[[str], None],
) -> Iterator[Pulled]:
    """Fetch what is not there of a study.

    Parameters
    ----------
    peer : Peer
        Whom from.
    study : Study
        Which.
    query : Query
        Which of its series are meant.
    out_dir : Path
        Objects lie below it as STUDY/SERIES/OBJECT.dcm.
    how : Listening
        How they are fetched.
    tell : callable
        Is told how far it is.

    Yields
    ------
    Pulled
        For each series; what goes wrong with one is its own, and the next is tried.

    Raises
    ------
    NetworkError
        If the archive cannot be asked, or no objects can be fetched from it at all.
    """
    with archive_of(peer) as archive:
        wanted = [series for series in archive.series(study.uid) if query.means_series(series)]
        plans = [(series, archive.objects(series)) for series in wanted]
    with _fetching(peer, how) as ways:
        for n, (series, objects) in enumerate(plans, start=1):
            tell(f"series {n} of {len(plans)}: {len(objects) if objects is not None else 'its'} objects")
            yield _pull_series(peer, series, objects, Keeper(out_dir, series), ways)


def _pull_series(
    peer: Peer,
    series: Series,
    objects: Sequence[Stored] | None,
    keeper: Keeper,
    ways: list[_Fetches],
) -> Pulled:
    there = keeper.there()
    uids = [stored.uid for stored in objects or ()]
    expected = series.instances if objects is None else len(set(uids))
    lacking = missing(keeper, uids)
    # A whole series is asked for as one; of one that is partly there, only what is missing.
    some = lacking if len(lacking) < len(uids) else []
    reason = message = ""
    if lacking or (objects is None and (expected is None or len(there) < expected)):
        try:
            _fetch(keeper, some, objects or (), ways)
        except (NetworkError, InputError) as error:
            if error.reason in _FOR_ALL:
                raise
            reason, message = error.reason, error.message
    now = keeper.there()
    left = len(set(uids) - now) if objects is not None else max(0, (expected or 0) - len(now))
    came = len(now - there)
    if not reason:
        reason, message = _doubt(peer, keeper, came, left)
    before = len(there & set(uids)) if objects is not None else len(there)
    return Pulled(series, keeper.folder, expected, before, came, left, reason, message)


_FOR_ALL = (
    *("peer_unreachable", "tls_failed", "association_rejected", "unauthorized", NOT_OFFERED, "port_in_use"),
    *("destination_unknown", "destination_unreachable", "bad_certificate", "no_secret"),
)
"""Reasons that the next series would meet as well."""


def _fetch(keeper: Keeper, uids: Sequence[str], objects: Sequence[Stored], ways: list[_Fetches]) -> None:
    try:
        ways[0].fetch(keeper, uids, objects)
    except NetworkError as error:
        if error.reason != NOT_OFFERED or len(ways) == 1:
            raise
        del ways[0]
        _fetch(keeper, uids, objects, ways)


def _doubt(peer: Peer, keeper: Keeper, came: int, left: int) -> tuple[str, str]:
    if keeper.differing:
        return "differs", (
            f"{len(keeper.differing)} objects came with other content than is there; those there were kept."
        )
    if keeper.refused:
        return "not_asked_for", f"{peer.name} sent {keeper.refused} objects that were not asked for."
    if left:
        return "incomplete", f"{came} objects came, {left} did not; run it again to fetch those."
    return "", ""


@contextmanager
def _fetching(peer: Peer, how: Listening) -> Iterator[list[_Fetches]]:
    """Hold the ways of fetching, the one to try first before the others."""
    with ExitStack() as stack:
        if not isinstance(peer, DicomPeer):
            yield [WebGetter(peer, stack.enter_context(client(peer)))]
            return
        by = how.by if how.by != "auto" else peer.retrieve
        ways: list[_Fetches] = []
        if by in ("auto", "get"):
            ways.append(Getter(peer))
        if by in ("auto", "move"):
            ways.append(_LateMover(peer, how, stack))
        yield ways


class _LateMover:
    """Listens only once it is needed."""

    def __init__(self, peer: DicomPeer, how: Listening, stack: ExitStack) -> None:
        self.peer, self.how, self.stack = peer, how, stack
        self.mover: Mover | None = None

    def fetch(self, keeper: Keeper, uids: Sequence[str], objects: Sequence[Stored]) -> None:
        """Fetch by C-MOVE."""
        if self.mover is None:
            current, host = Current(), self.how.host or own_address(self.peer)
            port = self.stack.enter_context(listening(self.peer, current, host=host, port=self.how.port))
            self.mover = Mover(self.peer, current, host, port)
        self.mover.fetch(keeper, uids, objects)
