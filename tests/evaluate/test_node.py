"""A node under load and in trouble: many studies, kills, a full disk, an archive that is down; the DCMTK."""

from __future__ import annotations

import gc
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager

import pytest
from pydicom import dcmread

from tests.app.node_study import NAME, PATIENT, Archive, caller, free_port, node_file, until, write_study

STUDIES = int(os.environ.get("FLR_NODE_STUDIES", "1000"))
KILLS = 10
pytestmark = [
    pytest.mark.evaluate,
    # pynetdicom leaves the sockets of callers that were cut off to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def _collected():
    """Have such sockets collected while their warning is ignored."""
    yield
    gc.collect()


class Process:
    """``flr node run``, as a service starts it."""

    def __init__(self, path, log):
        self.path, self.log, self.process = path, log, None

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flr_volumetry", "node", "run", str(self.path)],
            stderr=self.log.open("a"),
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        return self

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.terminate()
        assert self.process.wait(90) == 0


class Bench:
    """A node in a process of its own, an archive, and studies to be sent."""

    def __init__(self, folder, count, *, more=""):
        self.archive = Archive().start()
        self.port = free_port()
        self.path = node_file(folder / "n", archive=self.archive, node=more)
        self.path.write_text(self.path.read_text().replace("port = 0", f"port = {self.port}", 1))
        self.log = folder / "log"
        self.node = Process(self.path, self.log).start()
        self.folder, self.count = folder, count
        self.answers = Counter()

    def rows(self, text):
        with sqlite3.connect(f"file:{self.folder / 'n' / 'node' / 'queue.sqlite'}?mode=ro", uri=True) as db:
            return db.execute(text).fetchall()

    def states(self):
        return dict(self.rows("SELECT state, count(*) FROM study GROUP BY state"))

    def send_until_taken(self, number, *, break_off=0.0, chance=random):
        """Send a study as a scanner does: again, until each object was answered with success."""
        files = write_study(self.folder / "studies" / str(number), number)
        while True:
            assoc = caller(self.port)
            if not assoc.is_established:
                self.answers["no association"] += 1
                time.sleep(0.3)
                continue
            whole = chance.random() >= break_off
            some = files if whole else files[: chance.randrange(len(files))]
            try:
                found = [assoc.send_c_store(dcmread(path)).get("Status") for path in some]
            except RuntimeError:
                # The association is gone: the node was killed.
                found = [None]
            if not whole:
                assoc.abort()
                self.answers["broken off by the sender"] += 1
                continue
            self.answers.update(found)
            if assoc.is_established:
                assoc.release()
                if set(found) == {0}:
                    shutil.rmtree(self.folder / "studies" / str(number))
                    return
            time.sleep(0.3)

    def sent(self):
        """How often each object came to the archive."""
        return Counter(self.archive.came)

    def all_done(self):
        return self.states() == {"done": self.count} and not self.rows(
            "SELECT 1 FROM delivery WHERE state != 'sent' LIMIT 1"
        )

    def check(self):
        """Every study has its objects in the archive, each once; the log says nothing of a patient."""
        wanted = {uid for (uid,) in self.rows("SELECT uid FROM delivery")}
        assert set(self.archive.came) == wanted
        assert max(self.sent().values()) == 1
        assert len(wanted) >= 4 * self.count
        said = self.log.read_text()
        assert not [secret for secret in (PATIENT, *NAME.split("^")) if secret in said]
        assert "Traceback" not in said
        for log in (self.folder / "n" / "node" / "logs").glob("*.log"):
            assert log.read_text().count(" done\n") == 1, log.name


def test_killed_at_random_moments_no_study_is_lost_and_no_object_sent_twice(tmp_path, capsys):
    """Kills while it receives, runs and sends; the archive refuses for a while; senders break off."""
    count, moments = max(KILLS, STUDIES // 50), random.Random(0)
    bench = Bench(tmp_path, count)
    sender = threading.Thread(
        target=lambda: [
            bench.send_until_taken(n, break_off=0.3, chance=random.Random(n)) for n in range(1, count + 1)
        ]
    )
    began = time.monotonic()
    sender.start()
    for _ in range(KILLS):
        time.sleep(moments.uniform(1.0, 8.0))
        bench.node.kill()
        bench.archive.status = moments.choice([0x0000, 0xA700])
        bench.node.start()
    bench.archive.status = 0x0000
    sender.join(600)
    until(bench.all_done, 1200)
    bench.node.stop()
    bench.archive.stop()
    bench.check()
    with capsys.disabled():
        print(f"\n{count} studies, {KILLS} kills: {time.monotonic() - began:.0f} s; {dict(bench.answers)}")


def test_a_thousand_studies_in_a_row(tmp_path, capsys):
    """The archive is down for a while in the middle, now and then a sender breaks off."""
    bench = Bench(tmp_path, STUDIES, more="workers = 2")
    began = time.monotonic()
    for number in range(1, STUDIES + 1):
        if number == STUDIES // 3:
            bench.archive.stop()
        if number == STUDIES // 2:
            bench.archive.start()
        bench.send_until_taken(number, break_off=0.02, chance=random.Random(number))
    received = time.monotonic() - began
    until(bench.all_done, 4 * 3600)
    took = time.monotonic() - began
    threads = len(os.listdir(f"/proc/{bench.node.process.pid}/task"))
    files = len(os.listdir(f"/proc/{bench.node.process.pid}/fd"))
    with open(f"/proc/{bench.node.process.pid}/status") as status:
        memory = next(line for line in status if line.startswith("VmHWM")).split()[1]
    bench.node.stop()
    bench.archive.stop()
    bench.check()
    assert threads < 60
    assert files < 200
    with capsys.disabled():
        print(
            f"\n{STUDIES} studies of 15 objects: received in {received:.0f} s, all sent after {took:.0f} s "
            f"({60 * STUDIES / took:.0f} a minute); node's memory at most {int(memory) / 1e3:.0f} MB, "
            f"{threads} threads, {files} files at the end; {dict(bench.answers)}"
        )


@contextmanager
def small_disk(folder, size):
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=False
    )
    if mounted.returncode:
        pytest.skip("this user may not mount a disk")
    try:
        yield lambda more: subprocess.run(["mount", "-o", f"remount,size={more}", str(folder)], check=True)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def test_a_disk_that_is_full_refuses_and_goes_on_when_there_is_room(tmp_path, capsys):
    """Senders are told to come again; what was taken is there, run and sent."""
    with small_disk(tmp_path / "n" / "node", "3m") as enlarge:
        bench = Bench(tmp_path, 8, more="")
        bench.path.write_text(
            bench.path.read_text().replace("refuse_below_gb = 0.001", "refuse_below_gb = 0.0026")
        )
        bench.node.kill()
        bench.node.start()
        sender = threading.Thread(target=lambda: [bench.send_until_taken(n) for n in range(1, 9)])
        sender.start()
        until(lambda: bench.answers[0xA700] > 5, 120)
        assert not bench.all_done()
        enlarge("200m")
        sender.join(120)
        until(bench.all_done, 300)
        bench.node.stop()
        bench.archive.stop()
        bench.check()
    with capsys.disabled():
        print(f"\n{dict(bench.answers)}")


def test_the_dcmtk_sends_and_is_refused_as_it_should_be(tmp_path):
    """Callers made by others: by their titles, broken off, with other syntaxes."""
    # pynetdicom brings programs of the same names.
    others = os.pathsep.join(p for p in os.get_exec_path() if not p.startswith(sys.prefix))
    storescu, echoscu = (shutil.which(name, path=others) for name in ("storescu", "echoscu"))
    if storescu is None or echoscu is None:
        pytest.skip("DCMTK (storescu, echoscu) is not installed")
    bench = Bench(tmp_path, 1)
    until(lambda: not caller(bench.port).is_rejected, 30)
    files = [str(p) for p in write_study(tmp_path / "study", 1)]
    address = ["127.0.0.1", str(bench.port)]

    def run(*words):
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)

    until(lambda: run(echoscu, "-aec", "FLR", *address).returncode == 0, 30)
    wrong = run(echoscu, "-aec", "WRONG", *address)
    assert wrong.returncode != 0
    assert "called ae title not recogni" in wrong.stderr.lower()
    assert run(storescu, "--abort", "-aec", "FLR", *address, *files[:3]).returncode == 0
    time.sleep(1.0)
    assert bench.states() == {"receiving": 1}
    for syntax in ("-xe", "-xi"):
        found = run(storescu, "-R", syntax, "-aec", "FLR", *address, *files)
        assert found.returncode == 0, found.stderr
    until(bench.all_done, 120)
    bench.node.stop()
    bench.archive.stop()
    bench.check()
