"""Reads what a case file names: the scan, the masks, an imported remnant."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from flr_volumetry.anatomy import SEGMENTS, Structure
from flr_volumetry.app.cuts import MarkupEntry, RemnantEntry, SurfaceEntry
from flr_volumetry.app.drawn import PlanFiles, description, read_drawing
from flr_volumetry.app.finding import NAMES, digest_of, find, masks_of, request_of
from flr_volumetry.app.origin import with_origin
from flr_volumetry.assessment.model import InputFile
from flr_volumetry.errors import CaseError, Caveat
from flr_volumetry.images import Grid, Image, LabelMap, Mask, Source
from flr_volumetry.io import read_image, read_label_map, read_mask, read_study
from flr_volumetry.io.files import digest, stored
from flr_volumetry.liver import Liver, Masks, crop_liver
from flr_volumetry.resection import RemnantResection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flr_volumetry.app.case import Case
    from flr_volumetry.app.drawn import Drawing, DrawnFile
    from flr_volumetry.app.tables import MaskEntry
    from flr_volumetry.resection import ResectionPlan
    from flr_volumetry.segmentation import Segmentation

READERS = 2
_Found = tuple[Liver, list[InputFile], "Callable[[MaskEntry | None], Mask]"]
VESSELS = (
    ("portal_vein", Structure.PORTAL_VEIN),
    ("hepatic_veins", Structure.HEPATIC_VEINS),
    ("ivc", Structure.IVC),
    ("gallbladder", Structure.GALLBLADDER),
)


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """What a case names, read.

    Parameters
    ----------
    liver : Liver
        Cropped and checked.
    inputs : tuple of InputFile
        Every file, for the provenance.
    files : PlanFiles
        What the plan takes from files.
    methods : tuple of str
        Sentences on masks that were found in the scan.
    """

    liver: Liver
    inputs: tuple[InputFile, ...]
    files: PlanFiles
    methods: tuple[str, ...] = ()


def load_case(case: Case, *, tell: Callable[[str], None] = lambda _: None) -> Loaded:
    """Read everything that a case names, and find in the scan what it has found.

    Parameters
    ----------
    case : Case
        As `flr_volumetry.app.case.read_case` returns it.
    tell : callable
        Called with the name of each step of a segmentation as it begins.

    Returns
    -------
    Loaded
        The liver, and where it came from.

    Raises
    ------
    FlrError
        If an input cannot be read, or the masks do not fit.
    """
    # Small files that a person drew come first: what is wrong with them is said before the scan is read.
    inputs, drawings = _drawings(case)
    methods: tuple[str, ...] = ()
    if case.study is not None:
        liver, found, remnant = _from_study(case, case.study.path, case.study.series)
    else:
        with ThreadPoolExecutor(READERS) as pool:
            liver, found, remnant, methods = _from_files(case, pool, tell)
    return Loaded(liver, (*found, *inputs), PlanFiles(remnant, drawings), methods)


def _drawings(case: Case) -> tuple[list[InputFile], dict[DrawnFile, Drawing]]:
    """Read every file in which a cut was drawn, each once."""
    inputs: list[InputFile] = []
    drawings: dict[DrawnFile, Drawing] = {}
    for number, stage in enumerate(case.stage, start=1):
        for entry in stage.resections:
            file = entry.drawn if isinstance(entry, (SurfaceEntry, MarkupEntry)) else None
            if file is not None and file not in drawings:
                path = case.resolve(file.path)
                drawings[file] = read_drawing(file, path)
                words = description(drawings[file])
                inputs.append(InputFile(f"cut, stage {number}", file.path, digest([stored(path)]), words))
    return inputs, drawings


def _from_study(case: Case, path: str, series: str | None) -> _Found:
    study = read_study(case.resolve(path), series=series)
    found = study.structures
    segments, liver = found.segments, found.liver
    if liver is None and segments is not None:
        liver = _union(segments)
    if liver is None:
        raise CaseError(
            f"{path} holds no mask that is called a liver. `flr inspect {path}` lists what there is; "
            "name the masks under [masks].",
            reason="no_liver_mask",
        )
    inputs = [_input("image", path, study.image.source, _image_words(study.image))]
    for role, mask in _roles(liver, found.lesions, found.vessels):
        inputs.append(_input(role, path, mask.source, f"{mask.name}, {mask.ml:.1f} mL"))
    whole = crop_liver(Masks(liver, found.lesions, segments, found.vessels), image=study.image)

    def remnant(entry: MaskEntry | None) -> Mask:
        if entry is not None:
            return _mask(case, entry, study.image.grid)
        if found.remnant is None:
            raise CaseError(
                f"{path} holds no mask that is called a remnant; name one with file = ...",
                reason="no_remnant",
            )
        return found.remnant

    return replace(whole, caveats=(*found.caveats, *whole.caveats)), inputs, remnant


def _roles(
    liver: Mask, lesions: tuple[Mask, ...], vessels: tuple[tuple[Structure, Mask], ...]
) -> Iterator[tuple[str, Mask]]:
    yield "liver", liver
    yield from ((f"lesion {n}", mask) for n, mask in enumerate(lesions, start=1))
    yield from ((structure.value.replace("_", " "), mask) for structure, mask in vessels)


def _from_files(
    case: Case, pool: ThreadPoolExecutor, tell: Callable[[str], None]
) -> tuple[Liver, list[InputFile], Callable[[MaskEntry | None], Mask], tuple[str, ...]]:
    inputs: list[InputFile] = []
    image: Image | None = None
    if case.image is not None:
        image = read_image(case.resolve(case.image.path), series=case.image.series)
        inputs.append(_input("image", case.image.path, image.source, _image_words(image)))
    # Objects that were drawn on a scan are placed on it slice by slice.
    grid = image.grid if image is not None else None
    given, segments = _drawn_liver(case, pool, grid, inputs)
    found = None
    if case.segmentation is not None and image is not None:
        found = _find(case, image, given, tell)
        inputs += _found_inputs(found)
    liver = given or (found.masks.get(Structure.LIVER) if found is not None else None)
    if segments is None and found is not None:
        segments = found.segments
    if liver is None and segments is not None:
        liver = _union(segments)
    if liver is None:
        raise CaseError(
            "no liver: [masks] names none, and none was sought or found in the scan", reason="no_liver_mask"
        )
    reader = _Reader(case, pool, grid)
    parts = Masks(
        liver,
        chain(_lesions(reader, inputs), (lesion.mask for lesion in found.lesions) if found else ()),
        segments,
        chain(_vessels(reader, inputs), _found_vessels(found)),
    )
    cropped = crop_liver(parts, image=image)
    if found is not None:
        cropped = replace(cropped, caveats=(*found.caveats, *cropped.caveats))

    def remnant(entry: MaskEntry | None) -> Mask:
        if entry is None:
            raise CaseError(
                'a resection of the kind "remnant_mask" needs file = ..., unless the case has a [study] that '
                "holds one",
                reason="no_remnant",
            )
        return _mask(case, entry, grid)

    return cropped, inputs, remnant, found.methods if found is not None else ()


def _drawn_liver(
    case: Case, pool: ThreadPoolExecutor, grid: Grid | None, inputs: list[InputFile]
) -> tuple[Mask | None, LabelMap | None]:
    """Read the masks of the liver and of its segments, as far as the case names them."""
    masks = case.masks
    couinaud = (
        pool.submit(read_label_map, case.resolve(masks.segments.path), grid=grid) if masks.segments else None
    )
    whole = pool.submit(_mask, case, masks.liver, grid) if masks.liver else None
    segments, liver = None, None
    if masks.segments and couinaud:
        segments = couinaud.result()
        inputs.append(_input("segments", masks.segments.path, segments.source, "Couinaud segments"))
    if masks.liver and whole:
        liver = with_origin(whole.result(), case.resolve(masks.liver.path))
        inputs.append(_input("liver", masks.liver.path, liver.source, f"{liver.ml:.1f} mL"))
    return liver, segments


def _find(case: Case, image: Image, liver: Mask | None, tell: Callable[[str], None]) -> Segmentation:
    """Find in the scan what the case has no masks of."""
    section = case.segmentation
    if section is None:
        raise CaseError("there is no [segmentation]")
    rough = _mask(case, section.rough, image.grid) if section.rough else None
    request = request_of(section, case.resolve, rough)
    given = {NAMES[key] for key in NAMES if getattr(case.masks, key)}
    hints = replace(request.hints, liver=liver)
    return find(image, replace(request, hints=hints, given=frozenset(given)), tell=tell)


def _found_inputs(found: Segmentation) -> Iterator[InputFile]:
    by = " ".join(w for w in (found.made.backend, found.made.version, found.made.task) if w)
    for structure, number, mask in masks_of(found):
        role = f"{structure.value.replace('_', ' ')} {number or ''}".strip()
        yield InputFile(role, f"found by {by}", digest_of(mask), f"{mask.ml:.1f} mL")


def _found_vessels(found: Segmentation | None) -> Iterator[tuple[Structure, Mask]]:
    for _, structure in VESSELS:
        if found is not None and structure in found.masks:
            yield structure, found.masks[structure]


def imported_remnants(case: Case, plan: ResectionPlan) -> list[InputFile]:
    """Return the remnants that a plan imports, for the provenance.

    Parameters
    ----------
    case : Case
        The case.
    plan : ResectionPlan
        Its plan, with the files read.

    Returns
    -------
    list of InputFile
        In the plan's order.
    """
    found: list[InputFile] = []
    for number, (section, stage) in enumerate(zip(case.stage, plan.stages, strict=True), start=1):
        for entry, cut in zip(section.resections, stage.resections, strict=True):
            if isinstance(entry, RemnantEntry) and isinstance(cut, RemnantResection):
                path = entry.file.path if entry.file else case.study.path if case.study else ""
                mask = cut.mask
                found.append(_input(f"remnant, stage {number}", path, mask.source, f"{mask.ml:.1f} mL"))
    return found


def _mask(case: Case, entry: MaskEntry, grid: Grid | None) -> Mask:
    return read_mask(case.resolve(entry.path), segment=entry.segment, labels=entry.labels, grid=grid)


@dataclass(frozen=True, slots=True, eq=False)
class _Reader:
    """Reads masks in order, the next one while the last is used: never more than two in memory."""

    case: Case
    pool: ThreadPoolExecutor
    grid: Grid | None

    def ahead(self, entries: list[MaskEntry]) -> Iterator[Mask]:
        waiting: Future[Mask] | None = None
        for entry in entries:
            following = self.pool.submit(_mask, self.case, entry, self.grid)
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()


def _union(segments: LabelMap) -> Mask:
    union = segments.mask_of(*SEGMENTS)
    said = Caveat(
        "liver_from_segments",
        f"No liver mask was given: the union of the Couinaud segments ({union.ml:.1f} mL) is the liver.",
    )
    return Mask(union.grid, union.voxels, "union of the segments", union.source, (*union.caveats, said))


def _lesions(reader: _Reader, inputs: list[InputFile]) -> Iterator[Mask]:
    number = 0
    entries = reader.case.masks.lesions
    for entry, whole in zip(entries, reader.ahead(entries), strict=True):
        first = number + 1
        for mask in _split(whole) if entry.split else (whole,):
            number += 1
            yield mask
        role = f"lesion {first}" if number == first else f"lesions {first} to {number}"
        inputs.append(_input(role, entry.path, whole.source, f"{whole.ml:.1f} mL"))


def _split(whole: Mask) -> Iterator[Mask]:
    import cc3d

    own = whole.voxels.astype(np.uint8, order="F")
    labels, n_parts = cc3d.connected_components(own, connectivity=26, return_N=True)
    if n_parts == 0:
        # Refused as an empty lesion: left out, it would shift the numbers of those behind it.
        yield whole
    for part in range(1, n_parts + 1):
        yield Mask(whole.grid, labels == part, f"{whole.name} part {part}", whole.source, whole.caveats)


def _vessels(reader: _Reader, inputs: list[InputFile]) -> Iterator[tuple[Structure, Mask]]:
    masks = reader.case.masks
    given = [(key, structure) for key, structure in VESSELS if getattr(masks, key) is not None]
    entries = [getattr(masks, key) for key, _ in given]
    for (key, structure), entry, mask in zip(given, entries, reader.ahead(entries), strict=True):
        inputs.append(_input(key.replace("_", " "), entry.path, mask.source, f"{mask.ml:.1f} mL"))
        yield structure, mask


def _input(role: str, path: str, source: Source, words: str) -> InputFile:
    return InputFile(role, path, source.sha256, words)


def _image_words(image: Image) -> str:
    spacing = " x ".join(f"{s:.3f}" for s in image.grid.spacing_mm)
    shape = " x ".join(str(n) for n in image.grid.shape)
    tilt = f", tilted by {image.grid.tilt_deg:.1f} degrees" if not image.grid.is_orthogonal else ""
    return f"{image.source.modality or 'image'}, {shape} voxels of {spacing} mm{tilt}"
