"""The node's queue: what became of each study."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from flr_volumetry.app.node.database import Database
from flr_volumetry.app.node.records import Outcome, Sending, State, Study

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from enum import StrEnum

_STUDY = "number, uid, state, caller, first, last, since, recipe, reason, message, seconds, tries"
_SETTLED = (State.DONE, State.FAILED, State.IGNORED)
_NOT_RUNNING = (*_SETTLED, State.QUEUED)
MOST_ENDS = 5
"""So often a node may end while it runs a study, before the study is taken to be the cause."""
_ENDS_THE_NODE = f"The node ended {MOST_ENDS} times while it ran this study; it is not run again by itself."
_CONFLICT = (
    "An object came that has the UID of one here and is another; the first stays. Which is right is for a "
    "person to say: flr node again runs the study with the first."
)
_BROKEN_OFF = "The association that carried it was broken off, and not repeated: images may be missing."


class Ledger(Database):
    """What became of each study; safe to use from every thread."""

    def begun(self, uid: str, caller: str) -> int:
        """Note that an association carries a study.

        Parameters
        ----------
        uid : str
            Study Instance UID.
        caller : str
            Who sends it.

        Returns
        -------
        int
            The study's number.
        """
        now = time.time()
        with self.changing() as db:
            db.execute(
                "INSERT INTO study (uid, state, first, last, since)"
                " SELECT ?, ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM study WHERE uid = ?)",
                (uid, State.RECEIVING, now, now, now, uid),
            )
            db.execute(
                "UPDATE study SET carrying = carrying + 1, caller = ?, last = ? WHERE uid = ?",
                (caller, now, uid),
            )
            return int(db.execute("SELECT number FROM study WHERE uid = ?", (uid,)).fetchone()[0])

    def changed(self, number: int) -> None:
        """Note that a study got an object that it had not: what was settled is open again."""
        now = time.time()
        with self.changing() as db:
            db.execute("UPDATE study SET last = ?, tidied = 0 WHERE number = ?", (now, number))
            db.execute(
                f"UPDATE study SET state = ?, since = ? WHERE number = ? AND state IN {_list(_NOT_RUNNING)}",
                (State.RECEIVING, now, number),
            )
            db.execute("UPDATE study SET more = 1 WHERE number = ? AND state = ?", (number, State.RUNNING))

    def conflicting(self, number: int) -> None:
        """Note that an object came whose UID is that of one here, and whose content is another."""
        with self.changing() as db:
            db.execute("UPDATE study SET conflict = 1 WHERE number = ?", (number,))
        self.changed(number)

    def ended(self, number: int, *, began: float, clean: bool, caller: str = "") -> None:
        """Note that an association which carried a study has ended.

        Parameters
        ----------
        number : int
            Of the study.
        began : float
            When the association did.
        clean : bool
            Whether it was released. One that was broken off may have left images out; one of the same
            caller begun after it, and released, has brought what was missing, as senders repeat what was
            not answered.
        caller : str
            Who made it; where that is not known of the one broken off, any later one counts.
        """
        now = time.time()
        with self.changing() as db:
            db.execute(
                "UPDATE study SET carrying = max(carrying - 1, 0), last = ? WHERE number = ?", (now, number)
            )
            if clean:
                db.execute(
                    "UPDATE study SET broken = NULL, broken_by = ''"
                    " WHERE number = ? AND broken < ? AND broken_by IN ('', ?)",
                    (number, began, caller),
                )
                # A study given up as incomplete, of which every image has been seen again.
                db.execute(
                    "UPDATE study SET state = ?, since = ?, reason = '', message = ''"
                    " WHERE number = ? AND broken IS NULL AND state = ? AND reason = 'incomplete_transfer'",
                    (State.RECEIVING, now, number, State.FAILED),
                )
            else:
                db.execute(
                    "UPDATE study SET broken = ?, broken_by = ? WHERE number = ?", (now, caller, number)
                )

    def settle(self, *, quiet_s: float, abandon_s: float) -> list[Study]:
        """Queue the studies that are complete; give up those broken off and not repeated, or in conflict.

        Parameters
        ----------
        quiet_s : float
            A study is complete when nothing has come for so long, and no association carries it.
        abandon_s : float
            One that was broken off waits for so long to be repeated.

        Returns
        -------
        list of Study
            Those whose state changed.
        """
        now = time.time()
        with self.changing() as db:
            due = db.execute(
                "SELECT number, broken, conflict FROM study WHERE state = ? AND carrying = 0 AND"
                " ((broken IS NULL AND last <= ?) OR broken <= ?)",
                (State.RECEIVING, now - quiet_s, now - abandon_s),
            ).fetchall()
            for number, broken, conflict in due:
                if broken is not None:
                    self._put(number, State.FAILED, "incomplete_transfer", _BROKEN_OFF)
                elif conflict:
                    self._put(number, State.FAILED, "conflicting_objects", _CONFLICT)
                else:
                    self._put(number, State.QUEUED)
        return [self.study(number) for number, *_ in due]

    def recover(self) -> list[Study]:
        """Take up what an earlier process left: what was running is queued, what was carried was broken.

        Returns
        -------
        list of Study
            Those that were running: queued again, or given up where the node ended under them too often.
        """
        now = time.time()
        with self.changing() as db:
            running = db.execute(
                "SELECT number, tries FROM study WHERE state = ?", (State.RUNNING,)
            ).fetchall()
            for number, tries in running:
                if tries < MOST_ENDS:
                    self._put(number, State.QUEUED)
                else:
                    self._put(number, State.FAILED, "worker_lost", _ENDS_THE_NODE)
            db.execute("UPDATE study SET broken = ?, broken_by = '', carrying = 0 WHERE carrying > 0", (now,))
            db.execute("UPDATE study SET last = ? WHERE state = ?", (now, State.RECEIVING))
        return [self.study(number) for number, _ in running]

    def put_back(self, number: int) -> None:
        """Queue a study whose case is ended with the node, in order: that was no try."""
        with self.changing() as db:
            self._put(number, State.QUEUED)
            db.execute("UPDATE study SET tries = max(tries - 1, 0) WHERE number = ?", (number,))

    def take(self) -> Study | None:
        """Take the study that has waited longest, to be run.

        Returns
        -------
        Study or None
            None if none waits.
        """
        with self.changing() as db:
            found = db.execute(
                "SELECT number FROM study WHERE state = ? ORDER BY last, number LIMIT 1", (State.QUEUED,)
            ).fetchone()
            if found is None:
                return None
            db.execute("UPDATE study SET more = 0, tries = tries + 1 WHERE number = ?", found)
            self._put(found[0], State.RUNNING)
            return self.study(found[0])

    def finish(
        self, number: int, state: State, outcome: Outcome, send: Iterable[tuple[str, str, str]] = ()
    ) -> None:
        """Note how a study ended, and what is to be sent of it, in one step.

        Parameters
        ----------
        number : int
            Of the study.
        state : State
            Done, failed or ignored, or queued to be tried again; if objects came meanwhile it is open again,
            and nothing of it is sent.
        outcome : Outcome
            What was run, and why it failed or was ignored.
        send : iterable of (str, str, str)
            Destination, path and UID of each object. What was not sent of an earlier result of the study,
            and is not among them, is not sent any more.
        """
        wanted, now = list(send), time.time()
        with self.changing() as db:
            more = db.execute("SELECT more FROM study WHERE number = ?", (number,)).fetchone()[0]
            self._put(number, state, outcome.reason, outcome.message)
            if state is not State.QUEUED:
                db.execute("UPDATE study SET tries = 0 WHERE number = ?", (number,))
            db.execute(
                "UPDATE study SET recipe = ?, seconds = ?, more = 0 WHERE number = ?",
                (outcome.recipe, outcome.seconds, number),
            )
            if state is State.DONE and not more:
                rows = db.execute(
                    "SELECT number, peer, uid FROM delivery WHERE study = ? AND state != ?",
                    (number, Sending.SENT),
                ).fetchall()
                keep = {(peer, uid) for peer, _, uid in wanted}
                for row, peer, uid in rows:
                    if (peer, uid) not in keep:
                        db.execute("DELETE FROM delivery WHERE number = ?", (row,))
                db.executemany(
                    "INSERT INTO delivery (study, peer, path, uid, state, first, due)"
                    " VALUES (?, ?, ?, ?, ?, ?, 0) ON CONFLICT DO NOTHING",
                    [(number, peer, path, uid, Sending.WAITING, now) for peer, path, uid in wanted],
                )
            if more:
                self._put(number, State.RECEIVING)

    def again(self, number: int) -> bool:
        """Queue a study that failed or was ignored once more.

        Parameters
        ----------
        number : int
            Of the study.

        Returns
        -------
        bool
            Whether there is such a study, in such a state.
        """
        with self.changing() as db:
            found = db.execute(
                f"SELECT 1 FROM study WHERE number = ? AND tidied = 0 AND state IN {_list(_SETTLED)}",
                (number,),
            ).fetchone()
            if found:
                self._put(number, State.QUEUED)
                db.execute(
                    "UPDATE study SET broken = NULL, conflict = 0, tries = 0 WHERE number = ?", (number,)
                )
        return found is not None

    def _put(self, number: int, state: State, reason: str = "", message: str = "") -> None:
        self._db.execute(
            "UPDATE study SET state = ?, since = ?, reason = ?, message = ? WHERE number = ?",
            (state, time.time(), reason, message, number),
        )

    def study(self, number: int) -> Study:
        """Return what is known of a study."""
        row = self.rows(f"SELECT {_STUDY} FROM study WHERE number = ?", (number,))[0]
        return _study(row)

    def studies(self, states: Sequence[State] = tuple(State), most: int = -1) -> list[Study]:
        """Return studies, the latest first.

        Parameters
        ----------
        states : sequence of State
            Only those in one of these.
        most : int
            At most so many; all if negative.

        Returns
        -------
        list of Study
            What is known of each.
        """
        rows = self.rows(
            f"SELECT {_STUDY} FROM study WHERE state IN {_list(states)} ORDER BY number DESC LIMIT ?", (most,)
        )
        return [_study(row) for row in rows]

    def counts(self) -> dict[State, int]:
        """Return how many studies are in each state."""
        found = dict(self.rows("SELECT state, count(*) FROM study GROUP BY state"))
        return {state: int(found.get(state, 0)) for state in State}

    def oldest(self) -> float | None:
        """Return since when the oldest queued study waits, seconds since 1970; None if none does."""
        values = (State.QUEUED,)
        found: float | None = self.rows("SELECT min(since) FROM study WHERE state = ?", values)[0][0]
        return found

    def finished_before(self, when: float) -> list[Study]:
        """Return studies whose files are needed no longer: settled before, with nothing left to send."""
        rows = self.rows(
            f"SELECT {_STUDY} FROM study WHERE state IN {_list(_SETTLED)} AND since < ? AND tidied = 0"
            " AND carrying = 0 AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.study = study.number"
            " AND d.state NOT IN (?))",
            (when, Sending.SENT),
        )
        return [_study(row) for row in rows]

    def tidied(self, number: int, when: float, away: Callable[[], None]) -> bool:
        """Have a study's objects put away, and note it, unless it is wanted again.

        Parameters
        ----------
        number : int
            Of the study.
        when : float
            As for `finished_before`.
        away : callable
            Puts its objects away at one stroke; no association begins to carry a study meanwhile.

        Returns
        -------
        bool
            Whether they are.
        """
        with self.changing() as db:
            found = db.execute(
                "UPDATE study SET tidied = 1 WHERE number = ? AND carrying = 0 AND since < ?"
                f" AND state IN {_list(_SETTLED)}",
                (number, when),
            ).rowcount
            if found:
                away()
        return bool(found)


def _study(row: Sequence[Any]) -> Study:
    number, uid, state, *rest = row
    return Study(number, uid, State(state), *rest)


def _list(states: Iterable[StrEnum]) -> str:
    return "(" + ", ".join(f"'{state.value}'" for state in states) + ")"
