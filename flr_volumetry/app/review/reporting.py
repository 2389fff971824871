"""The report of a saved plan, made in a process of its own so that the page stays quick."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from flr_volumetry.errors import FlrError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MODULE = "flr_volumetry.app.review.reporting"


async def make_report(toml: Path, folder: Path, tell: Callable[[str], Awaitable[None]]) -> str:
    """Run a saved plan as ``flr run`` does.

    Parameters
    ----------
    toml : Path
        The plan's case file.
    folder : Path
        For the report.
    tell : callable
        Awaited with the name of each step as it begins.

    Returns
    -------
    str
        What went wrong; empty if the report was written.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", MODULE, str(toml), str(folder)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    problem = "the report could not be made"
    try:
        assert process.stdout is not None
        async for line in process.stdout:
            said = json.loads(line)
            if "step" in said:
                await tell(said["step"])
            problem = said.get("problem", problem)
        code = await process.wait()
    except BaseException:
        if process.returncode is None:
            process.kill()
        raise
    return "" if code == 0 else problem


def main(toml: str, folder: str) -> int:
    """Write one report; each step is a line of JSON on standard output.

    Parameters
    ----------
    toml : str
        A case file.
    folder : str
        For the report.

    Returns
    -------
    int
        0 if it was written, 1 if the case was refused.
    """
    from flr_volumetry.app.case import read_case
    from flr_volumetry.app.run import run_case
    from flr_volumetry.app.write import require_writable, write_outcome

    def tell(step: str) -> None:
        _say(step=step)

    try:
        out = Path(folder)
        out.parent.mkdir(parents=True, exist_ok=True)
        require_writable(out)
        write_outcome(run_case(read_case(Path(toml)), tell=tell), out, tell=tell)
    except FlrError as error:
        _say(problem=f"{error.message} [{error.reason}]")
        return 1
    return 0


def _say(**said: str) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
