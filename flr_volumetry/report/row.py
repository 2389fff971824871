"""One tidy row for each case and plan, so that a cohort is a table.

Shares are fractions from 0 to 1, volumes mL, lengths mm, as in report.json; what is not known is empty.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from flr_volumetry.anatomy import ROMAN
from flr_volumetry.assessment.indices import RULE_INDICES
from flr_volumetry.assessment.model import State
from flr_volumetry.report import certainty
from flr_volumetry.report.document import VOLUME_FIELDS
from flr_volumetry.report.wording import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flr_volumetry.assessment.model import Finding, Summary

Value = str | float | int | bool | dt.date | None
SEGMENTS = range(1, 9)
OTHER_INDICES = ("phrr", "sflr_t2", "sflr_t3", "sflr_t4", "sflr_t9", "flr_per_bsa")
"""Indices that no bundled rule need judge, and that a row holds all the same."""
NOT_RATIOS = re.compile(r"^(?!flr|sflr|phrr)")


class Kind(Enum):
    """What a column holds; the names of XML Schema's types."""

    TEXT = "string"
    NUMBER = "double"
    COUNT = "integer"
    TRUTH = "boolean"
    DATE = "date"


@dataclass(frozen=True, slots=True)
class RowColumn:
    """One column.

    Parameters
    ----------
    name : str
        Lower case, without spaces.
    kind : Kind
        What it holds.
    unit : str
        "fraction", "mL" and so on; empty without one.
    meaning : str
        For people.
    by_protocol : bool
        Whether it is there only where its protocol was asked for.
    """

    name: str
    kind: Kind
    unit: str
    meaning: str
    by_protocol: bool = False


@dataclass(frozen=True, slots=True)
class CaseRow:
    """The row of one case and plan.

    Parameters
    ----------
    columns : tuple of RowColumn
        In order; the same for all cases but for those by protocol, which come last.
    values : tuple
        One for each column.
    """

    columns: tuple[RowColumn, ...]
    values: tuple[Value, ...] = field(repr=False)

    def __getitem__(self, name: str) -> Value:
        """Return the value of a column by its name."""
        for column, value in zip(self.columns, self.values, strict=True):
            if column.name == name:
                return value
        raise KeyError(name)


Cell = tuple[RowColumn, Value]


def case_row(summary: Summary) -> CaseRow:
    """Return the row of an assessed case.

    Parameters
    ----------
    summary : Summary
        The assessed case.

    Returns
    -------
    CaseRow
        Case and patient, plan, volumes with intervals, ratios, segments, lesions, forecast, caveats, then the
        state of each protocol and of each of its rules.
    """
    cells = (
        *_case(summary),
        *_volumes(summary),
        *_ratios(summary),
        *_segments(summary),
        *_lesions(summary),
        *_consequences(summary),
        *_forecast(summary),
        *_origin(summary),
        *_protocols(summary),
    )
    return CaseRow(tuple(column for column, _ in cells), tuple(value for _, value in cells))


def joined(rows: Sequence[CaseRow]) -> tuple[tuple[RowColumn, ...], list[list[Value]]]:
    """Lay rows of cases with different protocols under one set of columns.

    Parameters
    ----------
    rows : sequence of CaseRow
        In the order wanted.

    Returns
    -------
    columns : tuple of RowColumn
        Those of every case in their order, then those by protocol, by name, numbers in them by size.
    values : list of list
        One list for each row; None where a case lacks a column.
    """
    # Rows of a cohort share their columns: each set of them is looked at once.
    sets = {id(row.columns): row.columns for row in rows}
    known = {column.name: column for one in sets.values() for column in one}
    common = [c for c in known.values() if not c.by_protocol]
    own = sorted((c for c in known.values() if c.by_protocol), key=lambda c: _natural(c.name))
    columns = (*common, *own)
    places = {key: _places(one, columns) for key, one in sets.items()}
    return columns, [
        [None if at is None else row.values[at] for at in places[id(row.columns)]] for row in rows
    ]


def _places(own: tuple[RowColumn, ...], columns: Sequence[RowColumn]) -> list[int | None]:
    """Return where in a row each column stands; None where it lacks it."""
    at = {column.name: n for n, column in enumerate(own)}
    return [at.get(column.name) for column in columns]


def _natural(name: str) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (0, part) for part in parts]


def _text(name: str, value: str | None, meaning: str) -> Cell:
    return RowColumn(name, Kind.TEXT, "", meaning), clean(value) if value else None


