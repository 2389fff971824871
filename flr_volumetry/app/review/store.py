"""The plans of a review on the disk: every change is there, whole, before it is told to anyone."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass, field, replace
from threading import RLock
from typing import TYPE_CHECKING, Any

from flr_volumetry.errors import CaseError, OutputError, UnreadableError
from flr_volumetry.io.writing import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

STATE = "review.json"
SCHEMA = 1
MOST_PLANS = 200
MOST_NAME = 80
ID = re.compile(r"[a-z0-9]{8}")


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """One plan, as it was last left.

    Parameters
    ----------
    id : str
        Eight letters and digits; also what its files are called.
    name : str
        For people.
    stages : list of dict
        The [[stage]] tables.
    revision : int
        How often it was changed.
    numbers : dict or None
        What was counted of it, for the table.
    original : bool
        Whether it is the plan of the case file, which is never changed.
    report : dict or None
        Its report: of which revision, and where.
    """

    id: str
    name: str
    stages: list[dict[str, Any]] = field(repr=False)
    revision: int = 0
    numbers: dict[str, Any] | None = field(default=None, repr=False)
    original: bool = False
    report: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


class PlanStore:
    """All plans of one case in one folder; the one thing here that changes.

    Parameters
    ----------
    folder : Path
        Made if absent.
    stages : list of dict
        Of the case file, for the first plan.

    Raises
    ------
    UnreadableError
        If the folder holds a state that cannot be read.
    OutputError
        If it cannot be written.
    """

    def __init__(self, folder: Path, stages: list[dict[str, Any]]) -> None:
        self.folder = folder
        self._lock = RLock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder} cannot be made: {error.strerror or error}.") from error
        first = SavedPlan(_new_id(), "As in the case file", stages, original=True)
        self._plans = self._read() or {first.id: first}
        for plan in self._plans.values():
            if plan.original and plan.stages != stages:
                # The case file was edited since.
                self._plans[plan.id] = replace(plan, stages=stages, revision=plan.revision + 1, numbers=None)
        self._write()

    def _read(self) -> dict[str, SavedPlan]:
        path = self.folder / STATE
        if not path.exists():
            return {}
        try:
            plans = _plans_in(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise UnreadableError(
                f"{path} is no state of a review that can be read: {error}. Move it away to begin anew; the "
                "plans beside it, as .toml files, remain."
            ) from error
        return {plan.id: plan for plan in plans}

    def _write(self) -> None:
        document = {"schema": SCHEMA, "plans": [plan.to_json() for plan in self._plans.values()]}
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
        write_atomically(self.folder / STATE, [text.encode("utf-8", "backslashreplace")])

    def all(self) -> tuple[SavedPlan, ...]:
        """Return every plan, in the order in which they were made."""
        with self._lock:
            return tuple(self._plans.values())

    def get(self, key: object) -> SavedPlan:
        """Return a plan by its id.

        Parameters
        ----------
        key : object
            As the page sends it.

        Returns
        -------
        SavedPlan
            The one meant.

        Raises
        ------
        CaseError
            If there is none.
        """
        with self._lock:
            plan = self._plans.get(key) if isinstance(key, str) else None
        if plan is None:
            raise CaseError("there is no such plan; it may have been deleted elsewhere", reason="no_plan")
        return plan

    def add(self, name: str, stages: list[dict[str, Any]], numbers: dict[str, Any] | None) -> SavedPlan:
        """Keep a new plan.

        Parameters
        ----------
        name : str
            For people; a number is put behind one that is taken.
        stages : list of dict
            Checked.
        numbers : dict or None
            What was counted of it.

        Returns
        -------
        SavedPlan
            With an id of its own.

        Raises
        ------
        CaseError
            If there are too many.
        """
        with self._lock:
            if len(self._plans) >= MOST_PLANS:
                raise CaseError(f"there are {MOST_PLANS} plans already; delete some", reason="too_many_plans")
            plan = SavedPlan(_new_id(), self._free(name), stages, 1, numbers)
            return self._keep(plan)

    def change(self, key: object, stages: list[dict[str, Any]], numbers: dict[str, Any] | None) -> SavedPlan:
        """Put other stages into a plan; the last to write wins.

        Parameters
        ----------
        key : object
            Its id.
        stages : list of dict
            Checked.
        numbers : dict or None
            What was counted of them.

        Returns
        -------
        SavedPlan
            With the next revision.

        Raises
        ------
        CaseError
            If there is no such plan, or it is the case file's own.
        """
        with self._lock:
            plan = self.get(key)
            if plan.original:
                raise CaseError("the plan of the case file is not changed; copy it first", reason="original")
            return self._keep(replace(plan, stages=stages, numbers=numbers, revision=plan.revision + 1))

    def rename(self, key: object, name: str) -> SavedPlan:
        """Give a plan another name."""
        with self._lock:
            plan = self.get(key)
            return self._keep(replace(plan, name=self._free(name, but=plan.id)))

    def note(self, key: object, *, numbers: dict[str, Any] | None = None, report: Any = None) -> SavedPlan:
        """Keep what was counted of a plan, or where its report lies."""
        with self._lock:
            plan = self.get(key)
            return self._keep(replace(plan, numbers=numbers or plan.numbers, report=report or plan.report))

    def delete(self, key: object) -> SavedPlan:
        """Forget a plan; its files stay for whoever holds them."""
        with self._lock:
            plan = self.get(key)
            if plan.original:
                raise CaseError("the plan of the case file cannot be deleted", reason="original")
            del self._plans[plan.id]
            self._write()
            return plan

    def _keep(self, plan: SavedPlan) -> SavedPlan:
        before = dict(self._plans)
        self._plans[plan.id] = plan
        try:
            self._write()
        except OutputError:
            self._plans = before
            raise
        return plan

    def _free(self, name: str, but: str = "") -> str:
        wished = " ".join(str(name).split())[:MOST_NAME] or "Plan"
        taken = {plan.name for plan in self._plans.values() if plan.id != but}
        free, number = wished, 2
        while free in taken:
            free, number = f"{wished} ({number})", number + 1
        return free


def _plans_in(data: dict[str, Any]) -> list[SavedPlan]:
    if data["schema"] != SCHEMA:
        raise ValueError(f"it is of version {data['schema']}")
    plans = [SavedPlan(**entry) for entry in data["plans"]]
    if not plans or any(not ID.fullmatch(plan.id) for plan in plans):
        raise ValueError("it holds no plan, or one without a proper id")
    return plans


def _new_id() -> str:
    return secrets.token_hex(4)
