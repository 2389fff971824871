"""Associations with a DICOM peer, and in words why there is none."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from flr_volumetry.app.network.quiet import quiet_dimse
from flr_volumetry.errors import InputError, NetworkError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.association import Association
    from pynetdicom.presentation import PresentationContext

    from flr_volumetry.app.network.addresses import DicomPeer, Tls

MAX_CONTEXTS = 128
"""Odd numbers of one byte (PS3.8, 9.3.2.2)."""
_USER, _ACSE, _PRESENTATION = 1, 2, 3
_REASONS = {
    (_USER, 1): "it gives no reason",
    (_USER, 2): "it does not know the application context",
    (_USER, 3): "it does not know the calling AE title {calling}",
    (_USER, 7): "it does not call itself {called}",
    (_ACSE, 1): "it gives no reason",
    (_ACSE, 2): "it does not know the protocol's version",
    (_PRESENTATION, 1): "it is congested",
    (_PRESENTATION, 2): "it has as many associations as it allows",
}
"""Source and reason of an A-ASSOCIATE-RJ (PS3.8, table 9-21)."""
_ADVICE = {
    (_USER, 3): " Have the PACS's administrator add it, or write the one that is known as `as` of the peer.",
    (_USER, 7): " Correct ae_title of the peer.",
}
TRANSIENT = 2
NOT_OFFERED = "not_offered"
"""Reason code where a peer has none of the services asked for."""


@contextmanager
def associated(
    peer: DicomPeer,
    contexts: Sequence[PresentationContext],
    *,
    roles: Sequence[Any] = (),
    handlers: Sequence[Any] = (),
) -> Iterator[Association]:
    """Hold an association with a peer, released at the end, aborted where an error ends it.

    Parameters
    ----------
    peer : DicomPeer
        Whom to call.
    contexts : sequence of PresentationContext
        What to propose, at most 128.
    roles : sequence of SCP_SCU_RoleSelectionNegotiation
        Roles proposed beside the usual ones.
    handlers : sequence of tuple
        pynetdicom's events, and what is called on them.

    Yields
    ------
    Association
        Established.

    Raises
    ------
    NetworkError
        If there is none; the reason code says why: peer_unreachable, tls_failed, association_rejected,
        peer_busy,
        association_aborted, peer_timeout, not_offered.
    InputError
        If a certificate of ours cannot be read.
    """
    quiet_dimse()
    from pynetdicom import evt

    entity = _entity(peer)
    tls = None if peer.tls is None else (client_context(peer.tls), peer.tls.name or peer.host)
    began = time.monotonic()
    try:
        association = entity.associate(
            peer.host,
            peer.port,
            contexts=list(contexts),
            ae_title=peer.ae_title,
            max_pdu=peer.max_pdu,
            ext_neg=list(roles),
            evt_handlers=[*handlers, (evt.EVT_CONN_OPEN, undelayed)],
            tls_args=tls,
        )
    except OSError as error:  # the host's name is not known
        raise unreachable(peer, error) from error
    if not association.is_established:
        raise _why(peer, association, time.monotonic() - began)
    try:
        yield association
    except BaseException:
        association.abort()
        raise
    if association.is_established:
        association.release()
    else:
        association.kill()


def _entity(peer: DicomPeer) -> ApplicationEntity:
    """Return us, as the peer knows us and as patient as was said."""
    from flr_volumetry.app.network.entity import ClientEntity

    entity = ClientEntity(ae_title=peer.calling)
    entity.connection_timeout = peer.connect_s
    entity.acse_timeout = peer.answer_s
    entity.dimse_timeout = peer.answer_s
    entity.network_timeout = max(2 * peer.answer_s, 60.0)
    return entity


def undelayed(event: Any) -> None:
    """Have a command and its data leave at once: each waits 40 ms for the other's receipt if not (Nagle).

    Parameters
    ----------
    event : pynetdicom.events.Event
        A connection was opened, by us or by a peer.
    """
    with suppress(AttributeError, OSError):
        event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def client_context(tls: Tls) -> ssl.SSLContext:
    """Return what a connection is encrypted with, when we call.

    Parameters
    ----------
    tls : Tls
        Whom we trust, and our own certificate.

    Returns
    -------
    ssl.SSLContext
        TLS 1.2 or newer; the peer's certificate and name are checked.

    Raises
    ------
    InputError
        If a file cannot be read, or holds no certificate.
    """
    try:
        context = ssl.create_default_context(cafile=tls.ca)
    except (OSError, ssl.SSLError) as error:
        raise _no_certificates(tls) from error
    _add_own(context, tls)
    return context


def server_context(tls: Tls) -> ssl.SSLContext:
    """Return what a connection is encrypted with, when a peer calls us.

    Parameters
    ----------
    tls : Tls
        Our certificate; with `ca`, whoever calls must show one from there.

    Returns
    -------
    ssl.SSLContext
        TLS 1.2 or newer.

    Raises
    ------
    InputError
        If there is no certificate of ours, or a file cannot be read.
    """
    if tls.certificate is None:
        raise InputError("To be called over TLS takes a certificate of our own.", reason="bad_certificate")
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tls.ca)
    except (OSError, ssl.SSLError) as error:
        raise _no_certificates(tls) from error
    if tls.ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    _add_own(context, tls)
    return context


def _no_certificates(tls: Tls) -> InputError:
    return InputError(f"{tls.ca} holds no certificates to trust (PEM).", reason="bad_certificate")


def _add_own(context: ssl.SSLContext, tls: Tls) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.certificate is None:
        return
    try:
        # A service has no one to type a pass phrase: an encrypted key is an error.
        context.load_cert_chain(tls.certificate, tls.key, password=lambda: "")
    except (OSError, ssl.SSLError) as error:
        raise InputError(
            f"{tls.certificate} with its key cannot be used: write PEM, and the key unencrypted.",
            reason="bad_certificate",
        ) from error


def unreachable(peer: DicomPeer, error: OSError) -> NetworkError:
    """Say why there is no connection.

    Parameters
    ----------
    peer : DicomPeer
        Who was called.
    error : OSError
        What the system said.

    Returns
    -------
    NetworkError
        tls_failed, or peer_unreachable.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return NetworkError(
            f"{peer.address} shows a certificate that is not trusted: {error.verify_message}. Name the "
            "certificates to trust as ca under tls of the peer, or what it is made out to as name.",
            reason="tls_failed",
        )
    if isinstance(error, (ssl.SSLError, ConnectionResetError)) and peer.tls is not None:
        return NetworkError(
            f"{peer.address} and we do not agree on TLS: {_said(error)}. Does it expect TLS on this port, "
            "or a certificate of ours?",
            reason="tls_failed",
        )
    return NetworkError(
        f"{peer.address} cannot be reached: {_said(error)}. Are host and port right, and is it running?",
        reason="peer_unreachable",
    )


