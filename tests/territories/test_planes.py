"""Planes from landmarks: exact where the landmarks lie on one, on the side that was asked for."""

import numpy as np
import pytest

from flr_volumetry.errors import LiverError, PlanError
from flr_volumetry.territories import (
    LANDMARK_NAMES,
    Landmark,
    Landmarks,
    Side,
    cantlie_plane,
    hepatic_vein_plane,
    landmark_named,
    landmark_plane,
    umbilical_plane,
)
from flr_volumetry.territories.geometry import beside_cava_mm, nearest_plane
from flr_volumetry.territories.planes import vein_end

CAVA = [(10, 40, 20), (10, 40, 60), (10, 40, 100)]
TILTED = np.array([-0.8, 0.6, 0.0])
"""Normal of an upright plane through the cava, to the patient's right and back."""
FORWARD = np.array([-0.6, -0.8, 0.0])
UP = np.array([0.0, 0.0, 1.0])


def on_tilted(*steps):
    """Points of that plane, so far forward and up from the lowest point of the cava."""
    return np.array([np.array(CAVA[0]) + forward * FORWARD + up * UP for forward, up in steps])


def marks(**points):
    return Landmarks({Landmark[name]: value for name, value in points.items()})


BOTH = {Side.RIGHT: 1, Side.LEFT: -1}


@pytest.mark.parametrize("side", Side)
def test_cantlies_plane_goes_through_cava_fossa_and_middle_vein(side):
    """All landmarks on one plane: it comes back exactly, its normal to the side that goes."""
    landmarks = marks(
        CAVA=CAVA, GALLBLADDER=on_tilted((60, -30), (80, -25)), MIDDLE_VEIN=on_tilted((2, 78), (50, 40))
    )
    plane = cantlie_plane(landmarks, removed=side)

    assert plane.normal == pytest.approx(BOTH[side] * TILTED, abs=1e-12)
    assert plane.height_mm(CAVA) == pytest.approx(0, abs=1e-12)
    assert plane.residual_rms_mm == pytest.approx(0, abs=1e-12)
    assert plane.residual_max_mm == pytest.approx(0, abs=1e-12)
    assert plane.removed is side
    right_of_it = np.array(CAVA[1]) + (-30.0, 0, 0)
    assert np.sign(plane.height_mm([right_of_it])[0]) == BOTH[side]


@pytest.mark.parametrize("absent", ["GALLBLADDER", "MIDDLE_VEIN"])
def test_cantlies_plane_does_with_fossa_or_middle_vein(absent):
    """Either with the cava gives a plane; which ones were used is said."""
    points = {
        "CAVA": CAVA,
        "GALLBLADDER": on_tilted((60, -30)),
        "MIDDLE_VEIN": on_tilted((2, 78), (50, 40)),
    }
    del points[absent]
    plane = cantlie_plane(marks(**points), removed=Side.RIGHT)

    assert plane.normal == pytest.approx(TILTED, abs=1e-12)
    assert Landmark[absent].value not in plane.method
    assert "inferior vena cava" in plane.method


def test_every_landmark_weighs_the_same_however_many_points_and_the_vein_twice():
    """Weighted least squares, recomputed from scratch; ten clicks in one place count as one."""
    middle = np.array([(9, 10, 90), (-20, -10, 70), (-40, -30, 40.0)])
    fossa = np.array([(-30, -60, 10), (-36, -50, 12.0)])
    cava = np.array(CAVA, dtype=float)
    plane = cantlie_plane(marks(CAVA=cava, MIDDLE_VEIN=middle, GALLBLADDER=fossa), removed=Side.RIGHT)
    groups = ((cava, 1), (middle, 2), (fossa, 1))
    centre = sum(w * g.mean(axis=0) for g, w in groups) / 4
    scatter = sum(w / len(g) * (g - centre).T @ (g - centre) for g, w in groups)
    normal = np.linalg.eigh(scatter)[1][:, 0]
    off = np.concatenate([(g - centre) @ normal for g, _ in groups])
    again = cantlie_plane(
        marks(CAVA=cava, MIDDLE_VEIN=np.tile(middle, (10, 1)), GALLBLADDER=fossa), removed=Side.RIGHT
    )

    assert plane.point_mm == pytest.approx(centre)
    assert abs(plane.normal @ normal) == pytest.approx(1)
    assert plane.normal[0] < 0
    assert plane.residual_rms_mm == pytest.approx(np.sqrt(np.mean(off**2)))
    for side in Side:
        either = cantlie_plane(marks(CAVA=cava, MIDDLE_VEIN=middle, GALLBLADDER=fossa), removed=side)
        assert either.residual_max_mm == pytest.approx(np.abs(off).max())
    assert again.normal == pytest.approx(plane.normal, abs=1e-9)


