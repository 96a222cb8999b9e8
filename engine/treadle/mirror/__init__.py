"""What is recorded here, on an MLflow server too: a process of its own sends it, while the run goes on or later."""

from treadle.mirror.outbox import add, anything, note_moved, waiting, wake

__all__ = ["add", "anything", "note_moved", "waiting", "wake"]
