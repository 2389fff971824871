"""``python -m flr_volumetry`` is ``flr``."""

from flr_volumetry.app.cli import main

if __name__ == "__main__":
    main(prog_name="flr")
