"""argparse as every command uses it."""

import argparse
import sys
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """argparse whose errors end with code 2 and one line on what to type next."""

    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"error: {message}\n  = hint: {self.prog} --help\n")
        raise SystemExit(2)


def parser(name: str, text: str | None) -> Parser:
    """The parser of a command, without its options yet."""
    return Parser(
        prog=f"treadle {name}",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
