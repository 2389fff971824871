"""What a node is told: the tables of its file."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from flr_volumetry.app.batch.template import read_toml
from flr_volumetry.app.network.peers import PeerEntry, peers_of
from flr_volumetry.app.tables import Section, first_fault
from flr_volumetry.errors import CaseError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flr_volumetry.app.network.addresses import Peer

GB = 1e9
AeTitle = Annotated[
    str, Field(min_length=1, max_length=16, pattern=r"^[!-\[\]-~](?:[ -\[\]-~]*[!-\[\]-~])?$")
]
ObjectKind = Literal["seg", "sr", "pdf", "key_images"]
Told = Literal["unenhanced", "arterial", "portal_venous", "delayed", "hepatobiliary"]
Words = str | list[str]


class TlsSection(Section):
    """The [node.tls] table. With `ca`, callers must show a certificate that it signed."""

    certificate: str = Field(min_length=1)
    key: str = Field(min_length=1)
    ca: str | None = Field(default=None, min_length=1)


class NodeSection(Section):
    """The [node] table: where it listens, where it keeps things, and its limits."""

    folder: str = Field(min_length=1)
    ae_title: AeTitle = "FLR"
    also_called: list[AeTitle] = Field(default=[])
    host: str = "127.0.0.1"
    port: int = Field(default=11112, ge=0, le=65535)
    any_caller: bool = False
    tls: TlsSection | None = None
    quiet_s: float = Field(default=60.0, gt=0)
    abandon_s: float = Field(default=1800.0, gt=0)
    timeout_s: float = Field(default=60.0, gt=0)
    associations: int = Field(default=10, ge=1)
    most_object_gb: float = Field(default=4.0, gt=0)
    refuse_below_gb: float = Field(default=5.0, gt=0)
    keep_days: float = Field(default=30.0, ge=0)
    workers: int = Field(default=1, ge=1)
    memory_gb: float = Field(default=8.0, gt=0)
    case_minutes: float = Field(default=60.0, gt=0)
    retry_s: float = Field(default=30.0, gt=0)
    give_up_days: float = Field(default=7.0, gt=0)


class CallerEntry(Section):
    """A [[caller]]: who may send, by its AE title and, where given, its address."""

    ae_title: AeTitle
    address: str | None = None

    @field_validator("address")
    @classmethod
    def _an_address(cls, value: str | None) -> str | None:
        if value is not None:
            ipaddress.ip_network(value, strict=False)
        return value


class WebSection(Section):
    """The [web] table: where health and metrics are told."""

    host: str = "127.0.0.1"
    port: int = Field(default=8042, ge=0, le=65535)


class WatchEntry(Section):
    """A [[watch]]: a folder in which whatever is dropped is taken as received."""

    folder: str = Field(min_length=1)
    settle_s: float = Field(default=30.0, gt=0)


class FolderEntry(Section):
    """A [[folder]]: a destination on a disk, which gets whole results."""

    name: str = Field(min_length=1)
    path: str = Field(min_length=1)


class RecipeEntry(Section):
    """A [[recipe]]: for which studies which case file is run, and where the results go.

    `with` names modalities that the study must hold beside the scan, such as SEG.
    """

    name: str = Field(min_length=1)
    case: str = Field(min_length=1)
    modality: Words = Field(default=["CT", "MR"])
    study_description: Words = "*"
    series_description: Words = "*"
    phase: Told | None = None
    caller: Words = "*"
    holds: Words = Field(default=[], alias="with")
    least_images: int = Field(default=10, ge=1)
    several: Literal["refuse", "most_images"] = "refuse"
    to: list[str] = Field(default=[])
    objects: list[ObjectKind] = Field(default=["seg", "sr", "pdf", "key_images"], min_length=1)


class NodeFile(Section):
    """A node's file, whole."""

    node: NodeSection
    caller: list[CallerEntry] = Field(default=[])
    peer: list[PeerEntry] = Field(default=[])
    folder: list[FolderEntry] = Field(default=[])
    watch: list[WatchEntry] = Field(default=[])
    recipe: list[RecipeEntry] = Field(min_length=1)
    web: WebSection | None = None

    @model_validator(mode="after")
    def _sound(self) -> NodeFile:
        for what, names in (
            ("peer or folder", [p.name for p in self.peer] + [f.name for f in self.folder]),
            ("recipe", [r.name for r in self.recipe]),
        ):
            _once(what, names)
        known = {p.name for p in self.peer} | {f.name for f in self.folder}
        for recipe in self.recipe:
            strange = [name for name in recipe.to if name not in known]
            if strange:
                raise ValueError(
                    f"recipe {recipe.name!r} sends to {strange[0]!r}, which is no [[peer]] and no "
                    f"[[folder]]; known: {', '.join(sorted(known)) or 'none'}"
                )
        if not self.caller and not self.node.any_caller and not _loopback(self.node.host):
            raise ValueError(
                f"the node listens on {self.node.host}, so other machines reach it: name who may send in "
                "[[caller]] tables, or write any_caller = true under [node]"
            )
        return self


@dataclass(frozen=True, slots=True, eq=False)
class NodeSettings:
    """A node's file, read, with its paths resolved.

    Parameters
    ----------
    file : NodeFile
        Its tables.
    base : Path
        What its paths are relative to.
    peers : dict of str to Peer
        Destinations on the network, by name.
    folders : dict of str to Path
        Destinations on a disk, by name.
    """

    file: NodeFile
    base: Path
    peers: dict[str, Peer]
    folders: dict[str, Path]

    @property
    def folder(self) -> Path:
        """Where the node keeps what it received, its queue and its results."""
        return self.resolve(self.file.node.folder)

    @property
    def called(self) -> frozenset[str]:
        """AE titles that it answers to."""
        return frozenset((self.file.node.ae_title, *self.file.node.also_called))

    def resolve(self, path: str) -> Path:
        """Return where a path of the file lies."""
        return (self.base / Path(path).expanduser()).resolve()


def read_settings(path: Path) -> NodeSettings:
    """Read a node's file.

    Parameters
    ----------
    path : Path
        TOML.

    Returns
    -------
    NodeSettings
        Every key known, every value possible.

    Raises
    ------
    UnreadableError
        If it cannot be read.
    CaseError
        If it is not TOML, a key is unknown or a value impossible.
    """
    try:
        file = NodeFile.model_validate(read_toml(path))
    except ValidationError as error:
        said, unknown = first_fault(error)
        raise CaseError(f"{path}: {said}", reason="unknown_key" if unknown else "bad_node") from error
    base = path.resolve().parent
    folders = {entry.name: (base / Path(entry.path).expanduser()).resolve() for entry in file.folder}
    found = NodeSettings(file, base, peers_of(file.peer, folder=base, where=str(path)), folders)
    _require_apart(found, path)
    return found


def _require_apart(settings: NodeSettings, path: Path) -> None:
    """Refuse a watched folder in which the node, or a destination, keeps what would be taken as dropped."""
    watched = [settings.resolve(entry.folder) for entry in settings.file.watch]
    kept = [settings.folder, *settings.folders.values()]
    for number, one in enumerate(watched):
        for other in (*kept, *watched[number + 1 :], *watched[:number]):
            if other.is_relative_to(one):
                raise CaseError(
                    f"{path}: whatever stands in {one} is taken and moved away, but {other} is kept there. "
                    "Watch a folder of its own.",
                    reason="bad_node",
                )


def _once(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"two of {what} are called {name!r}")
        seen.add(name)


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
