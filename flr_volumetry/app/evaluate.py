"""``flr evaluate``: masks against a reference, structure by structure."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flr_volumetry.anatomy import Structure
from flr_volumetry.app.write import files_of, replacing
from flr_volumetry.errors import AmbiguousError, Caveat, SegmentationError, UnreadableError
from flr_volumetry.images import Mask, to_grid
from flr_volumetry.io import read_masks, read_structures
from flr_volumetry.report.mask_page import MaskPicture, render_table
from flr_volumetry.report.mask_pictures import MaskScene, Outline, mask_sheet
from flr_volumetry.segmentation.metrics import Comparison, LesionScore, compare, score_lesions

if TYPE_CHECKING:
    from pathlib import Path

    from flr_volumetry.io import Structures

EVALUATION: Final = "evaluation.json"
HEADS: Final = (
    *("structure", "volume", "reference", "error", "Dice"),
    *("surface Dice 1 mm", "3 mm", "mean distance", "Hausdorff 95 %"),
)
PREDICTED_RGB, REFERENCE_RGB = (213, 94, 0), (86, 180, 233)
MARGIN_MM: Final = 12.0
MOST_PICTURES: Final = 12
Masks = dict[str, tuple[Mask, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Masks compared with a reference.

    Parameters
    ----------
    predicted, reference : str
        Where they were read.
    comparisons : tuple of Comparison
        One a structure that both have.
    lesions : LesionScore or None
        If either has lesions.
    caveats : tuple of Caveat
        What was not compared, and why.
    pairs : tuple of (str, Mask, Mask)
        Name, predicted and reference mask, on the reference's grid.
    """

    predicted: str
    reference: str
    comparisons: tuple[Comparison, ...]
    lesions: LesionScore | None
    caveats: tuple[Caveat, ...]
    pairs: tuple[tuple[str, Mask, Mask], ...] = field(repr=False)

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The table's lines, in the order of `HEADS`."""
        return [
            (
                c.name,
                f"{c.ml:.1f} mL",
                f"{c.reference_ml:.1f} mL",
                f"{100 * c.volume_error:+.1f} %",
                f"{c.dice:.3f}",
                f"{c.surface_dice_1mm:.3f}",
                f"{c.surface_dice_3mm:.3f}",
                f"{c.mean_mm:.2f} mm",
                f"{c.hausdorff_95_mm:.1f} mm",
            )
            for c in self.comparisons
        ]

    @property
    def lesion_words(self) -> str:
        """One sentence on the lesions; empty if there are none."""
        if self.lesions is None:
            return ""
        score = self.lesions
        dices = ", ".join(f"{d:.2f}" for d in score.dices)
        each = f"; Dice of each: {dices}" if dices else ""
        return (
            f"Lesions: {score.found} of {score.reference} found, {score.false} false positive{each}. A "
            "lesion is found if a tenth of it is covered, a finding false if less than a tenth is lesion."
        )

    @property
    def text(self) -> str:
        """For a terminal."""
        lines = [list(HEADS), *map(list, self.rows)]
        widths = [max(len(line[n]) for line in lines) for n in range(len(HEADS))]
        shown = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines]
        said = [f"- {c.message}" for c in self.caveats]
        return "\n".join(line for line in [*shown, self.lesion_words, *said] if line) + "\n"

    @property
    def csv(self) -> str:
        """The same as comma-separated values, plain numbers."""
        stream = io.StringIO()
        rows = [_plain(c) for c in self.comparisons]
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]) if rows else ["name"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return stream.getvalue()

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        score = self.lesions
        return {
            "schema_version": "1.0",
            "flr_volumetry": version("flr-volumetry"),
            "predicted": self.predicted,
            "reference": self.reference,
            "structures": [_plain(c) for c in self.comparisons],
            "lesions": None
            if score is None
            else {
                "reference": score.reference,
                "found": score.found,
                "false_positives": score.false,
                "sensitivity": None if math.isnan(score.sensitivity) else score.sensitivity,
                "dices": list(score.dices),
            },
            "caveats": [{"code": c.code, "message": c.message} for c in self.caveats],
        }


def _plain(comparison: Comparison) -> dict[str, Any]:
    return {**asdict(comparison), "volume_error": comparison.volume_error}


def evaluate(predicted: Path, reference: Path) -> Evaluation:
    """Compare masks with a reference, structure by structure.

    Parameters
    ----------
    predicted, reference : Path
        Files or folders of masks in any format that is read; told apart by code and name, or one mask each.

    Returns
    -------
    Evaluation
        On the reference's grid.

    Raises
    ------
    SegmentationError
        If they have no structure in common, or a mask is empty.
    FlrError
        If masks cannot be read, or do not lie in the same place.
    """
    guess, truth = _masks(predicted), _masks(reference)
    if len(guess) == 1 and len(truth) == 1:
        guess = {next(iter(truth)): next(iter(guess.values()))}
    common = [name for name in truth if name in guess]
    if not common:
        raise SegmentationError(
            f"{predicted} holds {', '.join(guess)}; {reference} holds {', '.join(truth)}: there is nothing "
            "to compare. Name the masks alike.",
            reason="nothing_in_common",
        )
    doubts = [
        Caveat("not_compared", f"Only in {path}: {', '.join(names)}.")
        for path, names in (
            (predicted, [n for n in guess if n not in truth]),
            (reference, [n for n in truth if n not in guess]),
        )
        if names
    ]
    pairs, score = [], None
    for name in common:
        grid = truth[name][0].grid
        parts = [[to_grid(mask, grid) for mask in side[name]] for side in (guess, truth)]
        doubts += [c for mask in parts[0] for c in mask.caveats]
        pairs.append((name, _whole(name, parts[0]), _whole(name, parts[1])))
        if name == "lesions":
            score = score_lesions(parts[0], parts[1])
    return Evaluation(
        str(predicted),
        str(reference),
        tuple(compare(*pair) for pair in pairs),
        score,
        tuple(dict.fromkeys(doubts)),
        tuple(pairs),
    )


def _whole(name: str, masks: list[Mask]) -> Mask:
    if len(masks) == 1:
        return masks[0]
    whole = np.zeros(masks[0].grid.shape, dtype=bool, order="F")
    for mask in masks:
        whole |= mask.voxels
    return Mask(masks[0].grid, whole, name)


def _masks(path: Path) -> Masks:
    """Read masks by what they stand for; where that cannot be told, by their names."""
    try:
        return _named(read_structures(path))
    except (UnreadableError, AmbiguousError) as error:
        if error.reason not in {"no_masks", "ambiguous_name"}:
            raise
    found = read_masks(path)
    if not found:
        raise UnreadableError(f"{path} holds no mask.", reason="no_masks")
    return {name: (mask,) for name, mask in found.items()}


def _named(structures: Structures) -> Masks:
    found: dict[str, list[Mask]] = {}
    for meaning, mask in structures.masks.items():
        name = meaning.structure.value.replace("_", " ")
        if meaning.structure is Structure.LESION:
            name = "lesions"
        elif meaning.structure is Structure.SEGMENTS:
            name = f"segment {meaning.number}"
        found.setdefault(name, []).append(mask)
    return {name: tuple(masks) for name, masks in sorted(found.items())}


def write_evaluation(done: Evaluation, out_dir: Path) -> Path:
    """Write evaluation.json, evaluation.csv, and evaluation.html with pictures.

    Parameters
    ----------
    done : Evaluation
        As `evaluate` returns it.
    out_dir : Path
        Made if absent; an earlier evaluation in it is replaced.

    Returns
    -------
    Path
        Of evaluation.html.

    Raises
    ------
    OutputError
        If the folder holds files that are not an earlier result, or cannot be written.
    """
    with replacing(out_dir, EVALUATION) as folder:
        page = render_table(
            "Masks against a reference",
            HEADS,
            done.rows,
            caveats=[*done.caveats, *([Caveat("lesions", done.lesion_words)] if done.lesions else [])],
            pictures=[_picture(*pair) for pair in done.pairs[:MOST_PICTURES]],
            version=version("flr-volumetry"),
        )
        (folder / "evaluation.html").write_bytes(page.encode("utf-8", "backslashreplace"))
        (folder / "evaluation.csv").write_text(done.csv, encoding="utf-8")
        document = {**done.to_json(), "outputs": files_of(folder)}
        (folder / EVALUATION).write_text(
            json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8"
        )
    return out_dir / "evaluation.html"


def _picture(name: str, predicted: Mask, reference: Mask) -> MaskPicture:
    either = np.argwhere(predicted.voxels | reference.voxels)
    points = reference.grid.centres_mm([either.min(axis=0), either.max(axis=0)])
    if not reference.grid.is_orthogonal or len(either) < 1_000_000:
        points = reference.grid.centres_mm(either)
    outlines = (
        Outline(f"reference {name}", reference.grid, reference.voxels, REFERENCE_RGB),
        Outline(f"predicted {name}", predicted.grid, predicted.voxels, PREDICTED_RGB),
    )
    scene = MaskScene(None, outlines, points.min(axis=0) - MARGIN_MM, points.max(axis=0) + MARGIN_MM)
    title = f"{name}: reference (blue) and predicted (orange), twelve axial slices from head to feet."
    return MaskPicture(title, mask_sheet(scene, window=(0.0, 1.0)))
