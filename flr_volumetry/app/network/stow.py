"""Sending by STOW-RS (PS3.18, 10.5)."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from flr_volumetry.app.network.http import DICOM_JSON, answering, client, require_welcome, values
from flr_volumetry.app.network.sent import Sent, Status, sent, verdict
from flr_volumetry.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import httpx2

    from flr_volumetry.app.network.addresses import WebPeer
    from flr_volumetry.app.network.instances import Instance

CHUNK = 1 << 18
LOSSES = 3
"""Requests without an answer in a row, after which the rest is not tried."""
_FAILED_SOPS, _FAILURE = "00081198", "00081197"
_REFERENCED_SOPS, _WARNING = "00081199", "00081196"
_INSTANCE = "00081155"


def stow(peer: WebPeer, instances: Sequence[Instance]) -> Iterator[Sent]:
    """Send objects, several in a request, as they are stored.

    Parameters
    ----------
    peer : WebPeer
        Where to.
    instances : sequence of Instance
        What.

    Yields
    ------
    Sent
        For each, in order.

    Raises
    ------
    NetworkError
        If the peer cannot be reached, or will not have us, to begin with. Later losses are the instances'
        failures.
    """
    begun = False
    losses = 0
    waiting = list(batches(instances, peer.batch_bytes))
    with client(peer) as http:
        while waiting:
            batch = waiting.pop(0)
            try:
                status, answer = _post(peer, http, batch)
                losses = 0
            except NetworkError as error:
                if not begun:
                    raise
                losses += 1
                yield from _all(batch, "failed", error.message)
                if losses >= LOSSES:
                    yield from _all([i for rest in waiting for i in rest], "failed", error.message)
                    return
                continue
            except OSError:
                yield from _all(batch, "failed", "a file of the request cannot be read")
                continue
            if status in (401, 403, 407) and not begun:
                require_welcome(peer, status)
            if status == 413 and len(batch) > 1:
                middle = len(batch) // 2
                waiting[:0] = [batch[:middle], batch[middle:]]
                continue
            begun = True
            yield from _results(batch, status, answer)


def batches(instances: Sequence[Instance], most: int) -> Iterator[list[Instance]]:
    """Cut a sequence into parts that are not larger than one request should be.

    Parameters
    ----------
    instances : sequence of Instance
        In order; all of one study lie in as few requests as can be.
    most : int
        Bytes.

    Yields
    ------
    list of Instance
        At least one each.
    """
    batch: list[Instance] = []
    total = 0
    for instance in instances:
        if batch and total + instance.size > most:
            yield batch
            batch, total = [], 0
        batch.append(instance)
        total += instance.size
    if batch:
        yield batch


def _post(peer: WebPeer, http: httpx2.Client, batch: Sequence[Instance]) -> tuple[int, Any]:
    boundary = uuid.uuid4().hex
    headers = {
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
        "Content-Length": str(_length(batch, boundary)),
        "Accept": DICOM_JSON,
    }
    with answering(peer):
        response = http.post(f"{peer.stow}/studies", content=_body(batch, boundary), headers=headers)
    try:
        return response.status_code, json.loads(response.content)
    except ValueError:
        return response.status_code, None


def _head(boundary: str) -> bytes:
    return f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode("ascii")


def _length(batch: Sequence[Instance], boundary: str) -> int:
    each = len(_head(boundary)) + 2
    return sum(each + i.size for i in batch) + len(boundary) + 6


def _body(batch: Sequence[Instance], boundary: str) -> Iterator[bytes]:
    for instance in batch:
        yield _head(boundary)
        with instance.path.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode("ascii")


def _results(batch: Sequence[Instance], status: int, answer: Any) -> Iterator[Sent]:
    failures = _reasons(answer, _FAILED_SOPS, _FAILURE)
    warnings = _reasons(answer, _REFERENCED_SOPS, _WARNING)
    whole = _whole(status)
    for instance in batch:
        uid = instance.sop_instance_uid
        if uid in failures:
            found, words = verdict(failures[uid] or 0x0110)
            # It stands among the failed, whatever its code says.
            yield sent(instance, "failed" if found == "sent" else found, words)
        elif uid in warnings:
            code = warnings[uid]
            yield sent(instance, "sent", verdict(code)[1] if code else "")
        else:
            yield sent(instance, *whole)


def _all(instances: Sequence[Instance], status: Status, reason: str) -> Iterator[Sent]:
    return (sent(instance, status, reason) for instance in instances)


def _reasons(answer: Any, sequence: str, reason: str) -> dict[str, int]:
    found = {}
    for part in answer if isinstance(answer, list) else [answer]:
        for item in values(part, sequence):
            uid = next(iter(values(item, _INSTANCE)), "")
            code = next(iter(values(item, reason)), 0)
            found[str(uid)] = code if isinstance(code, int) else 0
    return found


def _whole(status: int) -> tuple[Status, str]:
    """Say what a status means for objects of which the answer says nothing."""
    if status in (200, 201, 204):
        return "sent", ""
    if status == 202:
        return "failed", "the peer took some of the request, and does not say whether this"
    if status in (408, 425, 429) or status >= 500:
        return "failed", f"the peer is busy or failed ({status})"
    if status in (401, 403, 407):
        return "failed", f"the password or token is not accepted any more ({status})"
    words = {
        400: "the peer finds the request malformed",
        404: "the peer has no such service; is its address right?",
        409: "the peer refuses it",
        413: "too large for the peer",
        415: "the peer does not take its kind",
    }
    return "refused", f"{words.get(status, 'the peer refuses it')} ({status})"
