"""Any trained nnU-Net v2 model, from its folder and a table of what its labels mean."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flr_volumetry.anatomy import Structure
from flr_volumetry.errors import SegmentationError
from flr_volumetry.segmentation.hints import NO_HINTS
from flr_volumetry.segmentation.networks import (
    TORCH_DEVICES,
    back_on,
    installed,
    masks_from,
    straightened,
    targets_of,
    told_tilted,
    unused_hints,
)
from flr_volumetry.segmentation.protocol import Availability, Made, Modality, Segmentation, Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

    from flr_volumetry.images import Image
    from flr_volumetry.segmentation.hints import Hints

NEEDED: Final = ("plans.json", "dataset.json")
CHECKPOINTS: Final = ("checkpoint_final.pth", "checkpoint_best.pth")


@dataclass(frozen=True, slots=True, eq=False)
class NnUnet:
    """A trained nnU-Net v2 model of one channel.

    Parameters
    ----------
    settings : Settings
        `folder` is the trained model's (it holds plans.json, dataset.json and fold_0 and so on), `labels`
        what its labels mean.
    """

    settings: Settings

    @property
    def name(self) -> str:
        """Its name in the register."""
        return "nnunet"

    @property
    def title(self) -> str:
        """What it is."""
        return "any trained nnU-Net v2 model of yours, with a table of its labels"

    @property
    def licence(self) -> str:
        """Of the code; the weights' is the model's own."""
        return "Apache-2.0; weights: the model's own"

    @property
    def modalities(self) -> frozenset[Modality]:
        """What the model was trained on is not told; both pass, and its dataset.json is compared."""
        return frozenset(Modality)

    @property
    def structures(self) -> frozenset[Structure]:
        """What its labels stand for; without labels, all that one could."""
        if not self.settings.labels:
            return frozenset(Structure) - {Structure.REMNANT}
        return frozenset(t.structure for t in targets_of(self.settings.labels).values())

    def availability(self) -> Availability:
        """Say whether package, model and labels are there."""
        found = installed("nnunetv2")
        if not found:
            return Availability(
                "The package nnunetv2 is not installed.", "Install it: pip install 'flr-volumetry[nnunet]'."
            )
        folder = self.settings.folder
        if folder is None or not self.settings.labels:
            return Availability(
                "No trained model was named.",
                "Give folder = the model's folder, and labels = { liver = 1, ... } for what its labels mean.",
            )
        lacking = [name for name in NEEDED if not (folder / name).is_file()]
        if lacking or not _folds(folder):
            return Availability(
                f"{folder} is no trained nnU-Net v2 model: it lacks "
                f"{', '.join(lacking) or 'a fold with a checkpoint'}.",
                "Name the folder that holds plans.json, dataset.json and fold_0.",
            )
        return Availability(detail=f"nnunetv2 {found}, {folder}")

    def segment(
        self,
        image: Image,
        wanted: frozenset[Structure],
        *,
        hints: Hints = NO_HINTS,
        tell: Callable[[str], None] = lambda _: None,
    ) -> Segmentation:
        """Find what the model was trained to find.

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
            On the scan's grid.

        Raises
        ------
        SegmentationError
            If the model is for another kind of scan or has other labels.
        """
        folder = self.settings.folder
        if folder is None:
            raise SegmentationError("nnunet needs the folder of a model", reason="backend_unavailable")
        targets = targets_of(self.settings.labels)
        _require_fits(folder, image, max(targets))
        tell("running nnU-Net")
        straight = straightened(image)
        voxels = predicted(folder, straight, TORCH_DEVICES[self.settings.device])
        voxels = back_on(voxels, straight.grid, image.grid)
        chosen = {n: t for n, t in targets.items() if t.structure in wanted or Structure.LIVER in wanted}
        masks, lesions, segments = masks_from(voxels, image.grid, chosen)
        made = Made(
            self.name,
            installed("nnunetv2"),
            _dataset(folder).get("name", folder.name),
            weights_of(folder),
            self.settings.device.value,
        )
        return Segmentation(
            image.grid,
            made,
            {s: mask for s, mask in masks.items() if s in wanted},
            lesions if Structure.LESION in wanted else (),
            segments if Structure.SEGMENTS in wanted else None,
            caveats=(*told_tilted(image, "nnU-Net"), *unused_hints(hints, "nnU-Net")),
            methods=(
                f"Masks were made by nnU-Net (Isensee et al., Nat Methods 2021;18:203), nnunetv2 "
                f"{made.version}, model {made.task}, weights {made.weights}, on {made.device}.",
            ),
        )


def make(settings: Settings) -> NnUnet:
    """Return the back-end, for the register.

    Parameters
    ----------
    settings : Settings
        With the model's folder and labels.

    Returns
    -------
    NnUnet
        Not yet loaded.
    """
    return NnUnet(settings)


def _folds(folder: Path) -> list[tuple[int | str, Path]]:
    """Return the folds of a model that have a checkpoint, with it."""
    found: list[tuple[int | str, Path]] = []
    for place in sorted(folder.glob("fold_*")):
        name = place.name.removeprefix("fold_")
        checkpoint = next((place / c for c in CHECKPOINTS if (place / c).is_file()), None)
        if checkpoint is not None and (name.isdecimal() or name == "all"):
            found.append((int(name) if name.isdecimal() else name, checkpoint))
    return found


def weights_of(folder: Path) -> str:
    """Return what identifies the weights: the beginning of the SHA-256 of all checkpoints used.

    Parameters
    ----------
    folder : Path
        Of the model.

    Returns
    -------
    str
        Sixteen hexadecimal digits.
    """
    digest = hashlib.sha256()
    for _, checkpoint in _folds(folder):
        with checkpoint.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return f"SHA-256 {digest.hexdigest()[:16]}"


def _dataset(folder: Path) -> dict[str, Any]:
    try:
        read = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SegmentationError(
            f"{folder / 'dataset.json'} cannot be read: {error}", reason="bad_model"
        ) from error
    return read if isinstance(read, dict) else {}


def _require_fits(folder: Path, image: Image, highest: int) -> None:
    """Compare what the model was trained on with the scan, and its labels with the table."""
    dataset = _dataset(folder)
    channels = dataset.get("channel_names") or dataset.get("modality") or {}
    labels = dataset.get("labels") or {}
    if len(channels) != 1:
        raise SegmentationError(
            f"the model in {folder} takes {len(channels)} channels; only models of one scan can be used.",
            reason="bad_model",
        )
    kind = str(next(iter(channels.values()))).upper()
    said = image.source.modality
    if (said == "MR" and kind == "CT") or (said == "CT" and kind.startswith(("MR", "T1", "T2"))):
        raise SegmentationError(
            f"the scan is {said}; the model in {folder} was trained on {kind}.", reason="modality_not_offered"
        )
    numbers = [n for value in labels.values() for n in (value if isinstance(value, list) else [value])]
    if highest > max((int(n) for n in numbers), default=0):
        has = ", ".join(f"{key} = {value}" for key, value in labels.items())
        raise SegmentationError(
            f"the model in {folder} has no label {highest}; it has {has}.",
            reason="bad_labels",
        )


def predicted(folder: Path, image: Image, device: str) -> npt.NDArray[np.integer[Any]]:
    """Run a model on a scan.

    Parameters
    ----------
    folder : Path
        Of the model.
    image : Image
        On a grid with axes at right angles.
    device : str
        As torch calls it.

    Returns
    -------
    ndarray of whole numbers
        Labels on the scan's grid.

    Raises
    ------
    SegmentationError
        If what comes back is not of the scan's shape.

    Notes
    -----
    nnU-Net's own readers (SimpleITK) give arrays in the order slice, row, column with spacings in that
    order and know nothing of directions; models are trained on scans as they lie in their files, axial
    slices first to last. The scan is laid out that way by its own directions: the axis that runs most
    head to feet first, then front to back, then side to side, each in the direction that DICOM counts.
    """
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    axes, flips = canonical(image)
    laid = np.flip(image.voxels, tuple(n for n, f in enumerate(flips) if f)).transpose(axes)
    spacing = [image.grid.spacing_mm[a] for a in axes]
    predictor = nnUNetPredictor(
        use_mirroring=False,
        perform_everything_on_device=device != "cpu",
        device=torch.device(device),
        allow_tqdm=False,
    )
    folds = _folds(folder)
    predictor.initialize_from_trained_model_folder(
        str(folder), use_folds=tuple(n for n, _ in folds), checkpoint_name=folds[0][1].name
    )
    values = np.ascontiguousarray(laid[np.newaxis], dtype=np.float32)
    labels = np.asarray(predictor.predict_single_npy_array(values, {"spacing": spacing}))
    if labels.shape != laid.shape:
        raise SegmentationError(
            f"nnU-Net gave labels of the shape {labels.shape} for a scan of {laid.shape}",
            reason="bad_backend",
        )
    back = labels.transpose(np.argsort(axes))
    return np.asarray(np.flip(back, tuple(n for n, f in enumerate(flips) if f)))


def canonical(image: Image) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """Return how an array is laid out as slices head-wards, rows to the back, columns to the left.

    Parameters
    ----------
    image : Image
        On any grid.

    Returns
    -------
    axes : tuple of int
        Array axes in the order slice, row, column.
    flips : tuple of bool
        Whether each array axis has to be turned round.
    """
    steps = image.grid.affine[:3, :3] / np.asarray(image.grid.spacing_mm)
    left: list[int] = [0, 1, 2]
    order: dict[int, int] = {}
    for way in (2, 1, 0):
        order[way] = max(left, key=lambda a: abs(float(steps[way, a])))
        left.remove(order[way])
    axes = (order[2], order[1], order[0])
    ways = {axis: way for way, axis in order.items()}
    flips = tuple(bool(steps[ways[axis], axis] < 0) for axis in range(3))
    return axes, (flips[0], flips[1], flips[2])
