"""An outcome that does not say whose it is.

What people named (case, patient, files, masks, stages) is replaced; every sentence is freed of the words that
`flr_volumetry.app.identifiers` collects; what only points back (digests, keys, times) is dropped. The rest,
voxels, numbers, rules and their sources, is the same.
"""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flr_volumetry.app.identifiers import Anonymity, Identifiers, identifiers_of, telling
from flr_volumetry.app.measured import summary_of
from flr_volumetry.assessment.model import Citation, InputFile, Protocol, Rule, ScanFacts
from flr_volumetry.errors import Caveat
from flr_volumetry.images import Source
from flr_volumetry.io.derived import Identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flr_volumetry.app.case import Case
    from flr_volumetry.app.measured import Measured
    from flr_volumetry.app.run import Outcome
    from flr_volumetry.assessment.model import Summary
    from flr_volumetry.liver import Liver
    from flr_volumetry.volumetry.measure import LiverVolumes

NOBODY: Final = "anonymous"
OLDEST: Final = 90.0
"""Years; an age above is as rare as a name (45 CFR 164.514(b)(2)(i)(C))."""
_PUBLIC: Final = Rule | Protocol | Citation
"""What is the same for every patient."""
SAID: Final = Caveat(
    "identifiers_removed",
    "Names, numbers, dates, paths and digests that may say who the patient is were removed from this report "
    "and the files beside it; ages above 89 are given as 90. The pictures and the scan with 2 mm steps still "
    "show the body.",
)


def anonymous(outcome: Outcome, case: Case) -> Outcome:
    """Return an outcome without what may say who the patient is.

    Parameters
    ----------
    outcome : Outcome
        As `run_case` found it.
    case : Case
        Its case.

    Returns
    -------
    Outcome
        The same voxels and numbers; `case_id` is the case's pseudonym, or "anonymous".
    """
    liver = outcome.liver
    identifiers = Identifiers(identifiers_of(case).words | telling(_named(outcome)))
    hide = identifiers.hidden
    summary = outcome.summary
    sex = summary.patient.sex
    identity = Identity(case.output.pseudonym or NOBODY, sex.value if sex else "")
    uids = {number: identity.uid(uid) for number, uid in summary.lesion_uids.items()}
    measured = None
    if outcome.measured is not None:
        # Judged from what is kept, so that a report made anew from that says the same.
        measured = _measured(outcome.measured, hide, uids)
        made = summary.provenance
        summary = summary_of(case, measured, summary.assessment.protocols, started=made.started)
    carried = outcome.carried
    return replace(
        outcome,
        summary=_summary(summary, case, hide, uids),
        measured=measured,
        liver=_liver(liver, hide),
        partition=mapped(_numbered(outcome.partition), hide),
        carried=replace(carried, drawn=mapped(carried.drawn, hide)) if carried is not None else None,
        findings=mapped(outcome.findings, hide),
        anonymity=Anonymity(identity, identifiers),
    )


def _named(outcome: Outcome) -> Iterator[str]:
    """Give the names that files gave to lesions, and people to stages and cuts."""
    yield from (lesion.name for lesion in outcome.liver.lesions)
    for stage in outcome.partition.plan.stages:
        yield stage.name
        for cut in stage.resections:
            yield getattr(cut, "name", "")
    if outcome.carried is not None:
        baseline = outcome.carried.baseline.report
        yield baseline.case.id
        yield from (part.name for part in baseline.plan)


def anonymous_again(summary: Summary, case: Case) -> Summary:
    """Return a summary made of what an anonymous run kept, as that run would have made it.

    Parameters
    ----------
    summary : Summary
        Of measurements that say nothing of the patient.
    case : Case
        It may say more; its scan is not opened.

    Returns
    -------
    Summary
        Its lesions are known by what the earlier run called them.
    """
    hide = identifiers_of(case, of_scan=False).hidden
    return _summary(summary, case, hide, dict(summary.lesion_uids))


