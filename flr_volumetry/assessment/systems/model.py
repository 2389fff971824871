"""Checklists as values: each answer says whether it was computed, attested, or is missing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.assessment.model import Citation, Evidence


class Basis(Enum):
    """Where an answer comes from."""

    COMPUTED = "computed"
    """From masks and plan."""
    ATTESTED = "attested"
    """The user says so, in the case file."""
    MISSING = "missing"
    """Nobody said, and it cannot be computed."""


class Answer(Enum):
    """What the answer is; what is missing is unknown, never yes."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"
    NOTED = "noted"
    """Shown, and judged by nobody."""


class Outcome(Enum):
    """What the answers of a system say together; evidence, never an order."""

    MET = "met"
    NOT_MET = "not_met"
    INCOMPLETE = "incomplete"
    DISPLAY = "display_only"


@dataclass(frozen=True, slots=True)
class Item:
    """One question of a system.

    Parameters
    ----------
    key : str
        Stable name within the system.
    question : str
        As the source asks it, so that yes is what the source asks for.
    answer : Answer
        Yes, no, unknown, or merely noted.
    basis : Basis
        Where that comes from.
    said : str
        What was found or attested, or what to say in the case file.
    """

    key: str
    question: str
    answer: Answer
    basis: Basis
    said: str


@dataclass(frozen=True, slots=True)
class Checklist:
    """One system of the literature, filled in for one case.

    Parameters
    ----------
    key : str
        Stable name, for example "jsccr-2010".
    title : str
        For people.
    outcome : Outcome
        What the answers say together.
    sentence : str
        The same in words.
    items : tuple of Item
        Its questions.
    citation : Citation
        Its source.
    evidence : Evidence
        How well it is founded.
    notes : tuple of str
        What the source says besides; contradictions.
    """

    key: str
    title: str
    outcome: Outcome
    sentence: str
    items: tuple[Item, ...]
    citation: Citation
    evidence: Evidence
    notes: tuple[str, ...] = ()


def truth(value: bool | None) -> Answer:  # noqa: FBT001 - the value is the answer
    """Return a truth as an answer; None is unknown."""
    return {True: Answer.YES, False: Answer.NO, None: Answer.UNKNOWN}[value]


def computed(key: str, question: str, value: bool | None, said: str) -> Item:  # noqa: FBT001 - as above
    """Return an item that masks and plan answer; None if they cannot."""
    basis = Basis.MISSING if value is None else Basis.COMPUTED
    return Item(key, question, truth(value), basis, said)


def attested(key: str, question: str, value: bool | None, name: str) -> Item:  # noqa: FBT001 - as above
    """Return an item that only the user can answer.

    Parameters
    ----------
    key : str
        Of the item.
    question : str
        As the source asks.
    value : bool or None
        As attested, turned so that True is what the source asks for; None if not said.
    name : str
        The key in the case file that answers it.

    Returns
    -------
    Item
        Attested, or missing with the key to give.
    """
    if value is None:
        return Item(key, question, Answer.UNKNOWN, Basis.MISSING, f"say {name} under [attested]")
    return Item(key, question, truth(value), Basis.ATTESTED, f"attested by {name.split(',', maxsplit=1)[0]}")


def noted(key: str, question: str, said: str, *, basis: Basis) -> Item:
    """Return an item that is shown and not judged."""
    answer = Answer.UNKNOWN if basis is Basis.MISSING else Answer.NOTED
    return Item(key, question, answer, basis, said)


def conjunction(items: Sequence[Item]) -> Outcome:
    """Return whether every item is answered with yes.

    Parameters
    ----------
    items : sequence of Item
        Those that are merely noted do not count.

    Returns
    -------
    Outcome
        Not met as soon as one is no; met only if all are yes.
    """
    answers = {item.answer for item in items} - {Answer.NOTED}
    if Answer.NO in answers:
        return Outcome.NOT_MET
    return Outcome.INCOMPLETE if Answer.UNKNOWN in answers or not answers else Outcome.MET


def sentence_of(items: Sequence[Item], what: str) -> str:
    """Return in words what the conditions of a system say together.

    Parameters
    ----------
    items : sequence of Item
        The conditions.
    what : str
        What they are called, for example "conditions".

    Returns
    -------
    str
        How many are met, which are not, and which are missing.
    """
    judged = [item for item in items if item.answer is not Answer.NOTED]
    yes = [item.key for item in judged if item.answer is Answer.YES]
    no = [item.key for item in judged if item.answer is Answer.NO]
    unknown = [item.key for item in judged if item.answer is Answer.UNKNOWN]
    parts = [f"{len(yes)} of {len(judged)} {what} met by what was computed or attested"]
    if no:
        parts.append(f"not met: {_names(no)}")
    if unknown:
        parts.append(f"missing: {_names(unknown)}")
    return "; ".join(parts) + "."


def _names(keys: Sequence[str]) -> str:
    return ", ".join(key.replace("_", " ") for key in keys)