def test_a_plane_says_that_it_was_placed_and_how_well():
    """One caveat to confirm, with the residuals; one sentence for the methods."""
    landmarks = marks(CAVA=CAVA, GALLBLADDER=[(-30, -60, 10), (-36, -50, 12)])
    plane = cantlie_plane(landmarks, removed=Side.RIGHT)
    (caveat,) = plane.caveats

    assert caveat.code == "plane_placed_from_landmarks"
    assert "confirm" in caveat.message
    for number in (plane.residual_rms_mm, plane.residual_max_mm):
        assert f"{number:.1f} mm" in caveat.message
        assert f"{number:.1f} mm" in plane.method


@pytest.mark.parametrize(
    ("vein", "heading", "beyond"),
    [
        (Landmark.RIGHT_VEIN, (-1.0, -0.1, -0.3), (-40, 80, 60)),
        (Landmark.RIGHT_VEIN, (-0.9, 0.4, -0.3), (-40, 100, 60)),
        (Landmark.MIDDLE_VEIN, (-0.4, -0.9, -0.3), (-60, 0, 60)),
        (Landmark.LEFT_VEIN, (0.7, -0.7, -0.1), (-20, -20, 60)),
    ],
)
def test_the_right_side_of_a_hepatic_vein(vein, heading, beyond):
    """Right of the right vein lie segments 6 and 7, even where it runs from left to right or backwards."""
    course = np.array(CAVA[2]) + np.linspace(8, 90, 6)[:, None] * (
        np.array(heading) / np.linalg.norm(heading)
    )
    landmarks = Landmarks({Landmark.CAVA: CAVA, vein: course})
    right = hepatic_vein_plane(landmarks, vein, removed=Side.RIGHT)
    left = hepatic_vein_plane(landmarks, vein, removed=Side.LEFT)

    assert np.abs(right.height_mm(course)).max() < 1e-9
    assert right.height_mm([beyond])[0] > 20
    assert left.normal == pytest.approx(-right.normal)
    assert vein.value in right.name


def test_the_umbilical_plane_is_upright():
    """Through fissure and upper end of the left vein as seen from above, whatever their heights."""
    landmarks = marks(
        CAVA=CAVA,
        LEFT_PORTAL=[(40, 0, 30), (40, -10, 20)],
        UMBILICAL_FISSURE=[(40, -40, 5)],
        LEFT_VEIN=[(70, 20, 90), (40, 30, 98)],
    )
    plane = umbilical_plane(landmarks, removed=Side.LEFT)

    assert plane.normal == pytest.approx((1, 0, 0), abs=1e-12)
    assert plane.height_mm([(45, 0, 0)])[0] == pytest.approx(5)
    assert umbilical_plane(landmarks, removed=Side.RIGHT).normal == pytest.approx((-1, 0, 0), abs=1e-12)


def test_the_umbilical_plane_weighs_the_fissure_twice():
    """Two groups: line through the weighted middle, so that the fissure's middle lies nearer."""
    fissure = np.array([(40, -40, 5), (46, -20, 8), (38, 0, 30.0)])
    landmarks = marks(CAVA=CAVA, UMBILICAL_FISSURE=fissure)
    plane = umbilical_plane(landmarks, removed=Side.LEFT)
    top = np.array(CAVA[2], dtype=float)

    assert plane.point_mm == pytest.approx((2 * fissure.mean(axis=0) + top) / 3)
    assert plane.normal[2] == 0


