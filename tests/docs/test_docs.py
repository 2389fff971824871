"""The documentation is executed: docstrings, README, help, and the docstrings' own form."""

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
import tomllib
from enum import Enum
from pathlib import Path

import pytest
from numpydoc.validate import validate
from pydantic import BaseModel

import flr_volumetry
from flr_volumetry.app.cli import main

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(m.name for m in pkgutil.walk_packages(flr_volumetry.__path__, "flr_volumetry."))
CHECKS = set(
    tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["numpydoc_validation"]["checks"]
) - {"all"}


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_give_what_they_print(name):
    """Every doctest of every module."""
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


def public_things():
    """What a room shows at its door: the names of each package's ``__all__``."""
    for name in ["flr_volumetry", *MODULES]:
        module = importlib.import_module(name)
        for key in getattr(module, "__all__", ()):
            thing = getattr(module, key)
            ours = str(getattr(thing, "__module__", "")).startswith("flr_volumetry")
            if ours and callable(thing) and not (isinstance(thing, type) and issubclass(thing, Exception)):
                yield f"{thing.__module__}.{thing.__name__}"


@pytest.mark.parametrize("name", sorted(set(public_things())))
def test_public_docstrings_are_numpydoc(name):
    """Summary, parameters, returns and errors in the form that numpydoc asks for."""
    home, _, key = name.rpartition(".")
    thing = getattr(importlib.import_module(home), key)
    # Members of an enum, and the keys of the case file, are documented where they stand.
    # A protocol is not made.
    plain = isinstance(thing, type) and issubclass(thing, (Enum, BaseModel))
    own = {"PR01"} if plain or getattr(thing, "_is_protocol", False) else set()

    assert [e for e in validate(name)["errors"] if e[0] not in CHECKS | own] == []


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_has_help_with_an_example_and_stands_in_the_readme(name):
    """A command that the README does not show is not found."""
    help_text = main.commands[name].help or ""

    assert "Example" in help_text
    assert f"flr {name}" in (ROOT / "README.md").read_text()


def test_no_option_string_means_two_things_in_one_command():
    """One option, one meaning."""
    for command in main.commands.values():
        options = [o for p in command.params for o in p.opts]
        assert len(options) == len(set(options))


def readme_blocks(language):
    """Fenced blocks of the README in a language."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("number", range(len(readme_blocks("python"))))
def test_python_in_the_readme_runs_and_prints_what_it_says(number, tmp_path, monkeypatch):
    """Each block is a doctest session, run in a checkout."""
    monkeypatch.chdir(ROOT)
    done = subprocess.run(
        [sys.executable, "-c", _session(readme_blocks("python")[number])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _session(block):
    return (
        "import doctest, sys\n"
        f"test = doctest.DocTestParser().get_doctest({block!r}, {{}}, 'README', None, 0)\n"
        "runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)\n"
        "runner.run(test)\n"
        "sys.exit(bool(runner.failures))\n"
    )


def test_toml_in_the_readme_is_a_case_file(tmp_path):
    """The example case file, and the recipe for a cohort, are understood as they stand."""
    from flr_volumetry.app.batch.cohort import read_cohort
    from flr_volumetry.app.case import make_case

    (tmp_path / "patients" / "one").mkdir(parents=True)
    blocks = [b for b in readme_blocks("toml") if "[case]" in b]
    assert len({"[cohort]" in block for block in blocks}) == 2
    for block in blocks:
        if "[cohort]" in block:
            (tmp_path / "recipe.toml").write_text(block)
            assert {job.problem for job in read_cohort(tmp_path / "recipe.toml")} == {""}
        else:
            assert make_case(tomllib.loads(block)).plan().stages


def test_peers_in_the_readme_are_understood(tmp_path):
    """The example file of peers is one."""
    from flr_volumetry.app.network.peers import read_peers

    (block,) = (b for b in readme_blocks("toml") if b.startswith("[[peer]]"))
    (tmp_path / "peers.toml").write_text(block)

    assert list(read_peers(tmp_path / "peers.toml")) == ["pacs", "archive"]
