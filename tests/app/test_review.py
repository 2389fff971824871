"""The server of the review page: who may ask, what is counted, what is kept."""

import json
import shutil
import socket
import subprocess
import sys
import tomllib
import urllib.request

import numpy as np
import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from flr_volumetry.app.case import read_case
from flr_volumetry.app.cli import main
from flr_volumetry.app.review import start
from flr_volumetry.app.review.desk import Desk
from flr_volumetry.app.review.guard import MOST_BYTES, Door
from flr_volumetry.app.review.server import Review
from flr_volumetry.app.review.start import case_file_of, claimed, default_folder, desk_of
from flr_volumetry.app.review.store import STATE, PlanStore
from flr_volumetry.app.run import run_case
from flr_volumetry.app.sample import sample_case
from flr_volumetry.app.write import write_outcome
from flr_volumetry.errors import CaseError, OutputError, UnreadableError
from flr_volumetry.io import read_markups

TOKEN, PORT = "not-so-secret", 8123
HOST = f"127.0.0.1:{PORT}"
ORIGIN = {"origin": f"http://{HOST}"}
PLANE = {"kind": "plane", "point_mm": [-40.0, -20.0, 15.0], "normal": [-1.0, 0.1, 0.05]}
STAGES = [{"name": "one", "resections": [PLANE]}]


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """The sample patient, made ready once."""
    path = sample_case()
    return desk_of(read_case(path), path, tmp_path_factory.mktemp("first"), tell=lambda _: None)


@pytest.fixture
def desk(opened, tmp_path):
    """The sample patient with plans of this test."""
    original = opened.store.all()[0]
    return Desk(opened.opened, PlanStore(tmp_path / "plans of a review", original.stages), opened.scenery)


@pytest.fixture
def client(desk):
    """A browser that was given the token."""
    app = Review(desk, Door(TOKEN, "127.0.0.1", PORT)).app()
    with TestClient(app, base_url=f"http://{HOST}", headers={"x-flr-token": TOKEN, **ORIGIN}) as made:
        yield made


def moved(client, stages, until="margins"):
    """Send a plan over the socket; everything that is said of it."""
    heard = {}
    with client.websocket_connect("/live", headers={**ORIGIN, "host": HOST}) as socket:
        socket.send_text(json.dumps({"type": "move", "number": 7, "stages": stages}))
        while until not in heard:
            message = socket.receive()
            if "text" in message:
                said = json.loads(message["text"])
                heard[said["type"]] = said
            else:
                heard["preview"] = message["bytes"]
            if "refused" in heard:
                break
    return heard


def test_numbers_of_a_plane_are_those_of_a_run_on_the_saved_plan(client, desk):
    """To the voxel: remnant, resected, segments, lesions; and margins, states and intervals."""
    saved = client.post("/api/plans", json={"name": "flat", "stages": STAGES}).json()
    heard = moved(client, STAGES, until="settled")
    toml = desk.store.folder / "plans" / f"{saved['id']}.toml"

    run = run_case(read_case(toml))

    volumes, found = run.summary.volumes, heard["volumes"]
    for name in ("remnant_ml", "remnant_functional_ml", "resected_ml", "ablated_ml", "total_ml"):
        assert found[name] == pytest.approx(getattr(volumes, name), abs=1e-9)
    assert found["pieces"][1]["count"] == run.partition.pieces[1].count
    assert {int(k): v for k, v in found["segments"].items()} == pytest.approx(
        {s.segment: s.remnant_ml for s in volumes.segments}
    )
    for lesion, row in zip(volumes.lesions, heard["margins"]["lesions"], strict=True):
        assert row["margin_mm"] == pytest.approx(lesion.margin_mm, abs=0.05)
        assert row["cleared_in_stage"] == lesion.cleared_in_stage
    assert saved["numbers"]["remnant_functional_ml"] == found["remnant_functional_ml"]
    settled = heard["settled"]
    assert settled["intervals"]["remnant_ml"] == pytest.approx(
        run.summary.assessment.volume_intervals["remnant_ml"]
    )
    states = {f.rule.id: f.state.value for f in run.summary.assessment.findings}
    assert all(states[f["rule"]] == f["state"] for f in settled["findings"])
    assert len(settled["findings"]) > 3


