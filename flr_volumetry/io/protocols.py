"""Protocol files (TOML) as values; their schema is documented beside the bundled ones."""

from __future__ import annotations

import difflib
import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from flr_volumetry.assessment.function import FUNCTION_UNITS
from flr_volumetry.assessment.indices import GRAM_INDICES, RULE_INDICES
from flr_volumetry.assessment.model import (
    OPERATORS,
    Applicability,
    Better,
    Citation,
    Evidence,
    Protocol,
    Rule,
)
from flr_volumetry.assessment.units import UNITS, rank
from flr_volumetry.errors import ProtocolError
from flr_volumetry.volumetry.liver_function import Disease, PlannedExtent
from flr_volumetry.volumetry.patient import Parenchyma

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from enum import Enum
    from importlib.resources.abc import Traversable

    E = TypeVar("E", bound=Enum)

COMMON_PRACTICE = "common practice, primary source not verified"
"""What the note of an enabled but unverified rule must say."""

_KEY = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_THRESHOLDS = {unit.toml: unit for unit in UNITS.values()}
_GENERAL_KNOWLEDGE = (Evidence.GK_H, Evidence.GK_M, Evidence.GK_L)

_PROTOCOL_TEXTS = ("key", "title", "version", "description")
_RULE_TEXTS = (
    "id",
    "title",
    "index",
    "denominator",
    "op",
    "population",
    "effect_below",
    "effect_above",
    "evidence",
)
_RULE_OPTIONAL = ("applies_if", "enabled", "note", "verified_by", *_THRESHOLDS)
_CONDITIONS = (
    "parenchyma",
    "chemotherapy_weeks_above",
    "chemotherapy_weeks_at_most",
    "extent",
    "disease",
    "bile_duct_resection",
)


def read_protocols(keys: Iterable[str], *, folder: Path | None = None) -> tuple[Protocol, ...]:
    """Read protocols by their keys.

    Parameters
    ----------
    keys : iterable of str
        Which, in order; each once.
    folder : Path or None
        A site's own protocols, beside the bundled ones.

    Returns
    -------
    tuple of Protocol
        In the order of the keys.

    Raises
    ------
    ProtocolError
        If a key is unknown or given twice, or a file is not valid; the message names the file,
        the rule, and for a misspelt word the nearest known one.
    """
    if isinstance(keys, str):
        raise ProtocolError(f"give protocol keys as a list, not as one string: {keys!r}")
    wanted, known = tuple(keys), _protocol_files(folder)
    for number, key in enumerate(wanted):
        if key not in known:
            raise ProtocolError(
                f"unknown protocol {key!r}.{_nearest(key, known)} Known: {', '.join(known)}.",
                reason="unknown_protocol",
            )
        if key in wanted[:number]:
            raise ProtocolError(f"protocol {key!r} is named twice", reason="protocol_twice")
    return tuple(_read(known[key]) for key in wanted)


def available_protocols(*, folder: Path | None = None) -> tuple[Protocol, ...]:
    """Read all protocols there are.

    Parameters
    ----------
    folder : Path or None
        A site's own protocols, beside the bundled ones.

    Returns
    -------
    tuple of Protocol
        Sorted by key.

    Raises
    ------
    ProtocolError
        If a file is not valid.
    """
    return read_protocols(_protocol_files(folder), folder=folder)


