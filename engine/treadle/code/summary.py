"""What one source file is worth to keys, definition by definition: plain data, kept from one command to the next.

A summary depends on the file's content alone. Relative imports stay relative, so the same bytes have the same
summary in every checkout.
"""

from msgspec import Struct


class Target(Struct, frozen=True, array_like=True):
    """What an import names: `name` of `module`, or the module itself when `name` is empty."""

    level: int
    module: str
    name: str = ""


class Opened(Struct, frozen=True, array_like=True):
    """A literal path in code; one that starts with `@` is relative to the folder of the source file.

    `read` says that it stands in a call that reads, so that a file which is not there is worth a word.
    """

    path: str
    read: bool = False


class Definition(Struct, frozen=True, array_like=True):
    """A name of a module, or its statements with effects.

    `digest` leaves out comments, docstrings, layout and the spelling of annotations. `uses` are free names and
    attribute chains (`helpers.clean`), `targets` what the name is an alias of, `inner` the imports inside it,
    `loads` modules imported by a literal name (one that ends in `.` is a prefix, an empty one unknown), `patches`
    what it assigns to from outside, `wide` reasons to widen (`module …`, `package …`), `triggers` what runs
    when the definition is made (decorators, base classes, calls), `writes` whether calling it may change the
    state of a module. `path` is the path or text that a constant stands for, `written` what it writes to: both may
    hold `<names>` of other constants.
    """

    digest: str = ""
    alias: bool = False
    uses: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()
    inner: tuple[tuple[str, Target], ...] = ()
    loads: tuple[str, ...] = ()
    patches: tuple[str, ...] = ()
    wide: tuple[str, ...] = ()
    opens: tuple[Opened, ...] = ()
    unjoined: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()
    writes: bool = False
    path: str = ""
    written: tuple[str, ...] = ()


class Summary(Struct, frozen=True, array_like=True):
    """A file: its definitions by name, its effects, what it imports when it is itself imported.

    `main` is the block that only a script runs; `broken` says that the file does not parse and counts byte by byte.
    """

    definitions: dict[str, Definition] = {}
    effects: Definition | None = None
    main: Definition | None = None
    imports: tuple[Target, ...] = ()
    stars: tuple[Target, ...] = ()
    broken: str = ""