def test_a_case_file_that_was_saved_is_the_same_patient_with_another_plan(client, desk):
    """Every mask is found from where the new file lies; nothing else is changed."""
    saved = client.post("/api/plans", json={"name": "flat", "stages": STAGES}).json()
    toml = desk.store.folder / "plans" / f"{saved['id']}.toml"
    before, after = (tomllib.loads(p.read_text()) for p in (sample_case(), toml))

    assert after["patient"] == before["patient"]
    assert after["stage"][0]["resections"] == [PLANE]
    case = read_case(toml)
    assert case.resolve(case.masks.liver.path).samefile(sample_case().parent / before["masks"]["liver"])
    (markup,) = read_markups(toml.with_suffix(".mrk.json"))
    np.testing.assert_allclose(markup.point_mm, PLANE["point_mm"])
    served = client.get(f"/api/plans/{saved['id']}/case.toml")
    assert served.content == toml.read_bytes()
    assert b"Plane" in client.get(f"/api/plans/{saved['id']}/plan.mrk.json").content


@pytest.mark.parametrize(
    "cut",
    [
        {"kind": "segments", "segments": [5, 6]},
        {"kind": "hepatectomy", "name": "left_lateral"},
        {"kind": "wedge", "lesions": [3], "margin_mm": 5},
        {"kind": "ablation", "lesions": [1], "margin_mm": 8},
        {"kind": "territory", "structure": "portal_vein", "branches": ["right posterior portal vein"]},
        {
            "kind": "surface",
            "control_mm": [
                [[-60.0 - 3 * (i % 3), -260.0 + 160 * i, -220.0 + 160 * j] for j in range(4)]
                for i in range(4)
            ],
        },
    ],
    ids=lambda cut: cut["kind"],
)
def test_every_kind_of_resection_counts_what_resect_does(client, desk, cut):
    """Live numbers and preview of each kind, beside the plan carried out."""
    stages = [{"resections": [cut]}]
    heard = moved(client, stages)
    partition = desk.opened.ready.partition(desk.move(stages).plan)

    assert [p["count"] for p in heard["volumes"]["pieces"]] == [p.count for p in partition.pieces]
    step = desk.opened.step
    expected = partition.labels[desk.opened.ready.rows.box][::step, ::step, ::step]
    assert heard["preview"][8:] == expected.tobytes(order="F")
    assert heard["preview"][0] == 1
    assert int.from_bytes(heard["preview"][4:8], "little") == 7


def test_nothing_cut_leaves_the_whole_liver(client):
    """An empty plan is a plan on the page."""
    heard = moved(client, [])

    assert heard["volumes"]["remnant_ml"] == heard["volumes"]["total_ml"]
    assert heard["margins"]["lesions"] == []


def test_only_the_last_of_many_moves_is_answered_to_the_end(client):
    """Positions that were passed are dropped; the last one gets its margins."""
    with client.websocket_connect("/live", headers={**ORIGIN, "host": HOST}) as socket:
        for n in range(1, 60):
            stages = [{"resections": [{**PLANE, "point_mm": [-40.0 - n / 4, 0.0, 0.0]}]}]
            socket.send_text(json.dumps({"type": "move", "number": n, "stages": stages}))
        counted = []
        while True:
            message = socket.receive()
            said = json.loads(message.get("text") or '{"type": ""}')
            if said["type"] == "volumes":
                counted.append(said["number"])
            if said["type"] == "margins" and said["number"] == 59:
                break

    assert counted[-1] == 59
    assert len(counted) < 59
    assert counted == sorted(counted)


def test_plans_are_kept_changed_renamed_copied_and_deleted(client, desk):
    """Each change is on the disk at once, with a higher revision; the case's own plan stays as it is."""
    original = client.get("/api/plans").json()[0]
    made = client.post("/api/plans", json={"name": "A", "stages": STAGES}).json()
    again = client.post("/api/plans", json={"name": "A", "stages": STAGES}).json()
    other = [{"resections": [{"kind": "segments", "segments": [2, 3]}]}]
    changed = client.patch(f"/api/plans/{made['id']}", json={"stages": other}).json()
    renamed = client.patch(f"/api/plans/{made['id']}", json={"name": "left lateral"}).json()

    assert again["name"] == "A (2)"
    assert changed["revision"] == made["revision"] + 1
    assert renamed["name"] == "left lateral"
    assert client.patch(f"/api/plans/{original['id']}", json={"stages": other}).status_code == 409
    assert client.delete(f"/api/plans/{original['id']}").status_code == 409
    assert client.delete(f"/api/plans/{again['id']}").status_code == 204
    kept = PlanStore(desk.store.folder, original["stages"]).all()
    assert [p.name for p in kept] == ["As in the case file", "left lateral"]
    assert kept[1].stages[0]["resections"][0]["segments"] == [2, 3]


