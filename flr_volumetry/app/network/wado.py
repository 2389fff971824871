"""Fetching by WADO-RS (PS3.18, 10.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flr_volumetry.app.network.http import answering, require_welcome
from flr_volumetry.app.network.multipart import Parts, boundary_of
from flr_volumetry.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import httpx2

    from flr_volumetry.app.network.addresses import WebPeer
    from flr_volumetry.app.network.keeping import Keeper
    from flr_volumetry.app.network.matches import Stored

ACCEPT: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'
"""As it is stored, whatever the transfer syntax."""
CHUNK: Final = 1 << 18
_GONE: Final = (404, 410)


class WebGetter:
    """Fetches by WADO-RS: a series as a whole, or objects one by one.

    Parameters
    ----------
    peer : WebPeer
        Whom from.
    http : httpx2.Client
        Of `client`.
    """

    def __init__(self, peer: WebPeer, http: httpx2.Client) -> None:
        self.peer = peer
        self.http = http

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
        OutputError
            If what comes cannot be written.
        """
        series = keeper.series
        base = f"{self.peer.wado}/studies/{series.study_uid}/series/{series.uid}"
        for address in [f"{base}/instances/{uid}" for uid in uids] or [base]:
            self._fetch(keeper, address)

    def _fetch(self, keeper: Keeper, address: str) -> None:
        with answering(self.peer), self.http.stream("GET", address, headers={"Accept": ACCEPT}) as response:
            if response.status_code in _GONE:
                return
            require_welcome(self.peer, response.status_code)
            for part in self._parts(response):
                keeper.keep(part)
                if keeper.full is not None:
                    raise keeper.full

    def _parts(self, response: httpx2.Response) -> Iterator[Iterator[bytes]]:
        kind = response.headers.get("content-type", "")
        boundary = boundary_of(kind)
        if boundary is not None:
            yield from Parts(response.iter_bytes(CHUNK), boundary)
        elif kind.startswith("application/dicom"):
            yield response.iter_bytes(CHUNK)
        elif response.status_code != 204:
            raise NetworkError(
                f"{self.peer.address} answers with something else than DICOM objects.", reason="not_offered"
            )
