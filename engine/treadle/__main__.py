"""`python -m treadle` and the command `treadle`."""

import sys


def main() -> None:
    """Run the command line; the outermost border, where an error of ours becomes one line."""
    from treadle.cli.main import command, delivered  # lazy: keeps the import of this module free of work

    sys.exit(delivered(command(sys.argv[1:])))


if __name__ == "__main__":
    main()
