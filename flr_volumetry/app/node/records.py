"""What the node's queue says of a study, and of an object that is to be sent."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

BUCKETS_S = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
"""Of the time that cases take."""


class State(StrEnum):
    """What a study is at."""

    RECEIVING = "receiving"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    IGNORED = "ignored"


class Sending(StrEnum):
    """What an object that is to be sent is at."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    REFUSED = "refused"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Study:
    """What is known of a study.

    Parameters
    ----------
    number : int
        The node's own, by which logs call it.
    uid : str
        Study Instance UID.
    state : State
        What it is at.
    caller : str
        AE title that sent it last, or the watched folder.
    first, last, since : float
        When its first and last object came, and when it got into its state; seconds since 1970.
    recipe : str
        Which one was run.
    reason, message : str
        Why it failed or was ignored.
    seconds : float
        That the case took.
    tries : int
        How often it was begun for this result.
    """

    number: int
    uid: str
    state: State
    caller: str
    first: float
    last: float
    since: float
    recipe: str
    reason: str
    message: str
    seconds: float
    tries: int

    @property
    def name(self) -> str:
        """What its case and its folders are called."""
        return f"study-{self.number:06d}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a study ended.

    Parameters
    ----------
    recipe : str
        Which one was run.
    reason, message : str
        Why it failed or was ignored; empty if it did not.
    seconds : float
        That the case took.
    """

    recipe: str
    reason: str = ""
    message: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """One object, or one result folder, on its way to one destination.

    Parameters
    ----------
    number : int
        Of the row.
    study : int
        Number of its study.
    study_uid : str
        Of the study.
    peer : str
        Name of the destination.
    path : str
        What is sent.
    uid : str
        SOP Instance UID; of a folder, the key of its result.
    state : Sending
        What it is at.
    tries : int
        How often it was begun.
    first : float
        When it was asked for.
    """

    number: int
    study: int
    study_uid: str
    peer: str
    path: str
    uid: str
    state: Sending
    tries: int
    first: float
