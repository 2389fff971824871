"""Fetching by C-GET and C-MOVE (PS3.4, C.4.2 and C.4.3)."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from flr_volumetry.app.network.association import (
    MAX_CONTEXTS,
    NOT_OFFERED,
    associated,
    server_context,
    undelayed,
)
from flr_volumetry.app.network.instances import DIRECTORY
from flr_volumetry.app.network.keeping import NOT_ASKED_FOR, Keeper
from flr_volumetry.app.network.quiet import quiet_dimse
from flr_volumetry.errors import NetworkError
from flr_volumetry.io.dicom.classes import NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pynetdicom.presentation import PresentationContext

    from flr_volumetry.app.network.addresses import DicomPeer
    from flr_volumetry.app.network.matches import Stored

MOVE: Final = "1.2.840.10008.5.1.4.1.2.2.2"
GET: Final = "1.2.840.10008.5.1.4.1.2.2.3"
DESTINATION_UNKNOWN: Final = 0xA801
NOT_DELIVERED: Final = 0xA702
SYNTAXES: Final = (
    *("1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80"),
    *("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.50"),
    *("1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.2"),
    *("1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202"),
)
"""That an object may be stored in: native, lossless, lossy, then the rarer ones."""
_LIST: Final = 100
"""UIDs in one request."""


@contextmanager
def listening(peer: DicomPeer, keeper: Current, *, host: str, port: int) -> Iterator[int]:
    """Be called by a peer that moves objects to us.

    Parameters
    ----------
    peer : DicomPeer
        Who is asked to.
    keeper : Current
        Takes what comes.
    host : str
        Address of ours that is listened at, such as `own_address` gives.
    port : int
        TCP port of ours; 0 for any.

    Yields
    ------
    int
        The port.

    Raises
    ------
    NetworkError
        If the port cannot be had.
    InputError
        If the peer speaks TLS, and there is no certificate of ours.
    """
    quiet_dimse()
    from pynetdicom import evt
    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.presentation import AllStoragePresentationContexts

    entity = ApplicationEntity(ae_title=peer.calling)
    entity.require_called_aet = True
    entity.maximum_pdu_size = peer.max_pdu
    entity.acse_timeout = entity.dimse_timeout = peer.answer_s
    entity.network_timeout = max(2 * peer.answer_s, 60.0)
    for context in AllStoragePresentationContexts:
        entity.add_supported_context(str(context.abstract_syntax), list(SYNTAXES))
    try:
        server: Any = entity.start_server(
            (host, port),
            block=False,
            ssl_context=None if peer.tls is None else server_context(peer.tls),
            evt_handlers=[(evt.EVT_CONN_OPEN, undelayed), (evt.EVT_C_STORE, keeper.handle)],
        )
    except OSError as error:
        raise NetworkError(
            f"Port {port} at {host} cannot be listened at: {error.strerror or error}. Name another with "
            "--port, and have the PACS send there.",
            reason="port_in_use",
        ) from error
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()


def own_address(peer: DicomPeer) -> str:
    """Return the address of ours that leads to a peer; nothing is sent to find it.

    Parameters
    ----------
    peer : DicomPeer
        Who is to call us.

    Returns
    -------
    str
        IPv4 or IPv6.

    Raises
    ------
    NetworkError
        If nothing leads there.
    """
    with socket.socket(socket.AF_INET6 if ":" in peer.host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((peer.host, peer.port))
            return str(probe.getsockname()[0])
        except OSError as error:
            raise NetworkError(
                f"{peer.address} cannot be reached: {error.strerror or error}.", reason="peer_unreachable"
            ) from error


class Current:
    """The series that is being fetched, for whoever calls, and when the last object came.

    Parameters
    ----------
    keeper : Keeper, optional
        Of the series; without one, nothing is taken.
    """

    def __init__(self, keeper: Keeper | None = None) -> None:
        self.keeper = keeper
        self.last = time.monotonic()

    def handle(self, event: Any) -> int:
        """Answer a C-STORE."""
        self.last = time.monotonic()
        keeper = self.keeper
        if keeper is None:
            return NOT_ASKED_FOR
        try:
            return keeper.keep(_pieces(event))
        finally:
            self.last = time.monotonic()


def _pieces(event: Any) -> Iterator[bytes]:
    path = getattr(event.request, "_dataset_path", None)
    if path is None:
        yield event.encoded_dataset()
        return
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            yield chunk


class Getter:
    """Fetches by C-GET: over the association that we opened, so that no port of ours is needed.

    Parameters
    ----------
    peer : DicomPeer
        Whom from.
    """

    def __init__(self, peer: DicomPeer) -> None:
        self.peer = peer

    def fetch(self, keeper: Keeper, uids: Sequence[str], objects: Sequence[Stored]) -> None:
        """Fetch objects of a series.

        Parameters
        ----------
        keeper : Keeper
            Takes what comes.
        uids : sequence of str
            Which; the whole series if empty.
        objects : sequence of Stored
            What the archive says of the series; their classes are proposed.

        Raises
        ------
        NetworkError
            If the peer cannot be worked with; what came until then is kept.
        """
        from pynetdicom import evt
        from pynetdicom.presentation import build_role

        current = Current(keeper)
        contexts = _get_contexts({stored.sop_class_uid for stored in objects} - {""})
        classes = dict.fromkeys(str(context.abstract_syntax) for context in contexts[1:])
        roles = [build_role(uid, scp_role=True) for uid in classes]
        with associated(
            self.peer, contexts, roles=roles, handlers=[(evt.EVT_C_STORE, current.handle)]
        ) as association:
            accepted = {context.abstract_syntax: context.as_scp for context in association.accepted_contexts}
            # What it may not send over this association, it cannot send at all.
            if GET not in accepted or not any(accepted.values()):
                raise NetworkError(f"{self.peer.address} offers no C-GET.", reason=NOT_OFFERED)
            for identifier in _identifiers(keeper, uids):
                for status, _ in association.send_c_get(identifier, GET):
                    _require(self.peer, keeper, status, "")


def _get_contexts(classes: set[str]) -> list[PresentationContext]:
    from pynetdicom.presentation import build_context

    asked = build_context(GET)
    room = MAX_CONTEXTS - 1
    classes = classes or {uid for uid in NAMES if uid != DIRECTORY}
    each = min(len(SYNTAXES), room // len(classes))
    if each < 2:
        return [asked, *(build_context(uid, list(SYNTAXES)) for uid in sorted(classes)[:room])]
    # A context for each syntax, so that an object comes as it is stored.
    return [asked, *(build_context(uid, syntax) for uid in sorted(classes) for syntax in SYNTAXES[:each])]


class Mover:
    """Fetches by C-MOVE: the peer calls us, at a port of ours, under the AE title that it knows.

    Parameters
    ----------
    peer : DicomPeer
        Whom from.
    current : Current
        Of `listening`.
    host : str
        Address of ours that is listened at.
    port : int
        And the port.
    """

    def __init__(self, peer: DicomPeer, current: Current, host: str, port: int) -> None:
        self.peer = peer
        self.current = current
        self.host = host
        self.port = port

    def fetch(self, keeper: Keeper, uids: Sequence[str], objects: Sequence[Stored]) -> None:
        """Fetch objects of a series.

        Parameters
        ----------
        keeper : Keeper
            Takes what comes.
        uids : sequence of str
            Which; the whole series if empty.
        objects : sequence of Stored
            What the archive says of the series; not needed here.

        Raises
        ------
        NetworkError
            If the peer cannot be worked with; what came until then is kept.
        """
        from pynetdicom.presentation import build_context

        self.current.keeper = keeper
        with associated(self.peer, [build_context(MOVE)]) as association, self._watched(association):
            # While objects come, the peer need not answer.
            association.dimse_timeout = None
            for identifier in _identifiers(keeper, uids):
                for status, _ in association.send_c_move(identifier, self.peer.calling, MOVE):
                    self.current.last = time.monotonic()
                    _require(self.peer, keeper, status, self._how())

    def _how(self) -> str:
        title, host = self.peer.calling, self.host
        return (
            f"the destination {title} of a C-MOVE. Have its administrator add the AE title {title} with "
            f"host {host} and port {self.port}, or write the title that it knows as `as` of the peer and "
            "its port as --port; or try --by get."
        )

    @contextmanager
    def _watched(self, association: Any) -> Iterator[None]:
        done = threading.Event()
        self.current.last = time.monotonic()

        def watch() -> None:
            while not done.wait(min(1.0, self.peer.answer_s / 4)):
                if time.monotonic() - self.current.last > self.peer.answer_s:
                    # Whoever waits for a message takes this as none in time, and breaks off.
                    association.dimse.msg_queue.put((None, None))
                    return

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def _identifiers(keeper: Keeper, uids: Sequence[str]) -> Iterator[Any]:
    from pydicom.dataset import Dataset

    for start in range(0, max(1, len(uids)), _LIST):
        identifier = Dataset()
        identifier.QueryRetrieveLevel = "IMAGE" if uids else "SERIES"
        identifier.StudyInstanceUID = keeper.series.study_uid
        identifier.SeriesInstanceUID = keeper.series.uid
        if uids:
            identifier.SOPInstanceUID = list(uids[start : start + _LIST])
        yield identifier


def _require(peer: DicomPeer, keeper: Keeper, status: Any, how: str) -> None:
    """Refuse what ends a transfer; that some objects failed shows by what is missing."""
    if keeper.full is not None:
        raise keeper.full
    if "Status" not in status:
        raise NetworkError(
            f"{peer.address} breaks off, or sends nothing for {peer.answer_s:g} s.", reason="connection_lost"
        )
    code = int(status.Status)
    if code in (0, 0xFF00, 0xFE00) or code >> 12 == 0xB or (code == NOT_DELIVERED and keeper.came):
        return
    if how and code in (DESTINATION_UNKNOWN, NOT_DELIVERED):
        known = code == NOT_DELIVERED
        raise NetworkError(
            f"{peer.address} {'cannot reach' if known else 'does not know'} {how}",
            reason="destination_unreachable" if known else "destination_unknown",
        )
    if code in (0x0122, 0x0124, 0x0211):
        raise NetworkError(f"{peer.address} offers no such transfer (0x{code:04X}).", reason=NOT_OFFERED)
    busy = code >> 8 == 0xA7
    hint = f" Perhaps it does not know, or cannot reach, {how}" if how and not keeper.came else ""
    raise NetworkError(
        f"{peer.address} cannot send what was asked for (0x{code:04X}).{hint}",
        reason="peer_busy" if busy else "transfer_failed",
    )