def test_three_points_give_their_plane():
    """Exact, and its side is the patient's."""
    plane = landmark_plane([(5, 0, 0), (5, 90, 0), (5, 0, 90)], removed=Side.LEFT)

    assert plane.normal == pytest.approx((1, 0, 0), abs=1e-12)
    assert plane.height_mm([(8, 40, 40)])[0] == pytest.approx(3)
    assert plane.residual_max_mm == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ([(0, 0, 0), (10, 10, 10), (30, 30, 30)], "collinear_points"),
        ([(0, 0, 0), (10, 10, 10), (30, 30, 31.5)], "collinear_points"),
        ([(0, 0, 0), (50, 0, 0), (0, 50, 0)], "no_side"),
        ([(0, 0, 0), (50, 0, 0), (0, 0, 50)], "no_side"),
        ([(0, 0, 0), (50, 0, 0)], "bad_plan"),
        ([(0, 0, 0), (50, 0, 0), (0, np.nan, 50)], "bad_plan"),
    ],
)
def test_points_that_give_no_plane_are_refused(points, reason):
    """On one line, or nearly; a plane that faces up or back has no right side."""
    with pytest.raises(PlanError) as caught:
        landmark_plane(points, removed=Side.RIGHT)
    assert caught.value.reason == reason


def test_points_three_millimetres_off_a_line_still_give_a_plane():
    """The limit is 2 mm root mean square."""
    plane = landmark_plane([(0, 0, 0), (0, 50, 0), (0, 25, 4.5)], removed=Side.RIGHT)
    assert plane.normal == pytest.approx((-1, 0, 0), abs=1e-12)
    with pytest.raises(PlanError, match="on one line"):
        landmark_plane([(0, 0, 0), (0, 50, 0), (0, 25, 4.0)], removed=Side.RIGHT)


@pytest.mark.parametrize(
    ("place", "given", "wanted"),
    [
        (cantlie_plane, {"CAVA": CAVA}, "gallbladder fossa or middle hepatic vein"),
        (cantlie_plane, {"GALLBLADDER": [(0, 0, 0)]}, "inferior vena cava"),
        (umbilical_plane, {"CAVA": CAVA}, "left portal vein or umbilical fissure"),
        (umbilical_plane, {"LEFT_PORTAL": [(40, 0, 0)]}, "left hepatic vein or middle hepatic vein"),
    ],
)
def test_what_is_missing_is_named(place, given, wanted):
    """A plane without its landmarks is refused."""
    with pytest.raises(PlanError, match=wanted) as caught:
        place(marks(**given), removed=Side.RIGHT)
    assert caught.value.reason == "missing_landmark"


def test_a_hepatic_vein_plane_needs_a_hepatic_vein_and_the_cava():
    """The portal vein is none."""
    landmarks = marks(CAVA=CAVA, RIGHT_PORTAL=[(-40, 0, 0), (-60, 0, 0)])
    with pytest.raises(PlanError) as caught:
        hepatic_vein_plane(landmarks, Landmark.RIGHT_PORTAL, removed=Side.RIGHT)
    assert caught.value.reason == "not_a_hepatic_vein"
    with pytest.raises(PlanError, match="no right hepatic vein, and no inferior vena cava"):
        hepatic_vein_plane(marks(GALLBLADDER=[(0, 0, 0)]), Landmark.RIGHT_VEIN, removed=Side.RIGHT)


def test_a_vein_straight_in_the_cava_gives_no_plane():
    """All points on one line, and the message says which plane."""
    landmarks = marks(CAVA=CAVA, MIDDLE_VEIN=[(10, 40, 110), (10, 40, 130)])
    with pytest.raises(PlanError, match="plane along the middle hepatic vein") as caught:
        hepatic_vein_plane(landmarks, Landmark.MIDDLE_VEIN, removed=Side.RIGHT)
    assert caught.value.reason == "collinear_points"
    upright = marks(UMBILICAL_FISSURE=[(10, 40, 0), (10, 40, 30)], CAVA=[(11, 41, 50)])
    with pytest.raises(PlanError, match="above each other"):
        umbilical_plane(upright, removed=Side.RIGHT)