def _number(name: str, value: float | None, unit: str, meaning: str) -> Cell:
    known = value if value is not None and math.isfinite(value) else None
    return RowColumn(name, Kind.NUMBER, unit, meaning), None if known is None else float(known)


def _count(name: str, value: int | None, meaning: str) -> Cell:
    return RowColumn(name, Kind.COUNT, "", meaning), value


def _between(
    name: str, value: float | None, interval: tuple[float, float] | None, unit: str, meaning: str
) -> Iterator[Cell]:
    """Yield a value and the ends of its 95 % interval."""
    low, high = interval if interval is not None and value is not None else (None, None)
    yield _number(name, value, unit, meaning)
    yield _number(f"{name}_low", low, unit, f"lower end of the 95 % interval of {name}")
    yield _number(f"{name}_high", high, unit, f"upper end of the 95 % interval of {name}")


def _case(summary: Summary) -> Iterator[Cell]:
    patient, scan = summary.patient, summary.scan
    yield _text("case_id", summary.case_id, "as the case file says")
    yield RowColumn("scan_date", Kind.DATE, "", "day of the acquisition"), scan.date
    yield _text("patient_key", scan.patient_key, "the same for all scans of one DICOM patient")
    yield _text("sex", patient.sex.value if patient.sex else None, "as the case file says")
    yield _number("age", patient.age, "years", "age")
    yield _number("height_cm", patient.height_cm, "cm", "height")
    yield _number("weight_kg", patient.weight_kg, "kg", "weight")
    yield _text("parenchyma", patient.parenchyma.value if patient.parenchyma else None, "state of the liver")
    yield _number("chemotherapy_weeks", patient.chemotherapy_weeks, "weeks", "preoperative chemotherapy")
    stages = summary.volumes.stages
    plan = "; then ".join(", ".join(stage.resections) for stage in stages)
    yield _count("stages", len(stages), "stages of the plan")
    yield _text("plan", plan, "resections of each stage")
    yield _text("waiting", "; ".join(s.after for s in stages if s.after), "what comes before a later stage")


def _volumes(summary: Summary) -> Iterator[Cell]:
    intervals = summary.assessment.volume_intervals
    for name in VOLUME_FIELDS:
        amount = name.removesuffix("_ml").replace("_", " ")
        meaning = f"{amount}, as volumes.{name} of report.json"
        yield from _between(name, getattr(summary.volumes, name), intervals.get(name), "mL", meaning)


def _ratios(summary: Summary) -> Iterator[Cell]:
    known = {index.key: index for index in summary.assessment.indices}
    keys = (*(key for key in RULE_INDICES if not NOT_RATIOS.match(key)), *OTHER_INDICES)
    for key in dict.fromkeys(keys):
        index = known.get(key)
        unit = "mL/m2" if key == "flr_per_bsa" else "fraction"
        value, interval = (index.value, index.interval) if index is not None else (None, None)
        yield from _between(key, value, interval, unit, f"indices.{key} of report.json")
    flr = known.get("flr")
    amount = flr.denominator_amount if flr is not None else None
    yield _number("flr_denominator_ml", amount, "mL", "what flr is a share of: liver without lesions")


def _segments(summary: Summary) -> Iterator[Cell]:
    known = {s.segment: s for s in summary.volumes.segments}
    for number in SEGMENTS:
        segment = known.get(number)
        what = f"Couinaud segment {ROMAN[number]}, lesions included"
        yield _number(f"segment_{number}_ml", segment.ml if segment else None, "mL", what)
        stays = segment.remnant_ml if segment else None
        yield _number(f"segment_{number}_remnant_ml", stays, "mL", f"{what}: what of it stays")


def _lesions(summary: Summary) -> Iterator[Cell]:
    lesions = summary.volumes.lesions
    cleared = [lesion for lesion in lesions if lesion.cleared]
    closest = min(cleared, key=lambda lesion: lesion.margin_mm, default=None)
    largest = max((lesion.longest_diameter_mm for lesion in lesions), default=None)
    interval = certainty.margin_interval(summary, closest) if closest is not None else None
    yield _count("lesions", len(lesions), "lesions")
    yield _count("lesions_cleared", len(cleared), "lesions of which nothing stays")
    yield _number("largest_lesion_mm", largest, "mm", "longest diameter of the largest lesion")
    margin = closest.margin_mm if closest is not None else None
    yield from _between("smallest_margin_mm", margin, interval, "mm", "of the cleared lesions")
    yield _count("smallest_margin_lesion", closest.number if closest else None, "the lesion that has it")


