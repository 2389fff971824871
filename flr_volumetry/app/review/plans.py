"""Plans as the page sends them: the [[stage]] tables of a case file, checked before anything is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field, TypeAdapter, ValidationError

from flr_volumetry.app.cuts import MarkupEntry, RemnantEntry, ResectionEntry, SurfaceEntry
from flr_volumetry.app.sections import StageSection
from flr_volumetry.errors import CaseError, PlanError
from flr_volumetry.resection import ResectionPlan, Stage, Waiting

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flr_volumetry.app.drawn import PlanFiles

MOST_STAGES = 6
MOST_RESECTIONS = 40
MOST_CONTROL_POINTS = 400
FARTHEST_MM = 5000.0
"""No place in a patient is further from the origin of its scan."""


class DraftStage(StageSection):
    """One stage of a plan on the page; it may be empty while it is being made."""

    name: str = Field(default="", max_length=200)
    resections: list[ResectionEntry] = Field(max_length=MOST_RESECTIONS)


_STAGES = TypeAdapter(list[DraftStage])


def read_stages(data: object, known: Sequence[StageSection]) -> tuple[DraftStage, ...]:
    """Check the stages that a page sends.

    Parameters
    ----------
    data : object
        As JSON gives it.
    known : sequence of StageSection
        The stages of the case file: what they take from files may be taken, and nothing else.

    Returns
    -------
    tuple of DraftStage
        Of the right form.

    Raises
    ------
    CaseError
        If they are not stages, are too many, or name a file that the case does not.
    """
    try:
        stages = _STAGES.validate_python(data)
    except (ValidationError, RecursionError) as error:
        said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise CaseError(f"this is no plan: {said}", reason="bad_plan") from error
    if len(stages) > MOST_STAGES:
        raise CaseError(f"a plan on the page has at most {MOST_STAGES} stages, got {len(stages)}")
    ours = [entry for stage in known for entry in stage.resections]
    for entry in _entries(stages):
        if _of_file(entry) and entry not in ours:
            raise CaseError(
                "a plan on the page takes nothing from files but what its case file names",
                reason="foreign_file",
            )
        _require_size(entry)
    return tuple(stages)


def _entries(stages: Sequence[StageSection]) -> Iterator[Any]:
    return (entry for stage in stages for entry in stage.resections)


def _of_file(entry: Any) -> bool:
    if isinstance(entry, SurfaceEntry):
        return entry.file is not None
    return isinstance(entry, (MarkupEntry, RemnantEntry))


def _require_size(entry: Any) -> None:
    if isinstance(entry, SurfaceEntry) and entry.control_mm is not None:
        points = [point for row in entry.control_mm for point in row]
        if len(points) > MOST_CONTROL_POINTS:
            raise CaseError(
                f"a patch on the page has at most {MOST_CONTROL_POINTS} points, got {len(points)}"
            )
        if any(abs(x) > FARTHEST_MM for point in points for x in point):
            raise CaseError(f"a point of a patch lies further than {FARTHEST_MM:g} mm from the scan's origin")


def plan_of(stages: Sequence[DraftStage], files: PlanFiles) -> ResectionPlan | None:
    """Return a plan as a value of the core.

    Parameters
    ----------
    stages : sequence of DraftStage
        Checked; empty ones are passed over.
    files : PlanFiles
        What the case's own plan takes from files.

    Returns
    -------
    ResectionPlan or None
        None if nothing is cut.

    Raises
    ------
    FlrError
        If a resection cannot be meant.
    """
    made = []
    for number, stage in enumerate(stages, start=1):
        if not stage.resections:
            continue
        after = Waiting(stage.after.procedure, stage.after.weeks) if stage.after else None
        try:
            cuts = tuple(entry.value(files) for entry in stage.resections)
        except KeyError as error:
            raise PlanError(f"stage {number} names a file that was not read: {error}") from error
        made.append(Stage(stage.name or f"stage {number}", cuts, after))
    return ResectionPlan(tuple(made)) if made else None


def as_data(stages: Sequence[StageSection]) -> list[dict[str, Any]]:
    """Return stages as JSON and TOML hold them: nothing that was left out, lists for points."""
    return [stage.model_dump(mode="json", exclude_none=True, exclude_defaults=False) for stage in stages]
