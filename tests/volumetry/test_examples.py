"""The examples in the docstrings of formulas and uncertainty give what they print."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

from flr_volumetry.volumetry import formulas

MODULES = [
    *(f"{formulas.__name__}.{module.name}" for module in pkgutil.iter_modules(formulas.__path__)),
    "flr_volumetry.volumetry.uncertainty",
]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_hold(name):
    """Every example of the module runs and prints what it says."""
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("name", [name for name in formulas.__all__ if name[0].islower()])
def test_every_formula_has_an_example_a_unit_and_its_evidence(name):
    """A formula without its example, its returned unit or its source is not finished."""
    text = getattr(formulas, name).__doc__

    assert ">>>" in text
    assert "Returns" in text
    assert "Raises" in text
    if name not in {"body_surface", "liver_estimates"}:
        assert any(tag in text for tag in ("FOUND", "DICT", "GK-", "DERIVED", "ASSUMED", "definition"))