def test_two_pages_hear_of_each_other(client):
    """What one changes, the other is told, with its revision."""
    made = client.post("/api/plans", json={"name": "A", "stages": STAGES}).json()
    with client.websocket_connect("/live", headers={**ORIGIN, "host": HOST}) as socket:
        client.patch(f"/api/plans/{made['id']}", json={"stages": [], "by": "the other"})
        heard = json.loads(socket.receive_text())

    assert heard["type"] == "plan"
    assert heard["by"] == "the other"
    assert heard["plan"]["revision"] == made["revision"] + 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"x-flr-token": "wrong"}, 401),
        ({"x-flr-token": ""}, 401),
        ({"x-flr-token": "", "cookie": f"flr_review_{PORT}=wrong"}, 401),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": f"https://{HOST}"}, 403),
        ({"host": f"evil.example:{PORT}"}, 421),
        ({"host": "127.0.0.1:9"}, 421),
        ({"host": f"127.0.0.1.evil.example:{PORT}"}, 421),
        ({"host": f"evil@127.0.0.1:{PORT}"}, 421),
        ({"host": "["}, 421),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
    ],
)
@pytest.mark.parametrize("path", ["/api/plans", "/api/scene", "/static/main.js", "/report/x/report.html"])
def test_a_request_that_is_not_the_pages_is_refused(client, headers, status, path):
    """Wrong token, other origin, a name pointed here: refused, and the next one is answered."""
    assert client.get(path, headers=headers).status_code == status
    assert client.get("/api/plans").status_code == 200


def test_the_token_opens_the_page_and_becomes_a_cookie(desk):
    """Once, in the address; then a cookie that no script and no other site gets."""
    app = Review(desk, Door(TOKEN, "127.0.0.1", PORT)).app()
    with TestClient(app, base_url=f"http://{HOST}") as browser:
        assert browser.get("/").status_code == 401
        assert browser.get("/?token=wrong").status_code == 401
        assert browser.get(f"/api/plans?token={TOKEN}").status_code == 401
        first = browser.get(f"/?token={TOKEN}")
        later = browser.get("/api/plans")

    cookie = first.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert later.status_code == 200
    policy = first.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert first.headers["x-frame-options"] == "DENY"
    assert first.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("headers", [{}, {"origin": "http://evil.example"}])
def test_a_change_or_a_socket_needs_the_pages_origin(desk, headers):
    """A form of another site sends the cookie in old browsers: its origin gives it away."""
    app = Review(desk, Door(TOKEN, "127.0.0.1", PORT)).app()
    with TestClient(app, base_url=f"http://{HOST}", headers={"x-flr-token": TOKEN, **headers}) as other:
        assert other.post("/api/plans", json={"name": "A", "stages": []}).status_code == 403
        with pytest.raises(WebSocketDisconnect), other.websocket_connect("/live", headers={"host": HOST}):
            pass
    assert len(desk.store.all()) == 1


@pytest.mark.parametrize("length", [None, "a lot", str(MOST_BYTES + 1)])
def test_a_body_that_is_too_large_is_refused(client, length):
    """By what it says it has, and by what comes."""
    body = b"x" * (MOST_BYTES + 10)
    if length is None:
        answer = client.post("/api/plans", content=(body[i : i + 65536] for i in range(0, len(body), 65536)))
    else:
        answer = client.post("/api/plans", content=b"{}", headers={"content-length": length})

    assert answer.status_code == (400 if length == "a lot" else 413)
    assert client.get("/api/plans").status_code == 200


MALFORMED = [
    b"",
    b"{",
    b"[]",
    b"\xff\xfe",
    b"[" * 20000,
    b'{"name": "A"}',
    b'{"name": "A", "stages": 5}',
    b'{"name": "A", "stages": [{"resections": [{"kind": "plane"}]}]}',
    b'{"stages": [{"resections": [{"kind": "plane", "point_mm": [NaN, 0, 0], "normal": [1, 0, 0]}]}]}',
    b'{"stages": [{"resections": [{"kind": "plane", "point_mm": [0, 0, 0], "normal": [0, 0, 0]}]}]}',
    b'{"name": "A", "stages": [{"resections": [{"kind": "wedge", "lesions": [99], "margin_mm": 5}]}]}',
    b'{"name": "A", "stages": [{"resections": [{"kind": "surface", "file": "/etc/passwd"}]}]}',
    b'{"name": "A", "stages": [{"resections": [{"kind": "remnant_mask", "file": "../../secret.nii.gz"}]}]}',
    b'{"name": "A", "stages": [{"resections": [{"kind": "remnant_mask"}]}]}',
    b'{"name": "A", "stages": [{"resections": [{"kind": "markup", "file": "x.mrk.json"}]}]}',
]


