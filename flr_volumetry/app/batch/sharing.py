"""One liver under many plans: read and checked once in a worker, as long as the plans follow each other."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from flr_volumetry.app.batch.state import parts_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from flr_volumetry.app.batch.cohort import Job
    from flr_volumetry.app.batch.state import Key
    from flr_volumetry.app.case import Case
    from flr_volumetry.app.prepare import Prepared

ALIKE = frozenset({"hepatectomy", "segments", "plane", "planes", "wedge", "ablation"})
"""Kinds of resections that take nothing but the liver: no file, no vessel, no imported remnant."""
APART = ("case", "stage", "output")
"""Tables that do not change how a liver is read."""

_at_hand: dict[str, Prepared] = {}
"""Of this process: the last liver, under what it was made from. One at most, so that memory stays bounded."""


def shared(job: Job, key: Key) -> Callable[[Case, Callable[[str], None]], Prepared]:
    """Return what prepares a case's liver, or has it at hand from the plan before.

    Parameters
    ----------
    job : Job
        The case.
    key : Key
        What its result depends on.

    Returns
    -------
    callable
        As `flr_volumetry.app.prepare.prepare`.
    """
    made_from = liver_key(job, key)

    def prepared(case: Case, tell: Callable[[str], None]) -> Prepared:
        from flr_volumetry.app.prepare import prepare

        found = _at_hand.get(made_from)
        if found is not None:
            tell("image and masks are at hand from another plan")
            return found
        # The liver before is let go first: two at a time are more than a worker is given.
        _at_hand.clear()
        found = prepare(case, tell)
        if made_from:
            _at_hand[made_from] = found
        return found

    return prepared


def liver_key(job: Job, key: Key) -> str:
    """Digest what a case's liver is made from; empty if its plan has a say in that.

    Parameters
    ----------
    job : Job
        The case.
    key : Key
        What its result depends on.

    Returns
    -------
    str
        The same for plans of one liver.
    """
    kinds = {cut.get("kind") for stage in job.data.get("stage", ()) for cut in stage.get("resections", ())}
    if not kinds or not kinds <= ALIKE:
        return ""
    measured: dict[str, Any] = {k: v for k, v in parts_of(job.data)[0].items() if k not in APART}
    whole = [measured, str(job.root), key.inputs, key.program]
    raw = json.dumps(whole, sort_keys=True, default=str).encode("utf-8", "backslashreplace")
    return hashlib.sha256(raw).hexdigest()
