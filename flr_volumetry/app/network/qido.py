"""Asking by QIDO-RS (PS3.18, 10.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flr_volumetry.app.network.http import DICOM_JSON, answering, client, require_welcome, values
from flr_volumetry.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import httpx2

    from flr_volumetry.app.network.addresses import WebPeer

PAGE: Final = 1000
MAX_MATCHES: Final = 100_000
"""Of one query; more are refused, since no one means them."""
SOP_INSTANCE_UID: Final = "00080018"


def probe(peer: WebPeer) -> None:
    """Ask whether a peer is there and takes us: a query for one study.

    Parameters
    ----------
    peer : WebPeer
        Whom to ask.

    Raises
    ------
    NetworkError
        If not.
    """
    with client(peer) as http:
        _get(peer, http, "/studies", {"limit": "1"})


def search(
    peer: WebPeer, http: httpx2.Client, path: str, keys: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """Ask for all that matches, page by page.

    Parameters
    ----------
    peer : WebPeer
        Who is asked.
    http : httpx2.Client
        Of `client`.
    path : str
        Below the service's address: "/studies", "/studies/{uid}/series" and so on.
    keys : mapping of str to str
        What has to match, and includefield.

    Yields
    ------
    dict
        Of each match, in DICOM JSON.

    Raises
    ------
    NetworkError
        If the peer fails or breaks off.
    """
    seen: set[str] = set()
    total = 0
    while True:
        page = _get(peer, http, path, {**keys, "limit": str(PAGE), "offset": str(total)})
        # A server that knows no offset gives the first page again.
        fresh = [item for item in page if _identity(item) not in seen]
        seen.update(_identity(item) for item in fresh)
        yield from fresh
        total += len(page)
        if not fresh or len(page) == 0:
            return
        if total > MAX_MATCHES:
            raise NetworkError(
                f"{peer.address} finds more than {MAX_MATCHES} matches; ask for less.", reason="too_many"
            )


def _identity(item: dict[str, Any]) -> str:
    uids = (next(iter(values(item, tag)), "") for tag in ("0020000D", "0020000E", SOP_INSTANCE_UID))
    return "/".join(str(uid) for uid in uids)


def _get(peer: WebPeer, http: httpx2.Client, path: str, keys: Mapping[str, str]) -> list[dict[str, Any]]:
    with answering(peer):
        response = http.get(f"{peer.qido}{path}", params=dict(keys), headers={"Accept": DICOM_JSON})
    if response.status_code == 204:
        return []
    require_welcome(peer, response.status_code)
    try:
        found = response.json()
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise NetworkError(f"{peer.address} does not answer a query in DICOM JSON.", reason="not_offered")
    return found


def held(peer: WebPeer, study_uid: str, sop_uids: frozenset[str]) -> frozenset[str] | None:
    """Ask which objects of a study a peer has.

    Parameters
    ----------
    peer : WebPeer
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
    with client(peer) as http:
        try:
            matches = list(search(peer, http, "/instances", {"StudyInstanceUID": study_uid}))
        except NetworkError as error:
            if error.reason == "not_offered":
                return None
            raise
    found = {str(uid) for item in matches for uid in values(item, SOP_INSTANCE_UID)[:1]}
    return sop_uids & found