def _said(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return str(error.reason or "the handshake failed").replace("_", " ").lower()
    return str(error.strerror or error)


def _why(peer: DicomPeer, association: Association, seconds: float) -> NetworkError:
    """Say why no association came about: rejected, aborted, or there is not even a connection."""
    if association.is_rejected:
        answer: Any = association.acceptor.primitive
        return rejected(peer, int(answer.result), int(answer.result_source), int(answer.diagnostic))
    if association.rejected_contexts:
        return NetworkError(f"{peer.address} offers nothing of what was asked for.", reason=NOT_OFFERED)
    try:
        _connect(peer)
    except OSError as error:
        return unreachable(peer, error)
    if seconds >= peer.answer_s:
        return NetworkError(
            f"{peer.address} takes the connection, but answers nothing within {peer.answer_s:g} s.",
            reason="peer_timeout",
        )
    hint = "" if peer.tls is not None else " It may expect TLS, or not be a DICOM peer at all."
    return NetworkError(
        f"{peer.address} takes the connection and breaks off before any association.{hint}",
        reason="association_aborted",
    )


def rejected(peer: DicomPeer, result: int, source: int, reason: int) -> NetworkError:
    """Put an A-ASSOCIATE-RJ in words.

    Parameters
    ----------
    peer : DicomPeer
        Who was called.
    result, source, reason : int
        As it was answered (PS3.8, table 9-21).

    Returns
    -------
    NetworkError
        peer_busy where it may pass, association_rejected where not.
    """
    words = _REASONS.get((source, reason), f"source {source}, reason {reason}")
    words = words.format(calling=peer.calling, called=peer.ae_title)
    passing = result == TRANSIENT or source == _PRESENTATION
    return NetworkError(
        f"{peer.address} rejects the association: {words}.{_ADVICE.get((source, reason), '')}",
        reason="peer_busy" if passing else "association_rejected",
    )


def _connect(peer: DicomPeer) -> None:
    """Connect, and shake hands where it is TLS; pynetdicom keeps what goes wrong with that to itself."""
    with socket.create_connection((peer.host, peer.port), timeout=peer.connect_s) as plain:
        if peer.tls is None:
            return
        with client_context(peer.tls).wrap_socket(
            plain, server_hostname=peer.tls.name or peer.host
        ) as secure:
            # In TLS 1.3 a server refuses our certificate after the handshake.
            secure.settimeout(min(1.0, peer.connect_s))
            try:
                secure.recv(1)
            except TimeoutError:
                return
