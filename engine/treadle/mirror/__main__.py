"""Send what is waiting, while the runs go on and until the server has all of it or stays away: `python -m … ROOT`."""

import os
import sys

from treadle.mirror.sender import send_all
from treadle.settings import read_settings
from treadle.store import open_store


def main() -> None:
    """Send from the project at ROOT."""
    root = sys.argv[1]
    os.nice(10)  # the run comes first
    settings = read_settings(root)
    if settings.track.mlflow:
        send_all(open_store(root), settings.track)


if __name__ == "__main__":
    main()
