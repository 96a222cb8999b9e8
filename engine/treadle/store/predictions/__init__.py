"""The prediction log: appended by servers, compacted to Parquet by hour, read as windows joined with outcomes."""

from treadle.store.predictions.segments import OUTCOMES, PREDICTIONS, SegmentWriter, model_folder
from treadle.store.predictions.tail import Added, Overtaken, Tail
from treadle.store.predictions.window import Window, empty_window, find_window

__all__ = [
    "OUTCOMES",
    "PREDICTIONS",
    "Added",
    "Overtaken",
    "SegmentWriter",
    "Tail",
    "Window",
    "empty_window",
    "find_window",
    "model_folder",
]
