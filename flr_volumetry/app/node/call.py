"""An association that is open, and what it has brought."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flr_volumetry.app.node.inbox import Names


@dataclass(slots=True)
class Call:
    """An association that is open.

    Parameters
    ----------
    began : float
        When it did, seconds since 1970.
    caller : str
        AE title.
    assoc : pynetdicom Association
        The association.
    studies : dict of str to int
        The number of each study that it carries, by UID.
    changed : set of int
        The numbers of those that got an object they had not.
    lacking : set of Names
        Objects that could not be taken.
    came, new : int
        Objects.
    released : bool
        Whether the caller has asked to end it in order: every object was answered.
    storing, over : bool
        Whether an object is being taken right now, and whether the association ended meanwhile.
    """

    began: float
    caller: str
    assoc: Any
    studies: dict[str, int] = field(default_factory=dict)
    changed: set[int] = field(default_factory=set)
    lacking: set[Names] = field(default_factory=set)
    came: int = 0
    new: int = 0
    released: bool = False
    storing: bool = False
    over: bool = False
