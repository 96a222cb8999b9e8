"""msgspec, imported without `typing_extensions`, of which it needs nothing that Python itself does not have.

It looks there first and falls back to `typing`; that look imports `inspect` and the syntax tree with it and takes 20 of
the 60 ms that msgspec takes, in every command and in every nursery. Whoever else wants it gets it as usual.
"""

import sys

if "msgspec" not in sys.modules and "typing_extensions" not in sys.modules:
    sys.modules["typing_extensions"] = None  # type: ignore[assignment]  # which makes its import fail
    try:
        import msgspec  # noqa: F401
    finally:
        del sys.modules["typing_extensions"]
