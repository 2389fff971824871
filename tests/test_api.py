"""The package's front door."""

import subprocess
import sys

import flr_volumetry


def test_the_door_is_sorted_and_every_name_is_there():
    """`__all__` is sorted, and each name can be had."""
    assert flr_volumetry.__all__ == sorted(flr_volumetry.__all__)
    for name in flr_volumetry.__all__:
        assert getattr(flr_volumetry, name) is not None
    assert set(flr_volumetry.__all__) <= set(dir(flr_volumetry))


def test_importing_the_package_or_asking_for_help_loads_nothing_heavy():
    """No array library comes in before it is used."""
    code = (
        "import sys, flr_volumetry, flr_volumetry.app.cli as c\n"
        "from click.testing import CliRunner\n"
        "assert CliRunner().invoke(c.main, ['--help']).exit_code == 0\n"
        "heavy = {'numpy', 'scipy', 'pydicom', 'SimpleITK', 'matplotlib', 'nibabel'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_name_is_an_attribute_error():
    """As for any module."""
    assert not hasattr(flr_volumetry, "no_such_name")
