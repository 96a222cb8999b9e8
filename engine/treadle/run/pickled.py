"""What a pickle names: the classes and functions whose code runs when its value is used, found without loading it.

A pickle holds an object's data and the name of its class, not the class's code. A step that takes such an object
runs that code, whether it imports it or not, so its key must have it.
"""

from typing import Any

TEXTS = frozenset(("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE"))


def names(data: bytes) -> tuple[str, ...]:
    """The full names (`module.qualname`) that a pickle refers to; raises ValueError when it is none."""
    from pickletools import genops  # lazy: 5 ms that only inputs stored as pickles need

    found: set[str] = set()
    texts: list[str] = []  # pushed so far; a class is named by the last two
    memo: list[Any] = []
    top: Any = None
    for op, argument, _ in genops(data):
        if op.name in TEXTS:
            top = str(argument)
            texts.append(top)
        elif op.name == "MEMOIZE":
            memo.append(top)
        elif op.name in ("BINGET", "LONG_BINGET"):
            top = memo[int(argument or 0)] if int(argument or 0) < len(memo) else None
            if isinstance(top, str):
                texts.append(top)
        elif op.name == "GLOBAL":
            found.add(str(argument).replace(" ", "."))
            top = None
        elif op.name == "STACK_GLOBAL" and len(texts) > 1:
            found.add(f"{texts[-2]}.{texts[-1]}")
            top = None
        elif op.name not in ("FRAME", "PROTO"):
            top = None
    return tuple(sorted(found))
