"""Damaged meshes and markups: what a sound file could hold, or an FlrError; nothing else, never for long."""

from __future__ import annotations

import json
import os
import resource
import time
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flr_volumetry.errors import FlrError
from flr_volumetry.io import Space, read_markups, read_surface, write_markups
from tests.io.mesh_files import MAKERS, ellipsoid
from tests.io.test_fuzz import apply, damages
from tests.io.test_markups import FCSV, GRID, SPACES, document, everything, slicer_plane

MAX_SECONDS = 5
EXAMPLES = int(os.environ.get("FLR_FUZZ_EXAMPLES", "60"))
MAX_GROWTH_KB = 500 * 1024
POINTS, TRIANGLES = ellipsoid(6, 4)
PLANES = ("pointNormal", "threePoints", "planeFit")
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, -1, 0, 1e308, 1e-300]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.sampled_from(
        ["LPS", "RAS", "undefined", "preview", "threePoints", "pointNormal", "planeFit", "Plane"]
    ),
    st.lists(st.floats(-100, 100), max_size=16),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


def settled(function):
    """Run a hypothesis test as the other fuzz tests run."""
    return settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize="FLR_FUZZ_EXAMPLES" not in os.environ,
        suppress_health_check=list(HealthCheck),
    )(function)


def bounded(run):
    """Call, with warnings as errors, and hold the memory that it takes to the bound."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MAX_GROWTH_KB


def read_or_refuse_surface(path):
    """What comes out is a surface whose triangles name points, or an error of ours."""
    began = time.monotonic()
    surface = said = None
    try:
        surface = read_surface(path, space=Space.LPS)
    except FlrError as error:
        said = error.message
    assert (surface is None) == (said is not None and str(path) in said)
    if surface is not None:
        assert np.isfinite(surface.vertices_mm).all()
        assert surface.triangles.min() >= 0
        assert surface.triangles.max() < len(surface.vertices_mm)
    assert time.monotonic() - began < MAX_SECONDS


def read_or_refuse_markups(path):
    """What comes out is written and read again the same, or it is an error of ours."""
    began = time.monotonic()
    markups = said = None
    try:
        markups = read_markups(path)
    except FlrError as error:
        said = error.message
    assert (markups is None) == (said is not None and str(path) in said)
    if markups is not None:
        again = path.with_name("again.mrk.json")
        write_markups(again, markups)
        assert [type(m) for m in read_markups(again)] == [type(m) for m in markups]
    assert time.monotonic() - began < MAX_SECONDS


@pytest.mark.parametrize("kind", MAKERS)
def test_a_damaged_mesh_is_refused_or_read_but_nothing_else(tmp_path_factory, kind):
    suffix, make = MAKERS[kind]
    path = tmp_path_factory.mktemp("fuzz") / f"cut{suffix}"
    data = make(POINTS, TRIANGLES)

    @settled
    @given(steps=damages())
    def run(steps):
        path.write_bytes(apply(data, steps))
        read_or_refuse_surface(path)

    bounded(run)


def seeds():
    """Sound files of markups, by name."""
    planes = [
        slicer_plane(kind, space)[0]
        for kind in ("pointNormal", "threePoints", "planeFit")
        for space in SPACES
    ]
    own = {
        "schemaVersion": 3,
        "state": "Planning",
        "rows": 4,
        "cols": 4,
        "controlGrid": GRID.ravel().tolist(),
    }
    return {
        "planes.mrk.json": json.dumps(document(*planes)),
        "plan.lrp.json": json.dumps(own),
        "points.fcsv": FCSV.format("RAS"),
    }


@pytest.mark.parametrize("name", ["all.mrk.json", *seeds()])
def test_a_damaged_markup_is_refused_or_read_but_nothing_else(tmp_path_factory, name):
    path = tmp_path_factory.mktemp("fuzz") / name
    if name == "all.mrk.json":
        write_markups(path, everything())
        data = path.read_bytes()
    else:
        data = seeds()[name].encode()

    @settled
    @given(steps=damages())
    def run(steps):
        path.write_bytes(apply(data, steps))
        read_or_refuse_markups(path)

    bounded(run)


def places(value, at=()):
    """Every place in a JSON document, as the keys that lead to it."""
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*at, key))


@pytest.mark.parametrize("name", ["all.mrk.json", "planes.mrk.json", "plan.lrp.json"])
def test_odd_values_in_sound_json_are_refused_or_read(tmp_path_factory, name):
    """Any value of the document becomes another one, or goes."""
    path = tmp_path_factory.mktemp("fuzz") / name
    if name == "all.mrk.json":
        write_markups(path, everything())
        text = path.read_text(encoding="utf-8")
    else:
        text = seeds()[name]
    spots = [at for at in places(json.loads(text)) if at]

    @settled
    @given(changes=st.lists(st.tuples(st.sampled_from(spots), st.one_of(st.just("gone"), ODD)), max_size=3))
    def run(changes):
        changed = json.loads(text)
        for at, value in changes:
            holder = changed
            try:
                for key in at[:-1]:
                    holder = holder[key]
                if value == "gone":
                    del holder[at[-1]]
                else:
                    holder[at[-1]] = value
            except (LookupError, TypeError):
                continue
        path.write_text(json.dumps(changed))
        read_or_refuse_markups(path)

    bounded(run)


@given(data=st.binary(max_size=300), name=st.sampled_from(["a.stl", "a.ply", "a.obj", "a.vtk", "a.vtp"]))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("start", [b"", b"solid ", b"ply\nformat ", b"# vtk DataFile Version ", b"<VTKFile "])
def test_noise_is_no_mesh(tmp_path, start, data, name):
    path = tmp_path / name
    path.write_bytes(start + data)

    with pytest.raises(FlrError):
        read_surface(path, space=Space.LPS)


@given(data=st.binary(max_size=300), name=st.sampled_from(["a.mrk.json", "a.fcsv", "a.lrp.fcsv", "a"]))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_noise_is_no_markup(tmp_path, data, name):
    path = tmp_path / name
    path.write_bytes(data)

    with pytest.raises(FlrError):
        read_markups(path)
