"""Peers of the hospital's network as values: where they are, how they are spoken to, who is trusted."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from flr_volumetry.errors import InputError

CONNECT_S = 10.0
ANSWER_S = 60.0
MAX_PDU = 16382
BATCH_MB = 32.0
"""Size of one STOW-RS request, of which servers have limits."""


@dataclass(frozen=True, slots=True)
class Tls:
    """How a connection is encrypted and who is trusted.

    Parameters
    ----------
    ca : Path or None
        Certificates that the peer's must come from (PEM); those of the system if None.
    certificate : Path or None
        Ours, with those between it and its root (PEM).
    key : Path or None
        And its key, not encrypted (PEM).
    name : str
        What the peer's certificate is made out to, where that is not its host; empty if it is.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where a secret is read, each time that it is used; it is never kept.

    Parameters
    ----------
    user : str
        For HTTP Basic; empty where the secret is a bearer token.
    file : Path or None
        That holds the password or token on its first line.
    variable : str
        Or the environment variable that does.
    """

    user: str = ""
    file: Path | None = None
    variable: str = ""

    def secret(self) -> str:
        """Read the password or token.

        Returns
        -------
        str
            As it stands, without the line's end.

        Raises
        ------
        InputError
            If there is none.
        """
        if self.file is None:
            value = os.environ.get(self.variable, "")
            where = f"the environment variable {self.variable}"
        else:
            where = str(self.file)
            try:
                value = (self.file.read_text(encoding="utf-8").splitlines() or [""])[0].strip()
            except (OSError, UnicodeDecodeError) as error:
                raise InputError(
                    f"{where}, with the peer's password or token, cannot be read.", reason="no_secret"
                ) from error
        if not value:
            raise InputError(f"{where} should hold the peer's password or token.", reason="no_secret")
        return value


@dataclass(frozen=True, slots=True)
class DicomPeer:
    """A peer that speaks DICOM's own protocol (PS3.7, PS3.8).

    Parameters
    ----------
    name : str
        What people call it.
    ae_title : str
        Its AE title.
    host : str
        Name or address.
    port : int
        TCP port.
    calling : str
        The AE title that we call ourselves by.
    tls : Tls or None
        None: unencrypted.
    connect_s, answer_s : float
        How long to wait for a connection, and for each answer, s.
    max_pdu : int
        The longest PDU that we take, bytes; 0 for any.
    retrieve : str
        "get", "move", or "auto": by C-GET, and by C-MOVE where the peer does not offer that.
    """

    name: str
    ae_title: str
    host: str
    port: int
    calling: str = "FLR"
    tls: Tls | None = None
    connect_s: float = CONNECT_S
    answer_s: float = ANSWER_S
    max_pdu: int = MAX_PDU
    retrieve: str = "auto"

    @property
    def address(self) -> str:
        """What to call it in a message: AE title, host and port."""
        return f"{self.name} ({self.ae_title} at {self.host}:{self.port})"


@dataclass(frozen=True, slots=True)
class WebPeer:
    """A peer that speaks DICOMweb (PS3.18).

    Parameters
    ----------
    name : str
        What people call it.
    qido, wado, stow : str
        Address of each service, without a slash at the end.
    credentials : Credentials or None
        None: it asks for none.
    tls : Tls
        Of https.
    connect_s, answer_s : float
        How long to wait for a connection, and for each answer, s.
    batch_bytes : int
        How much is sent in one request, where one object is not more.
    """

    name: str
    qido: str
    wado: str
    stow: str
    credentials: Credentials | None = field(default=None, repr=False)
    tls: Tls = Tls()
    connect_s: float = CONNECT_S
    answer_s: float = ANSWER_S
    batch_bytes: int = int(BATCH_MB * 1e6)

    @property
    def address(self) -> str:
        """What to call it in a message: its name and host."""
        return f"{self.name} ({urlsplit(self.stow).netloc})"


Peer = DicomPeer | WebPeer
