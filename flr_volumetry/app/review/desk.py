"""What the page asks for, answered: live numbers of a moving plan, and plans kept, changed and written."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

from flr_volumetry.app.case_text import case_toml
from flr_volumetry.app.review.files import write_plan
from flr_volumetry.app.review.numbers import Spread, margin_rows, numbers
from flr_volumetry.app.review.plans import as_data, plan_of, read_stages
from flr_volumetry.app.review.settled import Settled, settle
from flr_volumetry.errors import CaseError
from flr_volumetry.resection import PlaneResection, SurfaceResection
from flr_volumetry.resection.preview import preview, whole
from flr_volumetry.resection.surfaces import BezierSurface

if TYPE_CHECKING:
    from pathlib import Path

    from flr_volumetry.app.review.scenery import Scenery
    from flr_volumetry.app.review.session import Opened
    from flr_volumetry.app.review.store import PlanStore, SavedPlan
    from flr_volumetry.resection import ReadyLiver, ResectionPlan

PLANS = "plans"
REPORTS = "reports"
ROW = ("remnant_functional_ml", "remnant_ml", "resected_ml", "ablated_ml", "flr")
STATE = ("rule", "asks", "state", "symbol", "words", "css")


@dataclass(frozen=True, slots=True, eq=False)
class Move:
    """A plan on its way: checked, and the liver made ready for it.

    Parameters
    ----------
    plan : ResectionPlan or None
        None if nothing is cut.
    ready : ReadyLiver
        With what of the plan is slow to find found already.
    """

    plan: ResectionPlan | None
    ready: ReadyLiver = field(repr=False)


@dataclass(slots=True, eq=False)
class Desk:
    """The case and its plans, for as long as the server runs.

    Parameters
    ----------
    opened : Opened
        The case.
    store : PlanStore
        Its plans.
    scenery : Scenery
        What does not move.
    """

    opened: Opened
    store: PlanStore
    scenery: Scenery = field(repr=False)
    spread: Spread | None = field(default=None, repr=False)
    _settling: Lock = field(default_factory=Lock, repr=False)
    _writing: Lock = field(default_factory=Lock, repr=False)

    def move(self, stages: object) -> Move:
        """Check a plan as the page sends it.

        Parameters
        ----------
        stages : object
            The [[stage]] tables, as JSON gives them.

        Returns
        -------
        Move
            To be asked for its numbers.

        Raises
        ------
        FlrError
            If it is no plan, or names something that is not there.
        """
        checked = read_stages(stages, self.opened.case.stage)
        plan = plan_of(checked, self.opened.files)
        return Move(plan, self.opened.live(plan) if plan is not None else self.opened.ready)

    def volumes(self, move: Move) -> dict[str, Any]:
        """Return volumes, shares and states of a plan."""
        live = move.ready.volumes(move.plan) if move.plan is not None else None
        return numbers(self.opened, live, self.spread)

    def preview(self, move: Move) -> bytes:
        """Return every so many-th voxel by the pieces of a plan, columns fastest."""
        if move.plan is None:
            return whole(self.opened.ready, self.opened.step).tobytes(order="F")
        return preview(move.ready, move.plan, self.opened.step).tobytes(order="F")

    def margins(self, move: Move) -> list[dict[str, Any]]:
        """Return the margin of each lesion; none if nothing is cut."""
        return margin_rows(move.ready.margins(move.plan)) if move.plan is not None else []

    def settle(self, move: Move) -> Settled | None:
        """Assess a plan at rest in full, one at a time; None if nothing is cut."""
        if move.plan is None:
            return None
        with self._settling:
            settled = settle(self.opened, move.plan)
            self.spread = settled.spread
        return settled

    def shapes(self, move: Move) -> list[list[dict[str, Any]]]:
        """Return where each resection of a plan cuts, for those that are drawn.

        Parameters
        ----------
        move : Move
            The plan.

        Returns
        -------
        list of list of dict
            For each resection in order its planes or its triangles, LPS mm; empty for others.
        """
        stages = move.plan.stages if move.plan is not None else ()
        return [_shape(cut) for stage in stages for cut in stage.resections]

    def facts(self, stages: object) -> tuple[list[dict[str, Any]], dict[str, Any], ResectionPlan | None]:
        """Check a plan and count what its row in the table shows."""
        move = self.move(stages)
        counted = self.volumes(move)
        margins = self.margins(move) if not counted["problem"] else []
        gone = [m for m in margins if m["cleared_in_stage"]]
        row = {
            **{name: counted[name] for name in ROW},
            "cleared": len(gone),
            "of": len(self.opened.ready.liver.lesions),
            "smallest_mm": min((m["margin_mm"] for m in gone if m["margin_mm"] is not None), default=None),
            "states": [{name: f[name] for name in STATE} for f in counted["findings"]],
            "problem": counted["problem"] if move.plan is not None else "nothing is cut",
        }
        return as_data(read_stages(stages, self.opened.case.stage)), row, move.plan

    def note_settled(self, stages: object, settled: Settled) -> list[SavedPlan]:
        """Put what was found of a plan at rest into the rows of the plans that are the same.

        Parameters
        ----------
        stages : object
            The plan at rest, as the page sent it.
        settled : Settled
            As it was assessed.

        Returns
        -------
        list of SavedPlan
            Those whose row is another now.
        """
        data = as_data(read_stages(stages, self.opened.case.stage))
        states = [{name: f[name] for name in STATE} for f in settled.facts["findings"]]
        changed = []
        for plan in self.store.all():
            if plan.stages == data and plan.numbers is not None and plan.numbers.get("states") != states:
                changed.append(self.store.note(plan.id, numbers={**plan.numbers, "states": states}))
        return changed

    def add(self, name: str, stages: object) -> SavedPlan:
        """Keep a new plan, and write its files."""
        data, row, plan = self.facts(stages)
        saved = self.store.add(name, data, row)
        self._write(saved, plan)
        return saved

    def change(self, key: str, stages: object) -> SavedPlan:
        """Put other stages into a plan, and write its files."""
        data, row, plan = self.facts(stages)
        with self._writing:
            saved = self.store.change(key, data, row)
            self._write(saved, plan)
        return saved

    def files(self, key: str) -> dict[str, str]:
        """Write the files of a plan again, and say where they lie."""
        saved = self.store.get(key)
        return self._write(saved, self.move(saved.stages).plan)

    def _write(self, saved: SavedPlan, plan: ResectionPlan | None) -> dict[str, str]:
        if plan is None:
            return {}
        folder = self.store.folder / PLANS
        toml = case_toml(self.opened.case, folder, saved.stages)
        return write_plan(folder, saved.id, toml, plan)

    def report_folder(self, key: str) -> Path:
        """Return where the report of a plan is written."""
        return self.store.folder / REPORTS / self.store.get(key).id

    def file_of(self, key: str, ending: str) -> Path:
        """Return a file of a plan.

        Raises
        ------
        CaseError
            If there is no such plan, or it has no such file.
        """
        path = self.store.folder / PLANS / f"{self.store.get(key).id}.{ending}"
        if not path.is_file():
            self.files(key)
        if not path.is_file():
            raise CaseError("this plan has no such file: it draws no plane or patch", reason="no_file")
        return path


def _shape(cut: object) -> list[dict[str, Any]]:
    if isinstance(cut, PlaneResection):
        return [{"point_mm": p.point_mm.tolist(), "normal": p.normal.tolist()} for p in cut.planes]
    if isinstance(cut, SurfaceResection):
        if isinstance(cut.surface, BezierSurface) and cut.surface.control_mm.shape == (4, 4, 3):
            return []
        mesh = cut.surface if not hasattr(cut.surface, "mesh") else cut.surface.mesh()
        return [{"vertices": mesh.vertices_mm.tolist(), "triangles": mesh.triangles.tolist()}]
    return []
