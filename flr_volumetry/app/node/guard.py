"""A DICOM listener that neither junk, nor a slow caller, nor a full disk brings down.

pynetdicom reads whatever length a PDU states and waits for it without end, and shakes hands for TLS where it
accepts; here every read has a limit and a time, and every caller a thread of its own from the beginning.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from socketserver import BaseServer
from typing import TYPE_CHECKING, Any

from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

if TYPE_CHECKING:
    from collections.abc import Callable

HEADER_BYTES = 6
SLACK_BYTES = 1 << 20
"""Beside the longest PDU agreed on: an association request of 128 contexts takes some tens of kB."""
CHUNK = 1 << 18
HELD_BYTES = 4 * SLACK_BYTES
"""Of a message that is held in memory: a command, or what is no object to be stored."""
ABORT = b"\x07\x00\x00\x00\x00\x04\x00\x00\x02\x06"
"""A-ABORT by the service provider, invalid PDU parameter value (PS3.8, 9.3.8)."""
WAITING_FACTOR = 4
"""So many connections for each association allowed may be open, those not yet answered among them."""


class Limits:
    """What a caller may ask of the node.

    Parameters
    ----------
    pdu_bytes : int
        The longest PDU that is agreed on.
    object_bytes : float
        The longest object.
    timeout_s : float
        A caller that sends nothing for so long, or a PDU for longer, is cut off.
    exhausted : callable
        Whether there is no room for what is coming right now.
    allowed : callable
        Whether an address may call.
    """

    def __init__(
        self,
        *,
        pdu_bytes: int,
        object_bytes: float,
        timeout_s: float,
        exhausted: Callable[[], bool],
        allowed: Callable[[str], bool],
    ) -> None:
        self.pdu_bytes = pdu_bytes
        self.object_bytes = object_bytes
        self.timeout_s = timeout_s
        self.exhausted = exhausted
        self.allowed = allowed
        self.refused: dict[str, int] = {}
        self.lock = threading.Lock()

    def count(self, reason: str) -> None:
        """Count a caller that was cut off."""
        with self.lock:
            self.refused[reason] = self.refused.get(reason, 0) + 1


class GuardedSocket(AssociationSocket):
    """A socket of one association whose reads have a limit and a time."""

    limits: Limits
    object_bytes = 0.0

    def recv(self, nr_bytes: int) -> bytearray:
        """Read so many bytes, or raise OSError, which ends the association."""
        connection = self.socket
        if connection is None:
            raise OSError("the connection is closed")
        if nr_bytes > self.limits.pdu_bytes + SLACK_BYTES:
            self._cut("oversized_pdu")
        if nr_bytes > HEADER_BYTES:
            self._meter(nr_bytes)
        found = bytearray(nr_bytes)
        view, done = memoryview(found), 0
        until = time.monotonic() + self.limits.timeout_s
        while done < nr_bytes:
            left = until - time.monotonic()
            if left <= 0:
                self._cut("slow")
            connection.settimeout(left)
            try:
                got = connection.recv_into(view[done : done + CHUNK])
            except TimeoutError:
                self._cut("slow")
            if not got:
                return found[:done]
            done += got
        connection.settimeout(self.limits.timeout_s)
        return found

    def _meter(self, nr_bytes: int) -> None:
        """Follow how long the present object is, and whether there is room for it."""
        message = getattr(self.assoc.dimse, "message", None)
        if message is None:
            # The first unit of an object, or none of any.
            self.object_bytes = float(nr_bytes)
            return
        self.object_bytes += nr_bytes
        if message._data_set_path is None and self.object_bytes > HELD_BYTES:
            self._cut("oversized_message")
        if self.object_bytes > self.limits.object_bytes:
            self._cut("oversized_object")
        if self.limits.exhausted():
            self._cut("disk_full")

    def _cut(self, reason: str) -> None:
        self.limits.count(reason)
        if self.socket is not None:
            try:
                self.socket.settimeout(1.0)
                self.socket.sendall(ABORT)
            except OSError:
                pass
        raise OSError(f"cut off: {reason}")


class GuardedHandler(RequestHandler):
    """Answers one caller, in a thread of its own."""

    server: GuardedServer

    def handle(self) -> None:
        """Shake hands where there is TLS, then associate."""
        try:
            if isinstance(self.request, ssl.SSLSocket):
                try:
                    self.request.do_handshake()
                except OSError:
                    self.server.limits.count("tls")
                    self.server.shutdown_request(self.request)
                    return
            super().handle()
        finally:
            self.server.greeted()

    def _create_association(self) -> Any:
        assoc = super()._create_association()
        # Made by pynetdicom, which has no place to name another kind of socket.
        connection: Any = assoc.dul.socket
        connection.__class__ = GuardedSocket
        connection.limits = self.server.limits
        return assoc


class GuardedServer(ThreadedAssociationServer):
    """A listener that is kept from waiting for any one caller."""

    limits: Limits
    daemon_threads = True
    _greeting = 0
    """Connections that are no association yet."""

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; shaking hands is left to its own thread."""
        listener = self.socket
        if listener is None:
            raise OSError("the listener is closed")
        connection, address = listener.accept()
        # Answers are short, and each is waited for.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(self.limits.timeout_s)
        if self.ssl_context:
            connection = self.ssl_context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Turn away addresses that may not call, and more callers than can be served."""
        del request
        if not self.limits.allowed(str(client_address[0])):
            self.limits.count("address")
            return False
        if len(self.active_associations) + self._greeting >= WAITING_FACTOR * int(
            self.ae.maximum_associations
        ):
            self.limits.count("busy")
            return False
        with self.limits.lock:
            self._greeting += 1
        return True

    def greeted(self) -> None:
        """Note that a connection has become an association, or has ended before."""
        with self.limits.lock:
            self._greeting -= 1

    def shutdown(self) -> None:
        """Stop listening; associations that are open go on."""
        BaseServer.shutdown(self)
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Count what went wrong with a caller; its address is nobody's business in a log."""
        del request, client_address
        self.limits.count("error")
