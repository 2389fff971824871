"""TotalSegmentator, where the package and its weights are installed; never a download."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flr_volumetry.anatomy import Structure
from flr_volumetry.errors import SegmentationError
from flr_volumetry.images import LabelMap, Mask
from flr_volumetry.segmentation.hints import NO_HINTS
from flr_volumetry.segmentation.networks import (
    Target,
    back_on,
    installed,
    masks_from,
    ras_affine,
    straightened,
    told_tilted,
    unused_hints,
)
from flr_volumetry.segmentation.protocol import (
    Availability,
    FoundLesion,
    Made,
    Modality,
    Segmentation,
    Settings,
)
from flr_volumetry.segmentation.trunks import told_apart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from flr_volumetry.images import Image
    from flr_volumetry.segmentation.hints import Hints

PACKAGE: Final = "TotalSegmentator"
WEIGHTS_VARIABLE: Final = "TOTALSEG_WEIGHTS_PATH"
HOME_VARIABLE: Final = "TOTALSEG_HOME_DIR"
_SEGMENTS: Final = {f"liver_segment_{n}": Target(Structure.SEGMENTS, n) for n in range(1, 9)}


@dataclass(frozen=True, slots=True)
class Task:
    """One of its tasks, as far as a liver is concerned.

    Parameters
    ----------
    name : str
        As the package calls it.
    structures : frozenset of Structure
        What it is run for.
    classes : dict of str to Target
        What its classes stand for.
    subset : tuple of str
        What to ask of a task that knows the whole body.
    """

    name: str
    structures: frozenset[Structure]
    classes: dict[str, Target]
    subset: tuple[str, ...] = ()


_WHOLE: Final = {
    "liver": Target(Structure.LIVER),
    "inferior_vena_cava": Target(Structure.IVC),
    "gallbladder": Target(Structure.GALLBLADDER),
    "portal_vein_and_splenic_vein": Target(Structure.PORTAL_VEIN),
}
_VESSELS: Final = {"liver_vessels": Target(Structure.HEPATIC_VEINS)}
_LESIONS: Final = {"liver_lesions": Target(Structure.LESION)}


def _tasks(suffix: str) -> tuple[Task, ...]:
    return (
        Task(f"total{suffix}", frozenset(t.structure for t in _WHOLE.values()), _WHOLE, tuple(_WHOLE)),
        Task(f"liver_segments{suffix}", frozenset({Structure.SEGMENTS}), _SEGMENTS),
        Task(f"liver_lesions{suffix}", frozenset({Structure.LESION}), _LESIONS),
    )


TASKS: Final = {
    Modality.CT: (
        *_tasks(""),
        Task(
            "liver_vessels",
            frozenset({Structure.HEPATIC_VEINS}),
            {"liver_vessels": Target(Structure.HEPATIC_VEINS)},
        ),
    ),
    Modality.MR: _tasks("_mr"),
}
"""liver_vessels does not tell portal from hepatic veins: see `told_apart`."""


@dataclass(frozen=True, slots=True, eq=False)
class TotalSegmentator:
    """The package of that name (Wasserthal et al., Radiol Artif Intell 2023;5:e230024).

    Parameters
    ----------
    settings : Settings
        `folder` holds its weights (folders named Dataset...); without it they are where the package keeps
        them.
    """

    settings: Settings

    @property
    def name(self) -> str:
        """Its name in the register."""
        return "totalsegmentator"

    @property
    def title(self) -> str:
        """What it is."""
        return "TotalSegmentator's networks for liver, vessels, segments and lesions"

    @property
    def licence(self) -> str:
        """Of the code and of the weights of these tasks."""
        return "Apache-2.0, code and weights of these tasks"

    @property
    def modalities(self) -> frozenset[Modality]:
        """CT and MR, by tasks of their own."""
        return frozenset(Modality)

    @property
    def structures(self) -> frozenset[Structure]:
        """All but what only a plan has."""
        return frozenset(Structure) - {Structure.REMNANT}

    def availability(self) -> Availability:
        """Say whether the package is installed and any of its weights lie here."""
        found = installed(PACKAGE)
        if not found:
            return Availability(
                f"The package {PACKAGE} is not installed.",
                "Install it: pip install 'flr-volumetry[totalsegmentator]'.",
            )
        folder = self.weights
        there = sorted(p.name for p in folder.glob("Dataset*")) if folder.is_dir() else []
        if not there:
            return Availability(
                f"There are no weights in {folder}.",
                "Fetch them where there is a network: totalseg_download_weights -t total, liver_segments, "
                "liver_lesions, liver_vessels; copy the folder here and name it with folder = ....",
            )
        return Availability(detail=f"{PACKAGE} {found}, {len(there)} models in {folder}")

    @property
    def weights(self) -> Path:
        """Where its weights lie."""
        if self.settings.folder is not None:
            return self.settings.folder
        if os.environ.get(WEIGHTS_VARIABLE):
            return Path(os.environ[WEIGHTS_VARIABLE])
        home = os.environ.get(HOME_VARIABLE)
        return (Path(home) if home else Path.home() / ".totalsegmentator") / "nnunet" / "results"

    def segment(
        self,
        image: Image,
        wanted: frozenset[Structure],
        *,
        hints: Hints = NO_HINTS,
        tell: Callable[[str], None] = lambda _: None,
    ) -> Segmentation:
        """Run the tasks that what is wanted needs.

        Parameters
        ----------
        image : Image
            The scan, whole.
        wanted : frozenset of Structure
            What to find.
        hints : Hints
            None can be used.
        tell : callable
            Called with the name of each step as it begins.

        Returns
        -------
        Segmentation
            On the scan's grid. Its task for vessels does not tell portal from hepatic veins; those that hang
            on the portal vein's trunk or on the vena cava are told apart by that (`told_apart`).

        Raises
        ------
        SegmentationError
            If the scan does not say whether it is CT or MR, or weights are missing.
        """
        if image.source.modality not in {m.value for m in Modality}:
            raise SegmentationError(
                f"{PACKAGE} has tasks of its own for CT and MR, and the scan's file says neither. Read the "
                "DICOM series instead.",
                reason="modality_unknown",
            )
        needed = wanted | ({Structure.PORTAL_VEIN} if Structure.HEPATIC_VEINS in wanted else frozenset())
        tasks = [t for t in TASKS[Modality(image.source.modality)] if t.structures & needed]
        if Structure.HEPATIC_VEINS in wanted and image.source.modality == "MR":
            raise SegmentationError(
                f"{PACKAGE} has no task for hepatic veins on MR.", reason="structure_not_offered"
            )
        found: dict[Structure, Mask] = {}
        lesions: tuple[FoundLesion, ...] = ()
        segments: LabelMap | None = None
        straight = straightened(image)
        for task in tasks:
            tell(f"running {PACKAGE}, task {task.name}")
            labels, targets = run_task(task, straight, self.weights, self.settings.device.value)
            labels = back_on(labels, straight.grid, image.grid)
            masks, some, parts = masks_from(labels, image.grid, targets)
            found |= masks
            lesions, segments = (some or lesions), (parts or segments)
        made = Made(
            self.name,
            installed(PACKAGE),
            ", ".join(t.name for t in tasks),
            str(self.weights),
            self.settings.device.value,
        )
        doubts = [*told_tilted(image, PACKAGE), *unused_hints(hints, PACKAGE)]
        if Structure.HEPATIC_VEINS in found:
            found, said = told_apart(found, PACKAGE)
            doubts.append(said)
        return Segmentation(
            image.grid,
            made,
            {s: mask for s, mask in found.items() if s in wanted},
            lesions,
            segments,
            caveats=tuple(doubts),
            methods=(
                f"Masks were made by {PACKAGE} {made.version} (Wasserthal et al., Radiol Artif Intell "
                f"2023;5:e230024), tasks {made.task}, on {made.device}.",
            ),
        )


def make(settings: Settings) -> TotalSegmentator:
    """Return the back-end, for the register.

    Parameters
    ----------
    settings : Settings
        With the folder of weights, if it is not the package's own.

    Returns
    -------
    TotalSegmentator
        Not yet loaded.
    """
    return TotalSegmentator(settings)


def run_task(
    task: Task, image: Image, weights: Path, device: str
) -> tuple[npt.NDArray[np.integer[Any]], dict[int, Target]]:
    """Run one task on a scan.

    Parameters
    ----------
    task : Task
        Which.
    image : Image
        On a grid with axes at right angles.
    weights : Path
        Folder of the weights.
    device : str
        As the package calls it: cpu, gpu or mps.

    Returns
    -------
    labels : ndarray of whole numbers
        On the scan's grid.
    targets : dict of int to Target
        What its labels stand for.

    Raises
    ------
    SegmentationError
        If weights are missing, or what comes back lies elsewhere than the scan.
    """
    with _offline(weights) as totalsegmentator:
        import nibabel
        from totalsegmentator.registry import get_task_classes

        affine = ras_affine(image.grid)
        given = nibabel.Nifti1Image(np.ascontiguousarray(image.voxels), affine)  # type: ignore[no-untyped-call]
        answer = totalsegmentator(
            given,
            None,
            task=task.name,
            roi_subset=list(task.subset) or None,
            device=device,
            quiet=True,
            ml=True,
            skip_saving=True,
        )
        known = get_task_classes(task.name)
    if answer.shape != image.grid.shape or not np.allclose(answer.affine, affine, atol=1e-3):
        raise SegmentationError(
            f"{PACKAGE}, task {task.name}, gave masks on another grid than the scan's", reason="bad_backend"
        )
    labels = np.asarray(answer.dataobj).astype(np.int32)
    return labels, {n: task.classes[name] for n, name in known.items() if name in task.classes}


@contextmanager
def _offline(weights: Path) -> Iterator[Callable[..., Any]]:
    """Give the package's function, with settings of its own: no statistics sent, nothing fetched."""
    with tempfile.TemporaryDirectory() as home:
        config = {"totalseg_id": "none", "send_usage_stats": False, "statistics_disclaimer_shown": True}
        config |= {"prediction_counter": 1}
        (Path(home) / "config.json").write_text(json.dumps(config), encoding="utf-8")
        before = {key: os.environ.get(key) for key in (HOME_VARIABLE, WEIGHTS_VARIABLE)}
        os.environ.update({HOME_VARIABLE: home, WEIGHTS_VARIABLE: str(weights)})
        try:
            from totalsegmentator import python_api

            fetch = python_api.download_pretrained_weights
            python_api.download_pretrained_weights = lambda number: _require_weights(weights, number)
            try:
                yield python_api.totalsegmentator
            finally:
                python_api.download_pretrained_weights = fetch
        finally:
            for key, value in before.items():
                if value is None:
                    os.environ.pop(key, None)
                else:
                    os.environ[key] = value


def _require_weights(weights: Path, number: int) -> None:
    """Refuse where the package would download."""
    if not any(weights.glob(f"Dataset{number:03d}_*")):
        raise SegmentationError(
            f"the weights Dataset{number:03d} of {PACKAGE} are not in {weights}. Fetch them where there is a "
            "network (totalseg_download_weights), and copy the folder here.",
            reason="weights_missing",
        )