def test_moving_and_relabelling_the_points_moves_the_plane_and_nothing_else():
    """Shifted, and the points in another order: the same normal and residuals."""
    rng = np.random.default_rng(5)
    points = {
        "CAVA": np.array(CAVA) + rng.normal(0, 2, (3, 3)),
        "MIDDLE_VEIN": on_tilted((5, 75), (30, 50), (60, 20)) + rng.normal(0, 2, (3, 3)),
        "GALLBLADDER": on_tilted((60, -30), (70, -25)),
    }
    shift = np.array([31.0, -77.0, 412.0])
    one = cantlie_plane(marks(**points), removed=Side.RIGHT)
    other = cantlie_plane(marks(**{k: v[::-1] + shift for k, v in points.items()}), removed=Side.RIGHT)

    assert other.normal == pytest.approx(one.normal, abs=1e-12)
    assert other.point_mm == pytest.approx(one.point_mm + shift)
    assert other.residual_max_mm == pytest.approx(one.residual_max_mm)


def test_turning_the_patient_turns_a_fitted_plane():
    """Least squares know no axes."""
    angle = np.deg2rad(12)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    points = {"CAVA": np.array(CAVA) + [(1, 0, 0), (0, 2, 0), (0, 0, 1)], "GALLBLADDER": on_tilted((60, -30))}
    one = cantlie_plane(marks(**points), removed=Side.RIGHT)
    other = cantlie_plane(marks(**{k: v @ turn.T for k, v in points.items()}), removed=Side.RIGHT)

    assert other.normal == pytest.approx(turn @ one.normal, abs=1e-12)


def test_the_distance_from_the_cava_is_taken_at_each_points_own_height():
    """Between its points the cava runs straight, beyond them upright."""
    cava = np.array([(0, 0, 100), (10, 20, 0.0)])
    points = np.array([(5, 10, 50), (8, 14, 50), (10, 23, -40), (4, 0, 160.0)])

    assert beside_cava_mm(cava, points) == pytest.approx([0, 5, 3, 4])


def test_the_end_of_a_vein_is_where_it_comes_nearest_to_the_cava():
    """Not its highest point; without a cava, the highest."""
    vein = [(60, 0, 120), (30, 20, 110), (14, 37, 101)]
    with_cava = marks(CAVA=CAVA, LEFT_VEIN=vein)

    assert vein_end(with_cava, Landmark.LEFT_VEIN).tolist() == [14, 37, 101]
    assert vein_end(with_cava, Landmark.CAVA).tolist() == [10, 40, 100]
    assert vein_end(marks(LEFT_VEIN=vein), Landmark.LEFT_VEIN).tolist() == [60, 0, 120]


def test_an_unweighted_plane_is_the_ordinary_one():
    """Against the singular vectors of the centred points."""
    points = np.random.default_rng(3).normal(0, (20, 30, 1), (40, 3)) + (5, 6, 7)
    centre, normal = nearest_plane(points)

    assert centre == pytest.approx(points.mean(axis=0))
    assert abs(normal @ np.linalg.svd(points - points.mean(axis=0))[2][2]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for kind, names in LANDMARK_NAMES.items() for name in names]
)
def test_names_are_understood_in_any_writing(name, kind):
    """Upper case, underscores, hyphens and numbers at the end."""
    for written in (name, name.upper(), name.replace(" ", "_") + "-12", f" {name}3 ", name.replace(" ", "-")):
        assert landmark_named(written) is kind


def test_no_name_means_two_landmarks():
    """One name, one landmark; every landmark is known by its own value."""
    names = [name for names in LANDMARK_NAMES.values() for name in names]
    assert len(names) == len(set(names))
    assert all(kind.value in LANDMARK_NAMES[kind] for kind in Landmark)


def test_an_unknown_name_is_refused_with_the_nearest():
    """And with the list of all."""
    with pytest.raises(
        LiverError, match=r"'right hepatc vein'.*Did you mean 'right hepatic vein'.*rpv"
    ) as caught:
        Landmarks.named({"right hepatc vein": (0, 0, 0)})
    assert caught.value.reason == "unknown_landmark"


