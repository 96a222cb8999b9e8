"""Plan → RunRecord: the only room that sees plan, store and executors together."""
