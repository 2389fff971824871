"""One way to ask, send and look, whichever protocol a peer speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flr_volumetry.app.network import find, qido
from flr_volumetry.app.network.addresses import DicomPeer, Peer
from flr_volumetry.app.network.archive import held
from flr_volumetry.app.network.instances import read_instance
from flr_volumetry.app.network.sent import Sent
from flr_volumetry.app.network.store import store
from flr_volumetry.app.network.stow import stow
from flr_volumetry.errors import InputError, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from pathlib import Path

    from flr_volumetry.app.network.instances import Instance


def _silent(_: str) -> None:
    pass


def echo(peer: Peer) -> None:
    """Ask whether a peer is there and takes us: C-ECHO, or a query for one study.

    Parameters
    ----------
    peer : Peer
        Whom to ask.

    Raises
    ------
    NetworkError
        If not; the reason code says why.
    InputError
        If a certificate or secret of ours cannot be read.
    """
    if isinstance(peer, DicomPeer):
        find.c_echo(peer)
    else:
        qido.probe(peer)


def send(peer: Peer, paths: Iterable[Path], *, tell: Callable[[str], None] = _silent) -> Iterator[Sent]:
    """Send DICOM objects to a peer.

    Parameters
    ----------
    peer : Peer
        Where to.
    paths : iterable of Path
        Files.
    tell : callable
        Is told how far it is.

    Yields
    ------
    Sent
        For each file, once: first those that cannot be sent at all, then the others in order.

    Raises
    ------
    NetworkError
        If the peer cannot be worked with to begin with: peer_unreachable, association_rejected, tls_failed,
        unauthorized and others. What is lost after the first answer is the instances' failure.
    InputError
        If a certificate or secret of ours cannot be read.
    """
    instances: list[Instance] = []
    for path in paths:
        try:
            found = read_instance(path)
        except (UnreadableError, InputError) as error:
            yield unsendable(path, error)
        else:
            if found is None:
                yield Sent(path, "", "refused", "it is no DICOM object")
            else:
                instances.append(found)
    for done, result in enumerate(send_instances(peer, instances), start=1):
        tell(f"sending to {peer.name}: {done} of {len(instances)}")
        yield result


def unsendable(path: Path, error: InputError) -> Sent:
    """Return what became of a file that is no object, or cannot be read.

    Parameters
    ----------
    path : Path
        The file.
    error : InputError
        Of `read_instance`.

    Returns
    -------
    Sent
        Failed if it may be readable at another time, refused if not; the reason leaves its path out.
    """
    passing = isinstance(error, UnreadableError) and isinstance(error.__cause__, OSError)
    reason = error.message.replace(f"{path}: ", "").replace(str(path), "the file")
    return Sent(path, "", "failed" if passing else "refused", reason)


def send_instances(peer: Peer, instances: list[Instance]) -> Iterator[Sent]:
    """Send objects whose headers were read already.

    Parameters
    ----------
    peer : Peer
        Where to.
    instances : list of Instance
        What.

    Yields
    ------
    Sent
        For each, in order.

    Raises
    ------
    NetworkError
        If the peer cannot be worked with to begin with.
    InputError
        If a certificate or secret of ours cannot be read.
    """
    if not instances:
        return
    if isinstance(peer, DicomPeer):
        yield from store(peer, instances)
    else:
        yield from stow(peer, instances)


def holds(peer: Peer, study_uid: str, sop_uids: Collection[str]) -> frozenset[str] | None:
    """Ask which objects of a study a peer has already.

    Parameters
    ----------
    peer : Peer
        Whom to ask.
    study_uid : str
        Of the study.
    sop_uids : collection of str
        SOP Instance UIDs of the objects in question.

    Returns
    -------
    frozenset of str or None
        Those of them that it has; None where it cannot be asked, since it offers no query.

    Raises
    ------
    NetworkError
        If the peer cannot be reached, or does not take us.
    InputError
        If a certificate or secret of ours cannot be read.
    """
    return held(peer, study_uid, frozenset(sop_uids))
