"""Peers of the hospital's network, read by name from a file that people write."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import click
from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from flr_volumetry.app.network.addresses import (
    ANSWER_S,
    BATCH_MB,
    CONNECT_S,
    MAX_PDU,
    Credentials,
    DicomPeer,
    Peer,
    Tls,
    WebPeer,
)
from flr_volumetry.app.tables import Section, first_fault
from flr_volumetry.errors import InputError, UnreadableError

PEERS_VARIABLE = "FLR_PEERS"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SECRETS = ("password", "token", "secret", "api_key")


class TlsEntry(Section):
    """The `tls` table of a peer: files in PEM; a relative path starts at the file it stands in."""

    ca: str | None = Field(default=None, min_length=1)
    certificate: str | None = Field(default=None, min_length=1)
    key: str | None = Field(default=None, min_length=1)
    name: str = ""

    @model_validator(mode="after")
    def _with_its_key(self) -> TlsEntry:
        if self.key is not None and self.certificate is None:
            raise ValueError("a key goes with a certificate; give both")
        return self

    def value(self, folder: Path) -> Tls:
        """Return it as a value."""
        return Tls(
            _path(folder, self.ca), _path(folder, self.certificate), _path(folder, self.key), self.name
        )


class PeerEntry(Section):
    """One [[peer]] table: a PACS, or another node, by DICOM's own protocol or by DICOMweb."""

    name: str = Field(min_length=1)
    kind: Literal["dicom", "dicomweb"] = "dicom"
    ae_title: str | None = None
    host: str | None = Field(default=None, min_length=1)
    port: int | None = Field(default=None, ge=1, le=65535)
    calling: str | None = Field(default=None, alias="as")
    max_pdu: int | None = Field(default=None, ge=0)
    retrieve: Literal["auto", "get", "move"] | None = None
    url: str | None = None
    qido: str | None = None
    wado: str | None = None
    stow: str | None = None
    user: str | None = Field(default=None, min_length=1)
    password_file: str | None = Field(default=None, min_length=1)
    password_env: str | None = Field(default=None, min_length=1)
    token_file: str | None = Field(default=None, min_length=1)
    token_env: str | None = Field(default=None, min_length=1)
    unencrypted: bool | None = None
    batch_mb: float | None = Field(default=None, gt=0)
    tls: TlsEntry | bool | None = None
    connect_s: float = Field(default=CONNECT_S, gt=0)
    answer_s: float = Field(default=ANSWER_S, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _no_secrets(cls, data: Any) -> Any:
        for key in data if isinstance(data, dict) else ():
            if key in _SECRETS:
                raise ValueError(
                    f"{key} does not belong in this file, which is read by many; write it to a file of its "
                    "own and name that: password_file or token_file (or password_env, token_env)"
                )
        return data

    @field_validator("ae_title", "calling")
    @classmethod
    def _is_an_ae_title(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[!-\[\]-~](?:[ -\[\]-~]{0,14}[!-\[\]-~])?", value):
            raise ValueError("an AE title has 1 to 16 characters of ASCII, without a backslash")
        return value

    @field_validator("url", "qido", "wado", "stow")
    @classmethod
    def _is_a_url(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        if info.field_name != "url" and re.fullmatch(r"[\w.~/-]+", value):
            return value.strip("/")
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("write an address such as https://pacs.hospital/dicom-web")
        if parts.username is not None or parts.password is not None:
            raise ValueError("a user or password does not belong in an address; use user and password_file")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _of_one_kind(self) -> PeerEntry:
        web = self.kind == "dicomweb"
        for key in _DICOM_KEYS if web else _WEB_KEYS:
            if getattr(self, key) is not None:
                written = "as" if key == "calling" else key
                raise ValueError(f'{written} does not go with kind = "{self.kind}"')
        if web:
            self._require_web()
        elif self.ae_title is None or self.host is None or self.port is None:
            raise ValueError('a peer of kind "dicom" needs ae_title, host and port')
        return self

    def _require_web(self) -> None:
        addresses = [a for a in (self.url, self.qido, self.wado, self.stow) if a is not None and "://" in a]
        if self.url is None and len(addresses) < 3:
            raise ValueError(
                'a peer of kind "dicomweb" needs url (or the whole addresses of all of qido, wado and stow)'
            )
        given = [
            key for key in ("password_file", "password_env", "token_file", "token_env") if getattr(self, key)
        ]
        if len(given) > 1:
            raise ValueError(f"give one of {' and '.join(given)}")
        if bool(self.user) != any(key.startswith("password") for key in given):
            raise ValueError("user goes with password_file or password_env, and they with it")
        plain = any(a.startswith("http:") and urlsplit(a).hostname not in LOOPBACK for a in addresses)
        if given and plain and not self.unencrypted:
            raise ValueError(
                "over http the password or token can be read on the way; use https, or allow it with "
                "unencrypted = true"
            )

    def value(self, folder: Path) -> Peer:
        """Return it as a value; relative paths start at `folder`."""
        tls = self.tls.value(folder) if isinstance(self.tls, TlsEntry) else Tls() if self.tls else None
        if self.kind == "dicom":
            return DicomPeer(
                self.name,
                self.ae_title or "",
                self.host or "",
                self.port or 0,
                calling=self.calling or "FLR",
                tls=tls,
                connect_s=self.connect_s,
                answer_s=self.answer_s,
                max_pdu=MAX_PDU if self.max_pdu is None else self.max_pdu,
                retrieve=self.retrieve or "auto",
            )
        base = self.url or ""
        return WebPeer(
            self.name,
            qido=_joined(base, self.qido),
            wado=_joined(base, self.wado),
            stow=_joined(base, self.stow),
            credentials=self._credentials(folder),
            tls=tls or Tls(),
            connect_s=self.connect_s,
            answer_s=self.answer_s,
            batch_bytes=int((self.batch_mb or BATCH_MB) * 1e6),
        )

    def _credentials(self, folder: Path) -> Credentials | None:
        file = _path(folder, self.password_file or self.token_file)
        variable = self.password_env or self.token_env or ""
        return Credentials(self.user or "", file, variable) if file or variable else None


_DICOM_KEYS = ("ae_title", "host", "port", "calling", "max_pdu", "retrieve")
_WEB_KEYS = (
    *("url", "qido", "wado", "stow", "user", "password_file", "password_env", "token_file", "token_env"),
    *("unencrypted", "batch_mb"),
)


class _PeersFile(Section):
    """A file of nothing but [[peer]] tables."""

    peer: list[PeerEntry] = Field(min_length=1)


def read_peers(path: Path) -> dict[str, Peer]:
    """Read the peers of a file.

    Parameters
    ----------
    path : Path
        TOML with [[peer]] tables.

    Returns
    -------
    dict
        Each by its name, in the file's order.

    Raises
    ------
    UnreadableError
        If the file cannot be read.
    InputError
        If it is not valid: an unknown key, a name given twice, a secret that stands in it.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}.", reason="bad_peers") from error
    try:
        entries = _PeersFile.model_validate(data).peer
    except ValidationError as error:
        raise InputError(f"{path}: {first_fault(error)[0]}.", reason="bad_peers") from error
    return peers_of(entries, folder=path.parent, where=str(path))


def peers_of(entries: list[PeerEntry], *, folder: Path, where: str) -> dict[str, Peer]:
    """Return the peers of tables that were read with a larger file.

    Parameters
    ----------
    entries : list of PeerEntry
        As read.
    folder : Path
        That relative paths start at.
    where : str
        What to call the file in a message.

    Returns
    -------
    dict
        Each by its name.

    Raises
    ------
    InputError
        If two have one name.
    """
    peers: dict[str, Peer] = {}
    for entry in entries:
        if entry.name in peers:
            raise InputError(f"{where}: two peers are called {entry.name!r}.", reason="bad_peers")
        peers[entry.name] = entry.value(folder)
    return peers


def find_peer(name: str, file: Path | None = None) -> Peer:
    """Look a peer up by its name.

    Parameters
    ----------
    name : str
        Of the peer.
    file : Path, optional
        Of peers; if not given, what the environment variable FLR_PEERS names, or the user's peers.toml.

    Returns
    -------
    Peer
        As it stands there.

    Raises
    ------
    InputError
        If there is no such file, it is not valid, or has no peer of the name; the message lists those known.
    """
    peers = known_peers(file)
    if name not in peers:
        near = difflib.get_close_matches(name, peers, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise InputError(
            f"{peers_path(file)} knows no peer {name!r}.{hint} Known: {', '.join(peers)}.",
            reason="unknown_peer",
        )
    return peers[name]


def known_peers(file: Path | None = None) -> dict[str, Peer]:
    """Read all peers that there are.

    Parameters
    ----------
    file : Path, optional
        Of peers; if not given, what the environment variable FLR_PEERS names, or the user's peers.toml.

    Returns
    -------
    dict
        Each by its name.

    Raises
    ------
    InputError
        If there is no such file, or it is not valid.
    """
    path = peers_path(file)
    if file is None and not path.is_file():
        raise InputError(
            f"No file says who the peers are: write [[peer]] tables to {users_peers()}, or name a file with "
            f"--peers or the environment variable {PEERS_VARIABLE}.",
            reason="no_peers",
        )
    return read_peers(path)


def peers_path(file: Path | None = None) -> Path:
    """Return the file of peers that is meant.

    Parameters
    ----------
    file : Path, optional
        If one is named.

    Returns
    -------
    Path
        That; what the environment variable FLR_PEERS names; or the user's own.
    """
    return file or Path(os.environ.get(PEERS_VARIABLE) or users_peers())


def users_peers() -> Path:
    """Return where a user's own peers are looked for; the file need not be there."""
    return Path(click.get_app_dir("flr")) / "peers.toml"


def _path(folder: Path, text: str | None) -> Path | None:
    return None if text is None else folder / Path(text).expanduser()


def _joined(base: str, own: str | None) -> str:
    return base if own is None else own if "://" in own else f"{base}/{own}"