@pytest.mark.parametrize("body", MALFORMED, ids=range(len(MALFORMED)))
def test_a_malformed_body_is_refused_and_keeps_nothing(client, desk, body):
    """4xx with a reason; files that the case does not name are never read."""
    answer = client.post("/api/plans", content=body, headers={"content-type": "application/json"})

    assert answer.status_code == 422
    assert answer.json()["message"]
    assert len(desk.store.all()) == 1


@pytest.mark.parametrize(
    "message",
    [
        "",
        "{",
        "[]",
        "5",
        '{"type": "move"}',
        '{"type": "move", "number": -1, "stages": []}',
        '{"type": "move", "number": true, "stages": []}',
        '{"type": "move", "number": 1, "stages": 7}',
        '{"type": "move", "number": 1, "stages": [{"resections": [{"kind": "surface", "file": "/x"}]}]}',
        "x" * 300_000,
    ],
)
def test_a_malformed_message_is_refused_and_the_next_one_answered(client, message):
    """The socket stays open."""
    with client.websocket_connect("/live", headers={**ORIGIN, "host": HOST}) as socket:
        socket.send_text(message)
        assert json.loads(socket.receive_text())["type"] == "refused"
        socket.send_bytes(b"\0\1")
        assert json.loads(socket.receive_text())["type"] == "refused"
        socket.send_text(json.dumps({"type": "move", "number": 2, "stages": STAGES}))
        assert json.loads(socket.receive_text())["type"] == "volumes"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../case.py",
        "/static/%2e%2e%2fstore.py",
        "/static/..%5cstore.py",
        "/report/{id}/../../review.json",
        "/report/{id}/%2e%2e/%2e%2e/review.json",
        "/report/{id}//etc/passwd",
        "/report/{id}/%00",
        "/report/..%2f..%2f/etc/passwd",
        "/api/plans/..%2f..%2freview/case.toml",
        "/api/plans/{id}/..%2f..%2freview.json",
        "/api/surface/..%2fliver",
        "/api/array/tissue.gz",
    ],
)
def test_no_path_leads_out_of_the_folders(client, desk, path):
    """Nothing but what the page is made of, and the reports."""
    plan = client.post("/api/plans", json={"name": "A", "stages": STAGES}).json()
    folder = desk.report_folder(plan["id"])
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("here")

    assert client.get(f"/report/{plan['id']}/report.html").text == "here"
    assert client.get(path.format(id=plan["id"])).status_code == 404


def test_a_report_has_no_way_to_the_plans(client, desk):
    """It gets an origin of its own."""
    plan = client.post("/api/plans", json={"name": "A", "stages": STAGES}).json()
    folder = desk.report_folder(plan["id"])
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("here")

    policy = client.get(f"/report/{plan['id']}/report.html").headers["content-security-policy"]

    assert policy.startswith("sandbox ")
    assert "allow-same-origin" not in policy


def test_a_plan_with_a_hostile_name_is_text(client):
    """The name goes to the page as JSON and into no file name."""
    made = client.post("/api/plans", json={"name": "<script>../../x", "stages": STAGES}).json()

    assert made["name"] == "<script>../../x"
    assert made["id"].isalnum()


def test_a_folder_that_a_run_wrote_can_be_reviewed(tmp_path):
    """The case file in it reads from there: the same patient, masks and plan."""
    case = read_case(sample_case())
    write_outcome(run_case(case), tmp_path / "run", tell=lambda _: None)

    kept = read_case(case_file_of(tmp_path / "run"))

    assert kept.stage == case.stage
    assert kept.patient == case.patient
    assert kept.resolve(kept.masks.liver.path).samefile(case.resolve(case.masks.liver.path))
    listed = json.loads((tmp_path / "run" / "report.json").read_text())["outputs"]
    assert "case.toml" in {entry["path"] for entry in listed}


def test_a_damaged_state_is_not_overwritten(tmp_path):
    """It is refused by name, and stays."""
    (tmp_path / STATE).write_text('{"schema": 1, "plans": [')

    with pytest.raises(UnreadableError, match=STATE):
        PlanStore(tmp_path, [])
    assert (tmp_path / STATE).read_text() == '{"schema": 1, "plans": ['


