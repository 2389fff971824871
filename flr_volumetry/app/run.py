"""The main job: one case, from image to assessment."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from flr_volumetry.anatomy import SEGMENTS, Structure
from flr_volumetry.assessment.engine import assess
from flr_volumetry.assessment.model import InputFile, Provenance, Summary
from flr_volumetry.errors import CaseError, Caveat
from flr_volumetry.images import Image, LabelMap, Mask, Source
from flr_volumetry.io import read_image, read_label_map, read_mask
from flr_volumetry.io.protocols import read_protocols
from flr_volumetry.liver import Liver, Masks, crop_liver
from flr_volumetry.resection import Partition, resect
from flr_volumetry.volumetry.measure import measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flr_volumetry.app.case import Case
    from flr_volumetry.app.sections import MaskEntry

READERS = 2
LIBRARIES = ("numpy", "scipy", "edt", "connected-components-3d", "isal", "matplotlib")
VESSELS = (
    ("portal_vein", Structure.PORTAL_VEIN),
    ("hepatic_veins", Structure.HEPATIC_VEINS),
    ("ivc", Structure.IVC),
    ("gallbladder", Structure.GALLBLADDER),
)


def no_progress(step: str) -> None:
    """Tell nobody; the default of `run_case`."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """An assessed case: all facts, and the arrays they were counted on.

    Parameters
    ----------
    summary : Summary
        Everything that report.json holds.
    liver : Liver
        The cropped patient.
    partition : Partition
        The liver divided by the plan.
    """

    summary: Summary
    liver: Liver = field(repr=False)
    partition: Partition = field(repr=False)


def run_case(case: Case, *, tell: Callable[[str], None] = no_progress) -> Outcome:
    """Assess one case.

    Parameters
    ----------
    case : Case
        As `flr_volumetry.app.case.read_case` returns it.
    tell : callable
        Called with the name of each step as it begins.

    Returns
    -------
    Outcome
        Nothing is written; see `flr_volumetry.app.write.write_outcome`.

    Raises
    ------
    FlrError
        If an input cannot be read, the masks do not fit, or the plan cannot be carried out.
    """
    started = dt.datetime.now(dt.UTC)
    plan = case.plan()
    patient = case.patient.value()
    folder = case.resolve(case.assessment.protocol_folder) if case.assessment.protocol_folder else None
    protocols = read_protocols(tuple(case.assessment.protocols), folder=folder)
    liver, inputs = _load(case, tell)
    tell("cutting")
    partition = resect(liver, plan)
    tell("measuring")
    volumes = measure(liver, partition)
    assessment = assess(volumes, patient, protocols)
    caveats = _unique((*liver.caveats, *partition.caveats, *volumes.caveats, *assessment.caveats))
    summary = Summary(
        case_id=case.case.id,
        patient=patient,
        volumes=volumes,
        assessment=assessment,
        caveats=caveats,
        methods=(*_methods(inputs), *partition.methods, *volumes.methods, *assessment.methods),
        provenance=Provenance(
            version=_version("flr-volumetry"),
            libraries=tuple((name, _version(name)) for name in LIBRARIES),
            started=started.isoformat(timespec="seconds"),
            inputs=tuple(inputs),
            case_sha256=case.sha256,
        ),
    )
    return Outcome(summary, liver, partition)


def _load(case: Case, tell: Callable[[str], None]) -> tuple[Liver, list[InputFile]]:
    tell("reading image and masks")
    with ThreadPoolExecutor(READERS) as pool:
        return _read(case, pool)


def _read(case: Case, pool: ThreadPoolExecutor) -> tuple[Liver, list[InputFile]]:
    inputs: list[InputFile] = []
    masks = case.masks
    scan = (
        pool.submit(read_image, case.resolve(case.image.path), series=case.image.series)
        if case.image
        else None
    )
    couinaud = pool.submit(read_label_map, case.resolve(masks.segments.path)) if masks.segments else None
    whole = pool.submit(_mask, case, masks.liver) if masks.liver else None
    image = segments = None
    if case.image and scan:
        image = scan.result()
        inputs.append(_input("image", case.image.path, image.source, _image_words(image)))
    if masks.segments and couinaud:
        segments = couinaud.result()
        inputs.append(_input("segments", masks.segments.path, segments.source, "Couinaud segments"))
    if masks.liver and whole:
        liver = whole.result()
        inputs.append(_input("liver", masks.liver.path, liver.source, f"{liver.ml:.1f} mL"))
    elif segments:
        liver = _union(segments)
    else:
        raise CaseError("[masks] names no liver", reason="no_liver_mask")
    parts = Masks(liver, _lesions(case, pool, inputs), segments, _vessels(case, pool, inputs))
    return crop_liver(parts, image=image), inputs


def _mask(case: Case, entry: MaskEntry) -> Mask:
    return read_mask(case.resolve(entry.path), segment=entry.segment, labels=entry.labels)


def _ahead(case: Case, pool: ThreadPoolExecutor, entries: list[MaskEntry]) -> Iterator[Mask]:
    """Read masks in order, the next one while the last is used: never more than two in memory."""
    waiting: Future[Mask] | None = None
    for entry in entries:
        following = pool.submit(_mask, case, entry)
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


def _lesions(case: Case, pool: ThreadPoolExecutor, inputs: list[InputFile]) -> Iterator[Mask]:
    number = 0
    entries = case.masks.lesions
    for entry, whole in zip(entries, _ahead(case, pool, entries), strict=True):
        first = number + 1
        for mask in _split(whole) if entry.split else (whole,):
            number += 1
            yield mask
        role = f"lesion {first}" if number == first else f"lesions {first} to {number}"
        inputs.append(_input(role, entry.path, whole.source, f"{whole.ml:.1f} mL"))


def _split(whole: Mask) -> Iterator[Mask]:
    import cc3d

    labels, n_parts = cc3d.connected_components(
        whole.voxels.copy(order="K"), connectivity=26, return_N=True, binary_image=True
    )
    for part in range(1, n_parts + 1):
        yield Mask(whole.grid, labels == part, f"{whole.name} part {part}", whole.source, whole.caveats)


def _vessels(
    case: Case, pool: ThreadPoolExecutor, inputs: list[InputFile]
) -> Iterator[tuple[Structure, Mask]]:
    given = [(key, structure) for key, structure in VESSELS if getattr(case.masks, key) is not None]
    entries = [getattr(case.masks, key) for key, _ in given]
    for (key, structure), entry, mask in zip(given, entries, _ahead(case, pool, entries), strict=True):
        inputs.append(_input(key.replace("_", " "), entry.path, mask.source, f"{mask.ml:.1f} mL"))
        yield structure, mask


def _input(role: str, path: str, source: Source, words: str) -> InputFile:
    return InputFile(role, path, source.sha256, words)


def _image_words(image: Image) -> str:
    spacing = " x ".join(f"{s:.3f}" for s in image.grid.spacing_mm)
    shape = " x ".join(str(n) for n in image.grid.shape)
    tilt = f", tilted by {image.grid.tilt_deg:.1f} degrees" if not image.grid.is_orthogonal else ""
    return f"{image.source.modality or 'image'}, {shape} voxels of {spacing} mm{tilt}"


def _methods(inputs: list[InputFile]) -> tuple[str, ...]:
    image = next((i for i in inputs if i.role == "image"), None)
    if image is None:
        return ("Masks were read without an image; all coordinates are DICOM patient coordinates (LPS).",)
    return (
        f"The scan ({image.description}) and the masks were read in DICOM patient coordinates (LPS) and "
        "cropped to the liver.",
    )


def _unique(caveats: tuple[Caveat, ...]) -> tuple[Caveat, ...]:
    return tuple(dict.fromkeys(caveats))


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
