"""Holds calls to what damaged files may cost, input by input, and keeps what the worst of them did cost."""

from __future__ import annotations

import contextlib
import os
import resource
import time
import warnings
from pathlib import Path

from flr_volumetry.errors import FlrError

MAX_SECONDS = 10
MAX_GROWTH_BYTES = 500 << 20
TIMES_THE_FILE = 4
"""An input may take 500 MB and four times its own length."""
LOG = os.environ.get("FLR_FUZZ_LOG", "")
"""Where to add a line on the worst input of each kind."""


def _status(name):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    return 0


class Peak:
    """The most memory since it was last reset, in bytes: of this process on Linux, of its life elsewhere."""

    def __init__(self):
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            self.resets = False
        else:
            self.resets = True

    def reset(self):
        """Return the memory in use, from which on the peak is counted."""
        if not self.resets:
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        Path("/proc/self/clear_refs").write_text("5")
        return _status("VmRSS")

    def now(self):
        if not self.resets:
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return _status("VmHWM")


class Bounds:
    """What inputs of one kind may cost, and did."""

    def __init__(self, kind):
        self.kind = kind
        self.count = 0
        self.seconds = 0.0
        self.growth = 0
        self.peak = Peak()

    def hold(self, size, *calls):
        """Make calls, each of which may raise an `FlrError`, and nothing else, and hold them to the bounds.

        `size` is the length of the input, bytes.
        """
        self.count += 1
        before = self.peak.reset()
        # Of this process: on a busy machine the clock on the wall tells of others.
        began = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for call in calls:
                with contextlib.suppress(FlrError):
                    call()
        seconds = time.process_time() - began
        growth = self.peak.now() - before
        self.seconds, self.growth = max(self.seconds, seconds), max(self.growth, growth)
        assert seconds < MAX_SECONDS
        assert growth < MAX_GROWTH_BYTES + TIMES_THE_FILE * size

    def close(self):
        """Add a line to the log, if there is one."""
        if LOG:
            with Path(LOG).open("a", encoding="utf-8") as stream:
                stream.write(
                    f"{self.kind}: {self.count} inputs, slowest {self.seconds:.2f} s, "
                    f"most memory {self.growth / 1e6:.0f} MB\n"
                )