def _summary(summary: Summary, case: Case, hide: Callable[[str], str], uids: dict[int, str]) -> Summary:
    age = summary.patient.age
    made = summary.provenance
    clean: Summary = mapped(replace(summary, plan=_staged(summary.plan)), hide)
    return replace(
        clean,
        case_id=case.output.pseudonym or NOBODY,
        patient=replace(summary.patient, age=min(age, OLDEST) if age is not None else None),
        volumes=_called_by_number(clean.volumes),
        caveats=(*clean.caveats, SAID),
        provenance=replace(
            clean.provenance,
            # The year alone: the time of a run may be that of an examination.
            started=f"{made.started[:4]}-01-01T00:00:00+00:00",
            libraries=made.libraries,
            version=made.version,
            case_sha256="",
            inputs=_unnamed(made.inputs, hide),
        ),
        scan=ScanFacts(),
        lesion_uids=uids,
    )


def _measured(measured: Measured, hide: Callable[[str], str], uids: dict[int, str]) -> Measured:
    clean: Measured = mapped(_numbered(measured), hide)
    return replace(
        clean,
        counted=replace(clean.counted, volumes=_called_by_number(clean.counted.volumes)),
        inputs=_unnamed(measured.inputs, hide),
        scan=ScanFacts(),
        lesion_uids=uids,
    )


def _called_by_number(volumes: LiverVolumes) -> LiverVolumes:
    return replace(
        volumes,
        lesions=tuple(replace(one, name=f"lesion {one.number}") for one in volumes.lesions),
        stages=tuple(replace(one, name=f"stage {one.number}") for one in volumes.stages),
    )


def _unnamed(inputs: tuple[InputFile, ...], hide: Callable[[str], str]) -> tuple[InputFile, ...]:
    return tuple(InputFile(i.role, "", "", hide(i.description)) for i in inputs)


def _liver(liver: Liver, hide: Callable[[str], str]) -> Liver:
    image = liver.image
    if image is not None:
        image = replace(
            image, source=Source(modality=image.source.modality), caveats=mapped(image.caveats, hide)
        )
    lesions = tuple(replace(one, name=f"lesion {one.number}") for one in liver.lesions)
    return replace(
        liver,
        image=image,
        lesions=lesions,
        caveats=mapped(liver.caveats, hide),
        territories=mapped(liver.territories, hide),
    )


def _numbered(partition: Any) -> Any:
    return replace(partition, plan=_staged(partition.plan))


def _staged(plan: Any) -> Any:
    """Call stages by their numbers."""
    stages = tuple(replace(stage, name=f"stage {n}") for n, stage in enumerate(plan.stages, start=1))
    return replace(plan, stages=stages)


def mapped(value: Any, hide: Callable[[str], str]) -> Any:
    """Free every sentence in a value, however deep, of what a function hides.

    Parameters
    ----------
    value : object
        Dataclasses, tuples, dictionaries and texts; arrays, numbers, rules and protocols stay as they are.
    hide : callable
        Takes a sentence and returns it without what may not be said.

    Returns
    -------
    object
        Of the same kind.
    """
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, np.ndarray | Path | _PUBLIC):
        return value
    if isinstance(value, Source):
        return Source(modality=value.modality)
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        made = [mapped(inner, hide) for inner in value]
        return value if all(a is b for a, b in zip(made, value, strict=True)) else tuple(made)
    if isinstance(value, dict):
        return {key: mapped(inner, hide) for key, inner in value.items()}
    deep = dataclasses.is_dataclass(value) and not isinstance(value, type)
    return _fields_mapped(value, hide) if deep else value


def _fields_mapped(value: Any, hide: Callable[[str], str]) -> Any:
    changed = {}
    for one in dataclasses.fields(value):
        before = getattr(value, one.name)
        after = mapped(before, hide)
        if after is not before and not (isinstance(before, str) and before == after):
            changed[one.name] = after
    return replace(value, **changed) if changed else value
