"""Asking by QIDO-RS (PS3.18, 10.6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from flr_volumetry.app.network.http import DICOM_JSON, answering, client, require_welcome, values
from flr_volumetry.app.network.matches import Query, Series, Stored, Study, only_safe
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


@dataclass(frozen=True, slots=True)
class WebArchive:
    """An archive asked by QIDO-RS.

    Parameters
    ----------
    peer : WebPeer
        Who is asked.
    http : httpx2.Client
        Of `client`.
    """

    peer: WebPeer
    http: httpx2.Client

    def studies(self, query: Query) -> list[Study]:
        """Return the studies that are meant."""
        asked = query.keys() | {"includefield": "00081030"}
        found = [
            Study(
                _text(item, "0020000D"),
                _text(item, "00100020"),
                _text(item, "00100010"),
                _text(item, "00080050"),
                _text(item, "00080020"),
                _text(item, "00081030"),
                tuple(sorted(str(value) for value in values(item, "00080061"))),
                _count(item, "00201208"),
            )
            for item in search(self.peer, self.http, "/studies", asked)
        ]
        only_safe((study.uid for study in found), self.peer.address)
        return [study for study in found if query.means(study)]

    def series(self, study_uid: str) -> list[Series]:
        """Return the series of a study."""
        found = [
            Series(
                study_uid,
                _text(item, "0020000E"),
                _text(item, "00080060"),
                _text(item, "0008103E"),
                _text(item, "00200011"),
                _count(item, "00201209"),
            )
            for item in search(self.peer, self.http, f"/studies/{study_uid}/series", {})
        ]
        only_safe((series.uid for series in found), self.peer.address)
        return found

    def objects(self, series: Series) -> list[Stored] | None:
        """Return the objects of a series; None where the archive does not say."""
        path = f"/studies/{series.study_uid}/series/{series.uid}/instances"
        try:
            found = [
                Stored(_text(item, SOP_INSTANCE_UID), _text(item, "00080016"))
                for item in search(self.peer, self.http, path, {})
            ]
        except NetworkError as error:
            if error.reason == "not_offered":
                return None
            raise
        only_safe((stored.uid for stored in found), self.peer.address)
        return found


def _text(item: dict[str, Any], tag: str) -> str:
    value = next(iter(values(item, tag)), "")
    if isinstance(value, dict):  # a person's name
        value = next((value[key] for key in ("Alphabetic", "Ideographic", "Phonetic") if key in value), "")
    return str(value).strip()


def _count(item: dict[str, Any], tag: str) -> int | None:
    text = _text(item, tag)
    return int(text) if text.isdecimal() else None


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
    # Of a study or series that is not there, some servers say so.
    if response.status_code == 204 or (response.status_code == 404 and path.count("/") > 1):
        return []
    require_welcome(peer, response.status_code)
    try:
        found = response.json()
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise NetworkError(f"{peer.address} does not answer a query in DICOM JSON.", reason="not_offered")
    return found