def parse_protocol(text: str, *, where: str) -> Protocol:
    """Read one protocol from the text of its file.

    Parameters
    ----------
    text : str
        TOML.
    where : str
        What error messages call the file.

    Returns
    -------
    Protocol
        Checked.

    Raises
    ------
    ProtocolError
        If the text is not TOML, holds an unknown key, lacks a required one (a rule its source,
        say), or has a value that cannot be.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProtocolError(f"{where} is not valid TOML: {error}", reason="not_toml") from error
    _check_keys(table, required=(*_PROTOCOL_TEXTS, "rule"), optional=(), where=where)
    texts = {name: _text(table, name, where) for name in _PROTOCOL_TEXTS}
    if not _KEY.fullmatch(texts["key"]):
        raise ProtocolError(
            f"{where}: key = {texts['key']!r} must be small letters, digits and single hyphens"
        )
    rules = table["rule"]
    if not isinstance(rules, list) or not rules:
        raise ProtocolError(f"{where}: at least one [[rule]] is needed", reason="no_rules")
    parsed = tuple(_rule(rule, f"{where}, rule {n}") for n, rule in enumerate(rules, start=1))
    ids = [rule.id for rule in parsed]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise ProtocolError(f"{where}: rule id given twice: {', '.join(twice)}", reason="rule_twice")
    return Protocol(rules=parsed, **texts)


def _protocol_files(folder: Path | None) -> dict[str, Traversable]:
    """Every protocol file by its stem, sorted; a site may add, not replace."""
    bundled = _toml_files(files("flr_volumetry.assessment") / "protocols")
    if folder is None:
        return bundled
    if not Path(folder).is_dir():
        raise ProtocolError(f"{folder}: there is no such folder of protocols", reason="no_protocol_folder")
    own = _toml_files(Path(folder))
    clash = sorted(set(own) & set(bundled))
    if clash:
        raise ProtocolError(
            f"{folder}: {', '.join(clash)} would replace a bundled protocol; give it another key",
            reason="protocol_twice",
        )
    return dict(sorted({**bundled, **own}.items()))


def _toml_files(folder: Traversable) -> dict[str, Traversable]:
    found = {item.name[: -len(".toml")]: item for item in folder.iterdir() if item.name.endswith(".toml")}
    return dict(sorted(found.items()))


def _read(file: Traversable) -> Protocol:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProtocolError(f"{file.name} cannot be read: {error}", reason="unreadable") from error
    protocol = parse_protocol(text, where=file.name)
    if file.name != f"{protocol.key}.toml":
        raise ProtocolError(
            f"{file.name} holds key = {protocol.key!r}; name the file {protocol.key}.toml",
            reason="key_is_not_file_name",
        )
    return protocol


def _rule(table: object, where: str) -> Rule:
    if not isinstance(table, dict):
        raise ProtocolError(f"{where}: a rule is a table, got {table!r}")
    if isinstance(table.get("id"), str):
        where = f"{where} ({table['id']})"
    if "citation" not in table:
        raise ProtocolError(
            f"{where} has no source; add citation = {{ text = ... }}", reason="rule_without_source"
        )
    _check_keys(table, required=(*_RULE_TEXTS, "citation"), optional=_RULE_OPTIONAL, where=where)
    texts = {name: _text(table, name, where) for name in _RULE_TEXTS}
    threshold, unit = _threshold(table, texts["index"], where)
    better, strict = _operator(texts["op"], texts["index"], where)
    evidence = _choice(Evidence, texts["evidence"], "evidence", where)
    note, enabled = _note(table, where), table.get("enabled", True)
    if not isinstance(enabled, bool):
        raise ProtocolError(f"{where}: enabled must be true or false, got {enabled!r}")
    _check_enabled(evidence, note, where, verified="verified_by" in table, enabled=enabled)
    return Rule(
        id=texts["id"],
        title=texts["title"],
        index=texts["index"],
        denominator=texts["denominator"],
        threshold=threshold,
        strict=strict,
        population=texts["population"],
        applies_if=_applicability(table.get("applies_if", {}), where),
        effect_below=texts["effect_below"],
        effect_above=texts["effect_above"],
        citation=_citation(table["citation"], where),
        evidence=evidence,
        enabled=enabled,
        note=note,
        unit=unit,
        better=better,
    )


def _note(table: Mapping[str, Any], where: str) -> str:
    note = _text(table, "note", where) if "note" in table else ""
    if "verified_by" in table:
        note = f"{note} Verified by {_text(table, 'verified_by', where)}.".strip()
    return note


def _check_enabled(evidence: Evidence, note: str, where: str, *, verified: bool, enabled: bool) -> None:
    if not enabled and not note:
        raise ProtocolError(
            f"{where} is disabled without a note that says why", reason="disabled_without_reason"
        )
    if enabled and evidence in _GENERAL_KNOWLEDGE and not verified and COMMON_PRACTICE not in note.lower():
        raise ProtocolError(
            f"{where} rests on general knowledge ({evidence.value}) and is enabled: set enabled = false, "
            f'name who checked it (verified_by), or say "{COMMON_PRACTICE}" in its note',
            reason="unverified_rule_enabled",
        )


def _threshold(table: Mapping[str, Any], index: str, where: str) -> tuple[float, str]:
    if index in GRAM_INDICES:
        raise ProtocolError(
            f"{where}: {GRAM_INDICES[index]} yields grams of drained liver, not millilitres in the living; a "
            "remnant in mL is not judged on it. Name a formula in mL, such as sflr_t1.",
            reason="grams_not_millilitres",
        )
    if index not in RULE_INDICES:
        raise ProtocolError(
            f"{where}: unknown index {index!r}.{_nearest(index, RULE_INDICES)} "
            f"Known: {', '.join(RULE_INDICES)}.",
            reason="unknown_index",
        )
    given = [name for name in _THRESHOLDS if name in table]
    if len(given) != 1:
        fitting = UNITS[RULE_INDICES[index]].toml
        raise ProtocolError(f"{where}: give one of the thresholds, {fitting}; got {given or 'neither'}")
    unit = _THRESHOLDS[given[0]]
    if unit.key != RULE_INDICES[index]:
        raise ProtocolError(
            f"{where}: {given[0]} does not fit {index}, which is in {RULE_INDICES[index]}",
            reason="wrong_unit",
        )
    if unit.labels:
        return _grade(table[given[0]], unit.labels, unit.key, where), unit.key
    return _number(table[given[0]], given[0], where) / unit.divisor, unit.key


def _grade(value: object, labels: tuple[str, ...], unit: str, where: str) -> float:
    if value not in labels:
        raise ProtocolError(
            f"{where}: the {unit} must be one of {', '.join(labels)}, got {value!r}."
            f"{_nearest(str(value), labels)}",
            reason="unknown_grade",
        )
    return rank(unit, str(value))


def _operator(op: str, index: str, where: str) -> tuple[Better, bool]:
    # A lower limit of a ratio of volumes would turn its margin in mL round.
    function = index in FUNCTION_UNITS and index != "icgk_flr"
    known = [name for name, (side, _) in OPERATORS.items() if function or side is Better.HIGHER]
    if op not in known:
        raise ProtocolError(f"{where}: op must be one of {', '.join(known)}, got {op!r}")
    return OPERATORS[op]


def _citation(value: object, where: str) -> Citation:
    if not isinstance(value, dict):
        raise ProtocolError(f"{where}: citation must be a table {{ text = ..., via = ... }}, got {value!r}")
    _check_keys(value, required=("text",), optional=("via",), where=f"{where}, citation")
    via = _text(value, "via", where) if "via" in value else ""
    return Citation(_text(value, "text", where), via)


def _applicability(value: object, where: str) -> Applicability:
    if not isinstance(value, dict):
        raise ProtocolError(f"{where}: applies_if must be a table, got {value!r}")
    where = f"{where}, applies_if"
    _check_keys(value, required=(), optional=_CONDITIONS, where=where)
    names = _list(value, "parenchyma", where)
    weeks = [
        _number(value[name], name, where) if name in value else None
        for name in ("chemotherapy_weeks_above", "chemotherapy_weeks_at_most")
    ]
    if weeks[0] is not None and weeks[1] is not None and weeks[0] >= weeks[1]:
        raise ProtocolError(f"{where}: no one had more than {weeks[0]:g} and at most {weeks[1]:g} weeks")
    duct = value.get("bile_duct_resection", False)
    if not isinstance(duct, bool):
        raise ProtocolError(f"{where}: bile_duct_resection must be true or false, got {duct!r}")
    return Applicability(
        tuple(_choice(Parenchyma, name, "parenchyma", where) for name in names),
        weeks[0],
        weeks[1],
        tuple(_choice(PlannedExtent, name, "extent", where) for name in _list(value, "extent", where)),
        tuple(_choice(Disease, name, "disease", where) for name in _list(value, "disease", where)),
        duct,
    )


def _list(value: Mapping[str, Any], name: str, where: str) -> list[object]:
    names = value.get(name, [])
    if not isinstance(names, list) or (name in value and not names):
        raise ProtocolError(f"{where}: {name} must be a list of at least one, got {names!r}")
    return names


def _check_keys(
    table: Mapping[str, Any], *, required: tuple[str, ...], optional: tuple[str, ...], where: str
) -> None:
    known = (*required, *optional)
    for name in table:
        if name not in known:
            raise ProtocolError(
                f"{where}: unknown key {name!r}.{_nearest(name, known)} Known: {', '.join(known)}.",
                reason="unknown_key",
            )
    missing = [name for name in required if name not in table]
    if missing:
        raise ProtocolError(f"{where}: missing {', '.join(missing)}", reason="missing_key")


def _text(table: Mapping[str, Any], name: str, where: str) -> str:
    value = table[name]
    if not isinstance(value, str) or not value.strip():
        reason = "rule_without_source" if name == "text" else ""
        raise ProtocolError(f"{where}: {name} must be a text, not empty, got {value!r}", reason=reason)
    return value.strip()


def _number(value: object, name: str, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ProtocolError(f"{where}: {name} must be a number, got {value!r}")
    return float(value)


def _choice(kind: type[E], value: object, name: str, where: str) -> E:
    known = {str(member.value): member for member in kind}
    if value not in known:
        raise ProtocolError(
            f"{where}: unknown {name} {value!r}.{_nearest(str(value), known)} Known: {', '.join(known)}.",
            reason=f"unknown_{name}",
        )
    return known[str(value)]


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
