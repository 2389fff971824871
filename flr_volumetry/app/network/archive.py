"""An archive that is asked, whichever protocol it speaks."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from flr_volumetry.app.network.addresses import DicomPeer, Peer
from flr_volumetry.app.network.association import NOT_OFFERED
from flr_volumetry.app.network.find import FindArchive, asking
from flr_volumetry.app.network.http import client
from flr_volumetry.app.network.qido import WebArchive
from flr_volumetry.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flr_volumetry.app.network.matches import Archive


@contextmanager
def archive_of(peer: Peer) -> Iterator[Archive]:
    """Hold an archive, to ask it.

    Parameters
    ----------
    peer : Peer
        Whom to ask.

    Yields
    ------
    Archive
        While its connection is held.

    Raises
    ------
    NetworkError
        If it cannot be reached, or answers no queries.
    """
    if isinstance(peer, DicomPeer):
        with asking(peer) as association:
            yield FindArchive(peer, association)
    else:
        with client(peer) as http:
            yield WebArchive(peer, http)


def held(peer: Peer, study_uid: str, sop_uids: frozenset[str]) -> frozenset[str] | None:
    """Ask which objects of a study a peer has.

    Parameters
    ----------
    peer : Peer
        Whom to ask.
    study_uid : str
        Of the study.
    sop_uids : frozenset of str
        The objects in question.

    Returns
    -------
    frozenset of str or None
        Those that it has; None if it answers no queries.

    Raises
    ------
    NetworkError
        If it cannot be reached, or does not take us.
    """
    found: set[str] = set()
    try:
        with archive_of(peer) as archive:
            for series in archive.series(study_uid):
                objects = archive.objects(series)
                if objects is None:
                    return None
                found.update(stored.uid for stored in objects)
                if found >= sop_uids:
                    break
    except NetworkError as error:
        if error.reason in (NOT_OFFERED, "query_failed"):
            return None
        raise
    return sop_uids & found
