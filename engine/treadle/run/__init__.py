"""Plan → RunRecord: the only room that sees plan, store and executors together."""

PERFORM = "treadle.run.worker:perform"  # what executors call where the work happens
