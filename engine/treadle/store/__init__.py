"""Everything durable: values by digest, results by key, the history of runs, and what is known of files.

Nobody else opens a file or a database under `.treadle/`, but for logs and scratch folders.
"""

from treadle.store.codecs import decode, encode
from treadle.store.data import Data
from treadle.store.history import RunSummary
from treadle.store.models import Models, ModelsDoor, Move
from treadle.store.objects import Objects, add_list
from treadle.store.open import Store, open_store
from treadle.store.process import Process
from treadle.store.results import Result

__all__ = [
    "Data",
    "Models",
    "ModelsDoor",
    "Move",
    "Objects",
    "Process",
    "Result",
    "RunSummary",
    "Store",
    "add_list",
    "decode",
    "encode",
    "open_store",
]