def _consequences(summary: Summary) -> Iterator[Cell]:
    found = summary.consequences
    area = summary.cut_area_mm2 / 100 if summary.cut_areas else None
    yield _number("cut_area_cm2", area, "cm2", "cut surface towards what stays")
    yield _count("remnant_parts", len(found.remnant_parts_ml), "parts that the remnant hangs together in")
    spared = found.spared_segments
    yield _text("spared_segments", _listed(spared), "segments fully spared")
    yield _number(
        "without_inflow_ml", found.inflow.ml if found.inflow else None, "mL", "remnant devascularised"
    )
    yield from _between(
        "congested_ml",
        found.outflow.ml if found.outflow else None,
        certainty.congested_interval(summary),
        "mL",
        "remnant without venous outflow",
    )


def _listed(segments: Sequence[int] | None) -> str | None:
    return None if segments is None else " ".join(str(n) for n in segments) or "none"


def _forecast(summary: Summary) -> Iterator[Cell]:
    pathway = summary.assessment.pathway
    bands = pathway.bands if pathway is not None else ()
    band = next((b for b in bands if b.weeks >= certainty.FORECAST_WEEK), bands[-1] if bands else None)
    low, high = band.band_80_ml if band is not None else (None, None)
    yield _text(
        "forecast_technique", pathway.technique.value if pathway else None, "how it would be made to grow"
    )
    planned = RowColumn("forecast_planned", Kind.TRUTH, "", "whether the plan names it")
    yield planned, pathway.planned if pathway else None
    yield _number("forecast_weeks", band.weeks if band else None, "weeks", "since the procedure")
    yield _number("forecast_ml", band.median_ml if band else None, "mL", "median functional remnant then")
    yield _number("forecast_ml_low_80", low, "mL", "lower end of the central 80 % of patients")
    yield _number("forecast_ml_high_80", high, "mL", "upper end of the central 80 % of patients")
    path = summary.two_stage
    yield _number("to_grow_ml", path.to_grow_ml if path else None, "mL", "remnant after clearing (D5)")


def _origin(summary: Summary) -> Iterator[Cell]:
    made = summary.provenance
    yield _count("caveats", len(summary.caveats), "how many")
    yield _text("caveat_codes", " ".join(dict.fromkeys(c.code for c in summary.caveats)), "which")
    yield _text("flr_volumetry", made.version, "version of the program")
    yield _text("started", made.started, "when it was assessed, ISO 8601")
    yield _text("case_sha256", made.case_sha256, "of the case file")


def _protocols(summary: Summary) -> Iterator[Cell]:
    for protocol in summary.assessment.protocols:
        mine = [f for f in summary.assessment.findings if f.protocol == protocol.key]
        cells = [*_protocol(protocol.key, mine)]
        for finding in mine:
            name = f"{protocol.key}.{finding.rule.id}"
            cells.append(_text(f"{name}.state", finding.state.value, f"state of {finding.rule.title}"))
            if finding.rule.index in RULE_INDICES and not NOT_RATIOS.match(finding.rule.index):
                said = f"remnant beyond what {finding.rule.id} asks for; negative if missing"
                cells.append(_number(f"{name}.margin_ml", finding.margin_ml, "mL", said))
                above = f"that the true value lies above {finding.rule.id}'s threshold"
                cells.append(_number(f"{name}.probability", finding.probability_above, "fraction", above))
        for column, value in cells:
            yield RowColumn(column.name, column.kind, column.unit, column.meaning, by_protocol=True), value


def _protocol(key: str, mine: Sequence[Finding]) -> Iterator[Cell]:
    worst = hardest(mine)
    state = worst.state if worst is not None else State.NOT_EVALUABLE
    yield _text(f"{key}.state", state.value, f"severest state of a volume rule of {key}")
    yield _text(
        f"{key}.rule", worst.rule.id if worst else None, "the rule in that state that most is missing to"
    )
    margin = worst.margin_ml if worst else None
    yield _number(f"{key}.margin_ml", margin, "mL", "remnant beyond what it asks for; negative if missing")
    probability = worst.probability_above if worst else None
    yield _number(f"{key}.probability", probability, "fraction", "that the true value lies above it")


def hardest(findings: Sequence[Finding]) -> Finding | None:
    """Return the volume rule in the severest state to which most is missing; None if none was evaluated.

    Parameters
    ----------
    findings : sequence of Finding
        Of one protocol.

    Returns
    -------
    Finding or None
        As the report's answer names it first.
    """
    volumetric = [f for f in findings if f.volumetric and f.state in certainty.SEVEREST]
    return min(
        volumetric, key=lambda f: (certainty.SEVEREST.index(f.state), f.margin_ml or 0.0), default=None
    )