def test_points_of_one_landmark_come_together_in_the_order_of_their_numbers():
    """Ten after nine; single points and rows of points alike."""
    found = Landmarks.named(
        {"RHV-10": (10, 0, 0), "rhv_9": (9, 0, 0), "RHV-1": [(1, 0, 0), (2, 0, 0)], "IVC": (50, 0, 0)}
    )
    assert found.points_mm[Landmark.RIGHT_VEIN][:, 0].tolist() == [1, 2, 10, 9]
    assert found.at(Landmark.CAVA).tolist() == [[50, 0, 0]]
    assert found.at(Landmark.LEFT_VEIN) is None


@pytest.mark.parametrize(
    "bad", [[], [(1, 2)], (1, 2), [(1, 2, np.inf)], [[(1, 2, 3)]], [(np.nan, 0, 0)], np.zeros((0, 3))]
)
def test_points_that_are_no_points_are_refused(bad):
    """Empty, flat, not finite."""
    with pytest.raises(LiverError) as caught:
        Landmarks.named({"IVC": bad})
    assert caught.value.reason == "bad_landmark"


def test_no_landmark_at_all_is_refused():
    """An empty table is a mistake."""
    with pytest.raises(LiverError) as caught:
        Landmarks({})
    assert caught.value.reason == "no_landmarks"


def test_landmarks_cannot_be_written_to():
    """Neither the points nor the table."""
    given = np.zeros((1, 3))
    landmarks = Landmarks({Landmark.CAVA: given})
    given[0, 0] = 7
    assert landmarks.points_mm[Landmark.CAVA][0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        landmarks.points_mm[Landmark.CAVA][0, 0] = 1
    with pytest.raises(TypeError):
        landmarks.points_mm[Landmark.CAVA] = given


ORDERED = {
    Landmark.RIGHT_VEIN: (-80, 10, 60),
    Landmark.MIDDLE_VEIN: (-30, -20, 60),
    Landmark.LEFT_VEIN: (40, -20, 70),
    Landmark.RIGHT_PORTAL: (-50, 0, 10),
    Landmark.LEFT_PORTAL: (10, -30, 10),
    Landmark.UMBILICAL_FISSURE: (12, -60, 0),
    Landmark.GALLBLADDER: (-45, -40, -30),
    Landmark.CAVA: (-10, 30, 40),
}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Landmark.RIGHT_VEIN, Landmark.MIDDLE_VEIN),
        (Landmark.RIGHT_VEIN, Landmark.LEFT_VEIN),
        (Landmark.MIDDLE_VEIN, Landmark.LEFT_VEIN),
        (Landmark.RIGHT_VEIN, Landmark.LEFT_PORTAL),
        (Landmark.RIGHT_VEIN, Landmark.UMBILICAL_FISSURE),
        (Landmark.MIDDLE_VEIN, Landmark.LEFT_PORTAL),
        (Landmark.MIDDLE_VEIN, Landmark.UMBILICAL_FISSURE),
        (Landmark.RIGHT_PORTAL, Landmark.LEFT_PORTAL),
        (Landmark.RIGHT_PORTAL, Landmark.UMBILICAL_FISSURE),
        (Landmark.GALLBLADDER, Landmark.CAVA),
        (Landmark.LEFT_PORTAL, Landmark.CAVA),
        (Landmark.UMBILICAL_FISSURE, Landmark.CAVA),
    ],
)
def test_swapped_landmarks_are_refused(one, other):
    """Two alone suffice to notice; the right way round they pass."""
    Landmarks({kind: [ORDERED[kind]] for kind in (one, other)})
    with pytest.raises(LiverError, match="Mirrored") as caught:
        Landmarks({one: [ORDERED[other]], other: [ORDERED[one]]})
    assert caught.value.reason == "mirrored_landmarks"
    assert one.value in caught.value.message


def test_landmarks_in_ras_coordinates_are_refused():
    """Both x and y of the other sign."""
    Landmarks({kind: [point] for kind, point in ORDERED.items()})
    with pytest.raises(LiverError, match="RAS"):
        Landmarks({kind: [(-x, -y, z)] for kind, (x, y, z) in ORDERED.items()})
