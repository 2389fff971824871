"""The wheel works: installed into an empty environment, away from the checkout."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from the checkout by its own build back-end."""
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (found,) = out.glob("*.whl")
    return found


def test_the_wheel_holds_data_beside_code(wheel):
    """Protocols, schema, templates, sample, licence and type marker are in it; tests are not."""
    names = zipfile.ZipFile(wheel).namelist()

    for wanted in (
        "flr_volumetry/py.typed",
        "flr_volumetry/_sample_data/case.toml",
        "flr_volumetry/assessment/protocols/consensus-20-30-40.toml",
        "flr_volumetry/report/schema/report-1.schema.json",
    ):
        assert wanted in names
    assert any(name.startswith("flr_volumetry/report/templates/") for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith("tests/")]


@pytest.mark.slow
def test_the_demo_runs_from_the_wheel_in_an_empty_environment(wheel, tmp_path):
    """Only what the wheel asks for is installed, and the checkout is out of reach."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True, capture_output=True)
    scripts = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    subprocess.run(
        [str(scripts / "python"), "-m", "pip", "install", "-q", str(wheel)], check=True, capture_output=True
    )

    done = subprocess.run(
        [str(scripts / "flr"), "demo", "--out", "report"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )

    assert done.returncode == 0, done.stderr
    assert "Future liver remnant" in done.stdout
    assert (tmp_path / "report" / "report.html").stat().st_size > 100_000
