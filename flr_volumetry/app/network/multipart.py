"""Bodies of several parts (RFC 2046, 5.1), read as they come."""

from __future__ import annotations

from email.message import Message
from typing import TYPE_CHECKING, Final

from flr_volumetry.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_HEADER: Final = 1 << 16


def boundary_of(content_type: str) -> bytes | None:
    """Return what stands between parts.

    Parameters
    ----------
    content_type : str
        The header's value.

    Returns
    -------
    bytes or None
        None if the body is no multipart.

    Examples
    --------
    >>> boundary_of('multipart/related; type="application/dicom"; boundary="a b"')
    b'a b'
    """
    message = Message()
    message["Content-Type"] = content_type
    boundary = message.get_boundary()
    return boundary.encode("utf-8") if message.get_content_maintype() == "multipart" and boundary else None


class Parts:
    """Reads the parts of a body, one after the other, with little of it in memory.

    Parameters
    ----------
    chunks : iterable of bytes
        The body.
    boundary : bytes
        What stands between parts.
    """

    def __init__(self, chunks: Iterable[bytes], boundary: bytes) -> None:
        self._chunks = iter(chunks)
        # The first boundary may begin the body, without a line's end before it.
        self._have = b"\r\n"
        self._mark = b"\r\n--" + boundary

    def __iter__(self) -> Iterator[Iterator[bytes]]:
        """Yield the content of each part; what is not read of one is passed over."""
        for _ in self._until_mark():
            pass
        while self._begins_part():
            part = self._until_mark()
            yield part
            for _ in part:
                pass

    def _more(self) -> None:
        chunk = next(self._chunks, None)
        if chunk is None:
            raise NetworkError("The answer ends in the middle.", reason="connection_lost")
        self._have += chunk

    def _until_mark(self) -> Iterator[bytes]:
        while True:
            at = self._have.find(self._mark)
            if at >= 0:
                found, self._have = self._have[:at], self._have[at + len(self._mark) :]
                if found:
                    yield found
                return
            # The mark may have begun at the end of what is there.
            safe = len(self._have) - len(self._mark) + 1
            if safe > 0:
                found, self._have = self._have[:safe], self._have[safe:]
                yield found
            self._more()

    def _begins_part(self) -> bool:
        """Pass over the headers of a part; False behind the last."""
        while len(self._have) < 2:
            self._more()
        if self._have.startswith(b"--"):
            return False
        while (at := self._have.find(b"\r\n\r\n")) < 0:
            if len(self._have) > MAX_HEADER:
                raise NetworkError("The answer is no multipart body.", reason="not_offered")
            self._more()
        self._have = self._have[at + 4 :]
        return True
