"""HTTP with a DICOMweb peer: one client, its secrets, and in words what its answers mean."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flr_volumetry.app.network.association import client_context
from flr_volumetry.app.network.quiet import quiet
from flr_volumetry.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx2

    from flr_volumetry.app.network.addresses import WebPeer

DICOM_JSON = "application/dicom+json"


@contextmanager
def client(peer: WebPeer) -> Iterator[httpx2.Client]:
    """Hold a client, with its connections, its secret and whom it trusts.

    Parameters
    ----------
    peer : WebPeer
        Whom to ask.

    Yields
    ------
    httpx2.Client
        That asks no proxy, follows no redirection and keeps no cookie but while it is held.

    Raises
    ------
    InputError
        If the secret or a certificate cannot be read.
    """
    import httpx2

    quiet()
    headers, auth = {}, None
    if peer.credentials is not None:
        secret = peer.credentials.secret()
        if peer.credentials.user:
            auth = httpx2.BasicAuth(peer.credentials.user, secret)
        else:
            headers["Authorization"] = f"Bearer {secret}"
    secure = any(a.startswith("https:") for a in (peer.qido, peer.wado, peer.stow))
    with httpx2.Client(
        auth=auth,
        headers=headers,
        verify=client_context(peer.tls) if secure else True,
        timeout=httpx2.Timeout(peer.answer_s, connect=peer.connect_s),
        trust_env=False,
    ) as held:
        yield held


@contextmanager
def answering(peer: WebPeer) -> Iterator[None]:
    """Turn what the HTTP client raises into our own error, without the address that was asked.

    Parameters
    ----------
    peer : WebPeer
        Who is asked.

    Yields
    ------
    None
        While it is.

    Raises
    ------
    NetworkError
        peer_unreachable, tls_failed, peer_timeout or connection_lost.
    """
    import httpx2

    try:
        yield
    except httpx2.ConnectTimeout:
        raise NetworkError(
            f"{peer.address} cannot be reached within {peer.connect_s:g} s.", reason="peer_unreachable"
        ) from None
    except httpx2.ConnectError as error:
        raise _unreachable(peer, error) from None
    except httpx2.TimeoutException:
        raise NetworkError(
            f"{peer.address} does not answer within {peer.answer_s:g} s.", reason="peer_timeout"
        ) from None
    except httpx2.HTTPError:
        raise NetworkError(
            f"{peer.address} breaks the connection off, or does not speak HTTP.", reason="connection_lost"
        ) from None


def _unreachable(peer: WebPeer, error: Exception) -> NetworkError:
    import ssl

    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return NetworkError(
            f"{peer.address} shows a certificate that is not trusted: {cause.verify_message}. Name the "
            "certificates to trust as ca under tls of the peer.",
            reason="tls_failed",
        )
    if isinstance(cause, ssl.SSLError):
        return NetworkError(
            f"{peer.address} and we do not agree on TLS. Does it expect https on this port, or a certificate "
            "of ours?",
            reason="tls_failed",
        )
    said = (cause.strerror if isinstance(cause, OSError) else None) or "no connection"
    return NetworkError(
        f"{peer.address} cannot be reached: {said}. Is the address right, and is it running?",
        reason="peer_unreachable",
    )


def require_welcome(peer: WebPeer, status: int) -> None:
    """Refuse answers that say who we are is the trouble, or that the peer as a whole is.

    Parameters
    ----------
    peer : WebPeer
        Who answered.
    status : int
        Of HTTP.

    Raises
    ------
    NetworkError
        unauthorized, peer_busy, peer_failed or not_offered.
    """
    if status in (401, 403, 407):
        given = "none was given" if peer.credentials is None else "the one given is not accepted"
        raise NetworkError(
            f"{peer.address} asks for a password or token ({status}), and {given}.", reason="unauthorized"
        )
    if status in (429, 503):
        raise NetworkError(f"{peer.address} is busy ({status}).", reason="peer_busy")
    if status >= 500 and status not in (501, 505):
        raise NetworkError(f"{peer.address} failed ({status}).", reason="peer_failed")
    if status not in (200, 202, 204, 206):
        raise NetworkError(
            f"{peer.address} does not answer as DICOMweb does ({status}); is its address right?",
            reason="not_offered",
        )


def values(item: Any, tag: str) -> list[Any]:
    """Return the values of an attribute in DICOM JSON (PS3.18, F).

    Parameters
    ----------
    item : Any
        A data set, as it was parsed.
    tag : str
        Eight hexadecimal digits.

    Returns
    -------
    list
        Empty if it is not there, or not as it should be.
    """
    found = item.get(tag) if isinstance(item, dict) else None
    got = found.get("Value") if isinstance(found, dict) else None
    return got if isinstance(got, list) else []
