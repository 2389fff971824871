"""pynetdicom's application entity, which closes sockets that never were connected, too."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from pynetdicom.ae import ApplicationEntity
from pynetdicom.transport import AssociationSocket


class _Socket(AssociationSocket):
    def _shutdown_socket(self) -> None:
        """Shut down and close; pynetdicom leaves open what it cannot shut down."""
        held = self.socket
        super()._shutdown_socket()
        if held is not None:
            with suppress(OSError):
                held.close()


class ClientEntity(ApplicationEntity):
    """An application entity that calls others."""

    def _create_socket(self, assoc: Any, address: Any, tls_args: Any) -> AssociationSocket:
        socket = _Socket(assoc, address=address)
        socket.tls_args = tls_args
        return socket
