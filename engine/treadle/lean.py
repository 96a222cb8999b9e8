"""The first import of a process of ours: msgspec without `typing_extensions`, and no collection of garbage meanwhile.

Nothing that an import makes is garbage, and looking for some takes a tenth of its time: it is off from here on, until
the process turns it on again, when it has imported what it needs.

msgspec needs nothing of `typing_extensions` that Python itself does not have. It looks there first and falls back to
`typing`; that look imports `inspect` and the syntax tree with it and takes 20 of the 60 ms that msgspec takes, in every
command and in every nursery. Whoever else wants it gets it as usual.
"""

import gc
import sys

gc.disable()

if "msgspec" not in sys.modules and "typing_extensions" not in sys.modules:
    sys.modules["typing_extensions"] = None  # type: ignore[assignment]  # which makes its import fail
    try:
        import msgspec  # noqa: F401
    finally:
        del sys.modules["typing_extensions"]
