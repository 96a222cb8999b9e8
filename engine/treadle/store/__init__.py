"""Everything durable under `.treadle/`; nobody else opens a file or a database there."""

from treadle.store.codecs import add_list, decode, encode
from treadle.store.files import Data, FileDigests
from treadle.store.objects import Objects
from treadle.store.open import Store, open_store
from treadle.store.results import Result

__all__ = ["Data", "FileDigests", "Objects", "Result", "Store", "add_list", "decode", "encode", "open_store"]
