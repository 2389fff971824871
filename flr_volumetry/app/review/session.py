"""A case made ready for the page: read once, and asked again and again."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING

from flr_volumetry.app.landmarks import landmarks_of, with_case_segments
from flr_volumetry.app.load import load_case
from flr_volumetry.app.vessels import with_case_territories
from flr_volumetry.io.protocols import read_protocols
from flr_volumetry.resection import ReadyLiver, SurfaceResection, TerritoryResection, WedgeResection
from flr_volumetry.resection.plan import Ablation
from flr_volumetry.resection.preview import edges_taken, holding
from flr_volumetry.segmentation.quality import check_masks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flr_volumetry.app.case import Case
    from flr_volumetry.app.drawn import PlanFiles
    from flr_volumetry.assessment.model import Protocol
    from flr_volumetry.errors import Caveat
    from flr_volumetry.resection import Resection, ResectionPlan
    from flr_volumetry.resection.spans import Edges
    from flr_volumetry.segmentation import Quality
    from flr_volumetry.volumetry.patient import Patient

PREVIEW_VOXELS = 180_000
"""About so many voxels stand for the liver while a cut moves."""
KEPT = 64
"""So many wedges, ablations and territories are kept worked out."""


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A case, read and made ready.

    Parameters
    ----------
    case : Case
        The case file.
    path : Path
        Where it lies.
    ready : ReadyLiver
        Its liver.
    files : PlanFiles
        What its plan takes from files.
    protocols : tuple of Protocol
        Its rules.
    patient : Patient
        Its patient.
    quality : Quality
        Of the liver's mask.
    caveats : tuple of Caveat
        Of masks and vessels.
    step : int
        Of the preview, in voxels.
    """

    case: Case
    path: Path
    ready: ReadyLiver = field(repr=False)
    files: PlanFiles = field(repr=False)
    protocols: tuple[Protocol, ...] = field(repr=False)
    patient: Patient
    quality: Quality = field(repr=False)
    caveats: tuple[Caveat, ...]
    step: int
    _kept: OrderedDict[Resection, Edges] = field(default_factory=OrderedDict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def live(self, plan: ResectionPlan) -> ReadyLiver:
        """Return the liver with what of a plan is slow to find found already.

        Parameters
        ----------
        plan : ResectionPlan
            Its wedges, ablations and territories are worked out once, its surfaces for this plan.

        Returns
        -------
        ReadyLiver
            To be asked for volumes, margins and preview of that plan.

        Raises
        ------
        PlanError
            If a resection names something that is not there.
        """
        known: dict[Resection, Edges] = {}
        for stage in plan.stages:
            for cut in stage.resections:
                if isinstance(cut, SurfaceResection):
                    known[cut] = edges_taken(self.ready, cut)
                elif isinstance(cut, (WedgeResection, Ablation)) or (
                    isinstance(cut, TerritoryResection) and not cut.branches
                ):
                    known[cut] = self._once(cut)
        return holding(self.ready, known)

    def _once(self, cut: Resection) -> Edges:
        with self._lock:
            found = self._kept.get(cut)
        if found is None:
            found = edges_taken(self.ready, cut)
        with self._lock:
            self._kept[cut] = found
            self._kept.move_to_end(cut)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return found


def open_case(case: Case, path: Path, *, tell: Callable[[str], None] = lambda _: None) -> Opened:
    """Read a case and make its liver ready.

    Parameters
    ----------
    case : Case
        As `flr_volumetry.app.case.read_case` returns it.
    path : Path
        Of the case file.
    tell : callable
        Called with the name of each step as it begins.

    Returns
    -------
    Opened
        For the page.

    Raises
    ------
    FlrError
        If an input cannot be read, or the masks do not fit.
    """
    patient = case.person()
    folder = case.resolve(case.assessment.protocol_folder) if case.assessment.protocol_folder else None
    protocols = read_protocols(case.protocol_keys(), folder=folder)
    tell("reading image and masks")
    loaded = load_case(case, tell=tell)
    tell("checking the masks")
    checked = check_masks(loaded.liver)
    liver = replace(loaded.liver, caveats=(*loaded.liver.caveats, *checked.caveats))
    tell("following the vessels")
    liver = with_case_territories(liver, case)
    liver, _ = with_case_segments(liver, case)
    tell("making the liver ready")
    ready = ReadyLiver(liver)
    voxels = 1
    for n in ready.rows.grid.shape:
        voxels *= n
    return Opened(
        case=case,
        path=path,
        ready=ready,
        files=replace(loaded.files, landmarks=lambda: landmarks_of(case, liver)),
        protocols=tuple(protocols),
        patient=patient,
        quality=checked.quality,
        caveats=liver.caveats,
        step=max(1, round((voxels / PREVIEW_VOXELS) ** (1 / 3))),
    )
