"""`python -m treadle` and the command `treadle`."""

import os
import sys


def main() -> None:
    """Run the command line; the outermost border, where an error of ours becomes one line."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed; and else the next file that is opened would take its place
            stream = open(os.devnull, mode)  # noqa: SIM115  # as long as the process
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)
    from treadle.cli.main import command, delivered  # lazy: keeps the import of this module free of work

    sys.exit(delivered(command(sys.argv[1:])))


if __name__ == "__main__":
    main()