def test_the_case_of_a_folder_is_found(tmp_path):
    """case.toml, or the only .toml; several are listed, none is said."""
    with pytest.raises(UnreadableError, match="no case file"):
        case_file_of(tmp_path)
    shutil.copy(sample_case(), tmp_path / "anna.toml")
    assert case_file_of(tmp_path).name == "anna.toml"
    shutil.copy(sample_case(), tmp_path / "berta.toml")
    with pytest.raises(CaseError, match=r"anna\.toml, berta\.toml"):
        case_file_of(tmp_path)
    shutil.copy(sample_case(), tmp_path / "case.toml")
    assert case_file_of(tmp_path).name == "case.toml"
    assert default_folder(tmp_path).name == f"{tmp_path.name}-review"
    with pytest.raises(UnreadableError, match="neither"):
        case_file_of(tmp_path / "nowhere")


def test_a_case_file_that_was_edited_is_the_first_plan_again(desk):
    """The plan of the case file follows it; the others stay."""
    desk.store.add("mine", STAGES, None)

    first, mine = PlanStore(desk.store.folder, STAGES).all()

    assert first.stages == STAGES
    assert first.revision == 1
    assert mine.name == "mine"


def test_a_folder_belongs_to_one_server_at_a_time(tmp_path):
    """The second is told where the first is."""
    first, second = claimed(tmp_path / "plans"), claimed(tmp_path / "plans")
    with first, pytest.raises(OutputError, match="another flr review"), second:
        pass
    with claimed(tmp_path / "plans"):
        pass


def test_other_machines_are_let_in_only_if_that_is_said(monkeypatch, tmp_path):
    """Misuse without the flag; with it, a warning."""
    served = []
    monkeypatch.setattr(start, "desk_of", lambda *_, **__: None)
    monkeypatch.setattr(start, "serve", lambda _, listener, host, __: served.append(host) or listener.close())
    asked = ["review", str(sample_case()), "--out", str(tmp_path / "plans")]

    refused = CliRunner().invoke(main, [*asked, "--host", "0.0.0.0"])
    warned = CliRunner().invoke(main, [*asked, "--host", "0.0.0.0", "--allow-network"])
    quiet = CliRunner().invoke(main, asked)

    assert refused.exit_code == 2
    assert "--allow-network" in refused.stderr
    assert warned.exit_code == 0, warned.stderr
    assert "Warning: the page can be reached from other machines" in warned.stderr
    assert quiet.exit_code == 0
    assert "Warning" not in quiet.stderr
    assert served == ["0.0.0.0", "127.0.0.1"]


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("192.168.1.7:8123", True),
        ("[fe80::1]:8123", True),
        (f"{socket.gethostname()}:8123", True),
        ("evil.example:8123", False),
        ("192.168.1.7:80", False),
        ("192.168.1.7.evil.example:8123", False),
    ],
)
def test_on_a_network_only_numbers_and_the_own_name_are_this_server(host, ours):
    """A name that somebody else points here is none of them."""
    assert Door(TOKEN, "0.0.0.0", PORT).is_ours(host) is ours
    assert not Door(TOKEN, "127.0.0.1", PORT).is_ours(host)


def flood(page):
    """Send a message that is far too long, and wait for what comes of it."""
    page.send("x" * 5_000_000)
    page.recv(timeout=30)


def test_the_server_itself_refuses_and_lives_on(tmp_path):
    """In a process of its own: bad sockets are refused, messages too long end theirs, the page is there."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "flr_volumetry",
            "review",
            str(sample_case()),
            "--out",
            str(tmp_path / "plans"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        address = process.stdout.readline().strip()
        home, token = address.split("/?token=")
        host, live = home.removeprefix("http://"), home.replace("http", "ws") + "/live"
        known = {"x-flr-token": token}
        for headers, origin in (({}, home), ({"x-flr-token": "no"}, home), (known, "http://evil.example")):
            with pytest.raises(InvalidStatus, match="403"):
                connect(live, additional_headers=headers, origin=origin, proxy=None)
        page = connect(live, additional_headers=known, origin=home, proxy=None)
        with page, pytest.raises(ConnectionClosed):
            flood(page)
        with socket.create_connection(tuple(host.split(":"))) as raw:
            raw.sendall(b"\x16\x03\x01\x00nonsense\r\n\r\n")
            assert raw.recv(100).startswith(b"HTTP/1.1 400")
        request = urllib.request.Request(f"{home}/api/plans", headers=known)
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert json.loads(answer.read())[0]["original"]
        assert len(token) >= 43
    finally:
        process.terminate()
        process.wait(timeout=30)
        process.stdout.close()
