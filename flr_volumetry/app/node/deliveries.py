"""What is to be sent where, and what became of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from flr_volumetry.app.node.records import Delivery, Sending

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.app.node.ledger import Ledger


class Deliveries:
    """The objects that the node's queue holds for each destination.

    Parameters
    ----------
    ledger : Ledger
        The database.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def due(self, peer: str, most: int = 200) -> list[Delivery]:
        """Take what is to be sent to a destination now: objects of one study, oldest first.

        Parameters
        ----------
        peer : str
            Its name.
        most : int
            At most so many.

        Returns
        -------
        list of Delivery
            With the state they had: one that was being sent when the node ended is "sending", and nobody
            knows whether it arrived.
        """
        now = time.time()
        with self._ledger.changing() as db:
            rows = db.execute(
                "SELECT d.number, d.study, s.uid, d.peer, d.path, d.uid, d.state, d.tries, d.first"
                " FROM delivery d JOIN study s ON s.number = d.study WHERE d.peer = ? AND d.due <= ?"
                " AND d.state IN (?, ?) ORDER BY d.study, d.number LIMIT ?",
                (peer, now, Sending.WAITING, Sending.SENDING, most),
            ).fetchall()
            found = [_delivery(row) for row in rows if row[1] == rows[0][1]]
            db.executemany(
                "UPDATE delivery SET state = ?, tries = tries + 1 WHERE number = ?",
                [(Sending.SENDING, one.number) for one in found],
            )
        return found

    def sent(self, number: int, state: Sending, *, due: float = 0.0, reason: str = "") -> None:
        """Note what became of an object.

        Parameters
        ----------
        number : int
            Of the delivery.
        state : Sending
            What it is at now.
        due : float
            When it is tried again, seconds since 1970.
        reason : str
            Why it was not taken.
        """
        with self._ledger.changing() as db:
            db.execute(
                # What has been taken or refused stays so, whatever is said of its association later.
                "UPDATE delivery SET state = ?, due = ?, reason = ? WHERE number = ? AND state IN (?, ?)",
                (state, due, reason, number, Sending.WAITING, Sending.SENDING),
            )

    def resend(self, number: int) -> int:
        """Let a study's objects that were refused or given up be tried again.

        Parameters
        ----------
        number : int
            Of the study.

        Returns
        -------
        int
            How many.
        """
        with self._ledger.changing() as db:
            return db.execute(
                "UPDATE delivery SET state = ?, due = 0, tries = 0, first = ?"
                " WHERE study = ? AND state IN (?, ?)",
                (Sending.WAITING, time.time(), number, Sending.REFUSED, Sending.GIVEN_UP),
            ).rowcount

    def sendings(self, study: int | None = None) -> dict[tuple[str, Sending], int]:
        """Return how many objects for each destination are at what.

        Parameters
        ----------
        study : int or None
            Of this study only.

        Returns
        -------
        dict of (str, Sending) to int
            Those that are none are left out.
        """
        where, values = ("WHERE study = ?", (study,)) if study is not None else ("", ())
        rows = self._ledger.rows(
            f"SELECT peer, state, count(*) FROM delivery {where} GROUP BY peer, state", values
        )
        return {(peer, Sending(state)): int(count) for peer, state, count in rows}

    def stalest(self, peer: str) -> float | None:
        """Return since when the oldest object waits for a destination, seconds since 1970."""
        values = (peer, Sending.WAITING, Sending.SENDING)
        found: float | None = self._ledger.rows(
            "SELECT min(first) FROM delivery WHERE peer = ? AND state IN (?, ?)", values
        )[0][0]
        return found


def _delivery(row: Sequence[Any]) -> Delivery:
    number, study, study_uid, peer, path, uid, state, tries, first = row
    return Delivery(number, study, study_uid, peer, path, uid, Sending(state), tries, first)
