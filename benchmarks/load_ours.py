"""Loading of a series: headers, sort, checks, pixels, digest."""

import sys
from pathlib import Path

import flr_volumetry as flr

if __name__ == "__main__":
    image = flr.read_image(Path(sys.argv[1]))
    assert image.grid.shape == (512, 512, 400)
